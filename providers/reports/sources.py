"""Where a gateway's settlement report comes from: an HTTP download, a drop folder, the SNAP history.

Each source yields files as (name, blocks of bytes); what they mean is the layout's business.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx

from common import clock
from common.errors import BadInput, Rejected, Transient
from common.settings import Gateway, ReportSource, Snap, secret_text, settings
from providers import http
from providers.snap.client import SnapClient
from providers.snap.history import history

BLOCK = 1024**2
HISTORY_COLUMNS = (
    "dateTime",
    "type",
    "status",
    "amount.value",
    "amount.currency",
    "additionalInfo.referenceNo",
    "additionalInfo.partnerReferenceNo",
    "additionalInfo.channel",
    "additionalInfo.fee.value",
)

File = tuple[str, Iterator[bytes]]


class NotThereYet(Transient):
    """The report of that day is not there yet; ask again later."""


@contextmanager
def fetched(gateway: str, day: date) -> Iterator[Iterator[File]]:
    """The report files of one gateway's business day, from the source that its settings name.

    Raises NotThereYet, another ProviderError, or BadInput where the source is not configured rightly.
    """
    config = settings().gateway(gateway)
    source = config.report
    match source.source:
        case "http":
            with http.client(config) as client:
                yield iter([_download(gateway, config, source, day, client)])
        case "drop":
            yield _dropped(gateway, source, day)
        case "snap":
            if not isinstance(config, Snap):
                raise BadInput(
                    f"{gateway} has no SNAP history: set {_setting(gateway, 'SOURCE')} to http or drop"
                )
            yield iter([_history(gateway, config, day)])
        case None:
            raise BadInput(f"{gateway} has no report source: set {_setting(gateway, 'SOURCE')}")


def _download(gateway: str, config: Gateway, source: ReportSource, day: date, client: httpx.Client) -> File:
    if not source.url:
        raise BadInput(f"set {_setting(gateway, 'URL')} to the address of the report, with {{date}} in it")
    url = _for_day(source.url, day, _setting(gateway, "URL"))
    auth = (secret_text(source.username), secret_text(source.password)) if source.username else None

    def blocks() -> Iterator[bytes]:
        try:
            with client.stream("GET", url, auth=auth, headers={"Accept-Encoding": "identity"}) as response:
                if response.status_code == 404:
                    raise NotThereYet(gateway, "report", "has no report of that day yet", code="404")
                if not response.is_success:
                    raise http.refused(gateway, "report", response, is_read=True)
                if "html" in response.headers.get("content-type", ""):
                    raise Transient(gateway, "report", "answers with a web page in place of the report")
                yield from response.iter_raw(BLOCK)
        except httpx.TransportError as error:
            raise http.failed(gateway, "report", error, is_read=True) from None

    return Path(httpx.URL(url).path).name, blocks()


def _dropped(gateway: str, source: ReportSource, day: date) -> Iterator[File]:
    folder = source.directory
    if folder is None or not folder.is_dir():
        raise BadInput(f"set {_setting(gateway, 'DIRECTORY')} to a folder that is there")
    pattern = _for_day(source.pattern, day, _setting(gateway, "PATTERN"))
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise NotThereYet(gateway, "report", "has put no file of that day into the drop folder yet")
    return iter([(path.name, read_blocks(path)) for path in found])


def read_blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes in blocks."""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def _history(gateway: str, config: Snap, day: date) -> File:
    """The SNAP history of the day as a CSV with one column per member (layout `snap-history`)."""
    start, end = clock.day_bounds(day)

    def blocks() -> Iterator[bytes]:
        client = SnapClient(gateway, config)
        try:
            out = io.StringIO()
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(HISTORY_COLUMNS)
            for item in history(client, config.report.path, start, end, config.report.page_size):
                writer.writerow([_member(item, name) for name in HISTORY_COLUMNS])
                if out.tell() > BLOCK:
                    yield _taken(out)
            yield _taken(out)
        except Rejected as error:
            if (error.code or "").startswith("404"):
                raise NotThereYet(
                    gateway, "history", "has no history of that day yet", code=error.code
                ) from None
            raise
        finally:
            client.close()

    return f"history-{day.isoformat()}.csv", blocks()


def _taken(out: io.StringIO) -> bytes:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text.encode()


def _member(item: object, name: str) -> str:
    """A nested member as text: `amount.value` of `{"amount": {"value": …}}`; empty where absent."""
    for part in name.split("."):
        item = item.get(part) if isinstance(item, dict) else None
    return "" if item is None else str(item)


def _for_day(text: str, day: date, setting: str) -> str:
    try:
        return text.format(date=day.isoformat(), yyyymmdd=day.strftime("%Y%m%d"))
    except (KeyError, IndexError, ValueError):
        raise BadInput(f"{setting} may hold {{date}} and {{yyyymmdd}} in braces, and nothing else") from None


def _setting(gateway: str, name: str) -> str:
    return f"JEMBATAN_{gateway.upper()}__REPORT__{name}"
