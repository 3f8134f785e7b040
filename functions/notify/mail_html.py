"""How a mail looks: tables and styles at each element, as mail programs take them; at most 600 pixels, down to 320.

Everything is escaped here. Colours are those of the page in light; mail programs make their dark ones from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

TEXT, MUTED, ACCENT, EDGE, SKY = "#14181D", "#55606B", "#A8420A", "#DDE1E6", "#0B0E12"
FONT: Final = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"
PARAGRAPH: Final = f"margin:0 0 16px;font-size:15px;line-height:22px;color:{TEXT}"


@dataclass(frozen=True)
class Button:
    """An address with what is behind it."""

    label: str
    url: str


@dataclass(frozen=True)
class Content:
    """What a mail says, from top to bottom, all of it plain text."""

    title: str
    picture: Button | None = None
    """Its alternative text, and where it leads to."""
    picture_id: str = ""
    lines: Sequence[str] = ()
    button: Button | None = None
    under_button: str = ""
    downloads: Sequence[tuple[Button, str]] = ()
    """With their sizes."""
    hint: str = ""
    figures: dict[str, str] = field(default_factory=dict)
    page: Button | None = None


def html_of(content: Content) -> str:
    parts = [_heading(content.title), _picture(content), *(_paragraph(line) for line in content.lines if line)]
    if content.button:
        parts.append(_button(content.button))
    if content.under_button:
        parts.append(_note(content.under_button))
    parts += [_download(button, size) for button, size in content.downloads]
    if content.hint:
        parts.append(_note(content.hint))
    parts.append(_table(content.figures))
    if content.page:
        parts.append(f'<p style="{PARAGRAPH};margin-top:16px">{_link(content.page)}</p>')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark"></head>'
        f'<body style="margin:0;padding:0;background:#F7F8FA;{FONT}">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px">'
        f'<tr><td style="background:{SKY};color:#F3F5F7;padding:16px 24px;font-size:15px;font-weight:600">'
        "Spaceport</td></tr>"
        f'<tr><td style="background:#FFFFFF;padding:24px">{"".join(parts)}</td></tr>'
        "</table></td></tr></table></body></html>"
    )


def _heading(title: str) -> str:
    return f'<h1 style="margin:0 0 16px;font-size:22px;line-height:28px;color:{TEXT}">{escape(title)}</h1>'


def _picture(content: Content) -> str:
    if not content.picture:
        return ""
    image = (
        f'<img src="cid:{escape(content.picture_id)}" width="552" alt="{escape(content.picture.label)}"'
        f' style="display:block;width:100%;max-width:552px;height:auto;border:0;border-radius:12px;color:{MUTED}">'
    )
    url = content.picture.url
    inner = f'<a href="{escape(url)}">{image}</a>' if url else image
    return f'<p style="margin:0 0 16px">{inner}</p>'


def _paragraph(text: str) -> str:
    return f'<p style="{PARAGRAPH}">{escape(text)}</p>'


def _note(text: str) -> str:
    return f'<p style="margin:0 0 16px;font-size:13px;line-height:20px;color:{MUTED}">{escape(text)}</p>'


def _button(button: Button) -> str:
    style = (
        f"display:inline-block;padding:12px 24px;border-radius:999px;background:{ACCENT};color:#FFFFFF;"
        "font-size:15px;line-height:20px;font-weight:600;text-decoration:none"
    )
    return f'<p style="margin:0 0 12px"><a href="{escape(button.url)}" style="{style}">{escape(button.label)}</a></p>'


def _download(button: Button, size: str) -> str:
    count = f'<span style="color:{MUTED}">{escape(size)}</span>'
    return f'<p style="{PARAGRAPH};margin-bottom:8px">{_link(button)} {count}</p>'


def _link(button: Button) -> str:
    return f'<a href="{escape(button.url)}" style="color:{ACCENT};font-weight:600">{escape(button.label)}</a>'


def _table(figures: dict[str, str]) -> str:
    cell = f"padding:6px 0;font-size:13px;line-height:18px;border-top:1px solid {EDGE};vertical-align:top"
    rows = "".join(
        f'<tr><td style="{cell};padding-right:16px;color:{MUTED}">{escape(name)}</td>'
        f'<td style="{cell};color:{TEXT};word-break:break-word">{escape(value)}</td></tr>'
        for name, value in figures.items()
    )
    return f'<table width="100%" cellpadding="0" cellspacing="0" style="margin-top:8px">{rows}</table>'
