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
}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    settings = Settings.from_mapping({**VALID, "is_sandbox": True, "poll_interval_s": 2})
    file = tmp_path / "bank-a.toml"
    file.write_text(settings.to_toml(), encoding="utf-8")
    assert Settings.load(file) == settings
    assert settings.poll_interval_s == 2.0
    assert settings.confirmations == 6
    assert settings.signer_socket == Path("run/bank-a.sock")


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
        ({"anchor_every_s": 0}, "anchor_every_s must be"),
        ({"time_zone": "Europe/Nowhere"}, "time_zone must be"),
        ({"time_zone": "../UTC"}, "time_zone must be"),
        ({"anchor_every_s": 604_801}, "anchor_every_s must be"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_mapping({**VALID, **change})
    assert any(named in problem for problem in refusal.value.problems)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        Settings.from_mapping({"institution": 5, "unknown": 1})
    assert len(refusal.value.problems) == 2 + len(VALID) - 1


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
    assert "secret" not in repr(settings)
