"""Inference: a premise entails the hypothesis, contradicts it, or leaves it open."""

from itertools import combinations, permutations

from .frames import Frame, Share, Slots, template
from .lexicon import CITIES, DOINGS, KINDS, MEN, NUMBERS, OPPOSITES, PEOPLE, THINGS, TIMES, WOMEN
from .scenes import changes, events

LABELS = ("entailment", "neutral", "contradiction")

# Premise and hypothesis. The premise varies with the label and the hypothesis does not, so alone
# it cannot give the label away; a phrase that varies stands under each of several labels.
_PATTERNS = (
    # Trying, wanting, and doing.
    (
        "The {e.agent[0]} <managed|hoped|failed> to {e.action[0]} the {e.object[0]} {e.place}.",
        "The {e.agent[0]} {e.action[1]:ed} the {e.object[1]}.",
    ),
    (
        "The <{who[0].agent[0]} failed|{who[1].agent[0]} failed|{who[0].agent[0]} managed>"
        " to {who[0].action[0]} the {who[0].object[0]} {who[0].place}.",
        "The {who[0].agent[1]} did not {who[0].action[1]} the {who[0].object[0]}.",
    ),
    (
        "The {what[0].agent[0]} <managed to {what[0].action[0]} the {what[0].object[0]}"
        "|managed to {what[0].action[0]} the {what[1].object[0]}"
        "|failed to {what[0].action[0]} the {what[0].object[0]}> {what[0].place}.",
        "The {what[0].agent[0]} {what[0].action[1]:ed} the {what[0].object[1]}.",
    ),
    (
        "The <{who[0].agent[0]} hoped|{who[1].agent[0]} hoped|{who[0].agent[0]} had no wish>"
        " to {who[0].action[0]} the {who[0].object[0]} {who[0].place}.",
        "The {who[0].agent[1]} wanted to {who[0].action[0]} the {who[0].object[1]}.",
    ),
    (
        "The <{who[0].agent[0]} had no wish|{who[1].agent[0]} had no wish|{who[0].agent[0]} hoped>"
        " to {who[0].action[0]} the {who[0].object[0]} {who[0].place}.",
        "The {who[0].agent[1]} did not want to {who[0].action[0]} the {who[0].object[1]}.",
    ),
    # Times.
    (
        "The {e.agent[0]} <{e.action[0]:ed} the {e.object[0]} {time[0][0]} and {time[1][0]}"
        "|{e.action[0]:ed} the {e.object[0]} {time[2][0]} and {time[1][0]}"
        "|did not {e.action[0]} the {e.object[0]} {time[0][0]} or {time[1][0]}>.",
        "The {e.agent[1]} {e.action[0]:ed} the {e.object[0]} {time[0][1]}.",
    ),
    (
        "The {e.agent[0]} <did not {e.action[0]} the {e.object[0]} {time[0][0]} or {time[1][0]}"
        "|did not {e.action[0]} the {e.object[0]} {time[2][0]} or {time[1][0]}"
        "|{e.action[0]:ed} the {e.object[0]} {time[0][0]} and {time[1][0]}>.",
        "The {e.agent[1]} did not {e.action[0]} the {e.object[0]} {time[0][1]}.",
    ),
    (
        "<{name[1]} arrived in {city} after {name[0]}|{name[0]} arrived in {city} before {name[2]}"
        "|{name[0]} arrived in {city} after {name[1]}>.",
        "{name[0]} came to {city} before {name[1]}.",
    ),
    (
        "<{name[1]} arrived in {city} before {name[0]}|{name[0]} arrived in {city} after {name[2]}"
        "|{name[0]} arrived in {city} before {name[1]}>.",
        "{name[0]} came to {city} after {name[1]}.",
    ),
    # Kinds of things.
    (
        "The subject of the only picture by {name[0]} in {city} is"
        " <{kind[0].sorts[0]:a}|{kind[0].wider:a}|{kind[1].sorts[0]:a}>.",
        "The picture by {name[0]} shows {kind[0].name:a}.",
    ),
    (
        "The subject of the only picture by {name[0]} in {city} is"
        " <{kind[0].sorts[1]:a}|{kind[0].name:a}|{kind[1].wider:a}>.",
        "The picture by {name[0]} shows {kind[0].sorts[1]:a}.",
    ),
    (
        "The subject of the only picture by {name[0]} in {city} is"
        " <{quality[0][0]:a} {kind[0].sorts[0]}|{quality[1][0]:a} {kind[0].sorts[0]}"
        "|{quality[0][1]:a} {kind[0].sorts[0]}>.",
        "The picture by {name[0]} shows {quality[0][0]:a} {kind[0].sorts[0]}.",
    ),
    (
        "The subject of the only picture by <{name[0]}|{name[1]}|{name[0]}> in {city} is"
        " <{kind[0].name:a}|{kind[0].name:a}|{kind[1].name:a}>.",
        "The picture by {name[0]} shows {kind[0].wider:a}.",
    ),
    (
        "The subject of the only picture by {name[0]} in {city} is"
        " <{kind[0].wider:a}|{kind[1].wider:a}|{kind[1].sorts[0]:a}>.",
        "The picture by {name[0]} does not show {kind[1].name:a}.",
    ),
    # Properties.
    (
        "The {thing[0]} that {name[0]} bought in {city} was"
        " <{quality[0][0]}|{quality[2][0]}|{quality[0][1]}> and {quality[1][0]}.",
        "{name[0]} bought {quality[0][0]:a} {thing[0]}.",
    ),
    (
        "The <{thing[0]}|{thing[1]}|{thing[0]}> that {name[0]} bought in {city} was"
        " <{quality[0][0]}|{quality[0][0]}|{quality[0][1]}> and {quality[1][0]}.",
        "{name[0]} bought {thing[0]:a} that was {quality[0][0]}.",
    ),
    # Quantities.
    (
        "<All of the {person[0]:s}|All of the {person[1]:s}|None of the {person[0]:s}> in {city} {doing:ed}.",
        "Most of the {person[0]:s} {doing:ed}.",
    ),
    (
        "<None of the {person[0]:s}|None of the {person[1]:s}|All of the {person[0]:s}>"
        " in {city} {doing:ed}.",
        "Fewer than half of the {person[0]:s} {doing:ed}.",
    ),
    (
        "<Some of the {person[0]:s}|Some of the {person[1]:s}|None of the {person[0]:s}>"
        " in {city} {doing:ed}.",
        "At least one of the {person[0]:s} {doing:ed}.",
    ),
    (
        "<None of the {person[0]:s}|None of the {person[1]:s}|Some of the {person[0]:s}>"
        " in {city} {doing:ed}.",
        "Not one of the {person[0]:s} {doing:ed}.",
    ),
    (
        "<At least {number[2]}|At least {number[0]}|At most {number[0]}> {person[0]:s} {doing:ed} in {city}.",
        "More than {number[1]} {person[0]:s} {doing:ed}.",
    ),
    (
        "<At most {number[0]}|At most {number[2]}|At least {number[2]}> {person[0]:s} {doing:ed} in {city}.",
        "Fewer than {number[1]} {person[0]:s} {doing:ed}.",
    ),
)


def frames(share: Share) -> list[Frame]:
    """List one frame for each pattern."""
    qualities = share.of(OPPOSITES) + [(b, a) for a, b in share.of(OPPOSITES)]
    slots: Slots = {
        "e": events(share),
        "who": changes(share, "agent"),
        "what": changes(share, "object"),
        "time": list(permutations(share.of(TIMES), 3)),
        "name": [trio for names in (WOMEN, MEN) for trio in permutations(share.of(names), 3)],
        "city": share.of(CITIES),
        # Of different wider kinds: a rose is no boat.
        "kind": [(a, b) for a, b in permutations(share.of(KINDS), 2) if a.wider != b.wider],
        "quality": [trio for trio in permutations(qualities, 3) if len({*map(frozenset, trio)}) == 3],
        "thing": list(permutations(share.of(THINGS), 2)),
        "person": list(permutations(share.of(PEOPLE), 2)),
        "doing": share.of(DOINGS),
        "number": list(combinations(share.of(NUMBERS), 3)),
    }
    return [template(LABELS, *texts, **slots) for texts in _PATTERNS]
