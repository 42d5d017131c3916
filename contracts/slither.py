"""What slither says against the contracts, held against the reasons that are written down.

``python -m contracts.slither`` runs every detector over the sources. Each finding above informational must
be explained in ``slither_findings.json`` by its text without line numbers; an unexplained finding fails, and
so does an explanation that no finding matches any more. Without Node it says so and succeeds.
"""

import inspect
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

from contracts.compile import (
    COMPILER,
    PUBLISHED,
    SETTINGS,
    collect_sources,
    find_missing_tools,
    run_compiler,
)

EXPLANATIONS = Path(__file__).parent / "slither_findings.json"
IMPACTS = ("High", "Medium", "Low")

# " (src/Payments.sol#53-94)": where a finding is moves with every edit; what it says does not.
SILENCER = "slither-disable"
PLACE = re.compile(r" \([^()\s]+\.sol#[\d-]+\)")


class Finding(NamedTuple):
    """A detector's name and what it found."""

    check: str
    text: str


class Verdict(NamedTuple):
    """What has to be mended or explained, and which explanations explain nothing."""

    unexplained: list[Finding]
    stale: list[Finding]

    @property
    def is_clean(self) -> bool:
        """True if findings and explanations match one to one."""
        return not self.unexplained and not self.stale


def read_finding(result: Mapping[str, Any]) -> Finding:
    """Return what a detector's result says, the same after edits elsewhere in the file."""
    lines = [PLACE.sub("", line).strip() for line in result["description"].splitlines()]
    runs = groupby(filter(None, lines), key=lambda line: line.startswith("-"))
    ordered = [sorted(run) if is_list else list(run) for is_list, run in runs]
    return Finding(result["check"], " ".join(chain.from_iterable(ordered)))


def find_silenced(sources: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Name our own units that tell slither to look away: a reason belongs into the explanations."""
    return [
        name for name, source in sources.items() if name.startswith("src/") and SILENCER in source["content"]
    ]


def compare(findings: Iterable[Finding], explanations: Sequence[Mapping[str, str]]) -> Verdict:
    """Hold findings against explanations. Raises ValueError for an explanation without a reason."""
    explained = [Finding(each["check"], each["finding"]) for each in explanations]
    for each in explanations:
        if not each["reason"].strip():
            raise ValueError(f"{each['check']} is explained without a reason: {each['finding']}")
    found = sorted(set(findings))
    return Verdict(
        [finding for finding in found if finding not in explained],
        [finding for finding in explained if finding not in found],
    )


def analyse(sources: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Run every detector over the sources by unit name and return the findings above informational.

    Raises CompilationFailed.
    """
    from slither import Slither
    from slither.detectors import all_detectors
    from slither.detectors.abstract_detector import AbstractDetector

    with tempfile.TemporaryDirectory() as directory:
        slither = Slither(_compile(sources, Path(directory)))
        for _, detector in inspect.getmembers(all_detectors, inspect.isclass):
            if issubclass(detector, AbstractDetector) and detector is not AbstractDetector:
                slither.register_detector(detector)
        results = [result for found in slither.run_detectors() for result in found or []]
    return sorted({read_finding(result) for result in results if result["impact"] in IMPACTS})


def _compile(sources: Mapping[str, Mapping[str, str]], directory: Path) -> Any:
    """Return crytic-compile's view of the syntax trees: all that detectors read, and faster than code."""
    from crytic_compile import CryticCompile
    from crytic_compile.compilation_unit import CompilationUnit
    from crytic_compile.compiler.compiler import CompilerVersion
    from crytic_compile.platform.solc_standard_json import SolcStandardJson, parse_standard_json_output
    from solcx.wrapper import get_solc_version

    for unit, source in sources.items():
        path = directory / unit
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source["content"], encoding="utf-8")
    settings = {
        "evmVersion": SETTINGS["evmVersion"],
        "outputSelection": {"*": {"*": ["abi", "devdoc", "userdoc"], "": ["ast"]}},
    }
    output = run_compiler({"language": "Solidity", "sources": sources, "settings": settings})
    for contracts in output["contracts"].values():
        for contract in contracts.values():
            code = {"object": "", "sourceMap": ""}
            contract["evm"] = {"bytecode": code, "deployedBytecode": code}

    class Compiled(SolcStandardJson):  # type: ignore[misc]
        def compile(self, crytic_compile: Any, **_: str) -> None:
            unit = CompilationUnit(crytic_compile, "florin")
            unit.compiler_version = CompilerVersion(
                compiler="solc", version=str(get_solc_version(COMPILER)), optimized=False
            )
            parse_standard_json_output(output, unit, solc_working_dir=str(directory))

    return CryticCompile(Compiled({}))


def main() -> int:
    """Print what is unexplained or stale; 0 if nothing is."""
    missing = find_missing_tools()
    if missing is not None:
        print(f"slither: {missing}: the contracts are not analysed on this machine")
        return 0
    explanations = json.loads(EXPLANATIONS.read_text(encoding="utf-8"))
    sources = collect_sources(PUBLISHED)
    findings = analyse(sources)
    verdict = compare(findings, explanations)
    for finding in verdict.unexplained:
        entry = {"check": finding.check, "finding": finding.text, "reason": ""}
        print(f"slither: mend this, or explain it in {EXPLANATIONS.name}:\n{json.dumps(entry, indent=2)}")
    for finding in verdict.stale:
        print(f"slither: explained, but not found any more: {finding.check}: {finding.text}")
    silenced = find_silenced(sources)
    for name in silenced:
        print(f"slither: {name} silences it: explain the finding in {EXPLANATIONS.name} instead")
    if silenced or not verdict.is_clean:
        return 1
    print(f"slither: {len(findings)} findings above informational, each explained in {EXPLANATIONS.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
