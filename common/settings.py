"""Settings from the environment: prefix `JEMBATAN_`, nesting `__` (docs/settings.md lists them).

A key value may be the text itself or a path to a file that holds it (container secrets).
"""

import re
from datetime import date, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.errors import BadInput
from common.services import SANDBOX_MARK, Europass, LinkedIn, Service, Siplatih

# What the test hosts of gateways have in their names: ours, DOKU, Faspay, DANA, Midtrans, NICEPAY, OVO.
SANDBOX_HOSTS = ("sandbox", "merchants.sbx.midtrans.com", "dev.nicepay.co.id", "byte-stack.net")


class Keep(BaseModel):
    """For how many days something is kept that is of no use for ever."""

    events: int = Field(default=90, ge=7, description="events, once delivered or given up")
    keys: int = Field(default=400, ge=30, description="idempotency keys of requests")
    answers: int = Field(default=1825, ge=30, description="the register's sealed answers: the receipts")


class FeePlan(BaseModel):
    """What the gateway keeps of one payment: `percent` % plus `fixed` rupiah, half up to whole rupiah."""

    percent: Decimal = Field(ge=0, le=100, max_digits=7, decimal_places=4)
    fixed: Decimal = Field(default=Decimal(0), ge=0, le=1_000_000, decimal_places=2)


class ReportSource(BaseModel):
    """Where a gateway's settlement report comes from, and how it is laid out."""

    source: Literal["http", "drop", "snap"] | None = None
    layout: str = "canonical"
    url: str | None = Field(default=None, description="for http: address with {date}, {yyyymmdd}")
    username: SecretStr | None = Field(default=None, description="for http: Basic authentication")
    password: SecretStr = SecretStr("")
    directory: Path | None = Field(default=None, description="for drop: folder that the gateway fills")
    pattern: str = Field(
        default="*{date}*", description="for drop: file names of one day; {date}, {yyyymmdd}"
    )
    path: str = Field(default="/v1.0/transaction-history-list", description="for snap: path of service 12")
    page_size: int = Field(default=50, ge=1, le=50)
    give_up_after_hours: float = Field(default=10, description="a report this late needs a person")


class PayoutPlan(BaseModel):
    """When a gateway pays out what it has settled, and how its credits are known on the bank statement."""

    pattern: str = Field(
        default="",
        description="regular expression that the narrative of its bank entries has, capitals or not; its "
        "group `reference` is the payout's reference. Empty: no payouts",
    )
    account: str = Field(default="", description="bank account that it pays to; empty: any")
    transfer_fee: Decimal = Field(
        default=Decimal(0), ge=0, le=1_000_000, decimal_places=2, description="rupiah kept of each payout"
    )

    @field_validator("pattern", mode="after")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"the pattern is no regular expression: {error}") from None
        return pattern


class Gateway(Service):
    """A wallet's gateway: its limits, its fee plan and the source of its settlement reports."""

    fee: FeePlan
    merchant_id: str = ""
    min_amount: int = Field(default=1, ge=1, description="rupiah, the least that may be charged")
    max_amount: int = Field(default=20_000_000, ge=1, description="rupiah, the most that may be charged")
    settlement_days: int = Field(
        default=1, ge=0, le=30, description="working days after which the gateway pays out"
    )
    cutoff: time | None = Field(
        default=None, description="WIB; what is paid from then on counts as of the next day"
    )
    refund_days: int = Field(default=45, ge=0, description="days after which nothing can be given back")
    report: ReportSource = ReportSource()
    payout: PayoutPlan = PayoutPlan()
    tolerance: Decimal = Field(default=Decimal(0), ge=0, description="rupiah by which amounts may differ")


class Midtrans(Gateway):
    """GoPay through the Midtrans Core API."""

    server_key: SecretStr = SecretStr("")


class Snap(Gateway):
    """A wallet behind the national SNAP interface."""

    profile: str = "doku"
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    private_key: SecretStr = SecretStr("")
    provider_public_keys: SecretStr = Field(
        default=SecretStr(""), description="PEM, several one after the other, or a path to a file of them"
    )
    partner_id: str = ""
    channel_id: str = ""
    device_id: str = Field(default="", description="X-DEVICE-ID, where the profile wants one (OVO direct)")
    api_version: str = Field(default="", description="version in the paths of OVO direct; default v2.0")
    mcc: str = Field(default="", description="merchant category code that DANA wants; default 8299")


def _plan(percent: str) -> FeePlan:
    return FeePlan(percent=Decimal(percent))


class Badges(BaseModel):
    """How Open Badges are signed, and who signs them."""

    proof: Literal["RS256", "EdDSA", "eddsa-rdfc-2022"] = Field(
        default="RS256", description="a JWT (RS256 is what every verifier knows), or a proof in the JSON"
    )
    issuer_name: str = "Jembatan"
    issuer_url: str | None = None
    issuer_email: str | None = None
    may_be_indexed: bool = Field(
        default=False, description="true: search engines may list the pages of credentials"
    )


class Entitlements(BaseModel):
    """What the nightly look at learners and their programs waits for before it speaks: hours of grace."""

    since: date | None = Field(
        default=None,
        description="only what began on this day (Jakarta) or later; such as the day from which the platform "
        "tells enrolments. Default: everything",
    )
    enrol_within_hours: int = Field(default=24, ge=0, le=8784, description="from paid to enrolled")
    pay_within_hours: int = Field(
        default=72, ge=0, le=8784, description="from enrolled, or from reported, to paid"
    )
    report_within_hours: int = Field(
        default=168, ge=0, le=8784, description="from completed to accepted by the ministry"
    )
    withdraw_within_hours: int = Field(
        default=24, ge=0, le=8784, description="from the money given back to withdrawn"
    )


class Settings(BaseSettings):
    """The whole configuration. In `sandbox` every address defaults to the local sandbox."""

    model_config = SettingsConfigDict(env_prefix="JEMBATAN_", env_nested_delimiter="__", extra="ignore")

    env: Literal["sandbox", "production"] = "sandbox"
    home: Path = Path.home() / ".jembatan"
    database_url: str | None = Field(default=None, description="PostgreSQL 18; default: the embedded one")
    prefect_api_url: str | None = Field(default=None, description="default: the local Prefect server")
    public_url: str | None = None
    api_port: int = 8400
    prefect_port: int = 4200
    sandbox_port: int = 8410
    sandbox_url: str = "http://127.0.0.1:8410"
    cutoff_grace: int = Field(default=30, ge=0, le=1440, description="minutes before midnight: timing")
    catch_up_days: int = Field(
        default=14, ge=0, le=366, description="how far back a missed night is caught up"
    )
    extra_holidays: tuple[date, ...] = Field(
        default=(), description="days on which banks are closed beside the known holidays"
    )
    retry_seconds: tuple[float, ...] = Field(
        default=(2, 10, 30), description="pauses between tries of a task"
    )
    report_size_limit: int = Field(default=2 * 1024**3, description="bytes of one report once unpacked")
    refund_approval_above: int = Field(
        default=1_000_000, ge=0, description="rupiah; a larger refund needs a second person's word"
    )
    encryption_keys: SecretStr = Field(
        default=SecretStr(""), description="Fernet keys, the newest first; in the sandbox made on first use"
    )

    signing_keys: SecretStr = Field(
        default=SecretStr(""),
        description="PEM, RSA and Ed25519, one after the other; the first of a kind signs badges; in the "
        "sandbox made on first use",
    )
    export_targets: tuple[str, ...] = Field(
        default=("open_badge",),
        description="where a new credential goes by itself; `linkedin`: only of learners who agreed",
    )
    badges: Badges = Badges()
    entitlements: Entitlements = Entitlements()
    keep: Keep = Keep()

    gopay: Midtrans = Midtrans(fee=_plan("2.0"))
    ovo: Snap = Snap(fee=_plan("1.5"), profile="doku")
    linkaja: Snap = Snap(fee=_plan("1.5"), profile="nicepay")
    siplatih: Siplatih = Siplatih()
    linkedin: LinkedIn = LinkedIn()
    europass: Europass = Europass()

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, values: Any) -> Any:
        """A gateway section that is set in part keeps its fee plan and profile."""
        if isinstance(values, dict):
            for name in GATEWAYS:
                section, default = values.get(name), cls.model_fields[name].default
                if isinstance(section, dict):
                    fee = section.setdefault("fee", {})
                    if isinstance(fee, dict):
                        fee.setdefault("percent", default.fee.percent)
                    if isinstance(default, Snap):
                        section.setdefault("profile", default.profile)
        return values

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        for name in SERVICES:
            getattr(self, name).complete(self.sandbox_url if self.env == "sandbox" else None)
        if self.env == "sandbox":
            self._point_to_sandbox()
        else:
            self._refuse_sandbox()
        return self

    def page_url(self, path: str) -> str:
        """Address of one of our own pages, as a person's browser reaches it."""
        return (self.public_url or f"http://127.0.0.1:{self.api_port}").rstrip("/") + path

    def gateway(self, name: str) -> Gateway:
        """The section of one gateway; raises KeyError for a name that is none."""
        if name not in GATEWAYS:
            raise KeyError(name)
        section: Gateway = getattr(self, name)
        return section

    def _point_to_sandbox(self) -> None:
        """Fill what is not set with the sandbox's addresses and keys (sandbox/README.md)."""
        for name in GATEWAYS:
            section = self.gateway(name)
            section.base_url = section.base_url or f"{self.sandbox_url}/{name}"
            if not section.payout.pattern:
                pattern = rf"SANDBOX {name} PAYOUT(?: (?P<reference>\S+))?"
                section.payout = section.payout.model_copy(update={"pattern": pattern})
        if not self.gopay.server_key.get_secret_value():
            self.gopay.server_key = SecretStr(f"{SANDBOX_MARK}SB-Mid-server-jembatan")
        for name in GATEWAYS:
            snap = self.gateway(name)
            if not isinstance(snap, Snap):
                continue
            is_elsewhere = bool(snap.client_id)  # at an aggregator's own test environment
            if not is_elsewhere:
                snap.client_id = f"{SANDBOX_MARK}{name}"
                snap.merchant_id = snap.merchant_id or f"{SANDBOX_MARK}merchant"
            snap.partner_id = snap.partner_id or snap.client_id
            if not (is_elsewhere and snap.profile == "nicepay"):  # which makes it of the client id
                snap.channel_id = snap.channel_id or "95221"
            if not snap.client_secret.get_secret_value():
                snap.client_secret = SecretStr(f"{SANDBOX_MARK}{name}-secret")
            if not snap.private_key.get_secret_value():
                snap.private_key = SecretStr(str(self.home / "keys" / f"{SANDBOX_MARK}client.pem"))
            if not snap.provider_public_keys.get_secret_value():
                snap.provider_public_keys = SecretStr(
                    str(self.home / "keys" / f"{SANDBOX_MARK}provider.pub.pem")
                )
        defaults = {
            "gopay": ReportSource(
                source="http",
                layout="midtrans-transactions",
                url=f"{self.gopay.base_url}/reports/transactions-{{date}}.csv",
                username=self.gopay.server_key,
            ),
            "ovo": ReportSource(source="snap", layout="snap-history"),
            "linkaja": ReportSource(
                source="http",
                layout="canonical",
                url=f"{self.linkaja.base_url}/reports/settlement-{{date}}.csv.gz",
                username=SecretStr(self.linkaja.client_id),
                password=self.linkaja.client_secret,
            ),
        }
        for name, default in defaults.items():
            section = self.gateway(name)
            if section.report.source is None:
                own = {field: getattr(section.report, field) for field in section.report.model_fields_set}
                section.report = default.model_copy(update={**own, "source": default.source})

    def _refuse_sandbox(self) -> None:
        """Production starts with no sandbox key, sandbox host or sandbox merchant in it."""
        for name in (*GATEWAYS, *SERVICES):
            texts = [value for value in _texts(getattr(self, name).model_dump()) if value]
            if any(text.startswith(SANDBOX_MARK) or "SB-Mid-" in text for text in texts):
                raise ValueError(f"production refuses the sandbox key in the section {name.upper()}")
            addresses = [text for text in texts if "://" in text]
            if any(host in text for text in addresses for host in (*SANDBOX_HOSTS, self.sandbox_url)):
                raise ValueError(f"production refuses the sandbox address in the section {name.upper()}")


GATEWAYS = tuple(name for name, field in Settings.model_fields.items() if isinstance(field.default, Gateway))
SERVICES = ("siplatih", "linkedin", "europass")


def _texts(value: Any) -> list[str]:
    """Every text of a section; a secret in a file counts as what is in the file, where that can be read."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, SecretStr):
        try:
            return [secret_text(value)]
        except BadInput:
            return []  # said when the key is used: not every command needs every key
    return [value] if isinstance(value, str) else []


def is_path(secret: str) -> bool:
    """Whether the setting of a secret names the file that holds it."""
    return secret.startswith(("/", "./", "~"))


def secret_text(value: SecretStr) -> str:
    """The secret itself, read from its file where the setting is a path to one."""
    text = value.get_secret_value()
    if not is_path(text):
        return text
    try:
        return Path(text).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInput(f"the key file {text} cannot be read: {error.strerror}") from None


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
