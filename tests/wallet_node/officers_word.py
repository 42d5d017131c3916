"""Officers of the tested policies, who have their say on what waits at a node."""

import uuid
from typing import Any

from policy_builders import OFFICERS, officer_key

from contracts.base64url import encode
from wallet_node.intents.requests import PolicyChange
from wallet_node.node import WalletNode
from wallet_node.officers.approvals import APPROVE, WITHDRAW, message
from wallet_node.officers.desk import OfficerStatement


def statement(
    node: WalletNode, waiting: dict[str, Any], officer: str, verb: int = APPROVE
) -> OfficerStatement:
    """What one officer signs about what a 202 says."""
    expires_at_s = waiting["expires_at_s"]
    said = message(verb, bytes.fromhex(waiting["digest"][2:]), node.policy.digest, expires_at_s)
    signature = encode(officer_key(officer).sign(said))
    return OfficerStatement(waiting["operation_id"], officer, expires_at_s, signature)


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
    """Another policy, by two officers."""
    request = PolicyChange(str(uuid.uuid4()), source.decode())
    approve(node, node.change_policy(request))
    node.change_policy(request)
    assert node.policy.source == source
