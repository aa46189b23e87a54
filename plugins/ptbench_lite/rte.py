"""Entailment in the manner of news: what may be concluded from one longer sentence."""

import re
from itertools import permutations

from .english import word_pairs, words
from .frames import Frame, Share, Slots, template
from .lexicon import CITIES, DEEDS, DOINGS, KINDS, NAMES, NUMBERS, PEOPLE, SURNAMES, TIMES
from .scenes import changes

LABELS = ("not_entailment", "entailment")

_COMPANIES = words(
    "brewery, bank, airline, bakery, newspaper, hotel, toy factory, shipyard, travel agency,"
    "bookshop, publishing house, law firm, record label, dance school, theater, film studio,"
    "pharmacy, art gallery"
)
# The first presupposes or implies what follows it, the second does not.
_ATTITUDES = word_pairs(
    "prove/claim, discover/suspect, confirm/deny, learn/doubt, realize/believe, reveal/suggest,"
    "demonstrate/assume, remember/imagine, establish/argue, acknowledge/fear, verify/guess, notice/hope"
)

# Text and hypothesis; X and Y stand for the full names of two people. The text varies with the
# label and the hypothesis does not, so alone it cannot give the label away.
_PATTERNS = (
    # Who is what, and from where.
    (
        "<Y and {person[0]:a} called X|X and {person[0]:a} called Y> opened {company:a}"
        " in {city[0]} {when[0]}.",
        "Y is {person[0]:a}.",
    ),
    (
        "X, <{person[1]:a}|{person[0]:a}> from {city[0]}, flew to {city[1]} {when[0]} to open {company:a}.",
        "X works as {person[0]:a}.",
    ),
    (
        "X, {person[0]:a} from <{city[1]}|{city[0]}>, won {number} prizes for {company:a} run with Y.",
        "X comes from {city[0]}.",
    ),
    # Who founded, moved, arrived.
    (
        "The {company} in {city[0]} was founded by <Y|X> {when[0]} and later bought by <X|Y>.",
        "X founded {company:a}.",
    ),
    (
        "X left {city[2]} for <{city[1]}|{city[0]}> after {number} years and now runs {company:a} there.",
        "X lives in {city[0]}.",
    ),
    (
        "After {number} years as {person[0]:a}, X moved to <{city[1]}|{city[0]}>,"
        " while Y went to <{city[0]}|{city[1]}>.",
        "X moved to {city[0]}.",
    ),
    # Relative clauses.
    (
        "The <{person[1]} who had {deed[0]:ed} the {person[0]}"
        "|{person[0]} who had {deed[0]:ed} the {person[1]}> in {city[0]} {doing:ed} {when[0]}.",
        "The {person[0]} {doing:ed}.",
    ),
    # Claims and facts.
    (
        "X <{attitude[1]:ed} that Y had {deed[0]:ed} {person[0]:a} and {attitude[0]:ed}"
        "|{attitude[0]:ed} that Y had {deed[0]:ed} {person[0]:a} and {attitude[1]:ed}>"
        " that {person[1]:a} had {doing:ed}.",
        "Y {deed[1]:ed} {person[0]:a}.",
    ),
    # Kinds of things.
    (
        "X, {person[0]:a} by profession, won a prize in {city[0]} {when[0]}"
        " for a picture of <{kind[1].sorts[0]:a}|{kind[0].sorts[0]:a}>.",
        "X painted {kind[0].name:a}.",
    ),
    (
        "When Y visited {city[0]} {when[0]}, X showed off <{kind[1].sorts[1]:a}"
        "|{kind[0].sorts[1]:a}> that had cost {number} thousand dollars.",
        "X owns {kind[0].name:a}.",
    ),
    (
        "X sold <{kind[1].sorts[0]:a} and bought {kind[0].sorts[0]:a}"
        "|{kind[0].sorts[0]:a} and bought {kind[1].sorts[0]:a}> in {city[0]} {when[0]}.",
        "X was the seller of {kind[0].name:a}.",
    ),
)
# Text and hypothesis about an event a and another, b, that differs in one part.
_EVENTS = (
    (
        "In the presence of X, {person[0]:a} from {city[0]}, the {e.agent[0]} {e.action[0]:ed}"
        " the {e.object[0]} {e.place} {when[0]}.",
        "The {e.object[1]} was {e.action[1]:ed} by the {e.agent[1]}.",
    ),
    (
        "The {e.object[0]} was {e.action[0]:ed} {e.place} by the {e.agent[0]},"
        " who had come from {city[0]} {when[0]} with X.",
        "The {e.agent[1]} {e.action[1]:ed} the {e.object[1]}.",
    ),
)


def frames(share: Share) -> list[Frame]:
    """List one frame for each pattern, and for each part in which events may differ."""
    slots: Slots = {
        "first": list(permutations(share.of(NAMES), 2)),
        "last": list(permutations(share.of(SURNAMES), 2)),
        "person": list(permutations(share.of(PEOPLE), 2)),
        "city": list(permutations(share.of(CITIES), 3)),
        "kind": list(permutations(share.of(KINDS), 2)),
        "deed": share.of(DEEDS),
        "doing": share.of(DOINGS),
        "number": share.of(NUMBERS),
        "company": share.of(_COMPANIES),
        "attitude": share.of(_ATTITUDES),
        "when": share.of(TIMES),
    }
    made = [template(LABELS, *map(_name, texts), **slots) for texts in _PATTERNS]
    for text, hypothesis in _EVENTS:
        one, other, about = (
            wording.replace("{e.", f"{{event[{i}].") for wording, i in ((text, 0), (text, 1), (hypothesis, 0))
        )
        for part in ("agent", "action", "object"):
            texts = map(_name, (f"<{other}|{one}>", about))
            made.append(template(LABELS, *texts, event=changes(share, part), **slots))
    return made


def _name(text: str) -> str:
    for i, letter in enumerate("XY"):
        text = re.sub(rf"\b{letter}\b", f"{{first[{i}]}} {{last[{i}]}}", text)
    return text
