"""Trades: delivery versus payment and payment versus payment, all legs or none."""

from dataclasses import replace

import pytest

from contracts import abi, trades
from contracts.abi import AccountFlag
from contracts.local_evm import CHAIN_ID, Snapshot
from contracts.settlement_events import Leg, TradeAffirmed, TradeCancelled, TradeExecuted, TradeProposed
from contracts.trades import MAX_LEGS, TradesDomain, TradeState
from tests.contracts import hostile_tokens
from tests.contracts.settlement_world import OPERATOR, SettlementWorld
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    CAROL,
    DEPLOYER,
    GOVERNOR,
    INSTITUTIONS_TIER,
    ISSUER,
    MERCHANT,
    MERCHANT_HOLDING,
    NOBODY,
    PAUSER,
    STRANGER,
    UPGRADER,
    Refused,
)

PAYER, SELLER, THIRD = BANK_A.address, BANK_B.address, CAROL.address
PRICE, QUANTITY = 9_000, 10
ISSUED = 1_000_000
SALT = bytes(31) + b"\x01"


class Market:
    """A currency and two more tokens; everybody lets the trades spend theirs."""

    def __init__(self, banks: SettlementWorld) -> None:
        self.banks = banks
        self.cash = banks.currency
        self.euro, self.bond = self._issue("Euro"), self._issue("Bond 2031")
        for token in (self.cash, self.euro, self.bond):
            for owner in (PAYER, SELLER, THIRD):
                self.approve(owner, token)

    def _issue(self, name: str) -> bytes:
        banks = self.banks
        roles = (GOVERNOR, ISSUER, PAUSER, UPGRADER)
        initialisation = abi.encode_initialize(name, "TOK", 2, roles, 1)
        creation = banks.evm.send(
            DEPLOYER, b"", abi.proxy_creation_code(banks.implementation, initialisation)
        )
        token = creation.created
        self.send(GOVERNOR, token, abi.encode_set_tier(INSTITUTIONS_TIER, 2**96 - 1, 2**64 - 1, 2**64 - 1))
        for number, bank in ((1, PAYER), (2, SELLER), (3, THIRD)):
            self.send(GOVERNOR, token, abi.encode_set_participant(number, bank, INSTITUTIONS_TIER, 0))
            self.send(ISSUER, token, abi.encode_increase_mint_allowance(number, ISSUED))
            self.send(bank, token, abi.encode_mint(ISSUED))
        return token

    def send(self, sender: bytes, token: bytes, data: bytes) -> None:
        outcome = self.banks.evm.send(sender, token, data)
        assert outcome.is_success, abi.decode_revert(outcome.returned)

    def approve(self, owner: bytes, token: bytes, amount: int = 2**256 - 1) -> None:
        self.send(owner, token, abi.encode_approve(self.banks.trades, amount))

    def held(self, token: bytes, *owners: bytes) -> list[int]:
        calls = (self.banks.evm.call(token, abi.encode_balance_of(owner)) for owner in owners)
        return [abi.decode_uint(call.returned) for call in calls]

    def everything(self) -> tuple[list[int], ...]:
        """What the three parties hold of the three tokens."""
        return tuple(self.held(token, PAYER, SELLER, THIRD) for token in (self.cash, self.euro, self.bond))

    def legs(self) -> list[Leg]:
        """Bonds against cash."""
        return [Leg(self.bond, SELLER, PAYER, QUANTITY), Leg(self.cash, PAYER, SELLER, PRICE)]

    def agreed(self, legs: list[Leg], expiry_s: int | None = None) -> bytes:
        """Propose and have every payer affirm."""
        expiry_s = self.banks.evm.time_s + 100 if expiry_s is None else expiry_s
        identifier = self.banks.propose(legs[0].payer, legs, expiry_s, SALT)
        for payer in {leg.payer: None for leg in legs}:
            self.affirm(payer, identifier)
        return identifier

    def affirm(self, payer: bytes, identifier: bytes) -> None:
        self.banks.trade_do(payer, trades.encode_affirm(identifier))

    def execute(self, identifier: bytes, by: bytes = PAYER) -> None:
        (event,) = self.banks.trade_do(by, trades.encode_execute_trade(identifier))
        assert isinstance(event, TradeExecuted)
        assert (event.trade_id, event.by) == (identifier, by)

    def is_refused(self, sender: bytes, data: bytes, code: str, **arguments: object) -> None:
        """And changes nothing."""
        before = self.everything(), self.banks.evm.storage_root(self.banks.trades)
        with pytest.raises(Refused) as refusal:
            self.banks.trade_do(sender, data)
        assert refusal.value.code == code
        if arguments:
            assert refusal.value.arguments == arguments
        assert (self.everything(), self.banks.evm.storage_root(self.banks.trades)) == before


@pytest.fixture(scope="module")
def built_market(built_banks: tuple[SettlementWorld, Snapshot]) -> tuple[Market, Snapshot]:
    banks, start = built_banks
    banks.evm.revert(start)
    market = Market(banks)
    return market, banks.evm.snapshot()


@pytest.fixture
def market(built_market: tuple[Market, Snapshot]) -> Market:
    market, snapshot = built_market
    market.banks.evm.revert(snapshot)
    return market


def test_delivery_versus_payment(market: Market) -> None:
    before = market.everything()
    expiry_s = market.banks.evm.time_s + 100
    data = trades.encode_propose_trade(market.legs(), expiry_s, SALT)
    (proposed,) = market.banks.trade_do(PAYER, data)
    assert isinstance(proposed, TradeProposed)
    domain = TradesDomain(CHAIN_ID, market.banks.trades)
    assert proposed.trade_id == trades.trade_id(domain, PAYER, market.legs(), expiry_s, SALT)
    assert (proposed.proposer, proposed.expiry_s, proposed.salt) == (PAYER, expiry_s, SALT)
    assert list(proposed.legs) == market.legs()
    assert market.banks.trade(proposed.trade_id) == (expiry_s, 0b11, 0, TradeState.OPEN, proposed.legs)
    for payer in (PAYER, SELLER):
        (affirmed,) = market.banks.trade_do(payer, trades.encode_affirm(proposed.trade_id))
        assert isinstance(affirmed, TradeAffirmed)
        assert (affirmed.trade_id, affirmed.payer) == (proposed.trade_id, payer)
    assert market.everything() == before
    market.execute(proposed.trade_id, by=SELLER)
    cash, euro, bond = before
    assert market.everything() == (
        [cash[0] - PRICE, cash[1] + PRICE, cash[2]],
        euro,
        [bond[0] + QUANTITY, bond[1] - QUANTITY, bond[2]],
    )
    assert market.banks.trade(proposed.trade_id).state == TradeState.EXECUTED


def test_payment_versus_payment_in_two_currencies(market: Market) -> None:
    legs = [Leg(market.cash, PAYER, SELLER, 25_000), Leg(market.euro, SELLER, PAYER, 1_000)]
    identifier = market.agreed(legs)
    cash, euro, bond = market.everything()
    market.execute(identifier)
    assert market.everything() == (
        [cash[0] - 25_000, cash[1] + 25_000, cash[2]],
        [euro[0] + 1_000, euro[1] - 1_000, euro[2]],
        bond,
    )


def three_legs(market: Market) -> list[Leg]:
    return [
        Leg(market.bond, PAYER, SELLER, 5),
        Leg(market.cash, SELLER, THIRD, 6),
        Leg(market.euro, THIRD, PAYER, 7),
    ]


def test_the_same_payer_and_token_may_be_in_several_legs(market: Market) -> None:
    legs = [*three_legs(market), Leg(market.bond, PAYER, THIRD, 1), Leg(market.cash, THIRD, SELLER, 6)]
    identifier = market.agreed(legs)
    assert market.banks.trade(identifier).payers == 0b111
    cash, euro, bond = market.everything()
    market.execute(identifier, by=THIRD)
    assert market.everything() == (
        cash,
        [euro[0] + 7, euro[1], euro[2] - 7],
        [bond[0] - 6, bond[1] + 5, bond[2] + 1],
    )


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_all_legs_move_or_none(market: Market, failing: int) -> None:
    identifier = market.agreed(three_legs(market))
    leg = three_legs(market)[failing]
    market.approve(leg.payer, leg.token, leg.amount_minor - 1)
    market.is_refused(
        PAYER,
        trades.encode_execute_trade(identifier),
        "InsufficientAllowance",
        spender=market.banks.trades,
        allowance=leg.amount_minor - 1,
        amount=leg.amount_minor,
    )
    market.approve(leg.payer, leg.token, leg.amount_minor)
    market.execute(identifier)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_payer_without_the_money_fails_it_and_is_named(market: Market, failing: int) -> None:
    identifier = market.agreed(three_legs(market))
    leg = three_legs(market)[failing]
    (held,) = market.held(leg.token, leg.payer)
    kept = leg.amount_minor - 1
    other = SELLER if leg.payer != SELLER else PAYER
    market.send(leg.payer, leg.token, abi.encode_transfer(other, held - kept))
    market.is_refused(
        PAYER,
        trades.encode_execute_trade(identifier),
        "InsufficientBalance",
        payer=leg.payer,
        balance=kept,
        amount=leg.amount_minor,
    )


def test_a_paused_token_fails_it(market: Market) -> None:
    identifier = market.agreed(three_legs(market))
    market.send(PAUSER, market.euro, abi.encode_pause())
    market.is_refused(PAYER, trades.encode_execute_trade(identifier), "CurrencyPaused")


@pytest.mark.parametrize("missing", [PAYER, SELLER, THIRD], ids=["first", "second", "third"])
def test_every_payer_must_affirm(market: Market, missing: bytes) -> None:
    identifier = market.banks.propose(PAYER, three_legs(market), market.banks.evm.time_s + 100)
    for payer in {PAYER, SELLER, THIRD} - {missing}:
        market.affirm(payer, identifier)
        market.affirm(payer, identifier)
    execute = trades.encode_execute_trade(identifier)
    market.is_refused(PAYER, execute, "NotAffirmed", tradeId=identifier, payer=missing)
    market.affirm(missing, identifier)
    market.execute(identifier)


def test_an_affirmation_is_of_one_trade_only(market: Market) -> None:
    """An allowance alone moves nothing, nor does the agreement to other terms."""
    expiry_s = market.banks.evm.time_s + 100
    dearer = [market.legs()[0], replace(market.legs()[1], amount_minor=PRICE + 1)]
    market.agreed(market.legs())
    identifier = market.banks.propose(SELLER, dearer, expiry_s)
    market.affirm(SELLER, identifier)
    execute = trades.encode_execute_trade(identifier)
    market.is_refused(SELLER, execute, "NotAffirmed", tradeId=identifier, payer=PAYER)


def test_it_executes_strictly_before_its_expiry(market: Market) -> None:
    expiry_s = market.banks.evm.time_s + 100
    identifier = market.agreed(market.legs(), expiry_s)
    agreed = market.banks.evm.snapshot()
    market.banks.evm.set_time(expiry_s)
    times = {"tradeId": identifier, "expiry": expiry_s, "blockTime": expiry_s}
    for data in (trades.encode_execute_trade(identifier), trades.encode_affirm(identifier)):
        market.is_refused(PAYER, data, "TradeExpired", **times)
    again = trades.encode_propose_trade(market.legs(), expiry_s, bytes(32))
    market.is_refused(PAYER, again, "TradeExpired")
    market.banks.trade_do(PAYER, trades.encode_cancel_trade(identifier))
    market.banks.evm.revert(agreed)
    market.banks.evm.set_time(expiry_s - 1)
    market.execute(identifier)


def never_again(market: Market, identifier: bytes, state: TradeState, expiry_s: int) -> None:
    for data in (
        trades.encode_execute_trade(identifier),
        trades.encode_affirm(identifier),
        trades.encode_cancel_trade(identifier),
    ):
        market.is_refused(PAYER, data, "TradeNotOpen", tradeId=identifier, state=state)
    again = trades.encode_propose_trade(market.legs(), expiry_s, SALT)
    market.is_refused(SELLER, again, "TradeExists", tradeId=identifier)


def test_it_executes_once(market: Market) -> None:
    expiry_s = market.banks.evm.time_s + 100
    identifier = market.agreed(market.legs(), expiry_s)
    market.execute(identifier)
    never_again(market, identifier, TradeState.EXECUTED, expiry_s)
    other = market.banks.propose(SELLER, market.legs(), expiry_s, bytes(32))
    assert other != identifier


def test_a_cancelled_trade_never_executes(market: Market) -> None:
    expiry_s = market.banks.evm.time_s + 100
    identifier = market.agreed(market.legs(), expiry_s)
    (event,) = market.banks.trade_do(PAYER, trades.encode_cancel_trade(identifier))
    assert isinstance(event, TradeCancelled)
    assert (event.trade_id, event.by) == (identifier, PAYER)
    never_again(market, identifier, TradeState.CANCELLED, expiry_s)


def test_the_same_content_of_another_proposer_is_another_trade(market: Market) -> None:
    expiry_s = market.banks.evm.time_s + 100
    ids = {market.banks.propose(proposer, market.legs(), expiry_s) for proposer in (PAYER, SELLER)}
    assert len(ids) == 2


def test_an_unknown_trade_is_refused(market: Market) -> None:
    for encode in (trades.encode_execute_trade, trades.encode_affirm, trades.encode_cancel_trade):
        market.is_refused(PAYER, encode(SALT), "TradeNotOpen", tradeId=SALT, state=TradeState.NONE)


OUTSIDERS = {"nobody": NOBODY, "operator": OPERATOR, "governor": GOVERNOR, "another bank": THIRD}


@pytest.mark.parametrize("caller", OUTSIDERS)
def test_who_is_no_party_is_refused(market: Market, caller: str) -> None:
    identifier = market.agreed(market.legs())
    sender = OUTSIDERS[caller]
    expected = {"tradeId": identifier, "caller": sender}
    market.is_refused(sender, trades.encode_execute_trade(identifier), "NotAParty", **expected)
    market.is_refused(sender, trades.encode_cancel_trade(identifier), "NotAParty", **expected)
    market.is_refused(sender, trades.encode_affirm(identifier), "NotAPayer", **expected)
    data = trades.encode_propose_trade(market.legs(), market.banks.evm.time_s + 1, SALT)
    market.is_refused(sender, data, "NotAParty")


def test_a_payee_that_pays_nothing_is_a_party_but_no_payer(market: Market) -> None:
    legs = [Leg(market.cash, PAYER, SELLER, 5)]
    identifier = market.agreed(legs)
    affirm = trades.encode_affirm(identifier)
    market.is_refused(SELLER, affirm, "NotAPayer", tradeId=identifier, caller=SELLER)
    market.execute(identifier, by=SELLER)


def test_legs_are_bounded(market: Market) -> None:
    expiry_s = market.banks.evm.time_s + 100
    legs = [Leg(market.cash, PAYER, SELLER, amount) for amount in range(1, MAX_LEGS + 2)]
    for wrong in ([], legs):
        data = trades.encode_propose_trade(wrong, expiry_s, SALT)
        market.is_refused(PAYER, data, "LegCount", legs=len(wrong), limit=MAX_LEGS)
    before = market.everything()[0]
    market.execute(market.agreed(legs[:MAX_LEGS]))
    assert market.everything()[0][1] - before[1] == sum(range(1, MAX_LEGS + 1))


def test_as_many_payers_as_legs_must_each_affirm(market: Market) -> None:
    """The last bit of the last leg counts."""
    legs = [Leg(market.cash, bytes([0x70 + at] * 20), SELLER, 1) for at in range(MAX_LEGS)]
    identifier = market.banks.propose(SELLER, legs, market.banks.evm.time_s + 100)
    for leg in legs[:-1]:
        market.affirm(leg.payer, identifier)
    execute = trades.encode_execute_trade(identifier)
    market.is_refused(SELLER, execute, "NotAffirmed", tradeId=identifier, payer=legs[-1].payer)


def test_malformed_legs_are_refused_and_named(market: Market) -> None:
    good = market.legs()[0]
    for change in (
        {"amount_minor": 0},
        {"token": bytes(20)},
        {"token": STRANGER.address},
        {"payer": bytes(20)},
        {"payee": bytes(20)},
        {"payee": good.payer},
        {"payee": good.token},
        {"payee": market.banks.trades},
    ):
        bad = replace(good, **change)
        data = trades.encode_propose_trade([good, bad], market.banks.evm.time_s + 100, SALT)
        market.is_refused(
            PAYER,
            data,
            "MalformedLeg",
            leg=1,
            token=bad.token,
            payer=bad.payer,
            payee=bad.payee,
            amount=bad.amount_minor,
        )


def test_a_payee_that_may_not_hold_it_all_fails_the_trade(market: Market) -> None:
    """The currency would pass the excess on to the payee's bank; but it was affirmed for the payee."""
    legs = [Leg(market.bond, SELLER, PAYER, 1), Leg(market.cash, ALICE.address, MERCHANT.address, 30_001)]
    market.approve(ALICE.address, market.cash)
    identifier = market.agreed(legs)
    market.is_refused(
        ALICE.address,
        trades.encode_execute_trade(identifier),
        "LegShort",
        tradeId=identifier,
        leg=1,
        payee=MERCHANT.address,
        received=MERCHANT_HOLDING,
        amount=30_001,
    )


def test_a_token_that_moves_nothing_fails_the_trade(market: Market) -> None:
    hollow = hostile_tokens.deploy(market.banks.evm, hostile_tokens.HOLLOW)
    identifier = market.agreed([Leg(market.cash, PAYER, SELLER, PRICE), Leg(hollow, SELLER, PAYER, QUANTITY)])
    market.is_refused(
        PAYER,
        trades.encode_execute_trade(identifier),
        "LegShort",
        tradeId=identifier,
        leg=1,
        payee=PAYER,
        received=0,
        amount=QUANTITY,
    )


VERBS = {
    "execute": trades.encode_execute_trade,
    "cancel": trades.encode_cancel_trade,
    "affirm": trades.encode_affirm,
}


def hostile_trade(market: Market, verb: str, swallows: bool) -> tuple[bytes, bytes]:
    """A trade whose first leg calls back; the token is a party, so that only the guard is in its way."""
    evm = market.banks.evm
    token = hostile_tokens.deploy(evm, hostile_tokens.reentrant(market.banks.trades, swallows))
    market.send(BANK_A.address, market.cash, abi.encode_register([token], 1, AccountFlag.LINKED))
    market.send(PAYER, market.cash, abi.encode_transfer(token, 100))
    market.send(token, market.cash, abi.encode_approve(market.banks.trades, 2**256 - 1))
    legs = [
        Leg(token, PAYER, SELLER, 5),
        Leg(market.cash, SELLER, PAYER, PRICE),
        Leg(market.cash, token, SELLER, 1),
    ]
    identifier = market.agreed(legs)
    hostile_tokens.aim(evm, token, VERBS[verb](identifier))
    return identifier, token


@pytest.mark.parametrize("verb", VERBS)
def test_a_token_that_calls_back_fails_the_trade(market: Market, verb: str) -> None:
    identifier, _ = hostile_trade(market, verb, swallows=False)
    market.is_refused(PAYER, trades.encode_execute_trade(identifier), "ReentrancyGuardReentrantCall")


@pytest.mark.parametrize("verb", VERBS)
def test_a_token_that_hides_its_calling_back_moves_nothing_twice(market: Market, verb: str) -> None:
    identifier, token = hostile_trade(market, verb, swallows=True)
    before = market.everything()
    market.execute(identifier)
    cash, *others = market.everything()
    assert cash == [before[0][0] + PRICE, before[0][1] - PRICE + 1, before[0][2]]
    assert others == list(before[1:])
    assert market.held(token, SELLER) == [5]
    assert market.banks.trade(identifier).state == TradeState.EXECUTED


def test_the_reentrant_token_does_call(market: Market) -> None:
    """Else the two tests above would prove nothing: called by somebody else, its own call goes through."""
    identifier, token = hostile_trade(market, "cancel", swallows=False)
    market.send(PAYER, token, abi.encode_transfer_from(PAYER, SELLER, 1))
    assert market.banks.trade(identifier).state == TradeState.CANCELLED


def test_no_function_was_forgotten(market: Market) -> None:
    changing = {
        entry["name"]
        for entry in abi.load_artifact("Trades")["abi"]
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert changing == {"proposeTrade", "affirm", "executeTrade", "cancelTrade"}
