"""POST /v1/payments:bulk.

The lines of a bulk request
├── are decided in their order, each on what is left by those before it
├── are answered in their order, one answer for each
├── that cannot be read: an error in their place, and the others go on
├── with a known reference and the same content: the same answer; with other content: an error
├── more than fit one transaction: chunks, all of them
├── too long: an error in its place
├── sent by a client that reads nothing before it has sent everything: answered all the same
└── whose request broke off: what was answered is done, and sending all again completes it
A body that is not said to be JSON lines: refused
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from api.ndjson import CHUNK_LINES, MAX_LINE_BYTES, MAX_LINES, TooManyLines, _chunks_of
from tests.api.offices import CURRENCY, OPENING_MINOR, BankOffice, payment

if TYPE_CHECKING:
    from starlette.types import Message


def line(reference: str, amount_minor: Any = 1_000, **changes: Any) -> dict[str, Any]:
    return payment(amount_minor, **changes) | {"reference": reference}


async def test_lines_are_decided_in_their_order(bank: BankOffice) -> None:
    amounts = [300_000, 300_000, 200_000, 1]
    answers = await bank.bulk(
        "/v1/payments:bulk", [line(f"p-{i}", amount) for i, amount in enumerate(amounts)]
    )
    assert [(each["reference"], each["state"]) for each in answers] == [
        ("p-0", "accepted"), ("p-1", "refused"), ("p-2", "accepted"), ("p-3", "refused"),
    ]  # fmt: skip
    assert [reason["code"] for reason in answers[1]["reasons"]] == ["InsufficientFunds"]
    assert await bank.intents() == [
        ("funding", 300_000), ("payment", 300_000), ("funding", 200_000), ("payment", 200_000),
    ]  # fmt: skip


async def test_a_malformed_line_is_answered_in_its_place_and_harms_no_other(bank: BankOffice) -> None:
    answers = await bank.bulk(
        "/v1/payments:bulk",
        [
            line("p-1"),
            line("p-2", -5),
            "{not json",
            line("p-3") | {"colour": "red"},
            {k: v for k, v in line("p-4").items() if k != "reference"},
            line("p-5", currency="XXX"),
            line("p-6", payer_wallet_reference="w-404"),
            "",
            line("p-7"),
            json.dumps(line("p-8"))[:-1] + ', "amount_minor": 2}',
        ],
    )
    assert [(each["reference"], each["state"], each.get("code")) for each in answers] == [
        ("p-1", "accepted", None),
        ("p-2", "error", "AmountNotPositive"),
        (None, "error", "MalformedRequest"),
        ("p-3", "error", "UnknownField"),
        (None, "error", "MalformedRequest"),
        ("p-5", "error", "UnknownCurrency"),
        ("p-6", "error", "UnknownWallet"),
        ("p-7", "accepted", None),
        ("p-8", "error", "DuplicateField"),
    ]
    assert {each["reference"]: each["line"] for each in answers if each["reference"] and "line" in each} == {
        "p-2": 2, "p-3": 4, "p-5": 6, "p-6": 7, "p-8": 10,  # as in the caller's file: empty ones count
    }  # fmt: skip
    recorded = await bank.institution.pool.fetch("SELECT reference FROM payments ORDER BY reference")
    assert [row["reference"] for row in recorded] == ["p-1", "p-7"]


async def test_repeated_lines_get_the_same_answers_and_pay_once(bank: BankOffice) -> None:
    lines = [line("p-1"), line("p-2", OPENING_MINOR), line("p-3", 2_000), line("p-1")]
    first = await bank.bulk("/v1/payments:bulk", lines)
    assert first[3] == first[0]
    before = await bank.state()
    assert await bank.bulk("/v1/payments:bulk", lines) == first
    assert await bank.state() == before


async def test_a_known_reference_with_other_content_is_an_error(bank: BankOffice) -> None:
    answers = await bank.bulk("/v1/payments:bulk", [line("p-1", 1), line("p-1", 2), line("p-2", 3)])
    assert [(each["state"], each.get("code")) for each in answers] == [
        ("accepted", None), ("error", "IdempotencyKeyReused"), ("accepted", None),
    ]  # fmt: skip
    assert await bank.intents() == [("funding", 1), ("payment", 1), ("funding", 3), ("payment", 3)]


async def test_a_single_payment_and_a_line_share_the_callers_references(bank: BankOffice) -> None:
    single = await bank.post("/v1/payments", payment(1_000), key="p-1")
    (answer,) = await bank.bulk("/v1/payments:bulk", [line("p-1")])
    assert answer["payment_id"] == single.json()["payment_id"]
    assert len(await bank.intents()) == 2


async def test_more_lines_than_fit_one_transaction_are_all_decided(bank: BankOffice) -> None:
    count = 2 * CHUNK_LINES + 1
    answers = await bank.bulk("/v1/payments:bulk", [line(f"p-{i}", 1) for i in range(count)])
    assert [each["reference"] for each in answers] == [f"p-{i}" for i in range(count)]
    assert {each["state"] for each in answers} == {"accepted"}
    assert (await bank.held())["deposit:a-1"] == count


async def test_a_line_that_is_too_long_is_skipped_whole(bank: BankOffice) -> None:
    for length in (MAX_LINE_BYTES + 1, 5 * MAX_LINE_BYTES):
        long = json.dumps(line("p-long", note="n")).replace('"n"', '"' + "n" * length + '"')
        answers = await bank.bulk(
            "/v1/payments:bulk", [line(f"before-{length}"), long, line(f"after-{length}")]
        )
        assert [(each["state"], each.get("code")) for each in answers] == [
            ("accepted", None), ("error", "LineTooLong"), ("accepted", None),
        ]  # fmt: skip


async def test_a_line_that_is_too_long_at_the_end_of_a_chunk_does_not_join_all_that_follow() -> None:
    async def pieces() -> Any:
        yield b"{}\n" * (CHUNK_LINES - 1) + b"x" * (MAX_LINE_BYTES + 1)
        for _ in range(4):
            yield b"x\n" + b"{}\n" * CHUNK_LINES

    sizes = [len(chunk) async for chunk in _chunks_of(pieces())]
    assert max(sizes) == CHUNK_LINES
    assert sum(sizes) == 5 * CHUNK_LINES + 3


async def test_a_request_with_too_many_lines_is_answered_up_to_the_limit() -> None:
    async def pieces() -> Any:
        for _ in range(MAX_LINES // CHUNK_LINES + 1):
            yield b"{}\n" * CHUNK_LINES

    seen: list[int] = []

    async def read() -> None:
        async for chunk in _chunks_of(pieces()):
            seen.append(len(chunk))  # noqa: PERF401 - what was seen before it raises

    with pytest.raises(TooManyLines):
        await read()
    assert sum(seen) == MAX_LINES


async def test_a_chunk_that_is_refused_whole_is_refused_line_by_line(bank: BankOffice) -> None:
    lines = [
        {
            "reference": f"n-{i}",
            "customer_reference": "c-1",
            "currency": CURRENCY,
            "opening_deposit_minor": 2**53 - 1,
        }
        for i in range(CHUNK_LINES * 3)
    ]
    before = await bank.institution.pool.fetchval("SELECT count(*) FROM accounts")
    answers = await bank.bulk("/v1/accounts:bulk", lines)
    assert [each["reference"] for each in answers] == [each["reference"] for each in lines]
    assert {each.get("code") for each in answers} == {None, "BalanceTooLarge"}
    opened = sum("account_id" in each for each in answers)
    assert opened % CHUNK_LINES == 0
    assert await bank.institution.pool.fetchval("SELECT count(*) FROM accounts") == before + opened


async def test_lines_may_arrive_in_any_pieces(bank: BankOffice) -> None:
    text = "\r\n".join(json.dumps(line(f"p-{i}", 1)) for i in range(5))

    async def pieces() -> Any:
        for start in range(0, len(text), 7):
            yield text[start : start + 7].encode()

    response = await bank.client.post(
        "/v1/payments:bulk", content=pieces(), headers={"Content-Type": "application/x-ndjson"}
    )
    assert [json.loads(answer)["reference"] for answer in response.text.splitlines()] == [
        f"p-{i}" for i in range(5)
    ]


async def test_a_request_that_broke_off_is_completed_by_sending_it_again(bank: BankOffice) -> None:
    lines = [line(f"p-{i}", 1) for i in range(2 * CHUNK_LINES)]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    first_chunk_sent, answered = asyncio.Event(), asyncio.Event()
    half = text.index(json.dumps(lines[CHUNK_LINES + 10]))
    messages: list[Message] = []

    async def receive() -> Message:
        if not first_chunk_sent.is_set():
            first_chunk_sent.set()
            return {"type": "http.request", "body": text[:half].encode(), "more_body": True}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)
        if message["type"] == "http.response.body":
            answered.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/payments:bulk", "raw_path": b"/v1/payments:bulk", "query_string": b"", "root_path": "",
        "headers": [
            (b"authorization", f"Bearer {bank.key}".encode()),
            (b"content-type", b"application/x-ndjson"),
        ],
        "server": ("bank", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await bank.app(scope, receive, send)
    assert (await bank.held())["deposit:a-1"] == CHUNK_LINES
    answers = await bank.bulk("/v1/payments:bulk", lines)
    assert {each["state"] for each in answers} == {"accepted"}
    assert (await bank.held())["deposit:a-1"] == 2 * CHUNK_LINES


async def test_a_client_that_sends_everything_before_it_reads_is_answered(bank: BankOffice) -> None:
    config = uvicorn.Config(bank.app, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        make_small(listening)  # what it accepts is as small
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        lines = (b"{" + b" " * 200 + b"}\n") * 5_000
        answer = await asyncio.to_thread(send_then_read, listening.getsockname()[1], bank.key, lines)
        server.should_exit = True
        await serving
    assert answer.count(b'"MalformedRequest"') == 5_000


def make_small(end: socket.socket) -> None:
    for direction in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        end.setsockopt(socket.SOL_SOCKET, direction, 4096)


def send_then_read(port: int, key: str, body: bytes) -> bytes:
    """The answers would fill every buffer on the way while this client still sends."""
    with socket.socket() as client:
        make_small(client)
        client.settimeout(20)
        client.connect(("127.0.0.1", port))
        head = (
            f"POST /v1/payments:bulk HTTP/1.1\r\nHost: bank\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        client.sendall(head.encode())
        client.sendall(body)
        pieces = []
        while piece := client.recv(65_536):
            pieces.append(piece)
        return b"".join(pieces)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
async def test_a_body_that_is_not_said_to_be_lines_is_refused(bank: BankOffice, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    content = json.dumps(line("p-1")).encode()
    response = await bank.client.post("/v1/payments:bulk", content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "UnsupportedMediaType")
    assert await bank.intents() == []
