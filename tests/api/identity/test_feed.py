"""A person's feed and wishes, over HTTP.

The feed
├── is a person's own, the newest first, in pages, in their language or another one
├── knows what was read, which stays read and never runs ahead of what is there
├── leaves out what they had wished not to hear of
└── begins when somebody signs in
Wishes
├── are noted all or none
├── about the safety of access cannot be switched off
└── are a person's own
Whoever watches is woken when something is told
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.database import listen, transaction
from api.notifications.telling import FEED_CHANNEL, notify
from tests.api.identity.test_sessions import customer_id, sign_in

if TYPE_CHECKING:
    from tests.api.offices import BankOffice

PAID = {"payment_id": "", "amount_minor": 100, "currency": "CZK", "payer_name": "<b>Eve</b>"}


async def tell(bank: BankOffice, reference: str, *occasions: str) -> None:
    async with transaction(bank.institution.pool) as conn:
        for once in occasions:
            await notify(conn, await customer_id(bank, reference), "payment_received", PAID, once=once)


async def call(bank: BankOffice, token: str, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await bank.client.request(method, f"/v1/me/{path}", headers=headers, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def refusal(bank: BankOffice, token: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await bank.client.request(method, f"/v1/me/{path}", headers=headers, json=body)
    return answer.status_code, answer.json()["code"]


async def test_the_feed_is_a_persons_own_and_in_pages(bank: BankOffice) -> None:
    await tell(bank, "c-1", "o-1", "o-2", "o-3")
    await tell(bank, "c-9", "o-4")
    token = await sign_in(bank)
    first = await call(bank, token, "GET", "notifications?limit=2")
    assert first["unread"] == 3
    assert [each["text"] for each in first["notifications"]] == [
        "You received CZK\xa01.00 from <b>Eve</b>."
    ] * 2
    seq = [each["seq"] for each in first["notifications"]]
    assert seq == sorted(seq, reverse=True)
    rest = await call(bank, token, "GET", f"notifications?before={seq[-1]}&language=zh")
    assert [each["subject"] for each in rest["notifications"]] == ["收款：CZK\xa01.00"]
    assert rest["notifications"][0]["values"] == PAID
    for query in ("limit=0", "limit=101", "before=0", "language=cs"):
        assert (await refusal(bank, token, "GET", f"notifications?{query}"))[0] == 400


async def test_what_was_read_stays_read(bank: BankOffice) -> None:
    await tell(bank, "c-1", "o-1", "o-2")
    await tell(bank, "c-9", "o-9")
    token, other = await sign_in(bank), await sign_in(bank, "c-9")
    newest, oldest = (await call(bank, token, "GET", "notifications"))["notifications"]

    async def unread_after(up_to: int) -> int:
        await call(bank, token, "POST", "notifications:read", {"up_to": up_to})
        answer = await call(bank, token, "GET", "notifications")
        assert sum(not each["is_read"] for each in answer["notifications"]) == answer["unread"]
        found: int = answer["unread"]
        return found

    assert await unread_after(0) == 2
    assert await unread_after(oldest["seq"]) == 1
    assert await unread_after(2**63 - 1) == 0
    assert await unread_after(oldest["seq"]) == 0
    await tell(bank, "c-1", "o-3")
    assert (await call(bank, token, "GET", "notifications"))["unread"] == 1, "what was not there was not read"
    assert (await call(bank, other, "GET", "notifications"))["unread"] == 1
    assert newest["seq"] > oldest["seq"]
    for wrong in ({"up_to": -1}, {"up_to": "1"}, {}):
        assert (await refusal(bank, token, "POST", "notifications:read", wrong))[0] == 400


async def test_wishes_are_noted_all_or_none(bank: BankOffice) -> None:
    token, other = await sign_in(bank), await sign_in(bank, "c-9")
    usual = await call(bank, other, "GET", "notification-preferences")
    hidden = {"kind": "payment_received", "channel": "in_app", "is_on": False}
    chosen = await call(
        bank, token, "PUT", "notification-preferences", {"language": "zh", "preferences": [hidden]}
    )
    assert chosen == await call(bank, token, "GET", "notification-preferences")
    assert chosen["language"] == "zh"
    assert [each for each in chosen["preferences"] if each not in usual["preferences"]] == [
        hidden | {"can_change": True}
    ]
    await tell(bank, "c-1", "o-1")
    assert (await call(bank, token, "GET", "notifications"))["notifications"] == []
    assert await call(bank, other, "GET", "notification-preferences") == usual


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"kind": "new_device", "channel": "email", "is_on": False}, "SecurityAlertsStay"),
        ({"kind": "sign_in_code", "channel": "email", "is_on": False}, "UnknownPreference"),
        ({"kind": "payment_final", "channel": "post", "is_on": True}, "UnknownPreference"),
    ],
)
async def test_wishes_that_cannot_be_had(bank: BankOffice, wish: dict[str, Any], code: str) -> None:
    token = await sign_in(bank)
    before = await bank.state()
    good = {"kind": "payment_final", "channel": "email", "is_on": True}
    body = {"language": "zh", "preferences": [good, wish]}
    assert await refusal(bank, token, "PUT", "notification-preferences", body) == (422, code)
    assert await bank.state() == before


async def test_signing_in_begins_a_feed_and_keeps_a_language(bank: BankOffice) -> None:
    enrolled = "SELECT language FROM notification_people"
    assert await bank.institution.pool.fetch(enrolled) == []
    token = await sign_in(bank)
    await call(bank, token, "PUT", "notification-preferences", {"language": "zh"})
    await sign_in(bank)
    assert [row["language"] for row in await bank.institution.pool.fetch(enrolled)] == ["zh"]


async def test_whoever_watches_is_woken(bank: BankOffice) -> None:
    async with listen(bank.database.app_url, FEED_CHANNEL) as news:
        await tell(bank, "c-1", "o-1")
        assert await news.wait(10) == [(FEED_CHANNEL, "")]
