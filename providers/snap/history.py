"""The transaction history of SNAP (service 12), for the reports of aggregators that offer it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from common import clock
from common.errors import Transient
from providers.snap.client import SnapClient, own_number


def history(
    client: SnapClient, path: str, start: datetime, end: datetime, page_size: int
) -> Iterator[dict[str, Any]]:
    """All transactions from `start` to before `end`, page by page.

    Raises Transient where an answer is not the form of the service, and what the client raises.
    """
    page = 0
    while True:
        body = {
            "partnerReferenceNo": own_number(),
            "fromDateTime": start.astimezone(clock.JAKARTA).isoformat(timespec="seconds"),
            "toDateTime": end.astimezone(clock.JAKARTA).isoformat(timespec="seconds"),
            "pageSize": str(page_size),
            "pageNumber": str(page),
        }
        items = client.read("history", path, body).members.get("detailData")
        if not isinstance(items, list):
            raise Transient(client.gateway, "history", "answers without detailData")
        yield from items
        if len(items) < page_size:
            return
        page += 1
