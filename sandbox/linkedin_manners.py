"""How LinkedIn behaves: what can be set through the admin calls."""

from typing import Literal

from pydantic import BaseModel, Field

from sandbox.refusals import RetryForm

SCOPES = ("openid", "profile", "email", "w_member_social")
DEFAULT_ISSUER = "https://www.linkedin.com/oauth"


class Manners(BaseModel, extra="forbid"):
    """The choices, all with the usual behaviour as default."""

    signed_in: str | None = Field(
        default=None, description="sub of a member whose browser is sent back at once, without a question"
    )
    redirect_uris: tuple[str, ...] = Field(
        default=(), description="registered addresses; none: every https address, and http on this machine"
    )
    scopes: tuple[str, ...] = Field(default=SCOPES, description="what the app may ask for")
    granted: tuple[str, ...] | None = Field(default=None, description="the most that a member grants")
    scope_separator: Literal[",", " "] = ","
    cancel_description: str = "The user cancelled the authorization"
    code_seconds: int = Field(default=1800, ge=1)
    token_seconds: int = Field(default=5_184_000, ge=1)
    pkce: bool = Field(default=False, description="whether the app may send a code_verifier")
    one_grant: bool = Field(
        default=True, description="whether a grant with other scopes ends the member's older tokens"
    )
    identity: Literal[
        "right", "old_issuer", "other_issuer", "other_audience", "other_key", "expired", "unsigned", "missing"
    ] = Field(default="right", description="what the ID token is like")
    locale_form: Literal["object", "text"] = "object"
    email: bool = Field(default=True, description="whether the e-mail address is told")
    oldest_version: str = Field(default="202505", pattern=r"^20[0-9]{2}(0[1-9]|1[0-2])$")
    unescaped: Literal["refuse", "cut"] = Field(
        default="refuse", description="a reserved character in a post: 400, or the text ends there silently"
    )
    id_header: Literal["x-restli-id", "x-linkedin-id"] = "x-restli-id"
    post_kind: Literal["share", "ugcPost"] = "share"
    member_limit: int | None = Field(default=None, ge=0, description="posts of one member in a UTC day")
    app_limit: int | None = Field(default=None, ge=0, description="posts of the app in a UTC day")
    limit_retry_form: RetryForm = "none"
    upload_base: str | None = Field(
        default=None, description="what goes before the path of an upload address, to lead to another host"
    )
