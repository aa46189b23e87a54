"""The words that several tasks share."""

from typing import NamedTuple

from .english import Word, word_pairs, words

WOMEN = words(
    "Alice, Maria, Sophie, Emma, Julia, Rachel, Karen, Diana, Helen, Laura, Nina, Olivia, Paula,"
    "Susan, Teresa, Vera, Wendy, Clara, Eva, Grace, Hannah, Irene, Joan, Linda, Monica, Nora,"
    "Rosa, Sarah, Tina, Martha, Anna, Lucy, Amy, Cecilia, Fiona, Gloria"
)
MEN = words(
    "Adam, Brian, Carlos, David, Edward, Frank, George, Henry, Ivan, Jack, Kevin, Louis, Martin,"
    "Nathan, Oscar, Peter, Robert, Simon, Thomas, Victor, Walter, Daniel, Eric, Felix, Gary,"
    "Hugo, James, Kenneth, Leon, Michael, Norman, Paul, Ralph, Samuel, Tony, William"
)
NAMES = (*WOMEN, *MEN)
SURNAMES = words(
    "Adams, Baker, Carter, Dixon, Ellis, Foster, Grant, Hughes, Ingram, Jensen, Keller, Lambert,"
    "Morris, Novak, Olsen, Palmer, Quinn, Rossi, Schmidt, Turner, Vargas, Weber, Young, Zimmer,"
    "Berg, Costa, Duval, Fischer, Garcia, Hansen, Ivanov, Kaplan, Lopez, Moreau, Nakamura, Silva"
)
# Every one a person, and with a regular plural.
PEOPLE = words(
    "teacher, doctor, farmer, lawyer, painter, sailor, baker, driver, engineer, singer, writer,"
    "soldier, dancer, pilot, nurse, tailor, plumber, actor, banker, student, gardener, hunter,"
    "editor, barber, butcher, clerk, critic, dentist, designer, florist, guard, inspector, judge,"
    "librarian, manager, mechanic, miner, minister, musician, neighbor, officer, pharmacist,"
    "photographer, pianist, poet, priest, professor, reporter, scientist, senator, surgeon, tutor,"
    "waiter, witness"
)
# Things that can be lifted, washed, broken, bought and lost.
THINGS = words(
    "chair, table, lamp, clock, bottle, basket, bucket, camera, carpet, mirror, guitar, radio,"
    "ladder, kettle, umbrella, blanket, bicycle, bench, toaster, drum, wallet, hammer, jacket, pot,"
    "pan, tent, suitcase, oven, vase, cup, plate, helmet, cradle, cushion, keyboard, telescope,"
    "printer, sofa, tray, violin, backpack, boat, trumpet, statue, jar, drawer, desk, candle,"
    "phone, flute, fan, lantern, cart, globe"
)
CITIES = words(
    "Lisbon, Vienna, Chicago, Madrid, Boston, Prague, Toronto, Berlin, Sydney, Dublin, Oslo, Cairo,"
    "Seattle, Milan, Athens, Denver, Warsaw, Lima, Geneva, Helsinki, Nairobi, Kyoto, Naples,"
    "Montreal, Budapest, Glasgow, Mumbai, Hamburg, Bogota, Seoul"
)
# What one person can do to another.
DEEDS = word_pairs(
    "persuade/convince, praise/compliment, insult/offend, help/assist,"
    "cheat/swindle, phone/call, visit/call on, follow/trail, warn/alert, blame/accuse,"
    "question/interrogate, hire/employ, dismiss/fire, rescue/save, comfort/console, deceive/trick,"
    "admire/look up to, mock/make fun of, protect/shield, greet/welcome, attack/assault,"
    "reward/honor, teach/instruct"
)
# At the same time in two wordings.
TIMES = word_pairs(
    "at dawn/at daybreak, at dusk/at nightfall, last week/a week ago,"
    "on Sunday/the day after Saturday, yesterday/the day before today, at noon/at midday,"
    "in early spring/at the start of spring, on Christmas Day/on December 25,"
    "last month/a month ago, late in the evening/late at night, on Tuesday/the day after Monday,"
    "on Friday/the day before Saturday, last year/a year ago, in late autumn/at the end of fall,"
    "in the morning/before noon, ten days ago/a week and a half ago, on Wednesday/the day before Thursday,"
    "on New Year's Eve/on December 31"
)
# Each fits anything in THINGS.
OPPOSITES = word_pairs(
    "clean/dirty, wet/dry, large/small, cheap/expensive, heavy/light, broken/intact, ugly/beautiful,"
    "famous/unknown, common/rare, plain/colorful, warm/cold, smooth/rough, sturdy/fragile,"
    "fake/genuine, simple/complicated, popular/unpopular, old/new, shiny/dull"
)
# What somebody can do without an object.
DOINGS = words(
    "sneeze, arrive, yawn, vanish, snore, appear, complain, cough, hesitate, faint, collapse,"
    "stumble, laugh, shiver, wander, smile, tremble, giggle"
)
NUMBERS = words(
    "two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, fourteen, fifteen,"
    "twenty, thirty, forty, fifty, sixty"
)


class Kind(NamedTuple):
    """A kind of thing, with two of its sorts and the wider kind it belongs to."""

    name: Word
    sorts: tuple[Word, Word]
    wider: Word


def _read(wider: str, line: str) -> list[Kind]:
    names = (words(part) for part in line.split(";"))
    return [Kind(name, (first, second), Word(wider)) for name, first, second in names]


KINDS = [
    *_read(
        "animal",
        "dog, poodle, beagle; bird, sparrow, parrot; snake, cobra, viper; insect, beetle, moth;"
        "monkey, baboon, macaque; horse, stallion, mare; fish, trout, carp",
    ),
    *_read(
        "plant",
        "flower, rose, tulip; tree, oak, willow; herb, basil plant, mint plant;cactus, prickly pear, saguaro",
    ),
    *_read(
        "vehicle",
        "car, sedan, convertible; boat, canoe, yacht; truck, pickup, tanker;"
        "aircraft, helicopter, glider; bicycle, tandem, mountain bike",
    ),
    *_read(
        "musical instrument",
        "string instrument, violin, cello; wind instrument, flute, clarinet;"
        "drum, bongo, snare drum; keyboard instrument, piano, harpsichord",
    ),
    *_read(
        "piece of furniture",
        "chair, rocking chair, stool; table, desk, coffee table; bed, bunk bed, hammock;"
        "cupboard, wardrobe, bookcase",
    ),
    *_read(
        "building",
        "house, bungalow, villa; church, cathedral, chapel; shop, bakery, pharmacy;"
        "school, kindergarten, music academy",
    ),
    *_read(
        "document",
        "book, novel, dictionary; letter, postcard, love letter; map, street plan, atlas",
    ),
]
