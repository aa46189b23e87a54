"""The suite: what its shape may be, and what it says when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptbench.errors import SuiteError
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
        (('"lite/sst2"', '{ adapter = "x" }'), "[tasks.t] key 'data' is missing"),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", splits = { tset = "test" } }'),
            "[tasks.t] key 'splits.tset': unknown; did you mean 'test'?",
        ),
        (
            ('"lite/sst2"', '{ use = "lite/sst2", limit = { test = "ten" } }'),
            "[tasks.t] key 'limit.test' is 'ten'; a whole number was expected",
        ),
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


def test_all_mistakes_are_told_at_once(written: Written) -> None:
    path = written("s.toml", GOOD.replace('name = "s"', "").replace("seeds", "sedes"))
    assert len(mistakes_of(path)) == 2


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
