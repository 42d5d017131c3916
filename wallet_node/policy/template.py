"""Bundled policies as templates: everything but the officers' public keys, which each institution makes."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from wallet_node.errors import MalformedPolicy
from wallet_node.policy.file import Officer
from wallet_node.policy.policy import Policy
from wallet_node.policy.reading import read_document


def template_source(name: str) -> bytes:
    """A bundled template by its name, or else the file of that name. Raises MalformedPolicy."""
    bundled = files("wallet_node").joinpath("policies")
    known = sorted(each.name.removesuffix(".yaml") for each in bundled.iterdir())
    if name in known:
        return bundled.joinpath(f"{name}.yaml").read_bytes()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise MalformedPolicy(
            f"{name!r} is neither a template ({', '.join(known)}) nor a file: {error.strerror}"
        ) from None


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
