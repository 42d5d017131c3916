"""The chart of accounts: which accounts an institution has, and on which side each one grows.

Own accounts are the institution's books. Memo accounts mirror money that is not its own (customers' digital
currency is a claim on the central bank): they balance among themselves and never mix with the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, overload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.database import Connection

AccountKind = Literal[
    "reserves", "inventory", "deposit", "fees", "equity", "in_transit", "custody", "wallet", "assets",
    "reserves_of", "circulation",
]  # fmt: skip

DEBIT: Final = 1
CREDIT: Final = -1

CLASS_AND_SIDE: Final[dict[AccountKind, tuple[Literal["own", "memo"], int]]] = {
    # a bank's
    "reserves": ("own", DEBIT),
    "inventory": ("own", DEBIT),
    "deposit": ("own", CREDIT),
    "fees": ("own", CREDIT),
    "equity": ("own", CREDIT),
    "in_transit": ("own", CREDIT),
    "custody": ("memo", DEBIT),
    "wallet": ("memo", CREDIT),
    # the central bank's
    "assets": ("own", DEBIT),
    "reserves_of": ("own", CREDIT),
    "circulation": ("own", CREDIT),
}

_CODE_PREFIX: Final[dict[AccountKind, str]] = {
    "deposit": "deposit:",
    "wallet": "wallet:",
    "reserves_of": "reserves:",
}


@dataclass(frozen=True, slots=True)
class BankChart:
    """The ids of a bank's fixed accounts in one currency."""

    currency: str
    reserves: int
    inventory: int
    fees: int
    equity: int
    custody: int
    in_transit_unidentified: int
    in_transit_credit_transfer: int


@dataclass(frozen=True, slots=True)
class CentralBankChart:
    """The ids of the central bank's fixed accounts in one currency."""

    currency: str
    assets: int
    circulation: int


Chart: TypeAlias = BankChart | CentralBankChart


@overload
async def open_chart(conn: Connection, kind: Literal["bank"], currency: str) -> BankChart: ...
@overload
async def open_chart(conn: Connection, kind: Literal["central_bank"], currency: str) -> CentralBankChart: ...
async def open_chart(conn: Connection, kind: Literal["bank", "central_bank"], currency: str) -> Chart:
    """Open the institution's fixed accounts where they are missing, and return their ids. Idempotent."""
    if kind == "central_bank":
        assets, circulation = await _open(
            conn, [("assets", "assets"), ("circulation", "circulation")], currency
        )
        return CentralBankChart(currency, assets, circulation)
    fixed: list[tuple[AccountKind, str]] = [
        ("reserves", "reserves"),
        ("inventory", "inventory"),
        ("fees", "fees"),
        ("equity", "equity"),
        ("custody", "custody"),
        ("in_transit", "in_transit:unidentified"),
        ("in_transit", "in_transit:credit_transfer"),
    ]
    return BankChart(currency, *await _open(conn, fixed, currency))


async def open_accounts(
    conn: Connection,
    kind: Literal["deposit", "wallet", "reserves_of"],
    codes: Sequence[str],
    currency: str,
) -> list[int]:
    """Open an account for each of `codes` where it is missing, and return their ids in the same order.

    One statement for all of them, idempotent. A code carries its prefix: see `code_of`.
    """
    prefix = _CODE_PREFIX[kind]
    for code in codes:
        if not code.startswith(prefix) or len(code) == len(prefix):
            raise ValueError(f"the code {code!r} of a {kind} account must start with {prefix!r}")
    return await _open(conn, [(kind, code) for code in codes], currency)


def code_of(kind: Literal["deposit", "wallet", "reserves_of"], reference: object) -> str:
    """The code of one account of many: `deposit:<reference>`, `reserves:<participant id>`."""
    return f"{_CODE_PREFIX[kind]}{reference}"


async def _open(conn: Connection, accounts: Sequence[tuple[AccountKind, str]], currency: str) -> list[int]:
    codes = [code for _, code in accounts]
    kinds = [kind for kind, _ in accounts]
    rules = [CLASS_AND_SIDE[kind] for kind in kinds]
    await conn.execute(
        """INSERT INTO ledger_accounts (code, kind, class, currency, normal_side)
           SELECT code, kind, class, $5, normal_side
             FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[])
                  AS given (code, kind, class, normal_side)
            ORDER BY code
           ON CONFLICT (code, currency) DO NOTHING""",
        codes, kinds, [account_class for account_class, _ in rules], [side for _, side in rules], currency,
    )  # fmt: skip
    rows = await conn.fetch(
        "SELECT code, id, kind FROM ledger_accounts WHERE code = ANY($1::text[]) AND currency = $2",
        codes,
        currency,
    )
    found = {row["code"]: row for row in rows}
    for kind, code in accounts:
        if found[code]["kind"] != kind:
            raise ValueError(f"the account {code!r} is of kind {found[code]['kind']!r}, not {kind!r}")
    return [found[code]["id"] for code in codes]
