"""A book runs through a country: customers and billers, reserves and issuance, then every standing order.

Everything goes through the institutions' HTTP interfaces, with references and keys made from the book, so a
run that was interrupted anywhere is begun again from its first line and changes nothing that it had done.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from contracts.transactions import checksum_address
from scripts.country.institutions import CURRENCY, INSTITUTIONS, PAYING_BANK
from scripts.country.start import Country
from scripts.orders.api_client import ApiClient, Json
from scripts.orders.approvals import Consent, mandate_id, mandates
from scripts.orders.book import Book
from scripts.orders.names import payee_name
from scripts.terminal.patience import Patience
from scripts.terminal.progress import Steps

CUSTOMER_TIER, BILLER_TIER, INSTITUTION_TIER = 1, 2, 3
POLL_S = 0.25
WALLETS_ON_ONE_PAGE = 1_000
IN_FLIGHT = ("accepted", "submitted", "included")


@dataclass(frozen=True, slots=True)
class TierTerms:
    """The three limits of a tier, in minor units."""

    holding_limit_minor: int
    per_payment_limit_minor: int
    daily_limit_minor: int


SAMPLE_TIERS = {
    CUSTOMER_TIER: TierTerms(3_000_000, 1_500_000, 2_500_000),
    BILLER_TIER: TierTerms(100_000, 100_000, 1_000_000),
    INSTITUTION_TIER: TierTerms(10**15, 10**15, 10**15),
}
"""The sample country's tiers. A biller may hold 1,000.00: what exceeds it flows to its bank account."""


@dataclass(frozen=True, slots=True)
class Offices:
    """The three institutions' interfaces."""

    central_bank: ApiClient
    paying_bank: ApiClient
    billing_bank: ApiClient


@dataclass(frozen=True, slots=True)
class Run:
    """What is run: the book, each account's opening balance in minor units, and how customers consent."""

    book: Book
    opening_balance_minor: int
    consent: Consent
    least_issuance_minor: int = 0
    mandates_from_s: int = 0

    @property
    def opening_total_minor(self) -> int:
        """All opening balances, which are the paying bank's first reserves."""
        return self.opening_balance_minor * len(self.book.accounts)

    @property
    def first_issuance_minor(self) -> int:
        """More than the whole book pays, as far as the reserves allow."""
        wanted_minor = max(self.book.facts().total_minor * 5 // 4, self.least_issuance_minor)
        return min(self.opening_total_minor, wanted_minor)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How the orders ended, each counted once. `failed_by_code` were accepted and then refused on chain."""

    orders: int
    final: int
    refused_by_code: dict[str, int] = field(default_factory=dict)
    failed_by_code: dict[str, int] = field(default_factory=dict)
    payments_per_s: float = 0.0

    @property
    def refused(self) -> int:
        """Orders that did not move money: refused by the bank or by the chain."""
        return sum(self.refused_by_code.values()) + sum(self.failed_by_code.values())

    @property
    def is_accounted_for(self) -> bool:
        """Whether every order ended in one of the two ways."""
        return self.final + self.refused >= self.orders


class NotIssued(Exception):
    """The chain refused the first issuance: without it, no order could be funded."""

    code = "NotIssued"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the first issuance failed on chain ({why}): look at the central bank's page, then begin anew "
            "with `make reset`"
        )


async def import_and_send(
    offices: Offices,
    run: Run,
    country: Country,
    level: Callable[[], Awaitable[None]],
    steps: Steps,
) -> None:
    """Everything up to the last order's acceptance.

    `level` waits until every institution has followed the chain as far as the foremost has: the paying bank
    must know on chain the wallets that the billing bank has seen registered.
    """
    await set_terms(offices, country, steps)
    await bring_reserves(offices, run, steps)
    await import_people(offices, run, steps)
    issuance_id = await issue(offices, run, steps)
    await wait_for_wallets(offices, steps)
    await wait_for_issuance(offices, issuance_id, steps)
    await introduce_billers(offices, run, steps)
    await give_mandates(offices, run, steps)
    await level()
    await pay_orders(offices, run, steps)


async def set_terms(offices: Offices, country: Country, steps: Steps) -> None:
    """Sets the sample's tiers, makes each bank a participant, and lets Settlement hold the currency."""
    mask = 1 << CUSTOMER_TIER | 1 << BILLER_TIER
    banks = [plan for plan in INSTITUTIONS if plan.kind == "bank"]
    with steps.step("Tiers and participants", len(SAMPLE_TIERS) + len(banks) + 1) as advance:
        for tier, terms in SAMPLE_TIERS.items():
            await offices.central_bank.put(f"/v1/tiers/{tier}", asdict(terms))
            advance(1)
        for bank in banks:
            address = country.key_addresses[bank.slug]["institution"]
            await offices.central_bank.put(
                f"/v1/participants/{bank.participant_id}",
                {
                    "institution_address": address,
                    "name": bank.name,
                    "tier": INSTITUTION_TIER,
                    "tier_mask": mask,
                },
            )
            advance(1)
        settlement = checksum_address(country.manifest.settlement)
        await offices.central_bank.put(f"/v1/system-accounts/{settlement}", {"tier": INSTITUTION_TIER})
        advance(1)


async def bring_reserves(offices: Offices, run: Run, steps: Steps) -> None:
    """The opening balances become the paying bank's reserves; part of them it may issue as currency."""
    if run.opening_total_minor == 0:
        return
    with steps.step("Reserves and minting allowance", 2) as advance:
        body = {"participant_id": PAYING_BANK.participant_id, "amount_minor": run.opening_total_minor}
        await offices.central_bank.post("/v1/reserve-deposits", body, key="opening-reserves")
        advance(1)
        body = {"participant_id": PAYING_BANK.participant_id, "amount_minor": run.first_issuance_minor}
        await offices.central_bank.post("/v1/issuances", body, key="first-allowance")
        advance(1)


async def import_people(offices: Offices, run: Run, steps: Steps) -> None:
    """Clients, accounts and linked wallets at the paying bank; payees likewise at the billing bank.

    A wallet is bound to its customer's credential as it is made; billers only receive, and have none.
    """
    book, opening = run.book, run.opening_balance_minor
    bank = offices.paying_bank
    await _send(steps, "Customers", bank, "/v1/customers:bulk", [
        {"reference": f"client-{client.client_id}", "name": client.name} for client in book.clients
    ])  # fmt: skip
    await _send(steps, "Deposit accounts", bank, "/v1/accounts:bulk", [
        {"reference": f"account-{account.account_id}", "customer_reference": f"client-{account.owner_id}",
         "currency": CURRENCY, "opening_deposit_minor": opening}
        for account in book.accounts
    ])  # fmt: skip
    await _send(steps, "Customers' wallets", bank, "/v1/wallets:bulk", [
        {"reference": f"wallet-{account.account_id}", "customer_reference": f"client-{account.owner_id}",
         "account_reference": f"account-{account.account_id}", "tier": CUSTOMER_TIER,
         "credential": run.consent.credential(f"client-{account.owner_id}")}
        for account in book.accounts
    ])  # fmt: skip
    bank, payees = offices.billing_bank, book.payees()
    references = {payee: biller_reference(payee) for payee in payees}
    await _send(steps, "Billers", bank, "/v1/customers:bulk", [
        {"reference": references[payee], "name": payee_name(*payee, purpose)}
        for payee, purpose in payees.items()
    ])  # fmt: skip
    await _send(steps, "Billers' accounts", bank, "/v1/accounts:bulk", [
        {"reference": references[payee], "customer_reference": references[payee],
         "currency": CURRENCY, "opening_deposit_minor": 0}
        for payee in payees
    ])  # fmt: skip
    await _send(steps, "Billers' wallets", bank, "/v1/wallets:bulk", [
        {"reference": references[payee], "customer_reference": references[payee],
         "account_reference": references[payee], "tier": BILLER_TIER}
        for payee in payees
    ])  # fmt: skip


async def issue(offices: Offices, run: Run, steps: Steps) -> str | None:
    """The paying bank mints what it was allowed, once that is final: earlier it would be refused for good.

    Returns the issuance's id; None where there is nothing to issue.
    """
    if run.first_issuance_minor == 0:
        return None
    with steps.step("First issuance"):
        patience = Patience("allowances")
        while not await _may_ask_for_issuance(offices, run):
            patience.saw(None, 1)
            await asyncio.sleep(POLL_S)
        body = {"amount_minor": run.first_issuance_minor}
        made = await offices.paying_bank.post("/v1/issuances", body, key="first-issuance")
        return str(made["issuance_id"])


async def _may_ask_for_issuance(offices: Offices, run: Run) -> bool:
    """Whether the allowance is there, or was used already (then asking again gets the same answer)."""
    allowance = await offices.paying_bank.get("/v1/issuances")
    if allowance["available_minor"] >= run.first_issuance_minor or allowance["pending_minor"]:
        return True
    return bool((await offices.central_bank.get("/v1/supply"))["supply_minor"])


async def wait_for_wallets(offices: Offices, steps: Steps) -> None:
    """Waits until every wallet of both banks is registered on chain, finally."""
    banks = (offices.paying_bank, offices.billing_bank)
    summaries = [await bank.get("/v1/wallets:summary") for bank in banks]
    total = sum(int(summary["requested"]) + int(summary["ready"]) for summary in summaries)
    with steps.step("Wallets ready on chain", total) as advance:
        seen = 0
        patience = Patience("wallets")
        while True:
            summaries = [await bank.get("/v1/wallets:summary") for bank in banks]
            ready = sum(int(summary["ready"]) for summary in summaries)
            advance(ready - seen)
            if ready == total:
                return
            patience.saw(ready, total - ready)
            seen = ready
            await asyncio.sleep(POLL_S)


async def wait_for_issuance(offices: Offices, issuance_id: str | None, steps: Steps) -> None:
    """Waits until what the paying bank mints is final; before that it could fund nobody. Raises NotIssued."""
    if issuance_id is None:
        return
    with steps.step("Digital currency at the paying bank"):
        patience = Patience("issuances")
        while (issuance := await offices.paying_bank.get(f"/v1/issuances/{issuance_id}"))["state"] != "final":
            if issuance["state"] == "failed":
                raise NotIssued(str(issuance["code"]))
            patience.saw(issuance["state"], 1)
            await asyncio.sleep(POLL_S)


async def introduce_billers(offices: Offices, run: Run, steps: Steps) -> None:
    """Gives the paying bank the addresses of the billing bank's wallets."""
    addresses = await _addresses(offices.billing_bank)
    await _send(steps, "Billers known to the paying bank", offices.paying_bank, "/v1/billers:bulk", [
        {"reference": biller_reference(payee), "name": payee_name(*payee, purpose),
         "address": addresses[biller_reference(payee)]}
        for payee, purpose in run.book.payees().items()
    ])  # fmt: skip


async def give_mandates(offices: Offices, run: Run, steps: Steps) -> None:
    """Each customer approves each of their orders once; waits until the signer holds all of it."""
    wallets = {
        int(reference.removeprefix("wallet-")): bytes.fromhex(address[2:])
        for reference, address in (await _addresses(offices.paying_bank)).items()
    }
    found = await _addresses(offices.billing_bank)
    payees = {payee: bytes.fromhex(found[biller_reference(payee)][2:]) for payee in run.book.payees()}
    with steps.step("Orders approved by customers", len(run.book.orders)) as advance:
        lines = []
        for line in mandates(run.book, run.consent, wallets, payees, run.mandates_from_s):
            lines.append(line)
            advance(1)
            await asyncio.sleep(0)  # signing is work: whoever watches the processes has a turn
    await _send(steps, "Mandates", offices.paying_bank, "/v1/mandates:bulk", lines)
    with steps.step("Mandates held by the signer", len(lines)) as advance:
        seen = 0
        patience = Patience("mandates")
        while True:
            states = Counter[str]((await offices.paying_bank.get("/v1/mandates:summary"))["states"])
            advance(states["active"] - seen)
            if not states["requested"]:
                break
            patience.saw(states["active"], states["requested"])
            seen = states["active"]
            await asyncio.sleep(POLL_S)


async def pay_orders(offices: Offices, run: Run, steps: Steps) -> list[Json]:
    """Sends every standing order as a payment under its mandate, in the book's order; one answer for each."""
    return await _send(steps, "Standing orders", offices.paying_bank, "/v1/payments:bulk", [
        {"reference": f"order-{order.order_id}", "payer_wallet_reference": f"wallet-{order.account_id}",
         "payee": {"biller_reference": biller_reference(order.payee)}, "amount_minor": order.amount_minor,
         "currency": CURRENCY, "mandate_id": str(mandate_id(order.order_id))}
        for order in run.book.orders
    ])  # fmt: skip


def biller_reference(payee: tuple[str, str]) -> str:
    """A payee's reference at both banks."""
    bank_to, account_to = payee
    return f"biller-{bank_to}-{account_to}"


async def _send(
    steps: Steps, description: str, bank: ApiClient, path: str, lines: Sequence[Json]
) -> list[Json]:
    with steps.step(description, len(lines)) as advance:
        return await bank.bulk(path, lines, advance)


async def wait_for_orders(offices: Offices, run: Run, steps: Steps) -> RunOutcome:
    """Waits until every order has ended: final on chain, refused by the bank, or refused on chain."""
    orders = len(run.book.orders)
    with steps.step("Orders ended", orders) as advance:
        seen = 0
        patience = Patience("orders")
        while True:
            summary = await offices.paying_bank.get("/v1/payments:summary", since_reference_prefix="order-")
            outcome = _outcome(orders, summary)
            ended = outcome.final + outcome.refused
            advance(ended - seen)
            if outcome.is_accounted_for:
                return outcome
            patience.saw(sum(int(summary["states"].get(state, 0)) for state in IN_FLIGHT), orders - ended)
            seen = ended
            await asyncio.sleep(POLL_S)


def _outcome(orders: int, summary: Json) -> RunOutcome:
    states = Counter[str](summary["states"])
    return RunOutcome(
        orders=orders,
        final=states["final"],
        refused_by_code=dict(summary["refusals"]),
        failed_by_code=dict(summary["failures"]),
        payments_per_s=_rate(states["final"], summary["first_accepted_at"], summary["last_final_at"]),
    )


def _rate(final: int, first_accepted_at: str | None, last_final_at: str | None) -> float:
    """Payments a second from the first acceptance to the last finality."""
    if first_accepted_at is None or last_final_at is None:
        return 0.0
    span = datetime.fromisoformat(last_final_at) - datetime.fromisoformat(first_accepted_at)
    return final / max(span.total_seconds(), 0.001)


async def _addresses(bank: ApiClient) -> dict[str, str]:
    """The address of each of the bank's wallets, by the wallet's reference."""
    addresses: dict[str, str] = {}
    query: dict[str, str | int] = {"state": "ready", "limit": WALLETS_ON_ONE_PAGE}
    while True:
        page = await bank.get("/v1/wallets", **query)
        addresses |= {wallet["reference"]: wallet["address"] for wallet in page["wallets"]}
        if page["next_after"] is None:
            return addresses
        query["after"] = page["next_after"]
