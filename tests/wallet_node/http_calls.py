"""One HTTP request to the node, as a caller meets it; uvicorn's and the listener's parts are played here."""

import json
from collections.abc import MutableMapping
from typing import Any

from wallet_node.callers import Peer
from wallet_node.node import WalletNode
from wallet_node.transport.routes import Application, Connection


async def call(
    served: WalletNode | Application,
    method: str,
    path: str,
    *parts: bytes,
    peer: Peer | None = None,
    query: str = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, str, Any]:
    """One request in as many body parts as given, from the caller `api`: status, content type, content.

    An application counts on from one call to the next; a node gets a new one for each.
    """
    application = served if isinstance(served, Application) else Application(served)
    status, given, content = await answer_of(
        application, method, path, *parts, peer=peer, query=query, headers=headers
    )
    content_type = given["content-type"]
    return status, content_type, json.loads(content) if "json" in content_type else content.decode()


async def answer_of(
    application: Application,
    method: str,
    path: str,
    *parts: bytes,
    peer: Peer | None = None,
    query: str = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """The same with all headers, and the content as it came."""
    sent: list[MutableMapping[str, Any]] = []
    pending = list(parts) or [b""]

    async def receive() -> MutableMapping[str, Any]:
        part = pending.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(pending)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "state": {"connection": Connection(peer or Peer("api"))},
    }
    await application(scope, receive, send)
    given = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], given, sent[1]["body"]
