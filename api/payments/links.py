"""Links that ask for a payment: `https://<bank>/pay/<token>`. The token says nothing by itself."""

from __future__ import annotations

import re
import secrets
from typing import Final

from api.errors import FlorinError

TOKEN_BYTES: Final = 16
_LINK: Final = re.compile(r"(https?)://([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)/pay/([A-Za-z0-9_-]{22})")


class LinkUnreadable(FlorinError):
    """A text that is no link to a payment request."""

    def __init__(self) -> None:
        super().__init__(
            "LinkUnreadable", 400, "This is no link to a payment request: open it as you were given it."
        )


def new_token() -> str:
    """128 random bits as 22 characters, good for links and codes: nobody guesses another's request."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def link_to(origin: str, token: str) -> str:
    """The link to a request at the bank whose pages are at `origin` (scheme and host, without a path)."""
    return f"{origin}/pay/{token}"


def read_link(text: str, *, is_sandbox: bool = False) -> tuple[str, str]:
    """The origin and the token of a link. Raises `LinkUnreadable`; plain HTTP is for sandboxes."""
    found = _LINK.fullmatch(text)
    if found is None or (found[1] == "http" and not is_sandbox):
        raise LinkUnreadable
    return f"{found[1]}://{found[2]}", found[3]
