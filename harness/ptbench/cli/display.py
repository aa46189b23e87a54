"""What a person sees while a run goes on: a line per slot on a terminal, a line per cell elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ptbench.cli.inspecttable import line_of
from ptbench.cli.slotview import clock, failure_lines, reused_text, time_left, view
from ptbench.errors import printable
from ptbench.figures import score_text
from ptbench.jobs import Event
from ptbench.records import Record, Status
from ptbench.runlog import seconds_of
from ptbench.runner.inspecting import Inspected
from ptbench.runner.plan import Plan
from ptbench.schedule import Schedule
from ptbench.slots import Slot
from ptbench.tracking import FailedCell, Tracker

REFRESHED = 2.0
"""Times per second."""


class Display:
    """A watcher that shows a run on a console; use it as a context manager.

    ``folder`` is the folder of the run as people call it: logs are told as lying there.
    """

    def __init__(self, plan: Plan, console: Console, quiet: bool = False, folder: Path | None = None) -> None:
        self.console, self.quiet = console, quiet
        self.folder = str(folder) if folder else ""
        self.live = console.is_terminal and not quiet
        self.tracker = Tracker({planned.cell.id: planned.cell.title for planned in plan.cells})
        self.failed_reports = 0
        self.failed_inspections = 0
        self._told_reused = False
        self._live = Live(
            get_renderable=self._view, console=console, refresh_per_second=REFRESHED, transient=True
        )

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
        self._tell_reused()  # nothing else was to be done
        if self.live:
            self._live.stop()

    def run_began(self, slots: Sequence[Slot], schedule: Schedule, reused: int) -> None:
        """The first job is about to be handed out."""
        self.tracker.run_began(slots, schedule, reused)

    def told(self, event: Event) -> None:
        """A job has started, come so far, or ended."""
        self.tracker.told(event)
        if event.what == "warning":
            self.warned(event.text)
        elif event.what == "started":
            self._tell_reused()

    def cell_ended(self, record: Record) -> None:
        """A cell has ended."""
        new = self.tracker.cell_ended(record)
        if not new and self.tracker.reused_are_told:
            self._tell_reused()
        if not new or record.status is Status.SKIPPED:  # told in one line, or before the run began
            return
        self._tell_reused()
        if not self.quiet:
            self._print(self._line(record))
            if record.status is not Status.OK:
                failed = FailedCell(record.title, record.status.value, advice=record.advice, log=record.log)
                for line in failure_lines(failed, self.folder):
                    self._print(line)

    def inspection_started(self, title: str) -> None:
        """A look inside a model begins."""
        self.tracker.inspection_started(title)

    def advanced(self, examples: int) -> None:
        """So many more examples went through the model that is being looked into."""
        self.tracker.advanced(examples)

    def inspection_ended(self, done: Inspected) -> None:
        """It has ended."""
        self.tracker.inspection_ended()
        self.failed_inspections += done.status != "ok"
        if not self.quiet:
            self._print(line_of(done))

    def warned(self, text: str) -> None:
        """Something is amiss that does not stop the run."""
        self._print(Text(f"warning: {printable(str(text))}", style="yellow"))

    def report_failed(self, text: str) -> None:
        """A reporter could not write."""
        self.failed_reports += 1
        self.warned(text)

    def _tell_reused(self) -> None:
        """Say once what need not be run; which runs it is from is known when the first job starts."""
        if not self._told_reused:
            self._told_reused = True
            text = reused_text(self.tracker.snapshot())
            if text and not self.quiet:
                self._print(Text(text))

    def _print(self, line: Text) -> None:
        try:
            self.console.print(line, soft_wrap=True)
        except (OSError, ValueError):  # nobody can be told: the disk below it is full, or it is closed
            self.quiet = True

    def _line(self, record: Record) -> Text:
        now = self.tracker.snapshot()
        good = record.status is Status.OK
        text = Text(f"[{now.ended:>{len(str(now.total))}}/{now.total}] ", style="dim")
        text.append(f"{record.status.value:<7} ", style="green" if good else "bold red")
        text.append(printable(record.title), style="default" if good else "red")
        score = record.score(record.primary)
        if good and score is not None:
            value = score_text(score.value, score.ci_low, score.ci_high)
            text.append(f"  {printable(score.metric)} {value}", style="default")
        if not good:
            text.append(f"  {printable(str(record.error or 'nobody knows why'))}", style="red")
        seconds = seconds_of(record)
        if seconds is not None:
            text.append(f"  {seconds:.1f} s" if seconds < 60 else f"  {clock(seconds)}", style="dim")
        left = time_left(now)
        if left and not self.live and now.ended < now.total:
            text.append(f"  {left}", style="dim")
        return text

    def _view(self) -> RenderableType:
        return view(self.tracker.snapshot(), self.console.width, self.console.height)
