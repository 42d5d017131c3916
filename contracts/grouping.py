"""A batch put into groups by payee, and whether that makes it cheaper. Pure."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from contracts.batch import MAX_GROUP_RECORDS, Record

# EIP-2028.
_ZERO_BYTE_GAS, _BYTE_GAS = 4, 16
# Measured through the proxy (500 payers to 1, 50, 250 and 500 payees; 1 and 2 payers to one), without call
# data: what a record saves whose payee's word is at hand (its slot's hash, a warm SLOAD, a dirty SSTORE);
# what a group costs for its head and for having that word at hand; what the form costs, with the first
# record, which is decided rule by rule and after which its group's word is taken up again. Last, with call
# data: the head of zeros before flat records.
_RECORD_SAVES_GAS, _GROUP_COSTS_GAS, _FORM_COSTS_GAS, _FLAT_COSTS_GAS = 291, 588, 1_285, 225


class Grouping(NamedTuple):
    """A batch in groups of one payee each, and the records that come flat behind them.

    ``sources[i]`` is where record i, counted over all groups and on as ``Skipped`` counts, was in the batch.
    """

    groups: list[list[Record]]
    flat: list[Record]
    sources: list[int]


Payments = Sequence[tuple[bytes, Record]]


def group(payments: Payments) -> Grouping:
    """Put (payer, record) pairs into few groups in which every payment finds what it found before.

    Records that share an account, as payer or payee, keep their order: its nonces, its balance and limits,
    its room. What shares none commutes.

    One account is not looked at: the bank that a waterfall reaches. Its fundings may come before an excess
    that they came after; a bank funds from what its books know that it has, which no excess of the same batch
    is.
    """
    queues = _Queues(payments)
    runs: list[list[int]] = []
    while queues.to_receive:
        split: tuple[tuple[int, int], list[int]] = (-1, 0), []
        is_stuck = True
        for payee in list(queues.to_receive):
            run = queues.run(payee)
            if len(run) in {queues.to_receive[payee], MAX_GROUP_RECORDS}:
                queues.take(payee, run)
                runs.append(run)
                is_stuck = False
            elif run and (urgency := (queues.waiting_behind(run), len(run))) > split[0]:
                split = urgency, run
        if is_stuck:
            queues.take(payments[split[1][0]][1].payee, split[1])
            runs.append(split[1])
    grouped, alone = _with_the_lonely_last(payments, runs)
    return Grouping(
        [[payments[index][1] for index in run] for run in grouped],
        [payments[index][1] for index in alone],
        [index for run in grouped for index in run] + alone,
    )


def _with_the_lonely_last(
    payments: Payments, runs: Sequence[Sequence[int]]
) -> tuple[list[Sequence[int]], list[int]]:
    """A record alone costs less flat: it goes behind the groups, unless one of them waits for it."""
    grouped: list[Sequence[int]] = []
    alone: list[int] = []
    later: set[bytes] = set()
    for run in reversed(runs):
        accounts = {account for index in run for account in (payments[index][0], payments[index][1].payee)}
        if len(run) == 1 and accounts.isdisjoint(later):
            alone.append(run[0])
        else:
            grouped.append(run)
            later |= accounts
    return grouped[::-1], alone[::-1]


def is_grouped_cheaper(grouping: Grouping) -> bool:
    """Whether it costs less gas than the same records all flat, by call data and by storage."""
    saved = -_FORM_COSTS_GAS - (_FLAT_COSTS_GAS if grouping.flat else 0)
    for records in grouping.groups:
        repeated = (len(records) - 1) * _calldata_gas(records[0].payee)
        saved += repeated - _calldata_gas(len(records).to_bytes(2, "big"))
        saved += len(records) * _RECORD_SAVES_GAS - _GROUP_COSTS_GAS
    return saved > 0


def _calldata_gas(data: bytes) -> int:
    zeros = data.count(0)
    return zeros * _ZERO_BYTE_GAS + (len(data) - zeros) * _BYTE_GAS


class _Queues:
    """Each account's records wait in its queue: one can go next when it leads its payer's and its payee's.

    A payee goes next that takes all that is still to come for it. So what a bank funds goes ahead of the
    payments that wait for it, and they meet at their payees. Where there is none, a payee is split: one for
    whose accounts most payments wait.
    """

    def __init__(self, payments: Payments) -> None:
        self._payments = payments
        self._queues: dict[bytes, deque[int]] = defaultdict(deque)
        self._to_pay: dict[bytes, int] = defaultdict(int)
        self.to_receive: dict[bytes, int] = defaultdict(
            int
        )  # by payee, in the order in which they first occur
        for index, (payer, record) in enumerate(payments):
            for account in {payer, record.payee}:
                self._queues[account].append(index)
            self._to_pay[payer] += 1
            self.to_receive[record.payee] += 1

    def run(self, payee: bytes) -> list[int]:
        """The records that could go next to one payee, one after the other."""
        run: list[int] = []
        passed: dict[bytes, int] = defaultdict(int)
        for index in self._queues[payee]:
            payer, record = self._payments[index]
            if record.payee != payee or len(run) == MAX_GROUP_RECORDS:
                break
            if payer != payee and self._queues[payer][passed[payer]] != index:
                break
            passed[payer] += 1
            run.append(index)
        return run

    def waiting_behind(self, run: Sequence[int]) -> int:
        """How many payments of one account of the run, at most, are still to come after it."""
        paying = Counter(self._payments[index][0] for index in run)
        paying[self._payments[run[0]][1].payee] += 0
        return max(self._to_pay[account] - count for account, count in paying.items())

    def take(self, payee: bytes, run: Sequence[int]) -> None:
        """Let a run go."""
        for index in run:
            payer = self._payments[index][0]
            for account in {payer, payee}:
                self._queues[account].popleft()
            self._to_pay[payer] -= 1
        self.to_receive[payee] -= len(run)
        if not self.to_receive[payee]:
            del self.to_receive[payee]
