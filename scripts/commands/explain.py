"""What `florin wallet-node explain INTENT.json` prints: the decision of the signer's policy
and each rule's part in it.

`explanation` is the signer's answer to POST /v1/intents:explain, as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {"allowed": "green", "refused": "bold red", "denied": "bold red", "no match": "dim"}


def print_explanation(console: Console, explanation: Mapping[str, Any]) -> None:
    """Prints the decision, what was looked at, what the caps had used, and a row for each rule."""
    outcome = explanation["outcome"]
    waits = f" for the quorum {explanation['quorum']}" if explanation["quorum"] else ""
    title = f"{outcome}{waits}, by {explanation['policy']} ({explanation['policy_hash'][:18]})"
    console.print(Text(title, style=_STYLES.get(outcome, "bold")))
    facts = ", ".join(f"{name} {value}" for name, value in explanation["facts"].items() if value is not None)
    console.print(Text(facts, style="dim"))
    for refusal in explanation["refusals"]:
        console.print(Text(f"{refusal['code']}: {refusal['detail']}", style="red"))
    if explanation["proof_needed"]:
        console.print(Text("With the customer's own proof this part would be allowed."))
    console.print(_rules(explanation["rules"]))
    if explanation["used"]:
        console.print(_caps(explanation["used"]))


def _rules(rules: list[Mapping[str, Any]]) -> Table:
    table = Table("rule", "its part", "because", title="Every rule", title_justify="left")
    for rule in rules:
        outcome = rule["outcome"]
        table.add_row(
            Text(rule["rule"]), Text(outcome, style=_STYLES[outcome]), Text("\n".join(rule["because"]))
        )
    return table


def _caps(used: list[Mapping[str, Any]]) -> Table:
    table = Table("ledger", "of", title="Spent so far, in minor units", title_justify="left")
    table.add_column("24 hours", justify="right")
    table.add_column("168 hours", justify="right")
    for cap in used:
        table.add_row(
            Text(cap["ledger"]), Text(cap["subject"]), f"{cap['day_minor']:,}", f"{cap['week_minor']:,}"
        )
    return table
