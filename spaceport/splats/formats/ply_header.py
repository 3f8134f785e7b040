"""The header of a PLY: its encoding, its elements and their properties, in any dialect of its many writers.

Lines may end as Unix, Windows or old Macs end them; elements may come in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

from spaceport.splats.formats.limits import BrokenFile

MAX_HEADER = 65_536
MAX_PROPERTIES = 1_000
MAX_ELEMENTS = 100
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ENCODINGS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class Element:
    """One kind of records: `vertex`, `face`, `camera`…"""

    name: str
    count: int
    properties: dict[str, str]
    """numpy types without byte order, by name, in order. Empty for an element that has lists."""
    has_lists: bool = False


@dataclass(frozen=True)
class PlyHeader:
    """What stands before `end_header`."""

    encoding: str
    """A key of `ENCODINGS`."""
    elements: tuple[Element, ...]
    comments: tuple[str, ...]
    """Without the word `comment`, words parted by one space."""
    size: int
    """Bytes of the header: where the records begin."""

    @property
    def byte_order(self) -> str:
        """`<` or `>`; empty for text."""
        return ENCODINGS[self.encoding]


def is_ply(head: bytes) -> bool:
    """Whether a file that begins like this is a PLY."""
    return head.startswith((b"ply\n", b"ply\r"))


def parse_header(head: bytes) -> PlyHeader:
    """Take the header from the first `MAX_HEADER` bytes of a file.

    Raises:
        BrokenFile: a sentence on the first rule that it breaks.
    """
    if not is_ply(head):
        raise BrokenFile("The file is not a PLY.")
    end_of_line = b"\r\n" if head.startswith(b"ply\r\n") else head[3:4]
    mark = b"end_header" + end_of_line
    end = head.find(end_of_line + mark)
    if end < 0:
        raise BrokenFile("The header of the PLY is damaged: it does not end.")
    try:
        text = head[:end].decode("ascii")
    except UnicodeDecodeError:
        raise BrokenFile("The header of the PLY is not plain text.") from None
    lines = [line.split() for line in text.split(end_of_line.decode())[1:]]
    comments = tuple(" ".join(words[1:]) for words in lines if words and words[0] == "comment")
    lines = [words for words in lines if words and words[0] not in ("comment", "obj_info")]
    if not lines or lines[0][0] != "format" or lines[0][1:2] not in [[each] for each in ENCODINGS]:
        raise BrokenFile("The PLY does not say that its format is ascii, binary_little_endian or binary_big_endian.")
    return PlyHeader(lines[0][1], _elements(lines[1:]), comments, end + len(end_of_line) + len(mark))


def _elements(lines: list[list[str]]) -> tuple[Element, ...]:
    elements: list[Element] = []
    for words in lines:
        match words:
            case ["element", name, count] if _is_count(count) and len(elements) < MAX_ELEMENTS:
                elements.append(Element(name, int(count), {}))
            case ["property", "list", length, item, _] if elements and length in TYPES and item in TYPES:
                elements[-1] = Element(elements[-1].name, elements[-1].count, {}, has_lists=True)
            case ["property", kind, name] if elements and kind in TYPES:
                _add(elements[-1], name, TYPES[kind])
            case _:
                raise BrokenFile(f"The header of the PLY has a line that no PLY has: {' '.join(words)[:60]!r}.")
    return tuple(elements)


def _add(element: Element, name: str, kind: str) -> None:
    if name in element.properties:
        raise BrokenFile(f"The PLY names property {name[:40]!r} twice.")
    if len(element.properties) == MAX_PROPERTIES:
        raise BrokenFile(f"The PLY names more than {MAX_PROPERTIES} properties.")
    if not element.has_lists:
        element.properties[name] = kind


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 10
