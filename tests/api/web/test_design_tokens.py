"""The tokens of the style sheet: both themes have the same ones, and what is read on them can be read.

Text on its ground reaches 4.5 to 1, what is seen without being read (a field's edge, the ring of focus)
3 to 1: WCAG 2.2, 1.4.3 and 1.4.11, level AA. A colour elsewhere is a token, and the sheet stays small.
"""

from __future__ import annotations

import re

import pytest

from api.web.pages import COLOURS
from api.web.rendering import HERE

SHEET = (HERE / "static" / "florin.css").read_text()
GROUNDS = ("paper", "surface", "sunken")
TEXTS = {
    **dict.fromkeys(("ink", "ink-soft", "link"), (*GROUNDS, "brand-paper")),
    "ink-faint": GROUNDS,
    "on-brand": ("brand", "brand-strong"),
    "on-hero": ("hero-from", "hero-to"),
    "on-hero-soft": ("hero-from", "hero-to"),
    "on-hero-wait": ("hero-from", "hero-to"),
    **{tone: (f"{tone}-paper", "surface", "paper") for tone in ("good", "bad", "wait")},
    "info": ("info-paper", "surface"),
}
SEEN = {"edge": ("surface", "paper"), "focus": (*GROUNDS, "brand-paper")}


def tokens(selector: str) -> dict[str, str]:
    """name -> colour, of the first block with this selector."""
    block = re.search(re.escape(selector) + r"\s*\{(.*?)\}", SHEET, re.DOTALL)
    assert block is not None, selector
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block[1]))


LIGHT = tokens(':root, [data-theme="light"]')
DARK = tokens("@media (prefers-color-scheme: dark) { :root")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, "relative luminance")."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_the_standards() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_read_can_be_read(theme: dict[str, str]) -> None:
    for ink, grounds in TEXTS.items():
        for ground in grounds:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    for shape, grounds in SEEN.items():
        for ground in grounds:
            assert contrast(theme[shape], theme[ground]) >= 3, (shape, ground)


def test_both_themes_have_the_same_tokens() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert tokens('[data-theme="dark"]') == DARK
    assert set(COLOURS) <= LIGHT.keys()


def test_a_colour_elsewhere_is_a_token() -> None:
    rules = SHEET[SHEET.index("/* ground */") : SHEET.index("@media print")]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb\(", rules) == []
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", SHEET))
    known = set(re.findall(r"--([a-z0-9-]+):", SHEET))
    assert used <= known
    assert known == used


def test_the_sheet_is_small() -> None:
    assert len(SHEET.encode()) < 24_000
