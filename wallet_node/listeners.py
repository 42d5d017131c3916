"""Connections: who is at the other end, how many there may be, and how long one may take.

uvicorn reads the HTTP; what it leaves to others is done here. It has no deadline for headers or bodies, no
bound on headers, and hides the peer: the peer is put where the application finds it, into the state of each
request. Deadlines are checked by a sweep once a second and not by a timer for each request.
"""

import asyncio
import logging
import socket
import ssl
import struct
import time
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from wallet_node.callers import Peer, require_admitted
from wallet_node.endpoints import Endpoint, ServerCertificates, UnixEndpoint, common_name
from wallet_node.errors import (
    CallerNotAllowed,
    HeadersTooLarge,
    MalformedRequest,
    RequestTooSlow,
    TooManyConnections,
    WalletNodeError,
)
from wallet_node.limits import ConnectionLimits
from wallet_node.routes import Answer, Application, Connection

_log = logging.getLogger("wallet_node")
_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid


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
        if self.cycle is not None and not self.cycle.response_complete:
            self._abort(error.code)
            return
        self._listener.application.metrics.closed(str(self._listener.endpoint), error.code)
        self.transport.write(raw_answer(self._listener.application.refusal(error)))
        self.transport.close()

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


class Listener:
    """One endpoint: accepts, knows its connections, and turns away what is too many."""

    def __init__(
        self,
        endpoint: Endpoint,
        listening: socket.socket,
        application: Application,
        *,
        certificates: ServerCertificates | None = None,
        limits: ConnectionLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.endpoint = endpoint
        self.application = application
        self.limits = limits or ConnectionLimits()
        self.clock = clock
        self._wall_clock = wall_clock
        self._listening = listening
        self._certificates = certificates
        self._proven: set[NodeProtocol] = set()
        self._unproven: set[NodeProtocol] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, config: uvicorn.Config, state: ServerState) -> None:
        """Accept connections from now on, in the running event loop."""
        self._watch(self._accept(config, state))

    def close(self) -> None:
        """Accept no more; the connections that are open end by themselves."""
        for task in self._tasks:
            task.cancel()

    def sweep(self) -> None:
        """Hold every connection to its deadlines."""
        now_s, wall_clock_s = self.clock(), self._wall_clock()
        for protocol in [*self._proven, *self._unproven]:
            protocol.sweep(now_s, wall_clock_s)

    def made(self, protocol: NodeProtocol) -> None:
        """A connection is there; of TLS, only now it is known whose."""
        if protocol in self._unproven and protocol.peer is not None and self._is_admitted(protocol.peer):
            if len(self._proven) >= self.limits.proven:
                protocol.end_with(self._too_many())
                return
            self._unproven.discard(protocol)
            self._proven.add(protocol)

    def lost(self, protocol: NodeProtocol) -> None:
        """A connection is gone."""
        self._proven.discard(protocol)
        self._unproven.discard(protocol)

    async def _accept(self, config: uvicorn.Config, state: ServerState) -> None:
        loop = asyncio.get_running_loop()
        with self._listening:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listening)
                except OSError as error:  # gone before it was accepted, or no descriptors left: others go on
                    _log.warning("cannot accept on %s: %s", self.endpoint, error)
                    await asyncio.sleep(0.1)
                    continue
                protocol = NodeProtocol(self, config, state)
                if isinstance(self.endpoint, UnixEndpoint):
                    protocol.peer = Peer(self.endpoint.caller, _user_of(connection))
                self._let_in(connection, protocol)

    def _let_in(self, connection: socket.socket, protocol: NodeProtocol) -> None:
        is_proven = protocol.peer is not None and self._is_admitted(protocol.peer)
        among = self._proven if is_proven else self._unproven
        if len(among) >= (self.limits.proven if is_proven else self.limits.unproven):
            self._turn_away(connection)
            return
        among.add(protocol)
        self._watch(self._open(connection, protocol))

    async def _open(self, connection: socket.socket, protocol: NodeProtocol) -> None:
        context = self._certificates.context() if self._certificates is not None else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=None if context is None else self.limits.handshake_s,
            )
        except OSError as error:  # ssl.SSLError and the handshake's deadline among them
            self.lost(protocol)
            self.application.metrics.closed(str(self.endpoint), "HandshakeFailed")
            _log.info("no handshake on %s: %s", self.endpoint, error)

    def _is_admitted(self, peer: Peer) -> bool:
        try:
            require_admitted(self.application.callers(), peer)
        except CallerNotAllowed:
            return False
        return True

    def _too_many(self) -> TooManyConnections:
        return TooManyConnections(f"{self.endpoint} has as many connections as it serves")

    def _turn_away(self, connection: socket.socket) -> None:
        error = self._too_many()
        self.application.metrics.closed(str(self.endpoint), error.code)
        answer = raw_answer(self.application.refusal(error))
        with connection:
            if self._certificates is None:
                try:
                    connection.send(answer)
                except OSError:
                    return  # already gone

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def raw_answer(answer: Answer) -> bytes:
    """An answer where no request has been read; the connection closes after it."""
    status, content_type, content, headers = answer
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(), b"connection: close"]
    lines += [name + b": " + value for name, value in headers if name != b"connection"]
    lines += [b"content-type: " + content_type.encode(), b"content-length: %d" % len(content), b"", content]
    return b"\r\n".join(lines)


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid
