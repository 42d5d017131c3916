"""Findings are held against explanations, one to one."""

import json
from typing import Any

import pytest

from contracts.compile import find_missing_tools
from contracts.slither import (
    EXPLANATIONS,
    Finding,
    analyse,
    compare,
    find_silenced,
    read_finding,
)

EXPLAINED = {"check": "timestamp", "finding": "A.b() compares", "reason": "a day is long"}


def result(description: str) -> dict[str, Any]:
    return {"check": "reentrancy", "description": description}


def test_a_finding_is_the_same_wherever_it_moves_to_in_its_file() -> None:
    here = read_finding(result("A.b(uint256) (src/A.sol#1-2) calls:\n\t- c() (src/A.sol#2)\n"))
    there = read_finding(result("A.b(uint256) (src/A.sol#31-42) calls:\n\t- c() (src/A.sol#40)\n"))
    assert here == there == Finding("reentrancy", "A.b(uint256) calls: - c()")


def test_the_order_inside_each_list_of_a_finding_does_not_matter_but_its_list_does() -> None:
    first = read_finding(result("calls:\n\t- c()\n\t- d()\nwrites:\n\t- e\n"))
    assert first == read_finding(result("calls:\n\t- d()\n\t- c()\nwrites:\n\t- e\n"))
    assert first != read_finding(result("calls:\n\t- d()\nwrites:\n\t- c()\n\t- e\n"))


def test_an_explained_finding_is_clean() -> None:
    assert compare([Finding("timestamp", "A.b() compares")], [EXPLAINED]).is_clean


def test_an_unexplained_finding_is_named() -> None:
    another = Finding("timestamp", "A.c() compares")
    verdict = compare([Finding("timestamp", "A.b() compares"), another], [EXPLAINED])
    assert verdict.unexplained == [another]
    assert not verdict.is_clean


def test_an_explanation_for_another_detector_explains_nothing() -> None:
    verdict = compare([Finding("reentrancy", "A.b() compares")], [EXPLAINED])
    assert verdict.unexplained
    assert verdict.stale


def test_an_explanation_that_nothing_matches_any_more_is_named() -> None:
    verdict = compare([], [EXPLAINED])
    assert verdict.stale == [Finding("timestamp", "A.b() compares")]
    assert not verdict.is_clean


def test_an_explanation_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="without a reason"):
        compare([], [{**EXPLAINED, "reason": " "}])


def test_a_source_of_ours_that_silences_slither_is_named_and_a_library_is_not() -> None:
    silencing = {"content": "// slither-disable-next-line timestamp"}
    assert find_silenced({"src/A.sol": silencing, "@x/A.sol": silencing, "src/B.sol": {"content": ""}}) == [
        "src/A.sol"
    ]


def test_every_committed_explanation_has_a_reason_and_is_there_once() -> None:
    explanations = json.loads(EXPLANATIONS.read_text())
    assert all(each["reason"].strip() for each in explanations)
    assert len({(each["check"], each["finding"]) for each in explanations}) == len(explanations)


@pytest.mark.node
def test_the_detectors_really_look_at_what_they_are_given() -> None:
    missing = find_missing_tools()
    if missing is not None:
        pytest.skip(missing)
    content = """
        pragma solidity ^0.8.30;
        contract Purse {
            mapping(address owner => uint256) public held;
            function withdraw() external {
                (bool isPaid,) = msg.sender.call{value: held[msg.sender]}("");
                require(isPaid);
                held[msg.sender] = 0;
            }
        }
    """
    findings = analyse({"src/Purse.sol": {"content": content}})
    assert "reentrancy-eth" in {finding.check for finding in findings}
