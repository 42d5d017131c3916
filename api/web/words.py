"""The pages' words, from gettext catalogues in `locale/`; what one lacks is said in English.

A sentence of the pages is a message of its own. Why something was refused is a message of the context
`reason`, named by the refusal's code: in English only where the code has no sentence, or one for programs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}
HTML_LANGUAGE: Final = {"en": "en", "zh": "zh-Hans"}
LOCALES: Final = {"en": "en", "zh": "zh_Hans"}
REASON: Final = "reason"

_CATALOGUES: Final = Path(__file__).parent / "locale"

Translate = Callable[..., str]


def marked(english: str) -> str:
    """Itself: says that the pages translate it, where they find it in a value and not in a template."""
    return english


FROM_VALUES: Final = (
    # how far a payment has come
    marked("accepted"),
    marked("submitted"),
    marked("included"),
    marked("final"),
    marked("failed"),
    marked("refused"),
    # where a mandate is
    marked("requested"),
    marked("active"),
    marked("revoked"),
    # what is booked, and what the central bank does
    marked("payment"),
    marked("funding"),
    marked("redemption"),
    marked("waterfall"),
    marked("receipt"),
    marked("opening"),
    marked("approval"),
    marked("reserve deposit"),
)
"""Words that the rooms below say, and that templates translate as they come."""


@cache
def catalogue(language: str) -> GNUTranslations:
    """The messages of a language, compiled when they are first asked for."""
    path = _CATALOGUES / LOCALES[language] / "LC_MESSAGES" / "florin.po"
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=LOCALES[language], abort_invalid=True))
    compiled.seek(0)
    return GNUTranslations(compiled)


def translator(language: str) -> Translate:
    """A function that turns English words, with `{name}` placeholders, into `language`."""
    messages = catalogue(language)

    def translate(english: str, **values: object) -> str:
        words = messages.gettext(english)
        return words.format(**values) if values else words

    return translate


def reason_translator(language: str) -> Callable[..., str]:
    """A function that turns a code, and its English sentence where there is one, into words in `language`."""
    messages, plain = catalogue(language), catalogue("en")

    def translate(code: str, english: str | None = None) -> str:
        is_for_programs = code.startswith("Amount")
        sentence = plain.pgettext(REASON, code) if english is None or is_for_programs else english
        if language == "en":
            return sentence
        found = messages.pgettext(REASON, code)
        return sentence if found == code else found

    return translate


def choose_language(chosen: str | None, accepted: str) -> str:
    """The visitor's own choice, else the first language of `Accept-Language` that there is, else English."""
    if chosen in LANGUAGES:
        return chosen
    ranked = []
    for part in accepted.split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or "1"), tag.lower().split("-")[0]))
        except ValueError:
            continue
    for _, tag in sorted(ranked, key=lambda pair: pair[0]):
        if tag in LANGUAGES:
            return tag
    return "en"
