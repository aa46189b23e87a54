"""Similarity: two sentences about events, graded by how much of the event they share."""

from itertools import permutations, product

from .english import Word
from .frames import Frame, Row, Share
from .lexicon import TIMES
from .scenes import SCENES, Scene, Synonyms

# How much of a part's weight remains when it is replaced in this way.
_KEPT = {"same": 1.0, "synonym": 0.9, "related": 0.4, "unrelated": 0.0}
_WEIGHTS = {"agent": 1.4, "action": 1.3, "object": 1.5, "place": 0.5, "when": 0.3}
_BANDS = 20

Change = dict[str, str]


def _grade(change: Change) -> float:
    return round(sum(weight * _KEPT[change[part]] for part, weight in _WEIGHTS.items()), 2)


def _changes() -> list[Change]:
    """List the combinations of replacements that make sense."""
    near = ("same", "synonym", "related")
    # A far-fetched action needs an object from its own surroundings.
    deeds = [*product(near, near), ("unrelated", "unrelated")]
    return [
        {"agent": agent, "action": action, "object": object_, "place": place, "when": when}
        for agent, (action, object_), place, when in product(
            _KEPT, deeds, ("same", "related", "unrelated"), ("same", "synonym", "unrelated")
        )
    ]


def frames(share: Share) -> list[Frame]:
    """List one frame for each band of grades, so that the grades spread evenly."""
    slots = {
        "scenes": list(permutations(share.of(SCENES), 2)),
        # Which agent, action and object of the scene, and how far off the related ones are.
        "agent": range(4),
        "action": range(4),
        "object_": range(4),
        "step": range(1, 4),
        "place": list(permutations(range(3), 2)),
        "when": list(permutations(share.of(TIMES), 2)),
    }
    bands: dict[int, list[Change]] = {band: [] for band in range(_BANDS)}
    for change in _changes():
        bands[min(int(_grade(change) / 5 * _BANDS), _BANDS - 1)].append(change)
    return [Frame(_pair, {**slots, "change": band}) for band in bands.values() if band]


def _pair(
    scenes: tuple[Scene, Scene],
    agent: int,
    action: int,
    object_: int,
    step: int,
    place: tuple[int, int],
    when: tuple[Synonyms, Synonyms],
    change: Change,
) -> tuple[Row]:
    here, elsewhere = scenes

    def both(part: str, i: int) -> tuple[Word, Word]:
        mine: tuple[Synonyms, ...] = getattr(here, part)
        yours: tuple[Synonyms, ...] = getattr(elsewhere, part)
        second = {
            "same": mine[i][0],
            "synonym": mine[i][1],
            "related": mine[(i + step) % len(mine)][0],
            "unrelated": yours[i][0],
        }
        return mine[i][0], second[change[part]]

    def sentence(agent: Word, action: Word, object_: Word, place: Word, when: Word) -> str:
        return f"The {agent} {action:ed} the {object_} {place} {when}."

    places = {"same": here.place[place[0]], "related": here.place[place[1]]}
    times = {"same": when[0][0], "synonym": when[0][1], "unrelated": when[1][0]}
    parts = (
        both("agent", agent),
        both("action", action),
        both("object", object_),
        (here.place[place[0]], places.get(change["place"], elsewhere.place[place[0]])),
        (when[0][0], times[change["when"]]),
    )
    first, second = zip(*parts, strict=True)
    return (Row((sentence(*first), sentence(*second)), _grade(change)),)
