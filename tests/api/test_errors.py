"""Every refusal and failure is a problem document (RFC 9457).

An HTTP answer that is an error
├── carries type, title, status, detail, code and the values that explain it
├── of a malformed body names each field, and does not repeat the value
├── of an unknown field has its own code
├── of an unknown path, method or size has its own code
├── of an unreachable database is 503 and says to try again
└── of anything else is 500 and reveals nothing but an incident number, which the log has too
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import asyncpg
import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from api.errors import DatabaseUnavailable, FlorinError, NotFound, install_error_handlers, problem, title_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    amount_minor: Annotated[int, Field(gt=0)]
    secret: str = ""


RAISED: dict[str, Exception] = {
    "refused": FlorinError("InsufficientFunds", 422, "Too little.", available_minor=5, status_of="x"),
    "lost": asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    "away": DatabaseUnavailable(),
    "large": HTTPException(413),
    "odd": HTTPException(418),
    "bug": RuntimeError("password=hunter2"),
    "unauthenticated": HTTPException(401),
    "shutdown": asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    "closed": asyncpg.InterfaceError("cannot perform operation: connection is closed"),
    "misused": asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    "file": FileNotFoundError("a file of ours"),
    "constraint": asyncpg.CheckViolationError("a rule that slipped through"),
}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/orders")
    async def order(body: Order) -> int:
        return body.amount_minor

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        if name == "unreachable":
            await asyncpg.connect("postgresql://nobody@/none?host=/nonexistent")
        raise RAISED[name]

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://florin") as client:
        yield client


async def test_a_refusal_carries_its_code_sentence_and_values(client: httpx.AsyncClient) -> None:
    answer = await client.get("/raise/refused")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/InsufficientFunds",
        "title": "Insufficient funds",
        "status": 422,
        "detail": "Too little.",
        "code": "InsufficientFunds",
        "available_minor": 5,
        "status_of": "x",
    }


@pytest.mark.parametrize(
    "body", ['{"amount_minor": 1.5}', '{"amount_minor": "1"}', '{"amount_minor": -1}', "{}", "{"]
)
async def test_a_malformed_body_names_its_field(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post("/orders", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "MalformedRequest")
    if body != "{":
        assert [field["field"] for field in answer.json()["fields"]] == ["amount_minor"]


async def test_an_unknown_field_has_its_own_code(client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders", json={"amount_minor": 0, "amuont": 1})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        400,
        "UnknownField",
        "amuont",
    )


async def test_a_rejected_value_is_not_repeated(client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders", json={"amount_minor": 1, "secret": ["hunter2"]})
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NotFound"),
        ("GET", "/orders", 405, "MethodNotAllowed"),
        ("GET", "/raise/large", 413, "ContentTooLarge"),
        ("GET", "/raise/odd", 418, "RequestRefused"),
        ("GET", "/raise/unauthenticated", 401, "Unauthenticated"),
        ("GET", "/raise/lost", 503, "DatabaseUnavailable"),
        ("GET", "/raise/away", 503, "DatabaseUnavailable"),
        ("GET", "/raise/shutdown", 503, "DatabaseUnavailable"),
        ("GET", "/raise/closed", 503, "DatabaseUnavailable"),
        ("GET", "/raise/unreachable", 503, "DatabaseUnavailable"),
        ("GET", "/raise/misused", 500, "InternalError"),
        ("GET", "/raise/file", 500, "InternalError"),
        ("GET", "/raise/constraint", 500, "InternalError"),
    ],
)
async def test_each_status_has_its_code(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_failure_inside_reveals_nothing_but_its_incident_number(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/raise/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "InternalError")
    assert "hunter2" not in answer.text
    assert answer.json()["incident"] in caplog.text


def test_values_never_replace_the_members_of_the_standard() -> None:
    error = FlorinError("Refused", 422, "No.", title="mine", type="mine")
    assert problem(error)["title"] == "Refused"
    assert problem(error)["type"] == "/problems/Refused"
    assert problem(NotFound("wallet"))["detail"] == "There is no such wallet."


@pytest.mark.parametrize(
    ("code", "title"),
    [("InsufficientFunds", "Insufficient funds"), ("UnknownIBAN", "Unknown IBAN"), ("NotFound", "Not found")],
)
def test_a_title_is_the_code_in_words(code: str, title: str) -> None:
    assert title_of(code) == title
