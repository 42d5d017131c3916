"""Small wrongs that a programmer could have written into the contracts.

A mutant is one edit by one operator at one place. Operators are patterns over the source without its comments
and strings, so that the list follows the sources; a mutant is known by its line before and after, not by a
line number.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple

COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.DOTALL)

FLIPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
NARROWER = {"16": "8", "24": "16", "32": "24", "64": "56", "80": "72", "96": "88", "256": "248"}


class Mutant(NamedTuple):
    """One edit: the file's name, the operator, where in the text, and the line before and after it."""

    unit: str
    operator: str
    start: int
    end: int
    replacement: str
    before: str
    after: str
    ordinal: int = 1

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What it is known by, the same after edits elsewhere; equal edits of equal lines are counted."""
        return self.unit, self.before, self.after, self.ordinal

    def apply(self, source: str) -> str:
        """Return the source with the edit."""
        return source[: self.start] + self.replacement + source[self.end :]


class Operator(NamedTuple):
    """A kind of wrong: what it looks for, and what it writes instead."""

    name: str
    pattern: re.Pattern[str]
    rewrite: Callable[[re.Match[str]], str]


def _nothing(_: re.Match[str]) -> str:
    return ""


def _arguments(depth: int = 3) -> str:
    """Return a pattern of balanced parentheses, so many levels deep."""
    pattern = r"\([^()]*\)"
    for _ in range(depth):
        pattern = rf"\((?:[^()]|{pattern})*\)"
    return pattern


BALANCED = _arguments()

OPERATORS = (
    Operator("flip comparison", re.compile(r"(?<=[\w)\]] )(<=|>=|==|!=|<|>)(?= )"), lambda m: FLIPS[m[1]]),
    Operator("drop require", re.compile(rf"if {BALANCED} (?:revert|return) [^;{{}}]+;"), _nothing),
    Operator("skip event", re.compile(rf"\bemit \w+{BALANCED};"), _nothing),
    Operator("drop modifier", re.compile(r"\bonlyRole\(\w+\)|\bwhenNotPaused\b(?!\()"), _nothing),
    Operator("swap sum", re.compile(r"(?<=[\w)\]] )([+-])(?= )"), lambda m: "-" if m[1] == "+" else "+"),
    Operator("off by one", re.compile(r"(?<=[ (])1(?=[);,]| [^da-z<])"), lambda _: "2"),
    Operator("swap and with or", re.compile(r"&&|\|\|"), lambda m: "||" if m[0] == "&&" else "&&"),
    Operator("swap bits", re.compile(r"(?<= )([|&])(?= )"), lambda m: "&" if m[1] == "|" else "|"),
    Operator(
        "narrow mask",
        re.compile(r"type\(uint(16|24|32|64|80|96|256)\)"),
        lambda m: f"type(uint{NARROWER[m[1]]})",
    ),
    Operator("narrow mask in assembly", re.compile(r"0xff(f{6,62})\b"), lambda m: "0x" + m[1]),
    Operator("shift by less", re.compile(r"(?<=sh[lr]\()(\d+)(?=,)"), lambda m: str(int(m[1]) - 1)),
    Operator("flip in assembly", re.compile(r"\b([gl])t(?=\()"), lambda m: "lt" if m[1] == "g" else "gt"),
    Operator(
        "drop objection", re.compile(r"\bobjections := or\(objections, [^\n]+\)$", re.MULTILINE), _nothing
    ),
    Operator("negate in assembly", re.compile(r"\biszero(?=\()"), lambda _: "not"),
    Operator("drop store", re.compile(r"^ *(?:s?store\([^;\n]+\);?|delete [^;]+;)$", re.MULTILINE), _nothing),
    Operator(
        "drop assignment",
        re.compile(r"^ *(?:[$\w.]+(?:\[[^;\n]*\])*(?:\.\w+)?) [-+|]?= [^;\n]+;$", re.MULTILINE),
        _nothing,
    ),
    Operator("drop call", re.compile(rf"^ *_\w+{BALANCED};$", re.MULTILINE), _nothing),
    Operator(
        "swap operands",
        re.compile(r"()\b(?<=\()(payer|payee|spender|owner|msg\.sender), (payer|payee|spender|owner)\b"),
        lambda m: f"{m[3]}, {m[2]}",
    ),
    Operator(
        "swap branches", re.compile(r"\? ([\w.()\[\] -]+) : ([\w.()]+)"), lambda m: f"? {m[2]} : {m[1]}"
    ),
    Operator("drop complement", re.compile(r"~(?=[A-Z(])"), _nothing),
)


def generate(sources: Mapping[str, str]) -> list[Mutant]:
    """Return every mutant of every source by name; an edit that two operators make is there once."""
    mutants: list[Mutant] = []
    for unit, source in sorted(sources.items()):
        results: set[str] = set()
        edits: Counter[tuple[str, str]] = Counter()
        for mutant in _mutate(unit, source):
            result = mutant.apply(source)
            if result not in results:
                results.add(result)
                edits[mutant.before, mutant.after] += 1
                mutants.append(mutant._replace(ordinal=edits[mutant.before, mutant.after]))
    return mutants


def _mutate(unit: str, source: str) -> Iterator[Mutant]:
    masked = COMMENT_OR_STRING.sub(lambda match: re.sub(r"[^\n]", "\0", match[0]), source)
    for operator in OPERATORS:
        for match in operator.pattern.finditer(masked):
            if "\0" in match[0]:
                continue
            replacement = operator.rewrite(match)
            line_start = source.rfind("\n", 0, match.start()) + 1
            line_end = source.find("\n", match.end())
            before = source[line_start:line_end]
            after = source[line_start : match.start()] + replacement + source[match.end() : line_end]
            edit = (match.start(), match.end(), replacement)
            yield Mutant(unit, operator.name, *edit, before=_squeeze(before), after=_squeeze(after))


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def sample(mutants: Iterable[Mutant], count: int) -> list[Mutant]:
    """Draw mutants, the same every time: files in turn, and from each the operator that was drawn least."""
    waiting: dict[str, list[Mutant]] = {}
    for mutant in sorted(mutants, key=_lot):
        waiting.setdefault(mutant.unit, []).append(mutant)
    drawn: list[Mutant] = []
    used: Counter[str] = Counter()
    while len(drawn) < count and any(waiting.values()):
        for unit in sorted(waiting):
            if waiting[unit] and len(drawn) < count:
                chosen = min(waiting[unit], key=lambda mutant: used[mutant.operator])
                waiting[unit].remove(chosen)
                used[chosen.operator] += 1
                drawn.append(chosen)
    return drawn


def _lot(mutant: Mutant) -> str:
    return sha256("\0".join(map(str, mutant.key)).encode()).hexdigest()
