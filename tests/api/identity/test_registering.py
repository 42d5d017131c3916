"""How strangers become people with a login.

A contact
├── an e-mail address in one form, whatever its case and script's form
├── a phone number with its country, as E.164
└── anything else is refused, and shown to strangers only in part
A registration
├── sends a code of six digits, and answers the same for a contact that is known
│   └── the holder of a known contact learns after the code that there is a login
├── of a child, of somebody not yet born or too old to live: refused
├── another code takes the place of the first
├── sends less and less often to one contact and for one address
└── without a way to send: refused as such
A code
├── is good once: of two at the same time one
├── is good for ten minutes
├── five wrong tries are the end of it, also when they come at once
├── is one registration's, not another's
└── of an unknown registration: the same answer
A password
├── is judged by length in characters and by how easily it is guessed, with the person's own data
├── may hold anything, and the same letters in another form are the same password
└── one that fails leaves the step open; a used step is used
What is kept gives away no code and no password
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.database import transaction
from api.errors import FlorinError
from api.identity.codes import issue_code, use_code
from api.identity.contacts import Contact, parse_contact
from api.identity.passwords import require_strength
from api.identity.registering import age_on, require_age
from tests.api.conftest import Database
from tests.api.identity.people import ANNA, PASSWORD, People
from tests.api.offices import open_office


@pytest.mark.parametrize(
    ("typed", "contact"),
    [
        ("  Anna@Mail.Test ", Contact("email", "anna@mail.test")),
        ("ａｎｎａ@mail.test", Contact("email", "anna@mail.test")),
        ("+420 601 123 456", Contact("phone", "+420601123456")),
        ("+86 138-1234-5678", Contact("phone", "+8613812345678")),
    ],
)
def test_a_contact_has_one_form(typed: str, contact: Contact) -> None:
    assert parse_contact(typed, is_sandbox=True) == contact


@pytest.mark.parametrize(
    "typed", ["601123456", "+420 1", "anna@", "@mail.test", "a b@mail.test", "+", "anna@localhost", "x" * 255]
)
def test_what_is_no_contact_is_refused(typed: str) -> None:
    with pytest.raises(FlorinError) as refusal:
        parse_contact(typed, is_sandbox=True)
    assert refusal.value.code == "ContactInvalid"


def test_the_reserved_domain_is_for_sandboxes() -> None:
    with pytest.raises(FlorinError):
        parse_contact("anna@mail.test")
    assert parse_contact("anna@seznam.cz").kind == "email"


def test_a_contact_is_shown_in_part() -> None:
    assert Contact("email", "anna@mail.test").shown == "a…@mail.test"
    assert Contact("phone", "+420601123456").shown == "+42…56"


def test_age_is_counted_in_whole_years() -> None:
    assert age_on(date(2008, 11, 22), date(2026, 11, 22)) == 18
    assert age_on(date(2008, 11, 23), date(2026, 11, 22)) == 17
    assert [age_on(date(2008, 2, 29), date(2026, month, day)) for month, day in ((2, 28), (3, 1))] == [17, 18]


@pytest.mark.parametrize(
    ("born", "code"),
    [
        (date(2008, 11, 23), "TooYoung"),
        (date(2026, 11, 23), "BirthDateInvalid"),
        (date(1895, 1, 1), "BirthDateInvalid"),
    ],
)
def test_whoever_cannot_register_is_told_why(born: date, code: str) -> None:
    with pytest.raises(FlorinError) as refusal:
        require_age(born, date(2026, 11, 22), 18)
    assert refusal.value.code == code


async def test_a_stranger_becomes_a_person_who_is_signed_in(people: People) -> None:
    signed = await people.register(language="zh")
    assert people.courier.codes[0].language == "zh"
    assert people.courier.codes[0].kind == "registration_code"
    me = (await people.get("/v1/me", signed.token)).json()
    assert (me["name"], me["assurance"]) == ("Anna Nováková", "password")
    assert people.courier.told == []
    assert people.courier.reached == {signed.customer_id: ["anna@mail.test"]}


async def test_a_known_contact_gets_the_same_answer_and_its_holder_learns_of_the_login(
    people: People,
) -> None:
    await people.register()
    known = await people.post("/v1/registrations", ANNA | {"contact": "ANNA@mail.test", "name": "Eve"})
    unknown = await people.post("/v1/registrations", ANNA | {"contact": "eve@mail.test"})
    assert known.status_code == unknown.status_code == 202
    assert known.json().keys() == unknown.json().keys()
    code = people.courier.code_for("anna@mail.test")
    path = f"/v1/registrations/{known.json()['registration_id']}/verification"
    answer = await people.post(path, {"code": code})
    assert (answer.status_code, answer.json()["code"]) == (409, "ContactTaken")


async def test_of_two_registrations_of_one_contact_one_is_completed(people: People) -> None:
    ids = [await people.begin(), await people.begin()]
    tokens = []
    for sent, registration_id in zip(people.courier.codes, ids, strict=True):
        answer = await people.post(f"/v1/registrations/{registration_id}/verification", {"code": sent.code})
        tokens.append(answer.json()["token"])
    answers = await asyncio.gather(
        *(
            people.post(f"/v1/registrations/{each}/completion", {"token": token, "password": PASSWORD})
            for each, token in zip(ids, tokens, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    pool = people.office.institution.pool
    assert await pool.fetchval("SELECT count(*) FROM customers") == 1


async def test_another_code_takes_the_place_of_the_first(people: People) -> None:
    registration_id = await people.begin()
    first = people.courier.codes[0].code
    while (await people.post(f"/v1/registrations/{registration_id}/code")).status_code == 202:
        if people.courier.codes[-1].code != first:  # one in a million is the same
            break
    path = f"/v1/registrations/{registration_id}/verification"
    assert (await people.post(path, {"code": first})).json()["code"] == "CodeRefused"
    assert (await people.post(path, {"code": people.courier.codes[-1].code})).status_code == 200


async def test_less_and_less_is_sent_to_one_contact(people: People) -> None:
    answers = [
        await people.post("/v1/registrations", ANNA, address=f"192.0.2.{number}") for number in range(6)
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429, 429]
    assert answers[-1].json()["code"] == "TooManyAttempts"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert len(people.courier.codes) == 3
    other = await people.post("/v1/registrations", ANNA | {"contact": "eve@mail.test"})
    assert other.status_code == 202


async def test_less_and_less_is_sent_for_one_address(people: People) -> None:
    statuses = [
        (await people.post("/v1/registrations", ANNA | {"contact": f"p{number}@mail.test"})).status_code
        for number in range(23)
    ]
    assert statuses == [202] * 21 + [429] * 2


async def test_without_a_way_to_send_nobody_registers(database: Database) -> None:
    async with open_office(database, is_sandbox=False, people_key="ab" * 32) as office:
        before = await office.state()
        asked = ANNA | {"contact": "+420601123456"}
        answer = await office.client.post("/v1/registrations", json=asked)
        assert (answer.status_code, answer.json()["code"]) == (503, "CodesCannotBeSent")
        assert await office.state() == before


async def test_a_code_is_good_once_even_for_two_at_the_same_time(people: People) -> None:
    registration_id = await people.begin()
    path = f"/v1/registrations/{registration_id}/verification"
    code = {"code": people.courier.codes[0].code}
    answers = await asyncio.gather(*(people.post(path, code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]


async def test_a_code_is_good_for_ten_minutes(people: People) -> None:
    for by, status in (("9 minutes 50 seconds", 200), ("10 minutes 1 second", 403)):
        registration_id = await people.begin()
        await people.as_owner(f"UPDATE one_time_codes SET expires_at = expires_at - interval '{by}'")
        path = f"/v1/registrations/{registration_id}/verification"
        answer = await people.post(path, {"code": people.courier.codes[-1].code})
        assert answer.status_code == status


async def test_five_wrong_tries_at_once_are_the_end_of_a_code(people: People) -> None:
    registration_id = await people.begin()
    path = f"/v1/registrations/{registration_id}/verification"
    right = people.courier.codes[0].code
    wrong = {"code": f"{(int(right) + 1) % 10**6:06}"}
    answers = await asyncio.gather(*(people.post(path, wrong) for _ in range(8)))
    assert {answer.json()["code"] for answer in answers} == {"CodeRefused"}
    assert (await people.post(path, {"code": right})).json()["code"] == "CodeRefused"


async def test_four_wrong_tries_are_not(people: People) -> None:
    registration_id = await people.begin()
    path = f"/v1/registrations/{registration_id}/verification"
    right = people.courier.codes[0].code
    for wrong in ("", "abc", f"{(int(right) + 1) % 10**6:06}", right + "0"):
        assert (await people.post(path, {"code": wrong})).status_code == 403
    assert (await people.post(path, {"code": f" {right[:3]} {right[3:]} "})).status_code == 200


async def test_a_code_is_one_registrations_and_an_unknown_one_answers_the_same(people: People) -> None:
    first = await people.begin()
    await people.begin(contact="eve@mail.test")
    code = {"code": people.courier.code_for("eve@mail.test")}
    answers = [
        await people.post(f"/v1/registrations/{each}/verification", code) for each in (first, uuid.uuid4())
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["code"] == "CodeRefused"


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short 7", "PasswordTooShort"),
        ("x" * 129, "PasswordTooLong"),
        ("ﷺ" * 100, "PasswordTooLong"),  # eighteen letters each, once it is normalised
        ("password1234", "PasswordTooWeak"),
        ("AnnaNováková1990", "PasswordTooWeak"),
        ("Florin17051990", "PasswordTooWeak"),
    ],
)
def test_a_password_that_others_would_find_is_refused(password: str, code: str) -> None:
    with pytest.raises(FlorinError) as refusal:
        require_strength(
            password, ["Anna Nováková", "anna@mail.test", "1990-05-17", "17051990", "Bank A", "florin"]
        )
    assert refusal.value.code == code
    assert password not in str(refusal.value)


@pytest.mark.parametrize(
    "password",
    [PASSWORD, "只有我知道的一句很长的话语吗", "correct horse battery ghost", "🐎🔋📎🦑🌵🧲🪕🛷🧦🪁🦔"],
)
def test_a_password_may_hold_anything(password: str) -> None:
    require_strength(password, ["Anna Nováková"])


async def test_a_weak_password_leaves_the_step_open_and_a_used_step_is_used(people: People) -> None:
    registration_id = await people.begin()
    token = await people.verified(registration_id, "anna@mail.test")
    path = f"/v1/registrations/{registration_id}/completion"
    weak = await people.post(path, {"token": token, "password": "Anna1990!"})
    assert (weak.status_code, weak.json()["code"]) == (422, "PasswordTooWeak")
    good = {"token": token, "password": PASSWORD}
    wrong = await people.post(path, good | {"token": "ft_" + "A" * 43})
    assert wrong.json()["code"] == "StepExpired"
    answers = await asyncio.gather(*(people.post(path, good) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403]


async def test_a_registration_is_over_after_an_hour(people: People) -> None:
    registration_id = await people.begin()
    token = await people.verified(registration_id, "anna@mail.test")
    await people.as_owner("UPDATE registrations SET began_at = began_at - interval '61 minutes'")
    path = f"/v1/registrations/{registration_id}/completion"
    answer = await people.post(path, {"token": token, "password": PASSWORD})
    assert answer.json()["code"] == "StepExpired"


async def test_the_same_letters_in_another_form_are_the_same_password(people: People) -> None:
    passwords = people.desk.passwords
    kept = await passwords.hash("Ångström-ﬁsh-ladder")
    assert await passwords.is_right("Ångström-fish-ladder", kept)
    assert not await passwords.is_right("Angstrom-fish-ladder", kept)
    assert not await passwords.is_right("nobody's", None)


async def test_what_is_kept_gives_away_no_code_no_token_and_no_password(people: People) -> None:
    registration_id = await people.begin()
    code = people.courier.codes[0].code
    assert f"'{code}'" not in repr(await people.office.state())
    token = await people.verified(registration_id, "anna@mail.test")
    signed = await people.register(contact="eve@mail.test")
    kept = repr(await people.office.state())
    for secret in (token, signed.token, signed.device_token, PASSWORD):
        assert secret not in kept


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_a_code_is_used_by_the_first_right_try_among_five(tries: list[int]) -> None:
    """Against a model: 0 is a right try, 1 a wrong one, 2 another thing's."""
    left, is_used, expected = 5, False, []
    for each in tries:
        is_live = left > 0 and not is_used
        expected.append(is_live and each == 0)
        if is_live and each == 0:
            is_used = True
        elif is_live and each == 1:
            left -= 1
    asyncio.run(_compare(tries, expected))


_DATABASE: list[Database] = []


@pytest.fixture(autouse=True)
def _remember_database(request: pytest.FixtureRequest) -> None:
    """Hypothesis runs many examples in one test: they share its database."""
    if request.node.name.startswith("test_a_code_is_used_by_the_first"):
        _DATABASE[:] = [request.getfixturevalue("database")]


async def _compare(tries: list[int], expected: list[bool]) -> None:
    async with open_office(_DATABASE[0]) as office:
        key = office.app.state.people.key
        subject, other = uuid.uuid4(), uuid.uuid4()
        async with transaction(office.institution.pool) as conn:
            code = await issue_code(conn, key, "recovery", subject)
            await issue_code(conn, key, "recovery", other)
            wrong = f"{(int(code) + 1) % 10**6:06}"
            found = []
            for each in tries:
                purpose = "contact" if each == 2 else "recovery"
                typed = wrong if each == 1 else code
                found.append(await use_code(conn, key, purpose, subject, typed))
    assert found == expected
