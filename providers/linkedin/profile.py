"""The Add-to-profile link: LinkedIn's form for a certificate, filled as far as LinkedIn fills it.

No call-back exists: nobody but the member knows whether it was saved.
"""

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote, urlencode
from uuid import UUID

FORM = "https://www.linkedin.com/profile/add"


@dataclass(frozen=True)
class Certificate:
    """What stands in the form. issued_on, expires_on: days in the issuer's zone. organisation_id: the number
    of the issuer's LinkedIn page, which goes before its name. url: of the public page. No personal data."""

    id: UUID
    name: str
    organisation: str
    organisation_id: str
    issued_on: date
    expires_on: date | None
    url: str


def add_link(one: Certificate) -> str:
    """The address of the filled form."""
    fields = {"startTask": "CERTIFICATION_NAME", "name": one.name}
    if one.organisation_id:
        fields["organizationId"] = one.organisation_id
    else:
        fields["organizationName"] = one.organisation
    # Months count from 1, without a leading zero.
    fields |= {"issueYear": f"{one.issued_on:%Y}", "issueMonth": str(one.issued_on.month)}
    if one.expires_on is not None:
        fields |= {"expirationYear": f"{one.expires_on:%Y}", "expirationMonth": str(one.expires_on.month)}
    fields |= {"certUrl": one.url, "certId": str(one.id)}
    return f"{FORM}?{urlencode(fields, safe='', quote_via=quote)}"  # a `+` would show up in names
