"""The import's client: patient with services that die and come back, firm with refusals.

a request
├── that is answered with a passing failure, or not at all: is sent again, unchanged, until it is answered
├── that is refused: raises the institution's own code at once
└── that nobody answers for the whole of its patience: says so
a bulk request
├── sends its lines in order, some at a time, and gives the answers in that order
├── whose answer breaks off, or ends in a failure of the service: sends that part again
└── with a refused line: raises its code
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts.orders.api_client import ApiClient, RequestRefused, ServiceUnreachable

Handler = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable["Service"]]


class Service:
    """A service that a test scripts by the number of the request; it remembers what it was sent."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.heard: list[tuple[str, str, str, bytes]] = []
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(application)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = request.headers
        self.heard.append(
            (headers["Authorization"], request.path, headers.get("Idempotency-Key", ""), await request.read())
        )
        return await self._handler(request, len(self.heard))

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    started: list[Service] = []

    async def start(handler: Handler) -> Service:
        service = Service(handler)
        await service.server.start_server()
        started.append(service)
        return service

    yield start
    for service in started:
        await service.server.close()


def client_of(service: Service, patience_s: float = 180.0) -> ApiClient:
    return ApiClient(service.url, "secret", patience_s=patience_s, first_pause_s=0.001, lines_at_once=2)


def ndjson(*answers: dict[str, Any]) -> web.Response:
    return web.Response(text="".join(json.dumps(answer) + "\n" for answer in answers))


def echo(body: bytes) -> list[dict[str, Any]]:
    return [{"reference": json.loads(line)["reference"]} for line in body.splitlines()]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 409])
async def test_a_passing_failure_is_tried_again_with_the_same_key_and_body(serve: Serve, status: int) -> None:
    async def handler(_: web.Request, number: int) -> web.Response:
        return web.json_response({"id": 7}) if number == 3 else web.json_response({}, status=status)

    service = await serve(handler)
    async with client_of(service) as client:
        assert await client.post("/v1/things", {"amount_minor": 5}, key="once") == {"id": 7}
    assert service.heard == [("Bearer secret", "/v1/things", "once", b'{"amount_minor": 5}')] * 3


async def test_a_connection_that_breaks_is_tried_again(serve: Serve) -> None:
    async def handler(request: web.Request, number: int) -> web.Response:
        if number == 1:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"fine": True})

    service = await serve(handler)
    async with client_of(service) as client:
        assert await client.get("/v1/things") == {"fine": True}


async def test_a_refusal_raises_the_institutions_code_at_once(serve: Serve) -> None:
    async def handler(_: web.Request, __: int) -> web.Response:
        return web.json_response({"code": "InsufficientFunds", "detail": "no"}, status=422)

    service = await serve(handler)
    async with client_of(service) as client:
        with pytest.raises(RequestRefused) as refusal:
            await client.put("/v1/tiers/1", {})
    assert (refusal.value.code, refusal.value.status, len(service.heard)) == ("InsufficientFunds", 422, 1)


async def test_a_service_that_stays_away_is_named_when_patience_ends(serve: Serve) -> None:
    async def handler(_: web.Request, __: int) -> web.Response:
        return web.json_response({"detail": "the books are not reachable"}, status=503)

    service = await serve(handler)
    async with client_of(service, patience_s=0.05) as client:
        with pytest.raises(ServiceUnreachable, match="the books are not reachable"):
            await client.get("/v1/things")


async def test_bulk_lines_keep_their_order_through_several_requests(serve: Serve) -> None:
    async def handler(_: web.Request, number: int) -> web.Response:
        return ndjson(*echo(service.heard[number - 1][3]))

    service = await serve(handler)
    lines = [{"reference": str(number)} for number in range(5)]
    seen: list[int] = []
    async with client_of(service) as client:
        assert await client.bulk("/v1/things:bulk", lines, seen.append) == lines
    assert seen == [2, 2, 1]


@pytest.mark.parametrize(
    "last",
    [
        [],
        [{"reference": None, "state": "error", "status": 503, "code": "DatabaseUnavailable"}],
    ],
)
async def test_a_bulk_answer_that_breaks_off_is_asked_for_again(
    serve: Serve, last: list[dict[str, Any]]
) -> None:
    async def handler(_: web.Request, number: int) -> web.Response:
        answers = echo(service.heard[number - 1][3])
        return ndjson(*answers[:1], *last) if number == 2 else ndjson(*answers)

    service = await serve(handler)
    lines = [{"reference": str(number)} for number in range(4)]
    async with client_of(service) as client:
        assert await client.bulk("/v1/things:bulk", lines) == lines
    bodies = [heard[3] for heard in service.heard]
    assert len(bodies) == 3
    assert bodies[1] == bodies[2]


async def test_a_refused_line_raises_its_code(serve: Serve) -> None:
    async def handler(_: web.Request, __: int) -> web.Response:
        return ndjson({"reference": "0", "state": "error", "status": 422, "code": "IdempotencyKeyReused"})

    service = await serve(handler)
    async with client_of(service) as client:
        with pytest.raises(RequestRefused) as refusal:
            await client.bulk("/v1/things:bulk", [{"reference": "0"}])
    assert refusal.value.code == "IdempotencyKeyReused"
