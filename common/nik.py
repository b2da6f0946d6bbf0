"""The NIK, Indonesia's national identity number: whether it is plausible, and how it may be shown.

16 digits PP KK CC DD MM YY NNNN: province, regency, district, date of birth, serial. It has no check digit,
so nothing here says "valid": only the civil registry can. Place and date are those of its first registration.
Province codes: Ministry of Home Affairs (Permendagri 56/2015 and the later split of Papua), not the
statistics office's. No sentence of this module repeats a NIK.
"""

import re
from collections.abc import Sequence

PROVINCES = {
    "11": "Aceh", "12": "Sumatera Utara", "13": "Sumatera Barat", "14": "Riau", "15": "Jambi",
    "16": "Sumatera Selatan", "17": "Bengkulu", "18": "Lampung", "19": "Kepulauan Bangka Belitung",
    "21": "Kepulauan Riau", "31": "DKI Jakarta", "32": "Jawa Barat", "33": "Jawa Tengah",
    "34": "DI Yogyakarta", "35": "Jawa Timur", "36": "Banten", "51": "Bali", "52": "Nusa Tenggara Barat",
    "53": "Nusa Tenggara Timur", "61": "Kalimantan Barat", "62": "Kalimantan Tengah",
    "63": "Kalimantan Selatan", "64": "Kalimantan Timur", "65": "Kalimantan Utara", "71": "Sulawesi Utara",
    "72": "Sulawesi Tengah", "73": "Sulawesi Selatan", "74": "Sulawesi Tenggara", "75": "Gorontalo",
    "76": "Sulawesi Barat", "81": "Maluku", "82": "Maluku Utara", "91": "Papua", "92": "Papua Barat",
    "93": "Papua Selatan", "94": "Papua Tengah", "95": "Papua Pegunungan", "96": "Papua Barat Daya",
}  # fmt: skip
FEMALE = 40  # added to the day of birth
_BPS_ONLY = "97"
_DIGITS = re.compile(r"[0-9]+")
_WHOLE = re.compile(r"[0-9]{16}")
_LONE = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
_AS_NUMBER = re.compile(r"[0-9]+([.,][0-9]*)?[eE]\+?[0-9]+")
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SEPARATED = re.compile(r"[\s.,\-/]+")
_ROUNDED_AT_LEAST = 6  # rows: so many that end in 0 by chance are one class in a million


def why_implausible(text: str) -> str | None:
    """What is wrong with a NIK as it was given, in one sentence; None where it is plausible."""
    if _WHOLE.fullmatch(text) is None:
        return _damage(text)
    province, regency, district = text[:2], text[2:4], text[4:6]
    if province not in PROVINCES:
        if province == _BPS_ONLY:
            return (
                "97 is the statistics office's code of Papua Pegunungan; a NIK has the civil registry's, 95"
            )
        return f"no province has the code {province}"
    if regency == "00":
        return "the regency (digits 3 and 4) is 00"
    if district == "00":
        return "the district (digits 5 and 6) is 00"
    return _wrong_date(int(text[6:8]), int(text[8:10]), int(text[10:12])) or (
        "the serial (the last four digits) is 0000; a spreadsheet may have rounded it"
        if text[12:] == "0000"
        else None
    )


def is_within(text: str) -> bool:
    """Whether a plausible NIK stands in a text, as in a number that was made of one: `CERT-3201…`."""
    return any(why_implausible(one) is None for one in _LONE.findall(text))


def is_rounded(niks: Sequence[str]) -> bool:
    """Whether a spreadsheet has plainly rounded a whole list: it keeps 15 digits, so each one ends in 0."""
    return len(niks) >= _ROUNDED_AT_LEAST and all(nik.endswith("0") for nik in niks)


def masked(text: str) -> str:
    """As much of a NIK as may be shown: `3201********0001`; of anything else only that it was there."""
    if _WHOLE.fullmatch(text):
        return f"{text[:4]}********{text[12:]}"
    return "*" * min(len(text), 20)


def masked_within(text: str) -> str:
    """A text, as the name of a file, in which every number of 16 digits is shown as a NIK may be."""
    return _WHOLE.sub(lambda found: masked(found[0]), text)


def _wrong_date(day: int, month: int, year: int) -> str | None:
    """29 February stands where 19YY or 20YY is a leap year: every fourth, as 2000 is one too."""
    if not 1 <= month <= 12:
        return f"the month of birth (digits 9 and 10) is {month:02d}"
    born = day - FEMALE if day > FEMALE else day
    if not 1 <= born <= _DAYS[month - 1]:
        return f"the day of birth (digits 7 and 8) is {day:02d}, which month {month:02d} does not have"
    if month == 2 and born == 29 and year % 4:
        return f"it says 29 February of a year that ends in {year:02d}, which was no leap year"
    return None


def _damage(text: str) -> str:
    """Why a text is not 16 digits, by the usual slips; the first that fits."""
    bare = text.strip()
    if not bare:
        return "it is empty"
    if bare[0] in "'’`":
        return "it begins with an apostrophe, left over from a spreadsheet: take it away"
    if _AS_NUMBER.fullmatch(bare):
        return "a spreadsheet has made a number of it (3.2E+15) and lost digits: format the column as text"
    if bare.isascii() and re.fullmatch(r"[0-9]+[.,]0+", bare):
        return "a spreadsheet has made a number of it (it ends in .0): format the column as text"
    joined = _SEPARATED.sub("", text)
    if joined != text and _DIGITS.fullmatch(joined):
        return "it has blanks, dots or hyphens between its digits: write the digits alone"
    if not bare.isascii() and bare.isdigit():
        return "it is written in digits of another script: only 0 to 9 count"
    if _DIGITS.fullmatch(bare):
        return f"it has {len(bare)} digits where a NIK has 16"
    if re.fullmatch(r"[0-9oO]+", bare):
        return "it has the letter O in place of a zero"
    if len(re.findall("[0-9]", text)) == 16:
        return "it has other characters beside its digits, maybe some that are not seen: write 16 digits"
    return "it is not 16 digits"
