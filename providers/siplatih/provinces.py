"""The 38 provinces by the names that the register wants, and how people usually write them."""

import difflib
import re
import unicodedata

from common.nik import PROVINCES

NAMES = tuple(PROVINCES.values())
_OTHERWISE = {
    "Aceh": "nad, nanggroe aceh darussalam, daerah istimewa aceh, di aceh",
    "Sumatera Utara": "sumut, sumatra utara, north sumatra",
    "Sumatera Barat": "sumbar, sumatra barat, west sumatra",
    "Sumatera Selatan": "sumsel, sumatra selatan, south sumatra",
    "Kepulauan Bangka Belitung": "babel, bangka belitung, kep bangka belitung, bangka belitung islands",
    "Kepulauan Riau": "kepri, kep riau, riau islands",
    "DKI Jakarta": "dki, jakarta, jakarta raya, dkj, daerah khusus jakarta, daerah khusus ibukota jakarta, "
    "daerah khusus ibu kota jakarta, special capital region of jakarta",
    "Jawa Barat": "jabar, west java",
    "Jawa Tengah": "jateng, central java",
    "DI Yogyakarta": "diy, yogyakarta, jogja, jogjakarta, yogya, di jogjakarta, "
    "daerah istimewa yogyakarta, daerah istimewa jogjakarta, special region of yogyakarta",
    "Jawa Timur": "jatim, east java",
    "Nusa Tenggara Barat": "ntb, west nusa tenggara",
    "Nusa Tenggara Timur": "ntt, east nusa tenggara",
    "Kalimantan Barat": "kalbar, west kalimantan",
    "Kalimantan Tengah": "kalteng, central kalimantan",
    "Kalimantan Selatan": "kalsel, south kalimantan",
    "Kalimantan Timur": "kaltim, east kalimantan",
    "Kalimantan Utara": "kaltara, north kalimantan",
    "Sulawesi Utara": "sulut, north sulawesi",
    "Sulawesi Tengah": "sulteng, central sulawesi",
    "Sulawesi Selatan": "sulsel, south sulawesi",
    "Sulawesi Tenggara": "sultra, southeast sulawesi, south east sulawesi",
    "Sulawesi Barat": "sulbar, west sulawesi",
    "Maluku": "moluccas",
    "Maluku Utara": "malut, north maluku",
    "Papua Barat": "west papua",
    "Papua Selatan": "south papua",
    "Papua Tengah": "central papua",
    "Papua Pegunungan": "highland papua",
    "Papua Barat Daya": "southwest papua, south west papua",
}
_PREFIX = re.compile(r"^(?:provinsi|propinsi|prov|province of)\s+")


def _key(text: str) -> str:
    words = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"\b([a-z])\.\s*(?=[a-z]\b)", r"\1", words)  # d.i. → di
    words = " ".join(re.sub(r"[^a-z]+", " ", words).split())
    return _PREFIX.sub("", words)


_BY_KEY = {_key(name): name for name in NAMES} | {
    _key(other): name for name, others in _OTHERWISE.items() for other in others.split(", ")
}


def province(text: str) -> str | None:
    """The name that the register knows a province by; None where the text means none."""
    return _BY_KEY.get(_key(text))


def nearest(text: str) -> str | None:
    """The province that was probably meant by a text that is none."""
    near = difflib.get_close_matches(_key(text), _BY_KEY, n=1, cutoff=0.75)
    return _BY_KEY[near[0]] if near else None
