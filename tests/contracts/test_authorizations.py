"""ERC-2612 and EIP-3009: what a signature allows, to the second and to the field, and nothing beside it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from contracts import abi, authorizations, orders
from contracts.abi import (
    AccountFlag,
    AdministrativeEvent,
    AuthorizationCanceled,
    AuthorizationUsed,
    Event,
    Transfer,
    Waterfall,
)
from contracts.authorizations import (
    CancelAuthorization,
    Permit,
    ReceiveWithAuthorization,
    TransferWithAuthorization,
)
from contracts.local_evm import CHAIN_ID
from contracts.typed_data import PaymentDomain, TypedMessage
from tests.contracts.erc1271 import REFUSING, Wallet, create_refusing
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BOB,
    CAROL,
    COURT,
    MERCHANT,
    MERCHANT_HOLDING,
    NAME,
    NOBODY,
    RETAIL_PER_PAYMENT,
    RETAIL_TIER,
    STRANGER,
    UNLINKED,
    Person,
    World,
    sign_digest,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
Message = TransferWithAuthorization | ReceiveWithAuthorization


@dataclass(frozen=True)
class Form:
    """One of the four functions that execute a signed payment."""

    message: type[TransferWithAuthorization] | type[ReceiveWithAuthorization]
    encode: Callable[[Any, bytes], bytes]
    takes_any_bytes: bool
    payee_submits: bool

    def submitter(self, message: Message) -> bytes:
        return message.payee if self.payee_submits else NOBODY


FORMS = {
    "transfer, key": Form(
        TransferWithAuthorization,
        authorizations.encode_transfer_with_authorization_of_key,
        takes_any_bytes=False,
        payee_submits=False,
    ),
    "transfer, bytes": Form(
        TransferWithAuthorization,
        authorizations.encode_transfer_with_authorization,
        takes_any_bytes=True,
        payee_submits=False,
    ),
    "receive, key": Form(
        ReceiveWithAuthorization,
        authorizations.encode_receive_with_authorization_of_key,
        takes_any_bytes=False,
        payee_submits=True,
    ),
    "receive, bytes": Form(
        ReceiveWithAuthorization,
        authorizations.encode_receive_with_authorization,
        takes_any_bytes=True,
        payee_submits=True,
    ),
}


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> Form:
    return FORMS[request.param]


def authorize(
    world: World, form: Form, payer: Person = ALICE, payee: Person = CAROL, **changes: Any
) -> Message:
    """An authorisation of 100, valid now, unless told otherwise."""
    fields = {
        "amount_minor": 100,
        "valid_after_s": 0,
        "valid_before_s": world.valid_before_s,
        "nonce": keccak(b"a nonce"),
        **changes,
    }
    return form.message(payer.address, payee.address, **fields)


def sign(world: World, signer: Person, message: TypedMessage, domain: PaymentDomain | None = None) -> bytes:
    return sign_digest(signer, message.digest((domain or world.domain).separator))


def submit(world: World, form: Form, message: Message, signer: Person = ALICE) -> list[Event]:
    return world.do(form.submitter(message), form.encode(message, sign(world, signer, message)))


def refusal(
    world: World, form: Form, message: Message, signature: bytes | None = None
) -> tuple[str, dict[str, Any]]:
    signature = sign(world, ALICE, message) if signature is None else signature
    return world.refusal(form.submitter(message), form.encode(message, signature))


def is_used(world: World, person: Person, nonce: bytes) -> bool:
    read = world.read(authorizations.encode_authorization_state(person.address, nonce))
    return abi.decode_uint(read) != 0


def twin(signature: bytes) -> bytes:
    """The same signature with a high s."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


# What is not a signature of ALICE's key over the message in the token's domain. All have 65 bytes.
SPOILT: dict[str, Callable[[World, TypedMessage], bytes]] = {
    "another chain": lambda world, message: sign(
        world, ALICE, message, PaymentDomain(NAME, CHAIN_ID + 1, world.currency)
    ),
    "another contract": lambda world, message: sign(
        world, ALICE, message, PaymentDomain(NAME, CHAIN_ID, world.implementation)
    ),
    "another name": lambda world, message: sign(
        world, ALICE, message, PaymentDomain("Slovak koruna", CHAIN_ID, world.currency)
    ),
    "another signer": lambda world, message: sign(world, BOB, message),
    "a high s": lambda world, message: twin(sign(world, ALICE, message)),
    "a high s and the other v": lambda world, message: (
        twin(sign(world, ALICE, message))[:64] + sign(world, ALICE, message)[64:]
    ),
    "the other v": lambda world, message: (
        sign(world, ALICE, message)[:64] + bytes([55 - sign(world, ALICE, message)[64]])
    ),
    "v of 0 or 1": lambda world, message: (
        sign(world, ALICE, message)[:64] + bytes([sign(world, ALICE, message)[64] - 27])
    ),
    "zero r": lambda world, message: bytes(32) + sign(world, ALICE, message)[32:],
    "zero s": lambda world, message: (
        sign(world, ALICE, message)[:32] + bytes(32) + sign(world, ALICE, message)[64:]
    ),
    "zeros": lambda _world, _message: bytes(65),
    "ones": lambda _world, _message: b"\xff" * 65,
}
# And these are refused where any bytes are taken.
SPOILT_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _signature: b"",
    "truncated": lambda signature: signature[:64],
    "compact": lambda signature: (
        signature[:32] + bytes([signature[32] | (signature[64] - 27) << 7]) + signature[33:64]
    ),
    "a trailing byte": lambda signature: signature + b"\x00",
    "trailing words": lambda signature: signature + bytes(64),
    "a leading byte": lambda signature: b"\x00" + signature,
}


# A signed payment


def test_it_pays_tells_and_marks_its_nonce(world: World, form: Form) -> None:
    message = authorize(world, form)
    assert not is_used(world, ALICE, message.nonce)
    used, transfer = submit(world, form, message)
    assert isinstance(used, AuthorizationUsed)
    assert (used.authorizer, used.nonce) == (ALICE.address, message.nonce)
    assert isinstance(transfer, Transfer)
    assert (transfer.payer, transfer.payee, transfer.amount_minor) == (ALICE.address, CAROL.address, 100)
    assert is_used(world, ALICE, message.nonce)
    assert (world.balance(ALICE), world.balance(CAROL), world.account(ALICE).spent_today) == (
        59_900,
        100,
        100,
    )


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_what_its_payer_did_not_sign_is_refused(world: World, form: Form, how: str) -> None:
    message = authorize(world, form)
    spoilt = SPOILT[how](world, message)
    assert refusal(world, form, message, spoilt) == ("InvalidSignature", {"signer": ALICE.address})
    submit(world, form, message)


@pytest.mark.parametrize("how", sorted(SPOILT_BYTES))
@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.takes_any_bytes])
def test_a_signature_of_another_length_is_refused(world: World, name: str, how: str) -> None:
    message = authorize(world, FORMS[name])
    spoilt = SPOILT_BYTES[how](sign(world, ALICE, message))
    assert refusal(world, FORMS[name], message, spoilt) == ("InvalidSignature", {"signer": ALICE.address})


@pytest.mark.parametrize(
    "change",
    [
        {"payer": BOB.address},
        {"payee": UNLINKED.address},
        {"amount_minor": 101},
        {"valid_after_s": 1},
        {"valid_before_s": 2**40},
        {"nonce": keccak(b"another")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_tampered_field_is_refused(world: World, form: Form, change: dict[str, Any]) -> None:
    message = authorize(world, form)
    tampered = replace(message, **change)
    code, arguments = refusal(world, form, tampered, sign(world, ALICE, message))
    assert (code, arguments) == ("InvalidSignature", {"signer": tampered.payer})


def test_transfers_and_receipts_are_not_exchanged(world: World) -> None:
    """A front runner cannot submit as a transfer what only the payee was to receive."""
    for one, other in (("transfer, bytes", "receive, bytes"), ("receive, key", "transfer, key")):
        signed = authorize(world, FORMS[one])
        message = authorize(world, FORMS[other])
        code, _ = refusal(world, FORMS[other], message, sign(world, ALICE, signed))
        assert code == "InvalidSignature"


def test_it_is_valid_strictly_between_its_times(world: World, form: Form) -> None:
    now = world.evm.time_s
    message = authorize(world, form, valid_after_s=now, valid_before_s=now + 2)
    assert refusal(world, form, message) == (
        "AuthorizationNotYetValid",
        {"validAfter": now, "blockTime": now},
    )
    world.evm.set_time(now + 2)
    assert refusal(world, form, message) == (
        "AuthorizationExpired",
        {"validBefore": now + 2, "blockTime": now + 2},
    )
    world.evm.set_time(now + 1)
    submit(world, form, message)


def test_it_pays_once(world: World, form: Form) -> None:
    message = authorize(world, form)
    submit(world, form, message)
    arguments = {"authorizer": ALICE.address, "nonce": message.nonce}
    assert refusal(world, form, message) == ("AuthorizationAlreadyUsed", arguments)
    # Neither in another form nor with other terms.
    for other in FORMS.values():
        again = authorize(world, other, amount_minor=7)
        assert refusal(world, other, again) == ("AuthorizationAlreadyUsed", arguments)
    assert world.balance(CAROL) == 100


def test_nonces_have_no_order_and_are_each_payers_own(world: World, form: Form) -> None:
    for nonce in (b"\xff" * 32, bytes(32), keccak(b"x")):
        submit(world, form, authorize(world, form, nonce=nonce))
        submit(world, form, authorize(world, form, payer=BOB, nonce=nonce), signer=BOB)
    assert world.balance(CAROL) == 600
    assert not is_used(world, CAROL, bytes(32))


def test_neither_packed_payments_nor_permits_share_their_nonces(world: World, form: Form) -> None:
    packed = world.sign(ALICE, CAROL, 10, nonce=0)
    permit = Permit(ALICE.address, BOB.address, 5, 0, world.valid_before_s)
    submit(world, form, authorize(world, form, nonce=bytes(32)))
    assert world.account(ALICE).nonce == 0
    assert world.skips(packed) == {}
    world.do(NOBODY, authorizations.encode_permit(permit, sign(world, ALICE, permit)))
    submit(world, form, authorize(world, form, nonce=bytes(31) + b"\x01"))
    assert world.account(ALICE).nonce == 1
    assert world.skips(world.sign(ALICE, CAROL, 10, nonce=1)) == {}


@pytest.mark.parametrize("name", ["receive, key", "receive, bytes"])
def test_only_the_payee_submits_a_receipt(world: World, name: str) -> None:
    form = FORMS[name]
    message = authorize(world, form)
    data = form.encode(message, sign(world, ALICE, message))
    for caller in (ALICE.address, NOBODY, BANK_A.address, world.currency):
        assert world.refusal(caller, data) == (
            "CallerNotPayee",
            {"caller": caller, "payee": CAROL.address},
        )
    world.do(CAROL.address, data)


@pytest.mark.parametrize("length", [0, 32, 200, 287])
def test_call_data_that_is_cut_short_is_refused(world: World, form: Form, length: int) -> None:
    message = authorize(world, form)
    data = form.encode(message, sign(world, ALICE, message))[: 4 + length]
    before = world.fingerprint()
    assert not world.attempt(form.submitter(message), data).is_success
    assert world.fingerprint() == before


# Every rule of a payment

RULES: dict[str, tuple[Callable[[World], object], dict[str, Any], str]] = {
    "zero": (lambda world: None, {"amount_minor": 0}, "ZeroAmount"),
    "oneself": (lambda world: None, {"payee": ALICE}, "SelfPayment"),
    "payer frozen": (
        lambda world: world.do(COURT, orders.encode_freeze(world.register_order(), ALICE.address)),
        {},
        "PayerFrozen",
    ),
    "payer closed": (lambda world: world.mark(ALICE, AccountFlag.CLOSED), {}, "PayerClosed"),
    "payer suspended": (lambda world: world.mark(ALICE, AccountFlag.SUSPENDED), {}, "PayerSuspended"),
    "payer not registered": (lambda world: world.set_account(ALICE, flags=0), {}, "PayerNotRegistered"),
    "payee not registered": (lambda world: None, {"payee": STRANGER}, "PayeeNotRegistered"),
    "payee frozen": (
        lambda world: world.do(COURT, orders.encode_freeze(world.register_order(), CAROL.address)),
        {},
        "PayeeFrozen",
    ),
    "payee closed": (lambda world: world.mark(CAROL, AccountFlag.CLOSED), {}, "PayeeClosed"),
    "payee suspended": (lambda world: world.mark(CAROL, AccountFlag.SUSPENDED), {}, "PayeeSuspended"),
    "per-payment limit": (
        lambda world: None,
        {"amount_minor": RETAIL_PER_PAYMENT + 1},
        "PerPaymentLimitExceeded",
    ),
    "absurd amount": (lambda world: None, {"amount_minor": 2**256 - 1}, "PerPaymentLimitExceeded"),
    "daily limit": (
        lambda world: world.set_tier(RETAIL_TIER, 100_000, 100_000, 99),
        {},
        "DailyLimitExceeded",
    ),
    "balance": (lambda world: world.set_account(ALICE, balance=99), {}, "InsufficientBalance"),
    "held funds": (
        lambda world: world.do(COURT, orders.encode_hold(world.register_order(), ALICE.address, 59_901)),
        {},
        "FundsHeld",
    ),
    "holding limit": (
        lambda world: world.set_account(UNLINKED, balance=MERCHANT_HOLDING - 99),
        {"payee": UNLINKED},
        "HoldingLimitExceeded",
    ),
    "paused": (lambda world: world.pause(), {}, "CurrencyPaused"),
}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_of_a_payment_applies(world: World, form: Form, rule: str) -> None:
    break_rule, changes, code = RULES[rule]
    break_rule(world)
    message = authorize(world, form, **changes)
    assert refusal(world, form, message)[0] == code
    assert not is_used(world, ALICE, message.nonce)


def test_what_a_rule_refused_can_be_paid_later(world: World, form: Form) -> None:
    order = world.register_order()
    world.do(COURT, orders.encode_freeze(order, ALICE.address))
    message = authorize(world, form)
    assert refusal(world, form, message)[0] == "PayerFrozen"
    world.do(COURT, orders.encode_unfreeze(order, ALICE.address))
    submit(world, form, message)


def test_it_waterfalls_as_any_payment(world: World, form: Form) -> None:
    message = authorize(world, form, payee=MERCHANT, amount_minor=MERCHANT_HOLDING + 7)
    events = submit(world, form, message)
    assert [type(event) for event in events] == [AuthorizationUsed, Transfer, Transfer, Waterfall]
    assert world.balance(MERCHANT) == MERCHANT_HOLDING


# Payers with code


@pytest.fixture
def wallet(world: World) -> Wallet:
    created = Wallet.create(world)
    world.register(BANK_A, [created.person], RETAIL_TIER)
    world.transfer(BANK_A, created.person, 1_000)
    return created


def test_a_payer_with_code_is_asked(world: World, form: Form, wallet: Wallet) -> None:
    message = authorize(world, form, payer=wallet.person)
    bytes_65 = b"\x07" * 65
    assert refusal(world, form, message, bytes_65) == (
        "InvalidSignature",
        {"signer": wallet.person.address},
    )
    wallet.accept(world, message.digest(world.domain.separator))
    tampered = replace(message, amount_minor=101)
    assert refusal(world, form, tampered, bytes_65)[0] == "InvalidSignature"
    world.do(form.submitter(message), form.encode(message, bytes_65))
    assert world.balance(wallet.person) == 900
    assert refusal(world, form, message, bytes_65)[0] == "AuthorizationAlreadyUsed"


@pytest.mark.parametrize("length", [0, 1, 64, 66, 500])
@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if form.takes_any_bytes])
def test_a_payer_with_code_decides_about_bytes_of_any_length(
    world: World, wallet: Wallet, name: str, length: int
) -> None:
    form = FORMS[name]
    message = authorize(world, form, payer=wallet.person)
    wallet.accept(world, message.digest(world.domain.separator))
    world.do(form.submitter(message), form.encode(message, bytes(length)))
    assert world.balance(CAROL) == 100


@pytest.mark.parametrize("answer", sorted(REFUSING))
def test_an_answer_that_is_not_consent_is_refused(world: World, form: Form, answer: str) -> None:
    payer = create_refusing(world, REFUSING[answer])
    world.register(BANK_A, [payer], RETAIL_TIER)
    world.set_account(payer, balance=1_000)
    message = authorize(world, form, payer=payer)
    assert refusal(world, form, message, bytes(65)) == ("InvalidSignature", {"signer": payer.address})


def test_an_account_that_delegates_has_its_key_and_its_code(world: World, form: Form) -> None:
    """EIP-7702: its own key signs as before, and its code says what else it accepts."""
    target = Wallet.create(world)
    world.evm._vm.state.set_code(ALICE.address, bytes.fromhex("ef0100") + target.person.address)
    message = authorize(world, form)
    assert refusal(world, form, message, sign(world, BOB, message))[0] == "InvalidSignature"
    before = world.evm.snapshot()
    submit(world, form, message)
    assert world.balance(CAROL) == 100
    world.evm.revert(before)
    Wallet(ALICE).accept(world, message.digest(world.domain.separator))
    submit(world, form, message, signer=BOB)
    assert world.balance(CAROL) == 100


# Ending an authorisation

CANCELS = {
    "key": authorizations.encode_cancel_authorization_of_key,
    "bytes": authorizations.encode_cancel_authorization,
}


@pytest.fixture(params=sorted(CANCELS))
def cancel(request: pytest.FixtureRequest) -> Callable[[CancelAuthorization, bytes], bytes]:
    return CANCELS[request.param]


Cancel = Callable[[CancelAuthorization, bytes], bytes]


def test_a_cancelled_authorisation_pays_nothing(world: World, form: Form, cancel: Cancel) -> None:
    message = authorize(world, form)
    cancellation = CancelAuthorization(ALICE.address, message.nonce)
    data = cancel(cancellation, sign(world, ALICE, cancellation))
    (event,) = world.do(NOBODY, data)
    assert isinstance(event, AuthorizationCanceled)
    assert (event.authorizer, event.nonce) == (ALICE.address, message.nonce)
    assert is_used(world, ALICE, message.nonce)
    used = ("AuthorizationAlreadyUsed", {"authorizer": ALICE.address, "nonce": message.nonce})
    assert refusal(world, form, message) == used
    assert world.refusal(NOBODY, data) == used
    assert world.balance(CAROL) == 0


def test_what_was_paid_cannot_be_cancelled(world: World, form: Form, cancel: Cancel) -> None:
    message = authorize(world, form)
    submit(world, form, message)
    cancellation = CancelAuthorization(ALICE.address, message.nonce)
    data = cancel(cancellation, sign(world, ALICE, cancellation))
    assert world.refusal(NOBODY, data)[0] == "AuthorizationAlreadyUsed"


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_nobody_cancels_for_another(world: World, cancel: Cancel, how: str) -> None:
    cancellation = CancelAuthorization(ALICE.address, bytes(32))
    data = cancel(cancellation, SPOILT[how](world, cancellation))
    assert world.refusal(ALICE.address, data) == ("InvalidSignature", {"signer": ALICE.address})


@pytest.mark.parametrize("how", sorted(SPOILT_BYTES))
def test_a_cancellation_of_another_length_is_refused(world: World, how: str) -> None:
    cancellation = CancelAuthorization(ALICE.address, bytes(32))
    spoilt = SPOILT_BYTES[how](sign(world, ALICE, cancellation))
    data = authorizations.encode_cancel_authorization(cancellation, spoilt)
    assert world.refusal(ALICE.address, data)[0] == "InvalidSignature"


def test_a_cancellation_of_another_nonce_is_refused(world: World, cancel: Cancel) -> None:
    signed = CancelAuthorization(ALICE.address, bytes(32))
    other = CancelAuthorization(ALICE.address, bytes(31) + b"\x01")
    data = cancel(other, sign(world, ALICE, signed))
    assert world.refusal(NOBODY, data)[0] == "InvalidSignature"


def test_it_can_be_cancelled_while_the_currency_is_paused(world: World, cancel: Cancel) -> None:
    world.pause()
    cancellation = CancelAuthorization(ALICE.address, bytes(32))
    world.do(NOBODY, cancel(cancellation, sign(world, ALICE, cancellation)))
    assert is_used(world, ALICE, bytes(32))


def test_an_owner_with_code_cancels(world: World, wallet: Wallet, cancel: Cancel) -> None:
    cancellation = CancelAuthorization(wallet.person.address, bytes(32))
    assert world.refusal(NOBODY, cancel(cancellation, bytes(65)))[0] == "InvalidSignature"
    wallet.accept(world, cancellation.digest(world.domain.separator))
    world.do(NOBODY, cancel(cancellation, bytes(65)))
    assert is_used(world, wallet.person, bytes(32))


# Permits


def permit_of(world: World, **changes: Any) -> Permit:
    """BOB may spend 500 of ALICE's, by her first permit, unless told otherwise."""
    permit = Permit(ALICE.address, BOB.address, 500, 0, world.evm.time_s)
    return replace(permit, **changes)


def allowance(world: World, owner: Person, spender: Person) -> int:
    arguments = bytes(12) + owner.address + bytes(12) + spender.address
    return abi.decode_uint(world.read(abi.SELECTORS["allowance(address,address)"] + arguments))


def next_permit(world: World, owner: Person) -> int:
    return abi.decode_uint(world.read(authorizations.encode_nonces(owner.address)))


def test_a_permit_approves_and_counts(world: World) -> None:
    for nonce, amount in enumerate((500, 0, 2**256 - 1)):
        assert next_permit(world, ALICE) == nonce
        permit = permit_of(world, nonce=nonce, amount_minor=amount)
        (event,) = world.do(NOBODY, authorizations.encode_permit(permit, sign(world, ALICE, permit)))
        assert isinstance(event, AdministrativeEvent)
        assert (event.name, event.data) == ("Approval", amount.to_bytes(32, "big"))
        assert event.topics[1:] == (bytes(12) + ALICE.address, bytes(12) + BOB.address)
        assert allowance(world, ALICE, BOB) == amount
    assert (next_permit(world, ALICE), next_permit(world, BOB)) == (3, 0)
    world.do(BOB.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 10))
    assert world.balance(CAROL) == 10


def test_a_permit_is_used_once_and_in_its_turn(world: World) -> None:
    first, second = permit_of(world), permit_of(world, nonce=1, amount_minor=7)
    data = [authorizations.encode_permit(each, sign(world, ALICE, each)) for each in (first, second)]
    assert world.refusal(NOBODY, data[1]) == ("InvalidSignature", {"signer": ALICE.address})
    world.do(NOBODY, data[0])
    assert world.refusal(NOBODY, data[0]) == ("InvalidSignature", {"signer": ALICE.address})
    world.do(NOBODY, data[1])
    assert allowance(world, ALICE, BOB) == 7


def test_a_permit_is_used_until_its_deadline_and_in_that_second(world: World) -> None:
    deadline_s = world.evm.time_s + 5
    permit = permit_of(world, deadline_s=deadline_s)
    data = authorizations.encode_permit(permit, sign(world, ALICE, permit))
    world.evm.set_time(deadline_s + 1)
    assert world.refusal(NOBODY, data) == (
        "PermitExpired",
        {"deadline": deadline_s, "blockTime": deadline_s + 1},
    )
    world.evm.set_time(deadline_s)
    world.do(NOBODY, data)


@pytest.mark.parametrize("how", sorted(SPOILT))
def test_a_permit_that_its_owner_did_not_sign_is_refused(world: World, how: str) -> None:
    permit = permit_of(world)
    data = authorizations.encode_permit(permit, SPOILT[how](world, permit))
    assert world.refusal(BOB.address, data) == ("InvalidSignature", {"signer": ALICE.address})


@pytest.mark.parametrize(
    "change",
    [
        {"owner": CAROL.address},
        {"spender": CAROL.address},
        {"amount_minor": 501},
        {"deadline_s": 2**40},
        {"nonce": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_permit_with_a_tampered_field_is_refused(world: World, change: dict[str, Any]) -> None:
    """The contract itself knows the nonce: a permit that was signed for another one is meant."""
    signed = permit_of(world, **change)
    data = authorizations.encode_permit(permit_of(world), sign(world, ALICE, signed))
    assert world.refusal(NOBODY, data) == ("InvalidSignature", {"signer": ALICE.address})


def test_nobody_is_not_permitted_and_nobody_permits(world: World) -> None:
    permit = permit_of(world, spender=bytes(20))
    data = authorizations.encode_permit(permit, sign(world, ALICE, permit))
    assert world.refusal(NOBODY, data) == ("ZeroAddress", {})
    permit = permit_of(world, owner=bytes(20))
    data = authorizations.encode_permit(permit, bytes(65))
    assert world.refusal(NOBODY, data) == ("InvalidSignature", {"signer": bytes(20)})


def test_a_permit_moves_no_money_and_so_works_while_paused(world: World) -> None:
    world.pause()
    permit = permit_of(world)
    world.do(NOBODY, authorizations.encode_permit(permit, sign(world, ALICE, permit)))
    spend = abi.encode_transfer_from(ALICE.address, CAROL.address, 1)
    assert world.refusal(BOB.address, spend) == ("CurrencyPaused", {})


def test_an_owner_with_code_permits(world: World, wallet: Wallet) -> None:
    permit = permit_of(world, owner=wallet.person.address)
    data = authorizations.encode_permit(permit, bytes(65))
    assert world.refusal(NOBODY, data)[0] == "InvalidSignature"
    wallet.accept(world, permit.digest(world.domain.separator))
    world.do(NOBODY, data)
    assert allowance(world, wallet.person, BOB) == 500
    world.do(BOB.address, abi.encode_transfer_from(wallet.person.address, CAROL.address, 5))


@pytest.mark.parametrize("answer", sorted(REFUSING))
def test_a_permit_without_consent_is_refused(world: World, answer: str) -> None:
    owner = create_refusing(world, REFUSING[answer])
    data = authorizations.encode_permit(permit_of(world, owner=owner.address), bytes(65))
    assert world.refusal(NOBODY, data) == ("InvalidSignature", {"signer": owner.address})
