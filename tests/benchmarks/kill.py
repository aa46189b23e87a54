"""kill -9 of the main process, and of workers, at random moments of a small suite.

    python tests/benchmarks/kill.py --kills 100 --output results/reference/kill.json

Every suite is started again until it is whole. Then: was a finished cell lost, or run twice; is the CSV that
of an undisturbed run; are the predictions the same bits? Ten moments are a test (tests/test_killing.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.killing import kill_often, predictions, scores, undisturbed, write_suite


def main() -> None:
    """Kill, start again, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--devices", default="cpu:2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        suite, devices = write_suite(place), ("--devices", arguments.devices)
        whole, seconds = undisturbed(suite, place / "undisturbed", *devices)
        for whom in ("main", "worker"):
            killed = kill_often(suite, place / whom, arguments.kills, whom, seconds, arguments.seed, *devices)
            found[whom] = {
                "kills": killed.kills,
                "runs": killed.runs,
                "finished_cells_lost_or_run_twice": len(killed.lost),
                "csv_identical": scores(killed.folder) == scores(whole),
                "predictions_identical": predictions(killed.folder) == predictions(whole),
            }
            print(whom, json.dumps(found[whom]), flush=True)
    found["undisturbed_seconds"] = round(seconds, 1)
    if arguments.output:
        arguments.output.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
