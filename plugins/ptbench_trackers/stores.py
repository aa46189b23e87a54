"""Where MLflow keeps runs: where the user's environment says, else in a file in the results folder."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ptbench import PtbenchError, Report, printable, shortened, slug

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
MAX_EXPERIMENT = 250
LOGGERS = ("mlflow", "alembic", "sqlalchemy")


def tracking_uri(report: Report, folder: Path) -> str:
    """Return where MLflow is to write: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the results folder."""
    told = os.environ.get(URI, "").strip()
    if told:
        return told
    from sqlalchemy.engine import URL

    database = home(report, folder) / "mlflow.db"
    return URL.create("sqlite", database=str(database)).render_as_string(hide_password=False)


def home(report: Report, folder: Path) -> Path:
    """Return the results folder that a run lies in; of one that lies elsewhere by now its own folder."""
    folder = folder.resolve()
    placed = (slug(str(report.run.get("suite", ""))), str(report.run.get("run", "")))
    return folder.parents[1] if folder.parts[-2:] == placed else folder


def shown(uri: str) -> str:
    """Return where a store is without what lets one into it.

    >>> shown("https://me:secret@host/x"), shown("sqlite:////tmp/mlflow.db")
    ('https://host/x', 'sqlite:////tmp/mlflow.db')
    """
    parts = urlsplit(uri)
    return uri.replace(f"{parts.netloc}", parts.netloc.rpartition("@")[2], 1) if "@" in parts.netloc else uri


def experiment_of(client: Any, report: Report, folder: Path) -> str:
    """Return the id of the experiment, which is named like the suite; it is made where there is none.

    Raises `PtbenchError` where it was deleted.
    """
    told = os.environ.get(EXPERIMENT, "").strip()
    name = printable(shortened(told or str(report.run.get("suite", "")) or "ptbench", MAX_EXPERIMENT))
    there = client.get_experiment_by_name(name)
    if there is None:
        local = None if os.environ.get(URI, "").strip() else home(report, folder) / "mlartifacts" / slug(name)
        return str(client.create_experiment(name, artifact_location=local and local.as_uri()))
    if there.lifecycle_stage != "active":
        raise PtbenchError(
            f"MLflow's experiment '{name}' was deleted; mlflow experiments restore -x {there.experiment_id}, "
            f"or name another one with {EXPERIMENT}"
        )
    return str(there.experiment_id)


@contextmanager
def quiet() -> Iterator[None]:
    """Let MLflow neither tell of its tables, nor warn of its own libraries, nor call home.

    It sends usage to its makers unless told not to; who wants that sets ``MLFLOW_DISABLE_TELEMETRY=false``.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401  (it sets the levels of its loggers)

        loggers = [logging.getLogger(name) for name in LOGGERS]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
