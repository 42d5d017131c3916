"""Officers of the tested policies, who have their say on what waits at a node."""

import uuid
from collections.abc import Callable
from typing import Any

import msgspec
from policy_builders import OFFICERS, officer_key

from contracts.base64url import encode
from wallet_node.errors import InitiatorRequired, NotProposed
from wallet_node.intents.requests import Initiator, PolicyChange
from wallet_node.node import WalletNode
from wallet_node.officers.approvals import APPROVE, PROPOSE, WITHDRAW, message
from wallet_node.officers.desk import OfficerStatement


def statement(
    node: WalletNode, waiting: dict[str, Any], officer: str, verb: int = APPROVE
) -> OfficerStatement:
    """What one officer signs about what a 202 says."""
    expires_at_s = waiting["expires_at_s"]
    said = message(verb, bytes.fromhex(waiting["digest"][2:]), node.policy.digest, expires_at_s)
    signature = encode(officer_key(officer).sign(said))
    return OfficerStatement(waiting["operation_id"], officer, expires_at_s, signature)


def initiator(
    digest: str, policy_hash: bytes, officer: str = OFFICERS[2], until_s: int = 2**40 - 1
) -> dict[str, Any]:
    """What the officer who proposes it signs."""
    said = message(PROPOSE, bytes.fromhex(digest[2:]), policy_hash, until_s)
    return {"officer": officer, "expires_at_s": until_s, "signature": encode(officer_key(officer).sign(said))}


def proposed(node: WalletNode, ask: Callable[..., Any], officer: str = OFFICERS[2]) -> Any:
    """What `ask` answers; where an initiator is required, it is asked again in the officer's name."""
    try:
        return ask()
    except NotProposed as error:
        (required,) = error.reasons
        assert isinstance(required, InitiatorRequired)
        return ask(initiator=initiator(required.digest, node.policy.digest, officer))


def approve(node: WalletNode, answer: Any, *officers: str) -> None:
    """Officers (two, unless they are named) approve what an answer says is pending."""
    status, waiting = answer
    assert (status, waiting["state"]) == (202, "pending")
    for officer in officers or OFFICERS[:2]:
        node.approve_operation(statement(node, waiting, officer))


def withdraw(node: WalletNode, answer: Any, *officers: str) -> None:
    """Officers (two, unless they are named) refuse what an answer says is pending."""
    _, waiting = answer
    for officer in officers or OFFICERS[:2]:
        node.withdraw_operation(statement(node, waiting, officer, WITHDRAW))


def put_in_force(node: WalletNode, source: bytes) -> None:
    """Another policy, by two officers, and proposed by a third where that is required."""
    request = PolicyChange(str(uuid.uuid4()), source.decode())

    def ask(initiator: Any = None) -> Any:
        named = None if initiator is None else msgspec.convert(initiator, Initiator)
        return node.change_policy(msgspec.structs.replace(request, initiator=named))

    approve(node, proposed(node, ask))
    node.change_policy(request)
    assert node.policy.source == source
