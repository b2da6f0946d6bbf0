"""Cells of an export. Apart from `tables`: who only writes a text needs to load nothing that reads files."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def neutral(text: str) -> str:
    """Text for an export: a cell that a spreadsheet could take for a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
