"""The currency as its events tell it, replayed from the deployment block and from nothing stored."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from api.chain.rpc import RpcClient
from contracts.abi import (
    AccountRegistered,
    AccountWord,
    Event,
    FundsHeldUnderOrder,
    FundsReleased,
    ParticipantSet,
    Transfer,
    TransferForced,
    decode_account_word,
    decode_logs,
    decode_uint,
    decode_words,
    encode_account_words,
    encode_restriction,
    encode_total_supply,
)

NOBODY = bytes(20)
BLOCKS_IN_ONE_CALL = 500
ACCOUNTS_IN_ONE_CALL = 1_000


@dataclass(frozen=True, slots=True)
class ChainDifference:
    """Where the contract's own state is not what its events say; amounts in minor units."""

    subject: str
    by_events_minor: int
    by_state_minor: int


@dataclass(slots=True)
class ReplayedChain:
    """Balances, registrations, institutions and orders' holds after `block_number`, from events alone."""

    block_number: int
    balances: defaultdict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    participants: dict[bytes, int] = field(default_factory=dict)
    institutions: dict[int, bytes] = field(default_factory=dict)
    supply_minor: int = 0
    order_holds: defaultdict[tuple[bytes, bytes], int] = field(default_factory=lambda: defaultdict(int))
    """(account, order) -> what the order holds of the account."""

    def apply(self, event: Event) -> None:
        """Moves what one event moved."""
        match event:
            case Transfer(payer=payer, payee=payee, amount_minor=amount_minor):
                if payer == NOBODY:
                    self.supply_minor += amount_minor
                else:
                    self.balances[payer] -= amount_minor
                if payee == NOBODY:
                    self.supply_minor -= amount_minor
                else:
                    self.balances[payee] += amount_minor
            case AccountRegistered(account=account, participant=participant):
                self.participants[account] = participant
            case ParticipantSet(participant=participant, institution=institution):
                self.institutions[participant] = institution
                self.participants[institution] = participant
            case FundsHeldUnderOrder(account=account, order=order, amount_minor=amount_minor):
                self.order_holds[account, order] += amount_minor
            case FundsReleased(account=account, order=order, amount_minor=amount_minor):
                self.order_holds[account, order] -= amount_minor
            case TransferForced(payer=payer, order=order, amount_minor=amount_minor):
                self.order_holds[payer, order] -= min(amount_minor, self.order_holds[payer, order])
            case _:
                pass

    def kept_minor(self, account: bytes, participant: int) -> int:
        """What an account holds with this participant: nothing, once its owner has moved it to another."""
        return self.balances[account] if self.participants.get(account) == participant else 0

    def held_minor(self, account: bytes) -> int:
        """What all orders together hold of an account."""
        return sum(held for (holder, _), held in self.order_holds.items() if holder == account)

    def customers_total_minor(self, participant: int) -> int:
        """What the participant's customers hold together: all its accounts but its own."""
        own = self.institutions.get(participant)
        return sum(
            self.balances[account]
            for account, keeper in self.participants.items()
            if keeper == participant and account != own
        )


class ChainHistory:
    """All events of one contract, read once; gives the chain as it was after any block."""

    def __init__(self, first_block: int, last_block: int, events: list[Event]) -> None:
        self.first_block, self.last_block = first_block, last_block
        self._events = events

    @classmethod
    async def read(
        cls,
        rpc: RpcClient,
        contract: bytes,
        first_block: int,
        last_block: int,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> ChainHistory:
        """Reads blocks `first_block` to `last_block`; `on_progress` gets the number of newly read blocks."""
        events: list[Event] = []
        for first in range(first_block, last_block + 1, BLOCKS_IN_ONE_CALL):
            last = min(first + BLOCKS_IN_ONE_CALL - 1, last_block)
            events += decode_logs(await rpc.logs(contract, first, last))
            on_progress(last - first + 1)
        return cls(first_block, last_block, events)

    def until(self, block_number: int) -> Iterator[Event]:
        """The events of all blocks up to this one, in order."""
        return itertools.takewhile(lambda event: event.block_number <= block_number, self._events)

    def above(self, block_number: int) -> list[Event]:
        """The events of all blocks above this one, in order."""
        return [event for event in self._events if event.block_number > block_number]

    def after(self, block_number: int) -> ReplayedChain:
        """The chain after `block_number`, which must not be above `last_block`."""
        if block_number > self.last_block:
            raise ValueError(f"block {block_number} was not read; the last is {self.last_block}")
        chain = ReplayedChain(block_number)
        for event in self.until(block_number):
            chain.apply(event)
        return chain


@dataclass(frozen=True, slots=True)
class ContractState:
    """What the contract itself says of the supply and of each account that its events named.

    `held_minor` is what orders hold of an account, for those of which an order ever held anything.
    """

    supply_minor: int
    words: Mapping[bytes, AccountWord]
    held_minor: Mapping[bytes, int]


async def read_state(rpc: RpcClient, contract: bytes, chain: ReplayedChain) -> ContractState:
    """The state at the block of the replay, of the accounts of the replay."""
    supply = decode_uint(await rpc.call_contract(contract, encode_total_supply(), chain.block_number))
    words: dict[bytes, AccountWord] = {}
    accounts = sorted(chain.balances.keys() | chain.participants.keys())
    for start in range(0, len(accounts), ACCOUNTS_IN_ONE_CALL):
        part = accounts[start : start + ACCOUNTS_IN_ONE_CALL]
        returned = await rpc.call_contract(contract, encode_account_words(part), chain.block_number)
        words |= zip(part, map(decode_account_word, decode_words(returned)), strict=True)
    held: dict[bytes, int] = {}
    for account in sorted({account for account, _ in chain.order_holds}):
        returned = await rpc.call_contract(contract, encode_restriction(account), chain.block_number)
        held[account] = decode_uint(returned[:32])
    return ContractState(supply, words, held)


def state_differences(state: ContractState, chain: ReplayedChain) -> list[ChainDifference]:
    """Where the contract's state is not what its events say."""
    pairs = [
        ("total supply", chain.supply_minor, state.supply_minor),
        ("sum of balances", sum(chain.balances.values()), state.supply_minor),
    ]
    for account, word in state.words.items():
        subject = f"0x{account.hex()}"
        pairs.append((subject, chain.balances[account], word.balance))
        pairs.append((f"{subject} participant", chain.participants.get(account, 0), word.participant))
    pairs += [
        (f"0x{account.hex()} held under orders", chain.held_minor(account), held_minor)
        for account, held_minor in state.held_minor.items()
    ]
    return [ChainDifference(*pair) for pair in pairs if pair[1] != pair[2]]
