"""LinkedIn as the API takes and shows it: every member described, with an example."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.credential_models import Line, Lines
from api.processes import State
from providers.linkedin.text import LONGEST

_ID = "7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11"
_PROCESS_ID = "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c"
_LEARNER = "learner-4711"
_CONNECT: JsonDict = {
    "authorization_url": "https://www.linkedin.com/oauth/v2/authorization?response_type=code&client_id=86abc"
    "&redirect_uri=https%3A%2F%2Fjembatan.example%2Fapi%2Fv1%2Fintegrations%2Flinkedin%2Fcallback"
    "&scope=openid%20profile%20email%20w_member_social&state=Zk3v",
    "learner_page_url": "https://jembatan.example/linkedin/start?ticket=b8Qx",
    "expires_at": "2026-11-29T02:10:00Z",
}
_CONNECTION: JsonDict = {
    "learner_id": _LEARNER,
    "state": "connected",
    "since": "2026-11-29T02:03:00Z",
    "can_share": True,
    "share_new": False,
    "expires_at": "2027-01-28T02:03:00Z",
}
_FIELDS: JsonDict = {
    "name": "Pengembangan Perangkat Lunak",
    "organization_name": "LPK Teknologi Indonesia",
    "organization_id": None,
    "issue_year": 2026,
    "issue_month": 7,
    "expiration_year": 2031,
    "expiration_month": 7,
    "credential_url": f"https://jembatan.example/credentials/{_ID}",
    "credential_id": _ID,
}
_ADDED: JsonDict = {
    "credential_id": _ID,
    "add_to_profile_url": "https://www.linkedin.com/profile/add?startTask=CERTIFICATION_NAME"
    "&name=Pengembangan%20Perangkat%20Lunak&organizationName=LPK%20Teknologi%20Indonesia&issueYear=2026"
    "&issueMonth=7&expirationYear=2031&expirationMonth=7"
    f"&certUrl=https%3A%2F%2Fjembatan.example%2Fcredentials%2F{_ID}&certId={_ID}",
    "fields": _FIELDS,
    "note": "The learner opens the link, checks the form and saves it at LinkedIn. Whether that was done "
    "nobody else is told.",
    "process_id": _PROCESS_ID,
    "status_url": f"https://jembatan.example/api/v1/processes/{_PROCESS_ID}",
    "state": "queued",
}

LearnerId = Annotated[Line, Field(max_length=64)]


class LinkedInConnect(BaseModel):
    """Where a learner connects LinkedIn: one of both addresses, once, before they end."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONNECT]})

    authorization_url: str = Field(description="LinkedIn's page, at once; its answer counts in any browser")
    learner_page_url: str = Field(
        description="Our page for the learner, which leads to LinkedIn and where the answer counts in that "
        "browser only: the safer one"
    )
    expires_at: datetime = Field(description="When both end")


class LinkedInConnectionShown(BaseModel):
    """How a learner's LinkedIn stands. Of the account nothing is shown."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONNECTION]})

    learner_id: str = Field(description="The platform's id of the learner")
    state: Literal["not_connected", "connected", "needs_reconnect"] = Field(
        description="`needs_reconnect`: the permission has ended; the learner connects once more"
    )
    since: datetime | None = Field(description="Since when")
    can_share: bool = Field(description="Whether the learner has allowed posts, and they can be made now")
    share_new: bool = Field(description="Whether new credentials are shared by themselves")
    expires_at: datetime | None = Field(description="When the permission ends")


class LinkedInDisconnect(BaseModel):
    """Whose LinkedIn is to be forgotten."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"learner_id": _LEARNER}]})

    learner_id: LearnerId = Field(description="The platform's id of the learner")


class AddCertification(BaseModel):
    """A credential that a learner wants to show on LinkedIn."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"learner_id": _LEARNER, "credential_id": _ID, "share": True, "text": "Saya lulus!"}]
        },
    )

    learner_id: LearnerId = Field(description="Whose credential it is")
    credential_id: UUID = Field(description="Which")
    share: bool = Field(False, description="Post it too: the learner has seen the text, and wants it posted")
    text: Annotated[Lines, Field(max_length=LONGEST)] | None = Field(
        None,
        description="What the post says; default: that the learner has completed it. A #tag is a hashtag",
        examples=["Saya lulus! #SKKNI"],
    )
    visibility: Literal["PUBLIC", "CONNECTIONS"] = Field(
        "PUBLIC", description="Who can see the post: anyone, or the learner's connections"
    )


class ProfileFields(BaseModel):
    """What LinkedIn's form asks for, to be copied where LinkedIn leaves a field empty."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FIELDS]})

    name: str = Field(description="Name of the certificate")
    organization_name: str = Field(description="Issuing organization")
    organization_id: str | None = Field(description="Number of its LinkedIn page, where one is set")
    issue_year: int = Field(description="In the issuer's zone (WIB)")
    issue_month: int = Field(description="1 to 12")
    expiration_year: int | None = Field(description="Null: it does not expire")
    expiration_month: int | None = Field(description="1 to 12")
    credential_url: str = Field(description="The public page")
    credential_id: str = Field(description="Credential ID")


class CertificationAdded(BaseModel):
    """The link with which the learner adds it to the profile; with a share also its process."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ADDED]})

    credential_id: UUID = Field(description="The credential")
    add_to_profile_url: str = Field(
        description="LinkedIn's form, filled as far as LinkedIn fills it. The learner saves it there"
    )
    fields: ProfileFields = Field(description="The same values, to be shown beside the link")
    note: str = Field(description="What the link does and does not do, for people")
    process_id: UUID | None = Field(description="The process that posts it; null where nothing is posted")
    status_url: str | None = Field(description="Where the process is to be read; also in `Location`")
    state: State | None = Field(description="The process's")
