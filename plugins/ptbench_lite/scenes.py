"""Scenes: who does what to what, and where, in eighteen surroundings.

In a scene every agent, action, object and place fits every other one. Agents, actions and objects
come with a synonym each; the others of the same scene are related to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

from .english import Word, word_pairs, words
from .frames import Share

Synonyms = tuple[Word, Word]


class Event(NamedTuple):
    """Who did what to what, and where."""

    agent: Synonyms
    action: Synonyms
    object: Synonyms
    place: Word


@dataclass(frozen=True)
class Scene:
    """Surroundings in which everything fits together."""

    agent: tuple[Synonyms, ...]
    action: tuple[Synonyms, ...]
    object: tuple[Synonyms, ...]
    place: tuple[Word, ...]

    def events(self) -> list[Event]:
        """List everything that can happen here."""
        return [Event(*parts) for parts in product(*vars(self).values())]


def _read(text: str) -> Scene:
    agents, actions, objects, places = text.strip().splitlines()
    return Scene(word_pairs(agents), word_pairs(actions), word_pairs(objects), words(places))


@cache
def events(share: Share) -> Sequence[Event]:
    """List the events of all scenes in this share."""
    return [event for scene in share.of(SCENES) for event in scene.events()]


@cache
def changes(share: Share, part: str) -> Sequence[tuple[Event, Event]]:
    """List the pairs of events that differ in one part alone, within one scene."""
    return [
        (event, event._replace(**{part: other}))
        for scene in share.of(SCENES)
        for event in scene.events()
        for other in getattr(scene, part)
        if other != getattr(event, part)
    ]


# Four lines each: agents, actions, objects, places.
SCENES = [
    _read(block)
    for block in """
chef/cook, waiter/server, apprentice/trainee, owner/proprietor
taste/sample, prepare/make, ruin/spoil, praise/compliment
soup/broth, dessert/pudding, stew/casserole, breakfast/morning meal
in the kitchen, at the inn, on the terrace

teacher/instructor, pupil/student, headmaster/principal, substitute/stand-in
finish/complete, discuss/talk about, postpone/delay, explain/clarify
essay/composition, exam/test, homework/assignment, lesson/class
in the classroom, at the village school, in the assembly hall

doctor/physician, nurse/carer, paramedic/ambulance worker, caretaker/janitor
fetch/bring, misplace/mislay, check/inspect, request/ask for
bandage/dressing, medicine/drug, syringe/needle, stretcher/gurney
in the ward, at the clinic, in the emergency room

gardener/groundskeeper, landscaper/garden designer, volunteer/helper, botanist/plant scientist
water/irrigate, trim/prune, protect/shield, admire/marvel at
hedge/row of bushes, lawn/grass, flowerbed/bed of flowers, vine/climbing plant
behind the house, in the park, near the greenhouse

reporter/journalist, editor/chief editor, columnist/opinion writer, intern/office junior
revise/edit, publish/print, reject/turn down, quote/cite
article/news story, interview/conversation, headline/title, obituary/death notice
in the newsroom, at the press office, in the capital

curator/museum keeper, guide/docent, collector/art buyer, visitor/guest
conceal/cover up, sell/auction off, examine/look at, wrap/pack
painting/canvas, statue/sculpture, vase/urn, necklace/pendant
in the gallery, at the museum, in the vault

mechanic/car repairer, driver/motorist, dealer/seller, inspector/examiner
repair/fix, wash/clean, rent/hire, scratch/scrape
car/automobile, truck/lorry, motorcycle/motorbike, bus/coach
in the garage, at the gas station, behind the workshop

lawyer/attorney, judge/magistrate, witness/bystander, detective/investigator
study/review, mention/refer to, destroy/shred, challenge/dispute
letter/note, contract/agreement, photograph/picture, report/written account
in the courtroom, at the police station, in the archive

violinist/fiddler, pianist/piano player, singer/vocalist, conductor/bandleader
rehearse/practice, perform/play, record/tape, adapt/rework
song/tune, symphony/orchestral work, anthem/hymn, waltz/dance piece
in the concert hall, at the festival, in the studio

builder/construction worker, architect/building designer, carpenter/woodworker, plumber/pipe fitter
build/construct, damage/harm, measure/size up, demolish/knock down
wall/partition, staircase/flight of steps, roof/rooftop, porch/veranda
at the hotel, on the building site, in the old town

farmer/grower, shepherd/herder, veterinarian/animal doctor, groom/stable hand
feed/nourish, catch/capture, buy/purchase, calm/soothe
pig/hog, rooster/cockerel, pony/small horse, lamb/young sheep
in the barn, at the market, in the meadow

sailor/mariner, captain/skipper, angler/fisherman, passenger/traveler
board/enter, tow/pull, steer/navigate, abandon/desert
ferry/ferryboat, yacht/pleasure boat, trawler/fishing boat, canoe/paddle boat
in the harbor, near the island, on the river

scientist/researcher, technician/lab assistant, professor/academic, sponsor/backer
question/doubt, describe/outline, improve/refine, present/introduce
experiment/trial, theory/hypothesis, method/technique, device/instrument
in the laboratory, at the conference, on the campus

clerk/shop assistant, customer/shopper, manager/supervisor, tailor/dressmaker
return/bring back, exchange/swap, label/tag, order/send for
jacket/coat, sweater/pullover, hat/cap, scarf/shawl
in the department store, at the boutique, on the ground floor

coach/trainer, goalkeeper/goalie, referee/umpire, fan/supporter
watch/follow, cancel/call off, organize/arrange, criticize/find fault with
match/game, tournament/competition, race/run, training session/workout
at the stadium, in the gym, at the sports club

actor/performer, producer/backer, playwright/dramatist, usher/attendant
memorize/learn, applaud/cheer, shorten/condense, fund/finance
comedy/farce, monologue/soliloquy, tragedy/sad play, sketch/short scene
in the theater, at the academy, in the open air

mayor/city leader, minister/cabinet member, senator/lawmaker, activist/campaigner
support/back, oppose/resist, announce/declare, delay/hold up
proposal/plan, bill/draft law, treaty/pact, boycott/embargo
in parliament, at the town hall, at the summit

climber/mountaineer, hiker/walker, scout/pathfinder, ranger/park warden
reach/arrive at, discover/find, photograph/film, avoid/stay away from
cabin/hut, trail/path, cave/cavern, waterfall/cascade
in the valley, near the border, in the national park
""".strip().split("\n\n")
]
