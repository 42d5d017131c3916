"""The settings of one institution's processes: one TOML file, read once by a composition root."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.errors import FlorinError
from api.money import CURRENCY_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["central_bank", "bank"]
_TEXTS: Final = tuple[str, ...]
_ORIGIN: Final = re.compile(r"(?:https://[a-z0-9.-]+|http://localhost)(?::[0-9]{1,5})?")
Tls = Literal["starttls", "tls", "none"]
NO_FILE: Final = Path()
"""What stands for a file that is not there."""


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
    (docs/decisions/014). `database_url` names the application's role, which owns nothing.

    A bank's people (docs/decisions/019): `page_origins` are where its pages are open, none meaning localhost
    at its port; `rp_id` is the name that their passkeys are bound to; `people_key` (64 hexadecimal digits)
    keys the hashes of codes and seals the secrets of authenticator apps; `recovery_cooling_s` is how long a
    forgotten password or lost device waits; `password_reminder_days` is the age at which a password is
    called old, 0 meaning never; nobody younger than `minimum_age_years` opens a login for themselves.

    E-mail goes by `smtp_host`, from `mail_sender`; short messages to the provider at `sms_url`, under the key
    `sms_key`. Without them, a sandbox keeps messages in its mailbox, and any other institution cannot send.

    `directory_url` is the central bank's address, where a bank looks aliases up with the API key in
    `directory_key_file`; a bank without one has no aliases. `directory_secret_file` is the central bank's
    own: its directory is hashed under what is in it.

    The signer's policy names the same `rp_id` and origins. `person_tier` is of the wallets that people open.
    `unproved_..._minor` are the signer's low-value allowance as the bank estimates it (docs/decisions/022): a
    payment, a wallet's 24 hours and 168 hours; up to `unasked_..._minor` of it the bank asks for nothing at
    all. `approval_valid_s` is how long what was prepared can be approved. `time_zone` is the one of days in
    standing orders and of times on pages.
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
    person_tier: int = 1
    unproved_per_payment_minor: int = 50_000
    unproved_day_minor: int = 150_000
    unproved_week_minor: int = 500_000
    unasked_per_payment_minor: int = 5_000
    unasked_day_minor: int = 15_000
    approval_valid_s: int = 300
    time_zone: str = "Europe/Prague"
    sends_access_lists: bool = True
    page_origins: tuple[str, ...] = ()
    rp_id: str = "localhost"
    people_key: str = dataclasses.field(default="", repr=False)
    recovery_cooling_s: float = 86_400
    password_reminder_days: int = 0
    minimum_age_years: int = 18
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_tls: Tls = "starttls"
    smtp_username: str = ""
    smtp_password: str = dataclasses.field(default="", repr=False)
    mail_sender: str = ""
    sms_url: str = ""
    sms_key: str = dataclasses.field(default="", repr=False)
    sms_sender: str = ""
    directory_url: str = ""
    directory_key_file: Path = NO_FILE
    directory_secret_file: Path = NO_FILE

    @property
    def origins(self) -> tuple[str, ...]:
        """Where this institution's pages are open, as browsers write it."""
        return self.page_origins or (f"http://localhost:{self.listen_port}",)

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
    if hint == _TEXTS:
        return isinstance(value, list | tuple) and all(type(each) is str for each in value)
    return value in get_args(hint)


def _converted(value: Any, hint: Any) -> Any:
    if hint in {Path, float}:
        return hint(value)
    return tuple(value) if hint == _TEXTS else value


def _described(hint: Any) -> str:
    words: dict[Any, str] = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        Path: "a path",
    }
    words[_TEXTS] = "a list of texts"
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
        *_rules_of_approvals(settings),
        (0 < settings.poll_interval_s <= 60, "poll_interval_s must be above 0 and at most 60"),
        (
            settings.directory_url == "" or settings.directory_url.startswith(("http://", "https://")),
            "directory_url must start with http:// or https://",
        ),
        (
            (settings.directory_url == "") == (settings.directory_key_file == NO_FILE),
            "directory_url and directory_key_file go together",
        ),
        (0 < settings.anchor_every_s <= 604_800, "anchor_every_s must be above 0 and at most a week"),
        *_rules_of_people(settings),
        *_rules_of_couriers(settings),
    ]
    return [sentence for holds, sentence in rules if not holds]


def _rules_of_people(settings: Settings) -> list[tuple[bool, str]]:
    """What makes passkeys, codes and recoveries of people sound."""
    hosts = [origin.split("://")[-1].split(":")[0] for origin in settings.origins]
    needs_key = settings.kind == "bank" and not settings.is_sandbox
    return [
        (
            all(_ORIGIN.fullmatch(origin) for origin in settings.page_origins),
            "page_origins must be https://NAME or http://localhost, with a port if it is not the usual one",
        ),
        (
            all(host == settings.rp_id or host.endswith("." + settings.rp_id) for host in hosts),
            "rp_id must be the name of every origin, or what all of them end in",
        ),
        (
            re.fullmatch(r"[0-9a-f]{64}" if needs_key else r"([0-9a-f]{64})?", settings.people_key)
            is not None,
            "people_key must be 64 hexadecimal digits",
        ),
        (
            0 <= settings.recovery_cooling_s <= 2_592_000
            and (settings.is_sandbox or settings.recovery_cooling_s >= 3600),
            "recovery_cooling_s must be an hour to 30 days (0 to 30 days in a sandbox)",
        ),
        (0 <= settings.password_reminder_days <= 3650, "password_reminder_days must be 0 to 3650"),
        (0 <= settings.minimum_age_years <= 100, "minimum_age_years must be 0 to 100"),
    ]


def _rules_of_couriers(settings: Settings) -> list[tuple[bool, str]]:
    """What must hold of the servers that carry messages out."""
    is_open = settings.smtp_tls == "none"
    is_key_open = settings.sms_url.startswith("http://")
    sender = r"[^@\s]+@[A-Za-z0-9.-]+"
    return [
        (1 <= settings.smtp_port <= 65535, "smtp_port must be 1 to 65535"),
        (
            not settings.smtp_host or re.fullmatch(sender, settings.mail_sender) is not None,
            "mail_sender must be an e-mail address where smtp_host is set",
        ),
        (
            not settings.smtp_host or not is_open or settings.is_sandbox,
            "smtp_tls may be none in a sandbox only: messages carry one-time codes",
        ),
        (
            not (is_open and settings.smtp_password),
            "smtp_password must not be sent without TLS: set smtp_tls",
        ),
        (
            not settings.sms_url or settings.sms_url.startswith(("https://", "http://")),
            "sms_url must start with https://",
        ),
        (not is_key_open or settings.is_sandbox, "sms_url must start with https:// but in a sandbox"),
        (not settings.sms_url or settings.sms_key != "", "sms_key must not be empty where sms_url is set"),
    ]


def _rules_of_approvals(settings: Settings) -> list[tuple[bool, str]]:
    """What must hold of what people approve: within which allowance, until when, in which days."""
    return [
        (0 <= settings.person_tier <= 255, "person_tier must be 0 to 255"),
        (
            0 <= settings.unproved_per_payment_minor <= settings.unproved_day_minor
            and settings.unproved_day_minor <= settings.unproved_week_minor,
            "unproved_per_payment_minor, _day_ and _week_ must not fall",
        ),
        (
            0
            <= settings.unasked_per_payment_minor
            <= settings.unasked_day_minor
            <= settings.unproved_day_minor
            and settings.unasked_per_payment_minor <= settings.unproved_per_payment_minor,
            "unasked_per_payment_minor and unasked_day_minor must lie within the unproved ones",
        ),
        (30 <= settings.approval_valid_s <= 3600, "approval_valid_s must be 30 to 3600"),
        (_is_time_zone(settings.time_zone), "time_zone must be a name such as Europe/Prague"),
    ]


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of the database, or too long
        return False
    return True
