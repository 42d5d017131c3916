"""A book's whole way through a country, from outside: `florin up`, HTTP, Ctrl-C, `florin up` again.

a country with a small book
├── with ample opening balances
│   ├── every order ends final, and every balance is what the oracle says
│   ├── a sample customer signs in on the bank's page, pays, and watches the payment become final
│   └── books and chain agree, also when they are replayed
├── with small ones and a malformed row, beside it: takes other ports, leaves the row out, and refuses exactly
│   what the oracle refuses
├── whose settlement may hold the currency
├── whose directory is in use: is not started twice
├── whose institutions anchor by themselves what they write down
├── whose database somebody changed by hand: verify-books names the places, rebuild-projection mends its own
├── whose journal or whose signer's journal somebody rewrote whole: verify-books finds what was anchored
└── stopped with Ctrl-C
    ├── leaves no process behind
    ├── goes on from the same state, and pays nothing twice
    └── refuses another book, another opening balance and another chain
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from rich.console import Console

from api.addresses import parse_address
from api.settings import Settings
from contracts.manifest import Manifest
from contracts.merkle import leaf_hash
from scripts.books.institution_books import read_books
from scripts.books.verify import wait_until_level
from scripts.chain.anvil import find_anvil
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import INSTITUTIONS, PAYING_BANK, InstitutionHome
from scripts.orders.run_book import INSTITUTION_TIER
from scripts.orders.sample_book import SampleSize, write_sample_book
from scripts.postgres.server import start
from scripts.terminal.progress import Steps
from tests.journeys.country_process import Counters, CountryProcess, florin
from tests.journeys.expectations import expect_balances, orders_of
from tests.journeys.oracle import Fate, Terms, foretell
from tests.journeys.visitor import Visitor, field
from wallet_node.journal.entries import CredentialBound, TransactionSigned, decode

SIZE = SampleSize(customers=20, orders=40)
FINAL_BY_HAND = re.compile(r'aria-current="step">final.*?Block [0-9,]+<.*?/proof', re.DOTALL)
FINAL_LOGS = """
SELECT count(DISTINCT a.log) FROM chain_anchors a JOIN chain_transactions t ON t.id = a.transaction_id
 WHERE t.state = 'final'
"""
AMPLE, SMALL = Decimal("25000.00"), Decimal("5000.00")


@dataclass
class Side:
    """One country, what it printed, and what must have happened in it."""

    country: CountryProcess
    summary: dict[str, Any]
    fate: Fate

    def counters(self) -> Counters:
        """Its institutions."""
        return Counters(self.country.data, self.summary["addresses"])


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("book")
    write_sample_book(directory, SIZE, seed=7)
    return directory


@pytest.fixture(scope="module")
def ample(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    data = tmp_path_factory.mktemp("ample") / "data"
    with CountryProcess(data, "--chain", "eth-tester", "--book", book) as country:
        yield Side(country, country.wait_for_table(), foretell(book, Terms(AMPLE)))


@pytest.fixture(scope="module")
def demanding_book(book: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same book with orders that more than one rule refuses, and a malformed row."""
    directory = tmp_path_factory.mktemp("demanding") / "book"
    shutil.copytree(book, directory)
    with (directory / "order.csv").open("a", newline="") as file:
        file.write('90001;1;"YZ";"1";15000.01;" "\r\n90002;2;"YZ";"1";25000.01;" "\r\n')
        file.write('90003;2;"YZ";"1";1000.00;" "\r\n')
    return directory


@pytest.fixture(scope="module")
def small(ample: Side, demanding_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """Runs beside the other one, on the fast chain where that is installed."""
    data = tmp_path_factory.mktemp("small") / "data"
    fate = foretell(demanding_book, Terms(SMALL))
    with (demanding_book / "order.csv").open("a", newline="") as file:
        file.write('90004;2;"YZ";"1";1,00;" "\r\n')
    chain = "eth-tester" if find_anvil() is None else "anvil"
    arguments = ("--chain", chain, "--book", demanding_book, "--opening-balance", str(SMALL))
    with CountryProcess(data, *arguments, "--skip-bad-rows") as country:
        yield Side(country, country.wait_for_table(), fate)


@contextmanager
def administered(data: Path, database: str) -> Iterator[Callable[[str], None]]:
    """Executes SQL in a database of a country that rests, as one who may do everything."""
    server = start(data / "postgres")

    def execute(statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(server.admin_url_for(database))
            await connection.execute(statement)
            await connection.close()

        asyncio.run(run())

    try:
        yield execute
    finally:
        server.stop()


async def test_settlement_may_hold_the_currency(ample: Side) -> None:
    (path,) = (ample.country.data / "manifests").glob("*.json")
    async with ample.counters() as offices:
        answer = await offices.central_bank.get("/v1/system-accounts")
    settlement = {"address": Manifest.load(path).settlement, "tier": INSTITUTION_TIER, "state": "final"}
    assert [each | {"address": parse_address(each["address"])} for each in answer["system_accounts"]] == [
        settlement
    ]


async def test_with_ample_balances_every_order_ends_final_and_every_balance_is_foretold(
    ample: Side, book: Path
) -> None:
    assert (ample.summary["payments_final"], ample.summary["payments_refused"]) == (40, 0)
    assert (ample.summary["difference_minor"], ample.summary["findings"]) == (0, 0)
    assert ample.fate.paid == 40
    async with ample.counters() as offices:
        answers = await orders_of(offices, book, ample.fate.refusals)
        assert {answer["state"] for answer in answers.values()} == {"accepted"}
        for answer in list(answers.values())[:5]:
            payment = await offices.paying_bank.get(f"/v1/payments/{answer['payment_id']}")
            assert payment["state"] == "final"
            assert payment["block_number"] > 0
            assert len(payment["transaction_hash"]) == 66
        await expect_balances(offices, ample.fate, AMPLE)


async def test_both_sides_of_the_waterfall_ran(ample: Side) -> None:
    assert any(amount > 0 for amount in ample.fate.biller_deposits.values())
    assert any(0 < amount < 1000 for amount in ample.fate.biller_wallets.values())


async def test_small_balances_refuse_exactly_what_the_oracle_refuses(
    small: Side, demanding_book: Path
) -> None:
    assert len(small.fate.refusals) == 43
    assert small.fate.refusals["90002"] == [
        "PerPaymentLimitExceeded", "DailyLimitExceeded", "InsufficientFunds",
    ]  # fmt: skip
    assert small.summary["refusals"] == small.fate.counts()
    assert set(small.summary["refusals"]) == {"PerPaymentLimitExceeded", "InsufficientFunds"}
    assert small.summary["payments_final"] == small.fate.paid
    assert small.summary["difference_minor"] == 0
    async with small.counters() as offices:
        answers = await orders_of(offices, demanding_book, small.fate.refusals)
        found = {order: [r["code"] for r in answer["reasons"]] for order, answer in answers.items()}
        assert found == small.fate.refusals
        await expect_balances(offices, small.fate, SMALL)


async def test_a_malformed_row_is_left_out_aloud_and_the_rest_imported(small: Side) -> None:
    assert small.summary["skipped_rows"] == 1
    assert "Skipped order.csv line 45: amount is '1,00'" in small.country.messages


async def test_two_countries_share_no_port_and_say_which_was_taken(ample: Side, small: Side) -> None:
    assert not set(ample.summary["addresses"].values()) & set(small.summary["addresses"].values())
    for side in (ample, small):
        for plan in INSTITUTIONS:
            has_its_own = side.summary["addresses"][plan.slug].endswith(f":{plan.port}")
            assert has_its_own != (f"Port {plan.port} is taken" in side.country.messages)


async def test_the_institutions_reconcile_by_themselves(ample: Side) -> None:
    async with ample.counters() as offices:
        for institution in (offices.central_bank, offices.paying_bank, offices.billing_bank):
            state = await institution.get("/v1/reconciliation")
            assert (state["is_reconciled"], state["difference_minor"], state["freezes"]) == (True, 0, [])


async def test_the_institutions_anchor_by_themselves(ample: Side) -> None:
    homes = [InstitutionHome(DataDirectory(ample.country.data), plan) for plan in INSTITUTIONS]
    for home in homes:
        connection = await asyncpg.connect(Settings.load(home.settings_file).database_url)
        async with asyncio.timeout(90):
            while await connection.fetchval(FINAL_LOGS) < 2:  # noqa: ASYNC110 - other processes work
                await asyncio.sleep(0.2)
        await connection.close()


async def test_a_sample_customer_signs_in_pays_and_watches_the_payment_become_final(ample: Side) -> None:
    async with Visitor(ample.summary["addresses"]["bank-a"]) as visitor:
        home = await visitor.open("/")
        assert "First Bank" in home
        chosen = {name: field(home, name) for name in ("form_token", "customer_id")}
        await visitor.send("/sandbox/sign-in", chosen)
        form = await visitor.open("/wallet/pay")
        payment = {name: field(form, name) for name in ("form_token", "intention", "wallet", "payee")}
        sent = await visitor.send("/wallet/payments", {**payment, "amount": "1.25", "note": "by hand"})
        assert "by hand" in sent
        news = re.search(r'sse-connect="([^"]+)"', sent)
        assert news is not None
        await visitor.hear(news[1], FINAL_BY_HAND)


async def test_no_money_appears_or_disappears(ample: Side) -> None:
    homes = [InstitutionHome(DataDirectory(ample.country.data), plan) for plan in INSTITUTIONS]
    settings = [Settings.load(home.settings_file) for home in homes]
    # one bank may be a block ahead of the other: what left it has then not arrived there
    await wait_until_level(settings, Steps(Console(quiet=True)))
    central_bank, *banks = [await read_books(each) for each in settings]
    brought_minor = int(AMPLE * 100) * len(ample.fate.deposits)
    customers_minor = sum(bank.sum_of("deposit:") + bank.accounts["custody"] for bank in banks)
    assert customers_minor == brought_minor
    assert central_bank.accounts["assets"] == brought_minor
    assert central_bank.sum_of("reserves:") + central_bank.accounts["circulation"] == brought_minor
    assert (
        sum(bank.accounts["inventory"] + bank.accounts["custody"] for bank in banks)
        == (central_bank.accounts["circulation"])
    )


def test_a_directory_in_use_is_not_started_twice(ample: Side) -> None:
    second = florin("up", "--once", "--data", ample.country.data)
    assert second.status == 1
    assert "AlreadyRunning" in second.errors
    assert ample.country.process.poll() is None


def test_books_and_chain_agree_when_replayed_while_the_country_runs(ample: Side) -> None:
    verdict = florin("verify-books", "--data", ample.country.data)
    assert verdict.status == 0, verdict.output + verdict.errors
    assert "No difference." in verdict.output
    recomputed = re.search(r"(\d+) anchors recomputed", verdict.output)
    assert recomputed is not None
    assert int(recomputed[1]) >= 2 * len(INSTITUTIONS)


def test_a_rebuilt_projection_is_identical(ample: Side) -> None:
    rebuilt = florin("rebuild-projection", "--data", ample.country.data)
    assert rebuilt.status == 0, rebuilt.output + rebuilt.errors
    assert rebuilt.output.count("identical") == 3


def test_stopped_it_leaves_nothing_behind_and_goes_on_from_the_same_state(ample: Side, book: Path) -> None:
    processes = ample.country.processes()
    assert len(processes) >= 11, "nine services, a chain and PostgreSQL"
    assert ample.country.stop() in (0, 130)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive, f"still there: {alive}"
    data = ample.country.data
    for arguments, code in (
        (("--opening-balance", "1.00"), "AnotherBook"),
        (("--chain", "anvil"), "AnotherChain"),
    ):
        refused = florin("up", "--once", "--data", data, *arguments)
        assert refused.status == 1
        assert code in refused.errors, refused.errors
        assert "make reset" in refused.errors
    (data / "chain").rename(data / "chain-aside")
    refused = florin("up", "--once", "--data", data)
    assert refused.status == 1
    assert "AnotherChain" in refused.errors
    shutil.rmtree(data / "chain")
    (data / "chain-aside").rename(data / "chain")
    again = florin("up", "--once", "--json", "--data", data)
    assert again.status == 0, again.errors
    for same in ("payments_final", "payments_refused", "difference_minor", "supply_minor", "orders"):
        assert again.summary[same] == ample.summary[same]
    assert "Standing orders" not in again.errors, "nothing is sent again"
    verdict = florin("verify-books", "--data", data)
    assert verdict.status == 0, verdict.output + verdict.errors


def test_what_somebody_changed_in_a_database_is_found_and_the_projection_rebuilt(ample: Side) -> None:
    data = ample.country.data
    assert ample.country.process.poll() is not None, "the country was stopped before"
    with administered(data, "bank_b") as execute:
        execute(
            "UPDATE chain_accounts SET balance_minor = balance_minor + 1 WHERE participant = 2 AND tier = 2"
        )
        execute(
            """UPDATE ledger_balances SET posted_minor = posted_minor + 1 WHERE account_id =
               (SELECT ledger_account_id FROM accounts ORDER BY id LIMIT 1)"""
        )
    verdict = florin("verify-books", "--data", data)
    assert verdict.status == 1
    assert "posted balance" in verdict.output
    assert "projection of 0x" in verdict.output
    rebuilt = florin("rebuild-projection", "--data", data, "--keep")
    assert rebuilt.status == 1
    assert "Second Bank: chain_accounts differs" in rebuilt.output


def test_what_is_consistent_in_itself_is_still_not_what_was_anchored(ample: Side) -> None:
    """A posting date that nothing else depends on, and a signer's journal set back to an earlier state."""
    data = ample.country.data
    assert ample.country.process.poll() is not None, "the country was stopped before"
    with administered(data, "bank_a") as execute:
        execute(
            """SET session_replication_role = replica;
               UPDATE ledger_entries SET booked_at = booked_at - interval '1 day'
                WHERE id = (SELECT min(id) FROM ledger_entries)"""
        )
    set_back(InstitutionHome(DataDirectory(data), PAYING_BANK).signer_journal, length=10)
    verdict = florin("verify-books", "--data", data)
    assert verdict.status == 1
    findings = re.sub(r"\s+", " ", verdict.output)
    assert "bank-a: ledger is what was anchored: entries 1 to " in findings
    rows = re.search(r"bank-a: signer's journal is what was anchored: rows ([0-9]+) to ([0-9]+),", findings)
    assert rows is not None, findings
    first, last = map(int, rows.groups())
    assert first <= 11 <= last, "an anchor of ten rows or fewer still holds, the next one does not"
    assert "found only 10 rows" in findings
    assert findings.count("bank-a: ") == 2, "nothing else looks at these"
    for other in ("central-bank", "bank-b"):
        assert f"{other}: ledger is what" not in findings
        assert f"{other}: signer's journal" not in findings


def set_back(journal: Path, length: int) -> None:
    """What a copy of the file from earlier would be: rows follow from one another, and tables from them.

    So early there are no mandates, no operations and no spending yet.
    """
    connection = sqlite3.connect(journal)
    run = connection.execute
    rows = run("SELECT sequence, entry FROM journal WHERE sequence <= ?", (length,)).fetchall()
    decisions = [decode(entry, sequence).decision for sequence, entry in rows]
    assert all(isinstance(each, CredentialBound | TransactionSigned) for each in decisions)
    assert not any(each.charges for each in decisions if isinstance(each, TransactionSigned))
    wallets = [(each.wallet,) for each in decisions if isinstance(each, CredentialBound)]
    for (name,) in run("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        run(f"DROP TRIGGER {name}")
    for table in ("journal", "intents", "attempts", "repairs", "refused_attempts", "activations"):
        run(f"DELETE FROM {table} WHERE sequence > ?", (length,))
    for table in ("operation_statements", "operations", "credential_changes", "mandate_spending", "mandates"):
        run(f"DELETE FROM {table}")
    run("DELETE FROM rolling_spending")
    run("CREATE TEMP TABLE kept (wallet BLOB)")
    connection.executemany("INSERT INTO kept VALUES (?)", wallets)
    run("DELETE FROM credentials WHERE wallet NOT IN (SELECT wallet FROM kept)")
    run("DELETE FROM subtrees WHERE (place + 1) * (1 << (8 * level)) > ?", (length,))
    run("DELETE FROM signers WHERE number NOT IN (SELECT signer FROM intents WHERE signer IS NOT NULL)")
    run("DELETE FROM domains WHERE domain NOT IN (SELECT domain FROM signers)")
    run("UPDATE signers SET last_nonce = (SELECT max(nonce) FROM intents WHERE signer = number)")
    ((entry,),) = run("SELECT entry FROM journal WHERE sequence = ?", (length,))
    run(
        "UPDATE tip SET size = ?, leaf = ?, last_seen_s = ?",
        (length, leaf_hash(entry), decode(entry, length).recorded_at_s),
    )
    connection.commit()
    connection.close()


TAMPERINGS = {
    "entry is what its event says": """
        UPDATE ledger_legs SET account_id = (SELECT max(id) FROM ledger_accounts WHERE kind = 'deposit')
         WHERE (entry_id, account_id) = (
               SELECT l.entry_id, l.account_id FROM ledger_legs l
                 JOIN ledger_accounts a ON a.id = l.account_id JOIN ledger_entries e ON e.id = l.entry_id
                WHERE e.kind = 'funding' AND a.kind = 'deposit'
                  AND a.id <> (SELECT max(id) FROM ledger_accounts WHERE kind = 'deposit') LIMIT 1)""",
    "entry is what its cause says": """
        UPDATE accounts SET opening_deposit_minor = opening_deposit_minor + 1
         WHERE id = (SELECT id FROM accounts WHERE opening_deposit_minor > 0 ORDER BY id LIMIT 1)""",
    "entry has a cause": """
        UPDATE ledger_entries SET source = 'event:0x' || repeat('0', 64) || ':7'
         WHERE id = (SELECT max(id) FROM ledger_entries WHERE kind = 'payment')""",
    "hold is for something under way": """
        INSERT INTO ledger_holds (id, account_id, amount_minor, business_id)
        SELECT nextval('ledger_hold_ids'), min(ledger_account_id), 100, gen_random_uuid() FROM accounts""",
    "final payment has its entry": """
        UPDATE outbox_payments SET amount_minor = amount_minor + 1
         WHERE seq = (SELECT min(seq) FROM outbox_payments WHERE kind = 'payment')""",
    "entry has its final payment": """
        UPDATE outbox_payments SET state = 'failed'
         WHERE seq = (SELECT max(seq) FROM outbox_payments WHERE kind = 'payment')""",
    "payment under way was asked for": """
        DELETE FROM payments WHERE id = (SELECT id FROM payments ORDER BY created_at LIMIT 1)""",
    "accepted payment is under way or decided": """
        UPDATE payments SET amount_minor = amount_minor + 1
         WHERE id = (SELECT id FROM payments ORDER BY created_at DESC LIMIT 1)""",
    "wallet has its own accounts": """
        UPDATE outbox_registrations SET deposit_ledger_account_id = NULL
         WHERE key_index = (SELECT min(key_index) FROM outbox_registrations)""",
    "wallet and account have one owner": """
        UPDATE wallets SET customer_id = (SELECT c.id FROM customers c WHERE c.id <> customer_id LIMIT 1)
         WHERE key_index = (SELECT max(key_index) FROM wallets)""",
    "ledger account is what it is for": """
        UPDATE ledger_accounts SET code = code || '-x'
         WHERE id = (SELECT max(ledger_account_id) FROM wallets)""",
    "only clearing accounts may be negative": """
        UPDATE ledger_balances SET may_be_negative = true
         WHERE account_id = (SELECT min(ledger_account_id) FROM accounts)""",
    "projected account": """
        UPDATE chain_accounts SET tier = tier + 1
         WHERE address = (SELECT min(address) FROM chain_accounts WHERE participant = 1 AND flags <> 1);
        INSERT INTO chain_accounts (address, participant, tier, flags)
        VALUES (decode(repeat('77', 20), 'hex'), 1, 1, 0)""",
}
"""What one who may do everything does to a database, by the check that finds it."""


def test_each_thing_that_somebody_changed_is_found_by_its_own_check(ample: Side) -> None:
    data = ample.country.data
    with administered(data, "bank_a") as execute:
        for statement in TAMPERINGS.values():
            execute(f"SET session_replication_role = replica; {statement}")
    verdict = florin("verify-books", "--data", data)
    assert verdict.status == 1
    found = {check for check in TAMPERINGS if f"bank-a: {check}: " in verdict.output}
    assert found == set(TAMPERINGS), verdict.output
