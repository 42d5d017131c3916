"""Another reading of EMVCo's merchant-presented codes, written from the standard and from nothing of ours.

EMV QR Code Specification for Payment Systems (EMV QRCPS), Merchant-Presented Mode, v1.1: section 3 (data
objects), table 3.1 to 3.9 (which there are), section 4.7 (what they hold).
"""

from __future__ import annotations


def crc(data: bytes) -> int:
    """4.7.3: polynomial 1021 (hexadecimal), initial value FFFF; bit by bit, most significant first."""
    register = 0xFFFF
    for byte in data:
        for place in range(7, -1, -1):
            carries = (register >> 15) ^ (byte >> place & 1)
            register = register << 1 & 0xFFFF
            if carries:
                register ^= 0x1021
    return register


def objects(text: str) -> list[tuple[str, str]]:
    """3.2: ids and values in their order; lengths are in characters."""
    found = []
    while text:
        key, length = text[:2], text[2:4]
        assert len(key) == len(length) == 2, "an object without a whole head"
        assert (key + length).isascii(), "digits are ASCII"
        assert (key + length).isdigit(), "digits are digits"
        value, text = text[4 : 4 + int(length)], text[4 + int(length) :]
        assert 1 <= len(value) == int(length), "a value as long as it says"
        found.append((key, value))
    keys = [key for key, _ in found]
    assert len(set(keys)) == len(keys), "an id once"
    return found


def read(text: str) -> dict[str, str | dict[str, str]]:
    """Every object of a payload by id, templates as mappings. `AssertionError` says what is wrong."""
    listed = objects(text)
    assert listed[0] == ("00", "01"), "the payload format indicator is the first object"
    assert listed[-1][0] == "63", "the CRC is the last object"
    assert listed[-1][1] == f"{crc(text[:-4].encode('utf-8')):04X}", "the CRC is over all before its value"
    found: dict[str, str | dict[str, str]] = {}
    for key, value in listed[:-1]:
        is_template = 26 <= int(key) <= 51 or key in {"62", "64"} or int(key) >= 80
        found[key] = dict(objects(value)) if is_template else value
    assert any(2 <= int(key) <= 51 for key in found), "at least one merchant account"
    for required, longest in (("52", 4), ("53", 3), ("58", 2), ("59", 25), ("60", 15)):
        value = found[required]
        assert isinstance(value, str)
        assert len(value) <= longest, required
    for key, part in found.items():
        if isinstance(part, dict) and key not in {"62", "64"}:
            assert len(part["00"]) <= 32, "a globally unique identifier"
    return found
