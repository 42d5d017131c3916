"""A wallet's payments as files: CSV for spreadsheets, PDF for paper."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from api.web.rendering import Page

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
_FONT: Final = "STSong-Light"
"""A font that PDF readers bring for Simplified Chinese: the file names it and holds no glyphs."""


@dataclass(frozen=True, slots=True)
class Line:
    """One payment; `amount_minor` is below zero where money left the wallet."""

    payment_id: str
    at: datetime.datetime
    kind: str
    who: str
    note: str
    state: str
    amount_minor: int


def statement_csv(page: Page, lines: Sequence[Line]) -> str:
    """CSV (RFC 4180) with a line of names; amounts are plain decimal numbers, times are ISO 8601 in UTC."""
    text = io.StringIO()
    writer = csv.writer(text)
    t = page.translate
    settings = page.institution.settings
    writer.writerow(
        [t("Number"), t("When"), t("What"), t("Who"), t("Note"), t("State"), t("Amount"), t("Currency")]
    )
    for line in lines:
        writer.writerow(
            [
                line.payment_id,
                line.at.isoformat(),
                line.kind,
                _cell(line.who),
                _cell(line.note),
                line.state,
                _decimal(line.amount_minor, settings.currency_exponent),
                settings.currency,
            ]
        )
    return text.getvalue()


def statement_pdf(page: Page, name: str, wallet_reference: str, lines: Sequence[Line]) -> bytes:
    """A4 pages with a table of the payments."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.lib.units import mm
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    t, settings = page.translate, page.institution.settings
    plain = ParagraphStyle("plain", fontName=_FONT, fontSize=9, leading=12, wordWrap="CJK")
    title = ParagraphStyle("title", parent=plain, fontSize=15, leading=20)
    right = ParagraphStyle("right", parent=plain, alignment=2)

    def paragraph(text: str, style: Any = plain) -> Any:
        return Paragraph(escape(text), style)

    head = [t("When"), t("What"), t("Who"), t("State"), f"{t('Amount')} ({settings.currency})"]
    rows: list[list[Any]] = [[paragraph(each) for each in head[:-1]] + [paragraph(head[-1], right)]]
    for line in lines:
        who = line.who if not line.note else f"{line.who} · {line.note}"
        cells = [page.formats.moment(line.at), line.kind, who, line.state]
        amount = ("−" if line.amount_minor < 0 else "+") + page.formats.money(abs(line.amount_minor))
        rows.append([paragraph(each) for each in cells] + [paragraph(amount, right)])
    table = Table(rows, colWidths=[38 * mm, 20 * mm, 66 * mm, 20 * mm, 34 * mm], repeatRows=1)
    line_grey = colors.HexColor("#c8d3ce")
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.5, line_grey),
                ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#edf2ef")),
            ]
        )
    )
    content = io.BytesIO()
    document = SimpleDocTemplate(
        content, pagesize=A4, leftMargin=16 * mm, rightMargin=16 * mm, topMargin=18 * mm,
        bottomMargin=18 * mm, title=t("Payments"), author=settings.institution_name,
    )  # fmt: skip
    story = [
        paragraph(settings.institution_name, title),
        paragraph(f"{name} · {wallet_reference}"),
        paragraph(t("Times are in {zone}.", zone=settings.time_zone)),
        Spacer(1, 6 * mm),
        table,
    ]
    document.build(story)
    return content.getvalue()


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return "'" + text if text.startswith(_FORMULAS) else text


def _decimal(amount_minor: int, exponent: int) -> str:
    whole, fraction = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{whole}.{fraction:0{exponent}d}" if exponent else f"{sign}{whole}"
