"""docker-compose.yml is valid, and the check can tell when it is not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scripts.checkout.check_compose import CHECKOUT, problems_of

Compose = dict[str, Any]


@pytest.fixture
def compose() -> Compose:
    parsed: Compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return copy.deepcopy(parsed)


def test_the_file_is_valid(compose: Compose) -> None:
    assert problems_of(compose) == []


def test_every_institution_has_its_three_processes(compose: Compose) -> None:
    for institution in ("central-bank", "bank-a", "bank-b"):
        for part in ("api", "worker", "wallet-node"):
            assert f"{institution}-{part}" in compose["services"]


def test_only_the_signer_and_the_setup_see_a_keystore(compose: Compose) -> None:
    for name, service in compose["services"].items():
        sees_keys = any("-keys:" in volume for volume in service.get("volumes", []))
        assert sees_keys == (name == "setup" or name.endswith("wallet-node"))


MISTAKES: dict[str, Callable[[Compose], object]] = {
    "Additional properties are not allowed": lambda c: c["services"]["chain"].update(comand=["x"]),
    "'image' is a required property": lambda c: c["services"]["chain"].pop("image"),
    "does not match": lambda c: c["services"]["bank-a-api"].update(ports=["8101:8100"]),
    "is not one of": lambda c: c["services"]["chain"].update(restart="often"),
    "volume bank-a is not declared": lambda c: c["volumes"].pop("bank-a"),
    "volume spare is not used": lambda c: c["volumes"].update(spare=None),
    "depends on setup, which is not a service": lambda c: c["services"].pop("setup"),
    "which has no healthcheck": lambda c: c["services"]["chain"].pop("healthcheck"),
    "is published twice": lambda c: c["services"]["bank-b-api"].update(ports=["127.0.0.1:8101:8100"]),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_found_and_named(compose: Compose, message: str) -> None:
    MISTAKES[message](compose)
    assert any(message in problem for problem in problems_of(compose))
