"""Where the bytes of a SOG go, as a table."""

from __future__ import annotations

from rich.table import Table

PARTS = {
    "means": ("means", "means"),
    "scales": ("scales", "scales"),
    "quats": ("quats", "quats"),
    "sh0_opacity": ("colour, opacity", "sh0_opacity"),
    "shN_centroids": ("SH palette", "shN"),
    "shN_labels": ("SH labels", "shN"),
    "meta": ("meta, zip", ""),
}
"""The title of each part of the file, and the attribute whose PSNR it decides."""

DROPPED = "SH, left out"


def bytes_table(attribute_bytes: dict[str, int], attribute_psnr: dict[str, float], psnr: float) -> Table:
    """A row for each part of the file: its bytes, its share of them, and the PSNR if only it were quantised."""
    table = Table("", "bytes", "share", "dB alone", box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    for column in table.columns[1:]:
        column.justify = "right"
    total = sum(attribute_bytes.values())
    for title, count, decibels in _rows(attribute_bytes, attribute_psnr):
        table.add_row(f"  {title}", f"{count:,}", f"{100 * count / total:.1f} %", decibels)
    table.add_row("  all", f"{total:,}", "100.0 %", f"{psnr:.1f}", style="bold")
    return table


def _rows(attribute_bytes: dict[str, int], attribute_psnr: dict[str, float]) -> list[tuple[str, int, str]]:
    """Title, bytes and PSNR; that of palette and labels together is in the palette's row."""
    decibels = {name: f"{psnr:.1f}" for name, psnr in attribute_psnr.items()}
    rows = []
    for part, (title, attribute) in PARTS.items():
        if part in attribute_bytes:
            rows.append((title, attribute_bytes[part], decibels.get(attribute, "")))
            decibels[attribute] = "″"
    if "shN" in attribute_psnr and "shN_labels" not in attribute_bytes:
        rows.insert(-1, (DROPPED, 0, decibels["shN"]))
    return rows
