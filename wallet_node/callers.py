"""Who asks, and what each may ask for.

A caller's name comes from where its connection came in (a Unix endpoint) or from its certificate (mTLS),
never from what it sends. Whatever is not in VERBS is allowed to nobody, so a new route needs its line here.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from wallet_node.errors import CallerNotAllowed, MalformedPolicy

Verb = Literal[
    "read",
    "derive",
    "sign-payments",
    "sign-transactions",
    "sign-typed-data",
    "mandates",
    "credentials",
    "approve",
    "policy",
    "explain",
    "repair",
    "metrics",
    "web3signer",
]
CallerName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]
UserId = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Initiators = Literal["required", "optional"]


class Caller(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One caller of this node.

    `uids`: the users whose connections to its Unix endpoints are served; none, the node's own user alone.
    `requests_per_s` and `burst` bound each of its verbs on its own; without a burst it is one second's worth.
    `initiators`: whether whatever it proposes to officers names the officer who proposes it (`must_name`).
    """

    name: CallerName
    verbs: tuple[Verb, ...]
    uids: tuple[UserId, ...] = ()
    requests_per_s: Rate = 2_000
    burst: Rate | None = None
    initiators: Initiators | None = None


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, as far as the connection proves it; `uid` of a Unix peer only."""

    caller: str
    uid: int | None = None


DEFAULT_CALLERS = (
    Caller(
        "api",
        (
            "read",
            "derive",
            "sign-payments",
            "sign-transactions",
            "sign-typed-data",
            "mandates",
            "credentials",
            "metrics",
        ),
        initiators="optional",  # it asks for those who lost a device, and is no officer itself
    ),
    Caller(
        "officers",
        ("read", "approve", "policy", "credentials", "explain", "repair"),
        requests_per_s=20,
        burst=100,
        initiators="required",
    ),
)
"""Where a policy names no callers: the bank's own software signs, and people decide. Nobody speaks
web3signer's wire, which is for tools that a policy lets in.
"""

VERBS: Mapping[tuple[str, str], Verb | None] = {
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): "metrics",
    ("GET", "/openapi.json"): "read",
    ("GET", "/v1/keys"): "read",
    ("GET", "/v1/journal"): "read",
    ("GET", "/v1/journal/inclusion"): "read",
    ("GET", "/v1/journal/consistency"): "read",
    ("GET", "/v1/journal/rows"): "read",
    ("GET", "/v1/operations"): "read",
    ("POST", "/v1/keys:derive"): "derive",
    ("POST", "/v1/payments:sign"): "sign-payments",
    ("POST", "/v1/transactions:sign"): "sign-transactions",
    ("POST", "/v1/typed-data:sign"): "sign-typed-data",
    ("POST", "/v1/mandates"): "mandates",
    ("POST", "/v1/mandates:revoke"): "mandates",
    ("POST", "/v1/credentials:change"): "credentials",
    ("POST", "/v1/credentials:refuse"): "credentials",
    ("POST", "/v1/operations:approve"): "approve",
    ("POST", "/v1/operations:withdraw"): "approve",
    ("POST", "/v1/policy:change"): "policy",
    ("POST", "/v1/intents:explain"): "explain",
    ("POST", "/v1/transactions:repair"): "repair",
    ("POST", "/"): "web3signer",
    ("POST", "/api/v1/eth1/sign/{identifier}"): "web3signer",
    ("GET", "/api/v1/eth1/publicKeys"): "web3signer",
    ("GET", "/upcheck"): "web3signer",
    ("GET", "/healthcheck"): "web3signer",
    ("GET", "/reload"): "web3signer",
    ("POST", "/reload"): "web3signer",
}
"""The verb of each route. None: any known caller, and not rate limited (is it alive, is it ready)."""


def require(callers: Sequence[Caller], caller: str, method: str, path: str) -> Caller:
    """The caller's terms, when it may use this route. Raises CallerNotAllowed."""
    found = find(callers, caller)
    if found is None:
        raise CallerNotAllowed("this connection belongs to no caller that the policy knows")
    verb = VERBS.get((method, path), "")
    if verb is not None and verb not in found.verbs:
        raise CallerNotAllowed(f"the caller {caller} may not use {method} {path}")
    return found


def require_admitted(callers: Sequence[Caller], peer: Peer) -> Caller:
    """The caller at the other end. Raises CallerNotAllowed for an unknown name, and for another user than the
    caller's own.
    """
    found = find(callers, peer.caller)
    if found is None:
        raise CallerNotAllowed("this connection belongs to no caller that the policy knows")
    if peer.uid is not None and peer.uid not in users(found):
        raise CallerNotAllowed(f"user {peer.uid} may not connect as {found.name}")
    return found


def find(callers: Sequence[Caller], name: str) -> Caller | None:
    """The caller of this name."""
    for caller in callers:
        if caller.name == name:
            return caller
    return None


def must_name(caller: Caller | None, *, is_of_officers: bool) -> bool:
    """Whether an operation is proposed only in the name of an officer, who then does not approve it.

    `is_of_officers`: nobody but officers can want it (a policy, a nonce's repair, a credential without its
    customer). That has an initiator unless the caller's entry says `initiators: optional`; a signature that
    waits for officers has one only where the entry says `required`, since software asks for those.
    """
    if caller is None or caller.initiators is None:
        return is_of_officers
    return caller.initiators == "required"


def users(caller: Caller) -> tuple[int, ...]:
    """The users whose Unix connections are served as this caller."""
    return caller.uids or (os.geteuid(),)


def require_sound(callers: Sequence[Caller]) -> None:
    """Raise MalformedPolicy unless every caller has a name of its own and says nothing twice."""
    names = [caller.name for caller in callers]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise MalformedPolicy(f"callers: {repeated[0]} is there more than once")
    for caller in callers:
        if len(set(caller.verbs)) != len(caller.verbs) or len(set(caller.uids)) != len(caller.uids):
            raise MalformedPolicy(f"callers: {caller.name} repeats a verb or a user")


def declared(callers: Sequence[Caller]) -> Sequence[Caller]:
    """The callers that a policy names, else the default ones."""
    return callers or DEFAULT_CALLERS
