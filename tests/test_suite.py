"""The suite: what its shape may be, and what it says when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench.catalog import Catalog, Plugin, load_catalog
from ptbench.data import Task
from ptbench.errors import SuiteError
from ptbench.offers import Adapter, NamedTask, Offer
from ptbench.runner.resolve import resolve
from ptbench.suite import _Reader, load_suite
from tests.conftest import SUITE, Written

GOOD = """
[suite]
name = "s"
[models]
a = "baseline:majority"
[tasks]
t = "lite/sst2"
[[grid]]
protocols = ["linear_probe", { use = "linear_probe", validation = 0.2 }]
seeds = [0, 1]
"""


def mistakes_of(path: Path) -> tuple[str, ...]:
    """Return every mistake in the shape of a suite."""
    try:
        return load_suite(path).mistakes
    except SuiteError as error:
        return error.mistakes


def test_a_grid_takes_all_models_and_tasks_unless_it_names_some(written: Written) -> None:
    suite = load_suite(written("s.toml", GOOD))
    assert suite.grids[0].models == ("a",)
    assert suite.grids[0].tasks == ("t",)
    assert suite.grids[0].seeds == (0, 1)
    assert [p.name for p in suite.grids[0].protocols] == ["linear_probe", "linear_probe"]
    assert suite.grids[0].protocols[1].table == {"validation": 0.2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[models]", "[modles]"), "the top level key 'modles': unknown; did you mean 'models'?"),
        (('name = "s"', "nme = 3"), "[suite] key 'nme': unknown; did you mean 'name'?"),
        (('name = "s"', "name = 3"), "[suite] key 'name' is 3; a text was expected"),
        (('"baseline:majority"', "7"), "[models.a] is 7; a text or a table was expected"),
        (('"baseline:majority"', "{}"), "[models.a] key 'ref' is missing; write ref = \"provider:name\""),
        (
            ('"baseline:majority"', '{ ref = "b:m", precision = "pf16" }'),
            "[models.a] key 'precision' is 'pf16'; did you mean 'fp16'?",
        ),
        (('"baseline:majority"', '{ ref = "b:m", device = "gpu" }'), "[models.a] key 'device' is 'gpu'"),
        (('"lite/sst2"', '{ adapter = "x" }'), "[tasks.t] key 'data' is missing"),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", splits = { tset = "test" } }'),
            "[tasks.t] key 'splits.tset': unknown; did you mean 'test'?",
        ),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", limit = { test = "ten" } }'),
            "[tasks.t] key 'limit.test' is 'ten'; a whole number from 1 was expected",
        ),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", limit = { test = -5 } }'),
            "[tasks.t] key 'limit.test' is -5; a whole number from 1 was expected",
        ),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", size = { test = [1, -inf] } }'),
            "[tasks.t] key 'size.test' is -inf; a finite number was expected",
        ),
        (('"baseline:majority"', '{ ref = "b:m", x = nan }'), "[models.a] key 'x' is nan; a finite number"),
        (("validation = 0.2", "validation = inf"), "[[grid]] key 'protocols.validation' is inf; a finite"),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", labels = [1979-05-27] }'),
            "[tasks.t] key 'labels' is 1979-05-27; write a date as a text in quotes",
        ),
        (("t =", '"" ='), "[tasks] key '': a name is empty"),
        (("a =", '" " ='), "[models] key ' ': a name is empty"),
        (("a =", '"a\\nb" ='), "[models] key 'a\\nb': a name must be printable"),
        (('name = "s"', 'name = "s\\u0007"'), "[suite] key 'name' is 's\\x07'; it must be printable"),
        (("seeds = [0, 1]", '"se\\neds" = [0]'), "[[grid]] key 'se\\neds': unknown; did you mean 'seeds'?"),
        (('t = "lite/sst2"', '"t: u" = {}'), "[tasks.t: u] key 'adapter' is missing"),
        (("seeds = [0, 1]", "seeds = [" + "1" * 5000 + "]"), "is not TOML"),
        (("seeds = [0, 1]", "seeds = " + "[" * 5000), "is not TOML"),
        (("seeds = [0, 1]", "seeds = [-1]"), "[[grid]] key 'seeds' is [-1]"),
        (("seeds = [0, 1]", 'models = ["b"]'), "[[grid]] key 'models': [models] has no 'b'"),
        (("[[grid]]", "[[gird]]"), "the top level key 'gird': unknown; did you mean 'grid'?"),
        (('a = "baseline:majority"', ""), "[models] names no model"),
        (("seeds = [0, 1]", "seeds = [0"), "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_file_table_key_and_the_nearest(
    written: Written, change: tuple[str, str], message: str
) -> None:
    assert change[0] in GOOD
    path = written("s.toml", GOOD.replace(*change))
    mistakes = mistakes_of(path)
    assert any(mistake.startswith(f"{path}: ") and message in mistake for mistake in mistakes), mistakes
    assert all(mistake.isprintable() for mistake in mistakes)


def test_all_mistakes_are_told_at_once(written: Written) -> None:
    path = written("s.toml", GOOD.replace('name = "s"', "").replace("seeds", "sedes"))
    assert len(mistakes_of(path)) == 2


def offering(*offers: Offer) -> Catalog:
    """Return the catalog with one more plugin."""
    return Catalog([*load_catalog().plugins, Plugin("acme", "acme-ptbench", "1", offers=offers)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": "accuracy"}, "key 'metrics' is 'accuracy'; a list was expected"),
        ({"metrics": [1]}, "key 'metrics' is [1]; a list of names was expected"),
        ({"limit": {"test": 0}}, "key 'limit.test' is 0; a whole number from 1 was expected"),
        ({"note": 1}, "key 'note' is 1; a text was expected"),
    ],
)
def test_the_settings_of_a_plugins_task_are_checked(
    written: Written, settings: dict[str, object], message: str
) -> None:
    named = NamedTask(
        name="acme/t", description="x", adapter="text-classification", data="lite:sst2", settings=settings
    )
    suite = load_suite(written("s.toml", GOOD.replace("lite/sst2", "acme/t")))
    cells, mistakes = resolve(suite, offering(named))
    assert not cells
    assert mistakes == (
        f"{suite.path}: [tasks.t] task 'acme/t' of the plugin acme (acme-ptbench 1): {message}",
    )


def test_an_adapter_of_a_kind_that_nobody_offers_is_named(written: Written) -> None:
    adapter = Adapter(
        name="acme",
        description="x",
        kind="text-clasification",
        metrics=(),
        build=lambda rows, request: Task("", "", {}, ()),
        columns=lambda options: (),
    )
    suite = load_suite(
        written("s.toml", GOOD.replace('"lite/sst2"', '{ adapter = "acme", data = "lite:sst2" }'))
    )
    cells, (mistake,) = resolve(suite, offering(adapter))
    assert not cells
    assert "the adapter 'acme': no plugin offers the kind 'text-clasification'; did you mean" in mistake


def test_a_metric_that_is_named_twice_is_computed_once(written: Written) -> None:
    text = GOOD.replace('"lite/sst2"', '{ use = "lite/sst2", metrics = ["f1", "accuracy", "f1"] }')
    cells, mistakes = resolve(load_suite(written("s.toml", text)), load_catalog())
    assert not mistakes
    assert {cell.task.metrics for cell in cells} == {("f1", "accuracy")}


def test_a_suite_that_is_not_there_is_answered_with_the_nearest_file(written: Written) -> None:
    path = written("reviews.toml", SUITE)
    with pytest.raises(SuiteError, match=r"there is no such file.*did you mean 'reviews.toml'"):
        load_suite(path.with_name("review.toml"))


@given(st.text(max_size=300))
def test_any_text_is_a_suite_or_an_error_for_people(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, "utf-8", "replace")
    assert mistakes_of(path)


TOML = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["suite", "models", "tasks", "grid", "settings"]),
        st.dictionaries(
            st.sampled_from(["name", "ref", "use", "adapter", "data", "models", "seeds", "protocols"]), TOML
        )
        | st.lists(TOML, max_size=2),
        min_size=1,
    )
)
def test_any_shape_is_a_suite_or_an_error_for_people(data: dict[str, object]) -> None:
    assert _Reader(Path("s.toml")).suite(data, "").mistakes


def test_a_folder_without_a_suite_is_told(tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as error:
        load_suite(tmp_path / "none.toml")
    assert (
        str(error.value)
        == f"{tmp_path}/none.toml: there is no such file, and {tmp_path} has no suite (*.toml)"
    )
    with pytest.raises(
        SuiteError, match=r"^/none.toml: there is no such file, and / has no suite \(\*\.toml\)$"
    ):
        load_suite(Path("/none.toml"))
