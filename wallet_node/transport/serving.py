"""The life of the serving process: its endpoints, signals, and the end."""

import gc
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from wallet_node.callers import Caller, find, users
from wallet_node.errors import CertificateUnusable, SocketUnusable
from wallet_node.transport.endpoints import Endpoint, ServerCertificates, TlsEndpoint, UnixEndpoint, listen
from wallet_node.transport.listeners import Listener
from wallet_node.transport.routes import Application

_log = logging.getLogger("wallet_node")


class NodeServer(uvicorn.Server):
    """uvicorn's life cycle (signals, drain) around the node's own listeners."""

    def __init__(self, application: Application, listeners: Sequence[Listener]) -> None:
        super().__init__(configuration(application))
        self._listeners = listeners

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = []
        for listener in self._listeners:
            listener.start(self.config, self.server_state)
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            for listener in self._listeners:
                listener.sweep()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self._listeners:
            listener.close()
        await super().shutdown(sockets)


def configuration(application: Application) -> uvicorn.Config:
    """How uvicorn serves the node."""
    return uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="uvloop",
        interface="asgi3",
        proxy_headers=False,  # what a caller says of itself counts for nothing
        server_header=False,
        timeout_keep_alive=75,  # longer than callers keep an idle connection, so that they close first
        timeout_graceful_shutdown=5,
    )


def serve(application: Application, named: Sequence[Endpoint], certificates: Path | None) -> None:
    """Listen and serve until a signal says stop. Raises SocketUnusable, AlreadyRunning and
    CertificateUnusable before anything is served.
    """
    callers = application.callers()
    identity = _identity(named, certificates)
    with ExitStack() as stack:
        listeners = []
        for endpoint in named:
            listening = stack.enter_context(listen(endpoint, is_shared=_is_shared(endpoint, callers)))
            if isinstance(endpoint, UnixEndpoint):
                stack.callback(endpoint.path.unlink, missing_ok=True)
                listeners.append(Listener(endpoint, listening, application))
            else:
                bound = TlsEndpoint(endpoint.caller, endpoint.host, listening.getsockname()[1])
                listeners.append(Listener(bound, listening, application, certificates=identity))
            _log.info("listening: %s", listeners[-1].endpoint)
        leave_to_stay()
        NodeServer(application, listeners).run()


def leave_to_stay() -> None:
    """What has been loaded is never garbage: the collector need not go over it while somebody waits."""
    gc.collect()
    gc.freeze()


def _identity(named: Sequence[Endpoint], certificates: Path | None) -> ServerCertificates | None:
    if not any(isinstance(endpoint, TlsEndpoint) for endpoint in named):
        return None
    if certificates is None:
        raise CertificateUnusable("a tls endpoint needs --certificates DIR, the node's own directory")
    return ServerCertificates(certificates)


def _is_shared(endpoint: Endpoint, callers: Sequence[Caller]) -> bool:
    """Whether other users than the node's own connect here. Raises SocketUnusable for an unknown caller."""
    if endpoint.caller is None:
        return False
    caller = find(callers, endpoint.caller)
    if caller is None:
        raise SocketUnusable(f"{endpoint}: the policy names no caller {endpoint.caller}")
    return any(uid != os.geteuid() for uid in users(caller))
