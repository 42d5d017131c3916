"""JSON-RPC for a deployment and a gas measurement, without web3's two seconds of imports."""

import json
import urllib.error
import urllib.request
from itertools import count
from typing import Any

TIMEOUT_S = 60


class RpcRefused(Exception):
    """The node answered with an error."""

    code = "RpcRefused"

    def __init__(self, method: str, error: Any) -> None:
        message = error.get("message", error) if isinstance(error, dict) else error
        super().__init__(f"{method}: {message}")
        self.method = method
        self.error = error


class Rpc:
    """A node at an HTTP address. Raises OSError when it cannot be reached."""

    def __init__(self, url: str) -> None:
        """Remember the address; nothing is sent yet."""
        if not url.startswith(("http://", "https://")):
            raise ValueError("a node's address starts with http:// or https://")
        self._url = url
        self._ids = count(1)

    def call(self, method: str, *parameters: Any) -> Any:
        """Return the result of a call. Raises RpcRefused."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": parameters}
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self._url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
                answer = json.load(response)
        except urllib.error.HTTPError as failure:
            raise RpcRefused(method, f"HTTP {failure.code}") from failure
        if answer.get("error") is not None:
            raise RpcRefused(method, answer["error"])
        return answer.get("result")

    def quantity(self, method: str, *parameters: Any) -> int:
        """Return the result of a call that answers with a hexadecimal integer."""
        return int(self.call(method, *parameters), 16)
