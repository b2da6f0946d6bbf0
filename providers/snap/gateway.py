"""A wallet behind SNAP: the verbs of a payment's life, whatever the aggregator."""

from collections.abc import Callable

from common.errors import Rejected
from common.settings import Snap
from providers.base import (
    BadNotification,
    Capabilities,
    Charge,
    ChargeOrder,
    ChargeStatus,
    Incoming,
    Notification,
    RefundOrder,
    RefundStatus,
    Reply,
)
from providers.snap import answers, bodies, codes, replies
from providers.snap.client import SnapClient
from providers.snap.notifications import Notifications
from providers.snap.profiles import Wallet, code_of, profile_of
from providers.tokens import TokenStore

# DANA allows a week, and no aggregator publishes a least: GoPay's 20 s serves for all.
EXPIRY_SECONDS = (20, 7 * 24 * 3600)
DEFAULT_EXPIRY_SECONDS = 900
NOT_PERMITTED = "15"


class SnapGateway:
    """One merchant's charges of one wallet at one aggregator. A subclass names the wallet."""

    name: str
    wallet: Wallet

    def __init__(self, config: Snap, tokens: TokenStore | None = None) -> None:
        self._config = config
        self._profile = profile_of(self.name, config)
        self._code = code_of(self.name, self.wallet, config)
        self._client = SnapClient(self.name, config, tokens)
        self._notifications = Notifications(self._profile, self._client.credentials)

    @property
    def capabilities(self) -> Capabilities:
        profile, wallet = self._profile, self.wallet
        return Capabilities(
            amount_minor=(self._config.min_amount * 100, self._config.max_amount * 100),
            expiry_seconds=EXPIRY_SECONDS,
            default_expiry_seconds=DEFAULT_EXPIRY_SECONDS,
            first_status_after=max(profile.leave_alone_for, wallet.first_status_after),
            leave_alone_for=profile.leave_alone_for,
            answer_within=wallet.answer_within,
            cancel=profile.cancel is not None,
            refund=profile.refund is not None,
            partial_refund=profile.refund is not None and wallet.partial_refund,
            refund_days=self._config.refund_days,
            push_seconds=answers.PUSH_SECONDS if wallet.is_push else None,
            needs_linking=profile.needs_linking,
            needs_phone=profile.needs_phone,
            says_expired=False,  # 08 is Midtrans' alone; the others say cancelled or failed
            token_endpoint=profile.notifies == "token" and not profile.needs_linking,
        )

    def create_charge(self, order: ChargeOrder) -> Charge:
        """Service 54. The same number again is refused (409) as Ambiguous: ask the status."""
        if self._profile.needs_linking:
            raise Rejected(self.name, "create", "linking required: it charges linked accounts only")
        if self._profile.needs_phone and not order.learner.phone:
            raise Rejected(self.name, "create", "the payer's phone number is required")
        body = bodies.payment(order, self._profile, self._config, self._code, self._merchant)
        answer = self._client.send("create", self._profile.payment, body, order.external_id)
        return answers.charge(answer, order, is_push=self.wallet.is_push)

    def get_charge(self, reference: str, external_id: str | None = None) -> ChargeStatus:
        """Service 55. external_id: that of the charge, where its answer was lost."""
        try:
            answer = self._ask(reference, external_id)
        except Rejected as error:
            if not codes.is_not_found(error):
                raise
            return ChargeStatus(reference, "not_found", error.code or "")
        return answers.status(answer, reference)

    def cancel_charge(
        self,
        reference: str,
        external_id: str,
        *,
        expire: bool = False,
        gateway_reference: str | None = None,
    ) -> ChargeStatus:
        """Service 57, also to let it expire: SNAP has no call for that."""
        if self._profile.cancel is None:
            raise Rejected(self.name, "cancel", "is not offered by this aggregator")
        body = bodies.cancel(reference, gateway_reference, self._merchant)
        body |= bodies.about_original(self._config.profile, self._code)
        try:
            answer = self._client.send("cancel", self._profile.cancel, body, external_id)
        except Rejected as error:
            if codes.is_not_found(error):
                return ChargeStatus(reference, "not_found", error.code or "")
            if not (error.code or "").endswith(NOT_PERMITTED):
                raise
            return self._after_all(reference, error)
        return ChargeStatus(reference, "cancelled", answer.code, raw=answer.raw)

    def refund(self, order: RefundOrder) -> RefundStatus:
        """Service 58."""
        if self._profile.refund is None:
            raise Rejected(self.name, "refund", "is not offered by this aggregator")
        if order.amount_minor != order.payment_amount_minor and not self.wallet.partial_refund:
            raise Rejected(self.name, "refund", "gives back whole payments only")
        body = bodies.refund(order, self._merchant)
        body |= bodies.about_refund(self._config.profile, self._code, order)
        answer = self._client.send("refund", self._profile.refund, body, order.external_id)
        return answers.refund(answer, order)

    def get_refund(self, order: RefundOrder) -> RefundStatus:
        """Service 55: SNAP tells of refunds in the status of their charge."""
        try:
            answer = self._ask(order.reference, None, order.named_alone)
        except Rejected as error:
            if not codes.is_not_found(error):
                raise
            return RefundStatus(order.refund_key, "not_found", error.code or "")
        return answers.refund_in(answer, order)

    def read_notification(
        self, message: Incoming, is_our_token: Callable[[str], bool] = lambda _token: False
    ) -> Notification:
        """Service 56."""
        return self._notifications.read(message, is_our_token)

    def check_token_request(self, message: Incoming) -> None:
        """Service 73 the other way round: the aggregator asks for a token of ours."""
        self._notifications.check_token_request(message)

    def acknowledge(self) -> Reply:
        return replies.acknowledged(self._profile)

    def refuse(self, problem: BadNotification) -> Reply:
        return replies.refused(self._profile, problem)

    def token_reply(self, token: str, seconds: int) -> Reply:
        return replies.token(self._profile, token, seconds)

    def refuse_token(self, problem: BadNotification) -> Reply:
        return replies.no_token(self._profile, problem)

    def close(self) -> None:
        self._client.close()

    @property
    def _merchant(self) -> str | None:
        return self._client.credentials.merchant_id

    def _ask(
        self, reference: str, external_id: str | None, gateway_reference: str | None = None
    ) -> codes.Answer:
        code = self._profile.status_service_code
        body = bodies.status(reference, external_id, code, self._merchant, gateway_reference)
        body |= bodies.about_original(self._config.profile, self._code)
        return self._client.read("status", self._profile.status, body)

    def _after_all(self, reference: str, error: Rejected) -> ChargeStatus:
        """What a charge is that could not be cancelled: paid meanwhile, say; still pending is a plain no."""
        said = self.get_charge(reference)
        if said.state in ("pending", "unknown", "not_found"):
            raise error
        return said
