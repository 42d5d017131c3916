"""What the sample's customers approve: one mandate for each of their standing orders.

Their software authenticator lives here, with the `florin` command; the bank and its signer see public keys
and assertions, as they would of real passkeys.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.customer_approvals import Mandate
from contracts.typed_data import PaymentDomain, TypedMessage
from scripts.country.authenticator import SoftwareAuthenticator
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import RP_ID, InstitutionPlan
from scripts.country.start import Country
from scripts.orders.api_client import Json
from scripts.orders.book import Book

YEAR_S: Final = 365 * 86_400
APPROVAL_VALID_S: Final = 86_400
_NAMESPACE: Final = uuid.UUID("a4c1f5f2-51a8-5d5e-8a8e-6c0b5f0d7e11")


@dataclass(frozen=True, slots=True)
class Consent:
    """The customers of one bank, and for which currency and on which page they sign."""

    authenticator: SoftwareAuthenticator
    rp_id: str
    origin: str
    separator: bytes

    @classmethod
    def at(cls, plan: InstitutionPlan, country: Country, data: DataDirectory) -> Consent:
        """The consent of one bank's customers. Raises SecretUnusable."""
        return cls(
            SoftwareAuthenticator.open(data.authenticator_file),
            RP_ID,
            plan.origin,
            PaymentDomain(
                country.manifest.currency.name, country.manifest.chain_id, country.manifest.proxy
            ).separator,
        )

    def credential(self, customer_reference: str) -> Json:
        """What the customer's wallets are bound to."""
        return dict(self.authenticator.credential_fields(customer_reference))

    def approve(self, customer_reference: str, message: TypedMessage, expires_at_s: int) -> Json:
        """The customer's yes to `message`, which ends at `expires_at_s` as it says itself."""
        challenge = message.digest(self.separator)
        assertion = self.authenticator.assertion_fields(
            customer_reference, challenge, self.rp_id, self.origin
        )
        return {"expires_at_s": expires_at_s, **assertion}


def mandate_id(order_id: int) -> uuid.UUID:
    """The id of the mandate for an order: the same whenever the book is imported."""
    return uuid.uuid5(_NAMESPACE, f"order-{order_id}")


def mandates(
    book: Book,
    consent: Consent,
    wallets: Mapping[int, bytes],
    payees: Mapping[tuple[str, str], bytes],
    from_s: int,
) -> Iterator[Json]:
    """A mandate for each order, in the book's order: its amount once a month, for a year from `from_s`.

    `wallets` has the address of each account's wallet, `payees` that of each payee's.
    """
    owners = {account.account_id: account.owner_id for account in book.accounts}
    approval_expires_at_s = int(time.time()) + APPROVAL_VALID_S
    for order in book.orders:
        mandate = Mandate(
            mandate_id=mandate_id(order.order_id).bytes,
            payer=wallets[order.account_id],
            payee=payees[order.payee],
            cap_minor=order.amount_minor,
            period="month",
            starts_at_s=from_s,
            expires_at_s=from_s + YEAR_S,
            approval_expires_at_s=approval_expires_at_s,
        )
        yield {
            "mandate_id": str(mandate_id(order.order_id)),
            "payer_wallet_reference": f"wallet-{order.account_id}",
            "payee": {"address": "0x" + mandate.payee.hex()},
            "cap_minor": mandate.cap_minor,
            "period": mandate.period,
            "starts_at_s": mandate.starts_at_s,
            "expires_at_s": mandate.expires_at_s,
            "approval": consent.approve(f"client-{owners[order.account_id]}", mandate, approval_expires_at_s),
        }
