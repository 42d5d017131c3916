"""Refusals of the identity room."""

from __future__ import annotations

from api.errors import FlorinError


class Unauthenticated(FlorinError):
    """No usable API key came with the request. The same for a missing, unknown, malformed and revoked one."""

    def __init__(self) -> None:
        super().__init__("Unauthenticated", 401, "Send a valid API key as a bearer token.")


class SessionMissing(FlorinError):
    """No open session came with the request. The same for a missing, unknown, malformed and ended one."""

    def __init__(self) -> None:
        super().__init__("SessionMissing", 401, "Please sign in.")


class ScopeMissing(FlorinError):
    """The caller's key is good, but was not given the scope of this route."""

    def __init__(self, scope: str) -> None:
        super().__init__("ScopeMissing", 403, f"This key lacks the scope {scope!r}.", scope=scope)


class UnknownScope(FlorinError):
    """A scope that no route of this institution asks for."""

    def __init__(self, scope: str, known: list[str]) -> None:
        sentence = f"There is no scope {scope!r}; there are: {', '.join(known)}."
        super().__init__("UnknownScope", 422, sentence, scope=scope)


class InvalidCallerName(FlorinError):
    """A name for a caller that could be mistaken for a customer's, or that cannot be shown."""

    def __init__(self, name: str) -> None:
        sentence = "A caller's name has 1 to 64 letters, digits, points, hyphens and underscores."
        super().__init__("InvalidCallerName", 422, sentence, name=name)


class UnknownCustomer(FlorinError):
    """A reference that names no customer."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            "UnknownCustomer",
            422,
            f"There is no customer with the reference {reference!r}.",
            reference=reference,
        )
