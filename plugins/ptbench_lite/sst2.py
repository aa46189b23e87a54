"""Sentiment: polarity words in the manner of CheckList, plain, negated, contrasted and compared."""

import re

from .english import words
from .frames import Frame, Share, Slots, template

LABELS = ("negative", "positive")

_GOOD = words(
    "superb, charming, wonderful, delightful, brilliant, excellent, impressive, enjoyable, lovely,"
    "fantastic, memorable, marvelous, splendid, admirable, outstanding, terrific, magnificent,"
    "pleasant, great, remarkable, beautiful, amazing, good, satisfying, awesome, inspiring,"
    "refreshing, perfect, engaging, exceptional"
)
_BAD = words(
    "awful, dull, terrible, dreadful, boring, horrible, disappointing, annoying, poor, pathetic,"
    "tedious, lousy, mediocre, miserable, atrocious, unpleasant, appalling, dismal, bad, ugly,"
    "disgusting, abysmal, frustrating, unbearable, shoddy, depressing, tiresome, worthless, lame,"
    "irritating"
)
_TOPICS = words(
    "film, hotel, restaurant, novel, concert, museum, play, exhibition, musical, album, cafe,"
    "documentary, comedy, festival, sequel, game, series, bakery, lecture, tour, opera, podcast,"
    "resort, ballet, bar, campsite, cruise, spa, zoo, website"
)
_ASPECTS = words(
    "atmosphere, design, name, advertising, opening, price, setting, poster, publicity, beginning,"
    "style, audience"
)
_COMPANIONS = words(
    "brother, sister, neighbor, boss, colleague, cousin, friend, teacher, uncle, aunt, landlord,"
    "roommate, doctor, nephew, grandmother"
)
_DEGREES = words("truly, really, quite, simply, honestly, frankly, undeniably, certainly, definitely")

# {same} is a word that agrees with the label, {other} one that does not.
_PATTERNS = (
    # Plain.
    "The {topic} was {degree} {same}.",
    "My {companion} and I found the {topic} {same} from start to finish.",
    "It was {same:a} {topic} with {same:a} {aspect}.",
    "Every part of the {topic} was {same}, even the {aspect}.",
    "Seldom have my {companion} and I seen such {same:a} {topic}.",
    "The {aspect} of the {topic} was every bit as {same} as I had <feared|hoped>.",
    "My {companion} told me the {topic} was {same}, and it {degree} was.",
    # Negated.
    "The {topic} was not {other} at all, my {companion} said.",
    "The {topic} was anything but {other}.",
    "Nobody could call the {aspect} of this {topic} {other}.",
    "At no point did my {companion} find the {topic} {other}.",
    # Compared with expectations.
    "The {topic} was not nearly as {other} as I had <hoped|feared>.",
    "My {companion} expected {other:a} {topic}, but it was {degree} {same}.",
    # Contrasted.
    "The {aspect} was {other}, yet the {topic} as a whole was {degree} {same}.",
    "The {topic} is {degree} {same}, although its {aspect} is {other}.",
    "My {companion} called the {topic} {other}, but I thought it was {degree} {same}.",
    "I thought the {topic} was {same}, whatever my {companion} says about its {other} {aspect}.",
    # Changed over time.
    "I used to find the {topic} {other}, but now I think it is {degree} {same}.",
    "The {topic} is {degree} {same} these days; years ago it was {other}.",
)


def frames(share: Share) -> list[Frame]:
    """List one frame for each pattern."""
    slots: Slots = {
        "good": share.of(_GOOD),
        "bad": share.of(_BAD),
        "topic": share.of(_TOPICS),
        "aspect": share.of(_ASPECTS),
        "companion": share.of(_COMPANIONS),
        "degree": share.of(_DEGREES),
    }
    made = []
    for pattern in _PATTERNS:
        text = re.sub(r"{same(.*?)}", r"<{bad\1}|{good\1}>", pattern)
        text = re.sub(r"{other(.*?)}", r"<{good\1}|{bad\1}>", text)
        made.append(template(LABELS, text, **slots))
    return made
