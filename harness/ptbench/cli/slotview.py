"""How a run stands, as lines on a terminal: one per slot, a bar over all cells, the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ptbench.errors import printable
from ptbench.tracking import FailedCell, Left, SlotState, Snapshot

MOST_SLOTS = 16
"""With more slots than this, those that are longest at their cell stand for all."""
LONGEST = 8
WIDTHS = {"part": 11, "phase": 8, "examples": 12, "rate": 11, "memory": 9, "time": 8}
"""Columns of a slot's line beside its name and cell; fixed, so that nothing jumps."""
DISPENSABLE = ("examples", "memory", "phase", "rate")
"""What a narrow terminal does without, in this order."""
ENOUGH = 32
"""Characters of a cell's title that are worth more than these columns."""
UNITS = (
    (90.0, 1.0, "s"),
    (90 * 60.0, 60.0, "min"),
    (48 * 3600.0, 3600.0, "h"),
    (float("inf"), 86400.0, "days"),
)


def view(now: Snapshot, width: int, height: int = 40) -> Group:
    """Return how a run stands, for a terminal of this size."""
    return Group(*_parts(now, width, height))


def _parts(now: Snapshot, width: int, height: int) -> Iterator[RenderableType]:
    most = max(1, min(MOST_SLOTS, height - 4))
    if len(now.slots) <= most:
        yield from _slots(now.slots, width)
    else:
        yield _fit(_summary(now.slots), width)
        busy = sorted((slot for slot in now.slots if slot.title), key=lambda slot: -slot.seconds)
        if busy:
            yield _fit(Text("longest at their cell:", style="dim"), width)
        yield from _slots(busy[: max(1, min(LONGEST, most - 2))], width)
    if now.inspecting:
        line = f"inspecting {printable(now.inspecting)}  {stopwatch(now.inspecting_seconds)}"
        if now.inspecting_examples:
            line += f"  {now.inspecting_examples:,} examples"
        yield _fit(Text(line, style="cyan"), width)
    yield _overall(now, width)


def _slots(slots: Sequence[SlotState], width: int) -> Iterator[Table]:
    if not slots:
        return
    names = [printable(slot.slot) for slot in slots]
    longest = max(len(slot.title or "idle") for slot in slots)
    columns = dict(WIDTHS)
    if not any(slot.part for slot in slots):
        del columns["part"]
    name_width = min(16, max(map(len, names)))
    room = width - name_width - 2 - sum(size + 2 for size in columns.values())
    for name in DISPENSABLE:
        if room < min(ENOUGH, longest):
            room += columns.pop(name) + 2
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=name_width, no_wrap=True, overflow="ellipsis", style="bold")
    table.add_column(width=max(1, min(room, max(longest, ENOUGH))), no_wrap=True, overflow="ellipsis")
    for name, size in columns.items():
        words = name in ("part", "phase")
        table.add_column(width=size, no_wrap=True, overflow="ellipsis", justify="left" if words else "right")
    for name, slot in zip(names, slots, strict=True):
        if not slot.title:
            table.add_row(Text(name), Text("idle", style="dim"))
            continue
        cells = {
            "part": f"part {printable(slot.part)}" if slot.part else "",
            "phase": printable(slot.phase),
            "examples": f"{amount(slot.examples)} ex" if slot.examples else "",
            "rate": f"{amount(slot.per_second)} ex/s" if slot.per_second else "",
            "memory": memory(slot.memory_mb),
            "time": stopwatch(slot.seconds),
        }
        table.add_row(
            Text(name), Text(printable(slot.title), style="cyan"), *(Text(cells[name]) for name in columns)
        )
    yield table


def _summary(slots: Sequence[SlotState]) -> Text:
    """Return one line over very many slots."""
    busy = [slot for slot in slots if slot.title]
    text = Text(f"{len(slots)} slots", style="bold")
    text.append(f"  {len(busy)} at work, {len(slots) - len(busy)} idle", style="not bold")
    phases = Counter(printable(slot.phase) for slot in busy if slot.phase)
    if phases:
        text.append(f"  {', '.join(f'{name} {n}' for name, n in phases.most_common(4))}", style="not bold")
    rate = sum(slot.per_second or 0.0 for slot in busy)
    if rate:
        text.append(f"  {amount(rate)} ex/s", style="not bold")
    return text


def _overall(now: Snapshot, width: int) -> Table:
    done = Text(f"{now.ended:,}/{now.total:,}")
    if now.bad:
        done.append(f"  {now.bad:,} not ok", style="red")
    left = Text(time_left(now) or "estimating the time left", style="dim")
    room = width - len("cells") - done.cell_len - left.cell_len - 3
    bar = ProgressBar(total=max(now.total, 1), completed=now.ended, width=min(40, room))
    cells = [Text("cells"), bar, done, left] if room >= 4 else [_fit(Text(" ").join([done, left]), width)]
    table = Table.grid(padding=(0, 1, 0, 0))
    for _ in cells:
        table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row(*cells)
    return table


def time_left(now: Snapshot) -> str:
    """Return how long the rest takes, as people say it; empty where nobody knows."""
    if now.total and now.ended >= now.total:
        return "" if now.inspecting else "comparing and writing reports"
    return left_text(now.left) if now.left else ""


def left_text(left: Left) -> str:
    """Return the time left with its uncertainty, in one unit.

    >>> left_text((720.0, 540.0, 1020.0)), left_text((45.0, 44.8, 45.2)), left_text((100.0, 20.0, 150.0))
    ('about 12 min left (9 to 17)', 'about 45 s left', 'about 2 min left (under 1 to 2)')
    >>> left_text((9000.0, 8000.0, 12000.0)), left_text((0.0, 0.0, 4.0))
    ('about 2.5 h left (2.2 to 3.3)', 'up to 4 s left')
    """
    estimate, low, high = left
    if high <= 0:
        return "longer than estimated"
    size, unit = next((size, unit) for below, size, unit in UNITS if (estimate or high) < below)
    digits = 1 if size > 60 and high / size < 9.95 else 0

    def said(seconds: float) -> str:
        text = f"{seconds / size:.{digits}f}"
        return "under 1" if text == "0" else text

    if estimate <= 0:  # it is late already
        return f"up to {said(high).removeprefix('under ')} {unit} left"
    about = f"about {said(estimate) if said(estimate) != 'under 1' else '1'} {unit} left"
    return about if said(low) == said(high) else f"{about} ({said(low)} to {said(high)})"


def failure_lines(failed: FailedCell, folder: str = "") -> Iterator[Text]:
    """Yield what to try where a cell did not end well, and where its log is."""
    if failed.advice:
        yield Text(f"        try: {printable(failed.advice)}", style="default")
    if failed.log:
        where = f"{folder.rstrip('/')}/{failed.log}" if folder else failed.log
        yield Text(f"        log: {printable(where)}", style="dim")


def reused_text(now: Snapshot) -> str:
    """Return which cells need not be run, in one line; empty where all must."""
    if not now.reused:
        return ""
    names = [printable(name) or "this run" for name in sorted(now.reused_from)]
    runs = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    of = f" (measured in {runs})" if names else ""
    verb = "is" if now.reused == 1 else "are"
    text = f"{now.reused:,} of {now.total:,} cells {verb} finished already{of}: reused"
    if now.reused_failed:
        text += f"; {now.reused_failed:,} of them did not end well (--retry-failed runs them again)"
    return text


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


def stopwatch(seconds: float) -> str:
    """Return a duration as a watch shows it.

    >>> stopwatch(5.2), stopwatch(75), stopwatch(3725)
    ('0:05', '1:15', '1:02:05')
    """
    whole = max(0, int(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def memory(mebibytes: float | None) -> str:
    """Return an amount of memory.

    >>> memory(812.4), memory(14_336.0), memory(None)
    ('812 MiB', '14.0 GiB', '')
    """
    if mebibytes is None:
        return ""
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def amount(value: float) -> str:
    """Return a count that may be large.

    >>> amount(0.42), amount(840.2), amount(12_345), amount(22_713_216)
    ('0.42', '840', '12,345', '22.7 M')
    """
    if value < 10 and value != int(value):
        return f"{value:.2g}"
    return f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:,.1f} M"


def _fit(text: Text, width: int) -> Text:
    text.truncate(max(width, 1), overflow="ellipsis")
    text.no_wrap = True
    return text
