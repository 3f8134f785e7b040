"""Reads the tables of positions that people save: any encoding, separator and heading, names with blanks.

OpenDroneMap's own form is UTF-8, separated by blanks, below a line that names the coordinate system. Spreadsheets and
survey software write commas, semicolons or tabs, a row of column names, decimal commas, UTF-16 or Latin-1.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from services.sfm.photos.crs import MAX_CHARACTERS, WGS84, ToWgs84, find_crs, to_wgs84
from spaceport.pipeline.uploads.kinds import PHOTO_SUFFIXES

MAX_ROWS: Final = 50_000
MAX_LINE: Final = 2_000  # characters
_MAX_FIELDS: Final = 24
_SEPARATORS: Final = ("\t", ";", ",")
_DECIMAL_COMMA: Final = re.compile(r"(?<!\S)[-+]?\d{1,12},\d{1,12}(?!\S)")
_TOKEN: Final = re.compile(r"\S+")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")  # not what `splitlines` takes for one: names may hold that
_BOMS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
_COMMENTS: Final = ("#", "//")
# Column names as people and programs write them, without anything but letters.
_COLUMNS: Final = {
    "photo": ("image", "imagename", "imagefile", "photo", "photoname", "file", "filename", "name", "label", "img"),
    "x": ("x", "lon", "long", "lng", "longitude", "xlongitude", "east", "easting", "xeast", "xeasting", "geox", "e"),
    "y": ("y", "lat", "latitude", "ylatitude", "north", "northing", "ynorth", "ynorthing", "geoy", "n"),
    "z": ("z", "alt", "altitude", "zaltitude", "height", "elevation", "elev", "ele", "geoz", "h"),
    "yaw": ("yaw", "heading"),
    "pitch": ("pitch",),
    "roll": ("roll",),
    "std_xy": ("accuracy", "accuracyxy", "horizontalaccuracy", "horzaccuracy", "xyaccuracy", "accuracyhorizontal",
               "stdxy", "sigmaxy"),
    "std_z": ("accuracyz", "verticalaccuracy", "vertaccuracy", "zaccuracy", "accuracyvertical", "stdz", "sigmaz"),
    "column": ("imx", "imagex", "pixelx", "xpixel", "px", "u", "col", "column"),
    "row": ("imy", "imagey", "pixely", "ypixel", "py", "v", "row"),
    "use": ("use", "type", "role"),
    "role": ("role", "type"),
    "point": ("gcp", "gcpname", "gcplabel", "point", "pointname", "marker", "id"),
}  # fmt: skip
_WORDS: Final = {"std_xy": "std", "std_z": "std_z"}
_GEO: Final = ("photo", "x", "y", "z", "yaw", "pitch", "roll", "std_xy", "std_z")
_POINTS: Final = ("x", "y", "z", "column", "row", "photo", "point")
_DEGREE_DIGITS: Final = 4  # decimals, of at least one of two numbers, without which they are no degrees


@dataclass(frozen=True)
class GeoTable:
    """`rows`: number of the line and its fields, in OpenDroneMap's order of columns; photos under their own names."""

    convert: ToWgs84
    rows: list[tuple[int, list[str]]]


class PhotoNames:
    """Finds the photo that a text means: by path, file name or either without suffix, whatever the case."""

    def __init__(self, photos: Iterable[str]) -> None:
        pairs = [(key, name) for name in photos for key in _keys(name)]
        counts = Counter(key for key, _ in pairs)
        self._exact = {name for _, name in pairs}
        self._names = {key: name for key, name in pairs if counts[key] == 1}
        self._ambiguous = {key for key, number in counts.items() if number > 1}

    def find(self, text: str) -> str | None:
        """The photo's name; the text itself, where several photos have it; None where none has."""
        if text in self._exact:
            return text
        path = unicodedata.normalize("NFC", text.strip().strip("\"'").replace("\\", "/")).lower()
        for key in (path, path.rpartition("/")[2]):
            if key in self._names:
                return self._names[key]
            if key in self._ambiguous:
                return key
        return None


def decode_text(data: bytes) -> str:
    """The text of a file in UTF-8, UTF-16 or, if it is neither, Windows' Latin-1.

    Raises:
        ValueError: it is no text.
    """
    encoding = next((name for bom, name in _BOMS.items() if data.startswith(bom)), "")
    if not encoding and data[1:2] == b"\0":
        encoding = "utf-16-le"
    for each in (encoding,) if encoding else ("utf-8", "cp1252", "latin-1"):
        try:
            text = data.decode(each)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ValueError("it is no text; save it as plain text in UTF-8")


def read_geo_table(text: str, photos: Iterable[str] = ()) -> GeoTable:
    """Rows of `geo.txt`: photo, x, y, z, yaw, pitch, roll, horizontal and vertical accuracy, as far as they are there.

    Raises:
        ValueError: which line is wrong, and how.
    """
    return _read(text, PhotoNames(photos), _GEO)


def read_points_table(text: str, photos: Iterable[str] = ()) -> GeoTable:
    """Rows of `gcp_list.txt`: x, y, z, the mark's column and row in the photo, the photo, and what follows.

    Raises:
        ValueError: which line is wrong, and how.
    """
    return _read(text, PhotoNames(photos), _POINTS)


def _read(text: str, names: PhotoNames, order: tuple[str, ...]) -> GeoTable:
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_END.split(text), start=1)]
    lines = [(number, line) for number, line in lines if line.strip(",;\t ")]
    if len(lines) > MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS} lines")
    comments = [line.lstrip("#/ ") for _, line in lines if line.startswith(_COMMENTS)]
    lines = [(number, line) for number, line in lines if not line.startswith(_COMMENTS)]
    if not lines:
        raise ValueError("it is empty")
    if number := next((number for number, line in lines if len(line) > MAX_LINE), None):
        raise ValueError(f"line {number}: it is longer than {MAX_LINE} characters")
    header, body = _split_header(lines, comments)
    separator = _separator([line for _, line in body])
    columns = _columns(body[0][1], separator, order) if body else None
    body = body[1:] if columns else body
    place = order.index("photo")
    if columns:
        rows = [(number, _by_columns(_cells(line, separator), columns, order, names)) for number, line in body]
    else:
        rows = [(number, _fields(line, separator, place, names)) for number, line in body]
    rows = [(number, _with_points(fields, place)) for number, fields in rows]
    if header is None:
        rows = _as_degrees(lines[0], rows, order.index("x"), bool(columns))
    return GeoTable(to_wgs84(header or WGS84), rows)


def _split_header(lines: list[tuple[int, str]], comments: list[str]) -> tuple[str | None, list[tuple[int, str]]]:
    """The line that names the coordinate system, and the others; None where the first line already is a row.

    Raises:
        ValueError: the first line is neither.
    """
    number, first = lines[0]
    if find_crs(first) is not None:
        return first, lines[1:]
    if len(first) <= MAX_CHARACTERS and (named := next((each for each in comments if find_crs(each)), None)):
        return named, lines
    numbers = [cell for cell in re.split(r"[\s,;]+", first) if _is_number(cell)]
    if len(numbers) >= 2 or _column_roles(_cells(first, _separator([first]))).keys() >= {"photo", "x", "y"}:
        return None, lines
    try:
        to_wgs84(first)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    return first, lines[1:]


def _separator(lines: list[str]) -> str:
    """The character that most lines are split by; empty for blanks."""
    for separator in _SEPARATORS:
        enough = [line for line in lines if len(_split(line, separator)) >= 3]
        if len(enough) > len(lines) / 2:
            return separator
    return ""


def _split(line: str, separator: str) -> list[str]:
    if separator == "," and len(line.split()) >= 3 and ", " not in line:
        line = _DECIMAL_COMMA.sub("0", line)  # commas within numbers, between blanks
    return [cell for cell in line.split(separator) if cell.strip()]


def _cells(line: str, separator: str) -> list[str]:
    parts = line.split(separator, _MAX_FIELDS) if separator else line.split(maxsplit=_MAX_FIELDS)
    cells = [part.strip().strip("\"'").strip() for part in parts]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _fields(line: str, separator: str, place: int, names: PhotoNames) -> list[str]:
    """The fields of a row; the photo's name, at `place`, is one field even where it holds blanks."""
    if separator:
        cells = _cells(line, separator)
        if len(cells) > place:
            cells[place] = names.find(cells[place]) or cells[place]
        return cells
    tokens = list(_TOKEN.finditer(line))[:_MAX_FIELDS]
    if len(tokens) <= place:
        return [token[0] for token in tokens]
    begin = tokens[place].start()
    spans = [(line[begin : token.end()], number) for number, token in enumerate(tokens) if number >= place]
    found = [(name, number) for text, number in spans if (name := names.find(text))]
    ended = [span for span in spans if PurePosixPath(span[0].strip("\"'")).suffix.lower() in PHOTO_SUFFIXES]
    name, last = (found[-1:] or ended[:1] or spans[:1])[0]
    return [*(token[0] for token in tokens[:place]), name.strip("\"'"), *(token[0] for token in tokens[last + 1 :])]


def _columns(line: str, separator: str, order: tuple[str, ...]) -> dict[str, int] | None:
    """The place of each column, where the line has their names and no numbers."""
    cells = _cells(line, separator)
    if any(map(_is_number, cells)):
        return None
    roles = _column_roles(cells)
    if "point" in order and "photo" in roles and "point" not in roles:
        labels = [at for at, cell in enumerate(cells) if _letters(cell) in ("name", "label") and at != roles["photo"]]
        roles |= {"point": labels[0]} if labels else {}
    needed = {"photo", "x", "y"} | ({"z", "column", "row"} if "column" in order else set())
    return roles if roles.keys() >= needed else None


def _column_roles(cells: list[str]) -> dict[str, int]:
    """The first column of each role; names of photos that say so before those that any table has."""
    roles: dict[str, int] = {}
    for role, words in _COLUMNS.items():
        places = [(words.index(word), at) for at, cell in enumerate(cells) if (word := _letters(cell)) in words]
        if places:
            roles[role] = min(places)[1]
    return roles


def _by_columns(cells: list[str], columns: dict[str, int], order: tuple[str, ...], names: PhotoNames) -> list[str]:
    """The row in OpenDroneMap's order, up to the last column that is there; angles that are missing are 0."""
    known = {role: cells[at] for role, at in columns.items() if at < len(cells) and cells[at]}
    if "photo" in known:
        known["photo"] = names.find(known["photo"]) or known["photo"]
    if "std_xy" in known and "std_z" not in known:
        known["std_z"] = known["std_xy"]
    present = [number for number, role in enumerate(order) if role in known]
    last = max(present, default=-1) if "z" in known else order.index("y")
    needed = order[:3]
    if not all(role in known for role in needed):
        return [known[role] for role in needed if role in known]
    return [*(known.get(role, "0") for role in order[: last + 1]), *_words(known, order)]


def _words(known: dict[str, str], order: tuple[str, ...]) -> list[str]:
    """What more a named column says of a control point, as `gcp_list.txt` has it behind the point's name."""
    if "point" not in order or "point" not in known:
        return []
    words = [f"{word}={known[role].replace(',', '.')}" for role, word in _WORDS.items() if role in known]
    return [*words, *(["check"] if known.get("use", "").lower().startswith("check") else [])]


def _with_points(fields: list[str], photo: int) -> list[str]:
    """Decimal points for decimal commas."""
    return [
        field.replace(",", ".") if number != photo and _DECIMAL_COMMA.fullmatch(field) else field
        for number, field in enumerate(fields)
    ]


def _as_degrees(
    first: tuple[int, str], rows: list[tuple[int, list[str]]], x: int, is_named: bool
) -> list[tuple[int, list[str]]]:
    """The rows of a table that names no coordinate system, longitude first, where they can only be degrees.

    Raises:
        ValueError: they may be something else, or which of the two numbers is the latitude is not clear.
    """
    pairs = [(fields[x], fields[x + 1]) for _, fields in rows if len(fields) > x + 1]
    if not pairs or not all(_is_number(one) and _is_number(other) for one, other in pairs):
        return rows  # refused with the line, later
    firsts, seconds = [[abs(float(pair[number])) for pair in pairs] for number in (0, 1)]
    has_decimals = any(len(number.partition(".")[2]) >= _DEGREE_DIGITS for pair in pairs for number in pair)
    if max(firsts) > 180 or max(seconds) > 180 or not has_decimals:
        raise ValueError(
            f"line {first[0]}: {first[1][:40]!r} names no coordinate system; write one above, for example EPSG:32616"
        )
    if is_named or (max(firsts) > 90 >= max(seconds)):
        return rows
    if max(seconds) > 90 >= max(firsts):
        return [(line, [*fields[:x], fields[x + 1], fields[x], *fields[x + 2 :]]) for line, fields in rows]
    raise ValueError(
        f"line {first[0]}: it is not clear which number is the latitude; write EPSG:4326 above, and longitude first"
    )


def _keys(name: str) -> set[str]:
    path = PurePosixPath(unicodedata.normalize("NFC", name).lower())
    return {str(path), path.name, str(path.with_suffix("")), path.stem}


def _letters(cell: str) -> str:
    return "".join(letter for letter in re.sub(r"\(.*?\)|\[.*?\]", "", cell).casefold() if letter.isalpha())


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True
