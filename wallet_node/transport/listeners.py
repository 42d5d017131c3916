"""Endpoints at work: they accept, know their connections, and turn away what is too many."""

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from wallet_node.callers import Peer, require_admitted
from wallet_node.errors import CallerNotAllowed, TooManyConnections
from wallet_node.transport.connections import NodeProtocol, raw_answer
from wallet_node.transport.endpoints import Endpoint, ServerCertificates, UnixEndpoint
from wallet_node.transport.limits import ConnectionLimits
from wallet_node.transport.routes import Application

_log = logging.getLogger("wallet_node")
_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7): pid, uid, gid


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
        deadline_s = None if context is None else self.limits.handshake_s
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=deadline_s,
                ssl_shutdown_timeout=deadline_s,
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


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid
