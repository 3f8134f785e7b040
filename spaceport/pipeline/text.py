"""Untrusted text, fit to be shown: in a terminal, a mail, a page or a log."""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_SHOWN: Final = 600
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's general categories of controls, format characters (bidirectional overrides among them), lone surrogates,
private and unassigned ones, and separators of lines and paragraphs."""


def visible(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` with every character that would not be seen, or would change what is seen, as its escape; `…` if cut.

    A terminal would obey an ESC, and a bidirectional override would show `gpj.exe` as `exe.jpg`.
    """
    shown = "".join(map(_visible_letter, text[:limit]))
    return f"{shown}…" if len(text) > limit else shown


def _visible_letter(letter: str) -> str:
    if unicodedata.category(letter) not in _INVISIBLE:
        return letter
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
