"""How long `ptbench --help` and `ptbench list` take, beside importing torch.

    python tests/benchmarks/startup.py [--json PATH]

Whole processes, interleaved, wall-clock seconds; the median of each and its ratio to `import torch`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PTBENCH = str(Path(sys.executable).parent / "ptbench")
COMMANDS = {
    "ptbench --help": [PTBENCH, "--help"],
    "ptbench list": [PTBENCH, "list"],
    "ptbench list plugins": [PTBENCH, "list", "plugins"],
    "import numpy": [sys.executable, "-c", "import numpy"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    """Time every command and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(arguments.repeats + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if repeat:  # the first round fills the file cache
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{'':<24}{'median s':>10}{'/ import torch':>16}")
    for name, value in medians.items():
        print(f"{name:<24}{value:>10.2f}{value / medians['import torch']:>16.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(medians, indent=2) + "\n")


if __name__ == "__main__":
    main()
