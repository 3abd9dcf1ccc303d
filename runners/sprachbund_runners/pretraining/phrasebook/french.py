"""French sentences: agreement, elision (l', n', qu'), au = à + le, adjectives before and after the noun."""

from typing import NamedTuple

from sprachbund_runners.pretraining.phrasebook.concepts import NAMES, NUMBERS, TIMES
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning


class Noun(NamedTuple):
    singular: str
    plural: str
    gender: str


class Adjective(NamedTuple):
    """The four forms, whether it precedes the noun, and the masculine form before a vowel if there is one."""

    masculine: str
    feminine: str
    masculine_plural: str
    feminine_plural: str
    precedes: bool = False
    before_vowel: str = ""


class Verb(NamedTuple):
    participle: str
    present: str
    infinitive: str


PEOPLE = {
    "waiter": ("serveur", "m"), "teacher": ("enseignante", "f"), "doctor": ("médecin", "m"),
    "gardener": ("jardinier", "m"), "pupil": ("élève", "m"), "grandmother": ("grand-mère", "f"),
    "captain": ("capitaine", "m"), "singer": ("chanteuse", "f"), "neighbour": ("voisin", "m"),
    "baker": ("boulangère", "f"), "boy": ("garçon", "m"), "girl": ("fillette", "f"),
    "detective": ("détective", "m"), "artist": ("artiste", "f"), "farmer": ("fermier", "m"),
    "prince": ("prince", "m"), "journalist": ("journaliste", "f"), "driver": ("chauffeur", "m"),
}  # fmt: skip
NAME_GENDERS = {"Clara": "f", "Victor": "m", "Elena": "f", "Oscar": "m", "Julia": "f", "Simon": "m"}
THINGS = {
    "lamp": Noun("lampe", "lampes", "f"),
    "clock": Noun("horloge", "horloges", "f"),
    "umbrella": Noun("parapluie", "parapluies", "m"),
    "chair": Noun("chaise", "chaises", "f"),
    "bicycle": Noun("vélo", "vélos", "m"),
    "basket": Noun("panier", "paniers", "m"),
    "mirror": Noun("miroir", "miroirs", "m"),
    "fan": Noun("éventail", "éventails", "m"),
    "coat": Noun("manteau", "manteaux", "m"),
    "scarf": Noun("écharpe", "écharpes", "f"),
    "dress": Noun("robe", "robes", "f"),
    "book": Noun("livre", "livres", "m"),
    "letter": Noun("lettre", "lettres", "f"),
    "magazine": Noun("revue", "revues", "f"),
    "postcard": Noun("carte postale", "cartes postales", "f"),
    "pear": Noun("poire", "poires", "f"),
    "lemon": Noun("citron", "citrons", "m"),
    "cake": Noun("gâteau", "gâteaux", "m"),
    "sausage": Noun("saucisse", "saucisses", "f"),
    "egg": Noun("œuf", "œufs", "m"),
    "horse": Noun("cheval", "chevaux", "m"),
    "donkey": Noun("âne", "ânes", "m"),
    "hen": Noun("poule", "poules", "f"),
}


def _regular(masculine: str, feminine: str = "", precedes: bool = False) -> Adjective:
    """An adjective whose feminine defaults to an added e (none after an e) and whose plurals add s."""
    feminine = feminine or (masculine if masculine.endswith("e") else masculine + "e")
    plural = masculine if masculine[-1] in "sx" else masculine + "s"
    return Adjective(masculine, feminine, plural, feminine + "s", precedes)


ADJECTIVES = {
    "red": _regular("rouge"),
    "blue": _regular("bleu"),
    "white": _regular("blanc", "blanche"),
    "black": _regular("noir"),
    "yellow": _regular("jaune"),
    "small": _regular("petit", precedes=True),
    "large": _regular("grand", precedes=True),
    "old": Adjective("vieux", "vieille", "vieux", "vieilles", True, "vieil"),
    "new": Adjective("nouveau", "nouvelle", "nouveaux", "nouvelles", True, "nouvel"),
    "pretty": _regular("joli", precedes=True),
    "strange": _regular("étrange"),
    "expensive": _regular("cher", "chère"),
    "heavy": _regular("lourd"),
    "tired": _regular("fatigué"),
    "glad": _regular("content"),
    "sad": _regular("triste"),
    "angry": Adjective("en colère", "en colère", "en colère", "en colère"),
    "proud": _regular("fier", "fière"),
    "nervous": _regular("nerveux", "nerveuse"),
    "worried": _regular("inquiet", "inquiète"),
    "surprised": _regular("surpris"),
}
VERBS = {
    "buy": Verb("acheté", "achète", "acheter"),
    "sell": Verb("vendu", "vend", "vendre"),
    "find": Verb("trouvé", "trouve", "trouver"),
    "lose": Verb("perdu", "perd", "perdre"),
    "paint": Verb("peint", "peint", "peindre"),
    "hide": Verb("caché", "cache", "cacher"),
    "photograph": Verb("photographié", "photographie", "photographier"),
    "wash": Verb("lavé", "lave", "laver"),
    "repair": Verb("réparé", "répare", "réparer"),
    "carry": Verb("porté", "porte", "porter"),
    "eat": Verb("mangé", "mange", "manger"),
    "read": Verb("lu", "lit", "lire"),
    "forget": Verb("oublié", "oublie", "oublier"),
    "choose": Verb("choisi", "choisit", "choisir"),
    "steal": Verb("volé", "vole", "voler"),
    "look for": Verb("cherché", "cherche", "chercher"),
    "give": Verb("donné", "donne", "donner"),
    "lend": Verb("prêté", "prête", "prêter"),
    "send": Verb("envoyé", "envoie", "envoyer"),
    "show": Verb("montré", "montre", "montrer"),
}
COUNT = dict(zip(NUMBERS, ["deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix"], strict=True))
LOCATIVES = {
    "courtyard": "dans la cour", "airport": "à l'aéroport", "café": "au café", "castle": "au château",
    "square": "sur la place", "kitchen": "dans la cuisine", "market": "au marché",
    "ship": "sur le bateau", "theatre": "au théâtre", "beach": "sur la plage", "cellar": "dans la cave",
    "church": "derrière l'église", "fountain": "à côté de la fontaine", "library": "à la bibliothèque",
    "Lisbon": "à Lisbonne", "Vienna": "à Vienne",
}  # fmt: skip
WHEN = {
    "yesterday": "hier", "last Saturday": "samedi dernier", "three days ago": "il y a trois jours",
    "last summer": "l'été dernier", "this morning": "ce matin", "yesterday evening": "hier soir",
    "every day": "tous les jours", "every Sunday": "tous les dimanches", "in winter": "en hiver",
    "every evening": "tous les soirs", "tomorrow": "demain", "next week": "la semaine prochaine",
    "next month": "le mois prochain", "this evening": "ce soir",
}  # fmt: skip
# The mute h of "horloge" counts as a vowel; no word here has an aspirated one.
_VOWELS = "aeiouhéèêâœ"


def vowel(phrase: str) -> bool:
    """Whether the phrase begins with a vowel sound, so that le, ne and que lose theirs."""
    return phrase[0].lower() in _VOWELS


def definite(phrase: str, gender: str) -> str:
    if vowel(phrase):
        return f"l'{phrase}"
    return f"le {phrase}" if gender == "m" else f"la {phrase}"


def gender_of(name: str) -> str:
    return NAME_GENDERS[name] if name in NAMES else PEOPLE[name][1]


def person(name: str) -> str:
    return name if name in NAMES else definite(*PEOPLE[name])


def to_person(name: str) -> str:
    """With the preposition à: "au prince", "à l'artiste", "à Clara"."""
    phrase = person(name)
    return f"au {phrase[3:]}" if phrase.startswith("le ") else f"à {phrase}"


def that(clause: str) -> str:
    return f"qu'{clause}" if vowel(clause) else f"que {clause}"


def form(adjective: Adjective, gender: str, plural: bool) -> str:
    if plural:
        return adjective.masculine_plural if gender == "m" else adjective.feminine_plural
    return adjective.masculine if gender == "m" else adjective.feminine


def thing(determiner: str, adjective: str, name: str) -> str:
    noun = THINGS[name]
    plural = determiner in NUMBERS
    phrase = noun.plural if plural else noun.singular
    if adjective:
        entry = ADJECTIVES[adjective]
        word = form(entry, noun.gender, plural)
        if entry.before_vowel and not plural and noun.gender == "m" and vowel(phrase):
            word = entry.before_vowel
        phrase = f"{word} {phrase}" if entry.precedes else f"{phrase} {word}"
    if plural:
        return f"{COUNT[determiner]} {phrase}"
    if determiner == "the":
        return definite(phrase, noun.gender)
    return f"{'un' if noun.gender == 'm' else 'une'} {phrase}"


def sentence(m: Meaning) -> str:
    agent = person(m.agent) if m.agent else ""
    what = thing(m.determiner, m.adjective, m.thing)
    where = LOCATIVES.get(m.place, "")
    when = WHEN.get(m.time, "")
    match m.frame:
        case "action":
            verb, use = VERBS[m.verb], TIMES[m.time]
            does = {
                "past": f"a {verb.participle}",
                "habit": verb.present,
                "future": f"va {verb.infinitive}",
            }[use.tense]
            core = f"{agent} {does} {what} {where}"
            return f"{when}, {core}." if use.opens else f"{core} {when}."
        case "reason":
            gender = gender_of(m.agent)
            quality = form(ADJECTIVES[m.quality], gender, False)
            clause = f"{'il' if gender == 'm' else 'elle'} a {VERBS[m.verb].participle} {what}"
            return f"{agent} est {quality} parce {that(clause)}."
        case "wish":
            return f"{agent} veut {VERBS[m.verb].infinitive} {what} {when}."
        case "stock":
            return f"il y a {what} {where}."
        case "where":
            verb = VERBS[m.verb]
            does = f"a {verb.participle}" if TIMES[m.time].tense == "past" else f"va {verb.infinitive}"
            return f"où est-ce {that(agent)} {does} {what} {when} ?"
        case "compare":
            quality = form(ADJECTIVES[m.quality], THINGS[m.thing].gender, False)
            return f"{what} est plus {quality} que {thing('the', m.adjective2, m.thing2)}."
        case "paid":
            return f"{agent} a payé {what} {m.price} euros {where}."
        case "gift":
            return f"{agent} a {VERBS[m.verb].participle} {what} {to_person(m.other)} {when}."
        case "denial":
            return f"{agent} n'a pas {VERBS[m.verb].participle} {what} {where}."
        case "belief":
            return f"{agent} croit {that(person(m.other))} a {VERBS[m.verb].participle} {what}."
    raise ValueError(f"no French for the frame {m.frame!r}")
