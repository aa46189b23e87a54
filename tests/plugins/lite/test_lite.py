"""The generated probes keep their promises: determinism, any size, balance, no give-away words."""

import json
import random
import re
import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptbench_lite.english import Word
from ptbench_lite.generate import TASKS, generate

CLASSIFIED = [name for name, task in TASKS.items() if task.labels]
PAIRS = [name for name in CLASSIFIED if len(TASKS[name].columns) == 2]
SIZES = {"train": 2000, "validation": 500, "test": 1000}

each_task = pytest.mark.parametrize("task", TASKS)
each_classified = pytest.mark.parametrize("task", CLASSIFIED)
some_sizes = st.dictionaries(st.sampled_from(["train", "validation", "test"]), st.integers(0, 90))


def texts_of(task, columns):
    return list(zip(*(columns[name] for name in TASKS[task].columns), strict=True))


def words_of(text):
    return set(re.findall(r"[\w']+", text.lower()))


def highest_share(keys, labels):
    """The share of its commonest label among the examples with a key, for the most telling key.

    One example may have many keys; only those that occur at least 20 times count.
    """
    counts = {}
    for found, label in zip(keys, labels, strict=True):
        for key in found:
            counts.setdefault(key, Counter())[label] += 1
    return max(
        (max(count.values()) / count.total(), key) for key, count in counts.items() if count.total() >= 20
    )


@each_task
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(), sizes=some_sizes)
def test_shape_determinism_and_uniqueness(task, seed, sizes):
    splits = generate(task, seed=seed, sizes=sizes)
    assert splits == generate(task, seed=seed, sizes=dict(reversed(sizes.items())))
    assert list(splits) == list(sizes)
    rows, ids = [], []
    for split, columns in splits.items():
        assert list(columns) == ["idx", "group", *TASKS[task].columns, "label"]
        whole = list(Counter(columns["group"]).values())[:-1]  # the last one may be cut
        assert set(whole) <= {{"mnli": 3, "stsb": 1}.get(task, 2)}
        assert {len(column) for column in columns.values()} == {sizes[split]}
        assert columns["idx"][:1] == [f"{task}-{split}-0"][: sizes[split]]
        rows += texts_of(task, columns)
        ids += columns["idx"]
    assert len(set(rows)) == len(rows)
    assert len(set(ids)) == len(ids)


@each_task
def test_another_seed_gives_other_rows(task):
    one, other = (texts_of(task, generate(task, seed=seed, sizes=SIZES)["train"]) for seed in (0, 1))
    assert len(set(one) & set(other)) < len(one) / 4


def test_every_process_generates_the_same():
    code = (
        "import json; from ptbench_lite.generate import TASKS, generate;"
        "print(json.dumps({t: generate(t, seed=3, sizes={'train': 40, 'test': 9}) for t in TASKS}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path("plugins").resolve())},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    here = {task: generate(task, seed=3, sizes={"train": 40, "test": 9}) for task in TASKS}
    assert [json.loads(output) for output in outputs] == [here]


@each_task
@settings(max_examples=10, deadline=None)
@given(small=st.integers(0, 100), large=st.integers(100, 300))
def test_more_rows_keep_the_first_ones(task, small, large):
    few, many = (generate(task, seed=0, sizes={"train": size})["train"] for size in (small, large))
    assert few == {name: column[:small] for name, column in many.items()}


@each_task
def test_twenty_thousand_rows_in_each_kind_of_split(task):
    splits = generate(task, seed=0, sizes={"train": 20_000, "test": 20_000})
    rows = [row for columns in splits.values() for row in texts_of(task, columns)]
    assert len(set(rows)) == 40_000


@each_task
def test_four_thousand_rows_take_well_under_a_second(task):
    started = time.process_time()
    generate(task, seed=0, sizes={"train": 4000})
    assert time.process_time() - started < 0.7


@each_task
def test_more_than_there_can_be_is_refused(task):
    with pytest.raises(ValueError, match=r"at most \d+ rows"):
        generate(task, seed=0, sizes={"train": 10**30})


def test_what_is_wrong_is_said():
    with pytest.raises(ValueError, match="unknown task 'qnli'; known: cola"):
        generate("qnli", seed=0, sizes={})
    with pytest.raises(ValueError, match="negative"):
        generate("cola", seed=0, sizes={"train": -1})


@each_classified
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(), sizes=some_sizes)
def test_labels_are_balanced(task, seed, sizes):
    for columns in generate(task, seed=seed, sizes=sizes).values():
        counts = Counter(dict.fromkeys(TASKS[task].labels, 0))
        counts.update(columns["label"])
        assert set(counts) == set(TASKS[task].labels)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_grades_spread_evenly_and_finely():
    grades = generate("stsb", seed=0, sizes={"train": 4000})["train"]["label"]
    fifths = Counter(min(int(grade), 4) for grade in grades)
    assert all(0.15 < fifths[i] / 4000 < 0.25 for i in range(5))
    assert 0 <= min(grades) <= max(grades) <= 5
    assert len(set(grades)) > 50


def test_a_minimal_pair_stays_together():
    columns = generate("cola", seed=0, sizes={"train": 1000})["train"]
    pairs = zip(columns["sentence"][::2], columns["sentence"][1::2], strict=True)
    shared = [len(words_of(a) & words_of(b)) / len(words_of(a) | words_of(b)) for a, b in pairs]
    assert min(shared) > 0.3
    assert set(columns["label"][::2]) == set(TASKS["cola"].labels)
    assert all(a != b for a, b in zip(columns["label"][::2], columns["label"][1::2], strict=True))


@pytest.mark.parametrize("split", ["train", "test"])
@each_classified
def test_no_word_gives_the_label_away(task, split):
    columns = generate(task, seed=0, sizes={split: 4000})[split]
    bound = 0.75 if len(TASKS[task].labels) == 2 else 0.7
    for name in TASKS[task].columns:
        share, word = highest_share(map(words_of, columns[name]), columns["label"])
        assert share < bound, (name, word)


@each_classified
def test_no_length_gives_the_label_away(task):
    columns = generate(task, seed=0, sizes={"train": 4000})["train"]
    for name in TASKS[task].columns:
        lengths = [len(text.split()) for text in columns[name]]
        best = 0
        for longest in set(lengths):
            short = Counter(
                label for length, label in zip(lengths, columns["label"], strict=True) if length <= longest
            )
            long = Counter(columns["label"]) - short
            best = max(best, max(short.values(), default=0) + max(long.values(), default=0))
        assert best / 4000 < 1 / len(TASKS[task].labels) + 0.1, name


@pytest.mark.parametrize("task", PAIRS)
def test_the_second_sentence_alone_comes_with_every_label(task):
    # Each second sentence stands once under every label, hence no model can do anything with it.
    labels = TASKS[task].labels
    columns = generate(task, seed=0, sizes={"train": 1000 * len(labels)})["train"]
    second = columns[TASKS[task].columns[1]]
    for i in range(0, len(second), len(labels)):
        assert len(set(second[i : i + len(labels)])) == 1
        assert set(columns["label"][i : i + len(labels)]) == set(labels)


@each_task
def test_test_holds_out_words(task):
    splits = generate(task, seed=0, sizes=SIZES)
    known, new = (
        {word for row in texts_of(task, splits[split]) for text in row for word in words_of(text)}
        for split in ("train", "test")
    )
    assert len(new - known) > len(new) / 3


@each_task
def test_sentences_look_like_sentences(task):
    for row in texts_of(task, generate(task, seed=0, sizes={"train": 2000})["train"]):
        for text in row:
            assert re.fullmatch(r"[A-Z][A-Za-z0-9' ,;-]+[.?]", text), text
            assert "  " not in text
            if task != "cola":
                assert not re.search(r"\ba [aeio]|\ban [^aeiou]", text), text
                assert not re.search(r"(?<![\w-])(\w+) \1\b", text), text


@pytest.mark.parametrize(
    ("word", "spec", "expected"),
    [
        ("owl", "a", "an owl"),
        ("dog", "a", "a dog"),
        ("witness", "s", "witnesses"),
        ("carry", "s", "carries"),
        ("boy", "s", "boys"),
        ("turn down", "ed", "turned down"),
        ("bring back", "ed", "brought back"),
        ("deny", "ed", "denied"),
        ("trim", "ed", "trimmed"),
        ("wrap", "ing", "wrapping"),
        ("remove", "ing", "removing"),
        ("owl", "", "owl"),
    ],
)
def test_inflection(word, spec, expected):
    assert format(Word(word), spec) == expected


@each_task
def test_a_bag_of_words_is_far_from_perfect(task):
    pytest.importorskip("sklearn")
    difficulty = runpy.run_path(str(Path(__file__).with_name("difficulty.py")))
    splits = generate(task, seed=0, sizes=SIZES)
    score, _ = difficulty["score"](task, difficulty["bag_of_words"](task, splits), splits)
    assert score < 0.7


def test_no_global_random_state_is_touched():
    random.seed(0)
    before = random.getstate()
    generate("cola", seed=0, sizes={"train": 50})
    assert random.getstate() == before
