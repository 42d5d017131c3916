"""The chain as an institution's database knows it once blocks are final: rows, as the indexer writes them.

For tests of the feature rooms, which read these rows and never the chain. Money that arrives here is booked
too, as the ledger's plan says, so that books and projection agree.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from api.database import transaction
from api.ledger.journal import Entry, Leg, Posting
from api.payments.rules import Tier
from contracts.accounts import AccountFlag

if TYPE_CHECKING:
    from api.database import Pool
    from api.ledger.chart import BankChart

CURRENCY = "CZK"
OWN_BANK, OTHER_BANK = 1, 2
OWN_INSTITUTION, OTHER_INSTITUTION = bytes.fromhex("aa" * 20), bytes.fromhex("bb" * 20)
CUSTOMER_TIER, BILLER_TIER, INSTITUTION_TIER = 1, 2, 3
TIERS = {
    CUSTOMER_TIER: Tier(3_000_000, 1_500_000, 2_500_000),
    BILLER_TIER: Tier(100_000, 100_000, 1_000_000),
    INSTITUTION_TIER: Tier(10**15, 10**15, 2**64 - 1),
}
NOW_S = 1_800_000_000
TODAY = NOW_S // 86_400


class FinalChain:
    """Writes what became final into one institution's database."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def begin(self) -> None:
        """Two banks, three tiers, an empty supply, and a head one block above the final one."""
        await self.pool.execute(
            """INSERT INTO chain_cursor
                      (genesis_hash, chain_id, contract, deployed_block, final_number, final_hash,
                                         final_time_s, head_number, head_time_s)
               VALUES ($1, 1, $2, 1, 100, $1, $3, 105, $3)""",
            b"\x01" * 32,
            b"\x02" * 20,
            NOW_S,
        )
        await self.pool.execute("INSERT INTO chain_currency (supply_minor) VALUES (0)")
        for number, tier in TIERS.items():
            await self.set_tier(number, tier)
        mask = 1 << CUSTOMER_TIER | 1 << BILLER_TIER
        for participant, institution in ((OWN_BANK, OWN_INSTITUTION), (OTHER_BANK, OTHER_INSTITUTION)):
            await self.pool.execute(
                "INSERT INTO chain_participants VALUES ($1, $2, $3, 0)", participant, institution, mask
            )
            await self.register(institution, participant, INSTITUTION_TIER, AccountFlag.INSTITUTION)

    async def set_tier(self, number: int, tier: Tier) -> None:
        """A tier gets its limits, unless it has some."""
        await self.pool.execute(
            """INSERT INTO chain_tiers
               VALUES ($1, $2::text::numeric, $3::text::numeric, $4::text::numeric)
               ON CONFLICT (tier) DO NOTHING""",
            number,
            str(tier.holding_limit_minor),
            str(tier.per_payment_limit_minor),
            str(tier.daily_limit_minor),
        )

    async def register(
        self,
        address: bytes,
        participant: int = OTHER_BANK,
        tier: int = BILLER_TIER,
        flags: int = AccountFlag.LINKED,
    ) -> None:
        """An address becomes an account of a participant."""
        await self.pool.execute(
            "INSERT INTO chain_accounts (address, participant, tier, flags) VALUES ($1, $2, $3, $4)",
            address,
            participant,
            tier,
            int(flags | AccountFlag.REGISTERED),
        )

    async def register_requested_wallets(self, keeper: int = OWN_BANK) -> None:
        """Every wallet that was asked for gets its address, which this bank or another keeper registers."""
        rows = await self.pool.fetch(
            "SELECT wallet_id, tier, flags FROM outbox_registrations WHERE address IS NULL ORDER BY seq"
        )
        for row in rows:
            address = hashlib.sha256(row["wallet_id"].bytes).digest()[:20]
            await self.pool.execute(
                "UPDATE outbox_registrations SET address = $2, registered_block = $3 WHERE wallet_id = $1",
                row["wallet_id"],
                address,
                100 if keeper == OWN_BANK else None,
            )
            await self.register(address, keeper, row["tier"], row["flags"])

    async def change(self, address: bytes, **columns: int) -> None:
        """Set columns of an account, such as `balance_minor`, `spent_minor`, `flags`."""
        for column, value in columns.items():
            await self.pool.execute(
                f"UPDATE chain_accounts SET {column} = $2 WHERE address = $1", address, value
            )

    async def flag(self, address: bytes, flag: AccountFlag) -> None:
        """Raise a flag of an account."""
        await self.pool.execute(
            "UPDATE chain_accounts SET flags = flags | $2 WHERE address = $1", address, int(flag)
        )

    async def mint(self, chart: BankChart, amount_minor: int) -> None:
        """The bank's own digital currency grows: Dr inventory, Cr reserves."""
        async with transaction(self.pool) as conn:
            posting = await Posting.open(conn, [chart.inventory, chart.reserves])
            legs = (
                Leg(chart.inventory, CURRENCY, amount_minor),
                Leg(chart.reserves, CURRENCY, -amount_minor),
            )
            posting.post(Entry("issuance", f"event:mint:{amount_minor}", None, legs))
            await posting.write()
            await conn.execute(
                "UPDATE chain_accounts SET balance_minor = balance_minor + $2 WHERE address = $1",
                OWN_INSTITUTION,
                amount_minor,
            )

    async def fund(self, chart: BankChart, wallet_reference: str, amount_minor: int) -> None:
        """A wallet is funded from its account: Dr deposit, Cr inventory; memo Dr custody, Cr wallet."""
        row = await self.pool.fetchrow(
            """SELECT w.ledger_account_id AS wallet, a.ledger_account_id AS deposit, r.address
                 FROM wallets w JOIN accounts a ON a.id = w.account_id
                 JOIN outbox_registrations r ON r.wallet_id = w.id WHERE w.reference = $1""",
            wallet_reference,
        )
        assert row is not None
        async with transaction(self.pool) as conn:
            accounts = [row["wallet"], row["deposit"], chart.inventory, chart.custody]
            posting = await Posting.open(conn, accounts)
            legs = (
                Leg(row["deposit"], CURRENCY, amount_minor),
                Leg(chart.inventory, CURRENCY, -amount_minor),
                Leg(chart.custody, CURRENCY, amount_minor),
                Leg(row["wallet"], CURRENCY, -amount_minor),
            )
            posting.post(Entry("funding", f"event:funding:{wallet_reference}", None, legs))
            await posting.write()
            for address, change_minor in ((row["address"], amount_minor), (OWN_INSTITUTION, -amount_minor)):
                await conn.execute(
                    "UPDATE chain_accounts SET balance_minor = balance_minor + $2 WHERE address = $1",
                    address,
                    change_minor,
                )
