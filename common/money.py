"""Money: ISO 4217 minor units as whole numbers; text is read and printed only here, exactly.

IDR has two decimals in ISO 4217, so one rupiah is 100 minor units and Rp 10.000 is 1_000_000.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

_PLAIN = re.compile(r"[0-9]{1,17}(\.[0-9]{1,2})?")
MINOR_PER_UNIT = 100
MAX_MINOR = 2**63 - 1

# ISO 4217 list one, active alphabetic codes (funds and metals left out).
CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
    KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a list of 150 quoted words would fill two screens
)


def parse_minor(text: str) -> int:
    """Minor units of plain text such as `10000` or `2500.50`; raises ValueError for any other form.

    Refuses signs, exponents, separators, blanks and a third decimal: nothing is rounded.
    """
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"not a plain amount with at most two decimals: {text[:80]!r}")
    minor = int(Decimal(text) * MINOR_PER_UNIT)
    if minor > MAX_MINOR:
        raise ValueError(f"amount too large: {text[:80]!r}")
    return minor


def plain(minor: int) -> str:
    """Rupiah with two decimals as plain text, `1000050` → `10000.50`."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{minor // 100}.{minor % 100:02d}"


def plain_minor(text: str) -> int:
    """Minor units of what `plain` has printed, below zero too: `-10000.50` → `-1000050`."""
    minor = parse_minor(text.removeprefix("-"))
    return -minor if text.startswith("-") else minor


def rupiah(minor: int) -> str:
    """Rupiah for people, `124500000` → `Rp 1,245,000`; decimals only where there are any."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    cents = f".{minor % 100:02d}" if minor % 100 else ""
    return f"{sign}Rp {minor // 100:,}{cents}"


def fee_minor(amount_minor: int, percent: Decimal, fixed: Decimal) -> int:
    """Fee of one payment by a plan of `percent` % plus `fixed` rupiah, rounded half up to whole rupiah."""
    exact = Decimal(amount_minor) / MINOR_PER_UNIT * percent / 100 + fixed
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP)) * MINOR_PER_UNIT
