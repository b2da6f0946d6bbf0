"""A NIK as the register looks at it: 16 digits PPKKCC DDMMYY NNNN, plausible or not. There is no check digit.

Source: the civil registry's rules and the Ministry of Home Affairs' province list (Permendagri 56/2015 and
later), not the statistics office's, which has other numbers in Papua.
"""

import calendar
import hashlib
import re

PROVINCES = {
    "11": "Aceh",
    "12": "Sumatera Utara",
    "13": "Sumatera Barat",
    "14": "Riau",
    "15": "Jambi",
    "16": "Sumatera Selatan",
    "17": "Bengkulu",
    "18": "Lampung",
    "19": "Kepulauan Bangka Belitung",
    "21": "Kepulauan Riau",
    "31": "DKI Jakarta",
    "32": "Jawa Barat",
    "33": "Jawa Tengah",
    "34": "DI Yogyakarta",
    "35": "Jawa Timur",
    "36": "Banten",
    "51": "Bali",
    "52": "Nusa Tenggara Barat",
    "53": "Nusa Tenggara Timur",
    "61": "Kalimantan Barat",
    "62": "Kalimantan Tengah",
    "63": "Kalimantan Selatan",
    "64": "Kalimantan Timur",
    "65": "Kalimantan Utara",
    "71": "Sulawesi Utara",
    "72": "Sulawesi Tengah",
    "73": "Sulawesi Selatan",
    "74": "Sulawesi Tenggara",
    "75": "Gorontalo",
    "76": "Sulawesi Barat",
    "81": "Maluku",
    "82": "Maluku Utara",
    "91": "Papua",
    "92": "Papua Barat",
    "93": "Papua Selatan",
    "94": "Papua Tengah",
    "95": "Papua Pegunungan",
    "96": "Papua Barat Daya",
}
_SIXTEEN = re.compile(r"[0-9]{16}")


def fault(nik: str) -> str:
    """What is not plausible about it, empty if nothing; the words do not repeat the number."""
    if not _SIXTEEN.fullmatch(nik):
        return "is not 16 digits"
    day, month, year = int(nik[6:8]), int(nik[8:10]), int(nik[10:12])
    if nik[:2] not in PROVINCES:
        return "has an unknown province"
    if nik[2:4] == "00" or nik[4:6] == "00":
        return "has an unknown regency or district"
    if nik[12:] == "0000":
        return "has the serial number 0000"
    if not 1 <= month <= 12:
        return "has an unreal month of birth"
    if day > 40:  # women
        day -= 40
    # the century is not in the number
    longest = max(calendar.monthrange(century + year, month)[1] for century in (1900, 2000))
    return "" if 1 <= day <= longest else "has an unreal day of birth"


def masked(nik: str) -> str:
    """`3201********0001`: what the books show."""
    return f"{nik[:4]}{'*' * 8}{nik[12:]}"


def person(nik: str) -> str:
    """What the books know a person by: they keep no NIK, not even a stand-in's should."""
    return hashlib.sha256(f"sandbox-siplatih:{nik}".encode()).hexdigest()
