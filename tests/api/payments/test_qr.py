"""Payment codes.

A code that was made
├── is read by another reader, written from the standard, as the same
├── is read back as what it was made of
└── with any one character changed, lost, added or turned round: refused
The standard's own sample: read, with Chinese letters counted as characters
A text that is no code: refused, with the field that is wrong
├── no checksum, a wrong one, one in small letters
├── an id twice, at the top or in a template
├── a required field missing; a length that is not the value's; format 01 not at the start
├── values that are not of their form
└── a request without `dynamic`, or `dynamic` without a request
What is unknown: kept, and made again
What cannot be said: too long, or an amount with too many digits
Whom to pay: nobody where the code is of another scheme, in another currency, or asks for a tip
A link: the origin and the token, and nothing else
"""

from __future__ import annotations

import contextlib
import string
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import FlorinError
from api.money import CURRENCY_EXPONENTS
from api.payments.links import LinkUnreadable, link_to, new_token, read_link
from api.payments.qr import AccountPayee, AliasPayee, Code, LocalText, make, parse
from api.payments.qr_errors import (
    QrChecksumWrong,
    QrFieldInvalid,
    QrFieldMissing,
    QrFieldRepeated,
    QrNotPayable,
    QrTooLong,
    QrUnreadable,
)
from api.payments.qr_objects import NUMERIC
from tests.api.payments import emvco

ACCOUNT = AccountPayee(2, bytes.fromhex("c1" * 20))
STATIC = Code("static", AliasPayee("@teahouse"), "5499", "CZK", "CZ", "TEA HOUSE", "PRAHA")
DYNAMIC = Code(
    "dynamic", ACCOUNT, "0000", "CNY", "CN", "Wang Xiaoming", "Beijing",
    amount_minor=1_205, request="A" * 22, additional={"05": "table 4"},
    local=LocalText("ZH", "王小明的茶馆", "北京"), others={"61": "100000", "91": "0004name0103abc"},
)  # fmt: skip
SAMPLES = {
    "static": STATIC,
    "dynamic": DYNAMIC,
    "an account for ever": replace(STATIC, payee=ACCOUNT, amount_minor=50_000),
    "another scheme": replace(
        STATIC, payee=None, initiation=None, others={"26": "0016A0000006770101110102ab"}
    ),
}
STANDARDS_OWN = (
    "00020101021229300012D156000000000510A93FO3230Q31280012D15600000001030812345678520441115802CN"
    "5914BEST TRANSPORT6007BEIJING64200002ZH0104最佳运输0202北京540523.7253031565502016233030412340603***"
    "0708A60086670902ME91320016A0112233449988770708123456786304A13A"
)
ALPHABET = string.printable + "éÉšß٣１　\u200b\u0301最佳王京輸운ñ😀"

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
visible = st.text("ABCxyz 王小明最佳运输京éšß", min_size=1, max_size=15)


@st.composite
def codes(draw: st.DrawFn) -> Code:
    """Any code that can be made."""
    participants = st.integers(1, 65535)
    addresses = st.binary(min_size=20, max_size=20).filter(any)
    payee = draw(
        st.one_of(
            st.builds(AliasPayee, st.text(string.ascii_lowercase, min_size=1, max_size=30).map("@{}".format)),
            st.builds(AccountPayee, participants, addresses),
            st.none(),
        )
    )
    is_dynamic = draw(st.booleans())
    currency = draw(st.sampled_from(sorted(NUMERIC)))
    foreign = st.sampled_from(["0016A000000677010111", "0016A0000006770101110102ab"])
    others = st.fixed_dictionaries(
        {"02": printable.map(lambda text: text[:20])} if payee is None else {},
        optional={"27": foreign, "61": printable.map(lambda text: text[:20]), "99": foreign},
    )
    local = st.builds(LocalText, st.just("ZH"), visible, st.none() | visible)
    return Code(
        "dynamic" if is_dynamic else "static",
        payee,
        draw(st.text(string.digits, min_size=4, max_size=4)),
        currency,
        draw(st.sampled_from(["CZ", "CN"])),
        draw(printable.map(lambda text: text[:25])),
        draw(printable.map(lambda text: text[:15])),
        amount_minor=draw(st.none() | st.integers(1, 10**9)),
        request=new_token() if is_dynamic and payee is not None else None,
        additional=draw(
            st.dictionaries(st.sampled_from(["01", "05", "08"]), printable.map(lambda t: t[:20]))
        ),
        local=draw(st.none() | local),
        others=draw(others),
    )


@settings(deadline=None, max_examples=300)
@given(codes())
def test_what_is_made_is_read_back_by_us_and_by_another_reader(code: Code) -> None:
    text = make(code)
    assert parse(text) == code
    found = emvco.read(text)
    exponent = CURRENCY_EXPONENTS[code.currency]
    assert (found["52"], found["53"]) == (code.category, NUMERIC[code.currency])
    assert (found["58"], found["59"], found["60"]) == (code.country, code.name, code.city)
    assert found["01"] == ("12" if code.initiation == "dynamic" else "11")
    if code.amount_minor is not None:
        assert round(float(str(found["54"])) * 10**exponent) == code.amount_minor


@pytest.mark.parametrize("name", SAMPLES)
def test_another_reader_reads_every_sample(name: str) -> None:
    code = SAMPLES[name]
    found = emvco.read(make(code))
    assert found["59"] == code.name
    if code.local is not None:
        assert found["64"] == {"00": "ZH", "01": code.local.name, "02": code.local.city}
    if code.payee is not None:
        (account,) = [part for key, part in found.items() if 26 <= int(key) <= 51 and isinstance(part, dict)]
        assert account["00"] == "247b368d59fd52a1af9af319775cf790"


@pytest.mark.parametrize("name", SAMPLES)
def test_any_one_character_that_is_changed_lost_added_or_turned_round_is_noticed(name: str) -> None:
    text = make(SAMPLES[name])
    tried = 0
    for place, letter in enumerate(text):
        damaged = {text[:place] + other + text[place + 1 :] for other in ALPHABET if other != letter}
        damaged |= {text[:place] + other + text[place:] for other in "0aZ王"}
        damaged.add(text[:place] + text[place + 1 :])
        if text[place : place + 2] != text[place : place + 2][::-1]:
            damaged.add(text[:place] + text[place + 1 : place + 2] + letter + text[place + 2 :])
        for each in damaged - {text}:
            with pytest.raises(FlorinError):
                parse(each)
            tried += 1
    assert tried > 100 * len(text)


def test_a_changed_letter_that_the_checksum_cannot_see_is_noticed() -> None:
    text = make(replace(DYNAMIC, local=LocalText("ZH", "一二三")))
    unseen = bytes(a ^ b for a, b in zip("一".encode(), b"\x01\x10\x21", strict=True)).decode()
    changed = text.replace("一", unseen)
    assert emvco.read(changed)["64"] == {"00": "ZH", "01": f"{unseen}二三"}
    with pytest.raises(QrChecksumWrong):
        parse(changed)


def test_the_standards_own_sample_is_read() -> None:
    code = parse(STANDARDS_OWN)
    assert emvco.read(STANDARDS_OWN)["59"] == code.name == "BEST TRANSPORT"
    assert code.local == LocalText("ZH", "最佳运输", "北京")
    assert (code.initiation, code.amount_minor, code.currency) == ("dynamic", 2_372, "CNY")
    assert code.others["31"] == "0012D15600000001030812345678"
    assert make(code) != STANDARDS_OWN, "objects are put in the order of their ids"
    assert parse(make(code)) == code
    with pytest.raises(QrNotPayable):
        code.require_payable("CNY")


def signed(body: str) -> str:
    """`body` with its right checksum."""
    text = body + "6304"
    return f"{text}{emvco.crc(text.encode()):04X}"


@given(st.text(max_size=80) | st.text("0123456789AZ最", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for each in (text, signed(text), signed(GOOD + text)):
        with contextlib.suppress(FlorinError):
            assert parse(make(parse(each))) == parse(each)


GOOD = make(STATIC)[:-8]
PAYEE = GOOD[GOOD.index("26") : GOOD.index("5204")]
UNREADABLE = {
    "": QrUnreadable,
    "hello": QrUnreadable,
    GOOD: QrUnreadable,
    signed(GOOD)[:-4] + signed(GOOD)[-4:].lower() + "\n": QrUnreadable,
    GOOD + "63040000": QrChecksumWrong,
    "\ud800" + signed(GOOD): QrUnreadable,
    signed(GOOD + "x" * 512): QrUnreadable,
    signed(GOOD + "4"): QrUnreadable,
    signed(GOOD + "٣٣01a"): QrUnreadable,
    signed(GOOD + "6500"): QrFieldInvalid,
    signed(GOOD + "6509abc"): QrFieldInvalid,
    signed(GOOD + "5802CZ"): QrFieldRepeated,
    signed(GOOD + "6201a"): QrUnreadable,
    signed(GOOD + "62100501a0501b"): QrFieldRepeated,
    signed(GOOD + "27" + PAYEE[2:]): QrFieldRepeated,
    signed(GOOD + "63041234"): QrFieldRepeated,
    signed(GOOD.replace("5802CZ", "")): QrFieldMissing,
    signed(GOOD[6:] + "000201"): QrFieldInvalid,
    signed(GOOD.replace("000201", "000202")): QrFieldInvalid,
    signed(GOOD.replace("010211", "010213")): QrFieldInvalid,
    signed(GOOD.replace("010211", "010212")): QrFieldInvalid,
    signed(GOOD.replace("52045499", "5204549a")): QrFieldInvalid,
    signed(GOOD.replace("5303203", "5303000")): QrFieldInvalid,
    signed(GOOD.replace("5802CZ", "5802cz")): QrFieldInvalid,
    signed(GOOD.replace("TEA HOUSE", "ŠKODOVKA.")): QrFieldInvalid,
    signed(GOOD + "64150002ZH0105e\u0301abc"): QrFieldInvalid,
    signed(GOOD + "64110002zh0101a"): QrFieldInvalid,
    signed(GOOD + "64060002ZH"): QrFieldMissing,
    signed(GOOD + "64140002ZH0104最佳运输"): QrChecksumWrong,
}
AMOUNTS = ("1.234", "01", "1,5", ".5", "1.", "-1", "0", "0.00", "1e3", "99999999999999")


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(UNREADABLE[text]):
        parse(text)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(QrFieldInvalid):
        parse(signed(f"{GOOD}54{len(amount):02}{amount}"))


def test_an_account_is_written_in_one_way_only() -> None:
    text = make(replace(STATIC, payee=ACCOUNT))
    packed = text[text.index("0230") + 4 :][:30]
    for other in ("A" * 30, packed[:-1] + "x", packed[:-1] + "="):
        with pytest.raises(QrFieldInvalid):
            parse(signed(text[:-8].replace(packed, other)))


def test_what_does_not_fit_is_not_made() -> None:
    for changes in (
        {"payee": AliasPayee("@" + "a" * 70)},
        {"amount_minor": 10**12},
        {"others": {"61": "1" * 100}},
        {"others": {str(number): "x" * 90 for number in range(70, 80)}},
        {"additional": {"05": "a" * 25, "06": "b" * 25, "07": "c" * 25, "08": "d" * 25}},
    ):
        with pytest.raises(QrTooLong):
            make(replace(STATIC, **changes))  # type: ignore[arg-type]
    for changes in ({"name": "Č"}, {"others": {"58": "CN"}}, {"currency": "XXX"}, {"request": "A" * 22}):
        with pytest.raises(QrFieldInvalid):
            make(replace(STATIC, **changes))  # type: ignore[arg-type]


def test_whom_to_pay() -> None:
    assert parse(make(STATIC)).require_payable("CZK") == AliasPayee("@teahouse")
    for code in (
        replace(STATIC, currency="EUR"),
        replace(STATIC, others={"55": "01"}),
        SAMPLES["another scheme"],
    ):
        with pytest.raises(QrNotPayable):
            parse(make(code)).require_payable("CZK")


def test_every_currency_has_its_number() -> None:
    assert NUMERIC.keys() == CURRENCY_EXPONENTS.keys()
    assert len(set(NUMERIC.values())) == len(NUMERIC)


def test_a_link_says_where_and_nothing_about_whom() -> None:
    token = new_token()
    assert read_link(link_to("https://bank.example", token)) == ("https://bank.example", token)
    sandbox = link_to("http://127.0.0.1:8101", token)
    assert read_link(sandbox, is_sandbox=True) == ("http://127.0.0.1:8101", token)
    for wrong in (sandbox, f"https://bank.example/pay/{token}?to=a", f"https://x@bank.example/pay/{token}"):
        with pytest.raises(LinkUnreadable):
            read_link(wrong)
