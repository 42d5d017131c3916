"""A settings file is right, or refused with everything that is wrong in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from api.settings import InvalidSettings, Settings

VALID: dict[str, Any] = {
    "institution": "bank-a",
    "institution_name": 'První "Banka" \\ A',
    "kind": "bank",
    "participant_id": 1,
    "database_url": "postgresql://app:secret@/bank_a?host=/run/florin",
    "listen_port": 8001,
    "signer_socket": "run/bank-a.sock",
    "rpc_url": "http://127.0.0.1:8545",
    "manifest_path": "manifest.json",
    "currency": "CZK",
    "currency_exponent": 2,
    "people_key": "5e" * 32,
}

PAGES = {"page_origins": ["https://my.bank.example"], "rp_id": "bank.example"}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    settings = Settings.from_mapping({**VALID, "is_sandbox": True, "poll_interval_s": 2, **PAGES})
    file = tmp_path / "bank-a.toml"
    file.write_text(settings.to_toml(), encoding="utf-8")
    assert Settings.load(file) == settings
    assert settings.poll_interval_s == 2.0
    assert settings.confirmations == 6
    assert settings.signer_socket == Path("run/bank-a.sock")
    assert settings.origins == ("https://my.bank.example",)
    assert "5e5e" not in repr(settings)


def test_pages_are_at_this_process_unless_their_origins_are_named(tmp_path: Path) -> None:
    assert Settings.from_mapping(VALID).origins == ("http://localhost:8001",)
    pages = {"rp_id": "bank.example", "page_origins": ["https://pay.bank.example"]}
    settings = Settings.from_mapping({**VALID, **pages})
    file = tmp_path / "bank-a.toml"
    file.write_text(settings.to_toml(), encoding="utf-8")
    assert Settings.load(file).origins == ("https://pay.bank.example",)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"confirmation": 6}, "'confirmation' is not known"),
        ({"institution": "Bank A"}, "institution must be"),
        ({"institution_name": " "}, "institution_name must not be empty"),
        ({"kind": "fintech"}, "'kind' must be one of central_bank, bank"),
        ({"kind": "central_bank"}, "participant_id must be 0"),
        ({"participant_id": 0}, "participant_id must be"),
        ({"participant_id": 65536}, "participant_id must be"),
        ({"participant_id": True}, "'participant_id' must be a whole number"),
        ({"database_url": "sqlite://"}, "database_url must start"),
        ({"listen_port": "8001"}, "'listen_port' must be a whole number"),
        ({"listen_port": 65536}, "listen_port must be"),
        ({"rpc_url": "127.0.0.1:8545"}, "rpc_url must start"),
        ({"signer_socket": ""}, "'signer_socket' must be a path"),
        ({"currency": "Kč"}, "currency must be three"),
        ({"currency_exponent": 1}, "currency_exponent must be 0, 2 or 3"),
        ({"currency_exponent": 3}, "currency_exponent of CZK is 2"),
        ({"confirmations": 0}, "confirmations must be"),
        ({"is_sandbox": 1}, "'is_sandbox' must be true or false"),
        ({"poll_interval_s": 0}, "poll_interval_s must be"),
        ({"rp_id": "http://localhost"}, "rp_id must be"),
        ({"page_origins": "http://localhost"}, "'page_origins' must be a list of texts"),
        ({"page_origins": ["localhost"]}, "page_origins must be https"),
        ({"person_tier": 256}, "person_tier must be"),
        ({"unproved_day_minor": 49_999}, "must not fall"),
        ({"unasked_day_minor": 150_001}, "must lie within"),
        ({"approval_valid_s": 5}, "approval_valid_s must be"),
        ({"time_zone": "Prague"}, "time_zone must be"),
        ({"anchor_every_s": 0}, "anchor_every_s must be"),
        ({"smtp_port": 0}, "smtp_port must be"),
        ({"smtp_tls": "perhaps"}, "'smtp_tls' must be one of starttls, tls, none"),
        ({"smtp_host": "mail.example"}, "mail_sender must be"),
        ({"smtp_host": "mail.example", "mail_sender": "bank@a.example\n"}, "mail_sender must be"),
        (
            {"smtp_host": "m", "mail_sender": "a@b", "smtp_tls": "none"},
            "smtp_tls may be none in a sandbox only",
        ),
        ({"smtp_tls": "none", "smtp_password": "p"}, "smtp_password must not be sent without TLS"),
        ({"sms_url": "ftp://sms.example", "sms_key": "k"}, "sms_url must start with https://"),
        ({"sms_url": "http://sms.example", "sms_key": "k"}, "but in a sandbox"),
        ({"sms_url": "https://sms.example"}, "sms_key must not be empty"),
        ({"time_zone": "Europe/Nowhere"}, "time_zone must be"),
        ({"time_zone": "../UTC"}, "time_zone must be"),
        ({"anchor_every_s": 604_801}, "anchor_every_s must be"),
        ({"page_origins": "https://bank.example"}, "'page_origins' must be a list of texts"),
        ({"page_origins": ["http://bank.example"], "rp_id": "bank.example"}, "page_origins must be"),
        ({"page_origins": ["https://bank.example"], "rp_id": "ank.example"}, "rp_id must be"),
        ({"page_origins": ["https://bank.example"]}, "rp_id must be"),
        ({"people_key": "5E" * 32}, "people_key must be"),
        ({"people_key": ""}, "people_key must be"),
        ({"recovery_cooling_s": 60}, "recovery_cooling_s must be"),
        ({"password_reminder_days": -1}, "password_reminder_days must be"),
        ({"minimum_age_years": 101}, "minimum_age_years must be"),
        ({"directory_url": "cb", "directory_key_file": "k"}, "directory_url must start"),
        ({"directory_url": "http://cb"}, "directory_url and directory_key_file go together"),
        ({"directory_key_file": "k"}, "directory_url and directory_key_file go together"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_mapping({**VALID, **change})
    assert any(named in problem for problem in refusal.value.problems)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_mapping({"institution": 5, "unknown": 1})
    missing = len(VALID) - 2  # `institution` is there, and wrong; `people_key` need not be there in a sandbox
    assert len(refusal.value.problems) == 2 + missing


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"absent\.toml: cannot be read"):
        Settings.load(tmp_path / "absent.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("institution = ")
    with pytest.raises(InvalidSettings, match=r"broken\.toml: is not TOML"):
        Settings.load(broken)


def test_settings_do_not_change_and_do_not_tell_the_password() -> None:
    settings = Settings.from_mapping(VALID)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.listen_port = 1  # type: ignore[misc]
    assert ":secret@" not in repr(settings)
