"""Confirmation of payee: does the name that a payer gives mean the payee? And how a name is shown masked.

Pure. A name is turned into keys, and keys are compared only for being equal, so that a directory can compare
two names of which it keeps nothing but keyed hashes:

- match: the same words in any order, whatever their case, accents, titles or (of Chinese names) variants;
- close match: one letter wrong, missing, added or turned round in one or in each of the two (a word of four
  letters or more); initials for all but one word; one of three words left out; words joined or parted
  ("Xiao Ming", "Xiaoming"); a Chinese name with its family name behind;
- no match: everything else. A Chinese name and its romanisation are no match: many names share one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Key = TypeVar("Key", str, bytes)
NameMatch = Literal["match", "close_match", "no_match"]

_MOST_WORDS: Final = 8
_MOST_LETTERS: Final = 40
_LEAST_TO_MISSPELL: Final = 4
_LEAST_TO_STAND: Final = 3
_CHINESE_TITLES: Final = ("先生", "女士", "小姐", "有限公司")
_TITLES: Final = frozenset(
    ["mr", "mrs", "ms", "miss", "dr", "prof", "ing", "mgr", "mudr", "judr", "phdr", "rndr", "phd", "csc"]
)
_LEGAL_FORMS: Final = frozenset(["sro", "ltd", "limited", "inc", "gmbh", "llc", "plc"])
_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD: Final = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}]+")
_IS_HAN: Final = re.compile(rf"[{_HAN}]+")
_DOTTED: Final = re.compile(r"\b(?:(?:\w{1,2}\.){2,}|(?:\w\. ?){3,})")
_COMBINING: Final = re.compile("[\u0300-\u036f]")

_LETTERS: Final = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "'": "",
        "’": "",
        # Cyrillic (ISO 9-like, Ukrainian letters as well)
        "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "ie", "ж": "zh",
        "з": "z", "и": "i", "і": "i", "ї": "i", "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o",
        "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch",
        "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "iu", "я": "ia",
        # Greek
        "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k",
        "λ": "l", "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t",
        "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
    }
)  # fmt: skip
_PAIRS: Final = (
    "張张 陳陈 劉刘 趙赵 黃黄 吳吴 孫孙 馬马 羅罗 鄭郑 謝谢 韓韩 馮冯 鄧邓 許许 蔣蒋 瀋沈 楊杨 "
    "葉叶 蘇苏 呂吕 盧卢 鍾钟 陸陆 賈贾 閻阎 餘余 錢钱 龍龙 萬万 賀贺 賴赖 龔龚 嚴严 偉伟 麗丽 "
    "華华 國国 強强 軍军 傑杰 靜静 潔洁 曉晓 東东 雲云 飛飞 鳳凤 蘭兰 紅红 蓮莲 寶宝 慶庆 義义 "
    "詩诗 夢梦 語语 瑩莹 銘铭 鵬鹏 濤涛 澤泽 維维 絢绚 顏颜 頤颐 憶忆 儀仪 藝艺 穎颖 嵐岚 嬌娇 "
    "婭娅 媽妈 寧宁 憲宪 誌志 軒轩 輝辉 運运 達达 遠远 邁迈 鈞钧 銳锐 鋒锋 錦锦 鎮镇 長长 門门 "
    "開开 陽阳 階阶 際际 難难 風风 騰腾 驍骁 鴻鸿 齊齐 賢贤 賓宾 貞贞 貴贵 嘯啸 嶽岳 巖岩 "
)
_VARIANTS: Final = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
"""Letters of names that are written in two ways; the less frequent ones are not among them."""


@dataclass(frozen=True, slots=True)
class NameKeys(Generic[Key]):
    """A name to be compared: as a whole, with parts left out, and with a letter left out."""

    whole: Key
    shorter: frozenset[Key]
    misspelt: frozenset[Key]


def keys_of(name: str) -> NameKeys[str]:
    """What a name is compared by."""
    words = _words(name)
    return NameKeys(
        _joined(words), frozenset(map(_joined, _shorter(words))), frozenset(_misspelt(words)),
    )  # fmt: skip


def compare(given: NameKeys[Key], held: NameKeys[Key]) -> NameMatch:
    """Whether two names mean the same payee."""
    if given.whole == held.whole:
        return "match"
    is_close = (
        given.whole in held.shorter
        or held.whole in given.shorter
        or given.whole in held.misspelt
        or held.whole in given.misspelt
        or not given.misspelt.isdisjoint(held.misspelt)
    )
    return "close_match" if is_close else "no_match"


def masked(name: str) -> str:
    """What a stranger sees of a name: the first letter of each word, and nothing of their lengths."""
    words = [word for word in unicodedata.normalize("NFC", name).split() if _WORD.search(word)]
    firsts = [found[0][0] for word in words[:4] if (found := _WORD.search(word))]
    return " ".join(f"{first}**" if _IS_HAN.match(first) else f"{first}***" for first in firsts) or "***"


def _words(name: str) -> list[str]:
    """The words of a name in their order, in plain small letters; a Chinese name is one word."""
    text = unicodedata.normalize("NFKC", name).casefold().translate(_LETTERS)
    text = unicodedata.normalize("NFC", _COMBINING.sub("", unicodedata.normalize("NFKD", text)))
    text = _DOTTED.sub(_undotted, text)
    words = [word.translate(_VARIANTS) for word in _WORD.findall(text)]
    chinese = "".join(word for word in words if _IS_HAN.match(word) and word not in _CHINESE_TITLES)
    for title in _CHINESE_TITLES:
        chinese = chinese.removesuffix(title) if len(chinese) > len(title) + 1 else chinese
    others = [word[:_MOST_LETTERS] for word in words if not _IS_HAN.match(word)]
    without = [word for word in others if word not in _TITLES]
    others = without if len(without) > 1 or chinese else others
    without = [word for word in others if word not in _LEGAL_FORMS]
    others = without or others
    return ([chinese[:_MOST_LETTERS]] if chinese else []) + others[:_MOST_WORDS]


def _undotted(found: re.Match[str]) -> str:
    """A title or a legal form without its points; initials keep theirs, so that each is a word."""
    word = found[0].replace(".", "").replace(" ", "")
    return f"{word} " if word in _TITLES | _LEGAL_FORMS else found[0]


def _joined(words: Sequence[str]) -> str:
    return " ".join(sorted(words))


def _shorter(words: Sequence[str]) -> Iterator[list[str]]:
    """A name with one of three words left out, with initials, and a Chinese one the other way round."""
    if len(words) >= 3:
        for place in range(len(words)):
            yield [*words[:place], *words[place + 1 :]]
    for place, word in enumerate(words):
        if len(words) > 1 and len(word) >= _LEAST_TO_STAND:
            yield [other if at == place else other[0] for at, other in enumerate(words)]
        if _IS_HAN.match(word):
            yield from ([word[cut:] + word[:cut]] for cut in (1, 2) if len(word) > cut and len(words) == 1)
            if len(words) > 1:
                yield [word]
                yield [*words[:place], *words[place + 1 :]]


def _misspelt(words: Sequence[str]) -> Iterator[str]:
    """Each longer word without one of its letters; and all words in one, wherever the name begins.

    Two names that differ in one letter have one of these in common: both without it.
    """
    for place, word in enumerate(words):
        if len(word) >= _LEAST_TO_MISSPELL and not _IS_HAN.match(word):
            rest = [*words[:place], *words[place + 1 :]]
            for letter in range(len(word)):
                yield _joined([*rest, word[:letter] + word[letter + 1 :]])
    for place in range(len(words)):
        yield "=" + "".join([*words[place:], *words[:place]])
