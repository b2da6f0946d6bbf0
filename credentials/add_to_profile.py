"""The link with which a holder adds a credential to a LinkedIn profile.

It opens a form of LinkedIn's, which may come filled or empty; whether anything was saved we never hear.
"""

from datetime import date
from urllib.parse import quote

from credentials.public import Shown

_ADDRESS = "https://www.linkedin.com/profile/add"


def values(shown: Shown, organisation: str, page_url: str) -> dict[str, str]:
    """What the form asks for, by LinkedIn's names. Days are those of the certificate, in Jakarta."""
    said = {"name": shown.content.name, "organizationName": organisation}
    said |= _month("issue", shown.issued_on)
    if shown.expires_on is not None:
        said |= _month("expiration", shown.expires_on)
    return said | {"certUrl": page_url, "certId": str(shown.id)}


def link(shown: Shown, organisation: str, page_url: str) -> str:
    """The address that opens the form. Blanks go as %20: a plus has stood in names as a plus."""
    said = {"startTask": "CERTIFICATION_NAME", **values(shown, organisation, page_url)}
    return f"{_ADDRESS}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items())


def _month(which: str, day: date) -> dict[str, str]:
    return {f"{which}Year": str(day.year), f"{which}Month": str(day.month)}
