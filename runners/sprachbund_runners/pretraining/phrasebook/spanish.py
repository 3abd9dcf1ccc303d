"""Spanish sentences (Spain): gender and number agreement, al = a + el, subject pronouns left out."""

from typing import NamedTuple

from sprachbund_runners.pretraining.phrasebook.concepts import NAMES, NUMBERS, TIMES
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning


class Noun(NamedTuple):
    singular: str
    plural: str
    gender: str


class Verb(NamedTuple):
    past: str
    present: str
    infinitive: str


PEOPLE = {
    "waiter": ("camarero", "m"), "teacher": ("profesora", "f"), "doctor": ("médico", "m"),
    "gardener": ("jardinero", "m"), "pupil": ("alumno", "m"), "grandmother": ("abuela", "f"),
    "captain": ("capitán", "m"), "singer": ("cantante", "f"), "neighbour": ("vecino", "m"),
    "baker": ("panadera", "f"), "boy": ("chico", "m"), "girl": ("niña", "f"),
    "detective": ("detective", "m"), "artist": ("artista", "f"), "farmer": ("granjero", "m"),
    "prince": ("príncipe", "m"), "journalist": ("periodista", "f"), "driver": ("conductor", "m"),
}  # fmt: skip
NAME_GENDERS = {"Clara": "f", "Victor": "m", "Elena": "f", "Oscar": "m", "Julia": "f", "Simon": "m"}
# The bearers' names stay as in English, accents apart: Víctor, Óscar, Simón.
NAME_SPELLINGS = {"Victor": "Víctor", "Oscar": "Óscar", "Simon": "Simón"}
THINGS = {
    "lamp": Noun("lámpara", "lámparas", "f"),
    "clock": Noun("reloj", "relojes", "m"),
    "umbrella": Noun("paraguas", "paraguas", "m"),
    "chair": Noun("silla", "sillas", "f"),
    "bicycle": Noun("bicicleta", "bicicletas", "f"),
    "basket": Noun("cesta", "cestas", "f"),
    "mirror": Noun("espejo", "espejos", "m"),
    "fan": Noun("abanico", "abanicos", "m"),
    "coat": Noun("abrigo", "abrigos", "m"),
    "scarf": Noun("bufanda", "bufandas", "f"),
    "dress": Noun("vestido", "vestidos", "m"),
    "book": Noun("libro", "libros", "m"),
    "letter": Noun("carta", "cartas", "f"),
    "magazine": Noun("revista", "revistas", "f"),
    "postcard": Noun("postal", "postales", "f"),
    "pear": Noun("pera", "peras", "f"),
    "lemon": Noun("limón", "limones", "m"),
    "cake": Noun("tarta", "tartas", "f"),
    "sausage": Noun("salchicha", "salchichas", "f"),
    "egg": Noun("huevo", "huevos", "m"),
    "horse": Noun("caballo", "caballos", "m"),
    "donkey": Noun("burro", "burros", "m"),
    "hen": Noun("gallina", "gallinas", "f"),
}
# Masculine singular; the other forms follow from the ending (`agree`).
ADJECTIVES = {
    "red": "rojo", "blue": "azul", "white": "blanco", "black": "negro", "yellow": "amarillo",
    "small": "pequeño", "large": "grande", "old": "viejo", "new": "nuevo", "pretty": "bonito",
    "strange": "extraño", "expensive": "caro", "heavy": "pesado", "tired": "cansado", "glad": "contento",
    "sad": "triste", "angry": "enfadado", "proud": "orgulloso", "nervous": "nervioso",
    "worried": "preocupado", "surprised": "sorprendido",
}  # fmt: skip
VERBS = {
    "buy": Verb("compró", "compra", "comprar"),
    "sell": Verb("vendió", "vende", "vender"),
    "find": Verb("encontró", "encuentra", "encontrar"),
    "lose": Verb("perdió", "pierde", "perder"),
    "paint": Verb("pintó", "pinta", "pintar"),
    "hide": Verb("escondió", "esconde", "esconder"),
    "photograph": Verb("fotografió", "fotografía", "fotografiar"),
    "wash": Verb("lavó", "lava", "lavar"),
    "repair": Verb("reparó", "repara", "reparar"),
    "carry": Verb("llevó", "lleva", "llevar"),
    "eat": Verb("comió", "come", "comer"),
    "read": Verb("leyó", "lee", "leer"),
    "forget": Verb("olvidó", "olvida", "olvidar"),
    "choose": Verb("eligió", "elige", "elegir"),
    "steal": Verb("robó", "roba", "robar"),
    "look for": Verb("buscó", "busca", "buscar"),
    "give": Verb("dio", "da", "dar"),
    "lend": Verb("prestó", "presta", "prestar"),
    "send": Verb("envió", "envía", "enviar"),
    "show": Verb("mostró", "muestra", "mostrar"),
}
COUNT = dict(zip(NUMBERS, ["dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez"], strict=True))
LOCATIVES = {
    "courtyard": "en el patio", "airport": "en el aeropuerto", "café": "en el café",
    "castle": "en el castillo", "square": "en la plaza", "kitchen": "en la cocina",
    "market": "en el mercado", "ship": "en el barco", "theatre": "en el teatro", "beach": "en la playa",
    "cellar": "en el sótano", "church": "detrás de la iglesia", "fountain": "junto a la fuente",
    "library": "en la biblioteca", "Lisbon": "en Lisboa", "Vienna": "en Viena",
}  # fmt: skip
WHEN = {
    "yesterday": "ayer", "last Saturday": "el sábado pasado", "three days ago": "hace tres días",
    "last summer": "el verano pasado", "this morning": "esta mañana", "yesterday evening": "anoche",
    "every day": "todos los días", "every Sunday": "todos los domingos", "in winter": "en invierno",
    "every evening": "todas las noches", "tomorrow": "mañana", "next week": "la semana que viene",
    "next month": "el mes que viene", "this evening": "esta noche",
}  # fmt: skip


def agree(adjective: str, gender: str, plural: bool) -> str:
    """The form of an adjective given in the masculine singular: rojo, roja, rojos, rojas; azul, azules."""
    form = adjective[:-1] + "a" if gender == "f" and adjective.endswith("o") else adjective
    if not plural:
        return form
    return form + ("s" if form[-1] in "aeo" else "es")


def gender_of(name: str) -> str:
    return NAME_GENDERS[name] if name in NAMES else PEOPLE[name][1]


def person(name: str) -> str:
    if name in NAMES:
        return NAME_SPELLINGS.get(name, name)
    noun, gender = PEOPLE[name]
    return f"{'el' if gender == 'm' else 'la'} {noun}"


def to_person(name: str) -> str:
    """With the preposition a: "al príncipe", "a la niña", "a Clara"."""
    phrase = f"a {person(name)}"
    return phrase.replace("a el ", "al ", 1) if phrase.startswith("a el ") else phrase


def thing(determiner: str, adjective: str, name: str) -> str:
    noun = THINGS[name]
    plural = determiner in NUMBERS
    if plural:
        article = COUNT[determiner]
    elif determiner == "the":
        article = "el" if noun.gender == "m" else "la"
    else:
        article = "un" if noun.gender == "m" else "una"
    words = [article, noun.plural if plural else noun.singular]
    if adjective:
        words.append(agree(ADJECTIVES[adjective], noun.gender, plural))
    return " ".join(words)


def sentence(m: Meaning) -> str:
    agent = person(m.agent) if m.agent else ""
    what = thing(m.determiner, m.adjective, m.thing)
    where = LOCATIVES.get(m.place, "")
    when = WHEN.get(m.time, "")
    match m.frame:
        case "action":
            verb, use = VERBS[m.verb], TIMES[m.time]
            does = {"past": verb.past, "habit": verb.present, "future": f"va a {verb.infinitive}"}[use.tense]
            core = f"{agent} {does} {what} {where}"
            return f"{when} {core}." if use.opens else f"{core} {when}."
        case "reason":
            quality = agree(ADJECTIVES[m.quality], gender_of(m.agent), False)
            return f"{agent} está {quality} porque {VERBS[m.verb].past} {what}."
        case "wish":
            return f"{agent} quiere {VERBS[m.verb].infinitive} {what} {when}."
        case "stock":
            return f"{where} hay {what}."
        case "where":
            verb = VERBS[m.verb]
            does = verb.past if TIMES[m.time].tense == "past" else f"va a {verb.infinitive}"
            return f"¿Dónde {does} {agent} {what} {when}?"
        case "compare":
            quality = agree(ADJECTIVES[m.quality], THINGS[m.thing].gender, False)
            return f"{what} es más {quality} que {thing('the', m.adjective2, m.thing2)}."
        case "paid":
            return f"{agent} pagó {m.price} euros por {what} {where}."
        case "gift":
            return f"{agent} le {VERBS[m.verb].past} {what} {to_person(m.other)} {when}."
        case "denial":
            return f"{agent} no {VERBS[m.verb].past} {what} {where}."
        case "belief":
            return f"{agent} cree que {person(m.other)} {VERBS[m.verb].past} {what}."
    raise ValueError(f"no Spanish for the frame {m.frame!r}")
