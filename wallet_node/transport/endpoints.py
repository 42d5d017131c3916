"""Where callers reach the node: a Unix socket for each caller, and TLS with certificates on both sides."""

import argparse
import re
import socket
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wallet_node.errors import AlreadyRunning, CertificateUnusable, SocketUnusable

IDENTITY, AUTHORITY = "identity.pem", "authority.pem"
"""In a party's directory: its certificate with its private key, and the authority that it trusts."""

_ENDPOINT = re.compile(
    r"(?:(?P<caller>[a-z][a-z0-9_-]{0,31})=)?"
    r"(?:unix:(?P<path>.+)|tls:(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5}))"
)
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """Whoever connects here, as one of the caller's users, is this caller."""

    caller: str
    path: Path

    def __str__(self) -> str:
        return f"{self.caller}=unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TlsEndpoint:
    """The client certificate's common name is the caller; with `caller` set it must be that one."""

    caller: str | None
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.caller + '=' if self.caller else ''}tls:{host}:{self.port}"


Endpoint = UnixEndpoint | TlsEndpoint


def parse(text: str) -> Endpoint:
    """`NAME=unix:PATH`, `NAME=tls:HOST:PORT` or `tls:HOST:PORT`. Raises ValueError."""
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        raise ValueError("an endpoint is NAME=unix:PATH, NAME=tls:HOST:PORT or tls:HOST:PORT")
    if found["path"] is None:
        if int(found["port"]) > 65_535:
            raise ValueError("a port is at most 65535")
        return TlsEndpoint(found["caller"], found["v6"] or found["host"], int(found["port"]))
    if found["caller"] is None:
        raise ValueError("a Unix endpoint names its caller: NAME=unix:PATH")
    return UnixEndpoint(found["caller"], Path(found["path"]))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where to listen."""
    parser.add_argument("--socket", type=Path, help="short for --listen api=unix:PATH")
    parser.add_argument(
        "--listen",
        type=_endpoint,
        action="append",
        default=[],
        metavar="ENDPOINT",
        help="CALLER=unix:PATH, CALLER=tls:HOST:PORT or tls:HOST:PORT; repeatable",
    )
    parser.add_argument("--certificates", type=Path, help="for tls: the directory of the node's identity")


def chosen(options: argparse.Namespace) -> list[Endpoint]:
    """The endpoints that the options name. Raises SocketUnusable when there is none."""
    short = [] if options.socket is None else [UnixEndpoint("api", options.socket)]
    named: list[Endpoint] = [*short, *options.listen]
    if not named:
        raise SocketUnusable("say where to listen: --socket PATH or --listen CALLER=unix:PATH")
    return named


def listen(endpoint: Endpoint, *, is_shared: bool = False) -> socket.socket:
    """A listening socket. Raises SocketUnusable and AlreadyRunning.

    A Unix socket is private to the node's user, unless it `is_shared` with other users: then everybody who
    reaches its directory may connect, and the peer's user decides who is served.
    """
    if isinstance(endpoint, UnixEndpoint):
        return _listen_unix(endpoint.path, 0o666 if is_shared else 0o600)
    return _listen_tcp(endpoint)


def _listen_unix(path: Path, mode: int) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))  # the umask of harden_process makes it 0700 at most
    except OSError as error:
        listener.close()
        raise SocketUnusable(
            f"cannot listen on {path} ({error}); a path of at most 107 bytes works"
        ) from None
    path.chmod(mode)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _listen_tcp(endpoint: TlsEndpoint) -> socket.socket:
    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise SocketUnusable(f"cannot listen on {endpoint}: {error}") from None
    listener.setblocking(False)
    return listener


def _remove_stale(path: Path) -> None:
    """A socket left by a dead process is replaced; anything else in its place is not touched."""
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise AlreadyRunning(f"{path.name} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise AlreadyRunning(f"a process already answers on {path.name}")


class ServerCertificates:
    """The node's identity and the authority of its callers; renewed files are read at the next connection."""

    def __init__(self, directory: Path) -> None:
        self._files = (directory / IDENTITY, directory / AUTHORITY)
        self._seen = self._versions()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 only, a client certificate required. Files that cannot be used leave the ones before."""
        versions = self._versions()
        if versions != self._seen:
            try:
                self._context = self._load()
                self._seen = versions
            except CertificateUnusable:
                # Being written now, perhaps: the next connection looks again.
                return self._context
        return self._context

    def _versions(self) -> Sequence[tuple[int, int] | None]:
        versions: list[tuple[int, int] | None] = []
        for file in self._files:
            try:
                status = file.stat()
                versions.append((status.st_mtime_ns, status.st_ino))
            except OSError:
                versions.append(None)
        return versions

    def _load(self) -> ssl.SSLContext:
        identity, authority = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.num_tickets = 0  # a resumed session would not be asked for its certificate again
        try:
            if stat.S_IMODE(identity.stat().st_mode) & 0o077:
                raise CertificateUnusable(f"{identity} is open to other users; chmod 600 it and renew it")
            context.load_cert_chain(identity)
            context.load_verify_locations(authority)
        except OSError as error:  # ssl.SSLError is one
            raise CertificateUnusable(f"cannot use the certificates in {identity.parent}: {error}") from None
        return context


def common_name(certificate: Any) -> str:
    """The one common name of a verified certificate (as `getpeercert` gives it), else nothing."""
    names = [
        value
        for part in (certificate or {}).get("subject", ())
        for kind, value in part
        if kind == "commonName"
    ]
    return names[0] if len(names) == 1 else ""


def _endpoint(text: str) -> Endpoint:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
