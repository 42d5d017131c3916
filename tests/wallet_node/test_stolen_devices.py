"""A stolen device: its credential is unbound, and the mandates that it may have given end with it.

a change of credentials that ends mandates
├── ends those of the wallet that stand, in the same commit, each with its row; none of another wallet
├── by a credential that is bound, which approves that as well; or by the quorum, which is told
├── ends nothing unless asked, and nothing when it is not made
├── and what is registered afterwards, under what is bound then, stands
└── unbinds something
"""

import uuid
from typing import Any

import msgspec
import pytest
from node_builders import DOMAIN, NOW_S, STRANGER, Home, batch, payment, sign
from officers_word import approve, initiator
from passkeys import ORIGIN, RP_ID, Passkey
from policy_builders import HEAD, OFFICERS, officers_text

from contracts.customer_approvals import NO_CREDENTIAL, CredentialChange, Mandate
from wallet_node.customers.credential_changes import CredentialChangeRequest, parse_change
from wallet_node.customers.mandates import MandateRegistrations
from wallet_node.errors import JournalUnavailable, RefusedByNode
from wallet_node.fields import address_bytes, identifier_bytes
from wallet_node.intents.requests import Derivation
from wallet_node.journal.entries import CredentialChanged, MandateRevoked, decode
from wallet_node.journal.verification import verify
from wallet_node.node import WalletNode
from wallet_node.officers.approvals import operation_digest

STOLEN, OWN = Passkey(1), Passkey(2)
UNTIL_S = NOW_S + 600
RULES = f"""
customers: {{highest_index: 9}}
customer_proof: {{rp_id: {RP_ID}, origins: ["{ORIGIN}"]}}
{officers_text()}
quorums: [{{name: two, approvals: 2, officers: [{", ".join(OFFICERS)}], valid_s: 3600}}]
changes: {{credentials: two}}
payments: [{{name: pay, effect: allow, payer: derived, payee: any, proof: customer}}]
"""
SOURCE = (HEAD + RULES).encode()


@pytest.fixture
def node(home: Home) -> WalletNode:
    return home.open(SOURCE)


@pytest.fixture
def wallets(node: WalletNode) -> list[str]:
    """Two, both with the device that will be stolen."""
    found: list[str] = node.derive(Derivation((0, 1), (STOLEN.fields(),) * 2))["addresses"]
    return found


def mandate(node: WalletNode, wallet: str, by: Passkey = STOLEN) -> str:
    """A mandate for STRANGER that is registered."""
    mandate_id = str(uuid.uuid4())
    terms = (1_000, "day", NOW_S, NOW_S + 86_400)
    approved = Mandate(
        identifier_bytes(mandate_id), address_bytes(wallet), address_bytes(STRANGER), *terms, UNTIL_S
    )
    approval = msgspec.to_builtins(by.approval(approved.digest(DOMAIN.separator), UNTIL_S))
    names = ("mandate_id", "payer", "payee", "cap_minor", "period", "starts_at_s", "expires_at_s", "approval")
    asked = dict(zip(names, (mandate_id, wallet, STRANGER, *terms, approval), strict=True))
    answer = node.register_mandates(msgspec.convert({"mandates": [asked]}, MandateRegistrations))
    assert answer["results"] == [{"mandate_id": mandate_id}]
    return mandate_id


def pay(node: WalletNode, wallet: str, mandate_id: str) -> str:
    """What becomes of a payment under a mandate."""
    proof = {"kind": "mandate", "mandate_id": mandate_id}
    (result,) = sign(node, batch(payment(wallet, proof=proof, amount_minor=1)))
    return str(result["refusal"]["code"]) if "refusal" in result else "signed"


def change(wallet: str, **changes: Any) -> dict[str, Any]:
    return {
        "change_id": str(uuid.uuid4()),
        "wallet": wallet,
        "bind": msgspec.to_builtins(OWN.fields()),
        "unbind": STOLEN.fields().credential_id,
        "approval": None,
    } | changes


def by_customer(asked: dict[str, Any], *, said: bool | None = None) -> dict[str, Any]:
    """With the customer's approval, of what was asked or of what `said` says of mandates."""
    approved = CredentialChange(
        identifier_bytes(asked["change_id"]),
        address_bytes(asked["wallet"]),
        NO_CREDENTIAL if asked["bind"] is None else OWN.credential.struct_hash(),
        NO_CREDENTIAL if asked["unbind"] is None else STOLEN.credential.struct_hash(),
        UNTIL_S,
        asked.get("ends_mandates", False) if said is None else said,
    )
    approval = STOLEN.approval(approved.digest(DOMAIN.separator), UNTIL_S)
    return asked | {"approval": msgspec.to_builtins(approval)}


def make(node: WalletNode, asked: dict[str, Any]) -> Any:
    return node.change_credential(msgspec.convert(asked, CredentialChangeRequest))


def propose(node: WalletNode, asked: dict[str, Any]) -> Any:
    parsed = parse_change(msgspec.convert(asked, CredentialChangeRequest))
    digest = operation_digest("credential-change", parsed.change_id, parsed.content)
    return make(node, asked | {"initiator": initiator("0x" + digest.hex(), node.policy.digest)})


def rows(node: WalletNode) -> list[Any]:
    stored = node._store.query("SELECT entry, sequence FROM journal ORDER BY sequence")
    return [decode(entry, sequence) for entry, sequence in stored]


@pytest.mark.parametrize("who", ["customer", "quorum"])
def test_the_wallets_mandates_end_with_the_credential(node: WalletNode, wallets: list[str], who: str) -> None:
    ended = sorted((mandate(node, wallets[0]), mandate(node, wallets[0])))
    other = mandate(node, wallets[1])
    asked = change(wallets[0], ends_mandates=True)
    if who == "customer":
        asked = by_customer(asked)
    else:
        approve(node, propose(node, asked))
        (shown,) = node.operations()["operations"]
        assert b"All mandates" in bytes(shown["description"])
        assert pay(node, wallets[0], ended[0]) == "signed"
    length = len(rows(node))
    for _ in range(2):
        assert make(node, asked) == {"change_id": asked["change_id"]}
    written = rows(node)[length:]
    revoked = [str(uuid.UUID(bytes=each.intent_id)) for each in written if each.decision == MandateRevoked()]
    assert revoked == ended
    assert sum(isinstance(each.decision, CredentialChanged) for each in written) == 1
    assert [pay(node, wallets[0], each) for each in ended] == ["MandateRevoked"] * 2
    assert pay(node, wallets[1], other) == "signed"
    assert pay(node, wallets[0], mandate(node, wallets[0], OWN)) == "signed"
    verify(node._store)


def test_mandates_stay_unless_it_is_asked(node: WalletNode, wallets: list[str]) -> None:
    kept = mandate(node, wallets[0])
    make(node, by_customer(change(wallets[0])))
    assert pay(node, wallets[0], kept) == "signed"


def test_what_was_approved_is_what_is_done(node: WalletNode, wallets: list[str]) -> None:
    kept = mandate(node, wallets[0])
    for ends in (True, False):
        with pytest.raises(RefusedByNode) as refused:
            make(node, by_customer(change(wallets[0], ends_mandates=ends), said=not ends))
        assert refused.value.code == "ChallengeMismatch"
    asked = change(wallets[0])
    approve(node, propose(node, asked))
    with pytest.raises(RefusedByNode) as refused:
        make(node, asked | {"ends_mandates": True})
    assert refused.value.code == "OperationIdReused"
    made = by_customer(change(wallets[0]))
    make(node, made)
    with pytest.raises(RefusedByNode) as refused:
        make(node, made | {"ends_mandates": True})
    assert refused.value.code == "ChangeIdReused"
    assert pay(node, wallets[0], kept) == "signed"


def test_what_is_not_written_ends_nothing(node: WalletNode, wallets: list[str]) -> None:
    kept = mandate(node, wallets[0])
    asked = by_customer(change(wallets[0], ends_mandates=True))
    node._store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnavailable):
        make(node, asked)
    node._store.connection.execute("PRAGMA query_only = OFF")
    assert pay(node, wallets[0], kept) == "signed"
    make(node, asked)
    assert pay(node, wallets[0], kept) == "MandateRevoked"


def test_nothing_ends_where_nothing_is_unbound(node: WalletNode, wallets: list[str]) -> None:
    with pytest.raises(RefusedByNode) as refused:
        make(node, by_customer(change(wallets[0], unbind=None, ends_mandates=True)))
    assert refused.value.code == "NothingUnbound"
