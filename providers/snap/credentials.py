"""What a merchant's settings give to SNAP, each checked on first use: not every command needs every key."""

from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from pydantic import SecretStr

from common.errors import BadInput
from common.settings import Snap, secret_text
from providers import keys
from providers.snap.profiles import DEFAULT_VERSION, Profile


class Credentials:
    """One merchant's ids and keys at one aggregator. Raises BadInput that names the setting."""

    def __init__(self, gateway: str, config: Snap, profile: Profile) -> None:
        self._gateway = gateway
        self._config = config
        self._profile = profile

    @cached_property
    def client_id(self) -> str:
        return self._given("client_id")

    @cached_property
    def partner_id(self) -> str:
        return self._config.partner_id or self.client_id

    @cached_property
    def merchant_id(self) -> str | None:
        """Ours at the aggregator, as its profile has it."""
        match self._profile.merchant:
            case "partner":
                return self._config.merchant_id or self.partner_id
            case "optional":
                return self._config.merchant_id or None
            case "required":
                return self._given("merchant_id")

    def is_other_merchant(self, named: object) -> bool:
        """Whether a message names a merchant that is not the one of our settings."""
        mine = self._config.merchant_id
        return bool(mine) and named not in (None, "", mine)

    def names_us(self, named: object) -> bool:
        """Whether a message says outright that it is to us."""
        is_partner = self._profile.merchant == "partner"
        return named == (self._config.merchant_id or (self.partner_id if is_partner else None))

    @cached_property
    def channel_id(self) -> str:
        default = self._profile.channel_id
        if self._config.channel_id or not default:
            return self._given("channel_id")
        return default.format(client_id=self.client_id) if "{" in default else default

    @cached_property
    def device_id(self) -> str | None:
        """X-DEVICE-ID, which OVO direct wants of every caller: ours is a server."""
        return (self._config.device_id or "jembatan") if self._profile.needs_device else None

    @cached_property
    def client_secret(self) -> str:
        return self._given("client_secret")

    @cached_property
    def private_key(self) -> RSAPrivateKey:
        """Ours, which signs."""
        try:
            return keys.private_key(self._given("private_key"))
        except ValueError as error:
            raise BadInput(f"{self._setting('private_key')} is not usable: {error}") from None

    @cached_property
    def provider_keys(self) -> tuple[RSAPublicKey, ...]:
        """The aggregator's, any of which may have signed what comes in."""
        try:
            return keys.public_keys(self._given("provider_public_keys"))
        except ValueError as error:
            raise BadInput(f"{self._setting('provider_public_keys')} is not usable: {error}") from None

    def path(self, of_profile: str) -> str:
        """A path of the profile with the version that the settings name, where it has one."""
        return of_profile.replace("{version}", self._config.api_version or DEFAULT_VERSION)

    def _given(self, member: str) -> str:
        value = getattr(self._config, member)
        text = secret_text(value) if isinstance(value, SecretStr) else str(value)
        if not text:
            raise BadInput(f"set {self._setting(member)}: it is empty")
        return text

    def _setting(self, member: str) -> str:
        return f"JEMBATAN_{self._gateway.upper()}__{member.upper()}"
