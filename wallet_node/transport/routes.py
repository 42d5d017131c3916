"""HTTP as an ASGI application: who asks, what, how much; then the node decides. A verb is one line here.

There is one event loop, and its thread alone uses the store. A verb runs whole before the next one starts,
but for those that share a commit: of these many may wait for it, and everything else comes after it.
"""

import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import msgspec

from wallet_node import answers, strict_json
from wallet_node.callers import DEFAULT_CALLERS, VERBS, Caller, Peer, Verb, require, require_admitted
from wallet_node.errors import (
    CallerNotAllowed,
    JournalUnavailable,
    MalformedRequest,
    MethodNotAllowed,
    RequestTooSlow,
    UnknownPath,
    WalletNodeError,
)
from wallet_node.node import WalletNode
from wallet_node.transport import queries
from wallet_node.transport.limits import BodiesUnderWay, RateLimiter, require_size
from wallet_node.transport.metrics import CONTENT_TYPE as METRICS_TYPE
from wallet_node.transport.metrics import OTHER, Metrics
from wallet_node.transport.openapi import describe
from wallet_node.transport.route_table import JSON, ROUTES, WIRE_ROUTES, Route, described_path
from wallet_node.web3signer.wire import Web3SignerWire

PROBLEM_JSON = "application/problem+json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Answer = tuple[int, str, bytes, Headers]

_log = logging.getLogger("wallet_node")


def _metrics(application: "Application") -> Any:
    """Counts for Prometheus."""
    return application.metrics.exposition()


def _description(_: "Application") -> Any:
    """This document."""
    return description()


OWN_ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/metrics"): Route(_metrics, None, {200: str}, METRICS_TYPE),
    ("GET", "/openapi.json"): Route(_description, None, {200: dict[str, Any]}),
}
"""What the application answers for itself; their functions take the application."""


def description() -> dict[str, Any]:
    """The OpenAPI description of every route."""
    return describe({**ROUTES, **WIRE_ROUTES, **OWN_ROUTES}, answers.Problem)


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
        wire = Web3SignerWire(node)
        for key, route in WIRE_ROUTES.items():
            self._routes[key] = (route, partial(route.function, wire))
        self._methods: dict[str, tuple[str, ...]] = {}
        for method, path in self._routes:
            self._methods[path] = (*self._methods.get(path, ()), method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; uvicorn's entry."""
        if scope["type"] != "http":
            return
        started_s = self._clock()
        method, path = scope["method"], described_path(scope["path"])
        caller, verb = OTHER, VERBS.get((method, path), OTHER)
        try:
            connection = _connection(scope)
            terms = require_admitted(self.callers(), connection.peer)
            caller = terms.name
            route, function = self._route(method, path)
            require((terms,), caller, method, path)
            self._rates.require(terms, VERBS[method, path])
            room = None if method == "GET" else VERBS[method, path]
            body = await self._body(scope, receive, connection, room)
            if body is None:
                return
            query = scope.get("query_string", b"")
            if not route.is_shared:
                self.node.settle()
            if (method, path) in WIRE_ROUTES:
                queries.require_none(query)
                answer = (*(function(body, terms) if route.is_for_caller else function(body)), ())
            else:
                answer = await _answer(method, route, function, body, query, terms=terms)
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


async def _answer(
    method: str, route: Route, function: Callable[..., Any], body: bytes, query: bytes, *, terms: Caller
) -> Answer:
    if route.takes is None:
        queries.require_none(query)
        result = function()
    elif method == "GET":
        result = function(queries.decode(query, route.takes))
    else:
        queries.require_none(query)
        asked = strict_json.decode(body, route.takes)
        result = function(asked, terms) if route.is_for_caller else function(asked)
    if route.is_shared:
        result = await result
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
