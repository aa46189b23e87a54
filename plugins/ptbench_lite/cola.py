"""Acceptability: minimal pairs in the manner of BLiMP, of which one member breaks one rule."""

from itertools import permutations

from .english import word_pairs, word_tuples, words
from .frames import Frame, Share, Slots, template
from .lexicon import CITIES, DOINGS, MEN, PEOPLE, THINGS, WOMEN

LABELS = ("unacceptable", "acceptable")

_STATES = words(
    "tired, hungry, nervous, happy, angry, famous, rich, lonely, clever, polite, proud, thirsty,"
    "ill, busy, late, calm, jealous, curious"
)
_ADJECTIVES = words(
    "old, wooden, expensive, heavy, broken, dirty, colorful, beautiful, strange, large, cheap,"
    "antique, plastic, tiny, elegant, shiny, fragile, ugly"
)
_TRANSITIVE = words(
    "repair, clean, carry, describe, borrow, purchase, inspect, destroy, paint, remove, damage,"
    "admire, wash, examine, polish, photograph, replace, deliver"
)
_REFLEXIVE = words(
    "blame, injure, introduce, amuse, defend, praise, console, embarrass, criticize, trust, admire,"
    "scratch, excuse, protect, calm"
)
_MANNERS = words(
    "quickly, carefully, secretly, slowly, gladly, proudly, eagerly, calmly, rarely, often,quietly, recently"
)
_PARTICLE_VERBS = word_pairs(
    "pick/up, throw/away, put/down, switch/on, fill/in, take/apart, hand/over, turn/off, send/back,"
    "write/down, bring/along, tear/up"
)
# Infinitive, past, participle.
_IRREGULAR = word_tuples(
    "write/wrote/written, take/took/taken, see/saw/seen, steal/stole/stolen, draw/drew/drawn,"
    "hide/hid/hidden, break/broke/broken, forget/forgot/forgotten, choose/chose/chosen,"
    "eat/ate/eaten, throw/threw/thrown, tear/tore/torn, wear/wore/worn, drive/drove/driven,"
    "shake/shook/shaken"
)
_WITH_INFINITIVE = words("hope, decide, agree, refuse, plan, offer, promise, expect, threaten")
_WITH_GERUND = words("enjoy, finish, avoid, suggest, resist, consider, dislike, imagine, deny")
_MASS = words(
    "furniture, luggage, rice, money, water, advice, equipment, sugar, homework, jewelry, butter,traffic"
)
# Adjectives compared by "-er", which only adds to them, and by "more".
_SHORT = words(
    "old, tall, rich, young, kind, loud, poor, strong, weak, smart, quick, slow, proud, calm, short, neat,"
    "warm, quiet"
)
_LONG = words(
    "careful, famous, patient, nervous, generous, talented, cautious, modest, popular, ambitious, arrogant,"
    "brilliant, cheerful, confident, efficient, elegant, intelligent, jealous"
)
_WHEN = words(
    "yesterday, last week, last night, this morning, two days ago, in March, on Sunday, at noon,"
    "in the evening, after lunch, before dawn, last summer"
)


def frames(share: Share) -> list[Frame]:
    """List one frame for each phenomenon and direction; `<bad|good>`."""

    def pair(text: str) -> Frame:
        return template(LABELS, text, **slots)

    people, things = share.of(PEOPLE), share.of(THINGS)
    slots: Slots = {
        "he": share.of(MEN),
        "she": share.of(WOMEN),
        "who": share.of(WOMEN) + share.of(MEN),
        "p": list(permutations(people, 2)),
        "t": list(permutations(things, 2)),
        "state": share.of(_STATES),
        "adjective": share.of(_ADJECTIVES),
        "do": list(permutations(share.of(_TRANSITIVE), 2)),
        "sleep": share.of(DOINGS),
        "oneself": share.of(_REFLEXIVE),
        "manner": share.of(_MANNERS),
        "particle": share.of(_PARTICLE_VERBS),
        "irregular": share.of(_IRREGULAR),
        "hope": share.of(_WITH_INFINITIVE),
        "enjoy": share.of(_WITH_GERUND),
        "mass": share.of(_MASS),
        "short": share.of(_SHORT),
        "long": share.of(_LONG),
        "when": share.of(_WHEN),
        "city": share.of(CITIES),
    }
    return [
        # Agreement of the verb, past an attractor of the other number.
        pair("The {p[0]} behind the {p[1]:s} <are|is> {state}."),
        pair("The {p[0]:s} behind the {p[1]} <is|are> {state}."),
        # Agreement of determiners and numerals.
        pair("{who} {do[0]:ed} <these|this> {adjective} {t[0]} {when}."),
        pair("{who} {do[0]:ed} <this|these> {adjective} {t[0]:s} {when}."),
        pair("{who} {do[0]:ed} three <{t[0]}|{t[0]:s}> in {city} {when}."),
        pair("{who} {do[0]:ed} one <{t[0]:s}|{t[0]}> in {city} {when}."),
        pair("There <was|were> not <much|many> {t[0]:s} left in {city} {when}."),
        pair("There <were|was> not <many|much> {mass} left in {city} {when}."),
        # Gender and number of the reflexive.
        pair("{she} {oneself:ed} <himself|herself> {when}."),
        pair("{he} {oneself:ed} <herself|himself> {when}."),
        pair("The {p[0]:s} near {he} {oneself:ed} <himself|themselves> {when}."),
        pair("{he}, unlike the {p[0]:s}, {oneself:ed} <themselves|himself> {when}."),
        # Argument structure.
        pair("{who} <{sleep:ed}|{do[0]:ed}> the {t[0]} {when}."),
        pair("The {p[0]} from {city} <{do[0]:ed}|{sleep:ed}> {when}."),
        pair("{who} <{do[0]:ed}|{sleep:ed}> near the {p[0]} in {city}."),
        pair("The {t[0]} was <{sleep:ed}|{do[0]:ed}> by the {p[0]} in {city}."),
        pair("<The {t[0]} {do[0]:ed} the {p[0]}|The {p[0]} {do[0]:ed} the {t[0]}> {when}."),
        pair("{who} <{enjoy:s}|{hope:s}> to {do[0]} the {t[0]}."),
        pair("{who} <{hope:s}|{enjoy:s}> {do[0]:ing} the {t[0]}."),
        # "Ever" needs a negative that commands it.
        pair("<The {p[0]} that no {p[1]:s}|No {p[0]} that the {p[1]:s}> liked has ever {sleep:ed}."),
        # Fillers and gaps; an island.
        pair("{who} knows <that|what> the {p[0]} {do[0]:ed} {when}."),
        pair("{who} knows <what|that> the {p[0]} {do[0]:ed} the {t[0]} {when}."),
        pair("What did {who} {do[0]} <the {t[0]} before {do[1]:ing}|before {do[1]:ing} the {t[0]}>?"),
        # Order of words.
        pair("{who} {do[0]:ed} the <{t[0]} {adjective}|{adjective} {t[0]}> {when}."),
        pair("{who} {do[0]:ed} <{t[0]} {adjective} the|the {adjective} {t[0]}> {when}."),
        pair("<{do[0]:ed} the {p[0]}|The {p[0]} {do[0]:ed}> the {t[0]} in {city}."),
        pair("{who} <the {t[0]} {do[0]:ed}|{do[0]:ed} the {t[0]}> in {city} {when}."),
        pair("<{p[0]} the|The {p[0]}> {do[0]:ed} the {t[0]} in {city} {when}."),
        pair("{manner} <{do[0]:ed} {who}|{who} {do[0]:ed}> the {t[0]} {when}."),
        pair("The {p[0]} <{city} from|from {city}> {manner} {do[0]:ed} the {t[0]}."),
        pair("{when} the {p[0]} <the {adjective} {do[0]:ed}|{do[0]:ed} the {adjective}> {t[0]}."),
        pair("The {p[0]} hoped to <{particle[0]} {particle[1]} it|{particle[0]} it {particle[1]}>."),
        # Case of pronouns.
        pair("<Him|He> {manner} {do[0]:ed} the {t[0]} {when}."),
        pair("The {p[0]} from {city} {do[0]:ed} <he|him> {manner} {when}."),
        # Forms of verbs and adjectives.
        pair("The {p[0]} has never <{irregular[1]}|{irregular[2]}> it in {city}."),
        pair("The {p[0]} <{irregular[2]}|{irregular[1]}> it in {city} {when}."),
        pair("The {p[0]} is <{do[0]}|{do[0]:ing}> the {t[0]} in {city}."),
        pair("The {p[0]} can <{do[0]:ing}|{do[0]}> the {t[0]} in {city}."),
        pair("The {p[0]} is <more {short}|{short}er> than {who}."),
        pair("The {p[0]} is <{long}er|more {long}> than {who}."),
        pair("The {p[0]} is as <{short}er|{short}> as {who}."),
        pair("The {p[0]} is <{long}|more {long}> than {who}."),
        pair("The {p[0]} is as <more {long}|{long}> as {who}."),
        # Tense.
        pair("{who} <will {do[0]}|{do[0]:ed}> the {t[0]} yesterday."),
        pair("{who} <{do[0]:ed}|will {do[0]}> the {t[0]} tomorrow."),
    ]
