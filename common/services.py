"""Settings of the services that are no wallet: SIPLatih, LinkedIn, a Europass issuer (docs/settings.md).

Each section knows what the sandbox stands for in it; production gets only what is public and does not change.
"""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, field_validator

SANDBOX_MARK = "sandbox-"  # every key that the sandbox hands out starts with this


class Outside(BaseModel):
    """How every outside service is called: time-outs in seconds, calls a second."""

    connect_timeout: float = 3.0
    read_timeout: float = 15.0
    rate: float = Field(default=100.0, gt=0, description="calls a second")


class Service(Outside):
    """An outside service with one address."""

    base_url: str = ""

    @field_validator("base_url", mode="after")
    @classmethod
    def _without_slash(cls, base_url: str) -> str:
        return base_url.rstrip("/")  # what follows it is signed, from its first slash on


class Siplatih(Service):
    """The ministry's register of trainings. No public specification: every path and word is a setting."""

    read_timeout: float = 30.0
    rate: float = Field(default=20.0, gt=0, description="calls a second")
    token_url: str = Field(default="", description="default: BASE_URL and `/oauth/token`")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    scope: str = "training:read training:write credential:read credential:write"
    lookup_path: str = Field(
        default="/training-programs",
        description="path after BASE_URL of the look-up by `?program_code=`; empty: the register has none",
    )
    chunk_size: int = Field(default=100, ge=1, le=10_000, description="most participants in one call")
    ca_bundle: Path | None = Field(
        default=None, description="PEM file of the authorities that its certificate is checked with"
    )
    knows_repeats: bool | None = Field(
        default=None,
        description="whether it recognises a participant who is reported again, so that a report whose "
        "answer was lost may go once more by itself; default: yes in the sandbox, else a person decides",
    )
    program_types: tuple[str, ...] = ("VOCATIONAL",)
    completion_statuses: tuple[str, ...] = ("COMPLETED", "FAILED", "WITHDRAWN")

    def complete(self, sandbox_url: str | None) -> None:
        """Fill what is not set; sandbox_url: where the sandbox is, None in production."""
        if sandbox_url:
            self.base_url = self.base_url or f"{sandbox_url}/siplatih/api/v1"
            self.client_id = self.client_id or f"{SANDBOX_MARK}siplatih"
            self.client_secret = _or_sandbox(self.client_secret, "siplatih-secret")
            self.knows_repeats = self.knows_repeats is not False
        if self.base_url:
            self.token_url = self.token_url or f"{self.base_url}/oauth/token"


class LinkedIn(Outside):
    """LinkedIn: sign-in and sharing. In production every address defaults to LinkedIn's own."""

    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    jwks_url: str = Field(default="", description="the keys with which it signs ID tokens")
    api_url: str = Field(default="", description="what goes before `/v2/userinfo` and `/rest/posts`")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    version: str = Field(
        default="202603",
        pattern=r"^20[0-9]{2}(0[1-9]|1[0-2])$",
        description="LinkedIn-Version, year and month; each lives about a year",
    )
    redirect_uri: str = Field(
        default="", description="as it is registered with the app; default: our own call-back address"
    )
    scope: str = Field(
        default="openid profile email w_member_social", description="what members are asked to allow"
    )
    pkce: bool = Field(
        default=False,
        description="only where LinkedIn switched it on for the app: others are refused",
    )
    issuers: tuple[str, ...] = Field(
        default=("https://www.linkedin.com/oauth", "https://www.linkedin.com"),
        description="who may have signed an ID token; the second was its name until 2024",
    )
    upload_hosts: tuple[str, ...] = Field(
        default=("linkedin.com",), description="hosts, and all below them, to which pictures are uploaded"
    )
    pictures: bool = Field(default=True, description="whether shares carry the picture of the badge")
    organization_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,20}$",
        description="number of the issuer's LinkedIn page, for the Add-to-profile link; none: by name",
    )
    platform_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="where the learner's page leads back to; empty: nowhere",
    )

    @field_validator("api_url", mode="after")
    @classmethod
    def _without_slash(cls, api_url: str) -> str:
        return api_url.rstrip("/")

    def complete(self, sandbox_url: str | None) -> None:
        """Fill what is not set; sandbox_url: where the sandbox is, None in production."""
        home = f"{sandbox_url}/linkedin" if sandbox_url else "https://www.linkedin.com"
        self.authorize_url = self.authorize_url or f"{home}/oauth/v2/authorization"
        self.token_url = self.token_url or f"{home}/oauth/v2/accessToken"
        beside = self.token_url.removesuffix("/v2/accessToken")
        oauth = beside if beside != self.token_url else f"{home}/oauth"
        self.revoke_url = self.revoke_url or f"{oauth}/v2/revoke"
        self.jwks_url = self.jwks_url or f"{oauth}/openid/jwks"
        self.api_url = self.api_url or (home if sandbox_url else "https://api.linkedin.com")
        if sandbox_url:
            self.client_id = self.client_id or f"{SANDBOX_MARK}linkedin"
            self.client_secret = _or_sandbox(self.client_secret, "linkedin-secret")


class Seal(BaseModel):
    """With what European credentials are sealed here; nothing set: they leave unsealed."""

    pkcs12: Path | None = Field(default=None, description="file with the certificate, its chain and its key")
    password: SecretStr = SecretStr("")
    signer: str = Field(
        default="",
        pattern=r"^([\w.]+:\w+)?$",
        description="a plug-in instead of a file, `package.module:factory`",
    )
    identifier: str = Field(
        default="",
        pattern=r"^([A-Z]{3}[A-Z]{2}-.+)?$",
        description="eIDAS identifier, such as `NTRID-9120001234567`, where the certificate has none",
    )


class Europass(Service):
    """An issuer that takes European credentials; the EU itself offers no such service. Without an address
    credentials are made for download, and sent nowhere."""

    read_timeout: float = 30.0
    rate: float = Field(default=20.0, gt=0, description="calls a second")
    api_key: SecretStr = SecretStr("")
    names_on_pages: bool = Field(
        default=True,
        description="false: the page images show what was achieved and nobody's name, so that all who "
        "achieved the same share them",
    )
    registration: str = Field(default="", description="the issuer's own registration number, such as its NIB")
    country: str = Field(default="ID", pattern="^[A-Z]{2}$", description="the issuer's country")
    seal: Seal = Seal()

    def complete(self, sandbox_url: str | None) -> None:
        """Fill what is not set; sandbox_url: where the sandbox is, None in production."""
        if sandbox_url:
            self.base_url = self.base_url or f"{sandbox_url}/europass/api"
            self.api_key = _or_sandbox(self.api_key, "europass-key")


def _or_sandbox(secret: SecretStr, key: str) -> SecretStr:
    return secret if secret.get_secret_value() else SecretStr(f"{SANDBOX_MARK}{key}")
