"""What each aggregator's SNAP does differently, as data; and what a wallet is to all of them.

Sources, read as stored copies in November 2026: DOKU docs and GitHub PTNUSASATUINTIARTHA-DOKU SDKs; NICEPAY
docs and GitHub nicepay-dev; Faspay SNAP direct-debit guide; DANA Payment Gateway docs and GitHub
dana-id/dana-python; ovo.id partner integration, SNAP Open API v1.0.7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from common import clock
from common.errors import BadInput
from common.settings import Snap

Stamp = Literal["utc", "wib", "wib-milliseconds"]


@dataclass(frozen=True)
class Wallet:
    """A wallet that is reached through SNAP.

    codes: by profile, the aggregator's code for it; a profile that is not there does not offer it.
    is_push: where an answer has no page to open, the payer's phone asks.
    """

    codes: Mapping[str, str]
    is_push: bool
    partial_refund: bool
    first_status_after: int
    answer_within: int


@dataclass(frozen=True)
class Profile:
    """One aggregator.

    payment, status, token, cancel, refund: what follows the base address; None: not offered.
    is_signed_with_token: HMAC-SHA512 with a B2B token; else RSA without one.
    status_service_code: what a status request calls the payment it asks about.
    notifies: how its notifications are signed: with a `token` of ours, by RSA over the `call`, or by RSA over
    the `client` id and time only, which leaves the body out.
    channel_id: where the setting is empty; may hold {client_id}.
    merchant: where no merchant id is set: it has to be, it is the partner's id, or it is left out.
    """

    payment: str
    status: str
    status_service_code: str
    notifies: Literal["token", "call", "client"]
    token: str | None = None
    cancel: str | None = None
    refund: str | None = None
    stamp: Stamp = "wib"
    channel_id: str = ""
    merchant: Literal["required", "partner", "optional"] = "required"
    url_member: str = "urlParam"
    notify_type: str = "PAY_NOTIFY"
    leave_alone_for: int = 0
    needs_phone: bool = False
    needs_linking: bool = False
    needs_device: bool = False

    @property
    def is_signed_with_token(self) -> bool:
        return self.token is not None

    def timestamp(self, at: datetime) -> str:
        """X-TIMESTAMP in the form that this aggregator wants; sign exactly this text."""
        match self.stamp:
            case "utc":
                return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            case "wib-milliseconds":
                return at.astimezone(clock.JAKARTA).isoformat(timespec="milliseconds")
            case "wib":
                return at.astimezone(clock.JAKARTA).isoformat(timespec="seconds")


PROFILES: Mapping[str, Profile] = {
    "doku": Profile(
        token="/authorization/v1/access-token/b2b",  # noqa: S106 - a path
        payment="/direct-debit/core/v1/debit/payment-host-to-host",
        status="/orders/v1.0/debit/status",
        refund="/direct-debit/core/v1/debit/refund",
        status_service_code="55",  # the SDK refuses any other, the standard says 54
        notifies="token",
        stamp="utc",
        merchant="optional",
        leave_alone_for=60,
    ),
    "nicepay": Profile(
        token="/v1.0/access-token/b2b",  # noqa: S106 - a path
        payment="/api/v1.0/debit/payment-host-to-host",
        status="/api/v1.0/debit/status",
        refund="/api/v1.0/debit/refund",
        status_service_code="54",
        notifies="client",
        channel_id="{client_id}01",
        merchant="partner",
    ),
    "faspay": Profile(
        payment="/v1.0/debit/payment-host-to-host",
        status="/v1.0/debit/status",
        cancel="/v1.0/debit/cancel",
        refund="/v1.0/debit/refund",
        status_service_code="55",  # Faspay's own sample; the standard says 54
        notifies="call",
        merchant="partner",
    ),
    "dana": Profile(
        payment="/payment-gateway/v1.0/debit/payment-host-to-host.htm",
        status="/payment-gateway/v1.0/debit/status.htm",
        cancel="/payment-gateway/v1.0/debit/cancel.htm",
        refund="/payment-gateway/v1.0/debit/refund.htm",
        status_service_code="54",
        notifies="call",
        channel_id="95221",
        url_member="urlParams",
        notify_type="NOTIFICATION",
        needs_phone=True,
    ),
    # Payment, status and refund want the token of a linked customer; no cancel and no notify are listed.
    "ovo-direct": Profile(
        token="/OVOSNAP/v1.0/access-token/b2b",  # noqa: S106 - a path
        payment="/OVOSNAP/{version}/debit/payment-host-to-host",
        status="/OVOSNAP/{version}/debit/status",
        status_service_code="54",
        notifies="token",
        stamp="wib-milliseconds",
        merchant="optional",
        needs_linking=True,
        needs_device=True,
    ),
}
DEFAULT_VERSION = "v2.0"  # of the paths of OVO direct; a third-party note has v3.0


def profile_of(gateway: str, config: Snap) -> Profile:
    """The profile that a gateway's settings name; raises BadInput for a name that is none."""
    if config.profile not in PROFILES:
        raise BadInput(
            f"JEMBATAN_{gateway.upper()}__PROFILE is {config.profile!r}; there are {', '.join(PROFILES)}"
        )
    return PROFILES[config.profile]


def code_of(gateway: str, wallet: Wallet, config: Snap) -> str:
    """The aggregator's code for a wallet; raises BadInput where it does not offer it."""
    if config.profile not in wallet.codes:
        raise BadInput(
            f"JEMBATAN_{gateway.upper()}__PROFILE is {config.profile!r}, which does not offer {gateway}; "
            f"choose one of {', '.join(wallet.codes)}"
        )
    return wallet.codes[config.profile]
