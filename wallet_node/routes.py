"""HTTP as an ASGI application: who asks, what, how much; then the node decides. A verb is one line here.

A verb runs whole before the next one starts: there is one event loop, and its thread alone uses the store.
"""

import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import msgspec

from wallet_node import answers, queries, strict_json
from wallet_node.callers import DEFAULT_CALLERS, VERBS, Caller, Peer, Verb, require, require_admitted
from wallet_node.credential_changes import CredentialChangeRequest
from wallet_node.errors import (
    CallerNotAllowed,
    JournalUnavailable,
    MalformedRequest,
    MethodNotAllowed,
    RequestTooSlow,
    UnknownPath,
    WalletNodeError,
)
from wallet_node.intents import Derivation, ExplainRequest, PaymentBatch, PolicyChange, Transaction
from wallet_node.limits import BodiesUnderWay, RateLimiter, require_size
from wallet_node.mandates import MandateRegistrations, MandateRevocations
from wallet_node.metrics import CONTENT_TYPE as METRICS_TYPE
from wallet_node.metrics import OTHER, Metrics
from wallet_node.node import WalletNode
from wallet_node.officers_desk import OfficerStatement
from wallet_node.openapi import describe

JSON, PROBLEM_JSON = "application/json", "application/problem+json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Answer = tuple[int, str, bytes, Headers]

_log = logging.getLogger("wallet_node")


class Route(msgspec.Struct, frozen=True):
    """One verb. `function` takes the node, then what it `takes`: the body of a POST, the query of a GET.

    It returns the content of a 200, or (status, content). `answers` describes them, by status.
    """

    function: Callable[..., Any]
    takes: type | None = None
    answers: Mapping[int, Any] = {}
    content_type: str = JSON


def _liveness(_: WalletNode) -> Any:
    """The process answers."""
    return {"alive": True}


def _readiness(node: WalletNode) -> Any:
    """Ready when every expected key is loaded and the self-test verified."""
    return (200 if node.is_sound else 503), node.readiness()


def _metrics(application: "Application") -> Any:
    """Counts for Prometheus."""
    return application.metrics.exposition()


def _description(_: "Application") -> Any:
    """This document."""
    return description()


ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/healthz"): Route(_liveness, None, {200: answers.Liveness}),
    ("GET", "/readyz"): Route(_readiness, None, {200: answers.Readiness, 503: answers.Readiness}),
    ("GET", "/v1/keys"): Route(WalletNode.keys, None, {200: answers.Keys}),
    ("GET", "/v1/journal"): Route(WalletNode.journal, None, {200: answers.JournalHead}),
    ("POST", "/v1/keys:derive"): Route(WalletNode.derive, Derivation, {200: answers.Addresses}),
    ("POST", "/v1/payments:sign"): Route(
        WalletNode.sign_payments, PaymentBatch, {200: answers.PaymentResults}
    ),
    ("POST", "/v1/transactions:sign"): Route(
        WalletNode.sign_transaction, Transaction, {200: answers.SignedTransaction, 202: answers.Pending}
    ),
    ("POST", "/v1/mandates"): Route(
        WalletNode.register_mandates, MandateRegistrations, {200: answers.MandateResults}
    ),
    ("POST", "/v1/mandates:revoke"): Route(
        WalletNode.revoke_mandates, MandateRevocations, {200: answers.Revoked}
    ),
    ("POST", "/v1/credentials:change"): Route(
        WalletNode.change_credential,
        CredentialChangeRequest,
        {200: answers.CredentialChanged, 202: answers.Pending},
    ),
    ("GET", "/v1/operations"): Route(WalletNode.operations, None, {200: answers.Operations}),
    ("POST", "/v1/operations:approve"): Route(
        WalletNode.approve_operation, OfficerStatement, {200: answers.OperationState}
    ),
    ("POST", "/v1/operations:withdraw"): Route(
        WalletNode.withdraw_operation, OfficerStatement, {200: answers.OperationState}
    ),
    ("POST", "/v1/policy:change"): Route(
        WalletNode.change_policy, PolicyChange, {200: answers.PolicyInForce, 202: answers.Pending}
    ),
    ("POST", "/v1/intents:explain"): Route(WalletNode.explain, ExplainRequest, {200: dict[str, Any]}),
}

OWN_ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/metrics"): Route(_metrics, None, {200: str}, METRICS_TYPE),
    ("GET", "/openapi.json"): Route(_description, None, {200: dict[str, Any]}),
}
"""What the application answers for itself; their functions take the application."""


def description() -> dict[str, Any]:
    """The OpenAPI description of every route."""
    return describe({**ROUTES, **OWN_ROUTES}, answers.Problem)


class Connection:
    """What the listener knows of a connection and tells its requests (`scope["state"]["connection"]`)."""

    __slots__ = ("is_overdue", "peer")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.is_overdue = False


class Application:
    """The node's HTTP interface. `callers` is asked at each request: a changed policy counts at once."""

    def __init__(
        self,
        node: WalletNode,
        callers: Callable[[], Sequence[Caller]] = lambda: DEFAULT_CALLERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.node = node
        self.callers = callers
        self.metrics = Metrics(node)
        self._clock = clock
        self._rates = RateLimiter(clock)
        self._bodies = BodiesUnderWay()
        self._routes = {key: (route, partial(route.function, node)) for key, route in ROUTES.items()}
        for key, route in OWN_ROUTES.items():
            self._routes[key] = (route, partial(route.function, self))
        self._methods: dict[str, tuple[str, ...]] = {}
        for method, path in self._routes:
            self._methods[path] = (*self._methods.get(path, ()), method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; uvicorn's entry."""
        if scope["type"] != "http":
            return
        started_s = self._clock()
        method, path = scope["method"], scope["path"]
        caller, verb = OTHER, VERBS.get((method, path), OTHER)
        try:
            connection = _connection(scope)
            terms = require_admitted(self.callers(), connection.peer)
            caller = terms.name
            route, function = self._route(method, path)
            require((terms,), caller, method, path)
            self._rates.require(terms, VERBS[method, path])
            body = await self._body(scope, receive, connection, VERBS[method, path])
            if body is None:
                return
            answer = _answer(method, route, function, body, scope.get("query_string", b""))
        except Exception as error:  # whatever it is, the caller gets an answer with a code
            answer = self.refusal(_typed(error))
        await _reply(send, answer)
        self.metrics.answered(caller, verb, answer[0], self._clock() - started_s)

    def refusal(self, error: WalletNodeError) -> Answer:
        """Count an error, and say it as RFC 9457 does."""
        self.node.refusals[error.code] += 1
        fields = {
            "type": "about:blank",
            "title": error.code,
            "status": error.status,
            "detail": error.detail,
            "code": error.code,
            "reasons": error.reasons,
        }
        return error.status, PROBLEM_JSON, msgspec.json.encode(fields), error.headers

    def _route(self, method: str, path: str) -> tuple[Route, Callable[..., Any]]:
        found = self._routes.get((method, path))
        if found is not None:
            return found
        if path in self._methods:
            raise MethodNotAllowed(path, self._methods[path])
        raise UnknownPath(f"there is no {path}")

    async def _body(
        self, scope: Scope, receive: Receive, connection: Connection, verb: Verb | None
    ) -> bytes | None:
        """The whole request body, or None when the caller has gone. Raises BodyTooLarge, RequestTooSlow and
        TooManyConnections.
        """
        for name, value in scope.get("headers", ()):
            if name == b"content-length":  # llhttp lets digits through only
                require_size(int(value), verb)
        parts: list[bytes] = []
        size, caller = 0, connection.peer.caller
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                part = message.get("body", b"")
                is_last = not message.get("more_body", False)
                require_size(size + len(part), verb)
                if is_last:
                    return b"".join((*parts, part)) if parts else part
                if connection.is_overdue:
                    raise RequestTooSlow("the request's body did not arrive in time; nothing was signed")
                self._bodies.hold(caller, len(part))
                size += len(part)
                parts.append(part)
        finally:
            if size:
                self._bodies.release(caller, size)


def _connection(scope: Scope) -> Connection:
    connection = scope.get("state", {}).get("connection")
    if not isinstance(connection, Connection):
        raise CallerNotAllowed("this connection came through no endpoint of the node")
    return connection


def _answer(method: str, route: Route, function: Callable[..., Any], body: bytes, query: bytes) -> Answer:
    if route.takes is None:
        queries.require_none(query)
        result = function()
    elif method == "GET":
        result = function(queries.decode(query, route.takes))
    else:
        queries.require_none(query)
        result = function(strict_json.decode(body, route.takes))
    status, content = result if isinstance(result, tuple) else (200, result)
    encoded = msgspec.json.encode(content) if route.content_type == JSON else content.encode()
    return status, route.content_type, encoded, ()


def _typed(error: Exception) -> WalletNodeError:
    if isinstance(error, WalletNodeError):
        if isinstance(error, MalformedRequest):
            _log.warning("refused a malformed request: %s", error.detail)
        return error
    if isinstance(error, sqlite3.Error):
        return JournalUnavailable(f"the store cannot be used: {error}; nothing was signed")
    _log.error("a request failed unexpectedly", exc_info=error)
    return WalletNodeError("the node failed unexpectedly; its log says why")


async def _reply(send: Send, answer: Answer) -> None:
    status, content_type, content, more = answer
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(content)).encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
