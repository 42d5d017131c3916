"""An authenticator app as a second factor.

An app
├── is in force only after a code of it was shown, and then only removed after a confirmation
├── is asked for after the password, and only with its ticket
├── its code is good once, in its half minute and the two beside it
├── five wrong codes are the end of a ticket, and further tickets wait
└── its secret is sealed for its owner
A recovery code
├── is good once, in whatever way it is typed
├── is told of when it is used
└── is good no more when new ones were made, or the app was removed
A ticket of before a new password is over
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from api.identity.authenticator_apps import STEP_S, step_of
from api.identity.people_key import PeopleKey
from tests.api.identity.people import NEW_PASSWORD, PASSWORD, People, Signed
from tests.api.offices import settings_for

if TYPE_CHECKING:
    import httpx

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CREDENTIALS = {"contact": "anna@mail.test", "password": PASSWORD}


@given(st.integers(10**6, 10**11), st.integers(-3, 3), st.integers(-4, 3))
def test_a_code_is_good_in_its_step_and_the_two_beside_it_and_once(at_s: int, shift: int, last: int) -> None:
    now = at_s // STEP_S
    typed = pyotp.TOTP(SECRET).at((now + shift) * STEP_S)
    neighbours = {pyotp.TOTP(SECRET).at((now + near) * STEP_S): now + near for near in (-1, 0, 1)}
    found = step_of(SECRET, typed, at_s, now + last)
    if typed in neighbours and neighbours[typed] > now + last:
        assert found == neighbours[typed]
    else:
        assert found is None


def test_a_sealed_secret_is_its_owners() -> None:
    key = PeopleKey(settings_for("postgresql://"))
    other = PeopleKey(settings_for("postgresql://", institution="bank-b"))
    sealed = key.seal("authenticator app", "anna", b"secret")
    assert key.unseal("authenticator app", "anna", sealed) == b"secret"
    for reader, purpose, owner in (
        (key, "authenticator app", "eve"),
        (key, "other", "anna"),
        (other, "authenticator app", "anna"),
    ):
        with pytest.raises(InvalidTag):
            reader.unseal(purpose, owner, sealed)


async def set_up(people: People, person: Signed) -> tuple[pyotp.TOTP, list[str]]:
    """An app in force, and its recovery codes; the steps that it used are forgotten."""
    begun = await people.post("/v1/me/authenticator", None, person.token)
    app = pyotp.parse_uri(begun.json()["uri"])
    assert isinstance(app, pyotp.TOTP)
    assert app.secret == begun.json()["secret"]
    shown = await people.post("/v1/me/authenticator/verification", {"code": app.now()}, person.token)
    assert shown.status_code == 200, shown.text
    await people.as_owner("UPDATE authenticator_apps SET last_step = 0")
    codes: list[str] = shown.json()["recovery_codes"]
    return app, codes


async def ticket(people: People, password: str = PASSWORD) -> str:
    answer = await people.post("/v1/sessions", CREDENTIALS | {"password": password})
    assert (answer.status_code, answer.json()["outcome"]) == (202, "second_factor_required")
    found: str = answer.json()["ticket"]
    return found


async def show(people: People, ticket: str, code: str, method: str = "totp") -> httpx.Response:
    body: dict[str, Any] = {"ticket": ticket, "method": method, "code": code}
    return await people.post("/v1/sessions/second-factor", body)


async def test_an_app_is_in_force_after_a_code_of_it(people: People) -> None:
    anna = await people.register()
    begun = (await people.post("/v1/me/authenticator", None, anna.token)).json()
    assert (await people.post("/v1/sessions", CREDENTIALS)).status_code == 201
    wrong = await people.post("/v1/me/authenticator/verification", {"code": "000"}, anna.token)
    assert wrong.json()["code"] == "CodeRefused"
    app, codes = await set_up(people, anna)
    assert app.secret != begun["secret"]
    assert len(set(codes)) == 10
    again = await people.post("/v1/me/authenticator", None, anna.token)
    assert again.json()["code"] == "AuthenticatorKnown"
    answer = await show(people, await ticket(people), app.now())
    assert (answer.status_code, answer.json()["assurance"]) == (201, "totp")
    kept = repr(await people.office.state())
    assert app.secret not in kept
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)

    await people.as_owner("UPDATE sessions SET confirmed_at = now() - interval '11 minutes'")
    path = "/v1/me/authenticator"
    assert (await people.ask("DELETE", path, None, anna.token)).json()["code"] == "ConfirmationNeeded"
    await people.post("/v1/me/confirmation", {"password": PASSWORD}, anna.token)
    assert (await people.ask("DELETE", path, None, anna.token)).status_code == 204
    assert (await people.post("/v1/sessions", CREDENTIALS)).status_code == 201
    assert {"totp_added", "totp_removed"} <= set(people.courier.kinds_told(anna.customer_id))


async def test_a_code_is_good_once_even_for_two_at_the_same_time(people: People) -> None:
    app, _ = await set_up(people, await people.register())
    tickets = [await ticket(people) for _ in range(3)]
    code = app.now()
    answers = await asyncio.gather(*(show(people, each, code) for each in tickets))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403]
    used = next(each for each, answer in zip(tickets, answers, strict=True) if answer.status_code == 201)
    assert (await show(people, used, app.now())).json()["code"] == "StepExpired"


async def test_wrong_codes_end_a_ticket_and_further_tickets_wait(people: People) -> None:
    app, _ = await set_up(people, await people.register())
    first = await ticket(people)
    answers = await asyncio.gather(*(show(people, first, "000000") for _ in range(8)))
    codes = sorted(answer.json()["code"] for answer in answers)
    assert codes == ["CodeRefused"] * 5 + ["StepExpired"] * 3
    second = await ticket(people)
    assert (await show(people, second, "000000")).status_code == 403
    waiting = await show(people, second, app.now())
    assert waiting.json()["code"] == "TooManyAttempts"
    assert int(waiting.headers["Retry-After"]) > 20
    await people.as_owner("UPDATE throttles SET blocked_until = counted_at")
    assert (await show(people, second, app.now())).status_code == 201


async def test_a_ticket_is_good_for_five_minutes_and_for_its_purpose(people: People) -> None:
    app, _ = await set_up(people, await people.register())
    late, passkeys = await ticket(people), await people.post("/v1/sessions/passkey-options")
    assert (await show(people, passkeys.json()["ticket"], app.now())).json()["code"] == "StepExpired"
    await people.as_owner("UPDATE tickets SET expires_at = expires_at - interval '5 minutes 1 second'")
    assert (await show(people, late, app.now())).json()["code"] == "StepExpired"


async def test_a_ticket_of_before_a_new_password_is_over(people: People) -> None:
    anna = await people.register()
    app, _ = await set_up(people, anna)
    before = await ticket(people)
    body = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await people.post("/v1/me/password", body, anna.token)).status_code == 204
    assert (await show(people, before, app.now())).json()["code"] == "StepExpired"
    assert (await show(people, await ticket(people, NEW_PASSWORD), app.now())).status_code == 201


async def test_a_recovery_code_is_good_once_and_told_of(people: People) -> None:
    anna = await people.register()
    _, codes = await set_up(people, anna)
    tickets = [await ticket(people), await ticket(people)]
    typed = [codes[0], codes[0].upper().replace("-", " ")]
    answers = await asyncio.gather(
        *(show(people, each, code, "recovery_code") for each, code in zip(tickets, typed, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 403]
    assert (anna.customer_id, "recovery_code_used", {"left": 9}) in people.courier.told
    renewed = await people.post("/v1/me/authenticator/recovery-codes", None, anna.token)
    assert (await show(people, await ticket(people), codes[1], "recovery_code")).status_code == 403
    new = renewed.json()["recovery_codes"][1]
    assert (await show(people, await ticket(people), new, "recovery_code")).status_code == 201


async def test_a_recovery_code_is_its_persons(people: People) -> None:
    _, codes = await set_up(people, await people.register(contact="eve@mail.test"))
    await set_up(people, await people.register())
    assert (await show(people, await ticket(people), codes[0], "recovery_code")).status_code == 403
