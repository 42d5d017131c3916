"""The chain from its events, and the books held against it: what agrees and what is found.

a replayed chain
├── adds up minting, payments, waterfalls and burning, as of any block
└── knows whose customer each account is
books held against it
├── that agree: no check differs
└── with one minor unit too much anywhere: exactly that place is named
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from contracts.abi import AccountRegistered, Event, ParticipantSet, Transfer, Waterfall
from scripts.books.chain_replay import NOBODY, ChainHistory
from scripts.books.institution_books import Books, compare_reserves, compare_with_chain

BANK, OTHER_BANK = b"\xb1" * 20, b"\xb2" * 20
ALICE, BILLER = b"\xa1" * 20, b"\xa2" * 20


def at(block: int, index: int = 0) -> dict[str, Any]:
    return {
        "block_number": block,
        "block_hash": bytes([block]) * 32,
        "transaction_hash": bytes(32),
        "log_index": index,
    }


EVENTS: list[Event] = [
    ParticipantSet(1, BANK, 3, 6, **at(2)),
    ParticipantSet(2, OTHER_BANK, 3, 6, **at(2, 1)),
    AccountRegistered(ALICE, 1, 1, 5, **at(3)),
    AccountRegistered(BILLER, 2, 2, 5, **at(3, 1)),
    Transfer(NOBODY, BANK, 1_000, **at(4)),
    Transfer(BANK, ALICE, 300, **at(5)),
    Transfer(ALICE, BILLER, 250, **at(6)),
    Transfer(BILLER, OTHER_BANK, 150, **at(6, 1)),
    Waterfall(BILLER, OTHER_BANK, 150, **at(6, 2)),
    Transfer(BANK, NOBODY, 100, **at(7)),
]
HISTORY = ChainHistory(1, 9, EVENTS)


def settings(kind: str, participant_id: int) -> Settings:
    return Settings.from_mapping(
        {
            "institution": f"{kind.replace('_', '-')}-{participant_id}",
            "institution_name": "Somebody",
            "kind": kind,
            "participant_id": participant_id,
            "database_url": "postgresql://nobody/none",
            "listen_port": 0,
            "signer_socket": Path("none.sock"),
            "rpc_url": "http://127.0.0.1:1",
            "manifest_path": Path("none.json"),
            "currency": "CZK",
            "currency_exponent": 2,
            "is_sandbox": True,
        }
    )


def books(kind: str, participant_id: int, accounts: dict[str, int], wallets: dict[bytes, int]) -> Books:
    chain = HISTORY.after(9)
    return Books(
        settings=settings(kind, participant_id),
        genesis_hash=bytes(32),
        contract=bytes(20),
        deployed_block=1,
        final_block=9,
        accounts=accounts,
        wallets=wallets,
        projection={account: held for account, held in chain.balances.items() if held},
        projected_supply_minor=chain.supply_minor,
    )


def bank() -> Books:
    accounts = {
        "reserves": 5_000,
        "inventory": 600,
        "custody": 50,
        "deposit:x": 5_600,
        "in_transit:unidentified": 0,
    }
    return books("bank", 1, accounts, {ALICE: 50})


def central_bank() -> Books:
    return books("central_bank", 0, {"circulation": 900, "reserves:1": 5_000, "reserves:2": 0}, {})


def test_minting_payments_waterfalls_and_burning_add_up_as_of_any_block() -> None:
    def held(block: int) -> tuple[int, ...]:
        chain = HISTORY.after(block)
        assert chain.supply_minor == sum(chain.balances.values())
        return tuple(chain.balances[account] for account in (BANK, ALICE, BILLER, OTHER_BANK))

    assert held(3) == (0, 0, 0, 0)
    assert held(4) == (1_000, 0, 0, 0)
    assert held(5) == (700, 300, 0, 0)
    assert held(6) == (700, 50, 100, 150)
    assert held(9) == (600, 50, 100, 150)


def test_a_banks_customers_are_its_accounts_without_its_own() -> None:
    chain = HISTORY.after(9)
    assert (chain.customers_total_minor(1), chain.customers_total_minor(2)) == (50, 100)


def test_a_block_that_was_not_read_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="block 10 was not read"):
        HISTORY.after(10)


def test_books_that_agree_show_no_difference() -> None:
    for each in (bank(), central_bank()):
        assert all(check.difference_minor == 0 for check in compare_with_chain(each, HISTORY.after(9)))
    assert compare_reserves(central_bank(), bank()).difference_minor == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"accounts": {"inventory": 601, "custody": 50}}, ["inventory = own balance"]),
        (
            {"accounts": {"inventory": 600, "custody": 51}},
            ["custody = customers' balances", "sum of wallets = custody"],
        ),
        ({"wallets": {ALICE: 51}}, ["sum of wallets = custody", f"wallet 0x{ALICE.hex()}"]),
        (
            {"accounts": {"inventory": 600, "custody": 50, "in_transit:unidentified": 1}},
            ["in transit = open cases"],
        ),
        ({"projected_supply_minor": 901}, ["projected supply"]),
        (
            {"projection": {BANK: 600, ALICE: 50, OTHER_BANK: 150}},
            [f"projection of 0x{BILLER.hex()}"],
        ),
    ],
)
def test_one_minor_unit_anywhere_is_named(change: dict[str, Any], named: list[str]) -> None:
    changed = dataclasses.replace(bank(), **change)
    checks = compare_with_chain(changed, HISTORY.after(9))
    assert sorted(check.name for check in checks if check.difference_minor) == sorted(named)


def test_circulation_and_reserves_that_differ_are_named() -> None:
    short = dataclasses.replace(central_bank(), accounts={"circulation": 899, "reserves:1": 5_000})
    checks = compare_with_chain(short, HISTORY.after(9))
    assert [check.name for check in checks if check.difference_minor] == ["circulation = supply"]
    poorer = dataclasses.replace(central_bank(), accounts={"reserves:1": 4_999})
    assert compare_reserves(poorer, bank()).difference_minor == 1


def test_reserves_are_compared_as_of_the_block_that_both_have_seen() -> None:
    ahead = dataclasses.replace(
        bank(),
        accounts={"reserves": 4_800},
        reserve_movements=(("reserves", 9, -200), ("reserves", 4, -1_000)),
    )
    behind = dataclasses.replace(central_bank(), final_block=8)
    assert compare_reserves(behind, ahead).difference_minor == 0
    assert compare_reserves(central_bank(), ahead).difference_minor == -200
