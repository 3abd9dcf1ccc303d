"""English sentences."""

from typing import NamedTuple

from sprachbund_runners.pretraining.phrasebook.concepts import NAMES, NUMBERS, PLACES, TIMES
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning


class Verb(NamedTuple):
    past: str
    present: str
    infinitive: str


WOMEN = {
    "teacher", "grandmother", "singer", "baker", "girl", "artist", "journalist", "Clara", "Elena", "Julia",
}  # fmt: skip
IRREGULAR_PLURALS = {"scarf": "scarves", "dress": "dresses"}
VERBS = {
    "buy": Verb("bought", "buys", "buy"),
    "sell": Verb("sold", "sells", "sell"),
    "find": Verb("found", "finds", "find"),
    "lose": Verb("lost", "loses", "lose"),
    "paint": Verb("painted", "paints", "paint"),
    "hide": Verb("hid", "hides", "hide"),
    "photograph": Verb("photographed", "photographs", "photograph"),
    "wash": Verb("washed", "washes", "wash"),
    "repair": Verb("repaired", "repairs", "repair"),
    "carry": Verb("carried", "carries", "carry"),
    "eat": Verb("ate", "eats", "eat"),
    "read": Verb("read", "reads", "read"),
    "forget": Verb("forgot", "forgets", "forget"),
    "choose": Verb("chose", "chooses", "choose"),
    "steal": Verb("stole", "steals", "steal"),
    "look for": Verb("looked for", "looks for", "look for"),
    "give": Verb("gave", "gives", "give"),
    "lend": Verb("lent", "lends", "lend"),
    "send": Verb("sent", "sends", "send"),
    "show": Verb("showed", "shows", "show"),
}
COMPARATIVES = {
    "heavy": "heavier",
    "expensive": "more expensive",
    "pretty": "prettier",
    "strange": "stranger",
    "small": "smaller",
    "large": "larger",
}
_PREPOSITIONS = {
    "airport": "at the", "square": "on the", "market": "at the", "ship": "on the", "theatre": "at the",
    "beach": "on the", "church": "behind the", "fountain": "next to the", "Lisbon": "in", "Vienna": "in",
}  # fmt: skip
LOCATIVES = {place: f"{_PREPOSITIONS.get(place, 'in the')} {place}" for place in PLACES}


def person(name: str) -> str:
    return name if name in NAMES else f"the {name}"


def thing(determiner: str, adjective: str, name: str) -> str:
    """The noun phrase: "the red lamp", "an old clock", "three eggs"."""
    noun = IRREGULAR_PLURALS.get(name, f"{name}s") if determiner in NUMBERS else name
    phrase = f"{adjective} {noun}" if adjective else noun
    if determiner == "a" and phrase[0] in "aeiou":
        determiner = "an"
    return f"{determiner} {phrase}"


def sentence(m: Meaning) -> str:
    agent = person(m.agent) if m.agent else ""
    other = person(m.other) if m.other else ""
    what = thing(m.determiner, m.adjective, m.thing)
    where = LOCATIVES.get(m.place, "")
    match m.frame:
        case "action":
            verb, use = VERBS[m.verb], TIMES[m.time]
            does = {"past": verb.past, "habit": verb.present, "future": f"will {verb.infinitive}"}[use.tense]
            core = f"{agent} {does} {what} {where}"
            return f"{m.time}, {core}." if use.opens else f"{core} {m.time}."
        case "reason":
            pronoun = "she" if m.agent in WOMEN else "he"
            return f"{agent} is {m.quality} because {pronoun} {VERBS[m.verb].past} {what}."
        case "wish":
            return f"{agent} wants to {VERBS[m.verb].infinitive} {what} {m.time}."
        case "stock":
            return f"there are {what} {where}."
        case "where":
            auxiliary = "did" if TIMES[m.time].tense == "past" else "will"
            return f"where {auxiliary} {agent} {VERBS[m.verb].infinitive} {what} {m.time}?"
        case "compare":
            second = thing("the", m.adjective2, m.thing2)
            return f"{what} is {COMPARATIVES[m.quality]} than {second}."
        case "paid":
            return f"{agent} paid {m.price} euros for {what} {where}."
        case "gift":
            return f"{agent} {VERBS[m.verb].past} {other} {what} {m.time}."
        case "denial":
            return f"{agent} did not {VERBS[m.verb].infinitive} {what} {where}."
        case "belief":
            return f"{agent} thinks that {other} {VERBS[m.verb].past} {what}."
    raise ValueError(f"no English for the frame {m.frame!r}")
