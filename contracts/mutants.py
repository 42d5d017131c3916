"""Do the tests notice? ``python -m contracts.mutants`` breaks the contracts in small ways, one at a time.

Each mutant is compiled in a copy of the checkout and run against the tests of the contracts until one fails:
first what noticed earlier mutants of its source, then what is named like it, in the end all of them. What was
found is kept under ``build/`` while sources and tests stay as they are, so that a broken-off run goes on.
A mutant that does not compile, or compiles to the same code, does not count. One that no test notices
survives: it needs a test, or a reason in ``mutant_survivors.json``. Prints a table, writes the report, and
ends with 1 for a survivor without a reason, or a reason for a mutant that is killed or gone.
"""

import argparse
import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from contracts.compile import CONTRACTS, SOURCES, build, find_dependents, find_missing_tools
from contracts.durable import write_durably
from contracts.mutation import Mutant, generate, sample

ROOT = CONTRACTS.parent
EXPLANATIONS = CONTRACTS / "mutant_survivors.json"
OUTPUT = Path("build/mutants.json")
KEPT = ROOT / "build" / "mutants_kept.json"
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
# All tests once: ten times what they take on two idle cores.
TESTS_TIMEOUT_S = 1_800
WORD = re.compile(r"[A-Z]?[a-z]+")
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


# ------------------------------------------------------------------------------------------ what is known


def order_files(
    unit: str, dependents: Sequence[str], durations: Mapping[str, float], noticed: Mapping[str, int]
) -> list[str]:
    """Return every file of tests, the likeliest to notice a mutant of ``unit`` first, else the shortest.

    Likely are those that ``noticed`` (how often, by file) mutants of the unit before; then those that share a
    word of their name with the unit; then with a contract that it is part of.
    """
    own = _words(unit.removesuffix(".sol"))
    theirs = {word for name in dependents for word in _words(name)}

    def place(file: str) -> tuple[int, int, int, float]:
        words = _words(Path(file).stem)
        return -noticed.get(file, 0), -len(words & own), -len(words & theirs), durations[file]

    return sorted(durations, key=place)


def _words(name: str) -> set[str]:
    """Return the words of a name in either style, without an s at their end."""
    return {word.lower().removesuffix("s") for word in WORD.findall(name)}


def fingerprint() -> str:
    """Return a hash of all that decides what becomes of a mutant: sources, tests, and what both run on."""
    digest = sha256(Path(ROOT / "package-lock.json").read_bytes())
    digest.update((ROOT / "requirements.lock").read_bytes())
    places = [*CONTRACTS.glob("*.py"), *CONTRACTS.glob("*.cjs"), ROOT / "tests" / "conftest.py"]
    for path in sorted([*places, *SOURCES.rglob("*.sol"), *(ROOT / TESTS).glob("*.py")]):
        digest.update(f"{path.relative_to(ROOT)}\0{sha256(path.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


class Kept:
    """Durations by file and results by mutant, of sources and tests as they are now; safe among threads."""

    def __init__(self, path: Path, of: str) -> None:
        """Read what was found before; what was found of other sources or tests (``of``) is forgotten."""
        self._path, self._of, self._lock = path, of, threading.Lock()
        self.durations: dict[str, float] = {}
        self._results: dict[tuple[str, str, str, int], tuple[str, str, float]] = {}
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["of"] == of:
                self.durations = kept["durations"]
                self._results = {tuple(key): tuple(found) for key, found in kept["results"]}

    def find(self, mutant: Mutant) -> Result | None:
        """Return what became of a mutant, if it is known."""
        with self._lock:
            found = self._results.get(mutant.key)
        return None if found is None else Result(mutant, *found)

    def noticed(self, unit: str) -> Counter[str]:
        """Count, by file of tests, how many mutants of a unit it killed."""
        with self._lock:
            results = list(self._results.items())
        words = (
            detail.split() for key, (outcome, detail, _) in results if (key[0], outcome) == (unit, KILLED)
        )
        return Counter(each[1].partition("::")[0] for each in words if len(each) > 1)

    def add(self, result: Result) -> None:
        """Remember a result, also over the end of this process."""
        with self._lock:
            self._results[result.mutant.key] = (result.outcome, result.detail, result.seconds)
            self._write()

    def time(self, durations: Mapping[str, float]) -> None:
        """Remember the seconds that each file of tests takes without a mutation."""
        with self._lock:
            self.durations = dict(durations)
            self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"of": self._of, "durations": self.durations, "results": list(self._results.items())}
        write_durably(self._path, (json.dumps(kept, indent=1) + "\n").encode())


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
        bytecode = str(self.directory / "bytecode")
        environment = {**os.environ, "PYTHONPATH": str(self.directory), "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
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

    def time_tests(self, workers: int) -> dict[str, float]:
        """Return the seconds that each file of tests takes without a mutation, run by so many processes.

        Raises RuntimeError if one fails.
        """
        paths = (self.directory / TESTS).glob("test_*.py")
        files = [f"{TESTS}/{path.name}" for path in sorted(paths) if path.name not in NOT_BEHAVIOUR]
        report = self.directory / "timed.xml"
        run = self._test(
            [*files, "-n", str(workers), "--dist", "loadfile", f"--junitxml={report}"], TESTS_TIMEOUT_S
        )
        if run.returncode != 0:
            raise RuntimeError(f"the tests fail without a mutation:\n{run.stdout[-2_000:]}")
        durations = dict.fromkeys(files, 0.0)
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314  pytest wrote it
            # "tests.contracts.test_orders", or with a class after it
            name = "/".join(case.attrib["classname"].split(".")[:3]) + ".py"
            durations[name] += float(case.attrib["time"])
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


def run_all(candidates: Sequence[Mutant], count: int, workers: int, kept: Kept) -> Iterator[Result]:
    """Try mutants in the order of their sample until ``count`` have counted; yield each result."""
    drawn = iter(sample(candidates, len(candidates)))
    artifacts = build()
    with tempfile.TemporaryDirectory(prefix="florin-mutants-") as directory:
        workshops: queue.Queue[Workshop] = queue.Queue()
        first = Workshop(Path(directory) / "0", artifacts)
        if not kept.durations:
            kept.time(first.time_tests(workers))
        workshops.put(first)
        for number in range(1, workers):
            workshops.put(Workshop(Path(directory) / str(number), artifacts))
        timeout_s = 60 + PATIENCE * sum(kept.durations.values())

        def try_out(mutant: Mutant) -> Result:
            known = kept.find(mutant)
            if known is not None:
                return known
            files = order_files(
                mutant.unit, find_dependents(mutant.unit), kept.durations, kept.noticed(mutant.unit)
            )
            workshop = workshops.get()
            try:
                result = workshop.try_out(mutant, files, timeout_s)
            finally:
                workshops.put(workshop)
            kept.add(result)
            return result

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
        kept = Kept(KEPT, fingerprint())
        for result in run_all(candidates, options.count, options.workers, kept):
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
