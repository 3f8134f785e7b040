"""Which code page names were written in, by how plausible their letters are in each. Standard library only.

Windows writes names into zips in the code page of its language, and zips do not say which. Double-byte code pages
accept much of each other's text, so the score is a likelihood: the bits that the text costs in a simple model of each
script, in which the characters of everyday use are equally probable and the others rare. The first rows of each
national standard hold its everyday characters (JIS X 0208 level 1, GB 2312 level 1, Big5 level 1, KS X 1001 Hangul).
The same idea finds encodings of web pages: Li and Momoi, "A composite approach to language/encoding detection", 2001.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

_SAMPLE_BYTES: Final = 4096  # of different parts of paths; dozens of them decide
_MAX_BITS_PER_BYTE: Final = 8.0  # dearer text is no text in any of these code pages

_ASCII_BITS: Final = 5.0
_RARE_BITS: Final = 20.0  # a character that few know, or a symbol of a double-byte code page
_SYMBOL_BITS: Final = 14.0
_LETTER_BITS: Final = {"common": 6.0, "other": 9.0}
_AFTER_LETTER_BITS: Final = 5.0  # Latin letters with accents seldom follow each other
_CAPITAL_BITS: Final = 7.0  # a capital inside a word
_TWO_SCRIPTS_BITS: Final = 8.0  # a Latin letter in a word of another script
_BACKSLASH_BITS: Final = 9.0  # rather half of a character


@dataclass(frozen=True)
class _DoubleByte:
    """A code page of two bytes each, and ranges of its codes with what a character in them costs.

    `common` are the most frequent characters, where those of a range are too unequal.
    """

    codec: str
    ranges: tuple[tuple[int, int, float], ...]
    common: str = ""

    def bits(self, text: str) -> float:
        return sum(_ascii_bits(letter) if letter.isascii() else self._bits(letter) for letter in text)

    def _bits(self, letter: str) -> float:
        if letter in self.common:
            return _COMMON_BITS
        try:
            code = int.from_bytes(letter.encode(self.codec), "big")
        except UnicodeEncodeError:
            return _RARE_BITS
        return next((bits for first, last, bits in self.ranges if first <= code <= last), _RARE_BITS)


@dataclass(frozen=True)
class _SingleByte:
    """A code page of one byte each. `common` are the letters beyond ASCII that its languages use most.

    `words` says that whole words are of such letters (Cyrillic, Greek), not single letters among ASCII (Latin).
    """

    codec: str
    common: str
    words: bool

    def bits(self, text: str) -> float:
        return sum(self._bits(text[i - 1] if i else "/", letter) for i, letter in enumerate(text))

    def _bits(self, before: str, letter: str) -> float:
        if letter.isascii():
            mixed = self.words and letter.isalpha() and before.isalpha() and not before.isascii()
            return _ascii_bits(letter) + mixed * _TWO_SCRIPTS_BITS
        if not letter.isalpha():
            return _SYMBOL_BITS
        bits = _LETTER_BITS["common" if letter in self.common else "other"]
        if not self.words and not before.isascii():
            bits += _AFTER_LETTER_BITS
        if self.words and before.isascii() and before.isalpha():
            bits += _TWO_SCRIPTS_BITS
        if letter.isupper() and before.islower():
            bits += _CAPITAL_BITS
        return bits


def _ascii_bits(letter: str) -> float:
    return _BACKSLASH_BITS if letter == "\\" else _ASCII_BITS


_KANA, _KANJI, _HANZI_GB, _HANZI_BIG5, _HANGUL, _MARK, _HALF_KANA = 8.5, 12.5, 12.0, 12.6, 13.5, 12.0, 11.0
_COMMON_BITS: Final = 8.0
_COMMON_HANGUL: Final = (
    "이다는의에을가하고로한지기사인도서대자리정시그어나부아라은를들일전해수제구스보면장으여주동경상원과게공화성문있것비개학관국물생안적조"
    "신만소선연위용방마건세치차거우고산영회교실모미진차행중행분내체계업발단현재무당트요터드르오더니때두파반결작식강속유금호포간양음질"
    "항촬새폴더사진드론영상건물부산서울테스트측량지도지형현장공사도로하천댐교량철도학교공원아파트단지마을논밭농촌바다해안섬산림복사본백업"
)
_WESTERN: Final = "äöüßÄÖÜéèêëàâçîïôùûÉÈÀÇñáíóúÑÁÍÓÚåæøÅÆØã"
_CENTRAL: Final = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻáčďéěíňřšťúůýžÁČĎÉĚÍŇŘŠŤÚŮÝŽäöüÄÖÜßőűŐŰâăîșțşţ"
_CYRILLIC: Final = "".join(map(chr, range(0x410, 0x450))) + "ёЁіїєґІЇЄҐ"
_GREEK: Final = "".join(map(chr, range(0x391, 0x3CA))) + "άέήίόύώΆΈΉΊΌΎΏϊϋ"
_TURKISH: Final = "çğıöşüÇĞİÖŞÜâî"

# In this order where two cost the same. Code pages of Windows' file manager (OEM) stand before those of its programs.
_CODE_PAGES: Final[tuple[_DoubleByte | _SingleByte, ...]] = (
    _SingleByte("cp437", _WESTERN, words=False),
    _SingleByte("cp850", _WESTERN, words=False),
    _SingleByte("cp1252", _WESTERN, words=False),
    _DoubleByte(
        "cp932",
        (
            (0x829F, 0x82F1, _KANA),
            (0x8340, 0x8396, _KANA),
            (0x889F, 0x9872, _KANJI),
            (0x8140, 0x829E, _MARK),
            (0xA1, 0xDF, _HALF_KANA),
        ),
    ),
    _DoubleByte("gbk", ((0xB0A1, 0xD7F9, _HANZI_GB), (0xA1A1, 0xA3FE, _MARK))),
    _DoubleByte("cp950", ((0xA440, 0xC67E, _HANZI_BIG5), (0xA140, 0xA3BF, _MARK))),
    _DoubleByte("cp949", ((0xB0A1, 0xC8FE, _HANGUL), (0xA1A1, 0xA3FE, _MARK)), common=_COMMON_HANGUL),
    _SingleByte("cp866", _CYRILLIC, words=True),
    _SingleByte("cp1251", _CYRILLIC, words=True),
    _SingleByte("cp852", _CENTRAL, words=False),
    _SingleByte("cp1250", _CENTRAL, words=False),
    _SingleByte("cp737", _GREEK, words=True),
    _SingleByte("cp1253", _GREEK, words=True),
    _SingleByte("cp857", _TURKISH, words=False),
    _SingleByte("cp1254", _TURKISH, words=False),
)


def guess_code_page(names: bytes) -> str | None:
    """The codec that decodes all of `names` (joined by `/`) and makes them most plausible; None where none does."""
    sample = _sample(names)
    costs = []
    for order, code_page in enumerate(_CODE_PAGES):
        try:
            names.decode(code_page.codec)
        except UnicodeDecodeError:
            continue
        text = sample.decode(code_page.codec)
        if not any(unicodedata.category(letter) in ("Cc", "Co", "Cn") for letter in text):
            costs.append((code_page.bits(text), order, code_page.codec))
    bits, _, codec = min(costs, default=(float("inf"), 0, None))
    return codec if bits <= _MAX_BITS_PER_BYTE * len(sample) else None


def _sample(names: bytes) -> bytes:
    """Different parts of the paths that are not ASCII, whole ones, as many as fit. No trail byte is a `/`."""
    parts = dict.fromkeys(part for part in names.split(b"/") if not part.isascii())
    sample = b""
    for part in parts:
        if sample and len(sample) + len(part) > _SAMPLE_BYTES:
            break
        sample += part[: 4 * _SAMPLE_BYTES] + b"/"
    return sample
