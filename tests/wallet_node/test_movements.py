"""What each call moves, and how that is said to those who must approve it."""

from typing import Any

import pytest
from call_strategies import ARTIFACTS
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import abi, authorizations, memberships, notary, orders, settlement, trades
from contracts.batch import Entry, Record, pack, pack_fan_out, pack_grouped
from contracts.call_reading import functions_of
from contracts.settlement_events import Leg
from contracts.typed_data import PaymentDomain, fan_out_digest, payment_digest
from wallet_node.addresses import checksummed
from wallet_node.errors import Refusal
from wallet_node.intents.call_movements import call_movements, readable_signatures, transaction_movements
from wallet_node.intents.movements import (
    CURRENCY,
    NOTARY,
    SETTLEMENT,
    TRADES,
    Kind,
    Movement,
    Movements,
    Setting,
    describe,
    total_minor,
)
from wallet_node.keystore.signatures import compact
from wallet_node.keystore.software_key import SoftwareKey

BANK, CONTRACT = b"\xba" * 20, b"\xc0" * 20
ALICE, BOB, CAROL = (bytes([number]) * 20 for number in (0xA1, 0xB0, 0xCA))
WORD, SIGNATURE = b"\x77" * 32, b"\x01" * 64 + b"\x1b"
UNTIL_S = 1_800_000_600
SETTING = Setting(BANK, CONTRACT)


def moved(target: str, data: bytes, setting: Setting = SETTING) -> Movements:
    found = call_movements(target, setting, data)
    assert not isinstance(found, Refusal), found
    return found


# --- what each moves ----------------------------------------------------------------------------------------

PERMIT = authorizations.Permit(ALICE, BOB, 7, 3, UNTIL_S)
TRANSFER = authorizations.TransferWithAuthorization(ALICE, BOB, 7, 5, UNTIL_S, WORD)
RECEIVE = authorizations.ReceiveWithAuthorization(ALICE, BOB, 7, 5, UNTIL_S, WORD)
CANCEL = authorizations.CancelAuthorization(ALICE, WORD)
MOVE = memberships.AccountMove(ALICE, 2, 3, 4, 9, UNTIL_S)
AUTHORIZED = [Movement(Kind.TRANSFER, ALICE, BOB, 7, UNTIL_S, {"nonce": WORD, "valid_after_s": 5})]
CANCELLED = [Movement(Kind.AUTHORIZATION_CANCELLED, ALICE, detail={"nonce": WORD})]
ORDER = {"order": WORD}

CURRENCY_CALLS: list[tuple[bytes, list[Movement]]] = [
    (abi.encode_transfer(BOB, 7), [Movement(Kind.TRANSFER, BANK, BOB, 7)]),
    (
        abi.encode_transfer_from(ALICE, BOB, 7),
        [Movement(Kind.TRANSFER, ALICE, BOB, 7, detail={"spender": BANK})],
    ),
    (abi.encode_approve(BOB, 7), [Movement(Kind.ALLOWANCE, BANK, BOB, 7)]),
    (
        authorizations.encode_permit(PERMIT, SIGNATURE),
        [Movement(Kind.ALLOWANCE, ALICE, BOB, 7, UNTIL_S)],
    ),
    (authorizations.encode_transfer_with_authorization(TRANSFER, SIGNATURE), AUTHORIZED),
    (authorizations.encode_transfer_with_authorization_of_key(TRANSFER, SIGNATURE), AUTHORIZED),
    (authorizations.encode_receive_with_authorization(RECEIVE, SIGNATURE), AUTHORIZED),
    (authorizations.encode_receive_with_authorization_of_key(RECEIVE, SIGNATURE), AUTHORIZED),
    (authorizations.encode_cancel_authorization(CANCEL, SIGNATURE), CANCELLED),
    (authorizations.encode_cancel_authorization_of_key(CANCEL, SIGNATURE), CANCELLED),
    (abi.encode_mint(7), [Movement(Kind.MINT, payee=BANK, amount_minor=7)]),
    (abi.encode_burn(7), [Movement(Kind.BURN, payer=BANK, amount_minor=7)]),
    (
        abi.encode_increase_mint_allowance(2, 7),
        [Movement(Kind.MINT_ALLOWANCE_RAISED, amount_minor=7, detail={"participant": 2})],
    ),
    (
        abi.encode_decrease_mint_allowance(2, 7),
        [Movement(Kind.MINT_ALLOWANCE_LOWERED, amount_minor=7, detail={"participant": 2})],
    ),
    (
        abi.encode_set_tier(1, 30, 20, 2**64 - 1),
        [
            Movement(
                Kind.TIER_SET,
                detail={
                    "tier": 1,
                    "holding_limit_minor": 30,
                    "per_payment_limit_minor": 20,
                    "daily_limit_minor": 2**64 - 1,
                },
            )
        ],
    ),
    (
        abi.encode_set_participant(2, BOB, 1, 0b110),
        [Movement(Kind.PARTICIPANT_SET, payee=BOB, detail={"participant": 2, "tier": 1, "tiers": (1, 2)})],
    ),
    (
        memberships.encode_suspend_participant(2),
        [Movement(Kind.PARTICIPANT_SUSPENDED, detail={"participant": 2})],
    ),
    (
        memberships.encode_reinstate_participant(2),
        [Movement(Kind.PARTICIPANT_REINSTATED, detail={"participant": 2})],
    ),
    (
        memberships.encode_set_system_account(BOB, 1),
        [Movement(Kind.SYSTEM_ACCOUNT_SET, payee=BOB, detail={"tier": 1})],
    ),
    (
        abi.encode_register([ALICE, BOB], 1, 4),
        [
            Movement(
                Kind.ACCOUNTS_REGISTERED,
                detail={"tier": 1, "linked": "linked", "accounts": (ALICE, BOB)},
            )
        ],
    ),
    (
        memberships.encode_move_account(MOVE, SIGNATURE),
        [
            Movement(
                Kind.ACCOUNT_MOVED,
                ALICE,
                BANK,
                until_s=UNTIL_S,
                detail={
                    "destination": f"the bank {checksummed(BANK)}",
                    "tier": 3,
                    "linked": "linked",
                    "nonce": 9,
                },
            )
        ],
    ),
    (
        orders.encode_register_order(WORD, BOB, 7, UNTIL_S),
        [Movement(Kind.ORDER_REGISTERED, None, BOB, 7, UNTIL_S, ORDER)],
    ),
    (orders.encode_revoke_order(WORD), [Movement(Kind.ORDER_REVOKED, detail=ORDER)]),
    (orders.encode_freeze(WORD, BOB), [Movement(Kind.FROZEN, BOB, detail=ORDER)]),
    (orders.encode_unfreeze(WORD, BOB), [Movement(Kind.UNFROZEN, BOB, detail=ORDER)]),
    (orders.encode_hold(WORD, BOB, 7), [Movement(Kind.HELD, BOB, None, 7, detail=ORDER)]),
    (orders.encode_release(WORD, BOB, 7), [Movement(Kind.RELEASED, BOB, None, 7, detail=ORDER)]),
    (
        orders.encode_force_transfer(WORD, ALICE, BOB, 7),
        [Movement(Kind.FORCED_TRANSFER, ALICE, BOB, 7, detail=ORDER)],
    ),
    (abi.encode_pause(), [Movement(Kind.PAUSED)]),
    (abi.encode_unpause(), [Movement(Kind.UNPAUSED)]),
    (
        abi.encode_offer_role(abi.ROLES["GOVERNOR"], BOB),
        [Movement(Kind.ROLE_OFFERED, BANK, BOB, detail={"role": "GOVERNOR"})],
    ),
    (
        abi.encode_accept_role(WORD),
        [Movement(Kind.ROLE_ACCEPTED, payee=BANK, detail={"role": "0x" + "77" * 32})],
    ),
    (
        abi.encode_propose_upgrade(BOB, b"\x01\x02"),
        [Movement(Kind.UPGRADE_PROPOSED, payee=BOB, detail={"data": "0x0102"})],
    ),
    (abi.encode_upgrade(BOB), [Movement(Kind.UPGRADED, payee=BOB, detail={"data": "0x"})]),
    (abi.encode_cancel_upgrade(), [Movement(Kind.UPGRADE_CANCELLED)]),
]

ID = settlement.payment_id(1, b"reference")
OTHER_CALLS: list[tuple[str, bytes, list[Movement]]] = [
    (
        SETTLEMENT,
        settlement.encode_deposit(7),
        [Movement(Kind.SETTLEMENT_DEPOSIT, BANK, CONTRACT, 7)],
    ),
    (
        SETTLEMENT,
        settlement.encode_withdraw(7),
        [Movement(Kind.SETTLEMENT_WITHDRAWAL, CONTRACT, BANK, 7)],
    ),
    (
        SETTLEMENT,
        settlement.encode_set_net_debit_cap(7),
        [Movement(Kind.NET_DEBIT_CAP_SET, BANK, None, 7)],
    ),
    (
        SETTLEMENT,
        settlement.encode_submit(ID, 2, 7, settlement.Priority.HIGHLY_URGENT, UNTIL_S),
        [
            Movement(
                Kind.SETTLEMENT_PAYMENT,
                BANK,
                None,
                7,
                UNTIL_S,
                {"payment": ID, "payee_participant": 2, "priority": "highly urgent"},
            )
        ],
    ),
    (
        SETTLEMENT,
        settlement.encode_submit(ID, 2, 7, settlement.Priority.NORMAL),
        [
            Movement(
                Kind.SETTLEMENT_PAYMENT,
                BANK,
                None,
                7,
                None,
                {"payment": ID, "payee_participant": 2, "priority": "normal"},
            )
        ],
    ),
    (SETTLEMENT, settlement.encode_hold(ID), [Movement(Kind.QUEUE_HELD, detail={"payment": ID})]),
    (SETTLEMENT, settlement.encode_resume(ID), [Movement(Kind.QUEUE_RESUMED, detail={"payment": ID})]),
    (SETTLEMENT, settlement.encode_cancel(ID), [Movement(Kind.QUEUE_CANCELLED, detail={"payment": ID})]),
    (
        SETTLEMENT,
        settlement.encode_reprioritise(ID, 1),
        [Movement(Kind.QUEUE_REPRIORITISED, detail={"payment": ID, "priority": "urgent"})],
    ),
    (
        SETTLEMENT,
        settlement.encode_expire([ID, WORD]),
        [Movement(Kind.QUEUE_EXPIRED, detail={"payments": (ID, WORD)})],
    ),
    (
        SETTLEMENT,
        settlement.encode_resolve([ID, WORD]),
        [Movement(Kind.QUEUE_RESOLVED, detail={"payments": (ID, WORD)})],
    ),
    (
        SETTLEMENT,
        settlement.encode_settle_net(4, WORD, settlement.pack_positions({1: -5, 2: 5})),
        [
            Movement(
                Kind.NET_POSITION,
                amount_minor=5,
                detail={"cycle": 4, "participant": who, "direction": way, "payments_root": WORD},
            )
            for who, way in ((1, "gives"), (2, "receives"))
        ],
    ),
    (
        SETTLEMENT,
        settlement.encode_settle_gross(4, *settlement.pack_payments([settlement.CyclePayment(9, 3, 5)])),
        [
            Movement(
                Kind.CYCLE_PAYMENT,
                amount_minor=5,
                detail={"cycle": 4, "payer_participant": 9, "payee_participant": 3},
            )
        ],
    ),
    (
        TRADES,
        trades.encode_propose_trade([Leg(CONTRACT, ALICE, BOB, 5), Leg(CAROL, BOB, ALICE, 6)], UNTIL_S, WORD),
        [
            Movement(
                Kind.TRADE_LEG,
                payer,
                payee,
                until_s=UNTIL_S,
                detail={"token": token, "units": units, "salt": WORD},
            )
            for token, payer, payee, units in ((CONTRACT, ALICE, BOB, 5), (CAROL, BOB, ALICE, 6))
        ],
    ),
    (TRADES, trades.encode_affirm(WORD), [Movement(Kind.TRADE_AFFIRMED, BANK, detail={"trade": WORD})]),
    (
        TRADES,
        trades.encode_execute_trade(WORD),
        [Movement(Kind.TRADE_EXECUTED, BANK, detail={"trade": WORD})],
    ),
    (
        TRADES,
        trades.encode_cancel_trade(WORD),
        [Movement(Kind.TRADE_CANCELLED, BANK, detail={"trade": WORD})],
    ),
    (
        NOTARY,
        notary.encode_anchor(notary.LEDGER_LOG, 3, WORD),
        [Movement(Kind.ANCHOR, detail={"log": "ledger", "size": 3, "root": WORD})],
    ),
    (
        NOTARY,
        notary.encode_anchor(b"\x99" * 32, 3, WORD),
        [Movement(Kind.ANCHOR, detail={"log": "0x" + "99" * 32, "size": 3, "root": WORD})],
    ),
]


@pytest.mark.parametrize(("data", "expected"), CURRENCY_CALLS)
def test_a_call_to_the_currency_moves_what_its_encoder_was_told(
    data: bytes, expected: list[Movement]
) -> None:
    assert list(moved(CURRENCY, data)) == expected


@pytest.mark.parametrize(("target", "data", "expected"), OTHER_CALLS)
def test_a_call_to_another_contract_moves_what_its_encoder_was_told(
    target: str, data: bytes, expected: list[Movement]
) -> None:
    assert list(moved(target, data)) == expected


def test_all_functions_but_the_packed_ones_are_among_the_examples() -> None:
    seen = {(CURRENCY, data[:4]) for data, _ in CURRENCY_CALLS}
    seen |= {(target, data[:4]) for target, data, _ in OTHER_CALLS}
    for target, artifacts in ARTIFACTS.items():
        for selector, function in functions_of(*artifacts).items():
            is_packed = function.signature.startswith("settle") and target == CURRENCY
            is_role = target == SETTLEMENT and "Role" in function.signature
            if function.signature in readable_signatures(target) and not is_packed and not is_role:
                assert (target, selector) in seen, function.signature


# --- packed payments ----------------------------------------------------------------------------------------

DOMAIN = PaymentDomain("Czech koruna", 7, CONTRACT)
KEYS = [SoftwareKey(bytes([number]) * 32) for number in (1, 2, 3)]


def signed_record(key: SoftwareKey, payee: bytes, amount_minor: int, nonce: int) -> Record:
    digest = payment_digest(DOMAIN.separator, payee, amount_minor, nonce, UNTIL_S)
    signature = compact(key.sign_digest(digest))
    return Record(payee, amount_minor, nonce, signature[:32], signature[32:])


@settings(max_examples=30, deadline=None)
@given(
    payments=st.lists(
        st.tuples(
            st.sampled_from(KEYS), st.sampled_from((ALICE, BOB)), st.integers(0, 2**40 - 1), st.integers(0, 9)
        ),
        min_size=1,
        max_size=6,
    ),
    grouped=st.integers(0, 6),
)
def test_every_form_of_a_batch_moves_the_same_payments(
    payments: list[tuple[SoftwareKey, bytes, int, int]], grouped: int
) -> None:
    records = [signed_record(*each) for each in payments]
    expected = tuple(
        Movement(Kind.PAYMENT, key.address, payee, amount, UNTIL_S, {"nonce": nonce})
        for key, payee, amount, nonce in payments
    )
    setting = Setting(BANK, CONTRACT, DOMAIN.separator)
    assert moved(CURRENCY, abi.encode_settle(pack(records), UNTIL_S), setting) == expected
    groups = pack_grouped([[each] for each in records[:grouped]], records[grouped:])
    assert moved(CURRENCY, abi.encode_settle_grouped(groups, UNTIL_S), setting) == expected
    unknown = moved(CURRENCY, abi.encode_settle(pack(records), UNTIL_S))
    assert [each.payer for each in unknown] == [None] * len(records), "nobody was asked who signed"
    assert [each.amount_minor for each in unknown] == [each.amount_minor for each in expected]


def test_a_fan_out_moves_each_entry_from_the_one_who_signed() -> None:
    packed = pack_fan_out([Entry(ALICE, 5), Entry(BOB, 6)])
    signature = compact(KEYS[0].sign_digest(fan_out_digest(DOMAIN.separator, packed, 4, UNTIL_S)))
    data = abi.encode_settle_fan_out(packed, 4, UNTIL_S, signature[:32], signature[32:])
    found = moved(CURRENCY, data, Setting(BANK, CONTRACT, DOMAIN.separator))
    assert [(each.payer, each.payee, each.amount_minor, each.until_s) for each in found] == [
        (KEYS[0].address, ALICE, 5, UNTIL_S),
        (KEYS[0].address, BOB, 6, UNTIL_S),
    ]
    assert [each.payer for each in moved(CURRENCY, data)] == [None, None]


def test_a_record_that_nobody_signed_is_refused_where_payers_are_asked_for() -> None:
    data = abi.encode_settle(pack([Record(BOB, 5, 0, bytes(32), bytes(32))]), UNTIL_S)
    refused = call_movements(CURRENCY, Setting(BANK, CONTRACT, DOMAIN.separator), data)
    assert isinstance(refused, Refusal)
    assert refused.code == "MalformedCall"


# --- whole transactions -------------------------------------------------------------------------------------


def test_a_transactions_own_value_is_a_movement_as_well() -> None:
    sent = Movement(Kind.ETHER, BANK, CONTRACT, detail={"wei": 9})
    assert transaction_movements("other", SETTING, b"", 9) == (sent,)
    paused = abi.encode_pause()
    assert transaction_movements(CURRENCY, SETTING, paused) == (Movement(Kind.PAUSED),)
    assert transaction_movements(CURRENCY, SETTING, paused, 9) == (sent, Movement(Kind.PAUSED))


def test_a_transaction_of_nothing_to_oneself_uses_up_a_nonce_and_any_other_is_refused() -> None:
    assert transaction_movements("other", Setting(BANK, BANK), b"") == (Movement(Kind.NONCE_USED, BANK),)
    for target in ("other", CURRENCY):
        refused = transaction_movements(target, SETTING, b"")
        assert isinstance(refused, Refusal)
        assert refused.code == "UnknownCall"
    refused = transaction_movements("other", SETTING, b"\x01\x02\x03\x04", 9)
    assert isinstance(refused, Refusal)


def test_amounts_add_up_and_a_net_cycle_counts_what_is_given() -> None:
    assert total_minor(moved(CURRENCY, abi.encode_mint(7))) == 7
    assert total_minor(moved(CURRENCY, abi.encode_pause())) == 0
    records = [Record(payee, amount, 0, WORD, WORD) for payee, amount in ((ALICE, 5), (BOB, 6))]
    assert total_minor(moved(CURRENCY, abi.encode_settle(pack(records), UNTIL_S))) == 11
    positions = settlement.pack_positions({1: -5, 2: 2, 3: 3})
    assert total_minor(moved(SETTLEMENT, settlement.encode_settle_net(1, WORD, positions))) == 5


# --- sentences ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("movement", "sentence"),
    [
        (
            Movement(Kind.PAYMENT, ALICE, BOB, 1_234_567, UNTIL_S),
            (
                f"{checksummed(ALICE)} pays 1,234,567 minor units to {checksummed(BOB)}, until"
                " 2027-01-15 08:10:00 UTC."
            ),
        ),
        (
            Movement(Kind.PAYMENT, None, BOB, 1),
            f"Whoever signed the record pays 1 minor unit to {checksummed(BOB)}.",
        ),
        (
            Movement(Kind.ALLOWANCE, ALICE, BOB, 2**256 - 1, 2**256 - 1),
            (
                f"{checksummed(ALICE)} allows {checksummed(BOB)} to take up to any amount from it (to be"
                f" submitted by second {2**256 - 1} since 1970)."
            ),
        ),
        (
            moved(CURRENCY, abi.encode_register([bytes([n]) * 20 for n in range(5)], 1, 0))[0],
            "Registered in tier 1, not linked: "
            + ", ".join(checksummed(bytes([n]) * 20) for n in range(3))
            + " and 2 more (5 in all).",
        ),
        (
            moved(CURRENCY, abi.encode_set_participant(2, BOB, 1, 0))[0],
            (
                f"{checksummed(BOB)} becomes the institution of participant 2, in tier 1, and may grant the"
                " tiers none."
            ),
        ),
        (
            moved(CURRENCY, abi.encode_set_tier(1, 2**96 - 1, 20, 2**64 - 1))[0],
            (
                "An account of tier 1 holds at most any amount, pays at most 20 minor units at once and any"
                " amount a day."
            ),
        ),
    ],
)
def test_a_movement_is_said_in_a_plain_sentence(movement: Movement, sentence: str) -> None:
    assert describe(movement) == sentence


def test_every_kind_has_its_sentence() -> None:
    example: dict[str, Any] = dict.fromkeys(
        (
            *("order", "payment", "payments", "priority", "payee_participant", "payer_participant", "cycle"),
            *(
                "participant",
                "direction",
                "units",
                "token",
                "wei",
                "nonce",
                "tier",
                "tiers",
                "linked",
                "data",
            ),
            *("holding_limit_minor", "per_payment_limit_minor", "daily_limit_minor", "accounts", "role"),
            *("destination", "trade", "log", "size", "root"),
        ),
        1,
    )
    for kind in Kind:
        assert describe(Movement(kind, detail=example)).endswith(".")
