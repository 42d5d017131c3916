"""The settings of one institution's processes: one TOML file, read once by a composition root."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.errors import FlorinError
from api.money import CURRENCY_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["central_bank", "bank"]


class InvalidSettings(FlorinError):
    """A settings file that cannot be used; the sentence names the file and every field that is wrong."""

    def __init__(self, source: str, problems: list[str]) -> None:
        listed = "; ".join(problems)
        super().__init__("InvalidSettings", 500, f"{source}: {listed}", source=source, problems=problems)
        self.problems = problems


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an institution's `api` and `worker` need to know before they start.

    `participant_id` is the institution's number in the contract (0 for the central bank). `confirmations`
    counts the block itself. `anchor_every_s` is the time between two anchors of the ledger and the signer's
    journal. `sends_access_lists` is false on a chain that charges for a list's bytes more than it saves
    (docs/decisions/014). Times on pages are in `time_zone` (an IANA name). `database_url` names the
    application's role, which owns nothing.
    """

    institution: str
    institution_name: str
    kind: Kind
    participant_id: int
    database_url: str = dataclasses.field(repr=False)
    listen_host: str = "127.0.0.1"
    listen_port: int
    signer_socket: Path
    rpc_url: str = dataclasses.field(repr=False)
    manifest_path: Path
    currency: str
    currency_exponent: int
    confirmations: int = 6
    is_sandbox: bool = False
    poll_interval_s: float = 0.5
    anchor_every_s: float = 86_400
    sends_access_lists: bool = True
    time_zone: str = "UTC"

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read the TOML file at `path`. Raises `InvalidSettings` with everything that is wrong in it."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as failure:
            raise InvalidSettings(str(path), [f"cannot be read: {failure.strerror}"]) from failure
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as failure:
            raise InvalidSettings(str(path), [f"is not TOML: {failure}"]) from failure
        return cls.from_mapping(values, source=str(path))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "settings") -> Self:
        """Check `values` against the fields. Raises `InvalidSettings` with everything that is wrong."""
        problems = _shape_problems(cls, values)
        if problems:
            raise InvalidSettings(source, problems)
        hints = get_type_hints(cls)
        settings = cls(**{name: _converted(value, hints[name]) for name, value in values.items()})
        problems = _value_problems(settings)
        if problems:
            raise InvalidSettings(source, problems)
        return settings

    def to_toml(self) -> str:
        """The file that `load` reads back as an equal object."""
        lines = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Path):
                value = str(value)
            # JSON strings, numbers and booleans are TOML ones too, except for the escape of DEL
            lines.append(f"{field.name} = {json.dumps(value)}")
        return "\n".join(lines) + "\n"


def time_zone(name: str) -> datetime.tzinfo:
    """The time zone of this IANA name. Raises `ZoneInfoNotFoundError`, `ValueError` and `OSError`."""
    return datetime.UTC if name == "UTC" else ZoneInfo(name)  # UTC needs no database of zones


def _is_zone(name: str) -> bool:
    try:
        time_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _shape_problems(cls: type[Settings], values: Mapping[str, Any]) -> list[str]:
    """Fields that are unknown, missing or of another type."""
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    problems = [f"the field {name!r} is not known" for name in values if name not in fields]
    for name, field in fields.items():
        if name not in values:
            if field.default is dataclasses.MISSING:
                problems.append(f"the field {name!r} is missing")
        elif not _fits(values[name], hints[name]):
            problems.append(f"the field {name!r} must be {_described(hints[name])}, not {values[name]!r}")
    return problems


def _fits(value: Any, hint: Any) -> bool:
    if hint is float:
        return type(value) in {int, float}
    if hint is Path:
        return (type(value) is str and value != "") or isinstance(value, Path)
    if hint in {str, int, bool}:
        return type(value) is hint
    return value in get_args(hint)


def _converted(value: Any, hint: Any) -> Any:
    if hint in {Path, float}:
        return hint(value)
    return value


def _described(hint: Any) -> str:
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
    return words.get(hint) or "one of " + ", ".join(get_args(hint))


def _value_problems(settings: Settings) -> list[str]:
    """Values of the right type that make no sense."""
    known_exponent = CURRENCY_EXPONENTS.get(settings.currency, settings.currency_exponent)
    rules = [
        (
            re.fullmatch(r"[a-z][a-z0-9-]{0,62}", settings.institution) is not None,
            "institution must be lower-case letters, digits and hyphens",
        ),
        (settings.institution_name.strip() != "", "institution_name must not be empty"),
        (
            settings.participant_id == 0
            if settings.kind == "central_bank"
            else 1 <= settings.participant_id <= 65535,
            "participant_id must be 0 for a central bank and 1 to 65535 for a bank",
        ),
        (
            settings.database_url.startswith(("postgresql://", "postgres://")),
            "database_url must start with postgresql://",
        ),
        (0 <= settings.listen_port <= 65535, "listen_port must be 0 to 65535"),
        (settings.rpc_url.startswith(("http://", "https://")), "rpc_url must start with http:// or https://"),
        (re.fullmatch(r"[A-Z]{3}", settings.currency) is not None, "currency must be three capital letters"),
        (settings.currency_exponent in {0, 2, 3}, "currency_exponent must be 0, 2 or 3"),
        (
            settings.currency_exponent == known_exponent,
            f"currency_exponent of {settings.currency} is {known_exponent} in ISO 4217",
        ),
        (1 <= settings.confirmations <= 1000, "confirmations must be 1 to 1000"),
        (0 < settings.poll_interval_s <= 60, "poll_interval_s must be above 0 and at most 60"),
        (0 < settings.anchor_every_s <= 604_800, "anchor_every_s must be above 0 and at most a week"),
        (_is_zone(settings.time_zone), "time_zone must be an IANA name, such as Europe/Prague"),
    ]
    return [sentence for holds, sentence in rules if not holds]
