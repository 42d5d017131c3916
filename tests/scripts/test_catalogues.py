"""The pages' catalogues are complete, and the check of them notices each way in which they would not be.

A sentence that is used and not translated, or translated and not used; a translation that is empty, or has
other placeholders; a code without words; a template's and a module's own sentences are found
"""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from scripts.checkout import check_catalogues as check


def catalogue(*messages: tuple[str, str], **reasons: str) -> Catalog:
    made = Catalog(locale="zh_Hans")
    for english, words in messages:
        made.add(english, words)
    for code, words in reasons.items():
        made.add(code, words, context=check.REASON)
    return made


def test_the_catalogues_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main() == 0, capsys.readouterr().err


def test_each_flaw_is_noticed() -> None:
    whole = [("Pay {amount}", "付款 {amount}"), ("Back", "返回")]
    used, codes = {"Pay {amount}", "Back"}, {"SelfPayment"}

    def flaws(*messages: tuple[str, str], **reasons: str) -> list[str]:
        return list(check.problems(used, codes, catalogue(*messages, **reasons), catalogue(SelfPayment="x")))

    assert flaws(*whole, SelfPayment="同一账户") == []
    assert flaws(whole[0], SelfPayment="同一账户") == ["'Back' is missing"]
    assert flaws(*whole, ("Old", "旧"), SelfPayment="同一账户") == ["'Old' is used nowhere"]
    assert flaws(*whole) == ["the code SelfPayment has no words"]
    assert "'Back' is not translated" in flaws(whole[0], ("Back", ""), SelfPayment="同一账户")
    assert flaws(("Pay {amount}", "付款 {sum}"), whole[1], SelfPayment="同一账户") == [
        "'Pay {amount}' and its translation differ in placeholders"
    ]


def test_sentences_are_found_in_templates_and_modules(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<p title="{{ t(\'One\') }}">{{ t("Two {x}", x=1) if y else t("Three") }}'
    )
    (tmp_path / "room.py").write_text('WORDS = marked("Four")\nreason = page.translate("Five")\n')
    assert check.sentences(tmp_path) == {"One", "Two {x}", "Three", "Four", "Five"}
