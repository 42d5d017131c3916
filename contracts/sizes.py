"""Sizes of the published contracts beside the limit: ``python -m contracts.sizes`` fails above it."""

import json
from pathlib import Path

from contracts.compile import ARTIFACTS

CODE_SIZE_LIMIT = 24_576  # EIP-170, bytes of deployed code
CREATION_SIZE_LIMIT = 2 * CODE_SIZE_LIMIT  # EIP-3860, bytes of creation code without its arguments


def measure(directory: Path = ARTIFACTS) -> dict[str, tuple[int, int]]:
    """Return the bytes of deployed and of creation code by contract name."""
    sizes = {}
    for path in sorted(directory.glob("*.json")):
        artifact = json.loads(path.read_text(encoding="utf-8"))
        deployed, creation = (len(artifact[key]) // 2 - 1 for key in ("deployedBytecode", "bytecode"))
        sizes[artifact["contractName"]] = (deployed, creation)
    return sizes


def find_oversized(sizes: dict[str, tuple[int, int]]) -> list[str]:
    """Name the contracts that no chain would accept."""
    return [
        name
        for name, (deployed, creation) in sizes.items()
        if deployed > CODE_SIZE_LIMIT or creation > CREATION_SIZE_LIMIT
    ]


def main() -> int:
    """Print every size beside its limit."""
    sizes = measure()
    oversized = find_oversized(sizes)
    for name, (deployed, creation) in sizes.items():
        mark = "  TOO LARGE" if name in oversized else ""
        print(
            f"size: {name:24} {deployed:>6,} of {CODE_SIZE_LIMIT:,} bytes deployed"
            f" ({deployed / CODE_SIZE_LIMIT:4.0%}), {creation:>6,} of {CREATION_SIZE_LIMIT:,} to create{mark}"
        )
    return 1 if oversized or not sizes else 0


if __name__ == "__main__":
    raise SystemExit(main())
