"""ptbench: which pre-trained model should I use for my task, and what does it cost me?

This is the whole public surface for plugins; everything else is private and may change.
"""

from ptbench.answers import Answer, Worker, lost_record
from ptbench.cka import Likeness, linear_cka
from ptbench.claims import Claim, ClaimSet, Measured, Verdict
from ptbench.comparison import Change, Compared, Comparison, Difference, Timing
from ptbench.copies import Copy, exact_copies
from ptbench.cut import (
    CUT_OPTIONS,
    UNCUT,
    checked_columns,
    checked_shares,
    cut_as_asked,
    cut_positions,
    cut_rows,
    cut_validation,
)
from ptbench.data import Columns, Examples, Predictions, Rows, Split, Task, Unread
from ptbench.deaths import death, log_end, overdue
from ptbench.details import Confusion, ReliabilityBin, confusion, reliability, worst
from ptbench.digests import files_state
from ptbench.environment import installed_versions
from ptbench.errors import (
    DataError,
    ModelError,
    PluginError,
    ProtocolError,
    PtbenchError,
    SuiteError,
    UnknownNameError,
    UsageError,
    nearest,
    printable,
)
from ptbench.failures import Failure, failure_of, new_record
from ptbench.figures import margins_text
from ptbench.files import split_of
from ptbench.history import ChangePoint, History, Series, read_history
from ptbench.hookspecs import hookimpl
from ptbench.inspection import Inspection, Inspector, InspectRequest
from ptbench.jobs import Evaluate, Event, Job, WorkerSpec
from ptbench.model import (
    Capability,
    Download,
    Embedder,
    FitRequest,
    Fittable,
    Model,
    ModelDescription,
    ModelFacts,
    ModelRequest,
    Operations,
    Peeker,
    Predictor,
    Reference,
    Settings,
)
from ptbench.offers import (
    Adapter,
    Column,
    DataDescription,
    DataRequest,
    Draw,
    Executor,
    Fetching,
    FileMetric,
    Kind,
    Metric,
    NamedTask,
    Option,
    Outcome,
    Proportion,
    Protocol,
    Provider,
    Reporter,
    Source,
    SumMetric,
    TableMetric,
    TaskFacts,
    TaskRequest,
    Trial,
)
from ptbench.pareto import COSTS, ParetoPoint, pareto_points
from ptbench.profiles import (
    Fidelity,
    Latency,
    Profilable,
    Profile,
    ProfileRequest,
    Throughput,
    resident_peak_mb,
)
from ptbench.progress import Progress, advance, listening
from ptbench.protocols import own_recipe
from ptbench.records import Average, Cell, Cost, Record, Report, Score, Standing, Status
from ptbench.report import entries_of, grouped, ordered, safe_cell, tasks_of
from ptbench.reporters.inert import shortened
from ptbench.reporters.markdown import markdown_text
from ptbench.reporters.tables import write_tables
from ptbench.results import load_results
from ptbench.runs import run_folders
from ptbench.schedule import Schedule
from ptbench.slots import Slot
from ptbench.store import read_report, read_runs, slug
from ptbench.summaries import EntrySummary, ScoreSummary, Summary, read_summary
from ptbench.tasks import build_task
from ptbench.textcopies import text_copies
from ptbench.version import __version__ as __version__
from ptbench.workload import Workload

__all__ = [
    "COSTS",
    "CUT_OPTIONS",
    "UNCUT",
    "Adapter",
    "Answer",
    "Average",
    "Capability",
    "Cell",
    "Change",
    "ChangePoint",
    "Claim",
    "ClaimSet",
    "Column",
    "Columns",
    "Compared",
    "Comparison",
    "Confusion",
    "Copy",
    "Cost",
    "DataDescription",
    "DataError",
    "DataRequest",
    "Difference",
    "Download",
    "Draw",
    "Embedder",
    "EntrySummary",
    "Evaluate",
    "Event",
    "Examples",
    "Executor",
    "Failure",
    "Fetching",
    "Fidelity",
    "FileMetric",
    "FitRequest",
    "Fittable",
    "History",
    "InspectRequest",
    "Inspection",
    "Inspector",
    "Job",
    "Kind",
    "Latency",
    "Likeness",
    "Measured",
    "Metric",
    "Model",
    "ModelDescription",
    "ModelError",
    "ModelFacts",
    "ModelRequest",
    "NamedTask",
    "Operations",
    "Option",
    "Outcome",
    "ParetoPoint",
    "Peeker",
    "PluginError",
    "Predictions",
    "Predictor",
    "Profilable",
    "Profile",
    "ProfileRequest",
    "Progress",
    "Proportion",
    "Protocol",
    "ProtocolError",
    "Provider",
    "PtbenchError",
    "Record",
    "Reference",
    "ReliabilityBin",
    "Report",
    "Reporter",
    "Rows",
    "Schedule",
    "Score",
    "ScoreSummary",
    "Series",
    "Settings",
    "Slot",
    "Source",
    "Split",
    "Standing",
    "Status",
    "SuiteError",
    "SumMetric",
    "Summary",
    "TableMetric",
    "Task",
    "TaskFacts",
    "TaskRequest",
    "Throughput",
    "Timing",
    "Trial",
    "UnknownNameError",
    "Unread",
    "UsageError",
    "Verdict",
    "Worker",
    "WorkerSpec",
    "Workload",
    "advance",
    "build_task",
    "checked_columns",
    "checked_shares",
    "confusion",
    "cut_as_asked",
    "cut_positions",
    "cut_rows",
    "cut_validation",
    "death",
    "entries_of",
    "exact_copies",
    "failure_of",
    "files_state",
    "grouped",
    "hookimpl",
    "installed_versions",
    "linear_cka",
    "listening",
    "load_results",
    "log_end",
    "lost_record",
    "margins_text",
    "markdown_text",
    "nearest",
    "new_record",
    "ordered",
    "overdue",
    "own_recipe",
    "pareto_points",
    "printable",
    "read_history",
    "read_report",
    "read_runs",
    "read_summary",
    "reliability",
    "resident_peak_mb",
    "run_folders",
    "safe_cell",
    "shortened",
    "slug",
    "split_of",
    "tasks_of",
    "text_copies",
    "worst",
    "write_tables",
]
