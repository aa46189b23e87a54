"""What a run was made with: versions, machine, commit. Reads metadata only and imports no framework."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "ptbench", "torch", "transformers", "tokenizers", "torchvision", "timm", "scikit-learn", "scipy",
    "numpy", "pandas", "datasets", "safetensors",
)  # fmt: skip


def snapshot(folder: Path) -> dict[str, Any]:
    """Return what can change a number besides the suite: versions, machine, commit of the folder."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": usable_cores(),
            "memory_gb": _memory_gb(),
            "gpus": _output(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]),
        },
        "commit": _output(["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def installed_versions() -> dict[str, str]:
    """Return what must be the same on all machines of a run: Python, packages, and every plugin's version.

    A plugin stands there as ``plugin NAME``, with the distribution that it comes from.
    """
    plugins = {
        f"plugin {point.name}": f"{point.dist.name} {point.dist.version}"
        for point in metadata.entry_points(group="ptbench")
        if point.dist is not None
    }
    found = {name: version for name in PACKAGES if (version := _version(name))}
    return {"python": platform.python_version(), **found, **dict(sorted(plugins.items()))}


def usable_cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _output(command: list[str]) -> str:
    """Return what a command prints, or "" where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
