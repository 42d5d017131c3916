"""base64url without padding: each sequence of bytes has one text, and nothing else is one."""

import base64
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import base64url

WRITTEN = re.compile(r"([\w-]{4})*([\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?", re.ASCII)


@given(data=st.binary(max_size=40))
def test_it_is_the_standard_librarys_without_padding(data: bytes) -> None:
    text = base64url.encode(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert base64url.decode(text) == data


@given(text=st.text(alphabet="ABEQabwz0189-_+/= \n\0é", max_size=9))
@example("")
@example("AA==")
@example("AA")
@example("AB")
@example("A")
@example("AAAAA")
@example("AAA=")
@example("=AAA")
@example("+/+/")
@example("A\nAA")
def test_what_reads_at_all_is_what_would_be_written(text: str) -> None:
    if WRITTEN.fullmatch(text):
        assert base64url.encode(base64url.decode(text)) == text
    else:
        with pytest.raises(ValueError):
            base64url.decode(text)


@pytest.mark.parametrize("last", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
def test_bits_that_are_left_over_are_zero(last: str) -> None:
    for start, good in (("A", "AQgw"), ("AA", "AEIMQUYcgkosw048")):
        if last in good:
            assert base64url.encode(base64url.decode(start + last)) == start + last
        else:
            with pytest.raises(ValueError, match="base64url"):
                base64url.decode(start + last)
