"""The projection: every registered address with its balance, tier, flags and day's spending, and what orders
hold of it, from final events alone.

It is a pure function of the chain's events (for nonces, of one's own records and of the calls that moved
accounts), so it can be dropped and rebuilt from block 0 with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from api.chain.matching import LogKey, excess_transfers, key_of
from api.chain.transfer_causes import forced_transfers
from contracts.abi import (
    AccountFlag,
    AccountMoved,
    AccountRegistered,
    Event,
    FundsHeldUnderOrder,
    FundsReleased,
    MintAllowanceChanged,
    ParticipantSet,
    PauseChanged,
    TierSet,
    Transfer,
    TransferForced,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from api.database import Connection

NOBODY: Final = bytes(20)
SECONDS_A_DAY: Final = 86_400
MAX_SPENT_MINOR: Final = 2**63 - 1
WHOLE_SUPPLY: Final = 0
_INSTITUTION: Final = int(AccountFlag.INSTITUTION)
NO_NONCES: Final[Mapping[bytes, int]] = MappingProxyType({})


@dataclass(slots=True)
class AccountRow:
    """A row of chain_accounts."""

    participant: int = 0
    tier: int = 0
    flags: int = 0
    balance_minor: int = 0
    spent_minor: int = 0
    spent_day: int = 0
    next_nonce: int = 0


@dataclass(slots=True)
class ParticipantRow:
    """A row of chain_participants."""

    institution: bytes
    tier_mask: int
    mint_allowance_minor: int


class Projection:
    """The rows that a range of final blocks touches: loaded, changed in memory, saved in sets."""

    def __init__(self) -> None:
        self.accounts: dict[bytes, AccountRow] = {}
        self.participants: dict[int, ParticipantRow] = {}
        self.tiers: dict[int, tuple[int, int, int]] = {}
        self.supply_minor = 0
        self.is_paused = False
        # what each moved account held when it moved
        self.moved_minor: dict[LogKey, int] = {}
        # (account, order) -> what the order holds of the account
        self._order_holds: dict[tuple[bytes, bytes], int] = {}
        # participant (0: all) -> what its accounts hold, and of that its institution's own
        self._holdings: dict[int, list[int]] = {}
        self._history: dict[tuple[int, int], tuple[int, int]] = {}
        self._changed_participants: set[int] = set()

    @classmethod
    async def load(
        cls, connection: Connection, events: Sequence[Event], payers: Collection[bytes] = ()
    ) -> Projection:
        """The rows that `events` and the nonces of `payers` touch, as they are now."""
        projection = cls()
        addresses = _touched(events) | set(payers)
        for row in await connection.fetch(
            """SELECT address, participant, tier, flags, balance_minor, spent_minor, spent_day, next_nonce
                 FROM chain_accounts WHERE address = ANY($1::bytea[])""",
            list(addresses),
        ):
            projection.accounts[row[0]] = AccountRow(*row[1:])
        restricted = _restricted(events)
        if restricted:
            for row in await connection.fetch(
                """SELECT address, order_id, held_minor::text FROM chain_order_holds
                    WHERE address = ANY($1::bytea[])""",
                list(restricted),
            ):
                projection._order_holds[row[0], row[1]] = int(row[2])
        for row in await connection.fetch(
            """SELECT participant, institution, tier_mask::text, mint_allowance_minor::text
                 FROM chain_participants"""
        ):
            projection.participants[row[0]] = ParticipantRow(row[1], int(row[2]), int(row[3]))
        currency = await connection.fetchrow("SELECT supply_minor, is_paused FROM chain_currency")
        if currency is not None:
            projection.supply_minor, projection.is_paused = currency
        for row in await connection.fetch(
            """SELECT p.participant, h.balance_minor, h.institution_minor
                 FROM (SELECT participant FROM chain_participants UNION SELECT 0) p
                 CROSS JOIN LATERAL (SELECT balance_minor, institution_minor FROM chain_supply_history
                      WHERE participant = p.participant ORDER BY block_number DESC LIMIT 1) h"""
        ):
            projection._holdings[row[0]] = [row[1], row[2]]
        return projection

    def apply(
        self,
        events: Iterable[Event],
        times_s: Mapping[int, int],
        moved_nonces: Mapping[bytes, int] = NO_NONCES,
    ) -> None:
        """Apply events in order; `times_s` holds each block's own time, `moved_nonces` what the owners of
        moved accounts have used up.
        """
        events = list(events)
        exempt: Collection[LogKey] = excess_transfers(events).keys() | forced_transfers(events).keys()
        for event in events:
            if isinstance(event, Transfer):
                day = None if key_of(event) in exempt else times_s[event.block_number] // SECONDS_A_DAY
                self._transfer(event, day)
            elif isinstance(event, AccountRegistered):
                self._register(event)
            elif isinstance(event, AccountMoved):
                self.moved_minor[key_of(event)] = self.accounts[event.account].balance_minor
                self.raise_nonce(event.account, moved_nonces.get(event.account, 0))
            elif isinstance(event, FundsHeldUnderOrder | FundsReleased | TransferForced):
                self._restrict(event)
            elif isinstance(event, ParticipantSet):
                known = self.participants.get(event.participant)
                allowance = 0 if known is None else known.mint_allowance_minor
                self.participants[event.participant] = ParticipantRow(
                    event.institution, event.tier_mask, allowance
                )
                self._changed_participants.add(event.participant)
            elif isinstance(event, MintAllowanceChanged):
                self.participants[event.participant].mint_allowance_minor = event.allowance_minor
                self._changed_participants.add(event.participant)
            elif isinstance(event, TierSet):
                self.tiers[event.tier] = (
                    event.holding_limit_minor, event.per_payment_limit_minor, event.daily_limit_minor,
                )  # fmt: skip
            elif isinstance(event, PauseChanged):
                self.is_paused = event.is_paused

    def raise_nonce(self, payer: bytes, next_nonce: int) -> None:
        """A record of this payer was executed, or refused by a rule, or its owner moved the account: the
        nonces below this one are gone.
        """
        account = self.accounts[payer]
        account.next_nonce = max(account.next_nonce, next_nonce)

    def _transfer(self, event: Transfer, day: int | None) -> None:
        """`day` None: the excess of a waterfall, or a transfer under an order, which are exempt from the
        payer's limits.

        So are minting and burning.
        """
        if event.payer == NOBODY:
            self.supply_minor += event.amount_minor
        else:
            payer = self.accounts[event.payer]
            payer.balance_minor -= event.amount_minor
            if day is not None and event.payee != NOBODY:
                spent = payer.spent_minor if payer.spent_day == day else 0
                payer.spent_minor = min(spent + event.amount_minor, MAX_SPENT_MINOR)
                payer.spent_day = day
            self._hold(payer, -event.amount_minor, event.block_number)
        if event.payee == NOBODY:
            self.supply_minor -= event.amount_minor
        else:
            payee = self.accounts[event.payee]
            payee.balance_minor += event.amount_minor
            self._hold(payee, event.amount_minor, event.block_number)

    def _register(self, event: AccountRegistered) -> None:
        account = self.accounts.setdefault(event.account, AccountRow())
        self._hold(account, -account.balance_minor, event.block_number)
        account.participant, account.tier, account.flags = event.participant, event.tier, event.flags
        self._hold(account, account.balance_minor, event.block_number)

    def _hold(self, account: AccountRow, change_minor: int, block_number: int) -> None:
        """Keep the totals by participant, and what they were at the end of each block that changed them."""
        if not change_minor:
            return
        own_minor = change_minor if account.flags & _INSTITUTION else 0
        # the system's accounts belong to no participant
        for participant in {account.participant, WHOLE_SUPPLY}:
            holding = self._holdings.setdefault(participant, [0, 0])
            holding[0] += change_minor
            holding[1] += own_minor
            self._history[participant, block_number] = (holding[0], holding[1])

    def _restrict(self, event: FundsHeldUnderOrder | FundsReleased | TransferForced) -> None:
        """Keep what each order holds of an account: a forced transfer takes that first."""
        account = event.payer if isinstance(event, TransferForced) else event.account
        held_minor = self._order_holds.get((account, event.order), 0)
        if isinstance(event, FundsHeldUnderOrder):
            held_minor += event.amount_minor
        else:
            held_minor -= min(event.amount_minor, held_minor)
        self._order_holds[account, event.order] = held_minor

    # ------------------------------------------------------------------------------------------ saving

    async def save(self, connection: Connection) -> None:
        """Write what changed, one statement a table."""
        await self._save_accounts(connection)
        if self._order_holds:
            await self._save_order_holds(connection)
        if self._changed_participants:
            await self._save_participants(connection)
        if self.tiers:
            await self._save_tiers(connection)
        await connection.execute(
            """INSERT INTO chain_currency (supply_minor, is_paused) VALUES ($1, $2) ON CONFLICT (singleton)
               DO UPDATE SET supply_minor = excluded.supply_minor, is_paused = excluded.is_paused""",
            self.supply_minor,
            self.is_paused,
        )
        if self._history:
            await connection.execute(
                """INSERT INTO chain_supply_history (participant, block_number, balance_minor,
                institution_minor) SELECT * FROM unnest($1::int[], $2::bigint[], $3::bigint[],
                $4::bigint[])""",
                [participant for participant, _ in self._history],
                [block_number for _, block_number in self._history],
                [balance for balance, _ in self._history.values()],
                [own for _, own in self._history.values()],
            )

    async def _save_accounts(self, connection: Connection) -> None:
        if not self.accounts:
            return
        rows = sorted(self.accounts.items())
        await connection.execute(
            """
            INSERT INTO chain_accounts
                   (address, participant, tier, flags, balance_minor, spent_minor, spent_day, next_nonce)
            SELECT * FROM unnest($1::bytea[], $2::int[], $3::int[], $4::int[], $5::bigint[], $6::bigint[],
                                 $7::int[], $8::bigint[])
            ON CONFLICT (address) DO UPDATE
               SET participant = excluded.participant, tier = excluded.tier, flags = excluded.flags,
                   balance_minor = excluded.balance_minor, spent_minor = excluded.spent_minor,
                   spent_day = excluded.spent_day, next_nonce = excluded.next_nonce
            """,
            [address for address, _ in rows],
            [row.participant for _, row in rows],
            [row.tier for _, row in rows],
            [row.flags for _, row in rows],
            [row.balance_minor for _, row in rows],
            [row.spent_minor for _, row in rows],
            [row.spent_day for _, row in rows],
            [row.next_nonce for _, row in rows],
        )

    async def _save_order_holds(self, connection: Connection) -> None:
        holds = sorted(self._order_holds.items())
        ended = [key for key, held_minor in holds if not held_minor]
        await connection.execute(
            """DELETE FROM chain_order_holds h USING unnest($1::bytea[], $2::bytea[]) AS ended (address,
               order_id) WHERE (h.address, h.order_id) = (ended.address, ended.order_id)""",
            [address for address, _ in ended],
            [order for _, order in ended],
        )
        lasting = [(*key, held_minor) for key, held_minor in holds if held_minor]
        await connection.execute(
            """INSERT INTO chain_order_holds (address, order_id, held_minor)
               SELECT address, order_id, held::numeric
                 FROM unnest($1::bytea[], $2::bytea[], $3::text[]) AS n (address, order_id, held)
               ON CONFLICT (address, order_id) DO UPDATE SET held_minor = excluded.held_minor""",
            [address for address, _, _ in lasting],
            [order for _, order, _ in lasting],
            [str(held_minor) for _, _, held_minor in lasting],
        )

    async def _save_participants(self, connection: Connection) -> None:
        changed = sorted(self._changed_participants)
        await connection.execute(
            """INSERT INTO chain_participants (participant, institution, tier_mask, mint_allowance_minor)
               SELECT participant, institution, tier_mask::numeric, allowance::numeric
                 FROM unnest($1::int[], $2::bytea[], $3::text[], $4::text[])
                      AS n (participant, institution, tier_mask, allowance)
               ON CONFLICT (participant) DO UPDATE SET institution = excluded.institution,
                  tier_mask = excluded.tier_mask, mint_allowance_minor = excluded.mint_allowance_minor""",
            changed,
            [self.participants[each].institution for each in changed],
            [str(self.participants[each].tier_mask) for each in changed],
            [str(self.participants[each].mint_allowance_minor) for each in changed],
        )

    async def _save_tiers(self, connection: Connection) -> None:
        await connection.execute(
            """INSERT INTO chain_tiers (tier, holding_limit_minor, per_payment_limit_minor, daily_limit_minor)
               SELECT tier, holding::numeric, per_payment::numeric, daily::numeric
                 FROM unnest($1::int[], $2::text[], $3::text[], $4::text[])
                      AS n (tier, holding, per_payment, daily)
               ON CONFLICT (tier) DO UPDATE SET holding_limit_minor = excluded.holding_limit_minor,
                  per_payment_limit_minor = excluded.per_payment_limit_minor,
                  daily_limit_minor = excluded.daily_limit_minor""",
            list(self.tiers),
            [str(limits[0]) for limits in self.tiers.values()],
            [str(limits[1]) for limits in self.tiers.values()],
            [str(limits[2]) for limits in self.tiers.values()],
        )


def _touched(events: Iterable[Event]) -> set[bytes]:
    """Every account that these events name."""
    addresses: set[bytes] = set()
    for event in events:
        if isinstance(event, Transfer):
            addresses.add(event.payer)
            addresses.add(event.payee)
        elif isinstance(event, AccountRegistered | AccountMoved):
            addresses.add(event.account)
    addresses.discard(NOBODY)
    return addresses


def _restricted(events: Iterable[Event]) -> set[bytes]:
    """Every account of which these events say that an order holds more or less."""
    return {
        event.payer if isinstance(event, TransferForced) else event.account
        for event in events
        if isinstance(event, FundsHeldUnderOrder | FundsReleased | TransferForced)
    }
