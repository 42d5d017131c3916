"""Build the committed artifacts from the Solidity sources, or prove that they match.

``python -m contracts.compile`` rebuilds ``artifacts/``; ``--check`` rebuilds in memory and compares, byte for
byte. Nobody needs Node to run or test Florin: without it ``--check`` says so and succeeds.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTRACTS = Path(__file__).parent
SOURCES = CONTRACTS / "src"
ARTIFACTS = CONTRACTS / "artifacts"
NODE_MODULES = CONTRACTS.parent / "node_modules"
COMPILER = CONTRACTS / "solc.cjs"

PROXY_SOURCE = "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol"
PUBLISHED = {
    "DigitalCurrency": "src/DigitalCurrency.sol",
    "DigitalCurrencyWithBatchEvents": "src/DigitalCurrencyWithBatchEvents.sol",
    "Administration": "src/Administration.sol",
    "ERC1967Proxy": PROXY_SOURCE,
    "Settlement": "src/Settlement.sol",
    "Trades": "src/Trades.sol",
}
# The structure behind a namespaced slot, printed by a contract that is never deployed.
LAYOUTS = dict.fromkeys(
    ("DigitalCurrency", "DigitalCurrencyWithBatchEvents", "Administration"),
    ("src/DigitalCurrencyStorage.sol", "DigitalCurrencyLayout"),
)

# 2394: transient storage outlives a call. Ours is zero again when it ends (NetPositions.sol, the guard).
# 3628: a payable fallback without receive. Ether sent along reverts in Administration, which takes none.
EXPECTED_WARNINGS = {"2394", "3628"}

IMPORT = re.compile(r'^import\s[^"]*"([^"]+)";', re.MULTILINE)

SETTINGS: dict[str, Any] = {
    "evmVersion": "prague",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 2000},
    "metadata": {"appendCBOR": False, "bytecodeHash": "none"},
    "outputSelection": {
        "*": {
            "*": [
                "abi",
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
                "evm.methodIdentifiers",
                "storageLayout",
            ]
        }
    },
}


class CompilationFailed(Exception):
    """The compiler refused the sources; the message is its own."""

    code = "CompilationFailed"


def find_missing_tools() -> str | None:
    """Say what a build lacks on this machine, or None."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (NODE_MODULES / "solc").is_dir() or not (NODE_MODULES / "@openzeppelin").is_dir():
        return "the Node tools are not installed (npm ci)"
    return None


def collect_sources(entries: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Read the given units and everything they import, keyed by names that hold no machine's path."""
    collected: dict[str, dict[str, str]] = {}
    pending = list(entries.values())
    while pending:
        unit = pending.pop()
        if unit in collected:
            continue
        root = NODE_MODULES if unit.startswith("@") else CONTRACTS
        content = (root / unit).read_text(encoding="utf-8")
        collected[unit] = {"content": content}
        pending.extend(_resolve(unit, target) for target in IMPORT.findall(content))
    return dict(sorted(collected.items()))


def _resolve(importer: str, target: str) -> str:
    if not target.startswith("."):
        return target
    parts = importer.split("/")[:-1]
    for step in target.split("/"):
        if step == "..":
            parts.pop()
        elif step != ".":
            parts.append(step)
    return "/".join(parts)


def compile_units(entries: Mapping[str, str]) -> dict[str, Any]:
    """Compile through standard-json and return the compiler's ``contracts`` output.

    Raises CompilationFailed with the compiler's own messages.
    """
    import solcx
    from solcx.exceptions import SolcError

    standard_json = {
        "language": "Solidity",
        "sources": collect_sources(entries),
        "settings": SETTINGS,
    }
    try:
        output: dict[str, Any] = solcx.compile_standard(standard_json, solc_binary=str(COMPILER))
    except SolcError as refusal:
        raise CompilationFailed(refusal.message) from refusal
    for problem in output.get("errors", []):
        if problem["errorCode"] not in EXPECTED_WARNINGS:
            print(problem["formattedMessage"], file=sys.stderr)
    contracts: dict[str, Any] = output["contracts"]
    return contracts


def build() -> dict[str, str]:
    """Compile everything and return the text of each artifact by contract name."""
    layout_units = {name: unit for unit, name in sorted(set(LAYOUTS.values()))}
    contracts = compile_units({**PUBLISHED, **layout_units})
    version = _compiler_version()
    artifacts = {}
    for name, unit in PUBLISHED.items():
        compiled = contracts[unit][name]
        layout_unit, layout_name = LAYOUTS.get(name, (unit, name))
        deployed = compiled["evm"]["deployedBytecode"]
        artifact = {
            "contractName": name,
            "sourceName": unit,
            "compiler": version,
            "abi": compiled["abi"],
            "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
            "deployedBytecode": "0x" + deployed["object"],
            "immutableOffsets": sorted(
                place["start"] for places in deployed["immutableReferences"].values() for place in places
            ),
            "methodIdentifiers": compiled["evm"]["methodIdentifiers"],
            "storageLayout": _readable_layout(contracts[layout_unit][layout_name]["storageLayout"]),
        }
        artifacts[name] = _render(artifact)
    return artifacts


def _compiler_version() -> str:
    from solcx.wrapper import get_solc_version

    return str(get_solc_version(COMPILER, with_commit_hash=True))


def _readable_layout(layout: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Members with their slots and types, without the compiler's own numbering of syntax nodes."""
    rows: list[dict[str, Any]] = []
    types = layout.get("types") or {}
    for variable in layout["storage"]:
        rows.extend(_rows(types, variable, int(variable["slot"]), ""))
    return rows


def _rows(
    types: Mapping[str, Any], variable: Mapping[str, Any], slot: int, prefix: str
) -> list[dict[str, Any]]:
    described = types[variable["type"]]
    if "members" in described:
        return [
            row
            for member in described["members"]
            for row in _rows(types, member, slot + int(member["slot"]), prefix)
        ]
    row = {
        "member": prefix + variable["label"],
        "slot": slot,
        "offset": variable["offset"],
        "bytes": int(described["numberOfBytes"]),
        "type": described["label"],
    }
    value = types.get(described.get("value", ""), {})
    if "members" not in value:
        return [row]
    inner = [
        inside for member in value["members"] for inside in _rows(types, member, int(member["slot"]), "")
    ]
    return [{**row, "members": inner}]


def _render(artifact: Mapping[str, Any]) -> str:
    """One line for each key, each ABI entry and each layout row: small, and readable in a diff."""
    lines = []
    for key, value in artifact.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            entries = ",\n".join("    " + json.dumps(entry, separators=(",", ":")) for entry in value)
            lines.append(f"  {json.dumps(key)}: [\n{entries}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def check(artifacts: Mapping[str, str]) -> list[str]:
    """Name every artifact that the sources do not reproduce byte for byte."""
    stale = []
    for name, text in artifacts.items():
        path = ARTIFACTS / f"{name}.json"
        if not path.is_file() or path.read_bytes() != text.encode():
            stale.append(path.name)
    known = {f"{name}.json" for name in artifacts}
    stale.extend(path.name for path in ARTIFACTS.glob("*.json") if path.name not in known)
    return sorted(stale)


def main() -> int:
    """Rebuild the artifacts, or with ``--check`` only compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    missing = find_missing_tools()
    if missing is not None:
        print(f"contracts: {missing}: the committed artifacts are used as they are, unproven on this machine")
        return 0 if arguments.check else 1
    try:
        artifacts = build()
    except CompilationFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    if arguments.check:
        stale = check(artifacts)
        print(f"contracts: these artifacts do not match the sources: {', '.join(stale)}" if stale else "ok")
        return 1 if stale else 0
    ARTIFACTS.mkdir(exist_ok=True)
    for name, text in artifacts.items():
        (ARTIFACTS / f"{name}.json").write_bytes(text.encode())
        print(f"contracts: wrote {name}.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
