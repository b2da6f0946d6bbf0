"""Training centres: how their badges look."""

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from api.access import REFUSALS, Caller, allowed
from api.credential_models import Line
from api.problem_kinds import BODY, OURS, described
from api.problems import Problem
from common.errors import BadInput
from credentials import images
from records.db import unit_of_work

router = APIRouter(prefix="/api/v1/training-centres", tags=["credentials"])
Writer = Annotated[Caller, Depends(allowed("credentials:write"))]
_LOGO = base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'
).decode()
_SHOWN: JsonDict = {
    "lpk_registration_number": "LPK-3171-0042",
    "name": "LPK Teknologi Indonesia",
    "url": "https://lpk.example",
    "colour": "#1b4f8f",
}


class Brand(BaseModel):
    """A training centre's brand. What is left out is taken away."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_SHOWN | {"logo": _LOGO}]})

    lpk_registration_number: Annotated[Line, Field(max_length=64)] = Field(
        description="The centre, as the ministry has it registered"
    )
    name: Annotated[Line, Field(max_length=200)] = Field(description="What it calls itself")
    url: Annotated[str, StringConstraints(pattern=images.WEBSITE)] | None = Field(
        None, description="Its website; stands in badges from now on", examples=["https://lpk.example"]
    )
    colour: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")] | None = Field(
        None, description="Of the badge's ring", examples=["#1b4f8f"]
    )
    logo: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=900_000)] | None = (
        Field(
            None,
            description="PNG or SVG in Base64, at most 512 KiB; a PNG with 2,048 pixels a side at most, an "
            "SVG that only draws: no script, no style sheet, no picture or font from elsewhere",
            examples=[_LOGO],
        )
    )


class ShownBrand(BaseModel):
    """A training centre's brand."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    lpk_registration_number: str = Field(description="The centre")
    name: str = Field(description="What it calls itself")
    url: str | None = Field(description="Its website")
    colour: str | None = Field(description="Of the badge's ring")


@router.put(
    "",
    summary="Brand a training centre's badges",
    response_description="The brand as it is now",
    responses=described(*BODY, *OURS, *REFUSALS),
)
def brand_training_centre(brand: Brand, caller: Writer) -> ShownBrand:
    """Name, website, colour and logo. Badges that are signed keep what they say; their pictures are drawn
    anew."""
    try:
        picture = base64.b64decode(brand.logo, validate=True) if brand.logo is not None else None
        with unit_of_work() as session:
            images.brand(
                session,
                brand.lpk_registration_number,
                name=brand.name,
                url=brand.url,
                colour=brand.colour,
                picture=picture,
            )
    except binascii.Error:
        raise _refused("It is not written in Base64") from None
    except BadInput as refusal:
        raise _refused(str(refusal)) from None
    return ShownBrand(**brand.model_dump(exclude={"logo"}))


def _refused(reason: str) -> Problem:
    problem = Problem("invalid-request", f"body.logo: {reason}.")
    problem.errors = [{"where": "body.logo", "reason": f"{reason}."}]
    return problem
