"""The site of a results folder: what is written, when again, and what the pages hold."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import Ptbench
from tests.nights import cell_record, write_night, write_nights
from tests.plugins.html.toys import HOSTILE

from ptbench import ChangePoint, History, Series, UsageError, read_history, read_report, read_summary
from ptbench_html.lines import POINTS, line, thinned
from ptbench_html.site import write_site

NAN = math.nan
VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """A page as a browser takes it apart: elements with their attributes, and all text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [a["href"] or "" for tag, a in self.elements if tag == "a"]

    def having(self, attribute: str) -> list[str]:
        """Return the values of an attribute."""
        return [a[attribute] or "" for _, a in self.elements if attribute in a]


def site_of(run: Path) -> list[Path]:
    """Let the reporter write, as `ptbench report` does."""
    return list(write_site(read_report(run), run))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two suites: one of eight nights, of which the last three are worse, and one of a single night."""
    for number, value in enumerate((*[0.9] * 5, *[0.8] * 3)):
        torch = "2.6" if value == 0.9 else "2.7"
        write_night(tmp_path / "night", number, [cell_record(value)], packages={"torch": torch})
    write_night(tmp_path / "other", 0, [cell_record(None)])
    return tmp_path


def test_there_is_a_page_for_each_run_a_history_and_an_overview(results: Path) -> None:
    newest = results / "night" / "20260108-010000"
    site = results / "site"
    assert site_of(newest) == [
        site / "index.html",
        site / "night" / "history.html",
        site / "night" / "20260108-010000.html",
    ]
    runs = [f"2026010{i}-010000.html" for i in range(1, 9)]
    assert sorted(path.name for path in (site / "night").iterdir()) == [*runs, "history.html"]
    assert sorted(path.name for path in (site / "other").iterdir()) == [runs[0], "history.html"]
    for path in site.rglob("*.html"):
        page = Page(path)
        assert not page.open
        for link in page.links:
            if not link.startswith("#"):
                assert (path.parent / link).is_file(), f"{path} links to {link}"


def test_the_overview_has_the_newest_runs_of_all_suites_with_their_state(results: Path) -> None:
    write_nights(results / "long", [0.5] * 14)
    site_of(results / "other" / "20260101-010000")
    page = Page(results / "site" / "index.html")
    said = " ".join(page.words)
    assert [word for word in page.words if word in ("night", "long", "other")] == ["long", "night", "other"]
    assert "1 not ok" in said
    assert "History of 14 runs" in said
    assert [link for link in page.links if link.startswith("long/")] == [
        *(f"long/202601{i:02}-010000.html" for i in range(14, 4, -1)),
        "long/history.html",
    ]


def test_the_history_marks_changes_and_names_their_causes(results: Path) -> None:
    site_of(results / "night" / "20260108-010000")
    page = Page(results / "site" / "night" / "history.html")
    words = "2026-01-06: 0.900 -> 0.800, worse\ntorch 2.6 -> 2.7"
    assert page.having("data-tip") == [words]
    (mark,) = [a for _, a in page.elements if a.get("data-tip")]
    assert (mark["class"], mark["tabindex"], mark["aria-label"], mark["role"]) == (
        "v-worse",
        "0",
        words,
        "img",
    )
    assert "minilm x sst2 x linear_probe · accuracy: 0.9 to 0.8 in 8 nights" in page.having("aria-label")
    assert "2026-01-06: 0.900 -> 0.800, worse" in page.words
    assert "torch 2.6 -> 2.7" in page.words
    assert any(word.startswith("1 of 1 series changed in 8 nights") for word in page.words)


def test_a_night_adds_a_page_and_leaves_those_of_old_runs(results: Path) -> None:
    site_of(results / "night" / "20260108-010000")
    site = results / "site"
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*.html")}
    new = write_night(results / "night", 8, [cell_record(0.8)])
    site_of(new)
    after = {path: path.stat().st_mtime_ns for path in site.rglob("*.html")}
    assert {path.relative_to(site).as_posix() for path in after if before.get(path) != after[path]} == {
        "index.html", "night/history.html", "night/20260109-010000.html",
    }  # fmt: skip


def test_the_page_of_a_run_that_changed_is_written_anew(results: Path) -> None:
    site_of(results / "night" / "20260108-010000")
    page = results / "site" / "night" / "20260102-010000.html"
    other = results / "site" / "night" / "20260103-010000.html"
    kept = other.stat().st_mtime_ns
    changed = results / "night" / "20260102-010000"
    (changed / "standings.json").write_text("[]")
    later = page.stat().st_mtime + 10
    os.utime(changed / "standings.json", (later, later))
    before = page.stat().st_mtime_ns
    site_of(results / "night" / "20260108-010000")
    assert page.stat().st_mtime_ns > before
    assert other.stat().st_mtime_ns == kept


def test_a_damaged_run_is_told_and_costs_no_other(results: Path) -> None:
    (results / "night" / "20260103-010000" / "records.jsonl").write_text("{}\n")
    site_of(results / "night" / "20260108-010000")
    assert "20260103-010000: " in " ".join(Page(results / "site" / "index.html").words)
    assert not (results / "site" / "night" / "20260103-010000.html").exists()
    assert (results / "site" / "night" / "20260102-010000.html").exists()


def test_a_run_that_lies_elsewhere_is_refused(results: Path, tmp_path: Path) -> None:
    report = read_report(results / "night" / "20260108-010000")
    with pytest.raises(UsageError, match="this run lies elsewhere"):
        write_site(report, tmp_path / "none" / "run")


def test_two_runs_that_end_together_are_both_in_the_overview(results: Path) -> None:
    runs = [write_night(results / f"suite{i}", 0, [cell_record(0.5)]) for i in range(4)]
    threads = [threading.Thread(target=site_of, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    links = Page(results / "site" / "index.html").links
    assert [f"suite{i}/20260101-010000.html" in links for i in range(4)] == [True] * 4
    assert not list((results / "site").rglob("*.part"))


def test_hostile_names_are_text(tmp_path: Path) -> None:
    suite = tmp_path / "night"
    for number in range(4):
        facts = {"packages": dict.fromkeys(HOSTILE, "1") if number > 1 else {}, "suite": HOSTILE[0]}
        shown = [cell_record(0.25 * (number > 1), model=name, task=name) for name in HOSTILE]
        last = write_night(suite, number, shown, **facts)
    site_of(last)
    for path in (tmp_path / "site" / "index.html", tmp_path / "site" / "night" / "history.html"):
        page = Page(path)
        assert [tag for tag, _ in page.elements if tag in ("script", "img", "iframe", "object")] == [
            "script"
        ] * 2
        handlers = {name for _, a in page.elements for name in a if name.startswith("on")}
        assert not handlers
        assert "<script>alert(1)</script>" in page.words
        text = path.read_text("utf-8")
        assert not re.search(r"(?:href|src)=[\"'](?:https?:|//|javascript:)", text)
        assert "style=" not in text.split("</style>")[1]


def test_runs_in_odd_folders_have_safe_addresses(tmp_path: Path) -> None:
    run = write_night(tmp_path / "a suite#1", 0, [cell_record(0.5)])
    odd = run.rename(run.with_name('javascript:alert(1)"#?%41'))
    site_of(odd)
    page = Page(tmp_path / "site" / "index.html")
    assert page.links == [
        "#main", "a%20suite%231/javascript%3Aalert%281%29%22%23%3F%2541.html", "a%20suite%231/history.html",
    ]  # fmt: skip


def series(
    values: list[float], changes: tuple[ChangePoint, ...] = (), outliers: tuple[int, ...] = ()
) -> Series:
    """Return a series of these numbers."""
    numbers = np.array(values)
    return Series("t", "m", "p", "accuracy", True, numbers, numbers, numbers, changes, outliers)


@pytest.fixture
def history(tmp_path: Path) -> Callable[[Series], History]:
    """Return a function that makes a history of one series."""
    night = read_summary(write_night(tmp_path / "night", 0, [cell_record(0.5)]))
    return lambda one: History("night", tmp_path, (night,) * len(one.values), (one,))


def paths_of(markup: str) -> list[str]:
    """Return what the lines and the lone points are made of: M, L and h, without their numbers."""
    return [re.sub(r"[-\d. ]", "", d) for d in re.findall(r'<path d="([^"]*)" class="series', markup)]


def test_a_line_has_gaps_where_a_night_has_no_score(history: Callable[[Series], History]) -> None:
    one = series([0.5, 0.6, NAN, 0.5, NAN, 0.7, 0.7])
    assert paths_of(line(history(one), one)) == ["MLML", "Mh"]
    none = series([NAN, NAN])
    assert line(history(none), none) == ""


def test_marks_can_be_reached_with_the_keyboard(history: Callable[[Series], History]) -> None:
    changes = (ChangePoint(2, 1, 0.5, 0.7, True), ChangePoint(4, 3, 0.7, 0.6, False, ("torch 1 -> 2",)))
    one = series([0.5, 0.5, 0.7, 0.7, 0.6, 0.6, 0.1], changes, (6,))
    markup = line(history(one), one)
    assert re.findall(r'<g class="([^"]+)".*?tabindex="([^"]+)"', markup, re.S) == [
        ("v-better", "0"), ("v-worse", "-1"), ("outlier", "-1"),
    ]  # fmt: skip
    assert 'data-tip="2026-01-01: 0.500 -&gt; 0.700, better\nnothing changed that is known of"' in markup


def test_many_nights_are_thinned_and_no_extreme_is_lost() -> None:
    values = np.random.default_rng(0).normal(size=5000)
    values[1234], values[4321] = 50.0, -50.0
    few = series(list(values[:POINTS]))
    assert thinned(few) == few.nights
    kept = thinned(series(list(values)))
    assert {1234, 4321, 0, 4999} <= set(kept)
    assert len(kept) <= POINTS + 2
    assert kept == sorted(set(kept))


def test_the_reporter_writes_in_a_run(ptbench: Ptbench, suite: Path, tmp_path: Path) -> None:
    suite.write_text(
        suite.read_text().replace('name = "small"', 'name = "small"\nreporters = ["csv", "site"]')
    )
    for _ in range(2):
        called = ptbench("run", suite, "--output", tmp_path / "out", "--fresh")
        assert called.code == 0, called.err
    page = Page(tmp_path / "out" / "site" / "index.html")
    assert page.words.count("finished") == 2
    assert len(read_history(tmp_path / "out" / "small").nights) == 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser, or skip."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
    if chromium is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_a_browser_sorts_and_filters_the_history_and_loads_nothing_else(results: Path, browser: Any) -> None:
    for number in range(8, 11):
        write_night(results / "night", number, [cell_record(0.8), cell_record(0.95, model="words")])
    site_of(results / "night" / "20260111-010000")
    path = results / "site" / "night" / "history.html"
    page = browser.new_page(color_scheme="dark")
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())

    def rows() -> list[str]:
        names = page.locator("#series-table tbody tr:visible th b").all_inner_texts()
        return [str(name) for name in names]

    assert rows() == ["minilm", "words"]
    page.get_by_role("button", name="Last").click()
    assert rows() == ["words", "minilm"]
    page.get_by_role("button", name="Last").click()
    assert rows() == ["minilm", "words"]
    page.get_by_label("Changes").select_option("worse")
    assert rows() == ["minilm"]
    assert page.locator("#filter-count").inner_text() == "1 of 2 series"
    page.get_by_label("Changes").select_option("")
    page.get_by_label("Filter by name").fill("WORDS linear")
    assert rows() == ["words"]
    page.get_by_label("Filter by name").fill("")
    page.locator("svg [data-tip]").first.focus()
    assert "0.900 -> 0.800" in page.locator("#tip").inner_text()
    assert said == []
    assert asked == [path.as_uri()]
    page.close()
