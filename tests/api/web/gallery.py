"""A bank with something to see on every page: payments in every state, a mandate, a wallet with a passkey."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg

from api.addresses import address_text
from tests.api.offices import BILLER, BankOffice, payment
from tests.api.web.virtual_passkey import PUBLIC_KEY_TEXT, VIRTUAL_CREDENTIAL

if TYPE_CHECKING:
    from pathlib import Path

MINTED_HASH = bytes.fromhex("ab" * 32)


@dataclasses.dataclass(frozen=True, slots=True)
class Gallery:
    """What the pages are about."""

    final_payment: str
    pending_payment: str
    refused_payment: str

    @property
    def paths(self) -> dict[str, str]:
        """name -> path of every page of a person, and of those that anyone may open."""
        shown = f"/wallet/payments/{self.final_payment}"
        return {
            "way-in": "/",
            "help": "/help",
            "design": "/design",
            "home": "/wallet",
            "pay": "/wallet/pay",
            "receive": "/wallet/receive",
            "fund": "/wallet/fund",
            "redeem": "/wallet/redeem",
            "history": "/wallet/history",
            "history-empty": "/wallet/history?search=nothing",
            "payment-final": shown,
            "payment-pending": f"/wallet/payments/{self.pending_payment}",
            "payment-refused": f"/wallet/payments/{self.refused_payment}",
            "proof": f"{shown}/proof",
            "limits": "/wallet/limits",
            "mandates": "/wallet/mandates",
            "more": "/wallet/more",
            "lost": "/wallet/payments/none",
        }


async def hang(bank: BankOffice) -> Gallery:
    """Fill an office that is freshly furnished."""
    await bank.chain.fund(bank.chart, "w-1", 123_456)
    await bank.bulk(
        "/v1/billers:bulk",
        [
            {"reference": "city-rent", "name": "City Housing Cooperative", "address": "0x" + "c2" * 20},
            {
                "reference": "tele",
                "name": "Telefon Praha, spol. s r. o.",
                "address": "0x" + "c3" * 20,
            },
        ],
    )
    ids = {}
    for key, body in {
        "final": payment(125_000, note="Rent for May"),
        "pending": payment(4_990, note="Phone"),
        "refused": payment(90_000_000),
    }.items():
        answer = (await bank.post("/v1/payments", body)).json()
        ids[key] = answer["payment_id"]
    await settle(bank, ids["final"])
    await give_mandate(bank)
    return Gallery(ids["final"], ids["pending"], ids["refused"])


async def settle(bank: BankOffice, payment_id: str, state: str = "final") -> None:
    """What the worker writes when a payment's transaction is included, and final."""
    pool, transaction_id = bank.institution.pool, uuid.uuid4()
    await pool.execute(
        """INSERT INTO chain_transactions (id, key_name, kind, data, gas, state, hash, included_block)
           VALUES ($1, 'institution', 'settle', '\\x', 0, 'signed', $2, 777)""",
        transaction_id,
        MINTED_HASH,
    )
    is_final = state == "final"
    await pool.execute(
        """UPDATE outbox_payments SET state = $3, transaction_id = $2, record_index = 3,
                  final_block = CASE WHEN $4 THEN 777 END, final_at = CASE WHEN $4 THEN now() END
            WHERE payment_id = $1""",
        uuid.UUID(payment_id),
        transaction_id,
        "final" if is_final else "batched",
        is_final,
    )


async def give_mandate(bank: BankOffice) -> str:
    """An active mandate of the wallet `w-1`; what the customer approved is not looked at here."""
    mandate_id = str(uuid.uuid4())
    await bank.institution.pool.execute(
        """INSERT INTO outbox_mandates (mandate_id, wallet_id, payer, payee, cap_minor, period, starts_at_s,
                                        expires_at_s, approval, state)
           SELECT $1, w.id, r.address, $2, 250000, 'month', 1800000000, 1830000000, '{}', 'active'
             FROM wallets w JOIN outbox_registrations r ON r.wallet_id = w.id WHERE w.reference = 'w-1'""",
        uuid.UUID(mandate_id),
        BILLER,
    )
    return mandate_id


async def bind_passkey(bank: BankOffice, directory: Path, wallet_reference: str = "w-1") -> None:
    """The wallet has the virtual authenticator's credential; the currency is the one of a manifest."""
    manifest = directory / "manifest.json"
    _write_manifest(manifest)
    settings = dataclasses.replace(bank.institution.settings, manifest_path=manifest)
    bank.app.state.institution = dataclasses.replace(bank.institution, settings=settings)
    credential = {"credential_id": VIRTUAL_CREDENTIAL, "algorithm": -7, "public_key": PUBLIC_KEY_TEXT}
    owner = await asyncpg.connect(bank.database.owner_url)  # the bank itself cannot change it afterwards
    await owner.execute(
        """UPDATE outbox_registrations SET credential = $2
            WHERE wallet_id = (SELECT id FROM wallets WHERE reference = $1)""",
        wallet_reference,
        json.dumps(credential),
    )
    await owner.close()


def _write_manifest(path: Path) -> None:
    """A manifest as `florin deploy` writes it, as far as the bank reads it."""
    manifest: dict[str, Any] = {
        "chain_id": 1,
        "genesis_hash": "0x" + "01" * 32,
        "contracts": {"proxy": address_text(b"\x02" * 20), "notary": address_text(b"\x03" * 20)},
        "block_number": 1,
        "currency": {"name": "Florin Crown"},
    }
    path.write_text(json.dumps(manifest))
