"""Sentences read and corrected by hand: agreement, articles, case, elision, word order."""

import pytest

from sprachbund.errors import CorpusError
from sprachbund_runners.pretraining.phrasebook import LANGUAGES, Meaning, render
from sprachbund_runners.pretraining.phrasebook.meaning import FRAMES

# A meaning and its sentences in the order of LANGUAGES.
READ: list[tuple[Meaning, tuple[str, str, str, str, str]]] = [
    (
        Meaning(
            "action", "waiter", verb="buy", determiner="a", adjective="red", thing="lamp", place="market",
            time="yesterday",
        ),
        (
            "The waiter bought a red lamp at the market yesterday.",
            "El camarero compró una lámpara roja en el mercado ayer.",
            "Der Kellner kaufte gestern auf dem Markt eine rote Lampe.",
            "Le serveur a acheté une lampe rouge au marché hier.",
            "ウェイターは昨日市場で赤いランプを買いました。",
        ),
    ),
    (
        Meaning(
            "action", "artist", verb="photograph", determiner="the", adjective="white", thing="horse",
            place="beach", time="every Sunday",
        ),
        (
            "Every Sunday, the artist photographs the white horse on the beach.",
            "Todos los domingos la artista fotografía el caballo blanco en la playa.",
            "Jeden Sonntag fotografiert die Künstlerin am Strand das weiße Pferd.",
            "Tous les dimanches, l'artiste photographie le cheval blanc sur la plage.",
            "毎週日曜日に、芸術家は浜辺でその白い馬を撮影します。",
        ),
    ),
    (
        Meaning(
            "action", "boy", verb="eat", determiner="three", adjective="small", thing="egg", place="church",
            time="next month",
        ),
        (
            "Next month, the boy will eat three small eggs behind the church.",
            "El mes que viene el chico va a comer tres huevos pequeños detrás de la iglesia.",
            "Nächsten Monat wird der Junge hinter der Kirche drei kleine Eier essen.",
            "Le mois prochain, le garçon va manger trois petits œufs derrière l'église.",
            "来月、男の子は教会の裏で三個の小さい卵を食べます。",
        ),
    ),
    (
        Meaning(
            "action", "Oscar", verb="sell", determiner="a", adjective="old", thing="fan", place="Vienna",
            time="this morning",
        ),
        (
            "Oscar sold an old fan in Vienna this morning.",
            "Óscar vendió un abanico viejo en Viena esta mañana.",
            "Oscar verkaufte heute Morgen in Wien einen alten Fächer.",
            "Oscar a vendu un vieil éventail à Vienne ce matin.",
            "オスカーさんは今朝ウィーンで古い扇子を売りました。",
        ),
    ),
    (
        Meaning(
            "reason", "girl", verb="lose", determiner="the", adjective="new", thing="umbrella", quality="sad"
        ),
        (
            "The girl is sad because she lost the new umbrella.",
            "La niña está triste porque perdió el paraguas nuevo.",
            "Das Mädchen ist traurig, weil es den neuen Regenschirm verloren hat.",
            "La fillette est triste parce qu'elle a perdu le nouveau parapluie.",
            "その新しい傘をなくしたので、女の子は悲しんでいます。",
        ),
    ),
    (
        Meaning("reason", "singer", verb="find", determiner="a", thing="scarf", quality="surprised"),
        (
            "The singer is surprised because she found a scarf.",
            "La cantante está sorprendida porque encontró una bufanda.",
            "Die Sängerin ist überrascht, weil sie einen Schal gefunden hat.",
            "La chanteuse est surprise parce qu'elle a trouvé une écharpe.",
            "マフラーを見つけたので、歌手は驚いています。",
        ),
    ),
    (
        Meaning(
            "wish", "grandmother", verb="sell", determiner="the", adjective="old", thing="clock",
            time="tomorrow",
        ),
        (
            "The grandmother wants to sell the old clock tomorrow.",
            "La abuela quiere vender el reloj viejo mañana.",
            "Die Großmutter möchte morgen die alte Uhr verkaufen.",
            "La grand-mère veut vendre la vieille horloge demain.",
            "おばあさんは明日その古い時計を売りたがっています。",
        ),
    ),
    (
        Meaning("stock", determiner="five", adjective="black", thing="donkey", place="courtyard"),
        (
            "There are five black donkeys in the courtyard.",
            "En el patio hay cinco burros negros.",
            "Im Hof gibt es fünf schwarze Esel.",
            "Il y a cinq ânes noirs dans la cour.",
            "中庭に五頭の黒いロバがいます。",
        ),
    ),
    (
        Meaning("stock", determiner="two", adjective="blue", thing="dress", place="castle"),
        (
            "There are two blue dresses in the castle.",
            "En el castillo hay dos vestidos azules.",
            "Im Schloss gibt es zwei blaue Kleider.",
            "Il y a deux robes bleues au château.",
            "城に二着の青いドレスがあります。",
        ),
    ),
    (
        Meaning("where", "Elena", verb="hide", determiner="the", thing="letter", time="last Saturday"),
        (
            "Where did Elena hide the letter last Saturday?",
            "¿Dónde escondió Elena la carta el sábado pasado?",
            "Wo hat Elena letzten Samstag den Brief versteckt?",
            "Où est-ce qu'Elena a caché la lettre samedi dernier ?",
            "エレナさんは先週の土曜日にどこでその手紙を隠しましたか。",
        ),
    ),
    (
        Meaning("where", "doctor", verb="look for", determiner="a", thing="book", time="next week"),
        (
            "Where will the doctor look for a book next week?",
            "¿Dónde va a buscar el médico un libro la semana que viene?",
            "Wo wird der Arzt nächste Woche ein Buch suchen?",
            "Où est-ce que le médecin va chercher un livre la semaine prochaine ?",
            "医者は来週どこで本を探しますか。",
        ),
    ),
    (
        Meaning(
            "compare", determiner="the", adjective="yellow", thing="bicycle", adjective2="large",
            thing2="mirror", quality="expensive",
        ),
        (
            "The yellow bicycle is more expensive than the large mirror.",
            "La bicicleta amarilla es más cara que el espejo grande.",
            "Das gelbe Fahrrad ist teurer als der große Spiegel.",
            "Le vélo jaune est plus cher que le grand miroir.",
            "黄色い自転車は大きい鏡より高価です。",
        ),
    ),
    (
        Meaning(
            "paid", "farmer", verb="pay", determiner="a", adjective="expensive", thing="coat",
            place="theatre", price=60,
        ),
        (
            "The farmer paid 60 euros for an expensive coat at the theatre.",
            "El granjero pagó 60 euros por un abrigo caro en el teatro.",
            "Der Bauer bezahlte im Theater 60 Euro für einen teuren Mantel.",
            "Le fermier a payé un manteau cher 60 euros au théâtre.",
            "農家の人は劇場で高価なコートに60ユーロを払いました。",
        ),
    ),
    (
        Meaning(
            "gift", "baker", "prince", "give", "four", "pretty", "postcard", time="yesterday evening"
        ),
        (
            "The baker gave the prince four pretty postcards yesterday evening.",
            "La panadera le dio cuatro postales bonitas al príncipe anoche.",
            "Die Bäckerin gab dem Prinzen gestern Abend vier hübsche Postkarten.",
            "La boulangère a donné quatre jolies cartes postales au prince hier soir.",
            "パン屋さんは昨夜王子に四枚のきれいな絵はがきをあげました。",
        ),
    ),
    (
        Meaning("denial", "driver", verb="forget", determiner="the", thing="chair", place="ship"),
        (
            "The driver did not forget the chair on the ship.",
            "El conductor no olvidó la silla en el barco.",
            "Der Fahrer hat den Stuhl auf dem Schiff nicht vergessen.",
            "Le chauffeur n'a pas oublié la chaise sur le bateau.",
            "運転手は船でその椅子を忘れませんでした。",
        ),
    ),
    (
        Meaning("belief", "journalist", "Oscar", "steal", "the", "white", "dress"),
        (
            "The journalist thinks that Oscar stole the white dress.",
            "La periodista cree que Óscar robó el vestido blanco.",
            "Die Journalistin glaubt, dass Oscar das weiße Kleid gestohlen hat.",
            "La journaliste croit qu'Oscar a volé la robe blanche.",
            "記者はオスカーさんがその白いドレスを盗んだと思っています。",
        ),
    ),
    (
        Meaning("belief", "neighbour", "teacher", "read", "seven", "strange", "magazine"),
        (
            "The neighbour thinks that the teacher read seven strange magazines.",
            "El vecino cree que la profesora leyó siete revistas extrañas.",
            "Der Nachbar glaubt, dass die Lehrerin sieben seltsame Zeitschriften gelesen hat.",
            "Le voisin croit que l'enseignante a lu sept revues étranges.",
            "隣の人は先生が七冊の不思議な雑誌を読んだと思っています。",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("meaning", "expected"), READ, ids=lambda value: getattr(value, "frame", ""))
def test_sentences_read_by_hand(meaning: Meaning, expected: tuple[str, ...]) -> None:
    assert tuple(render(meaning, language) for language in LANGUAGES) == expected


def test_every_frame_was_read() -> None:
    assert {meaning.frame for meaning, _ in READ} == set(FRAMES)
    assert sum(FRAMES.values()) == 100


def test_weak_nouns_and_contractions_in_the_dative() -> None:
    gift = Meaning("gift", "Clara", "neighbour", "show", "the", "", "lemon", time="yesterday")
    assert render(gift, "deu_Latn") == "Clara zeigte dem Nachbarn gestern die Zitrone."
    to_her = Meaning("gift", "Victor", "artist", "lend", "a", "new", "fan", time="yesterday")
    assert render(to_her, "fra_Latn") == "Victor a prêté un nouvel éventail à l'artiste hier."
    assert render(to_her, "spa_Latn") == "Víctor le prestó un abanico nuevo a la artista ayer."


def test_an_unknown_language_names_the_nearest() -> None:
    with pytest.raises(CorpusError, match=r"no language 'deu'.*did you mean 'deu_Latn'"):
        render(READ[0][0], "deu")
