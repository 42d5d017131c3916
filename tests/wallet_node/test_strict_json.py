"""One meaning only: what is read at once and what is taken apart first are read alike."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_node import strict_json
from wallet_node.errors import MalformedRequest


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    number: int
    text: str = ""
    anything: Any = None


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inner: tuple[Inner, ...]
    flag: bool


WRITTEN = msgspec.json.encode(Outer((Inner(5, "é"), Inner(7, anything={"a": [1]})), True))


def readings(body: bytes, kind: Any) -> tuple[Any, Any]:
    """What comes out, and what would if every document were taken apart."""
    found: list[Any] = []
    for read in (strict_json.decode, strict_json._taken_apart):
        try:
            found.append(read(body, kind))
        except MalformedRequest as error:
            found.append(error.detail)
    return found[0], found[1]


def test_what_is_written_as_here_is_read_at_once() -> None:
    assert strict_json._as_written(WRITTEN, Outer) == strict_json.decode(WRITTEN, Outer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"inner":[{"number":5,"number":6}],"flag":true}',
        b'{"inner":[{"number":6,"number":6}],"flag":true}',
        b'{"inner":[{"number":5.0}],"flag":true}',
        b'{"inner":[{"number":5e0}],"flag":true}',
        b'{"inner":[{"number":-0}],"flag":true}',
        b'{"inner":[{"number":5,"anything":1.5}],"flag":true}',
        b'{"inner":[{"number":5,"anything":{"a":1,"a":1}}],"flag":true}',
        b'{"inner":[{"number":5,"anything":NaN}],"flag":true}',
        b'{"inner":[{"number":true}],"flag":true}',
        b'{"inner":[{"number":5,"other":1}],"flag":true}',
        b'{"inner":[{"number":5,"text":"\xff"}],"flag":true}',
        b'{"inner":[{"number":5,"text":"\xed\xa0\x80"}],"flag":true}',
        b'{"inner":[],"flag":true}{}',
    ],
)
def test_what_leaves_room_for_another_meaning_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        strict_json.decode(body, Outer)


@pytest.mark.parametrize(
    "body",
    [
        b' {"flag": true, "inner": [{"text": "\\u0041", "number": 5}]} ',
        b'{"inner":[{"number":5,"text":""}],"flag":true}',
        b'{"inner":[{"number":5,"anything":null}],"flag":true}',
    ],
)
def test_other_spellings_of_the_same_are_accepted(body: bytes) -> None:
    assert strict_json._as_written(body, Outer) is None
    assert strict_json.decode(body, Outer).inner[0].number == 5


@given(st.binary(max_size=8), st.integers(0, len(WRITTEN)), st.integers(0, 8))
def test_both_readings_agree_about_a_document_that_was_altered(
    piece: bytes, place: int, dropped: int
) -> None:
    altered = WRITTEN[:place] + piece + WRITTEN[place + dropped :]
    for kind in (Outer, object):
        at_once, apart = readings(altered, kind)
        assert at_once == apart


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.booleans(),
)
def test_both_readings_agree_about_any_document(document: Any, is_compact: bool) -> None:
    separators = (",", ":") if is_compact else None
    body = json.dumps(document, separators=separators, ensure_ascii=not is_compact)
    at_once, apart = readings(body.encode("utf-8", "surrogatepass"), object)
    assert at_once == apart
