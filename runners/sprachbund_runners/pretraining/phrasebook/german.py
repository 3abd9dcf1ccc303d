"""German sentences: case, gender, weak and mixed adjective endings, verb second, verb last in clauses."""

from typing import NamedTuple

from sprachbund_runners.pretraining.phrasebook.concepts import NAMES, NUMBERS, TIMES
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning


class Person(NamedTuple):
    noun: str
    gender: str
    oblique: str = ""
    """The form outside the nominative, where it differs: der Junge, dem Jungen."""


class Noun(NamedTuple):
    singular: str
    plural: str
    gender: str


class Verb(NamedTuple):
    past: str
    present: str
    infinitive: str
    participle: str


PEOPLE = {
    "waiter": Person("Kellner", "m"),
    "teacher": Person("Lehrerin", "f"),
    "doctor": Person("Arzt", "m"),
    "gardener": Person("Gärtner", "m"),
    "pupil": Person("Schüler", "m"),
    "grandmother": Person("Großmutter", "f"),
    "captain": Person("Kapitän", "m"),
    "singer": Person("Sängerin", "f"),
    "neighbour": Person("Nachbar", "m", "Nachbarn"),
    "baker": Person("Bäckerin", "f"),
    "boy": Person("Junge", "m", "Jungen"),
    "girl": Person("Mädchen", "n"),
    "detective": Person("Detektiv", "m"),
    "artist": Person("Künstlerin", "f"),
    "farmer": Person("Bauer", "m", "Bauern"),
    "prince": Person("Prinz", "m", "Prinzen"),
    "journalist": Person("Journalistin", "f"),
    "driver": Person("Fahrer", "m"),
}
NAME_GENDERS = {"Clara": "f", "Victor": "m", "Elena": "f", "Oscar": "m", "Julia": "f", "Simon": "m"}
THINGS = {
    "lamp": Noun("Lampe", "Lampen", "f"),
    "clock": Noun("Uhr", "Uhren", "f"),
    "umbrella": Noun("Regenschirm", "Regenschirme", "m"),
    "chair": Noun("Stuhl", "Stühle", "m"),
    "bicycle": Noun("Fahrrad", "Fahrräder", "n"),
    "basket": Noun("Korb", "Körbe", "m"),
    "mirror": Noun("Spiegel", "Spiegel", "m"),
    "fan": Noun("Fächer", "Fächer", "m"),
    "coat": Noun("Mantel", "Mäntel", "m"),
    "scarf": Noun("Schal", "Schals", "m"),
    "dress": Noun("Kleid", "Kleider", "n"),
    "book": Noun("Buch", "Bücher", "n"),
    "letter": Noun("Brief", "Briefe", "m"),
    "magazine": Noun("Zeitschrift", "Zeitschriften", "f"),
    "postcard": Noun("Postkarte", "Postkarten", "f"),
    "pear": Noun("Birne", "Birnen", "f"),
    "lemon": Noun("Zitrone", "Zitronen", "f"),
    "cake": Noun("Kuchen", "Kuchen", "m"),
    "sausage": Noun("Wurst", "Würste", "f"),
    "egg": Noun("Ei", "Eier", "n"),
    "horse": Noun("Pferd", "Pferde", "n"),
    "donkey": Noun("Esel", "Esel", "m"),
    "hen": Noun("Henne", "Hennen", "f"),
}
# Stems that take endings.
ADJECTIVES = {
    "red": "rot", "blue": "blau", "white": "weiß", "black": "schwarz", "yellow": "gelb", "small": "klein",
    "large": "groß", "old": "alt", "new": "neu", "pretty": "hübsch", "strange": "seltsam",
    "expensive": "teur",
}  # fmt: skip
QUALITIES = {
    "tired": "müde", "glad": "froh", "sad": "traurig", "angry": "wütend", "proud": "stolz",
    "nervous": "nervös", "worried": "besorgt", "surprised": "überrascht",
}  # fmt: skip
COMPARATIVES = {
    "heavy": "schwerer", "expensive": "teurer", "pretty": "hübscher", "strange": "seltsamer",
    "small": "kleiner", "large": "größer",
}  # fmt: skip
VERBS = {
    "buy": Verb("kaufte", "kauft", "kaufen", "gekauft"),
    "sell": Verb("verkaufte", "verkauft", "verkaufen", "verkauft"),
    "find": Verb("fand", "findet", "finden", "gefunden"),
    "lose": Verb("verlor", "verliert", "verlieren", "verloren"),
    "paint": Verb("malte", "malt", "malen", "gemalt"),
    "hide": Verb("versteckte", "versteckt", "verstecken", "versteckt"),
    "photograph": Verb("fotografierte", "fotografiert", "fotografieren", "fotografiert"),
    "wash": Verb("wusch", "wäscht", "waschen", "gewaschen"),
    "repair": Verb("reparierte", "repariert", "reparieren", "repariert"),
    "carry": Verb("trug", "trägt", "tragen", "getragen"),
    "eat": Verb("aß", "isst", "essen", "gegessen"),
    "read": Verb("las", "liest", "lesen", "gelesen"),
    "forget": Verb("vergaß", "vergisst", "vergessen", "vergessen"),
    "choose": Verb("wählte", "wählt", "wählen", "gewählt"),
    "steal": Verb("stahl", "stiehlt", "stehlen", "gestohlen"),
    "look for": Verb("suchte", "sucht", "suchen", "gesucht"),
    "give": Verb("gab", "gibt", "geben", "gegeben"),
    "lend": Verb("lieh", "leiht", "leihen", "geliehen"),
    "send": Verb("schickte", "schickt", "schicken", "geschickt"),
    "show": Verb("zeigte", "zeigt", "zeigen", "gezeigt"),
}
COUNT = dict(zip(NUMBERS, ["zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"], strict=True))
LOCATIVES = {
    "courtyard": "im Hof", "airport": "am Flughafen", "café": "im Café", "castle": "im Schloss",
    "square": "auf dem Platz", "kitchen": "in der Küche", "market": "auf dem Markt",
    "ship": "auf dem Schiff", "theatre": "im Theater", "beach": "am Strand", "cellar": "im Keller",
    "church": "hinter der Kirche", "fountain": "neben dem Brunnen", "library": "in der Bibliothek",
    "Lisbon": "in Lissabon", "Vienna": "in Wien",
}  # fmt: skip
WHEN = {
    "yesterday": "gestern", "last Saturday": "letzten Samstag", "three days ago": "vor drei Tagen",
    "last summer": "letzten Sommer", "this morning": "heute Morgen", "yesterday evening": "gestern Abend",
    "every day": "jeden Tag", "every Sunday": "jeden Sonntag", "in winter": "im Winter",
    "every evening": "jeden Abend", "tomorrow": "morgen", "next week": "nächste Woche",
    "next month": "nächsten Monat", "this evening": "heute Abend",
}  # fmt: skip
_DEFINITE = {
    "nominative": {"m": "der", "f": "die", "n": "das"},
    "accusative": {"m": "den", "f": "die", "n": "das"},
    "dative": {"m": "dem", "f": "der", "n": "dem"},
}
_INDEFINITE_ACCUSATIVE = {"m": "einen", "f": "eine", "n": "ein"}
_MIXED_ACCUSATIVE = {"m": "en", "f": "e", "n": "es"}
PRONOUNS = {"m": "er", "f": "sie", "n": "es"}


def gender_of(name: str) -> str:
    return NAME_GENDERS[name] if name in NAMES else PEOPLE[name].gender


def person(name: str, case: str = "nominative") -> str:
    if name in NAMES:
        return name
    entry = PEOPLE[name]
    noun = entry.oblique if entry.oblique and case != "nominative" else entry.noun
    return f"{_DEFINITE[case][entry.gender]} {noun}"


def thing(determiner: str, adjective: str, name: str, case: str = "accusative") -> str:
    """The noun phrase; indefinite ones occur in the accusative only."""
    noun = THINGS[name]
    if determiner in NUMBERS:
        article, ending, word = COUNT[determiner], "e", noun.plural
    elif determiner == "the":
        article, word = _DEFINITE[case][noun.gender], noun.singular
        ending = "en" if case == "accusative" and noun.gender == "m" else "e"
    else:
        article, word = _INDEFINITE_ACCUSATIVE[noun.gender], noun.singular
        ending = _MIXED_ACCUSATIVE[noun.gender]
    return f"{article} {ADJECTIVES[adjective]}{ending} {word}" if adjective else f"{article} {word}"


def sentence(m: Meaning) -> str:
    agent = person(m.agent) if m.agent else ""
    where = LOCATIVES.get(m.place, "")
    when = WHEN.get(m.time, "")
    if m.frame == "compare":
        first = thing("the", m.adjective, m.thing, "nominative")
        second = thing("the", m.adjective2, m.thing2, "nominative")
        return f"{first} ist {COMPARATIVES[m.quality]} als {second}."
    what = thing(m.determiner, m.adjective, m.thing)
    match m.frame:
        case "action":
            verb, use = VERBS[m.verb], TIMES[m.time]
            finite = {"past": verb.past, "habit": verb.present, "future": "wird"}[use.tense]
            last = f" {verb.infinitive}" if use.tense == "future" else ""
            if use.opens:
                return f"{when} {finite} {agent} {where} {what}{last}."
            return f"{agent} {finite} {when} {where} {what}{last}."
        case "reason":
            pronoun = PRONOUNS[gender_of(m.agent)]
            clause = f"{pronoun} {what} {VERBS[m.verb].participle} hat"
            return f"{agent} ist {QUALITIES[m.quality]}, weil {clause}."
        case "wish":
            return f"{agent} möchte {when} {what} {VERBS[m.verb].infinitive}."
        case "stock":
            return f"{where} gibt es {what}."
        case "where":
            verb = VERBS[m.verb]
            if TIMES[m.time].tense == "past":
                return f"wo hat {agent} {when} {what} {verb.participle}?"
            return f"wo wird {agent} {when} {what} {verb.infinitive}?"
        case "paid":
            return f"{agent} bezahlte {where} {m.price} Euro für {what}."
        case "gift":
            return f"{agent} {VERBS[m.verb].past} {person(m.other, 'dative')} {when} {what}."
        case "denial":
            return f"{agent} hat {what} {where} nicht {VERBS[m.verb].participle}."
        case "belief":
            return f"{agent} glaubt, dass {person(m.other)} {what} {VERBS[m.verb].participle} hat."
    raise ValueError(f"no German for the frame {m.frame!r}")
