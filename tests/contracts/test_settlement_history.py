"""Random histories of everything that anybody can do with a settlement, beside a naive model of it."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts import abi, settlement
from contracts.events import Event
from contracts.gridlock import QueuedPayment, find_subset
from contracts.settlement import CyclePayment, PaymentState, Priority
from contracts.settlement_events import (
    CycleSettled,
    Deposited,
    PaymentQueued,
    PaymentSettled,
    Withdrawn,
)
from tests.contracts.settlement_world import IDS, OPERATOR, SettlementWorld, bank_of
from tests.contracts.world import NOBODY, PAUSER, Refused

PARTICIPANTS = st.sampled_from(IDS)
AMOUNTS = st.integers(1, 60)
PLACES = st.integers(0, 99)

# Built once: a history starts from its snapshot.
BANKS = SettlementWorld()
for each in IDS:
    BANKS.deposit(each, 30)
    BANKS.set_cap(each, 40)
START = BANKS.evm.snapshot()


class History(RuleBasedStateMachine):
    """What an observer learns from events alone, beside what the contract says."""

    @initialize()
    def begin(self) -> None:
        self.banks = BANKS
        self.banks.evm.revert(START)
        self.observed = dict.fromkeys(IDS, 30)
        self.payments: list[QueuedPayment] = []
        self.settled: list[bytes] = []
        self.suspended: dict[int, int] = {}
        self.cycle = 0

    def send(self, sender: bytes, data: bytes) -> list[Event]:
        """Send; follow the events; a refusal changes nothing."""
        before = self.banks.settlement_root()
        try:
            events = self.banks.settle_do(sender, data)
        except Refused:
            assert self.banks.settlement_root() == before
            return []
        for event in events:
            if isinstance(event, Deposited):
                self.observed[event.participant] += event.amount_minor
            elif isinstance(event, Withdrawn):
                self.observed[event.participant] -= event.amount_minor
            elif isinstance(event, PaymentSettled):
                self.observed[event.payer] -= event.amount_minor
                self.observed[event.payee] += event.amount_minor
                self.settled.append(event.payment_id)
            elif isinstance(event, CycleSettled):
                self.cycle = event.cycle
                for participant, position in event.positions.items():
                    self.observed[participant] += position
        return events

    def waiting(self) -> list[QueuedPayment]:
        """In the order of submission, with the priorities of now."""
        states = [(payment, self.banks.payment(payment.payment_id)) for payment in self.payments]
        return [
            payment._replace(priority=now.priority)
            for payment, now in states
            if now.state == PaymentState.QUEUED and now.expiry_s > self.banks.evm.time_s
        ]

    @rule(number=PARTICIPANTS, amount=AMOUNTS)
    def deposit(self, number: int, amount: int) -> None:
        self.send(bank_of(number), settlement.encode_deposit(amount))

    @rule(number=PARTICIPANTS, amount=AMOUNTS)
    def withdraw(self, number: int, amount: int) -> None:
        self.send(bank_of(number), settlement.encode_withdraw(amount))

    @rule(
        payments=st.lists(
            st.tuples(PARTICIPANTS, PARTICIPANTS, AMOUNTS, st.sampled_from(list(Priority))),
            min_size=1,
            max_size=5,
        ),
        validity_s=st.sampled_from([50, 1_000]),
    )
    def submit(self, payments: list[tuple[int, int, int, Priority]], validity_s: int) -> None:
        expiry_s = self.banks.evm.time_s + validity_s
        for payer, payee, amount, priority in payments:
            identifier = self.banks.new_id(payer)
            data = settlement.encode_submit(identifier, payee, amount, priority, expiry_s)
            for event in self.send(bank_of(payer), data):
                if isinstance(event, PaymentQueued):
                    self.payments.append(QueuedPayment(identifier, payer, payee, amount, priority))

    @rule(number=PARTICIPANTS, place=PLACES, verb=st.sampled_from(["hold", "resume", "cancel", "expire"]))
    def treat(self, number: int, place: int, verb: str) -> None:
        if not self.payments:
            return
        payment = self.payments[place % len(self.payments)]
        data = {
            "hold": settlement.encode_hold(payment.payment_id),
            "resume": settlement.encode_resume(payment.payment_id),
            "cancel": settlement.encode_cancel(payment.payment_id),
            "expire": settlement.encode_expire([payment.payment_id]),
        }[verb]
        self.send(bank_of(payment.payer), data)
        if number != payment.payer and verb != "expire":
            assert self.send(bank_of(number), data) == []

    @rule(place=PLACES, priority=st.sampled_from(list(Priority)))
    def reprioritise(self, place: int, priority: Priority) -> None:
        if self.payments:
            payment = self.payments[place % len(self.payments)]
            data = settlement.encode_reprioritise(payment.payment_id, priority)
            self.send(bank_of(payment.payer), data)

    @rule(places=st.lists(PLACES, min_size=1, max_size=5))
    def propose_anything(self, places: list[int]) -> None:
        if self.payments:
            chosen = [self.payments[place % len(self.payments)].payment_id for place in places]
            self.send(NOBODY, settlement.encode_resolve(chosen))

    @rule()
    def propose_what_the_solver_finds(self) -> None:
        expired = [
            payment.payment_id
            for payment in self.payments
            if (now := self.banks.payment(payment.payment_id)).state == PaymentState.QUEUED
            and now.expiry_s <= self.banks.evm.time_s
        ]
        self.send(NOBODY, settlement.encode_expire(expired))
        found = find_subset(self.waiting(), self.observed, self.suspended)
        if found:
            assert self.send(NOBODY, settlement.encode_resolve([each.payment_id for each in found]))

    @rule(
        payments=st.lists(
            st.builds(CyclePayment, PARTICIPANTS, PARTICIPANTS, AMOUNTS), min_size=1, max_size=6
        ),
        is_gross=st.booleans(),
        early=st.sampled_from([0, 0, 0, 1]),
    )
    def settle_cycle(self, payments: list[CyclePayment], is_gross: bool, early: int) -> None:
        cycle = self.cycle + 1 + early
        positions = settlement.net_positions(payments)
        packed = settlement.pack_positions(positions)
        data = (
            settlement.encode_settle_gross(cycle, *settlement.pack_payments(payments))
            if is_gross
            else settlement.encode_settle_net(cycle, bytes(32), packed)
        )
        is_possible = (
            early == 0
            and not self.suspended.keys() & positions.keys()
            and all(-position <= min(self.observed[each], 40) for each, position in positions.items())
        )
        assert bool(self.send(OPERATOR, data)) is is_possible

    @rule(number=PARTICIPANTS)
    def suspend(self, number: int) -> None:
        self.banks.suspend(number)
        self.send(NOBODY, settlement.encode_refresh_standing(number))
        self.suspended.setdefault(number, self.observed[number])

    @rule(number=PARTICIPANTS)
    def reinstate(self, number: int) -> None:
        self.banks.reinstate(number)
        self.send(NOBODY, settlement.encode_refresh_standing(number))
        self.suspended.pop(number, None)

    @rule(seconds=st.sampled_from([1, 40, 400]))
    def wait(self, seconds: int) -> None:
        self.banks.evm.set_time(self.banks.evm.time_s + seconds)

    @rule(number=PARTICIPANTS)
    def pause_for_a_moment(self, number: int) -> None:
        self.banks.do(PAUSER, abi.encode_pause())
        before = self.banks.funds()
        self.deposit(number, 1)
        self.withdraw(number, 1)
        self.submit([(number, number % 5 + 1, 1, Priority.HIGHLY_URGENT)], 50)
        self.send(NOBODY, settlement.encode_resolve([each.payment_id for each in self.payments[:3]]))
        assert self.banks.funds() == before
        self.banks.do(PAUSER, abi.encode_unpause())

    @invariant()
    def the_events_tell_every_balance_and_nobody_is_below_zero(self) -> None:
        assert dict(zip(IDS, self.banks.funds(), strict=True)) == self.observed
        assert min(self.observed.values()) >= 0

    @invariant()
    def the_sum_of_balances_is_what_the_contract_holds(self) -> None:
        assert sum(self.banks.funds()) == self.banks.held_by_settlement()

    @invariant()
    def a_suspended_participants_balance_does_not_change(self) -> None:
        for number, balance in self.suspended.items():
            assert self.observed[number] == balance

    @invariant()
    def each_payment_settles_at_most_once(self) -> None:
        assert len(set(self.settled)) == len(self.settled)
        states = (self.banks.payment(identifier).state for identifier in self.settled)
        assert all(state == PaymentState.SETTLED for state in states)

    @invariant()
    def the_counts_are_the_payments_that_wait(self) -> None:
        counts = {number: [0, 0, 0] for number in IDS}
        for payment in self.payments:
            now = self.banks.payment(payment.payment_id)
            counts[payment.payer][now.priority] += now.state == PaymentState.QUEUED
        assert {number: list(self.banks.participant(number).queued) for number in IDS} == counts


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
