"""Signing transactions: byte for byte as eth-account does, one nonce for one id, only enumerated calls."""

import hashlib
import uuid
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from node_builders import (
    CHAIN_ID,
    CONTRACT,
    DOMAIN_NAME,
    INSTITUTION_SECRET,
    NO_QUORUM,
    NOTARY,
    STRANGER,
    Home,
    sign_one,
    transaction,
)

from contracts.abi import encode_increase_mint_allowance, encode_mint, encode_set_tier, encode_settle
from contracts.access_lists import IMPLEMENTATION_SLOT, MAX_LISTED_ACCOUNTS, account_slot
from contracts.batch import Record, pack
from contracts.notary import LEDGER_LOG, SIGNER_LOG, encode_anchor
from contracts.transactions import Transaction as ContractTransaction
from wallet_node.deployment import Binding, bind
from wallet_node.errors import MalformedRequest, RefusedByNode
from wallet_node.node import WalletNode
from wallet_node.signers.transactions import hash_call

MINT = "0x" + encode_mint(7).hex()
SETTLE = "0x" + encode_settle(pack([Record(b"\x0b" * 20, 7, 0, b"\x01" * 32, b"\x02" * 32)]), 2**31).hex()


def oracle(
    asked: dict[str, Any],
    nonce: int,
    secret: bytes = INSTITUTION_SECRET,
    access_list: list[dict[str, Any]] | None = None,
) -> tuple[str, str]:
    signed = Account.sign_transaction(
        {
            "type": 2,
            "chainId": asked["chain_id"],
            "nonce": nonce,
            "to": asked["to"],
            "value": asked["value"],
            "data": asked["data"],
            "gas": asked["gas"],
            "maxFeePerGas": asked["max_fee_per_gas"],
            "maxPriorityFeePerGas": asked["max_priority_fee_per_gas"],
            "accessList": access_list or [],
        },
        secret,
    )
    return "0x" + signed.raw_transaction.hex(), "0x" + signed.hash.hex()


def refusals(node: WalletNode, asked: dict[str, Any]) -> list[str]:
    with pytest.raises(RefusedByNode) as refused:
        sign_one(node, asked)
    assert refused.value.code == refused.value.reasons[0].code
    return [reason.code for reason in refused.value.reasons]


def test_raw_bytes_equal_eth_accounts_also_with_leading_zeros(home: Home) -> None:
    node = home.open()
    has_short_r = has_short_s = False
    for nonce in range(300):
        asked = transaction("0x" + encode_mint(nonce).hex(), max_fee_per_gas=nonce * 10**7 + 10**9)
        answer = sign_one(node, asked)
        assert answer["nonce"] == nonce
        assert (answer["raw"], answer["hash"]) == oracle(asked, nonce)
        raw = bytes.fromhex(answer["raw"][2:])
        # ... | y parity | 0xa0 r(32) | 0xa0 s(32): a shorter r or s shows as another length prefix
        has_short_s = has_short_s or raw[-33] != 0xA0
        has_short_r = has_short_r or (raw[-33] == 0xA0 and raw[-66] != 0xA0)
    assert has_short_r, "no r with a leading zero in this run"
    assert has_short_s, "no s with a leading zero in this run"


@pytest.mark.parametrize("size", [0, 1, 51, 52, 55, 56, 250, 255, 256, 65_535, 65_536])
def test_data_of_every_length_class_is_encoded_as_eth_account_does(size: int) -> None:
    from wallet_node.keystore.software_key import SoftwareKey

    asked = transaction("0x" + "5a" * size)
    unsigned = ContractTransaction(
        CHAIN_ID,
        0,
        asked["max_priority_fee_per_gas"],
        asked["max_fee_per_gas"],
        asked["gas"],
        bytes.fromhex(asked["to"][2:]),
        0,
        b"\x5a" * size,
    )
    raw, transaction_hash = unsigned.signed(
        SoftwareKey(INSTITUTION_SECRET).sign_digest(unsigned.signing_hash)
    )
    assert ("0x" + raw.hex(), "0x" + transaction_hash.hex()) == oracle(asked, 0)


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 2**63 - 1])
def test_integers_have_no_leading_zeros_in_any_field(value: int) -> None:
    unsigned = ContractTransaction(CHAIN_ID, value, value, value, 21_000 + value, b"\x11" * 20, value, b"")
    from wallet_node.keystore.software_key import SoftwareKey

    raw, transaction_hash = unsigned.signed(
        SoftwareKey(INSTITUTION_SECRET).sign_digest(unsigned.signing_hash)
    )
    asked = transaction(
        "0x",
        to="0x" + "11" * 20,
        value=value,
        gas=21_000 + value,
        max_fee_per_gas=value,
        max_priority_fee_per_gas=value,
    )
    assert ("0x" + raw.hex(), "0x" + transaction_hash.hex()) == oracle(asked, value)


def test_nonces_grow_by_one_for_each_key(home: Home) -> None:
    node = home.open(NO_QUORUM, names=("governor", "issuer", "pauser"))
    tier = "0x" + encode_set_tier(1, 10, 5, 7).hex()
    allowance = "0x" + encode_increase_mint_allowance(1, 5).hex()
    asked = [("governor", tier), ("issuer", allowance), ("governor", tier), ("issuer", allowance)]
    nonces = [sign_one(node, transaction(data, key))["nonce"] for key, data in asked]
    assert nonces == [0, 0, 1, 1]


def test_the_same_id_gives_the_same_bytes_also_after_a_restart(home: Home) -> None:
    node = home.open()
    asked = transaction(MINT)
    first = sign_one(node, asked)
    sign_one(node, transaction(MINT))
    assert sign_one(node, asked) == first
    assert sign_one(home.open(), asked) == first


def test_rising_fees_replace_under_the_same_nonce_and_falling_ones_give_the_last_bytes(home: Home) -> None:
    node = home.open()
    asked = transaction(MINT)
    sign_one(node, asked)
    dearer = asked | {"max_fee_per_gas": 3_000_000_000, "max_priority_fee_per_gas": 1_500_000_000}
    replaced = sign_one(node, dearer)
    assert (replaced["raw"], replaced["hash"]) == oracle(dearer, 0)
    assert sign_one(home.open(), asked) == replaced
    assert home.opened[-1].readiness()["journal_rows"] == 2


@pytest.mark.parametrize(
    "changes", [{"to": STRANGER}, {"value": 1}, {"data": MINT + "01"}, {"gas": 100_001}, {"key": "issuer"}]
)
def test_other_content_under_a_known_id_is_refused(home: Home, changes: dict[str, Any]) -> None:
    node = home.open(names=("institution", "issuer"))
    asked = transaction(MINT)
    sign_one(node, asked)
    assert refusals(node, asked | changes) == ["TransactionIdReused"]
    assert refusals(node, asked | changes | {"max_fee_per_gas": 10**10}) == ["TransactionIdReused"]


def test_a_replacement_is_judged_by_policy_too(home: Home) -> None:
    node = home.open()
    asked = transaction(MINT)
    sign_one(node, asked)
    assert refusals(node, asked | {"max_fee_per_gas": 10**14 + 1}) == ["FeeTooHigh"]
    assert refusals(node, asked | {"max_priority_fee_per_gas": 2_000_000_001}) == ["PriorityFeeTooHigh"]


def test_a_floor_lifts_the_nonce_within_its_bound(home: Home) -> None:
    node = home.open()
    assert sign_one(node, transaction(MINT, nonce_floor=7))["nonce"] == 7
    assert sign_one(node, transaction(MINT, nonce_floor=2))["nonce"] == 8
    assert refusals(node, transaction(MINT, nonce_floor=1010)) == ["NonceFloorTooFar"]
    assert sign_one(node, transaction(MINT, nonce_floor=1009))["nonce"] == 1009


def test_a_refused_call_takes_no_nonce_and_gives_every_reason(home: Home) -> None:
    node = home.open()
    asked = transaction(MINT, value=1, gas=2 * 10**9, max_priority_fee_per_gas=10**10, nonce_floor=5000)
    assert refusals(node, asked) == [
        "ValueNotAllowed",
        "GasTooHigh",
        "PriorityFeeTooHigh",
        "NonceFloorTooFar",
    ]
    assert sign_one(node, transaction(MINT))["nonce"] == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "governor"}, "UnknownKey"),
        ({"chain_id": 1}, "WrongDeployment"),
        ({"to": STRANGER}, "NoRuleAllows"),
        ({"data": "0x"}, "NoRuleAllows"),
        ({"data": "0xdeadbeef"}, "NoRuleAllows"),
        ({"max_priority_fee_per_gas": 2_000_000_001}, "PriorityFeeTooHigh"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_code(home: Home, changes: dict[str, Any], code: str) -> None:
    node = home.open()
    asked = transaction(MINT) | changes
    assert refusals(node, asked) == [code]
    # another chain is the whole request's fault, and lower fees make the same call good: no decision
    assert node.readiness()["journal_rows"] == (code not in {"WrongDeployment", "PriorityFeeTooHigh"})
    assert refusals(node, asked) == [code]


def test_a_refused_id_is_refused_for_ever_and_takes_one_row(home: Home) -> None:
    node = home.open()
    asked = transaction(MINT, value=1)
    assert refusals(node, asked) == ["ValueNotAllowed"]
    for restarts in (False, True):
        again = home.open() if restarts else node
        for bent in (asked, asked | {"value": 0}, asked | {"nonce_floor": 7}):
            assert refusals(again, bent) == ["ValueNotAllowed"]
        assert again.readiness()["journal_rows"] == 1
    assert sign_one(home.opened[-1], transaction(MINT))["nonce"] == 0


def test_fees_that_are_too_high_do_not_spoil_an_id(home: Home) -> None:
    node = home.open()
    asked = transaction(MINT)
    assert refusals(node, asked | {"max_fee_per_gas": 10**15}) == ["FeeTooHigh"]
    assert node.readiness()["journal_rows"] == 0
    first = sign_one(node, asked)
    assert refusals(node, asked | {"max_fee_per_gas": 10**15}) == ["FeeTooHigh"]
    assert refusals(node, asked | {"max_fee_per_gas": 10**15 + 1}) == ["FeeTooHigh"]
    assert node.readiness()["journal_rows"] == 2, "one row says that a raise was refused"
    assert sign_one(node, asked) == first


def test_payments_and_transactions_of_one_key_have_nonces_of_their_own(home: Home) -> None:
    from node_builders import batch, customers, payment, sign

    node = home.open()
    bank = node.keys()["keys"]["institution"]
    payee = customers(node, 1)[0]
    assert sign_one(node, transaction(MINT))["nonce"] == 0
    assert sign(node, batch(payment(bank, payee)))[0]["nonce"] == 0
    assert sign_one(node, transaction(MINT, transaction_id=str(uuid.uuid4()), to=CONTRACT))["nonce"] == 1


def anchor(log: bytes, size: int, root: bytes, **changes: Any) -> dict[str, Any]:
    return transaction("0x" + encode_anchor(log, size, root).hex(), **({"to": NOTARY} | changes))


def journal(node: WalletNode) -> tuple[int, bytes]:
    answer = node.journal()
    return answer["size"], bytes.fromhex(answer["root"][2:])


def test_an_anchor_of_the_ledger_is_signed_for_the_notary_alone(home: Home) -> None:
    node = home.open()
    asked = anchor(LEDGER_LOG, 3, b"\x07" * 32)
    assert sign_one(node, asked)["nonce"] == 0
    for other in (CONTRACT, STRANGER):
        assert refusals(node, asked | {"to": other, "transaction_id": str(uuid.uuid4())}) == ["NoRuleAllows"]


def test_of_its_own_journal_the_node_anchors_nothing_but_the_truth(home: Home) -> None:
    node = home.open()
    assert journal(node) == (0, sha256(b"").digest())
    for _ in range(3):
        sign_one(node, transaction(MINT))
    size, root = journal(node)
    assert size == 3
    sign_one(node, anchor(SIGNER_LOG, size, root))
    assert journal(node)[0] == 4, "the signature of the anchor is a row of its own"
    for wrong in (
        (size, b"\x07" * 32),
        (size + 1, root),
        (size - 1, root),
        (5, root),
        (0, bytes(32)),
        (0, sha256(b"").digest()),
        (2**64 - 1, root),
    ):
        assert refusals(node, anchor(SIGNER_LOG, *wrong)) == ["JournalDiffers"]
    sign_one(node, anchor(SIGNER_LOG, size, root, max_fee_per_gas=10**10))


def test_an_anchor_of_what_the_journal_was_is_signed_again_for_a_higher_fee_and_after_a_restart(
    home: Home,
) -> None:
    node = home.open()
    sign_one(node, transaction(MINT))
    asked = anchor(SIGNER_LOG, *journal(node))
    first = sign_one(node, asked)
    sign_one(node, transaction(MINT))
    node = home.open()
    assert sign_one(node, asked) == first
    assert sign_one(node, asked | {"max_fee_per_gas": 10**10})["nonce"] == first["nonce"]


def test_a_node_that_is_bound_to_no_notary_anchors_nothing(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.mkdir(mode=0o700)
    bind(path, Binding(CHAIN_ID, CONTRACT, DOMAIN_NAME))
    old = Home(path)
    node = old.open()
    assert sign_one(node, transaction(MINT))["nonce"] == 0
    assert refusals(node, anchor(LEDGER_LOG, 3, b"\x07" * 32)) == ["NoRuleAllows"]
    assert refusals(node, anchor(LEDGER_LOG, 3, b"\x07" * 32, to="0x" + "00" * 20)) == ["NoRuleAllows"]
    old.close()


# Access lists

ACCOUNTS = [bytes([index]) * 20 for index in range(1, 31)]


def packed(*accounts: bytes) -> str:
    return "0x" + b"".join(accounts).hex()


def test_listed_accounts_become_the_list_of_their_storage_in_the_currency(home: Home) -> None:
    node = home.open()
    sender = bytes.fromhex(node.keys()["keys"]["institution"][2:])
    asked = transaction(SETTLE, listed_accounts=packed(*ACCOUNTS))
    slots = [IMPLEMENTATION_SLOT, *map(account_slot, sorted([*ACCOUNTS, sender]))]
    named = [{"address": CONTRACT, "storageKeys": ["0x" + slot.hex() for slot in slots]}]
    answer = sign_one(node, asked)
    assert (answer["raw"], answer["hash"]) == oracle(asked, 0, access_list=named)
    among = transaction(SETTLE, listed_accounts=packed(*sorted([*ACCOUNTS, sender])))
    answer = sign_one(node, among)
    assert (answer["raw"], answer["hash"]) == oracle(among, 1, access_list=named), "the sender is named once"


def test_no_listed_accounts_are_no_list(home: Home) -> None:
    asked = transaction(SETTLE, listed_accounts="0x")
    assert sign_one(home.open(), asked)["raw"] == oracle(asked, 0)[0]


def test_a_listed_call_gives_the_same_bytes_after_a_restart_and_keeps_its_list_for_a_higher_fee(
    home: Home,
) -> None:
    asked = transaction(SETTLE, listed_accounts=packed(*ACCOUNTS))
    first = sign_one(home.open(), asked)
    node = home.open()
    assert sign_one(node, asked) == first
    raised = sign_one(node, asked | {"max_fee_per_gas": 3_000_000_000})
    assert raised["nonce"] == first["nonce"]
    assert all(account_slot(account).hex() in raised["raw"] for account in ACCOUNTS)


@pytest.mark.parametrize(("first", "then"), [(30, 29), (30, 0), (0, 30)])
def test_another_list_under_a_known_id_is_refused(home: Home, first: int, then: int) -> None:
    node = home.open()
    asked = transaction(SETTLE, listed_accounts=packed(*ACCOUNTS[:first]))
    sign_one(node, asked)
    other = asked | {"listed_accounts": packed(*ACCOUNTS[:then])}
    assert refusals(node, other) == ["TransactionIdReused"]
    assert refusals(node, other | {"max_fee_per_gas": 10**10}) == ["TransactionIdReused"]


@pytest.mark.parametrize(
    "accounts",
    [
        [ACCOUNTS[0], ACCOUNTS[0]],
        [ACCOUNTS[1], ACCOUNTS[0]],
        [*ACCOUNTS, ACCOUNTS[29]],
        [*ACCOUNTS, bytes(20)],
    ],
)
def test_accounts_that_are_not_each_once_and_in_order_are_refused(home: Home, accounts: list[bytes]) -> None:
    node = home.open()
    asked = transaction(SETTLE, listed_accounts=packed(*accounts))
    assert refusals(node, asked) == ["ListedAccountsNotAscending"]
    assert sign_one(node, transaction(SETTLE))["nonce"] == 0, "it took no nonce"


def test_a_list_goes_to_the_currency_alone(home: Home) -> None:
    node = home.open()
    listed = packed(*ACCOUNTS)
    asked = anchor(LEDGER_LOG, 3, b"\x07" * 32, listed_accounts=listed)
    assert refusals(node, asked) == ["AccessListNotAllowed"]
    assert refusals(node, transaction(SETTLE, to=STRANGER, listed_accounts=listed)) == [
        "NoRuleAllows",
        "AccessListNotAllowed",
    ]


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "0x1",
        "0x" + "11" * 19,
        "0x" + "11" * 21,
        packed(*ACCOUNTS) + "0",
        packed(*ACCOUNTS)[2:],
        "0x" + "1g" * 20,
        packed(*ACCOUNTS) + "\n",
        None,
        ["0x" + "11" * 20],
        [{"address": CONTRACT, "storageKeys": ["0x" + "22" * 32]}],
        packed(*(index.to_bytes(20) for index in range(MAX_LISTED_ACCOUNTS + 1))),
    ],
)
def test_what_is_not_whole_addresses_or_too_many_is_malformed(home: Home, listed: object) -> None:
    node = home.open()
    with pytest.raises(MalformedRequest):
        sign_one(node, transaction(SETTLE, listed_accounts=listed))
    assert node.readiness()["journal_rows"] == 0


def test_as_many_as_fit_a_transaction_are_signed(home: Home) -> None:
    most = packed(*(index.to_bytes(20) for index in range(1, MAX_LISTED_ACCOUNTS + 1)))
    raw = sign_one(home.open(), transaction(SETTLE, listed_accounts=most))["raw"]
    # what is left of 128 KiB is the call's own (contracts.access_lists takes the records off)
    assert len(raw) // 2 - 1 <= 128 * 1024 + len(bytes.fromhex(SETTLE[2:]))


def test_an_id_without_a_list_is_bound_to_what_it_always_was() -> None:
    """Journals written before there were lists: what they recorded is signed again after an upgrade."""
    gas, data = 100_000, bytes.fromhex(SETTLE[2:])
    assert hash_call(gas, data, b"") == hashlib.sha256(gas.to_bytes(8) + data).digest()


def test_no_two_calls_share_what_their_id_is_bound_to() -> None:
    """Wherever gas, data and accounts meet, the same bytes are hashed for one call only."""
    parts = ACCOUNTS[0] + (20).to_bytes(8) + (7).to_bytes(8) + b"\xff" * 8
    calls = [
        (gas, data, listed)
        for gas in (0, 7, 20, 2**63 - 1)
        for data in (b"", parts, parts[:20], parts[20:], b"\xff" * 8 + parts)
        for listed in (b"", ACCOUNTS[0], b"\xff" * 20, ACCOUNTS[0] + ACCOUNTS[1])
    ]
    hashed = sorted(hash_call(*call) for call in calls)
    assert all(first != second for first, second in pairwise(hashed))
