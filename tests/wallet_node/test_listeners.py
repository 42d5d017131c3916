"""Unix endpoints as a connection meets them: who it is taken for, how many there may be, how slow it is."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from node_builders import Home, batch, customers, payment
from open_doors import Clocks, opened, swept, until

from wallet_node.callers import DEFAULT_CALLERS, Caller
from wallet_node.transport.endpoints import UnixEndpoint
from wallet_node.transport.limits import ConnectionLimits
from wallet_node.transport.listeners import Listener
from wallet_node.transport.routes import Application
from wallet_node.transport.serving import NodeServer

GET = b"GET /v1/keys HTTP/1.1\r\nHost: node\r\n\r\n"
LIMITS = ConnectionLimits(proven=2, unproven=2)


class Door:
    """One Unix endpoint of a node, and ways to knock."""

    def __init__(self, listener: Listener, clocks: Clocks, path: Path) -> None:
        self.listener = listener
        self.clocks = clocks
        self.path = path

    @property
    def application(self) -> Application:
        return self.listener.application

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.path)

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.path))
        return httpx.AsyncClient(transport=transport, base_url="http://node", timeout=30)

    async def at_the_end(self, reader: asyncio.StreamReader) -> bytes:
        """What the connection says to its end, while seconds pass."""
        return await swept(self.listener, reader, self.clocks)


@pytest.fixture
async def door(home: Home) -> AsyncIterator[Door]:
    clocks, path = Clocks(), home.path.parent / "s"
    async with opened(Application(home.open()), UnixEndpoint("api", path), None, LIMITS, clocks) as listener:
        yield Door(listener, clocks, path)


def code_of(answer: bytes) -> tuple[int, str]:
    """Status and code of one raw answer."""
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    return int(head.split()[1]), json.loads(content)["code"]


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One answer on a connection that stays open."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
    )
    return int(head.split()[1]), await reader.readexactly(length)


async def test_the_endpoint_names_the_caller_for_every_request_of_a_connection(home: Home) -> None:
    node = home.open()
    application = Application(node)
    signing = json.dumps(batch(payment(customers(node, 1)[0]))).encode()
    for caller, statuses in [("api", [200, 200, 200]), ("officers", [403, 200, 403])]:
        path = home.path.parent / caller
        async with opened(application, UnixEndpoint(caller, path)):
            transport = httpx.AsyncHTTPTransport(uds=str(path))
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                got = [
                    (await client.post("/v1/payments:sign", content=signing)).status_code,
                    (await client.get("/v1/keys", headers={"x-caller": "api"})).status_code,
                    (await client.post("/v1/payments:sign", content=signing)).status_code,
                ]
        assert got == statuses


async def test_a_connection_of_another_user_gets_nothing(home: Home) -> None:
    path, stranger = home.path.parent / "s", os.geteuid() + 1
    node = home.open()
    application = Application(node, lambda: (Caller("api", ("read",), (stranger,)),))
    async with opened(application, UnixEndpoint("api", path)):
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            for route in ("/v1/keys", "/healthz"):
                refused = await client.get(route)
                assert (refused.status_code, refused.json()["code"]) == (403, "CallerNotAllowed")
    assert node.refusals["CallerNotAllowed"] == 2


async def test_strangers_do_not_take_the_room_of_those_who_may_connect(home: Home) -> None:
    path, callers = home.path.parent / "s", [Caller("api", ("read",), (os.geteuid() + 1,))]
    limits = ConnectionLimits(proven=1, unproven=2)
    application = Application(home.open(), lambda: callers)
    async with opened(application, UnixEndpoint("api", path), None, limits):
        held = [await asyncio.open_unix_connection(path) for _ in range(2)]
        reader, _ = await asyncio.open_unix_connection(path)
        assert code_of(await reader.read()) == (503, "TooManyConnections")
        callers[:] = DEFAULT_CALLERS
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        assert (await read_answer(reader))[0] == 200
        assert len(held) == 2


async def test_more_connections_than_the_endpoint_serves_are_turned_away_until_one_ends(door: Door) -> None:
    first, second = await door.connect(), await door.connect()
    reader, _ = await door.connect()
    answer = await reader.read()
    assert code_of(answer) == (503, "TooManyConnections")
    assert b"retry-after: 1\r\n" in answer
    first[1].close()
    await until(lambda: len(door.listener._proven) < 2)
    async with door.client() as client:
        assert (await client.get("/v1/keys")).status_code == 200
        text = (await client.get("/metrics")).text
    endpoint = f'code="TooManyConnections",endpoint="api=unix:{door.path}"'
    assert f"florin_wallet_node_connections_closed_total{{{endpoint}}} 1.0\n" in text
    second[1].close()


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"G", GET[:-2], b"POST /v1/keys:derive HTTP/1.1\r\nA: b"])
async def test_headers_that_do_not_come_in_time_end_the_connection(door: Door, sent: bytes) -> None:
    reader, writer = await door.connect()
    writer.write(GET)
    assert (await read_answer(reader))[0] == 200
    second_reader, second = await door.connect()
    for one in (writer, second):
        one.write(sent)
        await one.drain()
    assert code_of(await door.at_the_end(second_reader)) == (408, "RequestTooSlow")
    if sent:  # an idle connection is not a slow one
        assert code_of(await door.at_the_end(reader)) == (408, "RequestTooSlow")
    assert door.application.node.refusals["RequestTooSlow"] == (2 if sent else 1)


async def test_slow_headers_within_their_time_are_served(door: Door) -> None:
    reader, writer = await door.connect()
    writer.write(GET)
    assert (await read_answer(reader))[0] == 200
    door.clocks.passed_s += 3_600  # idle
    for piece in (GET[:10], GET[10:20]):
        writer.write(piece)
        await until(lambda: door.listener._proven != set())
        door.listener.sweep()
        door.clocks.passed_s += 4
    writer.write(GET[20:])
    assert (await read_answer(reader))[0] == 200


async def test_a_body_that_does_not_come_in_time_is_refused_and_nothing_is_done(door: Door) -> None:
    reader, writer = await door.connect()
    head = b"POST /v1/keys:derive HTTP/1.1\r\nHost: n\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n"
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b'{"indices"')
    door.clocks.passed_s += 19
    door.listener.sweep()
    writer.write(b": [0]")
    assert code_of(await door.at_the_end(reader)) == (408, "RequestTooSlow")
    assert door.application.node.keys()["derived"] == 0
    assert not door.listener._proven


async def test_a_body_for_nobody_is_thrown_away_and_not_for_ever(door: Door) -> None:
    reader, writer = await door.connect()
    writer.write(b"POST /v1/nothing HTTP/1.1\r\nHost: n\r\nContent-Length: 99\r\n\r\n")
    assert (await read_answer(reader))[0] == 404
    writer.write(b"x" * 99 + GET)
    assert (await read_answer(reader))[0] == 200
    writer.write(b"POST /v1/nothing HTTP/1.1\r\nHost: n\r\nContent-Length: 99\r\n\r\n")
    assert (await read_answer(reader))[0] == 404
    assert await door.at_the_end(reader) == b""


async def test_a_body_without_end_ends_the_connection(door: Door) -> None:
    reader, writer = await door.connect()
    writer.write(b"POST /v1/keys:derive HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    asking = asyncio.ensure_future(reader.read())

    async def send_for_ever() -> None:
        while True:
            writer.write(chunk)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await send_for_ever()
    asking.cancel()


async def test_a_body_larger_than_its_verb_takes_is_answered_also_over_the_wire(door: Door) -> None:
    async with door.client() as client:
        refused = await client.post("/v1/keys:derive", content=b" " * (1024 * 1024 + 1))
        assert (refused.status_code, refused.json()["code"]) == (413, "BodyTooLarge")
        assert (await client.get("/v1/keys")).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/keys HTTP/1.1\r\nA: " + b"x" * 17_000 + b"\r\n\r\n",
        b"GET /v1/keys HTTP/1.1\r\nA: " + b"x" * 200_000,
        b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v1/keys HTTP/1.1\r\n" + b"A: b\r\n" * 3_000 + b"\r\n",
        b"GET /v1/keys HTTP/1.1\r\n" + b"A: b\r\n" * 30_000,
    ],
    ids=["one value", "a value without end", "a path", "many headers", "headers without end"],
)
async def test_headers_that_are_too_large_end_the_connection(door: Door, sent: bytes) -> None:
    reader, writer = await door.connect()
    writer.write(sent)
    assert code_of(await door.at_the_end(reader)) == (431, "HeadersTooLarge")


@pytest.mark.parametrize("sent", [b"\x16\x03\x01 not http\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100])
async def test_what_is_not_http_is_refused_by_name(door: Door, sent: bytes) -> None:
    reader, writer = await door.connect()
    writer.write(sent)
    assert code_of(await door.at_the_end(reader)) == (400, "MalformedRequest")


async def test_requests_in_one_breath_are_answered_in_order(door: Door) -> None:
    reader, writer = await door.connect()
    writer.write(GET + GET.replace(b"/v1/keys", b"/nowhere") + GET)
    assert [(await read_answer(reader))[0] for _ in range(3)] == [200, 404, 200]


async def test_whoever_does_not_read_the_answers_is_left_after_a_while(door: Door) -> None:
    _, writer = await door.connect()
    for _ in range(100):
        writer.write(GET.replace(b"/v1/keys", b"/openapi.json"))
    (protocol,) = await _those_of(door)
    await until(lambda: protocol.transport.get_write_buffer_size() > 0)
    door.listener.sweep()
    assert not protocol.transport.is_closing()
    door.clocks.passed_s += 31
    door.listener.sweep()
    await until(lambda: not door.listener._proven)


async def _those_of(door: Door) -> list:
    await until(lambda: bool(door.listener._proven))
    return list(door.listener._proven)


async def test_trailers_mean_nothing(door: Door) -> None:
    reader, writer = await door.connect()
    body = b'{"indices": [0]}'
    writer.write(
        b"POST /v1/keys:derive HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(body), body)
    )
    assert (await read_answer(reader))[0] == 200
    assert door.application.node.keys()["derived"] == 1


@pytest.mark.parametrize("rest", [b"zz\r\n", b"1\r\nxy\r\n", b"0\r\nContent-Length: 0\r\n\r\n"])
async def test_a_body_that_is_broken_off_its_framing_is_refused_and_nothing_is_done(
    door: Door, rest: bytes
) -> None:
    reader, writer = await door.connect()
    writer.write(b"POST /v1/keys:derive HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b'10\r\n{"indices": [0]}\r\n' + rest)
    assert code_of(await door.at_the_end(reader)) == (400, "MalformedRequest")
    assert door.application.node.keys()["derived"] == 0


async def test_the_server_holds_connections_to_their_deadlines_once_a_second(door: Door) -> None:
    server = NodeServer(door.application, [door.listener])
    reader, _ = await door.connect()
    await until(lambda: bool(door.listener._proven))
    door.clocks.passed_s += 11
    for tick in range(1, 10):
        assert not await server.on_tick(tick)
    assert door.listener._proven
    await server.on_tick(10)
    assert code_of(await reader.read()) == (408, "RequestTooSlow")
