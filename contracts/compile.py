"""Build the committed artifacts from the Solidity sources, or prove that they match.

``python -m contracts.compile`` rebuilds ``artifacts/``, or those of the contracts that are named; ``--check``
rebuilds in memory and compares, byte for byte. Nobody needs Node to run or test Florin: without it
``--check`` says so and succeeds.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Collection, Mapping
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
    "Notary": "src/Notary.sol",
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


def collect_sources(
    entries: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Read the given units and everything they import, keyed by names that hold no machine's path.

    ``moved`` tells for the start of a unit's name where npm keeps it instead.
    """
    collected: dict[str, dict[str, str]] = {}
    pending = list(entries.values())
    while pending:
        unit = pending.pop()
        if unit in collected:
            continue
        content = _locate(unit, moved or {}).read_text(encoding="utf-8")
        collected[unit] = {"content": content}
        pending.extend(_resolve(unit, target) for target in IMPORT.findall(content))
    return dict(sorted(collected.items()))


def _locate(unit: str, moved: Mapping[str, str]) -> Path:
    for start, place in moved.items():
        if unit.startswith(start):
            return NODE_MODULES / (place + unit.removeprefix(start))
    ours = CONTRACTS / unit
    return ours if ours.is_file() else NODE_MODULES / unit


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


def compile_units(entries: Mapping[str, str], wanted: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Compile through standard-json and return the compiler's ``contracts`` output.

    Code is made for ``wanted``, or for every contract there is. The compiler numbers what it reads, so it
    gets the same sources either way, and makes the same code. Raises CompilationFailed with its own messages.
    """
    settings = dict(SETTINGS)
    if wanted is not None:
        selection: dict[str, dict[str, list[str]]] = {}
        for name, unit in wanted.items():
            selection.setdefault(unit, {})[name] = SETTINGS["outputSelection"]["*"]["*"]
        settings["outputSelection"] = selection
    output = run_compiler({"language": "Solidity", "sources": collect_sources(entries), "settings": settings})
    contracts: dict[str, Any] = output["contracts"]
    return contracts


def run_compiler(standard_json: dict[str, Any], compiler: Path = COMPILER) -> dict[str, Any]:
    """Return the compiler's answer; its warnings of our sources are printed. Raises CompilationFailed."""
    import solcx
    from solcx.exceptions import SolcError

    try:
        output: dict[str, Any] = solcx.compile_standard(standard_json, solc_binary=str(compiler))
    except SolcError as refusal:
        raise CompilationFailed(refusal.message) from refusal
    for problem in output.get("errors", []):
        unit = problem.get("sourceLocation", {}).get("file", "src")
        if (CONTRACTS / unit).exists() and problem["errorCode"] not in EXPECTED_WARNINGS:
            print(problem["formattedMessage"], file=sys.stderr)
    return output


def find_dependents(source: str) -> list[str]:
    """Name the contracts whose code can depend on one of our sources, by its name in ``src/``."""
    return [name for name, unit in PUBLISHED.items() if f"src/{source}" in collect_sources({name: unit})]


def build(names: Collection[str] = ()) -> dict[str, str]:
    """Compile everything, or just these contracts; return the text of each artifact by contract name.

    Raises CompilationFailed, and KeyError for a name that is none of ours.
    """
    layout_units = {name: unit for unit, name in sorted(set(LAYOUTS.values()))}
    wanted = {name: PUBLISHED[name] for name in names or PUBLISHED}
    wanted_layouts = {LAYOUTS[name][1]: LAYOUTS[name][0] for name in wanted if name in LAYOUTS}
    contracts = compile_units({**PUBLISHED, **layout_units}, {**wanted, **wanted_layouts} if names else None)
    version = _compiler_version()
    artifacts = {}
    for name, unit in wanted.items():
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
    parser.add_argument("names", nargs="*", metavar="CONTRACT", help="only this one")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(PUBLISHED)
    if unknown or (arguments.names and arguments.check):
        parser.error(f"no contract of ours: {', '.join(unknown)}" if unknown else "--check compares them all")
    missing = find_missing_tools()
    if missing is not None:
        print(f"contracts: {missing}: the committed artifacts are used as they are, unproven on this machine")
        return 0 if arguments.check else 1
    try:
        artifacts = build(arguments.names)
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
