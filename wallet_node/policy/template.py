"""Bundled policies as templates: everything but the officers' public keys, which each institution makes."""

from collections.abc import Sequence

import msgspec

from wallet_node.errors import MalformedPolicy
from wallet_node.policy.file import Officer
from wallet_node.policy.policy import Policy
from wallet_node.policy.reading import read_document


def complete(template: bytes, officers: Sequence[Officer]) -> bytes:
    """The template with its officers: what the node loads, hashes and keeps.

    The names must be those that the template's quorums list. The same officers give the same bytes. Raises
    MalformedPolicy, also for a template that has officers already.
    """
    if "officers" in read_document(template):
        raise MalformedPolicy("the policy, field 'officers': the template has officers already")
    lines = [
        "  - " + msgspec.json.encode({k: v for k, v in msgspec.to_builtins(officer).items() if v}).decode()
        for officer in officers
    ]
    completed = template.rstrip() + b"\n\nofficers:\n" + "\n".join(lines).encode() + b"\n"
    Policy(completed)
    return completed
