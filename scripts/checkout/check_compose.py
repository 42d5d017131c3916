"""Checks docker-compose.yml without Docker: `python -m scripts.checkout.check_compose`.

First against the Compose specification's own schema, which the package check-jsonschema brings and keeps up
to date; then against the rules of this house, which are narrower: every service names its image, ports are
published on loopback only, volumes are named ones. What no schema can say comes last: names must exist, and
nothing is there in vain.
"""

import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SPECIFICATION = "vendor.compose-spec"

HOUSE_RULES = {
    "required": ["name", "services", "volumes"],
    "properties": {
        "services": {
            "minProperties": 1,
            "additionalProperties": {
                "required": ["image"],
                "properties": {
                    "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                    "volumes": {
                        "items": {"type": "string", "pattern": r"^[a-z][a-z-]*:/[a-z/-]+(:ro)?$"},
                        "uniqueItems": True,
                    },
                    "ports": {"items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "depends_on": {"type": "object"},
                },
            },
        },
        "volumes": {"additionalProperties": {"type": "null"}},
    },
}


def problems_of(compose: Any) -> list[str]:
    """Everything that is wrong with a parsed Compose file, in plain words."""
    for schema in (get_builtin_schema(SPECIFICATION), HOUSE_RULES):
        found = [
            f"{'.'.join(str(part) for part in error.absolute_path) or 'the file'}: {error.message}"
            for error in jsonschema.Draft202012Validator(schema).iter_errors(compose)
        ]
        if found:
            return found
    return _broken_references(compose)


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
