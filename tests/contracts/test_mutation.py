"""The mutants that are made, drawn and judged."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.compile import ARTIFACTS, PUBLISHED, find_missing_tools
from contracts.mutants import (
    KILLED,
    SURVIVED,
    Kept,
    Result,
    Workshop,
    judge,
    order_files,
    read_sources,
)
from contracts.mutation import OPERATORS, Mutant, generate, sample


def edits(source: str) -> set[tuple[str, str]]:
    return {(mutant.operator, mutant.after) for mutant in generate({"A.sol": source + "\n"})}


@pytest.mark.parametrize(
    ("source", "operator", "after"),
    [
        ("if (a > b) revert C();", "flip comparison", "if (a >= b) revert C();"),
        ("if (a(b) >= c) revert D(e(f));", "drop require", ""),
        ("    if (a == 0) return Reason.B;", "drop require", ""),
        ("emit A(b, c(d));", "skip event", ""),
        ("function f() external onlyRole(GOVERNOR) {", "drop modifier", "function f() external {"),
        ("a = b + c;", "swap sum", "a = b - c;"),
        ("nonce := and(add(nonce, 1), 0xff)", "off by one", "nonce := and(add(nonce, 2), 0xff)"),
        ("if (a && b) c();", "swap and with or", "if (a || b) c();"),
        ("return a | b;", "swap bits", "return a & b;"),
        ("a = type(uint96).max;", "narrow mask", "a = type(uint88).max;"),
        ("x := and(y, 0xffffffff)", "narrow mask in assembly", "x := and(y, 0xffffff)"),
        ("x := shr(96, y)", "shift by less", "x := shr(95, y)"),
        ("x := gt(y, z)", "flip in assembly", "x := lt(y, z)"),
        ("objections := or(objections, gt(a, b))", "drop objection", ""),
        ("x := iszero(y)", "negate in assembly", "x := not(y)"),
        ("    store(slot, word);", "drop store", ""),
        ("    sstore(slot, sub(a, b))", "drop store", ""),
        ("    $.accounts[owner] = word;", "drop assignment", ""),
        ("    _clear();", "drop call", ""),
        ("_pay(payer, payee, amount);", "swap operands", "_pay(payee, payer, amount);"),
        ("return a ? b : c;", "swap branches", "return a ? c : b;"),
        ("return a & ~MASK;", "drop complement", "return a & MASK;"),
    ],
)
def test_every_operator_makes_its_wrong(source: str, operator: str, after: str) -> None:
    assert (operator, after) in edits(source)


@pytest.mark.parametrize(
    "source",
    ["// if (a > b) revert C();", "/* a + b */", 'revert("a == b");', "mapping(a => b) c;", "a = b << 96;"],
)
def test_comments_strings_arrows_and_shifts_are_left_alone(source: str) -> None:
    assert not {operator for operator, _ in edits(source)} & {"flip comparison", "swap sum", "drop require"}


def test_a_mutant_is_one_edit_of_the_source() -> None:
    source = "// a > b\nif (a > b) c();\n"
    (mutant,) = [each for each in generate({"A.sol": source}) if each.operator == "flip comparison"]
    assert mutant.apply(source) == "// a > b\nif (a >= b) c();\n"


def test_the_same_edit_of_equal_lines_is_told_apart() -> None:
    mutants = generate({"A.sol": "emit A(b);\nemit A(b);\n"})
    assert [mutant.ordinal for mutant in mutants] == [1, 2]
    assert len({mutant.key for mutant in mutants}) == 2


def test_a_mutant_keeps_its_key_when_lines_are_added_above() -> None:
    below = generate({"A.sol": "// new\n\nemit A(b);\n"})
    assert [mutant.key for mutant in below] == [mutant.key for mutant in generate({"A.sol": "emit A(b);\n"})]


def test_our_sources_have_mutants_of_every_operator_in_every_file_with_rules() -> None:
    mutants = generate(read_sources())
    assert {mutant.operator for mutant in mutants} == {operator.name for operator in OPERATORS}
    sources = read_sources()
    assert all(mutant.apply(sources[mutant.unit]) != sources[mutant.unit] for mutant in mutants)


def test_the_sample_is_the_same_every_time_and_spread_over_all_files() -> None:
    mutants = generate(read_sources())
    drawn = sample(mutants, 80)
    assert drawn == sample(reversed(mutants), 80)
    assert len({mutant.key for mutant in drawn}) == 80
    files = Counter(mutant.unit for mutant in drawn)
    assert set(files) == {mutant.unit for mutant in mutants}
    assert drawn[:20] == sample(mutants, 20)


def mutant(after: str) -> Mutant:
    return Mutant("A.sol", "swap sum", 0, 1, "-", "a + b", after)


def explanation(after: str, reason: str = "equal by symmetry") -> dict[str, Any]:
    return {"unit": "A.sol", "before": "a + b", "after": after, "reason": reason}


def test_a_survivor_needs_a_reason() -> None:
    survivor = Result(mutant("a - b"), SURVIVED, "", 1.0)
    assert judge([survivor], [survivor.mutant], []).unexplained == [survivor.mutant]
    assert judge([survivor], [survivor.mutant], [explanation("a - b")]) == ([], [])
    with pytest.raises(ValueError, match="without a reason"):
        judge([survivor], [survivor.mutant], [explanation("a - b", " ")])


def test_a_reason_for_a_mutant_that_is_killed_or_gone_is_stale_and_for_an_untried_one_it_is_not() -> None:
    killed = Result(mutant("a - b"), KILLED, "test", 1.0)
    untried = mutant("a * b")
    explanations = [explanation("a - b"), explanation("a * b"), explanation("a / b")]
    judgement = judge([killed], [killed.mutant, untried], explanations)
    assert judgement.stale == [explanations[0], explanations[2]]
    assert judgement.unexplained == []


DURATIONS = {
    "tests/contracts/test_orders.py": 5.0,
    "tests/contracts/test_settlement_queue.py": 3.0,
    "tests/contracts/test_settlement_cycles.py": 16.0,
    "tests/contracts/test_rules.py": 9.0,
    "tests/contracts/test_erc20.py": 0.1,
}


def test_every_file_of_tests_is_run_the_one_named_like_the_source_first_and_then_the_shortest() -> None:
    assert order_files("Orders.sol", ["Administration"], DURATIONS, {}) == [
        "tests/contracts/test_orders.py",
        "tests/contracts/test_erc20.py",
        "tests/contracts/test_settlement_queue.py",
        "tests/contracts/test_rules.py",
        "tests/contracts/test_settlement_cycles.py",
    ]


def test_a_file_named_like_the_contract_comes_after_one_named_like_the_source() -> None:
    ordered = order_files("NetCycles.sol", ["Settlement"], DURATIONS, {})
    assert ordered[:3] == [
        "tests/contracts/test_settlement_cycles.py",
        "tests/contracts/test_settlement_queue.py",
        "tests/contracts/test_erc20.py",
    ]
    assert sorted(ordered) == sorted(DURATIONS)


def test_what_noticed_a_mutant_of_the_source_before_comes_before_everything(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.json", "as it is")
    kept.add(Result(mutant("a - b"), KILLED, "FAILED tests/contracts/test_rules.py::test_x[1]", 1.0))
    kept.add(Result(mutant("a * b"), SURVIVED, "", 1.0))
    assert kept.noticed("A.sol") == {"tests/contracts/test_rules.py": 1}
    assert kept.noticed("B.sol") == {}
    assert order_files("A.sol", [], DURATIONS, kept.noticed("A.sol"))[0] == "tests/contracts/test_rules.py"


def test_a_broken_off_run_goes_on_and_other_sources_or_tests_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "build" / "kept.json"
    result = Result(mutant("a - b"), KILLED, "FAILED tests/contracts/test_rules.py::test_x", 1.0)
    first = Kept(path, "as it is")
    first.time(DURATIONS)
    first.add(result)
    again = Kept(path, "as it is")
    assert again.find(result.mutant) == result
    assert again.find(mutant("a * b")) is None
    assert again.durations == DURATIONS
    changed = Kept(path, "changed")
    assert changed.find(result.mutant) is None
    assert changed.durations == {}


@pytest.mark.node
def test_a_mutant_is_tried_in_a_copy_and_the_checkout_stays_as_it_is(tmp_path: Any) -> None:
    missing = find_missing_tools()
    if missing is not None:
        pytest.skip(missing)
    sources = read_sources()
    artifacts = {name: (ARTIFACTS / f"{name}.json").read_text() for name in PUBLISHED}
    workshop = Workshop(tmp_path / "copy", artifacts)
    # of a contract that compiles in seconds
    wrong = next(each for each in generate(sources) if each.unit == "Notary.sol")
    result = workshop.try_out(wrong, ["tests/contracts/test_notary.py"], 600)
    assert result.outcome == KILLED
    assert "test_notary.py" in result.detail
    assert read_sources() == sources
    assert (workshop.directory / "contracts/src/Notary.sol").read_text() == sources["Notary.sol"]
    kept = {name: (workshop.directory / f"contracts/artifacts/{name}.json").read_text() for name in PUBLISHED}
    assert kept == artifacts
