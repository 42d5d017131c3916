"""docker-compose.yml is valid, and the check can tell when it is not."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.checkout.check_compose import CHECKOUT, problems_of
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import (
    INSTITUTIONS,
    PASSPHRASE_VARIABLE,
    InstitutionHome,
    InstitutionPlan,
)

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


def volume_of(service: dict[str, Any], path: str) -> str:
    """The volume on which a path of a container lies."""
    mounts = [volume.split(":")[:2] for volume in service["volumes"]]
    above = [(name, target) for name, target in mounts if Path(path).is_relative_to(target)]
    return max(above, key=lambda mount: len(mount[1]))[0]


@pytest.mark.parametrize("plan", INSTITUTIONS, ids=lambda plan: plan.slug)
def test_no_secret_of_a_signer_is_on_a_volume_that_another_process_sees(
    compose: Compose, plan: InstitutionPlan
) -> None:
    signer = f"{plan.slug}-wallet-node"
    service, home = compose["services"][signer], InstitutionHome(DataDirectory(Path("/data")), plan)
    assert service["environment"] == {PASSPHRASE_VARIABLE: str(home.passphrase_file)}
    assert f"--home={home.node_home}" in service["command"]
    for secret in (home.passphrase_file, home.node_home / "keystore" / "manifest.json"):
        volume = volume_of(service, str(secret))
        seen_by = {
            name
            for name, each in compose["services"].items()
            if any(mount.split(":")[0] == volume for mount in each.get("volumes", []))
        }
        assert seen_by == {"setup", signer}
        assert volume_of(compose["services"]["setup"], str(secret)) == volume


MISTAKES: dict[str, Callable[[Compose], object]] = {
    "'comand' was unexpected": lambda c: c["services"]["chain"].update(comand=["x"]),
    "True is not of type 'number'": lambda c: c["services"]["chain"]["healthcheck"].update(retries=True),
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
