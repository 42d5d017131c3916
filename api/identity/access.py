"""The one table of who may call what, and on whose objects. A route without a line here does not start.

- `PUBLIC`: anyone, and the answer is about nobody; or about whoever shows a code, password or passkey in it.
- `machine(scope)`: whoever has an API key with the scope (`<what>:read` or `<what>:write`), on all objects of
  the institution.
- `VISITOR`: a page that anyone may open; what it sends carries the token of its forms.
- `PERSON_PAGE`: a page of the person whose session its cookie is, about their own objects.
- `PERSON`: the API of a person, with a session's token as bearer, about their own objects; no cookie counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Who = Literal["anyone", "machine", "visitor", "person on a page", "person"]
Objects = Literal["nobody's", "the institution's", "own"]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route, on whose objects; a machine's key needs the scope."""

    who: Who
    objects: Objects
    scope: str = ""

    @property
    def is_page(self) -> bool:
        """Whether it belongs to the web room, and is no part of the API."""
        return self.who in {"visitor", "person on a page"}

    @property
    def is_persons(self) -> bool:
        """Whether it needs a session."""
        return self.who in {"person on a page", "person"}


def machine(scope: str) -> Access:
    """Whoever has a key with this scope."""
    return Access("machine", "the institution's", scope)


PUBLIC: Final = Access("anyone", "nobody's")
VISITOR: Final = Access("visitor", "nobody's")
PERSON_PAGE: Final = Access("person on a page", "own")
PERSON: Final = Access("person", "own")

Table = dict[tuple[str, str], Access]

COMMON: Final[Table] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/v1/reconciliation"): machine("reconciliation:read"),
    ("GET", "/"): VISITOR,
    ("GET", "/language/{language}"): VISITOR,
    ("GET", "/manifest.webmanifest"): VISITOR,
    ("GET", "/design"): VISITOR,
}

BANK: Final[Table] = {
    ("POST", "/v1/customers"): machine("customers:write"),
    ("POST", "/v1/customers:bulk"): machine("customers:write"),
    ("GET", "/v1/customers/{customer_id}"): machine("customers:read"),
    ("POST", "/v1/registrations"): PUBLIC,
    ("POST", "/v1/registrations/{registration_id}/code"): PUBLIC,
    ("POST", "/v1/registrations/{registration_id}/verification"): PUBLIC,
    ("POST", "/v1/registrations/{registration_id}/completion"): PUBLIC,
    ("POST", "/v1/sessions"): PUBLIC,
    ("POST", "/v1/sessions/second-factor"): PUBLIC,
    ("POST", "/v1/sessions/passkey-options"): PUBLIC,
    ("POST", "/v1/sessions/passkey"): PUBLIC,
    ("POST", "/v1/recoveries"): PUBLIC,
    ("POST", "/v1/recoveries/{recovery_id}/verification"): PUBLIC,
    ("POST", "/v1/recoveries/{recovery_id}/completion"): PUBLIC,
    ("GET", "/v1/me/recoveries"): PERSON,
    ("DELETE", "/v1/me/recoveries"): PERSON,
    ("GET", "/v1/me"): PERSON,
    ("POST", "/v1/me/confirmation"): PERSON,
    ("POST", "/v1/me/confirmation/passkey-options"): PERSON,
    ("POST", "/v1/me/confirmation/passkey"): PERSON,
    ("POST", "/v1/me/password"): PERSON,
    ("GET", "/v1/me/contacts"): PERSON,
    ("POST", "/v1/me/contacts"): PERSON,
    ("POST", "/v1/me/contacts/{contact_id}/verification"): PERSON,
    ("DELETE", "/v1/me/contacts/{contact_id}"): PERSON,
    ("POST", "/v1/me/authenticator"): PERSON,
    ("POST", "/v1/me/authenticator/verification"): PERSON,
    ("POST", "/v1/me/authenticator/recovery-codes"): PERSON,
    ("DELETE", "/v1/me/authenticator"): PERSON,
    ("GET", "/v1/me/passkeys"): PERSON,
    ("POST", "/v1/me/passkeys/options"): PERSON,
    ("POST", "/v1/me/passkeys"): PERSON,
    ("DELETE", "/v1/me/passkeys/{passkey_id}"): PERSON,
    ("GET", "/v1/me/devices"): PERSON,
    ("DELETE", "/v1/me/devices/{device_id}"): PERSON,
    ("GET", "/v1/me/security-log"): PERSON,
    ("GET", "/v1/me/sessions"): PERSON,
    ("DELETE", "/v1/me/sessions"): PERSON,
    ("DELETE", "/v1/me/sessions/{session_id}"): PERSON,
    ("POST", "/v1/me/credential-changes"): PERSON,
    ("GET", "/v1/me/credential-changes"): PERSON,
    ("GET", "/v1/me/notifications"): PERSON,
    ("POST", "/v1/me/notifications:read"): PERSON,
    ("GET", "/v1/me/notification-preferences"): PERSON,
    ("PUT", "/v1/me/notification-preferences"): PERSON,
    ("POST", "/v1/accounts"): machine("accounts:write"),
    ("POST", "/v1/accounts:bulk"): machine("accounts:write"),
    ("GET", "/v1/accounts/{account_id}"): machine("accounts:read"),
    ("GET", "/v1/accounts/{account_id}/entries"): machine("accounts:read"),
    ("POST", "/v1/wallets"): machine("wallets:write"),
    ("POST", "/v1/wallets:bulk"): machine("wallets:write"),
    ("GET", "/v1/wallets"): machine("wallets:read"),
    ("GET", "/v1/wallets:summary"): machine("wallets:read"),
    ("GET", "/v1/wallets/{wallet_id}"): machine("wallets:read"),
    ("POST", "/v1/billers"): machine("billers:write"),
    ("POST", "/v1/billers:bulk"): machine("billers:write"),
    ("GET", "/v1/billers"): machine("billers:read"),
    ("POST", "/v1/mandates"): machine("mandates:write"),
    ("POST", "/v1/mandates:bulk"): machine("mandates:write"),
    ("GET", "/v1/mandates:summary"): machine("mandates:read"),
    ("GET", "/v1/mandates/{mandate_id}"): machine("mandates:read"),
    ("POST", "/v1/mandates/{mandate_id}/revocation"): machine("mandates:write"),
    ("POST", "/v1/fundings"): machine("payments:write"),
    ("POST", "/v1/redemptions"): machine("payments:write"),
    ("POST", "/v1/payments"): machine("payments:write"),
    ("POST", "/v1/payments:bulk"): machine("payments:write"),
    ("POST", "/v1/payments/preflight"): machine("payments:read"),
    ("GET", "/v1/payments:summary"): machine("payments:read"),
    ("GET", "/v1/payments/{payment_id}"): machine("payments:read"),
    ("POST", "/v1/webhooks"): machine("webhooks:write"),
    ("GET", "/v1/webhooks"): machine("webhooks:read"),
    ("GET", "/v1/webhooks/{webhook_id}"): machine("webhooks:read"),
    ("DELETE", "/v1/webhooks/{webhook_id}"): machine("webhooks:write"),
    ("POST", "/v1/webhooks/{webhook_id}/secret"): machine("webhooks:write"),
    ("POST", "/v1/webhooks/{webhook_id}/activation"): machine("webhooks:write"),
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"): machine("webhooks:read"),
    ("POST", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redelivery"): machine("webhooks:write"),
    ("POST", "/v1/refunds"): machine("payments:write"),
    ("POST", "/v1/refunds/preflight"): machine("payments:read"),
    ("GET", "/v1/refunds/{original_id}"): machine("payments:read"),
    ("GET", "/v1/receipts"): machine("payments:read"),
    ("POST", "/v1/payment-requests"): machine("payments:write"),
    ("GET", "/v1/payment-requests/{request_id}"): machine("payments:read"),
    ("POST", "/v1/payment-requests/{request_id}/cancellation"): machine("payments:write"),
    ("POST", "/v1/me/payment-requests"): PERSON,
    ("GET", "/v1/me/payment-requests"): PERSON,
    ("GET", "/v1/me/payment-requests/{token}"): PERSON,
    ("POST", "/v1/me/payment-requests/{request_id}/cancellation"): PERSON,
    ("POST", "/v1/me/payment-requests/{request_id}/decline"): PERSON,
    ("PUT", "/v1/aliases"): machine("aliases:write"),
    ("GET", "/v1/me/aliases"): PERSON,
    ("PUT", "/v1/me/aliases/handle"): PERSON,
    ("DELETE", "/v1/me/aliases/{alias_id}"): PERSON,
    ("POST", "/v1/me/payees/lookup"): PERSON,
    ("POST", "/v1/me/payments:prepare"): PERSON,
    ("POST", "/v1/me/payments"): PERSON,
    ("GET", "/v1/me/payments"): PERSON,
    ("GET", "/v1/me/payments/{payment_id}"): PERSON,
    ("POST", "/v1/me/fundings:prepare"): PERSON,
    ("POST", "/v1/me/fundings"): PERSON,
    ("POST", "/v1/me/redemptions:prepare"): PERSON,
    ("POST", "/v1/me/redemptions"): PERSON,
    ("POST", "/v1/me/mandates:prepare"): PERSON,
    ("POST", "/v1/me/mandates"): PERSON,
    ("GET", "/v1/me/mandates"): PERSON,
    ("POST", "/v1/me/mandates/{mandate_id}/revocation"): PERSON,
    ("POST", "/v1/me/standing-orders:prepare"): PERSON,
    ("POST", "/v1/me/standing-orders"): PERSON,
    ("GET", "/v1/me/standing-orders"): PERSON,
    ("GET", "/v1/me/standing-orders/{order_id}"): PERSON,
    ("POST", "/v1/me/standing-orders/{order_id}/pause"): PERSON,
    ("POST", "/v1/me/standing-orders/{order_id}/resumption"): PERSON,
    ("POST", "/v1/me/standing-orders/{order_id}/skip"): PERSON,
    ("POST", "/v1/me/standing-orders/{order_id}/end"): PERSON,
    ("GET", "/v1/me/accounts"): PERSON,
    ("POST", "/v1/me/wallets:prepare"): PERSON,
    ("POST", "/v1/me/wallets"): PERSON,
    ("GET", "/v1/me/wallets"): PERSON,
    ("GET", "/v1/me/wallets/{wallet_id}"): PERSON,
    ("POST", "/v1/issuances"): machine("settlement:write"),
    ("GET", "/v1/issuances"): machine("settlement:read"),
    ("GET", "/v1/issuances/{issuance_id}"): machine("settlement:read"),
    ("POST", "/v1/returns"): machine("settlement:write"),
    ("POST", "/sandbox/sign-in"): VISITOR,
    ("GET", "/help"): VISITOR,
    ("POST", "/sign-out"): PERSON_PAGE,
    ("GET", "/wallet"): PERSON_PAGE,
    ("GET", "/wallet/more"): PERSON_PAGE,
    ("GET", "/wallet/events"): PERSON_PAGE,
    ("GET", "/wallet/pay"): PERSON_PAGE,
    ("GET", "/wallet/payees"): PERSON_PAGE,
    ("POST", "/wallet/preflight"): PERSON_PAGE,
    ("POST", "/wallet/payments"): PERSON_PAGE,
    ("GET", "/wallet/payments/{payment_id}"): PERSON_PAGE,
    ("GET", "/wallet/payments/{payment_id}/events"): PERSON_PAGE,
    ("GET", "/wallet/payments/{payment_id}/proof"): PERSON_PAGE,
    ("GET", "/wallet/fund"): PERSON_PAGE,
    ("POST", "/wallet/fund"): PERSON_PAGE,
    ("POST", "/wallet/fund/preflight"): PERSON_PAGE,
    ("GET", "/wallet/redeem"): PERSON_PAGE,
    ("POST", "/wallet/redeem"): PERSON_PAGE,
    ("POST", "/wallet/redeem/preflight"): PERSON_PAGE,
    ("GET", "/wallet/history"): PERSON_PAGE,
    ("GET", "/wallet/history.csv"): PERSON_PAGE,
    ("GET", "/wallet/history.pdf"): PERSON_PAGE,
    ("GET", "/wallet/receive"): PERSON_PAGE,
    ("GET", "/wallet/limits"): PERSON_PAGE,
    ("GET", "/wallet/mandates"): PERSON_PAGE,
    ("POST", "/wallet/mandates/{mandate_id}/revocation"): PERSON_PAGE,
}

CENTRAL_BANK: Final[Table] = {
    ("PUT", "/v1/tiers/{tier}"): machine("currency:write"),
    ("GET", "/v1/tiers"): machine("currency:read"),
    ("PUT", "/v1/participants/{participant_id}"): machine("currency:write"),
    ("GET", "/v1/participants"): machine("settlement:read"),
    ("PUT", "/v1/system-accounts/{address}"): machine("currency:write"),
    ("GET", "/v1/system-accounts"): machine("currency:read"),
    ("GET", "/v1/participants/{participant_id}/statement"): machine("settlement:read"),
    ("POST", "/v1/reserve-deposits"): machine("settlement:write"),
    ("POST", "/v1/issuances"): machine("settlement:write"),
    ("GET", "/v1/issuances/{issuance_id}"): machine("settlement:read"),
    ("GET", "/v1/supply"): machine("settlement:read"),
    ("PUT", "/v1/directory/aliases"): machine("directory:write"),
    ("DELETE", "/v1/directory/aliases/{alias_id}"): machine("directory:write"),
    ("POST", "/v1/directory/lookups"): machine("directory:read"),
    ("POST", "/v1/directory/lookups/{lookup_id}/payment"): machine("directory:read"),
    ("GET", "/v1/directory/claims"): machine("directory:read"),
    ("PUT", "/v1/directory/claims"): machine("directory:write"),
    ("POST", "/v1/directory/claims/{claim_id}/completion"): machine("directory:write"),
    ("POST", "/v1/directory/claims/{claim_id}/withdrawal"): machine("directory:write"),
    ("POST", "/v1/directory/claims/{claim_id}/contest"): machine("directory:write"),
    ("GET", "/events"): VISITOR,
}

_BY_KIND: Final = {"bank": COMMON | BANK, "central_bank": COMMON | CENTRAL_BANK}


def access_by_route(kind: str) -> Table:
    """(method, path) -> who may, for an institution of `kind`."""
    return _BY_KIND[kind]


def known_scopes(kind: str) -> list[str]:
    """Every scope that a key of an institution of `kind` can be given."""
    return sorted({access.scope for access in access_by_route(kind).values()} - {""})


def access_of(method: str, path: str) -> Access:
    """Who may call one route. Raises `LookupError` for one that the table does not know, or knows twice."""
    found = {table[method, path] for table in _BY_KIND.values() if (method, path) in table}
    if len(found) != 1:
        raise LookupError(
            f"{method} {path} needs exactly one line in api/identity/access.py, and has {len(found)}"
        )
    return found.pop()
