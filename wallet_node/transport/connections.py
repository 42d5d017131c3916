"""One connection: who is at its other end, and how long and how large its requests may be.

uvicorn reads the HTTP; what it leaves to others is done here. It has no deadline for headers or bodies, no
bound on headers, and hides the peer: the peer is put where the application finds it, into the state of each
request. Deadlines are checked by a sweep once a second and not by a timer for each request.
"""

import asyncio
import ssl
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from wallet_node.callers import Peer
from wallet_node.errors import (
    CallerNotAllowed,
    HeadersTooLarge,
    MalformedRequest,
    RequestTooSlow,
    WalletNodeError,
)
from wallet_node.transport.endpoints import common_name
from wallet_node.transport.routes import Answer, Connection

if TYPE_CHECKING:
    from wallet_node.transport.listeners import Listener


class _Phase(Enum):
    HEADERS = auto()
    BODY = auto()
    ANSWER = auto()


class NodeProtocol(HttpToolsProtocol):
    """One connection. `peer` is None until a TLS handshake has told it."""

    def __init__(self, listener: "Listener", config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._listener = listener
        self._limits = listener.limits
        self._clock = listener.clock
        self._expires_at_s: float | None = None
        self._error: WalletNodeError | None = None
        self._received_bytes = 0
        self.peer: Peer | None = None
        self.about: Connection | None = None
        self._enter(_Phase.HEADERS)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Every request of this connection carries its peer from here on."""
        super().connection_made(transport)
        if self.peer is None:
            certificate = transport.get_extra_info("peercert")
            name = common_name(certificate)
            only = self._listener.endpoint.caller
            self.peer = Peer(name if only in (None, name) else "")
            self._expires_at_s = ssl.cert_time_to_seconds(certificate["notAfter"])
        self.about = Connection(self.peer)
        self.app_state = {"connection": self.about}
        self._enter(_Phase.HEADERS)
        self._listener.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._listener.lost(self)

    def data_received(self, data: bytes) -> None:
        """Count what arrives: headers and, for bodies, what no request can need are bounded."""
        if self._phase is _Phase.ANSWER:
            self._enter(_Phase.HEADERS)
        self._received_bytes += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEADERS and self._received_bytes > self._limits.header_bytes:
            self.end_with(HeadersTooLarge(f"headers have at most {self._limits.header_bytes} bytes"))
        elif self._phase is _Phase.BODY and self._received_bytes > self._limits.request_bytes:
            self._abort("BodyTooLarge")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._phase is _Phase.ANSWER:
            self._enter(_Phase.HEADERS)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is _Phase.HEADERS:  # trailers mean nothing here
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._limits.header_bytes:
            self._error = HeadersTooLarge(f"headers have at most {self._limits.header_bytes} bytes")
            raise self._error  # httptools hands it to send_400_response
        self._enter(_Phase.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._enter(_Phase.ANSWER)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        self.end_with(self._error or MalformedRequest("this is not HTTP as the node reads it"))

    def end_with(self, error: WalletNodeError) -> None:
        """Say why, where nothing else is being said, and close."""
        if self.transport.is_closing():
            return
        if not self._is_free_to_say():
            self._abort(error.code)
            return
        self._listener.application.metrics.closed(str(self._listener.endpoint), error.code)
        self.transport.write(raw_answer(self._listener.application.refusal(error)))
        self.transport.close()

    def _is_free_to_say(self) -> bool:
        """Whether what is written now would be taken for the answer to what was wrong."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return self._phase is _Phase.BODY and not self.pipeline and not self.cycle.response_started

    def sweep(self, now_s: float, wall_clock_s: float) -> None:
        """Hold this connection to its deadlines."""
        waited_s = now_s - self._since_s
        if self.about is None:
            return  # the handshake has a deadline of its own
        if self.transport.is_closing():
            if waited_s > self._limits.unread_answer_s:
                self.transport.abort()
        elif self._expires_at_s is not None and wall_clock_s > self._expires_at_s:
            self.end_with(CallerNotAllowed("the client certificate has expired"))
        elif self._phase is _Phase.HEADERS and waited_s > self._limits.header_s:
            self.end_with(RequestTooSlow("the request's headers did not arrive in time"))
        elif self._phase is _Phase.BODY and waited_s > self._limits.body_s:
            self._hurry()
        elif (
            self._phase is _Phase.ANSWER
            and waited_s > self._limits.unread_answer_s
            and self.transport.get_write_buffer_size() > 0
        ):
            self._abort("AnswerNotRead")

    def _hurry(self) -> None:
        """Wake the application that waits for the body, to refuse it; if none waits, be done."""
        if self.about is None or self.about.is_overdue or self.cycle is None or self.cycle.response_complete:
            self._abort("RequestTooSlow")
            return
        self.about.is_overdue = True
        self.cycle.message_event.set()

    def _abort(self, code: str) -> None:
        self._listener.application.metrics.closed(str(self._listener.endpoint), code)
        self.transport.abort()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._since_s = self._clock()
        self._received_bytes = 0


def raw_answer(answer: Answer) -> bytes:
    """An answer where no request has been read; the connection closes after it."""
    status, content_type, content, headers = answer
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"connection: close"]
    lines += [name + b": " + value for name, value in headers if name != b"connection"]
    lines += [b"content-type: " + content_type.encode(), b"content-length: %d" % len(content), b"", content]
    return b"\r\n".join(lines)
