"""HTML as a tree, so that whatever is put into it is text: the standard library escapes when the tree is written."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, tostring

from spaceport.pipeline.text import visible

Content = Element | str | None

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""The page holds all that it shows, and runs nothing."""


def element(tag: str, *content: Content, **attributes: str) -> Element:
    """An element. A trailing `_` of a name is left out, and other ones are dashes: `class_`, `aria_label`."""
    made = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    last: Element | None = None
    for part in content:
        if isinstance(part, str):
            if last is None:
                made.text = (made.text or "") + part
            else:
                last.tail = (last.tail or "") + part
        elif part is not None:
            made.append(part)
            last = part
    return made


def name_of(text: str) -> Element:
    """A name that somebody else chose: no direction of writing of its own, and nothing invisible."""
    return element("bdi", visible(text, 200))


def document(title: str, style: str, *content: Content) -> bytes:
    """The file, in UTF-8."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", content=_POLICY, **{"http-equiv": "Content-Security-Policy"}),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", visible(title, 200)),
        element("style", style),
    )
    page = element("html", head, element("body", element("main", *content)), lang="en")
    return ("<!doctype html>\n" + tostring(page, encoding="unicode", method="html") + "\n").encode()
