"""The one table of who may call what. A route without a line here does not start.

A scope reads `<what>:read` or `<what>:write`. PUBLIC routes answer anyone; PAGE routes belong to the web
room, which asks for a customer's session (or, in a sandbox, gives one).
"""

from __future__ import annotations

from typing import Final

PUBLIC: Final = "public"
PAGE: Final = "page"

COMMON: Final[dict[tuple[str, str], str]] = {
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/v1/reconciliation"): "reconciliation:read",
    ("GET", "/"): PAGE,
    ("GET", "/language/{language}"): PAGE,
}

BANK: Final[dict[tuple[str, str], str]] = {
    ("POST", "/v1/customers"): "customers:write",
    ("POST", "/v1/customers:bulk"): "customers:write",
    ("GET", "/v1/customers/{customer_id}"): "customers:read",
    ("POST", "/v1/accounts"): "accounts:write",
    ("POST", "/v1/accounts:bulk"): "accounts:write",
    ("GET", "/v1/accounts/{account_id}"): "accounts:read",
    ("GET", "/v1/accounts/{account_id}/entries"): "accounts:read",
    ("POST", "/v1/wallets"): "wallets:write",
    ("POST", "/v1/wallets:bulk"): "wallets:write",
    ("GET", "/v1/wallets"): "wallets:read",
    ("GET", "/v1/wallets:summary"): "wallets:read",
    ("GET", "/v1/wallets/{wallet_id}"): "wallets:read",
    ("POST", "/v1/billers"): "billers:write",
    ("POST", "/v1/billers:bulk"): "billers:write",
    ("GET", "/v1/billers"): "billers:read",
    ("POST", "/v1/mandates"): "mandates:write",
    ("POST", "/v1/mandates:bulk"): "mandates:write",
    ("GET", "/v1/mandates:summary"): "mandates:read",
    ("GET", "/v1/mandates/{mandate_id}"): "mandates:read",
    ("POST", "/v1/mandates/{mandate_id}/revocation"): "mandates:write",
    ("POST", "/v1/fundings"): "payments:write",
    ("POST", "/v1/redemptions"): "payments:write",
    ("POST", "/v1/payments"): "payments:write",
    ("POST", "/v1/payments:bulk"): "payments:write",
    ("POST", "/v1/payments/preflight"): "payments:read",
    ("GET", "/v1/payments:summary"): "payments:read",
    ("GET", "/v1/payments/{payment_id}"): "payments:read",
    ("POST", "/v1/issuances"): "settlement:write",
    ("GET", "/v1/issuances"): "settlement:read",
    ("GET", "/v1/issuances/{issuance_id}"): "settlement:read",
    ("POST", "/v1/returns"): "settlement:write",
    ("POST", "/sandbox/sign-in"): PAGE,
    ("POST", "/sign-out"): PAGE,
    ("GET", "/wallet"): PAGE,
    ("GET", "/wallet/payees"): PAGE,
    ("GET", "/wallet/events"): PAGE,
    ("POST", "/wallet/preflight"): PAGE,
    ("POST", "/wallet/payments"): PAGE,
}

CENTRAL_BANK: Final[dict[tuple[str, str], str]] = {
    ("PUT", "/v1/tiers/{tier}"): "currency:write",
    ("GET", "/v1/tiers"): "currency:read",
    ("PUT", "/v1/participants/{participant_id}"): "currency:write",
    ("GET", "/v1/participants"): "settlement:read",
    ("PUT", "/v1/system-accounts/{address}"): "currency:write",
    ("GET", "/v1/system-accounts"): "currency:read",
    ("GET", "/v1/participants/{participant_id}/statement"): "settlement:read",
    ("POST", "/v1/reserve-deposits"): "settlement:write",
    ("POST", "/v1/issuances"): "settlement:write",
    ("GET", "/v1/issuances/{issuance_id}"): "settlement:read",
    ("GET", "/v1/supply"): "settlement:read",
    ("GET", "/events"): PAGE,
}

_BY_KIND: Final = {"bank": COMMON | BANK, "central_bank": COMMON | CENTRAL_BANK}


def scopes_by_route(kind: str) -> dict[tuple[str, str], str]:
    """(method, path) -> scope, for an institution of `kind`."""
    return _BY_KIND[kind]


def known_scopes(kind: str) -> list[str]:
    """Every scope that a key of an institution of `kind` can be given."""
    return sorted(set(scopes_by_route(kind).values()) - {PUBLIC, PAGE})


def scope_of(method: str, path: str) -> str:
    """The scope of one route. Raises `LookupError` for one that the table does not know, or knows twice."""
    found = {table[method, path] for table in _BY_KIND.values() if (method, path) in table}
    if len(found) != 1:
        raise LookupError(
            f"{method} {path} needs exactly one scope in api/identity/scopes.py, and has {len(found)}"
        )
    return found.pop()
