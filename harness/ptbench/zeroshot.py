"""The protocol `zero_shot`: similarities of embeddings, with nothing learnt from the task.

For a pair with a number as target, the cosine of its two inputs. For a single input with a label, the
cosines of the input and of a text for each label, as CLIP classifies (Radford et al. 2021, section 3.1).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench.data import Examples
from ptbench.errors import ProtocolError, nearest
from ptbench.model import Capability
from ptbench.offers import Option, Outcome, Protocol, TaskFacts, Trial
from ptbench.protocols import own_recipe

PLACE = "{label}"
BLOCK = 8192


def cosine(u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the cosine of each row of u with the same row of v; 0 where one of them is zero."""
    a, b = u.astype(np.float64), v.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products: NDArray[np.float64] = np.einsum("nd,nd->n", a, b)
    similarity: NDArray[np.float64] = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
    return similarity


def label_texts(
    labels: tuple[str, ...], given: Mapping[str, str | list[str]] | None, template: str
) -> list[list[str]]:
    """Return the texts of each label: its name, or what was given for it, in the template.

    >>> label_texts(("card_arrival", "top_up"), None, "This text is about {label}.")
    [['This text is about card arrival.'], ['This text is about top up.']]
    >>> label_texts(("no", "yes"), {"no": "a bad film", "yes": ["a good film", "a fine film"]}, "{label}")
    [['a bad film'], ['a good film', 'a fine film']]
    """
    texts = []
    for label in labels:
        named = given[label] if given is not None else label.replace("_", " ")
        texts.append(
            [template.replace(PLACE, text) for text in ([named] if isinstance(named, str) else named)]
        )
    return texts


def run(trial: Trial) -> Outcome:
    """Embed the test split, and what it is compared with; return similarities."""
    own = own_recipe(trial)
    if own is not None:
        return own
    task, options = trial.task, trial.options
    pair = trial.kind.pair is not None and trial.kind.pair[1] in task.inputs
    facts = TaskFacts(trial.kind, pair, task.labels)
    if problem := refuses(facts) or misfit(facts, options):
        raise ProtocolError(problem)
    if trial.kind.target.type == "number":
        u, v = trial.features("test")
        with trial.phase("predict"):
            return Outcome({"prediction": cosine(u, v)}, facts={"similarity": "cosine"})
    texts = label_texts(task.labels, options["labels"], options["template"])
    prototypes = _embedded(trial, texts)
    (x,) = trial.features("test")
    if x.shape[1] != prototypes.shape[1]:
        raise ProtocolError(
            f"zero_shot: the model gives {x.shape[1]} features for inputs, {prototypes.shape[1]} for texts: "
            "they cannot be compared"
        )
    with trial.phase("predict"):
        scores = _scores(x, prototypes, options["temperature"])
    told = {
        "similarity": "cosine",
        "temperature": options["temperature"],
        "template": options["template"],
        "label_texts": sum(map(len, texts)),
    }
    return Outcome({"scores": scores, "prediction": scores.argmax(axis=1)}, told)


def _embedded(trial: Trial, texts: list[list[str]]) -> NDArray[np.float64]:
    """Return a row of length 1 for each label: the mean of its texts' rows of length 1."""
    flat = [text for some in texts for text in some]
    ids = [f"label-{i}-{j}" for i, some in enumerate(texts) for j in range(len(some))]
    rows = _unit(trial.embed(Examples(ids, {"text": flat})))
    starts = np.cumsum([0, *map(len, texts[:-1])])
    return _unit(np.add.reduceat(rows, starts, axis=0))


def _scores(
    x: NDArray[np.float32], prototypes: NDArray[np.float64], temperature: float
) -> NDArray[np.float64]:
    scores = np.empty((len(x), len(prototypes)))
    for start in range(0, len(x), BLOCK):
        some = slice(start, start + BLOCK)
        closeness = _unit(x[some]) @ prototypes.T / temperature
        scores[some] = np.exp(closeness - closeness.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _unit(x: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    rows = x.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled


def refuses(facts: TaskFacts) -> str | None:
    """Say why similarities do not answer a task, or None."""
    target = facts.kind.target.type
    if target == "number" and facts.kind.pair is not None and facts.pair is not False:
        return None
    if target == "label" and not facts.pair:
        return None
    if target == "label":
        return (
            "zero_shot compares one input with the names of the labels, and this task has pairs: how two "
            "inputs stand to each other is nothing that similarity tells"
        )
    return (
        "zero_shot gives the similarity of two inputs, or of an input and the names of labels: it is for "
        "pairs with a number as target and single inputs with a label, and this task is "
        f"{facts.kind.name}"
    )


def misfit(facts: TaskFacts, options: Mapping[str, Any]) -> str | None:
    """Say what is wrong with the texts of labels, or None; what is not known is checked when it runs."""
    given = options["labels"]
    if facts.kind.target.type != "label":
        has_texts = f"zero_shot: labels has texts for labels, and {facts.kind.name} has none"
        return None if given is None else has_texts
    if facts.labels is None:
        return None
    for label in given or ():
        if label not in facts.labels:
            hint = nearest(label, facts.labels)
            return f"zero_shot: labels names '{label[:80]}', which the task has not; {hint}"
    missing = [label for label in facts.labels if given is not None and label not in given]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"zero_shot: labels has no text for '{missing[0][:80]}'{more}; give one for each label"
    return _same_texts(facts.labels, given)


def _same_texts(labels: tuple[str, ...], given: Mapping[str, str | list[str]] | None) -> str | None:
    """Say which two labels read the same, or None: their scores would be equal for every input."""
    seen: dict[frozenset[str], str] = {}
    for label, texts in zip(labels, label_texts(labels, given, PLACE), strict=True):
        read = frozenset(" ".join(text.split()) for text in texts)
        first = seen.setdefault(read, label)
        if first != label:
            text = f"text '{min(read)[:80]}'" if len(read) == 1 else "texts"
            return (
                f"zero_shot: labels '{first[:80]}' and '{label[:80]}' have the same {text}; no input could "
                "tell them apart"
            )
    return None


def _labels_problem(labels: dict[str, Any]) -> str | None:
    for label, given in labels.items():
        texts = given if isinstance(given, list) and given else [given]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            return f"label '{label[:80]}': a text or a list of texts was expected"
        if problem := next(filter(None, map(_control_problem, texts)), None):
            return f"label '{label[:80]}': {problem}"
    return None


def _control_problem(text: str) -> str | None:
    found = next((c for c in text if unicodedata.category(c) == "Cc"), None)
    return None if found is None else f"it has a control character ({found!r}), which no text needs"


def _template_problem(template: str) -> str | None:
    if PLACE not in template:
        return f"it has no {PLACE}, where the text of the label goes"
    return _control_problem(template)


def _temperature_problem(temperature: float) -> str | None:
    return None if 0 < temperature < math.inf else "a number above 0 was expected"


def _reads(facts: TaskFacts) -> frozenset[str]:
    return frozenset({"text"}) if facts.kind.target.type == "label" else frozenset()


PROTOCOL = Protocol(
    name="zero_shot",
    description="Cosine similarity of two inputs, or of an input and each label's text; nothing is learnt.",
    options=(
        Option(
            "labels",
            (dict,),
            "A text, or a list of texts whose embeddings are averaged, for each label; default: their names.",
            check=_labels_problem,
        ),
        Option(
            "template",
            (str,),
            "What is embedded for a text of a label, such as 'a photo of a {label}.'",
            default=PLACE,
            check=_template_problem,
        ),
        Option(
            "temperature",
            (float,),
            "Scores are softmax(cosine / temperature); CLIP's by default.",
            default=0.01,
            check=_temperature_problem,
        ),
    ),
    needs=(Capability.EMBED, Capability.PEEK),
    run=run,
    refuses=refuses,
    misfit=misfit,
    reads=_reads,
)
