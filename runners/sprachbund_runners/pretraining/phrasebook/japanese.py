"""Japanese sentences in the polite style: topic first, verb last, counters, いる for what lives."""

from typing import NamedTuple

from sprachbund_runners.pretraining.phrasebook.concepts import NUMBERS, TIMES
from sprachbund_runners.pretraining.phrasebook.concepts import THINGS as CLASSES
from sprachbund_runners.pretraining.phrasebook.meaning import Meaning


class Noun(NamedTuple):
    word: str
    counter: str


class Verb(NamedTuple):
    stem: str
    """What ます, ました and たがる follow."""
    plain_past: str


PEOPLE = {
    "waiter": "ウェイター", "teacher": "先生", "doctor": "医者", "gardener": "庭師", "pupil": "生徒",
    "grandmother": "おばあさん", "captain": "船長", "singer": "歌手", "neighbour": "隣の人",
    "baker": "パン屋さん", "boy": "男の子", "girl": "女の子", "detective": "探偵", "artist": "芸術家",
    "farmer": "農家の人", "prince": "王子", "journalist": "記者", "driver": "運転手", "Clara": "クララさん",
    "Victor": "ビクターさん", "Elena": "エレナさん", "Oscar": "オスカーさん", "Julia": "ジュリアさん",
    "Simon": "サイモンさん",
}  # fmt: skip
THINGS = {
    "lamp": Noun("ランプ", "個"),
    "clock": Noun("時計", "個"),
    "umbrella": Noun("傘", "本"),
    "chair": Noun("椅子", "脚"),
    "bicycle": Noun("自転車", "台"),
    "basket": Noun("かご", "個"),
    "mirror": Noun("鏡", "枚"),
    "fan": Noun("扇子", "本"),
    "coat": Noun("コート", "着"),
    "scarf": Noun("マフラー", "本"),
    "dress": Noun("ドレス", "着"),
    "book": Noun("本", "冊"),
    "letter": Noun("手紙", "通"),
    "magazine": Noun("雑誌", "冊"),
    "postcard": Noun("絵はがき", "枚"),
    "pear": Noun("梨", "個"),
    "lemon": Noun("レモン", "個"),
    "cake": Noun("ケーキ", "個"),
    "sausage": Noun("ソーセージ", "本"),
    "egg": Noun("卵", "個"),
    "horse": Noun("馬", "頭"),
    "donkey": Noun("ロバ", "頭"),
    "hen": Noun("めんどり", "羽"),
}
ADJECTIVES = {
    "red": "赤い", "blue": "青い", "white": "白い", "black": "黒い", "yellow": "黄色い",
    "small": "小さい", "large": "大きい", "old": "古い", "new": "新しい", "pretty": "きれいな",
    "strange": "不思議な", "expensive": "高価な",
}  # fmt: skip
QUALITIES = {
    "tired": "疲れています", "glad": "喜んでいます", "sad": "悲しんでいます", "angry": "怒っています",
    "proud": "得意になっています", "nervous": "緊張しています", "worried": "心配しています",
    "surprised": "驚いています",
}  # fmt: skip
COMPARISONS = {
    "heavy": "重い", "expensive": "高価", "pretty": "きれい", "strange": "不思議", "small": "小さい",
    "large": "大きい",
}  # fmt: skip
VERBS = {
    "buy": Verb("買い", "買った"),
    "sell": Verb("売り", "売った"),
    "find": Verb("見つけ", "見つけた"),
    "lose": Verb("なくし", "なくした"),
    "paint": Verb("描き", "描いた"),
    "hide": Verb("隠し", "隠した"),
    "photograph": Verb("撮影し", "撮影した"),
    "wash": Verb("洗い", "洗った"),
    "repair": Verb("修理し", "修理した"),
    "carry": Verb("運び", "運んだ"),
    "eat": Verb("食べ", "食べた"),
    "read": Verb("読み", "読んだ"),
    "forget": Verb("忘れ", "忘れた"),
    "choose": Verb("選び", "選んだ"),
    "steal": Verb("盗み", "盗んだ"),
    "look for": Verb("探し", "探した"),
    "give": Verb("あげ", "あげた"),
    "lend": Verb("貸し", "貸した"),
    "send": Verb("送り", "送った"),
    "show": Verb("見せ", "見せた"),
}
COUNT = dict(zip(NUMBERS, "二三四五六七八九十", strict=True))
PLACES = {
    "courtyard": "中庭", "airport": "空港", "café": "喫茶店", "castle": "城", "square": "広場",
    "kitchen": "台所", "market": "市場", "ship": "船", "theatre": "劇場", "beach": "浜辺",
    "cellar": "地下室", "church": "教会の裏", "fountain": "噴水のそば", "library": "図書館",
    "Lisbon": "リスボン", "Vienna": "ウィーン",
}  # fmt: skip
WHEN = {
    "yesterday": "昨日", "last Saturday": "先週の土曜日に", "three days ago": "三日前に",
    "last summer": "去年の夏に", "this morning": "今朝", "yesterday evening": "昨夜",
    "every day": "毎日", "every Sunday": "毎週日曜日に", "in winter": "冬に", "every evening": "毎晩",
    "tomorrow": "明日", "next week": "来週", "next month": "来月", "this evening": "今晩",
}  # fmt: skip


def thing(determiner: str, adjective: str, name: str) -> str:
    """The noun phrase: definite その, counted 三個の, indefinite bare."""
    noun = THINGS[name]
    first = "その" if determiner == "the" else ""
    if determiner in NUMBERS:
        first = f"{COUNT[determiner]}{noun.counter}の"
    return first + ADJECTIVES.get(adjective, "") + noun.word


def sentence(m: Meaning) -> str:
    agent = PEOPLE.get(m.agent, "")
    other = PEOPLE.get(m.other, "")
    what = thing(m.determiner, m.adjective, m.thing)
    where = PLACES.get(m.place, "")
    when = WHEN.get(m.time, "")
    match m.frame:
        case "action":
            use = TIMES[m.time]
            verb = VERBS[m.verb].stem + ("ました" if use.tense == "past" else "ます")
            start = f"{when}、{agent}は" if use.opens else f"{agent}は{when}"
            return f"{start}{where}で{what}を{verb}。"
        case "reason":
            return f"{what}を{VERBS[m.verb].plain_past}ので、{agent}は{QUALITIES[m.quality]}。"
        case "wish":
            return f"{agent}は{when}{what}を{VERBS[m.verb].stem}たがっています。"
        case "stock":
            return f"{where}に{what}が{'います' if CLASSES[m.thing] == 'a' else 'あります'}。"
        case "where":
            ending = "ましたか" if TIMES[m.time].tense == "past" else "ますか"
            return f"{agent}は{when}どこで{what}を{VERBS[m.verb].stem}{ending}。"
        case "compare":
            first, second = thing("a", m.adjective, m.thing), thing("a", m.adjective2, m.thing2)
            return f"{first}は{second}より{COMPARISONS[m.quality]}です。"
        case "paid":
            return f"{agent}は{where}で{what}に{m.price}ユーロを払いました。"
        case "gift":
            return f"{agent}は{when}{other}に{what}を{VERBS[m.verb].stem}ました。"
        case "denial":
            return f"{agent}は{where}で{what}を{VERBS[m.verb].stem}ませんでした。"
        case "belief":
            return f"{agent}は{other}が{what}を{VERBS[m.verb].plain_past}と思っています。"
    raise ValueError(f"no Japanese for the frame {m.frame!r}")
