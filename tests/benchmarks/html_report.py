"""The page of a run: seconds to write it, its size, and how soon a browser shows it and sorts it.

    python tests/benchmarks/html_report.py [--repeats 5] [--json PATH]

Runs of 1,000 cells (100 models on 10 tasks, and one model on 1,000 tasks) and of 10,000 (100 on 100), each
cell with a file of 1,000 predictions on two labels; and a small run for comparison. ``write`` is the reporter
as a whole, with the reading of predictions; ``ready`` is from the navigation to the end of the page's script
(DOMContentLoaded), ``shown`` until the first frame after it, ``sort`` and ``filter`` until the frame after a
click or a key. Shapes are interleaved, and the figures are medians; a browser is new for each.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.plugins.html import toys

from ptbench_html import HTML

SHAPES = {"4 x 3": (4, 3), "100 x 10": (100, 10), "1 x 1,000": (1, 1000), "100 x 100": (100, 100)}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
         "--disable-background-networking", "--disable-sync"]  # fmt: skip
FRAME = """async (act) => {
  const started = performance.now();
  (0, eval)(act);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - started;
}"""
SORT = "document.querySelector('#board thead th:last-child button').click()"
FILTER = "(() => { const find = document.getElementById('filter-text'); find.value = '7'; \
find.dispatchEvent(new Event('input')); })()"


def made(folder: Path, models: int, tasks: int) -> Any:
    """Return a report of so many cells, each with predictions that are really there."""
    (folder / "predictions").mkdir(parents=True)
    toys.predict(folder / "one.parquet", 0.8, 0, n=1000)
    content = (folder / "one.parquet").read_bytes()
    report = toys.grid(models, tasks, folder)
    records = []
    for record in report.records:
        name = f"predictions/{record.cell}.parquet"
        (folder / name).write_bytes(content)
        records.append(replace(record, files=(name,)))
    return replace(report, records=tuple(records))


def opened(launch: Callable[[], Any], path: Path) -> dict[str, float]:
    """Return milliseconds of one visit with a new browser."""
    browser = launch()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto("about:blank")
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    ready = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    found = {"ready": page.evaluate(ready)}
    painted = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    found["shown"] = page.evaluate(f"{painted}.then(() => performance.now())")
    found["sort"] = page.evaluate(FRAME, SORT)
    found["filter"] = page.evaluate(FRAME, FILTER)
    browser.close()
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    times: dict[str, dict[str, list[float]]] = {name: {} for name in SHAPES}
    sizes: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        reports = {
            name: made(Path(temporary, name.replace(" ", "")), *shape) for name, shape in SHAPES.items()
        }

        def launch() -> Any:
            return driver.chromium.launch(executable_path=chromium, args=QUIET)

        for _ in range(asked.repeats):
            for name, report in reports.items():
                started = time.perf_counter()
                (path,) = HTML.write(report, report.folder)
                taken = {"write": (time.perf_counter() - started) * 1000, **opened(launch, path)}
                for what, milliseconds in taken.items():
                    times[name].setdefault(what, []).append(milliseconds)
                sizes[name] = path.stat().st_size
        version = launch().version
    found = {
        name: {"bytes": sizes[name], **{f"{what}_ms": round(median(all_)) for what, all_ in told.items()}}
        for name, told in times.items()
    }
    result = {"chromium": version, "repeats": asked.repeats, "shapes": found}
    print(json.dumps(result, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
