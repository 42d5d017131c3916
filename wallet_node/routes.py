"""HTTP as an ASGI application: reads a body, finds the verb, writes the answer. Nothing is decided here."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from wallet_node import strict_json
from wallet_node.errors import (
    BodyTooLarge,
    JournalUnavailable,
    MalformedRequest,
    MethodNotAllowed,
    UnknownPath,
    WalletNodeError,
)
from wallet_node.intents import Derivation, PaymentBatch, Transaction
from wallet_node.node import WalletNode

MAXIMUM_BODY_BYTES = 4 * 1024 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, str, bytes]

_log = logging.getLogger("wallet_node")
_JSON = "application/json"


class Application:
    """The node's HTTP interface. A verb runs whole before the next one starts: there is one event loop."""

    def __init__(self, node: WalletNode) -> None:
        self._node = node
        self._reads: dict[str, Callable[[], Answer]] = {
            "/v1/keys": lambda: _json(200, node.keys()),
            "/v1/journal": lambda: _json(200, node.journal()),
            "/healthz": lambda: _json(200, {"alive": True}),
            "/readyz": self._readiness,
            "/metrics": lambda: (200, "text/plain; version=0.0.4", node.metrics().encode()),
        }
        self._writes: dict[str, Callable[[bytes], Any]] = {
            "/v1/keys:derive": lambda body: node.derive(strict_json.decode(body, Derivation)),
            "/v1/payments:sign": lambda body: node.sign_payments(strict_json.decode(body, PaymentBatch)),
            "/v1/transactions:sign": lambda body: node.sign_transaction(
                strict_json.decode(body, Transaction)
            ),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; uvicorn's entry."""
        if scope["type"] != "http":
            return
        try:
            body = await _body(receive)
            if body is None:
                return
            answer = self._answer(scope["method"], scope["path"], body)
        except WalletNodeError as error:
            self._node.refusals[error.code] += 1
            answer = _problem(error)
        except sqlite3.Error as error:
            answer = _problem(JournalUnavailable(f"the store cannot be used: {error}; nothing was signed"))
        except Exception:
            _log.exception("a request failed unexpectedly")
            answer = _problem(WalletNodeError("the node failed unexpectedly; its log says why"))
        status, content_type, content = answer
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(content)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        read, write = self._reads.get(path), self._writes.get(path)
        if read is None and write is None:
            raise UnknownPath(f"there is no {path}")
        if read is not None and method == "GET":
            return read()
        if write is not None and method == "POST":
            return _json(200, write(body))
        raise MethodNotAllowed(f"{path} is used with {'GET' if write is None else 'POST'}")

    def _readiness(self) -> Answer:
        return _json(200 if self._node.is_sound else 503, self._node.readiness())


async def _body(receive: Receive) -> bytes | None:
    """The whole request body, or None when the caller has gone. Raises BodyTooLarge."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > MAXIMUM_BODY_BYTES:
            raise BodyTooLarge(f"a request body has at most {MAXIMUM_BODY_BYTES} bytes")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _json(status: int, content: Any) -> Answer:
    return status, _JSON, msgspec.json.encode(content)


def _problem(error: WalletNodeError) -> Answer:
    """RFC 9457, with the stable code and every reason."""
    if isinstance(error, MalformedRequest):
        _log.warning("refused a malformed request: %s", error.detail)
    fields = {
        "type": "about:blank",
        "title": error.code,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "reasons": error.reasons,
    }
    return error.status, "application/problem+json", msgspec.json.encode(fields)
