"""Where a merchant's calls are served: token (73), payment (54), status (55), cancel (57), refund (58)."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from sandbox.books import Books
from sandbox.keys import MERCHANT_ID
from sandbox.live import REFUNDABLE, Charge, LiveBooks, LiveRefund, NotPossible, charge_of
from sandbox.money import printed
from sandbox.snap import ANY_STAMP, SnapCall, SnapGate
from sandbox.snap_fields import Fields
from sandbox.snap_profile import UNTIL, Profile, Wallet, rupiah
from sandbox.wib import iso, now

_POINTS = ("app", "pc", "mweb")


@dataclass(frozen=True, slots=True)
class Desk:
    """One aggregator as one merchant's wallet meets it."""

    wallet: Wallet
    profile: Profile
    gate: SnapGate
    books: Books
    live: LiveBooks

    def admit(self, call: SnapCall, *, moves_money: bool = True) -> Fields:
        """Let a call through the gate, and ask for the customer's token where one is needed."""
        fields = Fields(call, self.gate.admit(call, self.profile.stamps if moves_money else ANY_STAMP))
        if self.profile.needs_customer:
            if "authorization-customer" not in call.headers:
                raise call.refuse(404, "04", "Customer Token Not Found. Link the account first")
            raise call.refuse(401, "02", "Invalid Customer Token")
        return fields

    async def token(self, call: SnapCall) -> dict[str, Any]:
        """Service 73."""
        stamps = self.profile.stamps if self.profile.needs_customer else ANY_STAMP
        return {
            "responseCode": "2007300",
            "responseMessage": "Successful",
            "accessToken": self.gate.token(call, stamps),
            "tokenType": "Bearer",
            "expiresIn": self.profile.expires_in,
        }

    async def charge(self, call: SnapCall) -> dict[str, Any]:
        """Service 54."""
        fields = self.admit(call)
        reference = fields.text("partnerReferenceNo", self.profile.longest_reference, r"[!-~]+")
        self._check_merchant(fields, "charge")
        amount = fields.money("amount")
        if fields.has("pointOfInitiation"):
            fields.one_of("pointOfInitiation", _POINTS)
        wish = self.profile.read_wish(self.wallet, fields, amount)
        known = self.live.find(self.wallet.gateway, self.profile.name, reference)
        if known and known.reference == reference:
            raise call.refuse(409, "01", "Duplicate partnerReferenceNo")
        moment = now()
        charge = Charge(
            self.wallet.gateway,
            self.profile.name,
            reference,
            self.profile.new_reference(),
            amount,
            moment,
            wish.expires_at or moment + UNTIL,
            external_id=call.header("X-EXTERNAL-ID"),
            notify_urls=wish.notify_urls,
            return_url=wish.return_url,
            failed_url=wish.failed_url,
            more=dict(wish.more or {}),
        )
        self.live.open(charge)
        answer: dict[str, Any] = {
            "responseCode": "2005400",
            "responseMessage": "Successful",
            "referenceNo": charge.gateway_reference,
            "partnerReferenceNo": reference,
            **self.profile.links(self.wallet, f"{call.home}/{charge.gateway}/pay/{charge.id}"),
        }
        return answer | {"additionalInfo": charge.more} if charge.more else answer

    async def status(self, call: SnapCall) -> dict[str, Any]:
        """Service 55."""
        fields = self.admit(call, moves_money=self.profile.needs_customer)
        names = _originals(fields)
        if not fields.has("serviceCode"):
            raise fields.missing("serviceCode")
        if fields.text("serviceCode") != self.profile.service_code:
            raise fields.wrong("serviceCode")
        self._check_merchant(fields, "status")
        charge = await self._original(names)
        if charge is None and self.profile.not_found_word:
            return {
                "responseCode": "2005500",
                "responseMessage": "Successful",
                "originalPartnerReferenceNo": fields.optional("originalPartnerReferenceNo"),
                "serviceCode": self.profile.service_code,
                "latestTransactionStatus": self.profile.not_found_word,
                "transactionStatusDesc": "NOT_FOUND",
            }
        if charge is None:
            raise call.refuse(404, "01", "Transaction Not Found")
        if (
            not charge.from_books
            and (now() - charge.created_at).total_seconds() < self.profile.patience_seconds
        ):
            charge.early_questions += 1
        return self.profile.shown(charge)

    async def cancel(self, call: SnapCall) -> dict[str, Any]:
        """Service 57: of a charge that is still pending."""
        fields = self.admit(call)
        charge = await self._known(fields, "cancel")
        fields.optional("reason", 256)
        if fields.has("amount") and fields.money("amount") != charge.amount:
            raise fields.wrong("amount.value")
        try:
            self.live.move(charge, "cancel")
        except NotPossible:
            raise call.refuse(403, "15", "Transaction Not Permitted") from None
        return {
            "responseCode": "2005700",
            "responseMessage": "Successful",
            "originalPartnerReferenceNo": charge.reference,
            "originalReferenceNo": charge.gateway_reference,
            "originalExternalId": charge.external_id,
            "cancelTime": iso(charge.closed_at or now()),
            "transactionDate": iso(charge.created_at),
        }

    async def refund(self, call: SnapCall) -> dict[str, Any]:
        """Service 58: at once, wholly, or in part where the wallet can."""
        fields = self.admit(call)
        charge = await self._known(fields, "refund")
        key = fields.text("partnerRefundNo", 64, r"[A-Za-z0-9_-]+")
        amount, reason = fields.money("refundAmount"), fields.optional("reason", 256)
        if self.live.refund_of(self.wallet.gateway, self.profile.name, key):
            raise call.refuse(409, "01", "Duplicate partnerRefundNo")
        if charge.state not in REFUNDABLE:
            raise call.refuse(403, "15", "Transaction Not Permitted")
        if amount > charge.amount - charge.refunded:
            raise call.refuse(403, "02", "Exceeds Transaction Amount Limit")
        if amount != charge.amount and not self.wallet.partial_refund:
            raise call.refuse(403, "15", "Transaction Not Permitted. Full refund only")
        moment, number = now(), len(charge.refunds) + 1
        refund = LiveRefund(key, self.profile.new_reference(), number, amount, reason, moment, moment)
        self.live.refund(charge, refund)
        return {
            "responseCode": "2005800",
            "responseMessage": "Successful",
            "originalPartnerReferenceNo": charge.reference,
            "originalReferenceNo": charge.gateway_reference,
            "refundNo": refund.gateway_reference,
            "partnerRefundNo": key,
            "refundAmount": rupiah(amount),
            "refundTime": iso(moment),
            "additionalInfo": {"refundedAmount": printed(charge.refunded)},
        }

    def _check_merchant(self, fields: Fields, service: str) -> None:
        if service in self.profile.needs_merchant and not fields.has("merchantId"):
            raise fields.missing("merchantId")
        if fields.has("merchantId") and fields.text("merchantId", 64) != MERCHANT_ID:
            raise fields.call.refuse(404, "08", "Invalid Merchant")

    async def _known(self, fields: Fields, service: str) -> Charge:
        """The charge that a cancel or refund means."""
        names = _originals(fields)
        self._check_merchant(fields, service)
        charge = await self._original(names)
        if charge is None:
            raise fields.call.refuse(404, "01", "Transaction Not Found")
        return charge

    async def _original(self, names: dict[str, str]) -> Charge | None:
        """The charge of which every given name is one; from the live books, else from the generated ones."""
        gateway, profile = self.wallet.gateway, self.profile.name
        external_id = names.get("originalExternalId", "")
        known = names.get("originalPartnerReferenceNo") or names.get("originalReferenceNo")
        if known is None:
            return self.live.find_external(gateway, profile, external_id)
        # A reference may have a second charge: then the gateway's own name says which is meant.
        known = names.get("originalReferenceNo") or known
        charge = self.live.find(gateway, profile, known)
        if charge is None:
            # a day's books are made on first use: not here, where every other caller waits
            standing = await run_in_threadpool(self.books.standing, gateway, known)
            charge = self.live.find(gateway, profile, known) or (
                charge_of(standing, gateway, profile) if standing else None
            )
        if charge is None:
            return None
        own = (charge.reference, charge.gateway_reference)
        wrong = [one for name, one in names.items() if name != "originalExternalId" and one not in own]
        return None if wrong or external_id not in ("", charge.external_id) else charge


def _originals(fields: Fields) -> dict[str, str]:
    """The names that a request gives to a charge, one or more."""
    longest = {"originalPartnerReferenceNo": 64, "originalReferenceNo": 64, "originalExternalId": 36}
    names = {name: fields.text(name, most) for name, most in longest.items() if fields.has(name)}
    if not names:
        raise fields.missing("originalPartnerReferenceNo")
    return names
