"""Paraphrase: two sentences that share most words, and may or may not differ in one point."""

from itertools import permutations

from .frames import Frame, Share, Slots, template
from .lexicon import CITIES, DEEDS, NAMES, NUMBERS, OPPOSITES, THINGS, TIMES
from .scenes import changes, events

LABELS = ("not_equivalent", "equivalent")

# Wordings of an event and its time; the synonyms alternate.
_ACTIVE = "{when[0]}, the {e.agent[0]} {e.action[0]:ed} the {e.object[0]} {e.place}."
_PASSIVE = "The {e.object[1]} was {e.action[1]:ed} by the {e.agent[1]} {e.place} {when[1]}."
_CLEFT = "It was the {e.agent[1]} who {e.action[1]:ed} the {e.object[0]} {e.place} {when[0]}."
_FRONTED = "{e.place}, the {e.object[1]} was {e.action[0]:ed} by the {e.agent[0]} {when[1]}."
_NEVER = "The {e.agent[0]} did not {e.action[0]} the {e.object[0]} {e.place} {when[0]}."
_NEVER_PASSIVE = "{when[1]}, the {e.object[1]} was not {e.action[1]:ed} by the {e.agent[1]} {e.place}."

_OTHERS = (
    # Roles.
    (
        "<{who[1]} {deed[0]:ed} {who[0]}|{who[0]} {deed[0]:ed} {who[1]}> in {city[0]} {when[0]}.",
        "{when[1]}, {who[1]} was {deed[1]:ed} by {who[0]} in {city[0]}.",
    ),
    (
        "{who[0]} moved from <{city[1]} to {city[0]}|{city[0]} to {city[1]}> {when[0]}.",
        "{when[1]}, {who[0]} left {city[0]} and settled in {city[1]}.",
    ),
    # Names of people and places.
    (
        "<{who[1]}|{who[0]}> bought {thing:a} in {city[0]} {when[0]}.",
        "{when[1]}, {who[0]} purchased {thing:a} in {city[0]}.",
    ),
    (
        "{who[0]} lost {thing:a} in <{city[1]}|{city[0]}> {when[0]}.",
        "It was in {city[0]} that {who[0]} lost {thing:a} {when[1]}.",
    ),
    # Numbers.
    (
        "It took {who[0]} <{number[1]}|{number[0]}> days to repair the {thing} in {city[0]}.",
        "{who[0]} needed {number[0]} days in {city[0]} to fix the {thing}.",
    ),
    # Properties.
    (
        "{who[0]} sold <{quality[1]:a}|{quality[0]:a}> {thing} to {who[1]} {when[0]}.",
        "{when[1]}, {who[1]} bought {quality[0]:a} {thing} from {who[0]}.",
    ),
)


def frames(share: Share) -> list[Frame]:
    """List frames in which sentence 1 says what sentence 2 says, or something else.

    What sentence 2 says was chosen without regard to the label, so alone it cannot give it away.
    """
    when = share.of(TIMES)
    happening = {"e": events(share), "when": when}
    slots: Slots = {
        "who": list(permutations(share.of(NAMES), 2)),
        "deed": share.of(DEEDS),
        "city": list(permutations(share.of(CITIES), 2)),
        "when": when,
        "thing": share.of(THINGS),
        "number": list(permutations(share.of(NUMBERS), 2)),
        "quality": share.of(OPPOSITES) + [(b, a) for a, b in share.of(OPPOSITES)],
    }
    made = [template(LABELS, *texts, **slots) for texts in _OTHERS]
    for first, second in ((_ACTIVE, _PASSIVE), (_CLEFT, _ACTIVE), (_FRONTED, _CLEFT)):
        for part in ("agent", "action", "object"):
            one, other = (first.replace("{e.", f"{{pair[{i}].") for i in (0, 1))
            texts = f"<{other}|{one}>", second.replace("{e.", "{pair[0].")
            made.append(template(LABELS, *texts, pair=changes(share, part), when=when))
    for yes, no in ((_ACTIVE, _NEVER), (_CLEFT, _NEVER)):
        made.append(template(LABELS, f"<{no}|{yes}>", _PASSIVE, **happening))
        made.append(template(LABELS, f"<{yes}|{no}>", _NEVER_PASSIVE, **happening))
    return made
