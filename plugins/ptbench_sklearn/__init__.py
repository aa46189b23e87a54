"""Metrics, protocols on frozen features, classical baselines, tabular tasks; with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable

from ptbench import Adapter, FileMetric, Kind, Metric, Protocol, Provider, Source, hookimpl
from ptbench_sklearn import classical, data, few_shot, knn, probe, prototypes, tabular
from ptbench_sklearn.metrics import METRICS


@hookimpl
def ptbench_providers() -> Iterable[Provider]:
    """TF-IDF with a linear head; raw features."""
    return [classical.PROVIDER]


@hookimpl
def ptbench_sources() -> Iterable[Source]:
    """The data sets that scikit-learn carries."""
    return [data.SOURCE]


@hookimpl
def ptbench_kinds() -> Iterable[Kind]:
    """Tabular classification and regression."""
    return tabular.KINDS


@hookimpl
def ptbench_adapters() -> Iterable[Adapter]:
    """Columns of numbers to tasks."""
    return tabular.ADAPTERS


@hookimpl
def ptbench_protocols() -> Iterable[Protocol]:
    """The linear probe, nearest neighbours, class means, a few rows per class."""
    return [probe.PROTOCOL, knn.PROTOCOL, prototypes.PROTOCOL, few_shot.PROTOCOL]


@hookimpl
def ptbench_metrics() -> Iterable[Metric | FileMetric]:
    """Metrics of classification, ranking, calibration and regression."""
    return METRICS
