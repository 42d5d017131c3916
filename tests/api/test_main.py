"""The composition root.

The app: has no global state, so that two institutions live in one process
Starting: without web3, and refused over a database that is not migrated
create-key: prints a key that works, and refuses scopes that do not exist; revoke-keys ends it
Bodies: too large, too slow, compressed, or of a route that does not exist: refused as problems
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from api.body_limits import MAX_BODY_BYTES, BodyLimits, BodyTooSlow
from api.database import transaction
from api.identity.keys import create_key
from api.main import SchemaNotCurrent, create_app
from tests.api.offices import bank, furnished_template, open_office, payment, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Database, MakeDatabase
    from tests.api.offices import BankOffice

__all__ = ["bank", "furnished_template"]


async def test_two_institutions_live_in_one_process(bank: BankOffice, database: Database) -> None:
    async with open_office(database, institution="bank-b", participant_id=2) as other:
        body = {"reference": "c-1", "name": "Another bank's customer"}
        there = (await other.post("/v1/customers", body)).json()
        assert (await bank.get(f"/v1/customers/{there['customer_id']}")).status_code == 404
        stranger = {"Authorization": f"Bearer {bank.key}"}
        assert (await other.client.get("/v1/wallets:summary", headers=stranger)).status_code == 401


def test_the_service_starts_without_the_chains_libraries() -> None:
    program = (
        "import sys, api.main; "
        "from tests.api.offices import settings_for; "
        "url = 'postgresql://nowhere'; "
        "[api.main.create_app(settings_for(url, kind)) for kind in ('bank', 'central_bank')]; "
        "heavy = {'web3', 'eth_account', 'sqlalchemy', 'aiohttp'}; "
        "print([name for name in sys.modules if name.split('.')[0] in heavy])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_an_empty_database_is_refused(make_empty_database: MakeDatabase) -> None:
    app = create_app(settings_for(make_empty_database().app_url))
    with pytest.raises(SchemaNotCurrent):
        async with app.router.lifespan_context(app):
            pass


async def test_create_key_prints_a_key_that_works(bank: BankOffice, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(bank.institution.settings.to_toml())

    def create_key(*scopes: str) -> subprocess.CompletedProcess[str]:
        named = [part for scope in scopes for part in ("--scope", scope)]
        command = [
            sys.executable,
            "-m",
            "api.main",
            "create-key",
            "--settings",
            str(file),
            "--name",
            "n",
            *named,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    key = create_key("wallets:read").stdout.strip()
    response = await bank.client.get("/v1/wallets:summary", headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 200
    refused = create_key("wallets:steal")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "UnknownScope" in refused.stderr


async def test_revoke_keys_ends_every_key_of_that_name(bank: BankOffice, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(bank.institution.settings.to_toml())
    async with transaction(bank.institution.pool) as conn:
        key = await create_key(conn, "leaver", ["wallets:read"], "bank")
    command = ["-m", "api.main", "revoke-keys", "--settings", str(file), "--name", "leaver"]
    done = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=subprocess.PIPE)
    assert await done.communicate() == (b"revoked: 1\n", None)
    answer = await bank.client.get("/v1/wallets:summary", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401


async def test_bodies_have_limits(bank: BankOffice) -> None:
    before = await bank.state()
    large = json.dumps(payment(note="n" * MAX_BODY_BYTES)).encode()

    async def unannounced() -> object:
        yield large[: len(large) // 2]
        yield large[len(large) // 2 :]

    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    for content in (large, unannounced()):
        response = await bank.client.post("/v1/payments", content=content, headers=headers)  # type: ignore[arg-type]
        assert (response.status_code, response.json()["code"]) == (413, "BodyTooLarge")
    packed = headers | {"Content-Encoding": "gzip"}
    response = await bank.client.post("/v1/payments", content=b"x", headers=packed)
    assert (response.status_code, response.json()["code"]) == (415, "UnsupportedEncoding")
    assert await bank.state() == before


async def test_a_body_may_not_be_slow_whether_it_pauses_or_drips() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        raise AssertionError("the body never ends")

    for pause_s in (10.0, 0.01):
        sent: list[Any] = []

        async def drip(pause_s: float = pause_s) -> Any:
            await asyncio.sleep(pause_s)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        scope = {"type": "http", "path": "/v1/payments", "headers": []}
        with pytest.raises(BodyTooSlow):
            async with asyncio.timeout(5):
                await BodyLimits(app, patience_s=0.2)(scope, drip, send)


async def test_what_does_not_exist_is_a_problem_too(bank: BankOffice) -> None:
    for method, path, code in (
        ("GET", "/v1/nothing", "NotFound"),
        ("DELETE", "/v1/payments", "MethodNotAllowed"),
        ("GET", "/docs", "NotFound"),
        ("GET", "/static/../main.py", "NotFound"),
    ):
        response = await bank.client.request(method, path)
        assert response.json()["code"] == code, path
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_failure_of_ours_reveals_nothing(bank: BankOffice) -> None:
    await bank.institution.pool.execute("SELECT 1")
    bank.app.state.metrics = None
    transport = httpx.ASGITransport(bank.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bank") as client:
        response = await client.get("/metrics")
    assert (response.status_code, response.json()["code"]) == (500, "InternalError")
    assert "NoneType" not in response.text
