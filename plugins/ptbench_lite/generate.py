"""Generate a task: any size, from a seed, no row twice, labels balanced.

The rows of a task are spread evenly over its frames. The words of every split but train are held
out from train, in the manner of BLiMP and CheckList: a model must know what a word means, and
cannot have memorised which label it came with.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import cola, mnli, mrpc, rte, sst2, stsb
from .frames import Frame, Row, Share


@dataclass(frozen=True)
class TaskInfo:
    """What is to be known of a task before its rows."""

    description: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    frames: Callable[[Share], list[Frame]]


TASKS: Mapping[str, TaskInfo] = {
    "cola": TaskInfo("Is the sentence acceptable English?", ("sentence",), cola.LABELS, cola.frames),
    "sst2": TaskInfo(
        "Is the sentence's sentiment positive or negative?", ("sentence",), sst2.LABELS, sst2.frames
    ),
    "mrpc": TaskInfo(
        "Do the two sentences say the same?", ("sentence1", "sentence2"), mrpc.LABELS, mrpc.frames
    ),
    "stsb": TaskInfo(
        "How similar are the two sentences, from 0 to 5?",
        ("sentence1", "sentence2"),
        (),
        stsb.frames,
    ),
    "mnli": TaskInfo(
        "Does the premise entail the hypothesis, contradict it, or neither?",
        ("premise", "hypothesis"),
        mnli.LABELS,
        mnli.frames,
    ),
    "rte": TaskInfo(
        "Does the first sentence entail the second?",
        ("sentence1", "sentence2"),
        rte.LABELS,
        rte.frames,
    ),
}


def generate(task: str, *, seed: int, sizes: Mapping[str, int]) -> dict[str, dict[str, list[Any]]]:
    """Generate the splits of a task: for each its columns, all equally long.

    The same task, seed and sizes give the same rows, and a larger size keeps the rows before it
    unless an earlier split took them.
    """
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    info = TASKS[task]
    seen: set[tuple[str, ...]] = set()
    splits = {}
    for split in sorted(sizes):  # so that the order in which sizes are given does not matter
        frames = info.frames(Share(held_out=split != "train"))
        rng = random.Random(f"{task}/{seed}/{split}")  # noqa: S311 - nothing secret
        groups = _take(sizes[split], frames, rng, seen, f"{task}-{split}")
        rows = [row for group in groups for row in group]
        columns: dict[str, list[Any]] = {
            "idx": [f"{task}-{split}-{i}" for i in range(len(rows))],
            "group": [f"{task}-{split}-{number}" for number, group in enumerate(groups) for _ in group],
        }
        columns |= {name: [row.texts[i] for row in rows] for i, name in enumerate(info.columns)}
        splits[split] = columns | {"label": [row.label for row in rows]}
    return {split: splits[split] for split in sizes}


def _take(
    size: int, frames: Sequence[Frame], rng: random.Random, seen: set[tuple[str, ...]], name: str
) -> list[list[Row]]:
    """Take groups from all frames in turn until there are `size` rows; note their texts in `seen`."""
    if size < 0:
        raise ValueError(f"{name}: the size must not be negative, but is {size}")
    per_group = len(frames[0].group(0))
    most = per_group * sum(frame.size for frame in frames)
    groups: list[list[Row]] = []
    taken = 0
    if size <= most:
        for group in _groups(frames, rng):
            if taken >= size:
                break
            texts = {row.texts for row in group}
            # Two fillings can give the same text; a group is taken whole, to keep the balance.
            if len(texts) == len(group) and seen.isdisjoint(texts):
                seen |= texts
                groups.append(rng.sample(group, len(group))[: size - taken])
                taken += len(groups[-1])
        most = taken
    if size > most:
        raise ValueError(f"{name}: there can be at most {most} rows, but {size} were asked for")
    return groups


def _groups(frames: Sequence[Frame], rng: random.Random) -> Iterator[tuple[Row, ...]]:
    """Yield every group of every frame once, the frames in turn, in random order."""
    orders = [(frame, _shuffled(frame.size, rng)) for frame in frames]
    while orders:
        for frame, order in rng.sample(orders, len(orders)):
            number = next(order, None)
            if number is None:
                orders.remove((frame, order))
            else:
                yield frame.group(number)


def _shuffled(size: int, rng: random.Random) -> Iterator[int]:
    """Yield the numbers below `size` in random order, storing only those that were moved."""
    moved: dict[int, int] = {}
    for last in reversed(range(size)):
        at = rng.randrange(last + 1)
        yield moved.get(at, at)
        moved[at] = moved.pop(last, last)
