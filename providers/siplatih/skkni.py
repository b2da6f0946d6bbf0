"""Codes of the national competence standards (SKKNI).

Source: Permenakertrans 8/2012, annex I: category letter of KBLI, six digits of the KBLI class, serial,
version, as in `J.620100.004.02`.
"""

import re

_UNIT = re.compile(r"[A-U]\.[0-9]{6}\.[0-9]{3}\.[0-9]{2}")
_OLDER = re.compile(r"[A-U]\.[0-9]{5}\.[0-9]{3}\.[0-9]{2}|[A-Z]{2,4}\.[A-Z]{2}[0-9]{2}\.[0-9]{3}\.[0-9]{2}")


def warning(code: str) -> str | None:
    """What may be wrong with a code; None for one of today's form. None is refused: sets of units have names
    of their own, and nobody has published those."""
    if _UNIT.fullmatch(code):
        return None
    if _OLDER.fullmatch(code):
        return "it has an older form of a unit's code; today's is J.620100.004.02"
    return "it has not the form of a unit's code (J.620100.004.02) and is sent as the name of a set"
