"""The last words of `florin up`, which stay on the screen.

of a country
├── in which nothing differs and every order is accounted for: everything runs
└── else they say that something is not as it should be, although it runs
"""

from typing import Any, cast

import pytest

from scripts.books.verify import Finding, Verdict
from scripts.commands.summary import Summary
from scripts.orders.run_book import RunOutcome

OLDER = Finding("bank-a", "signer's journal is what was anchored", "rows 1913 to 1923", "0xb8", "1913 rows")


@pytest.mark.parametrize(
    ("findings", "final", "begins"),
    [((), 5, "Everything runs."), ((OLDER,), 5, "It runs, but"), ((), 4, "It runs, but")],
)
def test_only_a_good_country_is_told_that_everything_runs(
    findings: tuple[Finding, ...], final: int, begins: str
) -> None:
    absent = cast(Any, None)
    verdict = Verdict(540, (), findings, 1_000, anchors=17)
    summary = Summary(absent, absent, RunOutcome(5, final), verdict, {}, 23.7)
    assert summary.last_words.startswith(begins)
    assert "Ctrl-C" in summary.last_words
