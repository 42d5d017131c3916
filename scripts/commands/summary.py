"""The short table with which `florin up` ends, and the same as one line of JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from api.money import format_amount
from scripts.books.verify import Verdict
from scripts.country.institutions import CURRENCY, CURRENCY_EXPONENT, INSTITUTIONS
from scripts.country.start import Country
from scripts.orders.imported_book import ImportedBook
from scripts.orders.run_book import RunOutcome


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended."""

    country: Country
    imported: ImportedBook
    outcome: RunOutcome
    verdict: Verdict
    policies: Mapping[str, str]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Nothing differs, and every order is accounted for."""
        return self.verdict.holds and self.outcome.is_accounted_for

    @property
    def last_words(self) -> str:
        """What is said once everything is up, and stays up, whether or not it is good."""
        if self.is_good:
            return "Everything runs. Ctrl-C stops it; the same command goes on from here."
        return (
            "It runs, but not everything is as it should be: the tables above name what differs or is not"
            " accounted for. Ctrl-C stops it."
        )

    @property
    def refusals(self) -> dict[str, int]:
        """Orders that moved no money, by code: refused by the bank or on chain."""
        return dict(Counter(self.outcome.refused_by_code) + Counter(self.outcome.failed_by_code))

    def as_json(self) -> dict[str, Any]:
        """The stable fields for programs."""
        return {
            "payments_final": self.outcome.final,
            "payments_refused": self.outcome.refused,
            "refusals": self.refusals,
            "difference_minor": self.verdict.difference_minor,
            "findings": len(self.verdict.findings),
            "payments_per_s": round(self.outcome.payments_per_s, 1),
            "seconds": round(self.seconds, 1),
            "orders": self.outcome.orders,
            "skipped_rows": len(self.imported.book.skipped),
            "anchors": self.verdict.anchors,
            "supply_minor": self.verdict.supply_minor,
            "block_number": self.verdict.block_number,
            "chain": self.country.chain,
            "policies": dict(self.policies),
            "addresses": {plan.slug: self.country.url(plan.slug) for plan in INSTITUTIONS},
        }


def print_summary(console: Console, summary: Summary) -> None:
    """Prints the table."""
    table = Table(title="Florin", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for plan in INSTITUTIONS:
        table.add_row(plan.name, summary.country.url(plan.slug))
    table.add_section()
    outcome, verdict, book = summary.outcome, summary.verdict, summary.imported.book
    opening = format_amount(summary.imported.opening_balance_minor, CURRENCY_EXPONENT)
    table.add_row("Book", summary.imported.source)
    table.add_row(
        "",
        f"{len(book.clients):,} customers, {len(book.accounts):,} accounts opened with {opening} {CURRENCY}, "
        f"{len(book.payees()):,} billers",
    )
    table.add_row("Payments final", f"{outcome.final:,} of {outcome.orders:,} orders")
    reasons = ", ".join(f"{code} {count:,}" for code, count in sorted(summary.refusals.items()))
    table.add_row("Payments refused", f"{outcome.refused:,}" + (f": {reasons}" if reasons else ""))
    table.add_row("Payments/s", f"{outcome.payments_per_s:,.1f}, from first acceptance to last finality")
    table.add_section()
    table.add_row("Supply", f"{format_amount(verdict.supply_minor, CURRENCY_EXPONENT)} {CURRENCY}")
    difference = format_amount(verdict.difference_minor, CURRENCY_EXPONENT)
    table.add_row(
        "Books less chain",
        f"{difference} at block {verdict.block_number:,}",
        style="green" if verdict.holds else "bold red",
    )
    table.add_row("Anchors", f"{verdict.anchors:,} of ledgers and signers' journals recomputed")
    names = sorted(set(summary.policies.values()))
    table.add_row("Signers' policy", ", ".join(names))
    table.add_row("Chain", f"{summary.country.chain} at {summary.country.rpc_url}")
    table.add_row("Took", f"{summary.seconds:,.1f} s")
    console.print(table)
