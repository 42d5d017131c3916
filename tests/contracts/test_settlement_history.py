"""Random histories of everything that anybody can do with a settlement, beside a naive model of it."""

from eth_hash.auto import keccak
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts import abi, settlement
from contracts.events import Event
from contracts.gridlock import QueuedPayment, find_subset
from contracts.settlement import CyclePayment, Payment, PaymentState, Priority
from contracts.settlement_events import (
    CycleSettled,
    Deposited,
    PaymentQueued,
    PaymentSettled,
    Withdrawn,
)
from tests.contracts.depth import bounds
from tests.contracts.settlement_world import IDS, OPERATOR, SettlementWorld, bank_of
from tests.contracts.world import NOBODY, PAUSER, Person, Refused

PARTICIPANTS = st.sampled_from(IDS)
AMOUNTS = st.integers(1, 60)
PLACES = st.integers(0, 99)
SUBMISSIONS = st.lists(
    st.tuples(PARTICIPANTS, PARTICIPANTS, AMOUNTS, st.sampled_from(list(Priority))), min_size=4, max_size=8
)

WORDS_SLOT, QUEUED_SLOT, PAYMENTS_SLOT, CYCLE_SLOT = range(4)
PAYMENT_FIELDS = ((0, 64), (64, 64), (128, 16), (144, 16), (160, 8), (168, 8))

# Built once: a history starts from its snapshot.
BANKS = SettlementWorld()
for each in IDS:
    BANKS.deposit(each, 30)
    BANKS.set_cap(each, 40)
START = BANKS.evm.snapshot()


class History(RuleBasedStateMachine):
    """What an observer learns from events alone, beside what the contract says."""

    @initialize(payments=SUBMISSIONS)
    def begin(self, payments: list[tuple[int, int, int, Priority]]) -> None:
        self.banks = BANKS
        self.banks.evm.revert(START)
        self.observed = dict.fromkeys(IDS, 30)
        self.payments: list[QueuedPayment] = []
        self.settled: list[bytes] = []
        self.suspended: dict[int, int] = {}
        self.cycle = 0
        self.submit(payments, 1_000)

    def read(self, key: bytes, slot: int) -> int:
        """A mapping's word, straight from where the layout says that it is."""
        place = int.from_bytes(keccak(key + slot.to_bytes(32, "big")), "big")
        return self.banks.evm.read_storage(self.banks.settlement, place)

    def funds(self) -> dict[int, int]:
        words = [self.read(index.to_bytes(32, "big"), WORDS_SLOT) for index in range(3)]
        return {number: words[number // 2] >> (number % 2 * 128) & (2**64 - 1) for number in IDS}

    def counts(self) -> dict[int, list[int]]:
        words = {number: self.read(number.to_bytes(32, "big"), QUEUED_SLOT) for number in IDS}
        return {
            number: [word >> 32 * place & (2**32 - 1) for place in range(3)] for number, word in words.items()
        }

    def payment(self, identifier: bytes) -> Payment:
        word = self.read(identifier, PAYMENTS_SLOT)
        fields = [word >> shift & (2**bits - 1) for shift, bits in PAYMENT_FIELDS]
        return Payment(*fields[:5], PaymentState(fields[5]))

    def stored(self) -> tuple[object, ...]:
        """Everything that the settlement stores but for consent and epochs."""
        cycle = self.banks.evm.read_storage(self.banks.settlement, CYCLE_SLOT)
        payments = [self.payment(payment.payment_id) for payment in self.payments]
        return self.funds(), self.counts(), payments, cycle

    def send(self, sender: bytes, data: bytes) -> list[Event]:
        """Send; follow the events; a refusal changes nothing."""
        before = self.stored()
        try:
            events = self.banks.settle_do(sender, data)
        except Refused:
            assert self.stored() == before
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
        states = [(payment, self.payment(payment.payment_id)) for payment in self.payments]
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
        payments=SUBMISSIONS,
        validity_s=st.sampled_from([1_000, 50]),
    )
    def submit_and_resolve(self, payments: list[tuple[int, int, int, Priority]], validity_s: int) -> None:
        self.submit(payments, validity_s)
        self.propose_what_the_solver_finds()

    def submit(self, payments: list[tuple[int, int, int, Priority]], validity_s: int) -> None:
        expiry_s = self.banks.evm.time_s + validity_s
        for payer, payee, amount, priority in payments:
            identifier = self.banks.new_id(payer)
            data = settlement.encode_submit(identifier, payee, amount, priority, expiry_s)
            for event in self.send(bank_of(payer), data):
                if isinstance(event, PaymentQueued):
                    self.payments.append(QueuedPayment(identifier, payer, payee, amount, priority))

    @rule(place=PLACES, verb=st.sampled_from(["hold", "resume", "cancel", "expire"]))
    def treat(self, place: int, verb: str) -> None:
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

    @rule(place=PLACES, priority=st.sampled_from(list(Priority)))
    def reprioritise(self, place: int, priority: Priority) -> None:
        if self.payments:
            payment = self.payments[place % len(self.payments)]
            data = settlement.encode_reprioritise(payment.payment_id, priority)
            self.send(bank_of(payment.payer), data)

    @rule(places=st.lists(PLACES, min_size=1, max_size=4, unique=True))
    def propose_anything(self, places: list[int]) -> None:
        if self.payments:
            chosen = [self.payments[place % len(self.payments)].payment_id for place in places]
            self.send(NOBODY, settlement.encode_resolve(chosen))

    def propose_what_the_solver_finds(self) -> None:
        """First what expired leaves the queue, else it would keep others waiting."""
        expired = [
            payment.payment_id
            for payment in self.payments
            if (now := self.payment(payment.payment_id)).state == PaymentState.QUEUED
            and now.expiry_s <= self.banks.evm.time_s
        ]
        if expired:
            assert self.send(NOBODY, settlement.encode_expire(expired))
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
        if number not in self.suspended:
            self.banks.suspend(number)
            self.suspended[number] = self.observed[number]

    @rule(number=PARTICIPANTS)
    def reinstate(self, number: int) -> None:
        if number in self.suspended:
            self.banks.reinstate(number)
            del self.suspended[number]

    @rule(seconds=st.sampled_from([1, 40, 400]))
    def wait(self, seconds: int) -> None:
        self.banks.evm.set_time(self.banks.evm.time_s + seconds)

    @rule(number=PARTICIPANTS)
    def pause_for_a_moment(self, number: int) -> None:
        self.banks.do(PAUSER, abi.encode_pause())
        before = self.funds()
        self.deposit(number, 1)
        self.withdraw(number, 1)
        self.submit([(number, number % 5 + 1, 1, Priority.HIGHLY_URGENT)], 50)
        self.send(NOBODY, settlement.encode_resolve([each.payment_id for each in self.payments[:3]]))
        assert self.funds() == before
        self.banks.do(PAUSER, abi.encode_unpause())

    @invariant()
    def the_events_tell_every_balance_and_nobody_is_below_zero(self) -> None:
        assert self.funds() == self.observed
        assert min(self.observed.values()) >= 0

    @invariant()
    def the_sum_of_balances_is_what_the_contract_holds(self) -> None:
        assert sum(self.funds().values()) == self.banks.balance(Person(b"", self.banks.settlement))

    @invariant()
    def a_suspended_participants_balance_does_not_change(self) -> None:
        for number, balance in self.suspended.items():
            assert self.observed[number] == balance

    @invariant()
    def each_payment_settles_at_most_once(self) -> None:
        assert len(set(self.settled)) == len(self.settled)
        states = (self.payment(identifier).state for identifier in self.settled)
        assert all(state == PaymentState.SETTLED for state in states)

    @invariant()
    def the_counts_are_the_payments_that_wait(self) -> None:
        counts = {number: [0, 0, 0] for number in IDS}
        for payment in self.payments:
            now = self.payment(payment.payment_id)
            counts[payment.payer][now.priority] += now.state == PaymentState.QUEUED
        assert self.counts() == counts


TestHistory = History.TestCase
TestHistory.settings = bounds(examples=16, steps=25)
