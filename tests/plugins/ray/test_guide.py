"""The executor of the guide keeps the promises that the guide names."""

from __future__ import annotations

from types import ModuleType

from tests.plugins.ray.clusters import ROOT
from tests.test_docs import blocks

from ptbench import testing


def test_the_guides_executor_keeps_the_promises() -> None:
    page = ROOT / "harness" / "docs" / "hooks" / "ptbench_executors.md"
    (code,) = blocks(page, "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 40
    module = ModuleType("nightly")
    exec(compile(code, page.name, "exec"), vars(module))  # our own document
    testing.check_executor(module.EXECUTOR)
    at_night = {"first": 22, "last": 5}
    hours = [h for h in range(24) if not _waits(module, h, at_night)]
    assert hours == [0, 1, 2, 3, 4, 5, 22, 23]


def _waits(module: ModuleType, hour: int, options: dict[str, int]) -> bool:
    class Clock:
        @staticmethod
        def localtime() -> object:
            return type("Now", (), {"tm_hour": hour})

    real, module.time = module.time, Clock  # type: ignore[attr-defined]
    try:
        return bool(module.waits(options))  # type: ignore[attr-defined]
    finally:
        module.time = real  # type: ignore[attr-defined]
