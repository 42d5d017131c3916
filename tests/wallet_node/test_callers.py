"""Who may ask for what: every route against every caller, and what no table names."""

import json
import os
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from http_calls import answer_of, call
from node_builders import POLICIES, Home

from wallet_node import strict_json
from wallet_node.callers import (
    DEFAULT_CALLERS,
    VERBS,
    Caller,
    Peer,
    Verb,
    declared,
    require,
    require_sound,
)
from wallet_node.errors import CallerNotAllowed, MalformedPolicy, MalformedRequest
from wallet_node.transport.limits import body_bytes
from wallet_node.transport.routes import OWN_ROUTES, ROUTES, WIRE_ROUTES, Application

EVERY_VERB: tuple[Verb, ...] = get_args(Verb)
SERVED = {**ROUTES, **WIRE_ROUTES, **OWN_ROUTES}
API_MAY = {
    "read",
    "derive",
    "sign-payments",
    "sign-transactions",
    "sign-typed-data",
    "mandates",
    "credentials",
    "metrics",
}
OFFICERS_MAY = {"read", "approve", "policy", "credentials", "explain", "repair"}
NOBODY_MAY = {"web3signer"}
"""By default; a policy has to name a caller for it."""


def test_every_route_that_is_served_has_its_verb_in_the_table_and_the_table_has_no_other() -> None:
    assert set(SERVED) == set(VERBS), "a route without a verb is allowed to nobody: add its line to VERBS"


def test_only_health_checks_are_for_every_caller() -> None:
    assert {key for key, verb in VERBS.items() if verb is None} == {("GET", "/healthz"), ("GET", "/readyz")}


def test_every_verb_is_somebodys_and_routes_that_take_a_body_have_room_for_one() -> None:
    verbs = {verb for verb in VERBS.values() if verb is not None}
    assert verbs == set(EVERY_VERB) == API_MAY | OFFICERS_MAY | NOBODY_MAY
    for (method, _), verb in VERBS.items():
        assert body_bytes(verb) > 0 or method == "GET"


@pytest.mark.parametrize("path", [path for method, path in SERVED if method == "GET"])
async def test_a_get_has_no_body(home: Home, path: str) -> None:
    application = Application(home.open(), lambda: (Caller("one", EVERY_VERB),))
    status, _, content = await answer_of(application, "GET", path, b"{}", peer=Peer("one"))
    assert (status, json.loads(content)["code"]) == (413, "BodyTooLarge")


async def test_who_owns_the_api_gains_nothing_by_web3signers_wire(home: Home) -> None:
    node = home.open()
    mint = {"jsonrpc": "2.0", "id": 1, "method": "eth_accounts", "params": []}
    for caller in ("api", "officers"):
        for method, path in WIRE_ROUTES:
            body = json.dumps(mint).encode() if method == "POST" else b""
            status, _, problem = await call(node, method, path, body, peer=Peer(caller))
            assert (status, problem["code"]) == (403, "CallerNotAllowed")
    assert not any("web3signer" in caller.verbs for caller in DEFAULT_CALLERS)
    for policy in POLICIES.iterdir():
        assert b"web3signer" not in policy.read_bytes()


@pytest.mark.parametrize(("caller", "may"), [("api", API_MAY), ("officers", OFFICERS_MAY)])
@pytest.mark.parametrize(("method", "path"), VERBS)
def test_by_default_the_api_signs_and_officers_decide(
    caller: str, may: set[str], method: str, path: str
) -> None:
    verb = VERBS[method, path]
    if verb is None or verb in may:
        assert require(DEFAULT_CALLERS, caller, method, path).name == caller
    else:
        with pytest.raises(CallerNotAllowed, match=path):
            require(DEFAULT_CALLERS, caller, method, path)


@pytest.mark.parametrize(("method", "path"), SERVED)
async def test_a_caller_of_one_verb_gets_through_to_that_verbs_routes_alone(
    home: Home, method: str, path: str
) -> None:
    callers = tuple(Caller(verb, (verb,)) for verb in EVERY_VERB)
    application = Application(home.open(), lambda: callers)
    for verb in EVERY_VERB:
        body = b"{" if method == "POST" else b""
        status, headers, content = await answer_of(application, method, path, body, peer=Peer(verb))
        refused = status == 403 and json.loads(content)["code"] == "CallerNotAllowed"
        assert refused == (VERBS[method, path] not in (None, verb))
        assert headers["content-type"] == "application/problem+json" or status == 200 or path == "/"


def test_what_is_in_no_table_is_allowed_to_nobody() -> None:
    everything = (Caller("root", EVERY_VERB),)
    with pytest.raises(CallerNotAllowed):
        require(everything, "root", "POST", "/v1/digests:sign")
    with pytest.raises(CallerNotAllowed):
        require(everything, "root", "GET", "/v1/payments:sign")


@pytest.mark.parametrize(
    "peer",
    [Peer("nobody"), Peer(""), Peer("API"), Peer("api", os.geteuid() + 1), Peer("officers", 0xFFFE)],
    ids=str,
)
@pytest.mark.parametrize("path", ["/healthz", "/v1/keys", "/nowhere"])
async def test_whoever_is_not_known_gets_no_answer_but_one_and_is_counted(
    home: Home, peer: Peer, path: str
) -> None:
    node = home.open()
    status, _, problem = await call(node, "GET", path, peer=peer)
    assert (status, problem["code"]) == (403, "CallerNotAllowed")
    assert node.refusals["CallerNotAllowed"] == 1


async def test_a_request_that_came_through_no_endpoint_is_refused(home: Home) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    application = Application(home.open())
    for state in ({}, {"state": {}}, {"state": {"connection": "api"}}):
        await application({"type": "http", "method": "GET", "path": "/v1/keys", **state}, receive, send)
    assert [message["status"] for message in sent[::2]] == [403, 403, 403]


async def test_a_callers_users_are_the_nodes_own_unless_it_names_others(home: Home) -> None:
    own = os.geteuid()
    for uids, uid, status in [((), own, 200), ((own + 1,), own, 403), ((own + 1,), own + 1, 200)]:
        application = Application(home.open(), lambda uids=uids: (Caller("api", ("read",), uids),))
        assert (await call(application, "GET", "/v1/keys", peer=Peer("api", uid)))[0] == status


async def test_callers_that_changed_count_at_the_next_request(home: Home) -> None:
    callers: list[Caller] = [Caller("api", ("read",))]
    application = Application(home.open(), lambda: callers)
    assert (await call(application, "GET", "/v1/keys"))[0] == 200
    callers[:] = [Caller("api", ("derive",))]
    assert (await call(application, "GET", "/v1/keys"))[0] == 403
    assert (await call(application, "POST", "/v1/keys:derive", b'{"indices": [0]}'))[0] == 200


@pytest.mark.parametrize(
    "given",
    [
        {"name": "api"},
        {"verbs": ["read"]},
        {"name": "Api", "verbs": []},
        {"name": "api\n", "verbs": []},
        {"name": "", "verbs": []},
        {"name": "api", "verbs": ["sign"]},
        {"name": "api", "verbs": ["*"]},
        {"name": "api", "verbs": [], "uids": [-1]},
        {"name": "api", "verbs": [], "uids": [2**32 - 1]},
        {"name": "api", "verbs": [], "uids": ["0"]},
        {"name": "api", "verbs": [], "requests_per_s": 0},
        {"name": "api", "verbs": [], "burst": 0},
        {"name": "api", "verbs": [], "paths": []},
    ],
    ids=str,
)
def test_a_caller_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequest):
        strict_json.convert(given, Caller)


@pytest.mark.parametrize(
    "callers",
    [
        [Caller("api", ("read",)), Caller("api", ("derive",))],
        [Caller("api", ("read", "read"))],
        [Caller("api", (), (1, 1))],
    ],
    ids=["a name", "a verb", "a user"],
)
def test_callers_that_say_something_twice_are_refused(callers: Sequence[Caller]) -> None:
    with pytest.raises(MalformedPolicy):
        require_sound(callers)


def test_a_policy_that_names_callers_replaces_the_default_ones() -> None:
    named = (Caller("teller", ("read",)),)
    assert declared(named) == named
    assert declared(()) == DEFAULT_CALLERS
    require_sound(DEFAULT_CALLERS)
