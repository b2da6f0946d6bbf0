"""A caller of GoPay's Core API."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from sandbox_caller import GOPAY


def charge_body(**changes: Any) -> dict[str, Any]:
    """A right charge with an order_id of its own; None takes a member away."""
    body: dict[str, Any] = {
        "payment_type": "gopay",
        "transaction_details": {"order_id": f"T-{uuid4().hex[:20]}", "gross_amount": 150_000},
        "item_details": [{"id": "W2", "price": 75_000, "quantity": 2, "name": "Welding, level II"}],
        "customer_details": {"first_name": "Siti", "email": "siti@merchant.example"},
        "gopay": {"enable_callback": True, "callback_url": "https://merchant.example/back?a=1"},
    } | changes
    return {name: value for name, value in body.items() if value is not None}


@dataclass
class MidtransCaller:
    """Sends the calls of one merchant."""

    http: httpx.Client

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A call with the right key and headers; headers replace or add (underscores for dashes)."""
        right = {"Content-Type": "application/json", "Accept": "application/json"}
        sent = right | {name.replace("_", "-"): value for name, value in headers.items()}
        content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.http.post(f"/gopay/v2/{path}", auth=GOPAY, headers=sent, **content)

    def get(self, path: str) -> dict[str, Any]:
        """A look with the right key."""
        answer: dict[str, Any] = self.http.get(f"/gopay/v2/{path}", auth=GOPAY).json()
        return answer

    def charge(self, **headers: str) -> dict[str, Any]:
        """A new pending charge; the answer."""
        made: dict[str, Any] = self.post("charge", charge_body(), **headers).json()
        assert made["status_code"] == "201", made
        return made

    def paid(self, **details: Any) -> dict[str, Any]:
        """A new charge that is settled, without a word about it."""
        made = self.charge()
        self.act(made, "pay", notify=False, **details).raise_for_status()
        return made

    def status(self, made: dict[str, Any]) -> dict[str, Any]:
        """What Midtrans says of a charge."""
        return self.get(f"{made['order_id']}/status")

    def refund(self, made: dict[str, Any], **body: Any) -> dict[str, Any]:
        """Money back."""
        answer: dict[str, Any] = self.post(f"{made['order_id']}/refund", body).json()
        return answer

    def act(self, made: dict[str, Any], act: str, **details: Any) -> httpx.Response:
        """Let something happen at the gateway."""
        return self.http.post(f"/_sandbox/payments/gopay/{made['order_id']}/{act}", json=details)

    def book(self, made: dict[str, Any]) -> dict[str, Any]:
        """The sandbox's own record."""
        path = f"/_sandbox/payments/gopay/{made['order_id']}"
        answer: dict[str, Any] = self.http.get(path).raise_for_status().json()
        return answer
