"""What a person sees while a run goes on: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ptbench.cli.inspecttable import line_of
from ptbench.cli.reliability import score_text
from ptbench.records import Cell, Record, Status
from ptbench.runner.eta import Eta
from ptbench.runner.inspecting import Inspected
from ptbench.runner.plan import Plan


class Display:
    """Watches a run and shows it on a console; use it as a context manager."""

    def __init__(self, plan: Plan, console: Console, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self.total = len(plan.cells)
        self.ended = 0
        self.failed_reports = 0
        self.failed_inspections = 0
        self.inspecting = ""
        self.examples = 0
        self.current: Cell | None = None
        self.began = time.perf_counter()
        parameters = {name: plan.parameters(name) for name in plan.models}
        self.eta = Eta([planned for planned in plan.cells if not planned.problem], parameters)
        self._progress = Progress(
            TextColumn("cells"), BarColumn(), MofNCompleteColumn(), console=console, auto_refresh=False
        )
        self._bar = self._progress.add_task("cells", total=self.total)
        self._live = Live(get_renderable=self._view, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Display:
        if self.live:
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.live:
            self._live.stop()

    def cell_started(self, cell: Cell) -> None:
        """A cell begins."""
        self.current, self.examples, self.began = cell, 0, time.perf_counter()

    def advanced(self, examples: int) -> None:
        """So many more examples went through the model."""
        self.examples += examples

    def cell_ended(self, record: Record, seconds: float) -> None:
        """A cell has ended."""
        self.ended += 1
        self.current = None
        self._progress.update(self._bar, completed=self.ended)
        if record.status is Status.SKIPPED:  # it was told before the run began
            return
        self.eta.finished(record.cell, seconds)
        if not self.quiet:
            self.console.print(self._line(record, seconds))

    def inspection_started(self, title: str) -> None:
        """A look inside a model begins."""
        self.inspecting, self.examples, self.began = title, 0, time.perf_counter()

    def inspection_ended(self, done: Inspected) -> None:
        """A look inside a model has ended."""
        self.inspecting = ""
        self.failed_inspections += done.status != "ok"
        if not self.quiet:
            self.console.print(line_of(done), soft_wrap=True)

    def warned(self, text: str) -> None:
        """Something is amiss that does not stop the run."""
        self.console.print(Text(f"warning: {text}", style="yellow"), soft_wrap=True)

    def report_failed(self, text: str) -> None:
        """A reporter could not write."""
        self.failed_reports += 1
        self.warned(text)

    def _line(self, record: Record, seconds: float) -> Text:
        good = record.status is Status.OK
        text = Text(f"[{self.ended:>{len(str(self.total))}}/{self.total}] ", style="dim")
        text.append(f"{record.status.value:<7} ", style="green" if good else "red")
        text.append(f"{record.model} x {record.task} x {record.label}")
        if str(record.seed) and record.seed:
            text.append(f" seed {record.seed}")
        score = record.score(record.primary)
        if score is not None:
            text.append(f"  {score.metric} {score_text(score.value, score.half_width)}")
        if not good:
            text.append(f"  {record.error}")
        text.append(f"  {seconds:.1f} s", style="dim")
        left = self.eta.remaining()
        if left is not None and self.ended < self.total and not self.live:
            text.append(f"  about {clock(left)} left", style="dim")
        return text

    def _view(self) -> Table:
        spent = time.perf_counter() - self.began
        left = self.eta.remaining(spent if self.current else 0.0)
        grid = Table.grid(padding=(0, 1))
        overall = Table.grid(padding=(0, 1))
        eta = "estimating the time left" if left is None else f"about {clock(left)} left"
        overall.add_row(self._progress, Text(eta, style="dim"))
        grid.add_row(overall)
        cell = self.current  # the other thread may set it to None meanwhile
        if cell is not None:
            line = f"slot 0: {cell.title}  {clock(spent)}"
            if self.examples:
                line += f"  {self.examples:,} examples, {self.examples / max(spent, 1e-9):,.0f}/s"
            grid.add_row(Text(line, style="cyan"))
        if self.inspecting:
            grid.add_row(Text(f"inspecting {self.inspecting}  {clock(spent)}", style="cyan"))
        return grid


def clock(seconds: float) -> str:
    """Return a duration as people say it.

    >>> clock(5.2), clock(75), clock(3725)
    ('5 s', '1 min 15 s', '1 h 02 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
