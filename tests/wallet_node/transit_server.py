"""A small real HTTP server that speaks the wire of Vault's transit engine, for tests of the external KEK.

It keeps named AES-256-GCM keys with versions, checks the token, and answers errors as Vault does. `manner`
makes it misbehave.
"""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.a-token-of-the-tests"


class TransitServer(ThreadingHTTPServer):
    """Keys by name: a list of versions, the last one encrypts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = {"florin": [os.urandom(32)], "second": [os.urandom(32)]}
        self.manner: Callable[[_Handler], None] | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: TransitServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        if self.server.manner is not None:
            self.server.manner(self)
            return
        if self.headers.get("X-Vault-Token") != TOKEN:
            self.answer(403, {"errors": ["permission denied"]})
            return
        _, version, engine, verb, name = self.path.split("/")
        versions = self.server.keys.get(name)
        if (version, engine) != ("v1", "transit") or versions is None:
            self.answer(400, {"errors": ["encryption key not found"]})
        elif verb == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + AESGCM(versions[-1]).encrypt(nonce, base64.b64decode(body["plaintext"]), None)
            text = f"vault:v{len(versions)}:{base64.b64encode(sealed).decode()}"
            self.answer(200, {"data": {"ciphertext": text, "key_version": len(versions)}})
        else:
            self._decrypt(versions, body["ciphertext"])

    def _decrypt(self, versions: list[bytes], text: str) -> None:
        try:
            _, number, encoded = text.split(":")
            sealed = base64.b64decode(encoded, validate=True)
            plain = AESGCM(versions[int(number[1:]) - 1]).decrypt(sealed[:12], sealed[12:], None)
        except (ValueError, IndexError, InvalidTag):
            self.answer(400, {"errors": ["cipher: message authentication failed"]})
            return
        self.answer(200, {"data": {"plaintext": base64.b64encode(plain).decode()}})

    def answer(self, status: int, content: Any) -> None:
        encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def never_answer(self) -> None:
        self.server.released.wait(30)

    def answer_a_byte_at_a_time(self) -> None:
        """Each read meets its time-out, and the whole would take minutes."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1_000):
            self.wfile.write(b" ")
            self.wfile.flush()
            if self.server.released.wait(0.1):
                return

    def redirect(self) -> None:
        self.send_response(307)
        self.send_header("Location", f"{self.server.url}/v1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def hang_up(self) -> None:
        self.connection.close()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Tests are quiet."""


@contextmanager
def serving() -> Iterator[TransitServer]:
    """The server, until the block ends."""
    server = TransitServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
