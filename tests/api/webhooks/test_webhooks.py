"""Webhooks as machines meet them, verified by an independent library.

A webhook
├── is made with a secret that is shown once, and made again by the same key: the same one
├── is shown without its secret
├── for an event that never happens, or to where nothing is sent: refused
├── beyond the twentieth: refused
├── that is deleted takes what waits and its log with it
└── of another secret: both sign for a day, and then the new one alone
An event
├── goes to every webhook that wants it, once, signed, as thin as it was told
├── is not kept where nobody wants it
├── in a transaction that does not commit: is not sent
├── that is not taken is sent again, later and later, under the same id and body, and then is dead
├── whose answer is a redirect: is not taken, and nobody follows it
├── of a worker that died after sending: is sent again under the same id
├── is sent by one of two workers
└── is sent again when somebody asks, also when it was dead
A webhook that does not answer holds up no other
A webhook that answers 410, or failed for days, is disabled
├── and what waits for it is dead
└── activated, it gets what happens from then on
Outside a sandbox nothing goes to where it may not, also where the webhook was there before
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from api.database import transaction
from api.webhooks import sending
from api.webhooks.endpoints import MAX_WEBHOOKS
from api.webhooks.events import Event, publish, wanted_events
from api.webhooks.sending import CLAIM, DELAYS, MAX_ATTEMPTS, Sending
from tests.fakes.webhook_receiver import Receiver, webhook_receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.offices import BankOffice

AT = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Somebody who takes events."""
    async with webhook_receiver() as opened:
        yield opened


@pytest.fixture
async def worker(bank: BankOffice) -> AsyncIterator[Sending]:
    """What sends them."""
    work = Sending(bank.institution.pool, is_sandbox=True)
    yield work
    await work.close()


async def made(bank: BankOffice, receiver: Receiver, *events: str, **changes: Any) -> dict[str, Any]:
    body = {"url": receiver.url, "events": list(events or ["payment.final"])} | changes
    answer = await bank.post("/v1/webhooks", body)
    assert answer.status_code == 201, answer.text
    webhook: dict[str, Any] = answer.json()
    return webhook


def event(number: int = 1, name: str = "payment.final") -> Event:
    data = {"payment_id": str(uuid.UUID(int=number)), "state": "final", "amount_minor": 1_000}
    return Event(uuid.UUID(int=1_000 + number), name, AT, data)


async def happen(bank: BankOffice, *events: Event) -> None:
    async with transaction(bank.institution.pool) as conn:
        await publish(conn, events or [event()])


async def send(worker: Sending) -> None:
    """All that is due."""
    await worker.run_once()
    await worker.finish()


async def as_owner(bank: BankOffice, statement: str, *values: Any) -> None:
    connection = await asyncpg.connect(bank.database.owner_url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


async def later(bank: BankOffice, by: timedelta) -> None:
    await as_owner(bank, "UPDATE webhook_deliveries SET next_try_at = next_try_at - $1::interval", by)


async def log(bank: BankOffice, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await bank.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries")
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def test_a_webhook_is_made_once_and_its_secret_shown_once(bank: BankOffice, receiver: Receiver) -> None:
    body = {"url": receiver.url, "events": ["payment.final", "payment.accepted"], "description": "shop"}
    first, again = [await bank.post("/v1/webhooks", body, key="k-1") for _ in range(2)]
    assert (first.status_code, first.json()) == (201, again.json())
    assert first.json()["secret"].startswith("whsec_")
    assert first.json()["created_by"] == "caller-1"
    other = await bank.post("/v1/webhooks", body | {"description": "mine"}, key="k-1")
    assert other.json()["code"] == "IdempotencyKeyReused"
    assert first.json()["secret"] != (await bank.post("/v1/webhooks", body)).json()["secret"]

    shown = (await bank.get(f"/v1/webhooks/{first.json()['webhook_id']}")).json()
    assert shown == {name: value for name, value in first.json().items() if name != "secret"}
    assert (await bank.get("/v1/webhooks")).json()["webhooks"][0] == shown
    assert (await bank.post("/v1/webhooks", body, key=" ")).json()["code"] == "IdempotencyKeyRequired"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "ftp://shop.example/"}, "WebhookUrlRefused"),
        ({"events": ["payment.lost"]}, "UnknownEvent"),
        ({"events": []}, "MalformedRequest"),
        ({"secret": "mine"}, "UnknownField"),
    ],
)
async def test_what_cannot_be_a_webhook(
    bank: BankOffice, receiver: Receiver, change: dict[str, Any], code: str
) -> None:
    before = await bank.state()
    answer = await bank.post("/v1/webhooks", {"url": receiver.url, "events": ["payment.final"]} | change)
    assert (answer.status_code, answer.json()["code"]) == (
        422 if code[0] != "M" and code != "UnknownField" else 400,
        code,
    )
    assert await bank.state() == before


async def test_there_are_few(bank: BankOffice, receiver: Receiver) -> None:
    for _ in range(MAX_WEBHOOKS):
        await made(bank, receiver)
    answer = await bank.post("/v1/webhooks", {"url": receiver.url, "events": ["payment.final"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "TooManyWebhooks")


async def test_what_is_deleted_takes_everything_with_it(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    webhook = await made(bank, receiver)
    await happen(bank)
    path = f"/v1/webhooks/{webhook['webhook_id']}"
    assert (await bank.client.delete(path)).status_code == 204
    await send(worker)
    assert receiver.requests == []
    assert await bank.institution.pool.fetchval("SELECT count(*) FROM webhook_deliveries") == 0
    for method, rest in (
        ("DELETE", ""),
        ("GET", ""),
        ("GET", "/deliveries"),
        ("POST", "/secret"),
        ("POST", "/activation"),
    ):
        answer = await bank.client.request(method, path + rest, headers={"Idempotency-Key": "k"})
        assert answer.json()["code"] == "NotFound", (method, rest)


async def test_both_secrets_sign_for_a_day(bank: BankOffice, receiver: Receiver, worker: Sending) -> None:
    webhook = await made(bank, receiver)
    path = f"/v1/webhooks/{webhook['webhook_id']}/secret"
    answers = [await bank.client.post(path, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json(), (
        "the same key is the same secret, and replaces nothing again"
    )
    old, new = webhook["secret"], answers[0].json()["secret"]
    assert old != new
    await happen(bank)
    await send(worker)
    assert receiver.verified(old) == receiver.verified(new)
    assert len(receiver.requests[0][0]["webhook-signature"].split()) == 2

    await as_owner(bank, "UPDATE webhook_endpoints SET former_until = now()")
    receiver.requests.clear()
    await happen(bank, event(2))
    await send(worker)
    assert len(receiver.verified(new)) == 1
    with pytest.raises(WebhookVerificationError):
        receiver.verified(old)


async def test_an_event_goes_to_whoever_wants_it_signed_and_thin(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    webhook = await made(bank, receiver)
    async with webhook_receiver() as another:
        other = await made(bank, another, "payment.final", "payment.refused")
        await happen(bank, event(1), event(2, "payment.refused"), event(3, "payment.accepted"))
        await happen(bank, event(1))
        await send(worker)
        expected = {"type": "payment.final", "timestamp": AT.isoformat(), "data": dict(event(1).data)}
        assert receiver.verified(webhook["secret"]) == [expected]
        assert sorted(each["type"] for each in another.verified(other["secret"])) == [
            "payment.final",
            "payment.refused",
        ]
        with pytest.raises(WebhookVerificationError):
            another.verified(webhook["secret"])
    assert receiver.ids == [str(event(1).event_id)]
    (delivery,) = await log(bank, webhook)
    assert (delivery["event"], delivery["state"], delivery["attempts"], delivery["last_status"]) == (
        "payment.final",
        "delivered",
        1,
        204,
    )


async def test_what_nobody_wants_is_not_kept(bank: BankOffice, receiver: Receiver) -> None:
    await made(bank, receiver, "payment.refused")
    async with bank.institution.pool.acquire() as conn:
        assert await wanted_events(conn) == {"payment.refused"}
    before = await bank.state()
    await happen(bank, event(1))
    assert await bank.state() == before


async def test_what_does_not_commit_is_not_sent(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    await made(bank, receiver)
    async with bank.institution.pool.acquire() as conn:
        tried = conn.transaction()
        await tried.start()
        await publish(conn, [event()])
        await tried.rollback()
    await send(worker)
    assert receiver.requests == []


async def test_what_is_not_taken_is_sent_again_and_then_dead(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    webhook = await made(bank, receiver)
    receiver.always = 500
    await happen(bank)
    for attempt, delay in enumerate(DELAYS, 1):
        await send(worker)
        (delivery,) = await log(bank, webhook)
        assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("queued", attempt, 500)
        await later(bank, delay - timedelta(seconds=2))
        await send(worker)
        assert len(receiver.requests) == attempt, "not yet"
        await later(bank, delay / 5 + timedelta(seconds=2))
    await send(worker)
    assert (await log(bank, webhook))[0]["state"] == "dead"
    await later(bank, timedelta(days=10))
    await send(worker)
    assert len(receiver.requests) == MAX_ATTEMPTS
    assert len(set(receiver.ids)) == len({body for _, body in receiver.requests}) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(
    bank: BankOffice, receiver: Receiver, worker: Sending, status: int
) -> None:
    webhook = await made(bank, receiver)
    receiver.answers = [status]
    await happen(bank)
    await send(worker)
    assert len(receiver.requests) == 1
    (delivery,) = await log(bank, webhook)
    assert (delivery["state"], delivery["last_status"]) == ("queued", status)


async def test_a_worker_that_dies_after_sending_sends_again(
    bank: BankOffice, receiver: Receiver, worker: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = await made(bank, receiver)
    await happen(bank)

    class Crash(BaseException):
        pass

    async def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_record", crash)
        with pytest.raises(Crash):
            await send(worker)
    await send(worker)
    assert len(receiver.requests) == 1, "it is claimed still"
    await later(bank, CLAIM)
    await send(worker)
    assert len(receiver.requests) == 2
    assert len(set(receiver.ids)) == 1
    assert (await log(bank, webhook))[0]["state"] == "delivered"


async def test_two_workers_send_each_event_once(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    await made(bank, receiver)
    await happen(bank, *[event(n) for n in range(100)])
    second = Sending(bank.institution.pool, is_sandbox=True)
    await asyncio.gather(send(worker), send(second))
    await second.close()
    assert len(receiver.ids) == len(set(receiver.ids)) == 100


async def test_an_event_is_sent_again_when_somebody_asks(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    webhook = await made(bank, receiver)
    await happen(bank)
    await send(worker)
    (delivery,) = await log(bank, webhook)
    path = f"/v1/webhooks/{webhook['webhook_id']}/deliveries/{delivery['delivery_id']}/redelivery"
    assert (await bank.client.post(path)).status_code == 202
    await send(worker)
    assert len(receiver.requests) == 2
    assert len(set(receiver.ids)) == 1
    other = await made(bank, receiver)
    foreign = path.replace(webhook["webhook_id"], other["webhook_id"])
    assert (await bank.client.post(foreign)).json()["code"] == "NotFound"


async def test_a_webhook_that_does_not_answer_holds_up_no_other(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    await made(bank, receiver)
    async with webhook_receiver() as slow:
        slow.is_slow = True
        await made(bank, slow)
        await happen(bank, *[event(n) for n in range(30)])
        assert await worker.run_once() == 2
        await slow.arrived.wait()
        while len(receiver.requests) < 30:
            receiver.arrived.clear()
            await asyncio.wait_for(receiver.arrived.wait(), 20)
        assert len(slow.requests) <= sending.AT_ONCE
        await worker.close()


async def test_what_does_not_answer_in_time_is_tried_again(
    bank: BankOffice, receiver: Receiver, worker: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_S", 0.05)
    webhook = await made(bank, receiver)
    receiver.is_slow = True
    await happen(bank)
    await send(worker)
    (delivery,) = await log(bank, webhook)
    assert (delivery["state"], delivery["last_status"]) == ("queued", None)
    assert "Timeout" in delivery["last_error"]


@pytest.mark.parametrize("reason", ["gone", "days"])
async def test_a_webhook_is_disabled_and_activated(
    bank: BankOffice, receiver: Receiver, worker: Sending, reason: str
) -> None:
    webhook = await made(bank, receiver)
    path = f"/v1/webhooks/{webhook['webhook_id']}"
    receiver.always = 410 if reason == "gone" else 503
    await happen(bank, event(1))
    await send(worker)
    if reason == "days":
        assert (await bank.get(path)).json()["failing_since"] is not None
        assert (await bank.get(path)).json()["disabled_at"] is None
        await as_owner(bank, "UPDATE webhook_endpoints SET failing_since = failing_since - interval '5 days'")
        await happen(bank, event(2))
        await send(worker)
    shown = (await bank.get(path)).json()
    assert shown["disabled_at"] is not None
    assert shown["disabled_why"] == {"gone": "it answered 410 Gone", "days": "it failed for days"}[reason]
    assert {each["state"] for each in await log(bank, webhook)} == {"dead"}

    await happen(bank, event(3))
    dead = (await log(bank, webhook))[-1]
    again = f"{path}/deliveries/{dead['delivery_id']}/redelivery"
    assert (await bank.client.post(again)).json()["code"] == "WebhookDisabled"
    receiver.always, receiver.requests = 204, []
    activated = (await bank.client.post(f"{path}/activation")).json()
    assert (activated["disabled_at"], activated["failing_since"]) == (None, None)
    assert (await bank.client.post(again)).status_code == 202
    await happen(bank, event(4))
    await send(worker)
    assert receiver.ids == [str(event(n).event_id) for n in (1, 4)], "what it missed is not made up for"


async def test_an_answer_ends_a_time_of_failures(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    webhook = await made(bank, receiver)
    receiver.answers = [500]
    await happen(bank, event(1))
    await send(worker)
    await happen(bank, event(2))
    await send(worker)
    assert (await bank.get(f"/v1/webhooks/{webhook['webhook_id']}")).json()["failing_since"] is None


async def test_outside_a_sandbox_nothing_goes_where_it_may_not(bank: BankOffice, receiver: Receiver) -> None:
    webhook = await made(bank, receiver)
    named = await made(bank, receiver, url=receiver.url.replace("http://127.0.0.1", "https://localhost"))
    strict = Sending(bank.institution.pool, is_sandbox=False)
    await happen(bank)
    await send(strict)
    await strict.close()
    assert receiver.requests == []
    assert (await log(bank, webhook))[0]["last_error"] == "WebhookUrlRefused"
    assert (await log(bank, named))[0]["last_error"] == "ClientConnectorDNSError"


async def test_the_log_is_paged_and_long_over_events_go(
    bank: BankOffice, receiver: Receiver, worker: Sending
) -> None:
    webhook = await made(bank, receiver)
    await happen(bank, *[event(n) for n in range(5)])
    path = f"/v1/webhooks/{webhook['webhook_id']}/deliveries"
    first = (await bank.get(path, limit=2)).json()["deliveries"]
    rest = (await bank.get(path, limit=9, before=first[-1]["seq"])).json()["deliveries"]
    assert [len(first), len(rest)] == [2, 3]
    assert len({each["event_id"] for each in first + rest}) == 5
    await as_owner(bank, "UPDATE webhook_events SET noted_at = noted_at - interval '31 days'")
    await worker.clear()
    assert len(await log(bank, webhook)) == 5, "what is not sent yet is kept"
    await send(worker)
    await worker.clear()
    assert await log(bank, webhook) == []
