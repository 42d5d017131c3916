"""Where webhooks may go. Whoever registers one must not be able to have us call our own side of the wall.

Outside a sandbox: only https, and only hosts all of whose addresses are public. A name is looked up once for
each connection, and the connection goes to the addresses that were judged, so that a name cannot change its
mind in between. Redirects are not followed.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from yarl import URL

from api.webhooks.errors import WebhookUrlRefused

_LONGEST_URL: Final = 2_000
_CARRIERS: Final = (
    ipaddress.ip_network("64:ff9b::/96"),  # RFC 6052: IPv4 in the last 32 bits
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2002::/16"),  # 6to4 (RFC 3056), Teredo (RFC 4380): IPv4 inside
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("::/96"),
)
"""Networks of IPv6 that lead to an IPv4 address which is not looked at; nobody's webhook needs them."""


def is_public(address: str) -> bool:
    """Whether an IP address (text) is one of the public internet's, for IPv4 in IPv6 too."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if any(parsed in network for network in _CARRIERS):
            return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def require_destination(url: str, *, is_sandbox: bool) -> URL:
    """The address as it will be called. Raises `WebhookUrlRefused`; names are looked up only when calling."""
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise WebhookUrlRefused(f"it must be at most {_LONGEST_URL} letters of visible ASCII")
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except ValueError:
        raise WebhookUrlRefused("it is no URL") from None
    if parsed.scheme not in ({"https", "http"} if is_sandbox else {"https"}):
        raise WebhookUrlRefused("it must start with https://")
    if not host or not port:
        raise WebhookUrlRefused("it names no host")
    if parsed.user is not None or parsed.password is not None or parsed.fragment:
        raise WebhookUrlRefused("it must have no user, password or fragment")
    if not is_sandbox and _is_literal(host) and not is_public(host):
        raise WebhookUrlRefused("its host is not public")
    return parsed


def _is_literal(host: str) -> bool:
    """Whether the connector takes it as an address and asks no resolver: `127.1` and `2130706433` too."""
    return ":" in host or host.replace(".", "").isdigit()
