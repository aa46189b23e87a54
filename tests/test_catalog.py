"""The catalog: what a missing extra is called, and what an unknown name is answered with."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from ptbench import Metric, PluginError, Provider, Reporter, UnknownNameError, catalog
from ptbench.catalog import load_catalog


def test_a_missing_extra_is_the_one_that_fits_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"torch", "transformers", "sklearn"}
    monkeypatch.setattr(catalog, "find_spec", lambda name: None if name in gone else find_spec(name))
    loaded = load_catalog()
    with pytest.raises(PluginError, match=r"needs the package 'torch'.*pip install 'ptbench\[hf\]'"):
        loaded.get(Provider, "hf")
    with pytest.raises(PluginError, match=r"needs the package 'sklearn'.*pip install 'ptbench\[sklearn\]'"):
        loaded.get(Provider, "sklearn")
    assert loaded.get(Provider, "hf", usable=False).name == "hf"


@pytest.mark.parametrize(
    ("reporter", "module", "extra"),
    [
        ("tensorboard", "tensorboard", "tensorboard"),
        ("mlflow", "mlflow", "mlflow"),
        ("mlflow", "sqlalchemy", "mlflow"),
        ("pareto", "matplotlib", "plots"),
    ],
)
def test_a_missing_extra_is_the_one_that_fits_its_offer(
    monkeypatch: pytest.MonkeyPatch, reporter: str, module: str, extra: str
) -> None:
    monkeypatch.setattr(catalog, "find_spec", lambda name: None if name == module else find_spec(name))
    with pytest.raises(PluginError, match=rf"needs the package '{module}'.*pip install 'ptbench\[{extra}\]'"):
        load_catalog().get(Reporter, reporter)


def test_loading_every_plugin_imports_nothing_heavy() -> None:
    heavy = {
        *(
            "torch",
            "transformers",
            "timm",
            "torchvision",
            "sklearn",
            "scipy",
            "ray",
            "datasets",
            "matplotlib",
        ),
        *("tensorboard", "mlflow", "sqlalchemy", "pandas", "pyarrow"),
    }
    code = "import sys; from ptbench.catalog import load_catalog; load_catalog(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & heavy == set()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no plugin offers the metric 'acuracy'; did you mean 'accuracy'"
    ):
        load_catalog().get(Metric, "acuracy")


def test_every_offer_has_one_owner() -> None:
    loaded = load_catalog()
    assert loaded.clashes() == []
    assert loaded.broken() == ()
    assert str(loaded.owner("metric", "f1")) == "sklearn (ptbench 0.1.0)"


def test_a_submodule_of_a_missing_package_is_missing_and_no_crash() -> None:
    offer = Provider(
        name="x",
        description="X.",
        requires=("no_such_package.part",),
        describe=lambda request: None,  # type: ignore[arg-type,return-value]
        load=lambda request: None,  # type: ignore[arg-type,return-value]
    )
    missing = catalog.missing_modules([offer], "ptbench")
    assert missing == {"no_such_package.part": "pip install 'no-such-package'"}
