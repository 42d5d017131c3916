"""An alias is read in its one form, and what is none is refused without being repeated."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory.aliases import Alias, read_alias
from api.directory.errors import AliasUnreadable

READ = {
    "+420 601 000 001": Alias("phone", "+420601000001"),
    " +420-601-000-001 ": Alias("phone", "+420601000001"),
    "＋420601000001": Alias("phone", "+420601000001"),
    "+86 138 0013 8000": Alias("phone", "+8613800138000"),
    "Anna.Novakova@Example.COM": Alias("email", "anna.novakova@example.com"),
    "wang@bücher.example": Alias("email", "wang@bücher.example"),
    "@Tea_House1": Alias("handle", "@tea_house1"),
}


@pytest.mark.parametrize("text", READ)
def test_an_alias_has_one_form(text: str) -> None:
    assert read_alias(text) == READ[text]
    assert READ[text].value not in repr(read_alias(text))


@pytest.mark.parametrize(
    "text",
    [
        "", "601000001", "+420 60", "+420601000001 ext. 5", "tel:+420", "anna@", "anna@nowhere", "@ab",
        "@1abc", "@tea house", "@" + "a" * 31, "@ñandu", "a@b@example.com", "x" * 300, "+999123456789",
    ],
)  # fmt: skip
def test_what_is_no_alias_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(AliasUnreadable) as refusal:
        read_alias(text)
    assert not text or text not in refusal.value.sentence


@given(st.text(max_size=300) | st.from_regex(r"[+@]?.{1,60}@.{1,60}"))
def test_any_text_is_read_or_refused_and_what_is_read_is_its_own_form(text: str) -> None:
    with contextlib.suppress(AliasUnreadable):
        alias = read_alias(text)
        assert read_alias(alias.value) == alias
