"""web3signer's wire: its shapes and numbers, our policy, journal and nonces."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from coincurve import PrivateKey, PublicKey
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_builders import (
    CHAIN_ID,
    CONTRACT,
    DOMAIN,
    INSTITUTION_SECRET,
    NO_PROOF,
    NO_QUORUM,
    NOW_S,
    STRANGER,
    VALID_BEFORE_S,
    Home,
    batch,
    customers,
    known_secrets,
    payment,
    sign,
    sign_one,
    transaction,
)
from officers_word import approve
from typed_data_requests import asking, cancellation, policy_text
from typed_data_requests import sign as sign_structure

from contracts.abi import encode_mint, encode_pause, encode_settle
from contracts.access_lists import access_list, accounts_to_list
from contracts.batch import Record, pack
from contracts.typed_data import payment_digest, payment_typed_data
from wallet_node.callers import Caller
from wallet_node.errors import BlindSignatureRefused, MethodNotAllowed
from wallet_node.intents.requests import Transaction
from wallet_node.intents.typed_intents import AccountMove, CancelAuthorization, FanOut, Permit
from wallet_node.keystore.signatures import compact
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy
from wallet_node.web3signer.transaction_json import parse_transaction, transaction_intent
from wallet_node.web3signer.typed_documents import document_of
from wallet_node.web3signer.wire import MOST_CALLS, Web3SignerWire

BANK = Account.from_key(INSTITUTION_SECRET)
MINT = "0x" + encode_mint(5).hex()


def asked(**changes: Any) -> dict[str, Any]:
    return {
        "from": BANK.address,
        "to": CONTRACT,
        "nonce": "0x0",
        "gas": "0x186a0",
        "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x3b9aca00",
        "data": MINT,
    } | changes


def post(wire: Web3SignerWire, body: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = wire.answer("POST", "/", raw)
    assert answer is not None
    status, content_type, content = answer
    assert content_type == "application/json"
    return status, json.loads(content)


def call(wire: Web3SignerWire, method: str, *params: Any) -> Any:
    """The result of a call that must succeed."""
    status, said = post(wire, {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)})
    assert status == 200, said
    assert said.keys() == {"jsonrpc", "id", "result"}, said
    assert (said["jsonrpc"], said["id"]) == ("2.0", 7)
    return said["result"]


def error(wire: Web3SignerWire, method: str, *params: Any) -> tuple[int, int, str, str]:
    """Status, number, message and our stable code of a call that must fail."""
    status, said = post(wire, {"jsonrpc": "2.0", "id": "a", "method": method, "params": list(params)})
    assert said.keys() == {"jsonrpc", "id", "error"}, said
    assert said["id"] == "a"
    found = said["error"]
    assert found["data"]["detail"]
    return status, found["code"], found["message"], found["data"]["code"]


def code(wire: Web3SignerWire, **changes: Any) -> str:
    return error(wire, "eth_signTransaction", asked(**changes))[3]


def rows(node: WalletNode) -> int:
    """How many signatures the journal has; refusals are rows as well."""
    entries = node._store.query("SELECT entry FROM journal")
    return sum(1 for (entry,) in entries if b"-signed" in entry)


@pytest.fixture
def wire(home: Home) -> Web3SignerWire:
    return Web3SignerWire(home.open())


@pytest.fixture
def node(wire: Web3SignerWire, home: Home) -> WalletNode:
    return home.opened[-1]


# --- transactions -------------------------------------------------------------------------------------------


def oracle(given: dict[str, Any], listed: Any = ()) -> str:
    fields = {name: value for name, value in given.items() if name != "from"}
    signed = BANK.sign_transaction(fields | {"type": 2, "chainId": CHAIN_ID, "accessList": list(listed)})
    return "0x" + signed.raw_transaction.hex()


def test_the_bytes_are_eth_accounts_also_with_leading_zeros_in_r_or_s(wire: Web3SignerWire) -> None:
    seen = set()
    for number in range(300):
        given = asked(nonce=hex(number), data="0x" + encode_mint(number).hex())
        raw = call(wire, "eth_signTransaction", given)
        assert raw == oracle(given)
        tail = bytes.fromhex(raw[-68 * 2 :])
        # ... | 0xa0 r 32 | 0xa0 s 32: a shorter one shows as another length prefix
        seen.add((tail[2] == 0xA0, tail[35] == 0xA0))
    assert {(True, True), (False, True)} <= seen, "an r without a leading zero, and one with"
    assert any(not has_long_s for _, has_long_s in seen), "an s with a leading zero"


def test_the_same_transaction_gives_the_same_bytes_also_after_a_restart(
    wire: Web3SignerWire, home: Home
) -> None:
    first = call(wire, "eth_signTransaction", asked())
    call(wire, "eth_signTransaction", asked(nonce="0x1"))
    assert call(wire, "eth_signTransaction", asked()) == first
    node = home.open()
    assert call(Web3SignerWire(node), "eth_signTransaction", asked()) == first
    assert rows(node) == 2


def test_higher_fees_replace_and_lower_ones_give_the_bytes_signed_last(
    wire: Web3SignerWire, node: WalletNode
) -> None:
    call(wire, "eth_signTransaction", asked())
    dearer = asked(maxFeePerGas="0xb2d05e00", maxPriorityFeePerGas="0x59682f00")
    replaced = call(wire, "eth_signTransaction", dearer)
    assert replaced == oracle(dearer)
    assert call(wire, "eth_signTransaction", asked()) == replaced
    assert rows(node) == 2


def test_a_nonce_is_used_for_one_content(wire: Web3SignerWire, node: WalletNode) -> None:
    call(wire, "eth_signTransaction", asked(nonce="0x5"))
    for other in ({"data": MINT[:-1] + "6"}, {"gas": "0x186a1"}):
        assert error(wire, "eth_signTransaction", asked(nonce="0x5", **other)) == (
            200,
            -32001,
            "Nonce too low",
            "NonceConflict",
        )
    for below in ("0x0", "0x4"):
        assert code(wire, nonce=below) == "NonceConflict"
    assert rows(node) == 1
    assert call(wire, "eth_signTransaction", asked(nonce="0x6")) == oracle(asked(nonce="0x6"))


def test_the_nodes_other_callers_share_the_row_of_nonces(wire: Web3SignerWire, node: WalletNode) -> None:
    assert sign_one(node, transaction(MINT))["nonce"] == 0
    assert code(wire) == "NonceConflict"
    call(wire, "eth_signTransaction", asked(nonce="0x1"))
    assert sign_one(node, transaction(MINT))["nonce"] == 2


def test_an_id_that_another_caller_took_under_another_nonce_is_a_conflict(
    wire: Web3SignerWire, node: WalletNode
) -> None:
    sign_one(node, transaction(MINT))
    derived = transaction_intent(parse_transaction(asked(), CHAIN_ID), "institution", CHAIN_ID, b"")
    taken = transaction(MINT, transaction_id=derived.transaction_id)
    assert sign_one(node, taken)["nonce"] == 1
    assert code(wire) == "NonceConflict", "the id has the nonce 1, and 0 was asked for"


def test_a_nonce_too_far_ahead_is_incorrect(wire: Web3SignerWire, node: WalletNode) -> None:
    far = error(wire, "eth_signTransaction", asked(nonce="0x3e9"))
    assert far == (200, -32006, "Incorrect nonce", "NonceFloorTooFar")
    assert rows(node) == 0
    call(wire, "eth_signTransaction", asked(nonce="0x3e8"))
    call(wire, "eth_signTransaction", asked(nonce="0x3e9"))


def test_policy_judges_as_it_does_every_caller(wire: Web3SignerWire, node: WalletNode) -> None:
    refused = error(wire, "eth_signTransaction", asked(data="0x" + encode_pause().hex()))
    assert refused == (200, -32007, "Sender account not authorized to send transactions", "NoRuleAllows")
    assert code(wire, to=STRANGER) == "NoRuleAllows"
    assert code(wire, value="0x1") == "ValueNotAllowed"
    assert code(wire, maxFeePerGas=hex(10**14 + 1)) == "FeeTooHigh"
    assert code(wire, maxPriorityFeePerGas="0x77359401") == "PriorityFeeTooHigh"
    assert rows(node) == 0
    assert node.refusals["NoRuleAllows"] == 2
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction"}
    _, said = post(wire, request | {"params": [asked(value="0x1", gas=hex(2 * 10**9))]})
    reasons = said["error"]["data"]["reasons"]
    assert [each["code"] for each in reasons] == ["ValueNotAllowed", "GasTooHigh"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chainId": "0x1"}, (200, -32000, "Wrong chainId", "WrongDeployment")),
        ({"from": STRANGER}, (200, -32000, "No unlocked account matches the Sender", "UnknownAccount")),
        ({"gas": "0x0186a0"}, (400, -32602, "Invalid params", "MalformedTransaction")),
        ({"nonce": None}, (400, -32602, "Invalid params", "MalformedTransaction")),
        ({"input": "0x"}, (400, -32602, "Invalid params", "MalformedTransaction")),
        ({"gasPrice": "0x1"}, (400, -32602, "Invalid params", "LegacyTransaction")),
        ({"extra": "0x1"}, (400, -32602, "Invalid params", "MalformedTransaction")),
        (
            {"accessList": [{"address": CONTRACT, "storageKeys": []}]},
            (400, -32602, "Invalid params", "AccessListDiffers"),
        ),
    ],
)
def test_what_web3signer_would_fill_in_or_drop_is_refused(
    wire: Web3SignerWire, node: WalletNode, changes: dict[str, Any], expected: tuple[int, int, str, str]
) -> None:
    assert error(wire, "eth_signTransaction", asked(**changes)) == expected
    assert rows(node) == 0
    assert node.refusals[expected[3]] == 1


def test_the_nodes_own_access_list_is_signed_with_the_call(wire: Web3SignerWire) -> None:
    keys = [SoftwareKey(bytes([number]) * 32) for number in range(1, 31)]
    records = []
    for number, key in enumerate(keys):
        payee = bytes([0x80 + number]) * 20
        hashed = payment_digest(DOMAIN.separator, payee, 5, 0, VALID_BEFORE_S)
        signature = compact(key.sign_digest(hashed))
        records.append(Record(payee, 5, 0, signature[:32], signature[32:]))
    data = encode_settle(pack(records), VALID_BEFORE_S)
    parties = {key.address for key in keys} | {record.payee for record in records}
    bank = bytes.fromhex(BANK.address[2:])
    own = access_list(DOMAIN.contract, bank, accounts_to_list(parties, len(data)))
    listed = [
        {"address": "0x" + address.hex(), "storageKeys": ["0x" + slot.hex() for slot in slots]}
        for address, slots in own
    ]
    given = asked(data="0x" + data.hex())
    assert call(wire, "eth_signTransaction", given | {"accessList": listed}) == oracle(given, listed)
    assert code(wire, data="0x" + data.hex()) == "NonceConflict", "without a list it is another content"


@pytest.mark.parametrize("params", [[], [asked(), "0x1"], [[asked()]], {}, None, [None], "0x", [5]])
def test_other_parameters_are_invalid(wire: Web3SignerWire, params: Any) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": params}
    status, said = post(wire, request)
    assert (status, said["error"]["code"]) == (400, -32602)


def test_a_transaction_that_waits_for_officers_says_so(home: Home) -> None:
    class Awaiting(WalletNode):
        """A node under a policy whose officers have not approved yet."""

        def sign_transaction(
            self, intent: Transaction, caller: Caller | None = None
        ) -> tuple[int, dict[str, Any]]:
            waiting = {"state": "pending", "operation_id": intent.transaction_id, "approvals": 1, "needed": 2}
            return 202, waiting

    node = Awaiting(home.path, known_secrets(), Policy(NO_PROOF), home.clock)
    home.opened.append(node)
    wire = Web3SignerWire(node)
    assert error(wire, "eth_signTransaction", asked()) == (
        200,
        -32007,
        "Sender account not authorized to send transactions",
        "ApprovalPending",
    )
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": [asked()]}
    reasons = [each["detail"] for each in post(wire, request)[1]["error"]["data"]["reasons"]]
    assert "needed: 2" in reasons


def test_a_store_that_cannot_be_written_is_an_internal_error_and_nothing_is_signed(
    wire: Web3SignerWire, node: WalletNode
) -> None:
    node._store.connection.execute("PRAGMA query_only = ON")
    assert error(wire, "eth_signTransaction", asked()) == (
        200,
        -32603,
        "Internal error",
        "JournalUnavailable",
    )
    node._store.connection.execute("PRAGMA query_only = OFF")
    assert call(wire, "eth_signTransaction", asked()) == oracle(asked())
    node._store.connection.close()
    assert error(wire, "eth_signTransaction", asked())[1:4:2] == (-32603, "JournalUnavailable")
    node._store.connection = sqlite3.connect(":memory:")


# --- typed data ---------------------------------------------------------------------------------------------


def payment_document(nonce: int = 0, amount: int = 100, valid_before_s: int = VALID_BEFORE_S) -> Any:
    return payment_typed_data(DOMAIN, bytes.fromhex(STRANGER[2:]), amount, nonce, valid_before_s)


@pytest.mark.parametrize("method", ["eth_signTypedData", "eth_signTypedData_v4"])
@pytest.mark.parametrize("form", [lambda document: document, json.dumps])
def test_a_payments_document_is_signed_as_the_payment_that_it_is(
    wire: Web3SignerWire, node: WalletNode, method: str, form: Callable[[Any], Any]
) -> None:
    payer = customers(node, 1)[0]
    signature = bytes.fromhex(call(wire, method, payer, form(payment_document()))[2:])
    theirs = Account.recover_message(encode_typed_data(full_message=payment_document()), signature=signature)
    assert theirs == payer
    assert signature[64] in (27, 28)
    assert rows(node) == 1
    assert call(wire, method, payer.lower(), form(payment_document())) == "0x" + signature.hex()
    assert rows(node) == 1
    assert sign(node, batch(payment(payer)))[0]["nonce"] == 1


def test_a_payments_nonce_is_used_for_one_payment(wire: Web3SignerWire, node: WalletNode) -> None:
    payer = customers(node, 1)[0]
    method = "eth_signTypedData_v4"
    first = call(wire, method, payer, payment_document(nonce=3))
    later = call(wire, method, payer, payment_document(nonce=3, valid_before_s=VALID_BEFORE_S + 1))
    assert later != first
    assert call(wire, method, payer, payment_document(nonce=3)) == first
    assert error(wire, method, payer, payment_document(nonce=3, amount=101))[3] == "NonceConflict"
    assert error(wire, method, payer, payment_document(nonce=2))[3] == "NonceConflict"
    far = error(wire, method, payer, payment_document(nonce=5000))
    assert far[1:] == (-32006, "Incorrect nonce", "NonceFloorTooFar")
    earlier = payment_document(nonce=3, valid_before_s=VALID_BEFORE_S - 1)
    assert error(wire, method, payer, earlier)[3] == "AttemptOutOfOrder"
    assert rows(node) == 2


def test_payments_are_judged_by_policy_and_payers_must_be_known(
    wire: Web3SignerWire, node: WalletNode
) -> None:
    method = "eth_signTypedData_v4"
    refused = error(wire, method, BANK.address, payment_document())
    assert (refused[1], refused[3]) == (-32007, "PayeeNotOwnCustomer")
    assert node.refusals["PayeeNotOwnCustomer"] == 1, "it is counted once"
    unknown = error(wire, method, STRANGER, payment_document())
    assert unknown == (200, -32000, "No unlocked account matches the Sender", "UnknownPayer")
    payer = customers(node, 1)[0]
    far = payment_document(valid_before_s=NOW_S + 10**8)
    assert error(wire, method, payer, far)[3] == "ValidBeforeTooFar"
    for time_s in (1, 1_577_836_800, 2**40 - 1):
        assert error(wire, method, payer, payment_document(valid_before_s=time_s))[3] == "UnknownTypedData"
    assert rows(node) == 0


def test_a_document_of_another_domain_or_type_is_refused(wire: Web3SignerWire, node: WalletNode) -> None:
    payer = customers(node, 1)[0]
    other = payment_document()
    other["domain"]["chainId"] = 1
    for document in (other, {}, "{", 5, None, payment_document() | {"primaryType": "Mail"}):
        assert error(wire, "eth_signTypedData_v4", payer, document) == (
            400,
            -32602,
            "Invalid params",
            "UnknownTypedData",
        )
    assert rows(node) == 0


@pytest.mark.parametrize(
    "params",
    [
        [],
        [STRANGER],
        [payment_document(), STRANGER],
        ["0x", payment_document()],
        [STRANGER, {}, "V4"],
        [5, {}],
    ],
)
def test_typed_data_has_an_address_and_a_document(wire: Web3SignerWire, params: list[Any]) -> None:
    assert error(wire, "eth_signTypedData_v4", *params)[::3] == (400, "MalformedRequest")


STRUCTURES = {
    "fan-out": (FanOut, {"payer": BANK.address.lower(), "payments": "0x" + "ab" * 24 + "05", "nonce": 0}),
    "permit": (Permit, {"owner": BANK.address.lower(), "spender": STRANGER, "amount_minor": 7, "nonce": 0}),
    "move": (
        AccountMove,
        {"owner": BANK.address.lower(), "participant": 2, "tier": 1, "is_linked": True, "nonce": 0},
    ),
    "cancellation": (CancelAuthorization, {"authorizer": BANK.address.lower(), "nonce": "0x" + "77" * 32}),
}
UNTIL = {"fan-out": "valid_before_s", "permit": "deadline_s", "move": "valid_before_s"}


def structure(kind: str, until_s: int = VALID_BEFORE_S, **changes: Any) -> Any:
    made, fields = STRUCTURES[kind]
    times = {UNTIL[kind]: until_s} if kind in UNTIL else {}
    return made(**(fields | times | changes))


@pytest.fixture
def open_wire(home: Home) -> Web3SignerWire:
    """A node whose policy allows every structure."""
    return Web3SignerWire(home.open(policy_text()))


@pytest.mark.parametrize("kind", STRUCTURES)
def test_a_structures_document_is_signed_as_eth_account_signs_it(
    home: Home, open_wire: Web3SignerWire, kind: str
) -> None:
    document = document_of(structure(kind), DOMAIN)
    first = call(open_wire, "eth_signTypedData_v4", BANK.address, document)
    theirs = BANK.sign_typed_data(full_message=document)
    assert first == "0x" + theirs.signature.hex()
    again = Web3SignerWire(home.open(policy_text()))
    assert call(again, "eth_signTypedData_v4", BANK.address, document) == first
    assert rows(home.opened[-1]) == 1


@pytest.mark.parametrize("kind", UNTIL)
def test_a_structure_is_signed_under_exactly_the_nonce_that_it_names(
    home: Home, open_wire: Web3SignerWire, kind: str
) -> None:
    def sent(**changes: Any) -> Any:
        document = document_of(structure(kind, **changes), DOMAIN)
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_signTypedData",
            "params": [BANK.address, document],
        }
        said = post(open_wire, request)[1]
        return said.get("result") or said["error"]["data"]["code"]

    first = sent(nonce=3)
    assert len(first) == 2 + 130
    assert sent(nonce=2) == "NonceConflict"
    other = {
        "fan-out": {"payments": "0x" + "ab" * 24 + "06"},
        "permit": {"amount_minor": 8},
        "move": {"tier": 2},
    }
    assert sent(nonce=3, **other[kind]) == "NonceConflict"
    assert sent(nonce=500) == "NonceFloorTooFar"
    assert len(sent(nonce=4)) == 2 + 130
    # A later time is a later attempt of the same; an earlier one comes out of order.
    home.clock.now_s += 10
    later = sent(nonce=3, until_s=VALID_BEFORE_S + 10)
    assert len(later) == 2 + 130
    assert later != first
    assert sent(nonce=3, until_s=VALID_BEFORE_S + 5) == "AttemptOutOfOrder"
    assert sent(nonce=3) == first
    assert sent(nonce=3, until_s=5) == "UnknownTypedData"


def test_a_random_nonce_that_another_id_has_is_taken(home: Home, open_wire: Web3SignerWire) -> None:
    ending = structure("cancellation")
    sign_structure(home.opened[-1], asking(cancellation(BANK.address, nonce=ending.nonce)))
    refused = error(open_wire, "eth_signTypedData_v4", BANK.address, document_of(ending, DOMAIN))
    assert refused == (200, -32001, "Nonce too low", "NonceTaken")


def test_under_a_policy_that_knows_no_structures_none_is_signed(
    wire: Web3SignerWire, node: WalletNode
) -> None:
    for kind in STRUCTURES:
        document = document_of(structure(kind), DOMAIN)
        assert error(wire, "eth_signTypedData_v4", BANK.address, document)[3] == "NoRuleAllows"
    assert rows(node) == 0


@pytest.mark.parametrize("kind", ["permit", "payment"])
def test_a_document_that_waits_for_officers_says_so_until_they_approve(home: Home, kind: str) -> None:
    every = "effect: allow, payer: any, payee: any, intents: [payment, permit], quorum: two"
    node = home.open(policy_text(f"payments: [{{name: asked, {every}}}]"))
    wire = Web3SignerWire(node)
    document = payment_document() if kind == "payment" else document_of(structure("permit"), DOMAIN)
    asked_for = ("eth_signTypedData_v4", BANK.address, document)
    assert error(wire, *asked_for)[1:] == (
        -32007,
        "Sender account not authorized to send transactions",
        "ApprovalPending",
    )
    (shown,) = node.operations()["operations"]
    approve(node, (202, {**shown, "state": "pending"}))
    signature = bytes.fromhex(call(wire, *asked_for)[2:])
    message = encode_typed_data(full_message=document)
    assert Account.recover_message(message, signature=signature) == BANK.address


# --- blind digests ------------------------------------------------------------------------------------------


def test_bytes_that_nobody_can_read_are_signed_in_no_way(wire: Web3SignerWire, node: WalletNode) -> None:
    blind = (200, -32604, "Method not enabled", "BlindSignatureRefused")
    assert error(wire, "eth_sign", BANK.address, "0x" + "11" * 32) == blind
    assert error(wire, "eth_sign") == blind
    for identifier in (BANK.address, "0x" + "11" * 64, "x/y", ""):
        with pytest.raises(BlindSignatureRefused):
            wire.answer("POST", f"/api/v1/eth1/sign/{identifier}", b'{"data":"0x1111"}')
    assert rows(node) == 0


# --- JSON-RPC itself ----------------------------------------------------------------------------------------


def test_accounts_are_the_institutional_keys_in_order(home: Home) -> None:
    node = home.open(NO_QUORUM, names=("governor", "issuer", "pauser"))
    wire = Web3SignerWire(node)
    addresses = call(wire, "eth_accounts")
    assert addresses == sorted(address.lower() for address in node.keys()["keys"].values())
    assert len(addresses) == 3
    assert error(wire, "eth_accounts", 1)[::3] == (400, "MalformedRequest")
    for params in ([], None):
        body = {"jsonrpc": "2.0", "id": None, "method": "eth_accounts", "params": params}
        assert post(wire, body)[1]["result"] == addresses
    assert post(wire, {"jsonrpc": "2.0", "method": "eth_accounts"})[1] == {
        "jsonrpc": "2.0",
        "id": None,
        "result": addresses,
    }


def test_the_chain_is_told_and_health_is_ok(wire: Web3SignerWire) -> None:
    assert call(wire, "eth_chainId") == hex(CHAIN_ID)
    assert call(wire, "health_status") == "OK"
    assert error(wire, "eth_chainId", 1)[::3] == (400, "MalformedRequest")


def test_methods_of_a_chain_are_not_found(wire: Web3SignerWire) -> None:
    for method in ("eth_sendTransaction", "eth_blockNumber", "personal_sign", ""):
        assert error(wire, method)[:4] == (200, -32601, "Method not found", "UnknownMethod")


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b'{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"eth_accounts"}', -32700),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"eth_accounts"}', -32700),
        (b"\xff", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700),  # half a character
        (b"[" * 5000, -32700),
        (b"1", -32600),
        (b"null", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"eth_accounts"}', -32600),
        (b'{"jsonrpc":"2.0","id":1}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
        (b'{"jsonrpc":"2.0","id":[],"method":"eth_accounts"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"eth_accounts"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"eth_accounts","extra":1}', -32600),
        (b"[" + b",".join([b"1"] * (MOST_CALLS + 1)) + b"]", -32600),
    ],
)
def test_what_is_no_call_is_answered_with_400(wire: Web3SignerWire, body: bytes, number: int) -> None:
    status, said = post(wire, body)
    assert (status, said["error"]["code"]) == (400, number)
    assert said["error"]["data"]["code"] == "MalformedRequest"


def test_a_refused_call_still_gets_its_id(wire: Web3SignerWire) -> None:
    for identifier in (5, "x", 2**80):
        assert post(wire, {"jsonrpc": "2.0", "id": identifier, "method": 5})[1]["id"] == identifier


def test_a_batch_is_answered_call_by_call_in_its_order(wire: Web3SignerWire, node: WalletNode) -> None:
    def request(number: int, method: str, *params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}

    status, said = post(
        wire,
        [
            request(1, "eth_signTransaction", asked()),
            request(2, "eth_sign"),
            5,
            request(3, "eth_signTransaction", asked(nonce="0x1")),
            request(4, "eth_signTransaction", asked(nonce="0x1", gas="0x186a1")),
            request(1, "eth_signTransaction", asked()),
        ],
    )
    assert status == 200
    assert [each["id"] for each in said] == [1, 2, None, 3, 4, 1]
    assert [each.get("result") is not None for each in said] == [True, False, False, True, False, True]
    assert [each["error"]["code"] for each in said if "error" in each] == [-32604, -32600, -32001]
    assert said[0] == said[5]
    assert rows(node) == 2


# --- REST ---------------------------------------------------------------------------------------------------


def test_public_keys_are_the_points_of_the_institutional_keys(wire: Web3SignerWire) -> None:
    answer = wire.answer("GET", "/api/v1/eth1/publicKeys", b"")
    assert answer is not None
    point = PrivateKey(INSTITUTION_SECRET).public_key.format(compressed=False)[1:]
    assert (answer[0], answer[1], json.loads(answer[2])) == (200, "application/json", ["0x" + point.hex()])
    assert PublicKey(b"\x04" + point) == PrivateKey(INSTITUTION_SECRET).public_key


def test_upcheck_is_ok_and_health_follows_the_self_test(wire: Web3SignerWire, node: WalletNode) -> None:
    assert wire.answer("GET", "/upcheck", b"") == (200, "text/plain; charset=utf-8", b"OK")
    for is_sound, status, word in ((True, 200, "UP"), (False, 503, "DOWN")):
        node.is_sound = is_sound
        answer = wire.answer("GET", "/healthcheck", b"")
        assert answer is not None
        said = json.loads(answer[2])
        assert (answer[0], said["status"], said["outcome"]) == (status, word, word)


def test_reload_says_that_nothing_is_reloaded(wire: Web3SignerWire) -> None:
    for method, word in (("POST", "completed"), ("GET", "idle")):
        answer = wire.answer(method, "/reload", b"")
        assert answer is not None
        assert (answer[0], json.loads(answer[2])["status"]) == (200, word)


def test_other_paths_are_not_the_wires_and_other_methods_are_refused(wire: Web3SignerWire) -> None:
    for path in (
        "/v1/keys",
        "",
        "//",
        "/api/v1/eth1",
        "/api/v1/eth1/sign",
        "/api/v1/eth2/sign/x",
        "/metrics",
    ):
        assert wire.answer("POST", path, b"") is None
    for method, path in (
        ("GET", "/"),
        ("PUT", "/"),
        ("POST", "/upcheck"),
        ("DELETE", "/reload"),
        ("GET", "/api/v1/eth1/sign/0x11"),
    ):
        with pytest.raises(MethodNotAllowed):
            wire.answer(method, path, b"")


# --- anything at all ----------------------------------------------------------------------------------------

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.just(BANK.address)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=5), st.sampled_from(list(asked()))), inner, max_size=4),
    ),
    max_leaves=10,
)
METHODS = st.sampled_from(
    ["eth_accounts", "eth_sign", "eth_signTransaction", "eth_signTypedData", "eth_signTypedData_v4", "x"]
)
CALLS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "id": st.integers(), "method": METHODS}, optional={"params": JSON}
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=60), JSON, CALLS, st.lists(st.one_of(CALLS, JSON), max_size=3)))
def test_any_body_is_answered_in_json_and_signs_nothing_that_was_not_asked(
    wire: Web3SignerWire, node: WalletNode, body: Any
) -> None:
    _, said = post(wire, body)
    for each in said if isinstance(said, list) else [said]:
        assert each["jsonrpc"] == "2.0"
        if "error" in each:
            assert each["error"]["code"] != -32603, each
            assert each["error"]["data"]["code"]
        else:
            assert each["result"] is not None
    assert rows(node) == 0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(0, 2)), max_size=12))
def test_whatever_is_asked_in_whatever_order_a_nonce_has_one_content(
    wire: Web3SignerWire, node: WalletNode, history: list[tuple[int, int, int]]
) -> None:
    first = node.nonce_for("transaction", "0" * 8 + "-0000-0000-0000-" + "0" * 12, SIGNER)[1]
    contents: dict[int, int] = {}
    for offset, content, fee in history:
        given = asked(
            nonce=hex(first + offset),
            data="0x" + encode_mint(1 + content).hex(),
            maxFeePerGas=hex(2 * 10**9 + fee * 10**8),
        )
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": [given]}
        said = post(wire, request)[1]
        if "result" in said:
            assert Account.recover_transaction(said["result"]) == BANK.address
            assert contents.setdefault(offset, content) == content
        else:
            assert said["error"]["data"]["code"] == "NonceConflict"
            assert contents.get(offset) != content
            assert contents


SIGNER = bytes.fromhex(BANK.address[2:])
