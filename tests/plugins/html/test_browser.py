"""The page in a real browser: Debian's Chromium, driven by Playwright, on files that were really written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.html import toys

from ptbench import Predictions
from ptbench.store import write_predictions
from ptbench_html import HTML

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
         "--disable-background-networking", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def bounded(folder: Path) -> Any:
    """Return a report with one who saw the targets, and with values that end on an exact half."""
    values = {"a": 0.8125, "b": 0.253499928, "c": 0.00001234, "oracle": 1.0}
    peeks = {"oracle": "peek"}
    records = [
        toys.record(model, task, value, capability=peeks.get(model, "embed"))
        for model, value in values.items()
        for task in ("t", "u")
    ]
    labels = tuple(f"a label that is long {i}" for i in range(4))
    columns = {"target": np.arange(400) % 4, "prediction": np.arange(400) % 3}
    write_predictions(folder / "p.parquet", Predictions([str(i) for i in range(400)], columns, labels))
    records[0] = toys.record("a", "t", values["a"], files=("p.parquet",))
    one = toys.curve("accuracy", "test", "epoch", 0.5)
    records[2] = toys.record("b", "t", values["b"], facts={"curves": [one]})
    return toys.ranked(records, folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {
        "rich": toys.rich,
        "hostile": toys.hostile,
        "bounded": bounded,
        "many": lambda folder: toys.grid(30, 10, folder),
        "long": lambda folder: toys.grid(2, 40, folder),
    }
    found = {}
    for name, make in made.items():
        folder = tmp_path_factory.mktemp(name)
        (found[name],) = HTML.write(make(folder), folder)
    return found


class Opened:
    """A page that was opened: nothing but its file may be asked for, and nothing may go wrong."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(5000)
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.address = path.as_uri()
        self.page.goto(self.address)

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            assert self.wrong == []
            assert {url for url in self.asked if not url.startswith("data:")} == {self.address}
        self.context.close()


def column(page: Any, index: int) -> list[str]:
    """Return the values of a column of the leaderboard, as they are shown."""
    found: list[str] = page.evaluate(
        "i => [...document.querySelectorAll('#board tbody tr')].filter(row => !row.hidden)"
        ".map(row => (row.cells[i].querySelector('b, .chip') ?? row.cells[i]).textContent.trim())",
        index,
    )
    return found


def see_all(page: Any) -> None:
    """Go down the page, so that everything is drawn."""
    for place in page.locator("[id$='-chart']").all():
        place.evaluate("place => place.scrollIntoView({ behavior: 'instant' })")
        key = place.get_attribute("id")
        page.wait_for_selector(f"#{key} svg, #{key} p:not(.no-js)")


def test_columns_sort_by_number_both_ways(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["many"]) as page:
        heads = page.locator("#board thead th")
        assert heads.nth(1).get_attribute("aria-sort") == "descending"
        assert column(page, 1) == sorted(column(page, 1), key=float, reverse=True)
        heads.nth(3).locator("button").click()
        assert column(page, 3) == sorted(column(page, 3), key=float, reverse=True)
        assert [h.get_attribute("aria-sort") for h in heads.all()].count("none") == 11
        heads.nth(3).locator("button").click()
        assert heads.nth(3).get_attribute("aria-sort") == "ascending"
        assert column(page, 3) == sorted(column(page, 3), key=float)
        heads.nth(0).locator("button").click()
        assert column(page, 0) == [f"model-{i:03}" for i in range(30)]


def test_what_has_no_score_stays_below(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"]) as page:
        for _ in range(2):
            page.locator("#board thead th").nth(2).locator("button").click()
            assert column(page, 2)[-1] == "oom"
        assert column(page, 2)[:-1] == ["0.840", "0.860", "0.880", "0.900"]


def test_rows_without_numbers_do_not_shift_the_columns_of_a_comparison(
    browser: Any, files: dict[str, Path]
) -> None:
    with Opened(browser, files["rich"]) as page:
        table = page.locator("#comparison table.sortable")
        table.locator("thead button", has_text="Change").click()
        shown = table.locator("tbody tr td:nth-child(6) b").all_inner_texts()
        assert [text.replace("\N{MINUS SIGN}", "-") for text in shown] == ["-0.030", "+0.001", "+0.040"]


def test_filters_narrow_the_leaderboard(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"]) as page:
        page.fill("#filter-text", "ch")
        assert column(page, 0) == ["chars"]
        assert page.inner_text("#filter-count") == "1 of 5 entries"
        page.fill("#filter-text", "no such model")
        assert column(page, 0) == []
        page.fill("#filter-text", "")
        page.select_option("#filter-status", "failed")
        assert column(page, 0) == ["big"]
        page.select_option("#filter-status", "best")
        assert column(page, 0) == ["minilm", "bert"]
        page.select_option("#filter-status", "")
        page.select_option("#filter-task", "1")
        heads = page.locator("#board thead th:visible")
        assert [head.split()[0] for head in heads.all_inner_texts()] == ["Model", "Average", "sst2"]


def test_tasks_as_rows_sort_and_filter_too(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["long"]) as page:
        assert column(page, 0) == [f"task-{i:04}" for i in range(40)]
        page.locator("#board thead button").nth(2).click()
        assert column(page, 2) == sorted(column(page, 2), key=float, reverse=True)
        page.select_option("#filter-task", "7")
        assert column(page, 0) == ["task-0007"]
        assert page.inner_text("#filter-count") == "1 of 40 tasks"
        page.select_option("#filter-task", "")
        page.fill("#filter-text", "0003")
        assert column(page, 0) == ["task-0003"]


def test_more_panels_come_when_asked_for(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["long"]) as page:
        see_all(page)
        panels = page.locator("#intervals-chart figure")
        assert panels.count() == 12
        page.get_by_role("button", name="Show 12 more of 29 tasks").click()
        assert panels.count() == 24
        page.get_by_role("button", name="Show 12 more of 17 tasks").click()
        page.get_by_role("button", name="Show the other 5 tasks").click()
        assert panels.count() == 41
        assert not page.locator("#intervals-chart button.more").is_visible()


def colour(page: Any) -> int:
    """Return how bright the ground of the page is, 0 to 255."""
    found: int = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3)"
        ".reduce((sum, one) => sum + Number(one) / 3, 0)"
    )
    return found


def test_dark_and_light(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"], color_scheme="dark") as page:
        assert colour(page) < 60
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        page.click("#theme")
        assert colour(page) > 220
        assert page.get_attribute("#theme", "aria-pressed") == "false"
        page.reload()
        assert colour(page) > 220, "the choice is kept"
    with Opened(browser, files["rich"], color_scheme="light") as page:
        assert colour(page) > 220
        page.click("#theme")
        assert colour(page) < 60


CONTRAST = """() => {
  const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, noscript, script")) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(browser: Any, files: dict[str, Path], scheme: str) -> None:
    with Opened(browser, files["rich"], color_scheme=scheme) as page:
        see_all(page)
        assert page.evaluate(CONTRAST) == []


def focused(page: Any) -> str:
    found: str = page.evaluate("document.activeElement.textContent.trim()")
    return found


def test_everything_is_reached_by_keyboard(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"]) as page:
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the results"
        page.locator("#board thead button").nth(2).focus()
        page.keyboard.press("Enter")
        assert page.locator("#board thead th").nth(2).get_attribute("aria-sort") == "descending"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.locator("#board .open").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("dialog h2 bdi").all_inner_texts() == ["minilm", "cola", "linear_probe"]
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()
        assert page.evaluate("document.activeElement.className") == "open"
        see_all(page)
        marks = page.locator("#cost-chart svg [data-tip]")
        marks.first.focus()
        first = page.inner_text("#tip")
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#tip") != first
        assert "seconds per example" in page.inner_text("#tip")


def test_a_score_opens_what_is_behind_it(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"]) as page:
        page.locator("#board .open").first.click()
        dialog = page.locator("dialog")
        assert "rank 1 to 2" in dialog.inner_text()
        assert dialog.locator("tbody tr").count() == 2
        assert dialog.locator("svg").count() == 2
        summary = dialog.locator("svg").first.get_attribute("aria-label")
        assert summary.startswith("Confusion matrix of minilm on cola")
        dialog.get_by_label("Close").click()
        page.locator("#board .failed .open").first.click()
        assert "it broke" in dialog.inner_text()


def test_pictures_have_words(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"]) as page:
        see_all(page)
        sections = ("changes", "cost", "intervals", "behind", "curves")
        assert all(page.locator(f"#{key}-chart svg").count() for key in sections)
        silent = "[...document.querySelectorAll('svg:not([aria-label]):not([aria-hidden])')].length"
        assert page.evaluate(silent) == 0
        unnamed = (
            "[...document.querySelectorAll('[data-tip]')].filter(m => !m.getAttribute('aria-label')).length"
        )
        assert page.evaluate(unnamed) == 0
        drawn = page.evaluate("[...document.querySelectorAll('svg')].map(svg => svg.outerHTML).join()")
        assert not {word for word in ("NaN", "undefined", "Infinity") if word in drawn}
        page.select_option("#cost-chart select >> nth=0", "1")
        page.select_option("#cost-chart select >> nth=1", "macs")
        assert "sst2" in page.get_attribute("#cost-chart svg", "aria-label")
        page.locator("#cost-chart summary").click()
        assert page.locator("#cost-chart tbody tr").count() == 4


def test_hostile_names_are_shown_and_do_nothing(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["hostile"]) as page:
        see_all(page)
        for name in (*toys.HOSTILE[:2], "\\u202egpj.exe"):
            assert page.get_by_text(name, exact=True).count() > 0
        assert page.evaluate("document.querySelectorAll('img, script').length") == 2
        page.fill("#filter-text", "onerror")
        assert set(column(page, 0)) == {toys.HOSTILE[1]}
        page.locator("#board td.ok .open:visible").first.click()
        assert toys.HOSTILE[1] in page.locator("dialog h2").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_script_the_leaderboard_is_there(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"], java_script_enabled=False) as page:
        assert page.locator("#board tbody tr").count() == 5
        assert page.locator("#board").is_visible()
        assert not page.locator(".controls").is_visible()
        assert not page.locator("#theme").is_visible()
        assert "minilm is best" in page.inner_text("#answers")
        assert page.get_by_text("This part is drawn by a script.").count() == 5


def test_a_small_screen_does_not_scroll_sideways(browser: Any, files: dict[str, Path]) -> None:
    for name in ("rich", "hostile"):
        with Opened(browser, files[name], viewport={"width": 360, "height": 700}) as page:
            see_all(page)
            assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_on_paper_all_is_drawn_and_nothing_is_cut(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"], color_scheme="dark") as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert colour(page) > 250
        assert not page.locator(".top").is_visible()
        assert not page.locator(".controls").is_visible()
        assert page.locator("#behind-chart svg").count() >= 2
        assert page.locator("details:not([open])").count() == 0
        style = "getComputedStyle(document.querySelector('.scroll'))"
        assert page.evaluate(f"[{style}.overflow, {style}.contain]") == ["visible", "none"]


def test_who_wants_no_motion_has_none(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["many"], reduced_motion="reduce") as page:
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


RESTS = """key => new Promise((resolve) => {
  let last = null, still = 0;
  const look = () => {
    const place = document.querySelector(key).getBoundingClientRect().top;
    still = place === last ? still + 1 : 0;
    last = place;
    if (still > 15) {
      const left = document.documentElement.scrollHeight - innerHeight - scrollY;
      resolve([place, left]);
    } else requestAnimationFrame(look);
  };
  look();
})"""


@pytest.mark.parametrize("width", [400, 1280])
def test_a_link_leads_to_its_section(browser: Any, files: dict[str, Path], width: int) -> None:
    for i in range(4, 9):
        with Opened(browser, files["rich"], viewport={"width": width, "height": 800}) as page:
            link = page.locator("nav a").nth(i)
            link.click()
            top, left = page.evaluate(RESTS, link.get_attribute("href"))
            assert 40 < top < 100 or (left < 2 and top < 800), link.inner_text()


def test_an_address_of_a_section_leads_there(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["rich"]) as page:
        page.goto("about:blank")
        page.goto(f"{files['rich'].as_uri()}#behind")
        top, _ = page.evaluate(RESTS, "#behind")
        assert 40 < top < 100


def test_bounds_stay_below_whatever_the_order(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["bounded"]) as page:
        head = page.locator("#board thead th").nth(2)
        orders = {}
        for _ in range(2):
            head.locator("button").click()
            orders[head.get_attribute("aria-sort")] = column(page, 0)
        assert orders == {
            "descending": ["a", "b", "c", "oracle"],
            "ascending": ["c", "b", "a", "oracle"],
        }


def test_a_number_is_the_same_everywhere(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["bounded"]) as page:
        see_all(page)
        shown = column(page, 2)
        assert shown == ["0.812", "0.253", "1.2e-05", "1.000"]
        for i, text in enumerate(shown):
            page.locator("#board tbody tr").nth(i).locator(".open").first.click()
            assert page.locator("dialog tbody td b").first.inner_text() == text
            page.keyboard.press("Escape")
        drawn = page.locator("#intervals-chart figure").nth(1).locator("[data-tip] text:last-child")
        assert [text.split()[0] for text in drawn.all_text_contents()] == shown


def test_a_bound_does_not_stretch_the_axis(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["bounded"]) as page:
        see_all(page)
        rows = page.locator("#intervals-chart figure").nth(1).locator("[data-tip]")
        assert rows.last.get_attribute("aria-label").startswith("oracle")
        assert rows.last.locator(".beyond").count() == 1
        assert rows.last.locator("circle").count() == 0
        ends = "([...marks]) => marks.map(m => m.getBBox()).map(b => [b.x, b.x + b.width])"
        (least, _), (_, greatest) = page.evaluate(
            f"(({ends}))([...document.querySelectorAll('#intervals-chart figure:nth-child(2) .whisker')]"
            ".filter((_, i, all) => i === 0 || i === 2).reverse())"
        )
        width = page.evaluate("document.querySelector('#intervals-chart svg').viewBox.baseVal.width")
        assert greatest - least > 0.5 * width


def test_long_labels_do_not_run_into_each_other(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["bounded"]) as page:
        see_all(page)
        turned = page.locator("#behind-chart svg").first.locator("text[transform]")
        assert turned.count() == 4
        assert page.evaluate(
            "[...document.querySelectorAll('#behind-chart text[transform]')].every((text) => {"
            "const [a, b] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];"
            "return a.right <= b.right + 1 && a.top >= b.top - 1; })"
        )


def test_a_curve_of_one_point_is_words(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["bounded"]) as page:
        see_all(page)
        assert "0.500 at epoch 1" in page.inner_text("#curves-chart")
        assert page.locator("#curves-chart svg").count() == 0


def test_what_scrolls_says_so(browser: Any, files: dict[str, Path]) -> None:
    with Opened(browser, files["many"], viewport={"width": 400, "height": 700}) as page:
        box = page.locator(".scroll").first
        page.wait_for_selector(".scroll.more-right.more-below")
        page.wait_for_selector("nav.more-right")
        box.evaluate("box => box.scrollTo(1e6, 1e6)")
        page.wait_for_selector(".scroll:not(.more-right, .more-below)")
        page.locator("#board .open").first.evaluate("button => button.click()")
        page.wait_for_selector("dialog .scroll.more-right")
        assert page.evaluate("document.querySelector('dialog').scrollWidth <= innerWidth")
