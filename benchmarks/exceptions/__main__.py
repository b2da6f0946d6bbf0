"""Makes open exceptions through the real reconciliation, checks the answers, then times them."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.exceptions.open_ones import BROUGHT_ALONG, Made, key, make, serve
from common.money import plain_minor as minor_of
from common.money import rupiah

LIMIT_MS, SHEET_SECONDS, ROUNDS = 100.0, 10.0, 60
PATH = "/api/v1/exceptions"


def main() -> int:
    """Print each question with its p95, and whether the targets hold."""
    options = _options()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as folder, serve(Path(folder)) as url:
        about = machine.describe(url.database, ["fastapi", "sqlalchemy", "pyarrow", "xlsxwriter"])
        made = make(Path(folder), options.open)
        with httpx.Client(base_url=url.api, headers=key(), timeout=60) as client:
            wrong = _wrong(client, made)
            if wrong:
                console.print(f"Wrong answer: {wrong}")
                return 1
            p95 = {name: _p95(client, query, options.rounds) for name, query in _questions(made).items()}
            pages = _pages(made)
            wrong = _wrong_page(client, made, pages)
            if wrong:
                console.print(f"Wrong page: {wrong}")
                return 1
            p95 |= {name: _p95(client, page, options.rounds) for name, page in pages.items()}
            sheets = {kind: _sheet(client, kind, made) for kind in ("csv", "xlsx")}
    table = Table(
        "question", "p95 ms", title=f"{options.open:,} open exceptions, over HTTP", title_justify="left"
    )
    for name, milliseconds in p95.items():
        table.add_row(name, f"{milliseconds:.1f}")
    console.print(table)
    for kind, (down, up) in sheets.items():
        console.print(f"sheet as {kind}: downloaded in {down:.1f} s, read and worked in {up:.1f} s")
    console.print(" · ".join(f"{name} {value}" for name, value in about.items()), markup=False)
    for holds, sentence in (
        (
            max(p95.values()) <= LIMIT_MS,
            f"every question within {LIMIT_MS:.0f} ms at p95: {max(p95.values()):.0f} ms",
        ),
        (
            max(up for _, up in sheets.values()) <= SHEET_SECONDS,
            f"a sheet of {options.open:,} rows within {SHEET_SECONDS:.0f} s: "
            f"{max(up for _, up in sheets.values()):.1f} s",
        ),
    ):
        console.print(f"{'[green]holds[/green] ' if holds else '[red]missed[/red]'} {sentence}")
    return 0


def _questions(made: Made) -> dict[str, str]:
    one_day = f"business_date_from={made.first}&business_date_to={made.first}"
    return {
        "list, most money first": f"{PATH}?limit=50",
        "list, oldest first": f"{PATH}?limit=50&order=age",
        "a page far down": f"{PATH}?limit=50&cursor={made.far_down}",
        "filter: gateway and class": f"{PATH}?gateway=ovo&class=missing_at_gateway&limit=50",
        "filter: age and money": f"{PATH}?age=7&min_risk=100000&limit=50",
        "filter: days, oldest first": f"{PATH}?{one_day}&order=age",
        "ageing": f"{PATH}/ageing",
        "one exception": f"{PATH}/{made.one}",
    }


def _pages(made: Made) -> dict[str, str]:
    """The console's pages of the same questions."""
    there = "/console/exceptions"
    return {
        "page: today, with the ageing": "/console",
        "page: list, most money first": there,
        "page: list, oldest first": f"{there}?order=age",
        "page: far down": f"{there}?cursor={made.far_down}",
        "page: gateway and class": f"{there}?gateway=ovo&class=missing_at_gateway",
        "page: age and money": f"{there}?age=7&risk=100000",
        "page: one exception": f"{there}/{made.one}",
    }


def _wrong_page(client: httpx.Client, made: Made, pages: dict[str, str]) -> str:
    """What the console's pages say other than what was made; empty where they are right."""
    signed_in = client.post("/console/sign-in", data={"key": client.headers["Authorization"].split()[1]})
    if signed_in.headers.get("location") != "/console":
        return "the sign-in does not open"
    read = {name: client.get(path).raise_for_status().text for name, path in pages.items()}
    total = sum(minor_of(shown) for _, shown in made.by_gateway.values())
    said = f"<strong>{made.count:,}</strong> exceptions, <strong>{rupiah(total)}</strong> at risk"
    if said not in read["page: list, most money first"]:
        return f"the list does not say {said}"
    if f">{made.count:,}</a>" not in read["page: today, with the ageing"]:
        return "today does not say how many are open"
    if any(read[name].count('<th scope="row">') != 50 for name in read if name.startswith("page: list")):
        return "the list has not 50 on a page"
    return "" if f"Exception {made.one} ·" in read["page: one exception"] else "it is another exception"


def _wrong(client: httpx.Client, made: Made) -> str:
    """What the answers have other than what was made; empty where they are right."""
    seen, cursor = 0, ""
    last = None
    while cursor is not None:
        page = client.get(f"{PATH}?limit=200" + (f"&cursor={cursor}" if cursor else "")).json()
        risks = [int(one["at_risk"].replace(".", "")) for one in page["items"]]
        if risks != sorted(risks, reverse=True) or (last is not None and risks and risks[0] > last):
            return "the list is not in its order"
        seen, cursor, last = seen + len(risks), page["next_cursor"], risks[-1] if risks else last
        made.far_down = cursor or made.far_down
    if seen != made.count:
        return f"{seen} listed, {made.count} made"
    ages = client.get(f"{PATH}/ageing").json()["gateways"]
    counted = {one["gateway"]: (one["count"], one["at_risk"]) for one in ages}
    return "" if counted == made.by_gateway else f"the ageing counts {counted}, made were {made.by_gateway}"


def _p95(client: httpx.Client, query: str, rounds: int) -> float:
    """Milliseconds within which 95 of 100 answers come."""
    times = sorted(_timed(lambda: client.get(query).raise_for_status()) for _ in range(rounds))
    return times[int(len(times) * 0.95)] * 1000


def _sheet(client: httpx.Client, kind: str, made: Made) -> tuple[float, float]:
    """Seconds to download all as a sheet; and to work it with every row explained, tried and not kept."""
    started = time.perf_counter()
    body = client.get(f"{PATH}/sheet?format={kind}").raise_for_status().content
    down = time.perf_counter() - started
    filled = BROUGHT_ALONG[kind](body)
    started = time.perf_counter()
    done = client.post(f"{PATH}/sheet?dry_run=true", content=filled).raise_for_status().json()
    up = time.perf_counter() - started
    if done["ended"] != {"explained": made.count}:
        raise SystemExit(f"Wrong answer: the sheet would end {done['ended']}")
    return down, up


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exceptions", description=__doc__)
    parser.add_argument("--open", type=int, default=10_000, help="how many exceptions are open")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="timed answers of each question")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
