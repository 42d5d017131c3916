"""Checks the pages' catalogues: `python -m scripts.checkout.check_catalogues`.

Every sentence of the templates and the code has its translation, none is left over, a translation has the
placeholders of its sentence and no others, and each code that a payment is refused with has its words.
"""

import ast
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po

CHECKOUT = Path(__file__).resolve().parent.parent.parent
REASON = "reason"
REASONED = ("api/payments/rules.py", "api/web/errors.py", "api/money.py")
"""Files whose codes people meet on pages."""

_FUNCTIONS = {"t": None, "translate": None, "marked": None}
_CODE = re.compile(r"(?:[A-Z][a-z]+){2,}")


def sentences(web: Path) -> set[str]:
    """Every English sentence that templates and code of the pages translate."""
    found: set[str] = set()
    for path in sorted(web.rglob("*.html")):
        with path.open("rb") as source:
            messages = extract("jinja2", source, keywords=_FUNCTIONS, options={"encoding": "utf-8"})
            found |= {str(message) for _, message, *_ in messages}
    for path in sorted(web.rglob("*.py")):
        with path.open("rb") as source:
            found |= {str(message) for _, message, *_ in extract("python", source, keywords=_FUNCTIONS)}
    return found


def reason_codes(checkout: Path) -> set[str]:
    """Every code, as text in the files that refuse payments."""
    found: set[str] = set()
    for name in REASONED:
        for node in ast.walk(ast.parse((checkout / name).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
                found.add(node.value)
    return found


def placeholders(text: str) -> set[str]:
    """The names in braces. Raises `ValueError` for braces that do not match."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def problems(used: set[str], codes: set[str], catalogue: Catalog, plain: Catalog) -> Iterator[str]:
    """What is wrong with a language's catalogue; `plain` is the English one of reasons."""
    translated: dict[str, str] = {}
    reasons: set[str] = set()
    for message in catalogue:
        if not message.id:
            continue
        if not message.string or message.fuzzy:
            yield f"{message.id!r} is not translated"
        elif message.context == REASON:
            reasons.add(str(message.id))
        else:
            translated[str(message.id)] = str(message.string)
    yield from (f"{missing!r} is missing" for missing in sorted(used - translated.keys()))
    yield from (f"{unused!r} is used nowhere" for unused in sorted(translated.keys() - used))
    for english, words in translated.items():
        if placeholders(english) != placeholders(words):
            yield f"{english!r} and its translation differ in placeholders"
    known_in_english = {str(message.id) for message in plain if message.context == REASON}
    yield from (f"the code {code} has no words" for code in sorted((codes | known_in_english) - reasons))


def read(path: Path, locale: str) -> Catalog:
    """A catalogue from its file."""
    with path.open("rb") as source:
        return read_po(source, locale=locale, abort_invalid=True)


def main() -> int:
    """Print what is wrong; returns the exit status."""
    web = CHECKOUT / "api" / "web"
    files = {locale: web / "locale" / locale / "LC_MESSAGES" / "florin.po" for locale in ("en", "zh_Hans")}
    plain, chinese = (read(path, locale) for locale, path in files.items())
    wrong = list(problems(sentences(web), reason_codes(CHECKOUT), chinese, plain))
    for each in wrong:
        print(f"{files['zh_Hans'].relative_to(CHECKOUT)}: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
