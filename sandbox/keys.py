"""The keys of the stand-ins: fixed and worthless; each starts with `sandbox-`, so production refuses it."""

from dataclasses import dataclass

GOPAY_SERVER_KEY = "sandbox-SB-Mid-server-jembatan"
MERCHANT_ID = "sandbox-merchant"
CHANNEL_ID = "95221"


@dataclass(frozen=True, slots=True)
class SnapKeys:
    """What one SNAP gateway gave the merchant: the id is X-CLIENT-KEY and X-PARTNER-ID alike."""

    client_id: str
    client_secret: str


OVO = SnapKeys("sandbox-ovo", "sandbox-ovo-secret")
LINKAJA = SnapKeys("sandbox-linkaja", "sandbox-linkaja-secret")
SIPLATIH = ("sandbox-siplatih", "sandbox-siplatih-secret")  # client id and secret
LINKEDIN = ("sandbox-linkedin", "sandbox-linkedin-secret")
EUROPASS_KEY = "sandbox-europass-key"
