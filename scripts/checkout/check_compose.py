"""Checks docker-compose.yml without Docker: `python -m scripts.checkout.check_compose`.

The schema is the part of the Compose specification that Florin uses, and refuses the rest: a misspelt key is
an error here, as it would be there. What a schema cannot say is checked beside it: names that must exist, and
ports that must be published on loopback only.
"""

import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

CHECKOUT = Path(__file__).resolve().parent.parent.parent

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
HEALTHCHECK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["test"],
    "properties": {
        "test": {"type": "array", "items": TEXT, "minItems": 2},
        "interval": DURATION,
        "timeout": DURATION,
        "start_period": DURATION,
        "retries": {"type": "integer", "minimum": 1},
    },
}
DEPENDS_ON = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "additionalProperties": False,
        "required": ["condition"],
        "properties": {
            "condition": {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
        },
    },
}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "build": TEXT,
        "image": TEXT,
        "command": TEXTS,
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "environment": {"type": "object", "additionalProperties": TEXT},
        "volumes": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^[a-z][a-z-]*:/[a-z/-]+(:ro)?$"},
            "uniqueItems": True,
        },
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "depends_on": DEPENDS_ON,
        "healthcheck": HEALTHCHECK,
        "read_only": {"type": "boolean"},
        "tmpfs": TEXTS,
        "cap_drop": TEXTS,
        "security_opt": TEXTS,
        "network_mode": {"enum": ["none", "bridge", "host"]},
        "stop_grace_period": DURATION,
        "shm_size": {"type": "string", "pattern": r"^\d+[bkmg]$"},
    },
}
COMPOSE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "services", "volumes"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"},
            "additionalProperties": SERVICE,
        },
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
    "patternProperties": {"^x-": {}},
}


def problems_of(compose: Any) -> list[str]:
    """Everything that is wrong with a parsed Compose file, in plain words."""
    validator = jsonschema.Draft202012Validator(COMPOSE)
    found = [
        f"{'.'.join(str(part) for part in error.absolute_path) or 'the file'}: {error.message}"
        for error in validator.iter_errors(compose)
    ]
    return found or _broken_references(compose)


def _broken_references(compose: dict[str, Any]) -> list[str]:
    services, volumes = compose["services"], set(compose["volumes"])
    found, used, ports = [], set(), set()
    for name, service in services.items():
        mounted = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        used |= mounted
        found += [f"{name}: volume {volume} is not declared" for volume in sorted(mounted - volumes)]
        for needed, how in service.get("depends_on", {}).items():
            if needed not in services:
                found.append(f"{name}: depends on {needed}, which is not a service")
            elif how["condition"] == "service_healthy" and "healthcheck" not in services[needed]:
                found.append(f"{name}: waits for the health of {needed}, which has no healthcheck")
        for port in service.get("ports", []):
            published = port.rsplit(":", 1)[0]
            if published in ports:
                found.append(f"{name}: {published} is published twice")
            ports.add(published)
    return found + [f"volume {volume} is not used" for volume in sorted(volumes - used)]


def main() -> int:
    """Print what is wrong; the exit status says whether anything is."""
    found = problems_of(yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text()))
    for problem in found:
        print(f"docker-compose.yml: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
