"""The JSON-RPC client against a node that answers as told.

a call
├── gives its result
├── raises the node's error with its number and its revert data, however deep that is
└── raises RpcUnavailable when the node is away, slow, broken or not JSON-RPC
a batch
├── gives results by id, whatever order they come in, with errors in their places
├── is cut where it is too long
└── raises RpcUnavailable when an answer is missing
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from api.chain.errors import RpcRefused, RpcUnavailable
from api.chain.rpc import MAX_BATCH, RpcClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@contextlib.asynccontextmanager
async def node(answer: Callable[[Any], Any], timeout_s: float = 5.0) -> AsyncIterator[RpcClient]:
    """A client of a node that answers each body with `answer(body)`."""

    async def handle(request: web.Request) -> web.Response:
        answered = answer(msgspec.json.decode(await request.read()))
        if asyncio.iscoroutine(answered):
            answered = await answered
        if isinstance(answered, web.Response):
            return answered
        return web.Response(body=msgspec.json.encode(answered), content_type="application/json")

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with RpcClient(f"http://127.0.0.1:{runner.addresses[0][1]}", timeout_s) as client:
            yield client
    finally:
        await runner.cleanup()


def result(body: Any, value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": body["id"], "result": value}


async def test_a_call_gives_its_result() -> None:
    async with node(lambda body: result(body, [body["method"], body["params"]])) as client:
        assert await client.call("eth_some", 1, "0x2") == ["eth_some", [1, "0x2"]]


@pytest.mark.parametrize("data", ["0x0a0b", {"data": "0x0a0b"}, {"data": "0x0a0b", "message": "reverted"}])
async def test_a_call_raises_the_nodes_error_with_its_revert_data(data: Any) -> None:
    def answer(body: Any) -> Any:
        return {"jsonrpc": "2.0", "id": body["id"], "error": {"code": 3, "message": "reverted", "data": data}}

    async with node(answer) as client:
        with pytest.raises(RpcRefused) as raised:
            await client.call("eth_call")
    assert (raised.value.number, raised.value.message, raised.value.data) == (3, "reverted", b"\x0a\x0b")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _body: web.Response(status=502, text="bad gateway"),
        lambda _body: web.Response(text="<html>"),
        lambda _body: [],
        lambda _body: asyncio.sleep(0.6),
    ],
    ids=["a bad gateway", "no JSON", "a list", "silence"],
)
async def test_a_call_raises_when_the_node_cannot_serve(answer: Any) -> None:
    async with node(answer, timeout_s=0.3) as client:
        with pytest.raises(RpcUnavailable):
            await client.call("eth_some")


async def test_a_call_raises_when_the_node_is_away() -> None:
    async with RpcClient("http://127.0.0.1:1") as client:
        with pytest.raises(RpcUnavailable):
            await client.call("eth_some")


async def test_a_batch_gives_results_by_id_with_errors_in_their_places() -> None:
    def answer(bodies: Any) -> Any:
        answers = [result(body, body["params"][0]) for body in bodies]
        answers[1] = {"jsonrpc": "2.0", "id": bodies[1]["id"], "error": {"code": -32000, "message": "no"}}
        return answers[::-1]

    async with node(answer) as client:
        results = await client.batch("eth_some", [(0,), (1,), (2,)])
    assert results[0::2] == [0, 2]
    assert isinstance(results[1], RpcRefused)


async def test_a_batch_is_cut_where_it_is_too_long() -> None:
    sizes: list[int] = []

    def answer(bodies: Any) -> Any:
        sizes.append(len(bodies))
        return [result(body, body["params"][0]) for body in bodies]

    async with node(answer) as client:
        assert await client.batch("eth_some", [(i,) for i in range(MAX_BATCH + 5)]) == list(
            range(MAX_BATCH + 5)
        )
    assert sizes == [MAX_BATCH, 5]


@pytest.mark.parametrize(
    "answer",
    [
        lambda bodies: [result(bodies[0], 0)],
        lambda bodies: [result(bodies[0], 0), result(bodies[0], 0)],
        lambda bodies: result(bodies[0], 0),
    ],
    ids=["one of two", "the same twice", "no list"],
)
async def test_a_batch_with_a_missing_answer_raises(answer: Any) -> None:
    async with node(answer) as client:
        with pytest.raises(RpcUnavailable):
            await client.batch("eth_some", [(0,), (1,)])
