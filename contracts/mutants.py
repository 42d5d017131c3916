"""Do the tests notice? ``python -m contracts.mutants`` breaks the contracts in small ways, one at a time.

Each mutant is compiled in a copy of the checkout and run against the tests of the contracts until one fails.
A mutant that does not compile, or compiles to the same code, does not count. One that no test notices
survives: it needs a test, or a reason in ``mutant_survivors.json``. Prints a table, writes the report, and
ends with 1 for a survivor without a reason, or a reason for a mutant that is killed or gone.
"""

import argparse
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from contracts.compile import CONTRACTS, SOURCES, build, find_dependents, find_missing_tools
from contracts.durable import write_durably
from contracts.mutation import Mutant, generate, sample

ROOT = CONTRACTS.parent
EXPLANATIONS = CONTRACTS / "mutant_survivors.json"
OUTPUT = Path("build/mutants.json")
TESTS = Path("tests/contracts")
# These judge the tools and what is committed, not what the contracts do.
NOT_BEHAVIOUR = {
    "test_artifacts.py",
    "test_gas.py",
    "test_mutation.py",
    "test_sizes.py",
    "test_slither.py",
}
KILLED, TIMED_OUT, SURVIVED = "killed", "killed by time-out", "survived"
NOT_COMPILED, EQUIVALENT = "does not compile", "same code"
COMPILE_TIMEOUT_S = 300
PATIENCE = 6


class Result(NamedTuple):
    """What became of a mutant, and the test that noticed or the compiler's word."""

    mutant: Mutant
    outcome: str
    detail: str
    seconds: float


class Judgement(NamedTuple):
    """Survivors without a reason, and reasons for what no longer survives."""

    unexplained: list[Mutant]
    stale: list[Mapping[str, Any]]


def judge(
    results: Sequence[Result], candidates: Sequence[Mutant], explanations: Sequence[Mapping[str, Any]]
) -> Judgement:
    """Hold survivors against explanations. Raises ValueError for an explanation without a reason."""
    for each in explanations:
        if not each["reason"].strip():
            raise ValueError(f"a survivor is explained without a reason: {each['before']}")
    explained = {_explained_key(each) for each in explanations}
    survivors = [result.mutant for result in results if result.outcome == SURVIVED]
    killed = {result.mutant.key for result in results if result.outcome != SURVIVED}
    possible = {mutant.key for mutant in candidates}
    return Judgement(
        [mutant for mutant in survivors if mutant.key not in explained],
        [each for each in explanations if (key := _explained_key(each)) in killed or key not in possible],
    )


def _explained_key(entry: Mapping[str, Any]) -> tuple[str, str, str, int]:
    return entry["unit"], entry["before"], entry["after"], entry.get("ordinal", 1)


def read_sources() -> dict[str, str]:
    """Return our sources by name; interfaces have nothing that runs."""
    return {
        path.relative_to(SOURCES).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(SOURCES.rglob("*.sol"))
        if "interfaces" not in path.relative_to(SOURCES).parts
    }


# ------------------------------------------------------------------------------------------ a copy to break


class Workshop:
    """A copy of the checkout, with the artifacts of its sources, in which one mutant at a time is tried."""

    def __init__(self, directory: Path, artifacts: Mapping[str, str]) -> None:
        """Copy what git tracks, as it is now, with the artifacts that its sources give, by contract name."""
        self.directory, self._sound = directory, artifacts
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and name != "node_modules":
                target = directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        (directory / "node_modules").symlink_to((ROOT / "node_modules").resolve())
        self._write_artifacts(artifacts)

    def _artifact(self, name: str) -> Path:
        return self.directory / "contracts" / "artifacts" / f"{name}.json"

    def _write_artifacts(self, artifacts: Mapping[str, str]) -> None:
        for name, text in artifacts.items():
            self._artifact(name).write_text(text, encoding="utf-8")

    def _is_changed(self, names: Sequence[str]) -> bool:
        """Tell whether one of these contracts would be deployed with other code than without the mutation."""
        return any(
            json.loads(self._artifact(name).read_text(encoding="utf-8"))["bytecode"]
            != json.loads(self._sound[name])["bytecode"]
            for name in names
        )

    def _run(self, arguments: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy; on a time-out, end all that it started. Raises TimeoutExpired."""
        environment = {**os.environ, "PYTHONPATH": str(self.directory), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, output, "")

    def time_tests(self) -> dict[str, float]:
        """Return the seconds that each file of tests takes without a mutation.

        Raises RuntimeError if one fails.
        """
        durations = {}
        for path in sorted((self.directory / TESTS).glob("test_*.py")):
            if path.name in NOT_BEHAVIOUR:
                continue
            began = time.monotonic()
            run = self._test([f"{TESTS}/{path.name}"], COMPILE_TIMEOUT_S)
            if run.returncode != 0:
                raise RuntimeError(f"{path.name} fails without a mutation:\n{run.stdout[-2_000:]}")
            durations[f"{TESTS}/{path.name}"] = time.monotonic() - began
        return durations

    def _test(self, files: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        return self._run(["-m", "pytest", *options, *files], timeout_s)

    def try_out(self, mutant: Mutant, files: Sequence[str], timeout_s: float) -> Result:
        """Write, compile and test a mutant, and put source and artifacts back."""
        dependents = find_dependents(mutant.unit)
        path = self.directory / "contracts" / "src" / mutant.unit
        source = path.read_text(encoding="utf-8")
        began = time.monotonic()
        try:
            path.write_text(mutant.apply(source), encoding="utf-8")
            outcome, detail = self._judge(dependents, files, timeout_s)
        finally:
            path.write_text(source, encoding="utf-8")
            self._write_artifacts({name: self._sound[name] for name in dependents})
        return Result(mutant, outcome, detail, round(time.monotonic() - began, 1))

    def _judge(self, dependents: Sequence[str], files: Sequence[str], timeout_s: float) -> tuple[str, str]:
        compiled = self._run(["-m", "contracts.compile", *dependents], COMPILE_TIMEOUT_S)
        if compiled.returncode != 0:
            return NOT_COMPILED, next((line for line in compiled.stdout.splitlines() if "Error" in line), "")
        if not self._is_changed(dependents):
            return EQUIVALENT, ""
        try:
            run = self._test(files, timeout_s)
        except subprocess.TimeoutExpired:
            return TIMED_OUT, f"more than {timeout_s:.0f} s, where the tests without a mutation pass in less"
        if run.returncode == 0:
            return SURVIVED, ""
        noticed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return KILLED, noticed[0].split(" - ")[0] if noticed else f"pytest ended with {run.returncode}"


# ------------------------------------------------------------------------------------------ the run


def run_all(candidates: Sequence[Mutant], count: int, workers: int) -> Iterator[Result]:
    """Try mutants in the order of their sample until ``count`` have counted; yield each result."""
    drawn = iter(sample(candidates, len(candidates)))
    artifacts = build()
    with tempfile.TemporaryDirectory(prefix="florin-mutants-") as directory:
        workshops: queue.Queue[Workshop] = queue.Queue()
        for number in range(workers):
            workshops.put(Workshop(Path(directory) / str(number), artifacts))
        first = workshops.get()
        durations = first.time_tests()
        workshops.put(first)
        files = sorted(durations, key=lambda name: durations[name])
        timeout_s = 60 + PATIENCE * sum(durations.values())

        def try_out(mutant: Mutant) -> Result:
            workshop = workshops.get()
            try:
                return workshop.try_out(mutant, files, timeout_s)
            finally:
                workshops.put(workshop)

        counted = 0
        with ThreadPoolExecutor(workers) as pool:
            while counted < count:
                batch = [mutant for mutant, _ in zip(drawn, range(count - counted), strict=False)]
                if not batch:
                    return
                for result in pool.map(try_out, batch):
                    counted += result.outcome not in (NOT_COMPILED, EQUIVALENT)
                    yield result


def write_report(path: Path, results: Sequence[Result], judgement: Judgement) -> dict[str, Any]:
    """Write what was found, and return it."""
    outcomes = Counter(result.outcome for result in results)
    counted = outcomes[KILLED] + outcomes[TIMED_OUT] + outcomes[SURVIVED]
    report = {
        "command": "make mutants",
        "counted": counted,
        "killed": counted - outcomes[SURVIVED],
        "score": round((counted - outcomes[SURVIVED]) / counted, 3) if counted else None,
        "outcomes": dict(outcomes),
        "unexplained": [mutant.key for mutant in judgement.unexplained],
        "mutants": [
            {
                "unit": result.mutant.unit,
                "operator": result.mutant.operator,
                "before": result.mutant.before,
                "after": result.mutant.after,
                "ordinal": result.mutant.ordinal,
                "outcome": result.outcome,
                "detail": result.detail,
                "seconds": result.seconds,
            }
            for result in results
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, (json.dumps(report, indent=2) + "\n").encode())
    return report


def main() -> int:
    """Run the mutants; 0 if each one was killed or is explained."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=80, help="how many have to count (default 80)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--unit", help="only this source, by its name")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    missing = find_missing_tools()
    if missing is not None:
        print(f"mutants: {missing}: nothing can be compiled on this machine")
        return 1
    every = generate(read_sources())
    # asked to stop, it removes its copies as it does for Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    candidates = [mutant for mutant in every if options.unit in (None, mutant.unit)]
    explanations = json.loads(EXPLANATIONS.read_text(encoding="utf-8"))
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results: list[Result] = []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Mutants", total=options.count)
        for result in run_all(candidates, options.count, options.workers):
            results.append(result)
            line = f"{result.outcome}: {result.mutant.unit}: {result.mutant.operator}: {result.mutant.before}"
            progress.console.print(line, highlight=False, markup=False, soft_wrap=True)
            progress.update(task, advance=result.outcome not in (NOT_COMPILED, EQUIVALENT))
    judgement = judge(results, every, explanations)
    report = write_report(options.output, results, judgement)
    _print(console, results, judgement, report)
    return 1 if judgement.unexplained or judgement.stale or not report["counted"] else 0


def _print(console: Any, results: Sequence[Result], judgement: Judgement, report: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="Mutants")
    for heading in ("operator", KILLED, TIMED_OUT, SURVIVED, NOT_COMPILED, EQUIVALENT):
        table.add_column(heading, justify="left" if heading == "operator" else "right")
    tally = Counter((result.mutant.operator, result.outcome) for result in results)
    for operator in sorted({result.mutant.operator for result in results}):
        counts = [
            tally[operator, outcome] for outcome in (KILLED, TIMED_OUT, SURVIVED, NOT_COMPILED, EQUIVALENT)
        ]
        table.add_row(operator, *(str(count or "") for count in counts))
    console.print(table)
    unexplained = {mutant.key for mutant in judgement.unexplained}
    for result in results:
        if result.outcome == SURVIVED:
            mark = "UNEXPLAINED" if result.mutant.key in unexplained else "explained"
            lines = (
                f"survived, {mark}: {result.mutant.unit}",
                f"    - {result.mutant.before}",
                f"    + {result.mutant.after}",
            )
            console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    for entry in judgement.stale:
        console.print(
            f"explained, but killed or gone: {entry['unit']}: {entry['after']}", highlight=False, markup=False
        )
    console.print(f"{report['killed']} of {report['counted']} killed", highlight=False)


if __name__ == "__main__":
    raise SystemExit(main())
