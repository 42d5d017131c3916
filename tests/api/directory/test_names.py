"""Confirmation of payee: the table of what is a match, a close match, and none; and what a stranger sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory.names import compare, keys_of, masked

MATCHES = [
    ("Anna Nováková", "anna  novakova"),
    ("Nováková, Anna", "Anna Nováková"),
    ("ANNA NOVÁKOVÁ", "Mgr. Anna Nováková, Ph.D."),
    ("Ａｎｎａ Nováková", "Anna Nova\u0301kova\u0301"),
    ("O'Brien Sean", "Seán O’Brien"),
    ("Søren Müller", "Soren Muller"),
    ("Hauptstraße GmbH", "HAUPTSTRASSE"),
    ("Gas & Water s.r.o.", "gas water"),
    ("Иван Петров", "Ivan Petrov"),
    ("王小明", "王 小明"),
    ("张伟", "張偉"),
    ("王小明先生", "王小明"),
    ("阿里木·买买提", "阿里木 买买提"),
    ("李", "李"),
]
CLOSE = [
    ("Ana Novakova", "Anna Nováková"),
    ("Anna Novakov", "Anna Nováková"),
    ("Anna Nvoáková", "Anna Nováková"),
    ("Mueller Hans", "Hans Müller"),
    ("A Nováková", "Anna Nováková"),
    ("A. Nováková", "Anna Nováková"),
    ("Jan Novák", "Jan Karel Novák"),
    ("Wang Xiao Ming", "Wang Xiaoming"),
    ("Xiaoming Wang", "Wang Xiao Ming"),
    ("小明王", "王小明"),
    ("王小明", "王小明 Wang Xiaoming"),
]
NONE = [
    ("Bob Novák", "Anna Nováková"),
    ("Nováková", "Anna Nováková"),
    ("Anna", "Anna Nováková"),
    ("A N", "Anna Nováková"),
    ("A*** N***", "Anna Nováková"),
    ("Jan Petr Novák", "Jan Karel Novák"),
    ("Petr Dvořák", "Petr Novák"),
    ("王小红", "王小明"),
    ("王", "王小明"),
    ("小明", "王小明"),
    ("Wang Xiaoming", "王小明"),
    ("!!!", "Anna Nováková"),
    ("Wei", "Pan Wei"),
    ("王**", "王小明"),
]


@pytest.mark.parametrize(
    ("given_name", "held_name", "expected"),
    [(*pair, "match") for pair in MATCHES]
    + [(*pair, "close_match") for pair in CLOSE]
    + [(*pair, "no_match") for pair in NONE],
)
def test_the_table(given_name: str, held_name: str, expected: str) -> None:
    assert compare(keys_of(given_name), keys_of(held_name)) == expected
    assert compare(keys_of(held_name), keys_of(given_name)) == expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_can_be_compared_in_either_order(one: str, other: str) -> None:
    assert compare(keys_of(one), keys_of(one)) == "match"
    assert compare(keys_of(one), keys_of(other)) == compare(keys_of(other), keys_of(one))


def test_the_longest_name_has_few_keys() -> None:
    keys = keys_of("abcdefghij " * 18)
    assert len(keys.shorter) + len(keys.misspelt) < 400


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Anna Nováková", "A*** N***"),
        ("  Čeněk\tŘ. Ž  ", "Č*** Ř*** Ž***"),
        ("王小明", "王**"),
        ("(Anna) & Co", "A*** C***"),
        ("a b c d e f", "a*** b*** c*** d***"),
        ("!!!", "***"),
    ],
)
def test_a_stranger_sees_first_letters_and_no_lengths(name: str, shown: str) -> None:
    assert masked(name) == shown
