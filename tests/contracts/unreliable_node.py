"""A relay before a real chain that can cut the line at a chosen call, before or after it took effect."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class UnreliableNode:
    """Forwards JSON-RPC to `upstream`, counts the calls, and fails the one that it is told to fail."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.methods: list[str] = []
        self.fails_at: int | None = None
        self.is_lost_after_effect = False
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = node.answer(body)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing: the test reports."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, body: bytes) -> bytes | None:
        """Forward a request, and mine at once what it sent."""
        is_cut = len(self.methods) == self.fails_at
        method = json.loads(body)["method"]
        self.methods.append(method)
        if is_cut and not self.is_lost_after_effect:
            return None
        answer = self.forward(body)
        if method == "eth_sendRawTransaction":
            self.forward(json.dumps({"jsonrpc": "2.0", "id": 0, "method": "evm_mine", "params": []}).encode())
        return None if is_cut else answer

    def forward(self, body: bytes) -> bytes:
        request = urllib.request.Request(self.upstream, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer: bytes = response.read()
        return answer

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
