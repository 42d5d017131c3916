"""Refusals about aliases at a bank; those of the directory keep its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.errors import FlorinError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STANDARD: Final = frozenset({"type", "title", "status", "detail", "instance", "code"})


class DirectoryUnavailable(FlorinError):
    """The central bank's directory gave no usable answer. Nothing was decided."""

    def __init__(self) -> None:
        super().__init__(
            "DirectoryUnavailable",
            503,
            "Aliases cannot be looked up at the moment: try again, or pay by code or address.",
        )


class NoDirectory(FlorinError):
    """This bank's settings name no directory."""

    def __init__(self) -> None:
        super().__init__("NoDirectory", 503, "This bank has no directory of aliases: pay by code or address.")


class DirectoryRefused(FlorinError):
    """What the directory refused, in its own words: `AliasUnknown`, `AliasOfAnotherBank`, and so on."""

    def __init__(self, code: str, status: int, problem: Mapping[str, Any]) -> None:
        values = {name: value for name, value in problem.items() if name not in _STANDARD}
        super().__init__(code, status, str(problem.get("detail", code)), **values)
