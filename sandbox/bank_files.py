"""The bank's statement in the three forms in which banks hand it out: MT940, camt.053, CSV.

Source: SWIFT MT940 (fields 20, 25, 28C, 60F, 61, 86, 62F), a message for each day; ISO 20022
camt.053.001.08, one statement for all days.
"""

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby
from typing import Annotated, Any
from xml.sax.saxutils import escape

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from sandbox import bank
from sandbox.bank import ACCOUNT, CURRENCY, OPENING, Asked, Booking
from sandbox.books import Books
from sandbox.money import printed

MOST_DAYS = 31
HEADER = ("account", "booked_on", "amount", "direction", "currency", "reference", "narrative")
_LINE = 65  # characters in a line of field 86


def _asked(
    since: date | None = None,
    day: Annotated[tuple[date, ...], Query()] = (),
    closed: Annotated[tuple[date, ...], Query()] = (),
) -> Asked:
    return Asked(since, frozenset(day), frozenset(closed))


Which = Annotated[Asked, Depends(_asked)]


def bank_router(books: Books) -> APIRouter:
    """The statement and the truth of some days of the account. Days to come may be asked for as well.

    `since`, `day`: only payouts of business days from then on, or of these; `closed`: days on which banks are
    closed. The last two may be given many times.
    """
    routes = APIRouter()

    def statement(first: date, last: date, asked: Asked, made: Callable[..., str], media: str) -> Response:
        _check(first, last)
        return Response(made(bank.bookings(books, first, last, asked), first, last), media_type=media)

    @routes.get("/_sandbox/bank/{first}/{last}/statement.sta")
    def swift(first: date, last: date, asked: Which) -> Response:
        """MT940."""
        return statement(first, last, asked, mt940, "text/plain")

    @routes.get("/_sandbox/bank/{first}/{last}/statement.xml")
    def iso(first: date, last: date, asked: Which) -> Response:
        """camt.053."""
        return statement(first, last, asked, camt053, "application/xml")

    @routes.get("/_sandbox/bank/{first}/{last}/statement.csv")
    def table(first: date, last: date, asked: Which) -> Response:
        """CSV."""
        return statement(first, last, asked, table_csv, "text/csv")

    @routes.get("/_sandbox/bank/{first}/{last}/truth.json")
    def truth(first: date, last: date, asked: Which) -> dict[str, Any]:
        """What was put into the payouts that are due on these days."""
        _check(first, last)
        return bank.truth(books, first, last, asked)

    return routes


def mt940(entries: list[Booking], first: date, last: date) -> str:
    """A message for each day with an entry."""
    balance, messages = OPENING, []
    before = first - timedelta(days=1)
    for number, (day, of_day) in enumerate(groupby(entries, key=lambda one: one.day), start=1):
        lines = [":20:STATEMENT", f":25:{ACCOUNT}", f":28C:{number}/1", f":60F:{_balance(before, balance)}"]
        for one in of_day:
            mark = "C" if one.amount > 0 else "D"
            lines.append(f":61:{day:%y%m%d%m%d}{mark}{_comma(one.amount)}NTRFNONREF//{one.reference}")
            lines.append(f":86:{one.text[:_LINE]}")
            lines += [one.text[start : start + _LINE] for start in range(_LINE, len(one.text), _LINE)]
            balance += one.amount
        lines += [f":62F:{_balance(day, balance)}", "-"]
        messages.append("\r\n".join(lines))
        before = day
    return "\r\n".join(messages) + "\r\n"


def camt053(entries: list[Booking], first: date, last: date) -> str:
    """One statement."""
    closing = OPENING + sum(one.amount for one in entries)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>',
        f"<GrpHdr><MsgId>M1</MsgId><CreDtTm>{last}T23:59:59+07:00</CreDtTm></GrpHdr>",
        f"<Stmt><Id>S1</Id><FrToDt><FrDtTm>{first}T00:00:00+07:00</FrDtTm>"
        f"<ToDtTm>{last}T23:59:59+07:00</ToDtTm></FrToDt>",
        f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>{CURRENCY}</Ccy></Acct>",
        _xml_balance("OPBD", OPENING, first),
        _xml_balance("CLBD", closing, last),
        f"<TxsSummry><TtlNtries><NbOfNtries>{len(entries)}</NbOfNtries></TtlNtries></TxsSummry>",
    ]
    for one in entries:
        parts.append(
            f'<Ntry><Amt Ccy="{CURRENCY}">{printed(abs(one.amount))}</Amt>{_direction(one.amount)}'
            f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{one.day}</Dt></BookgDt>"
            f"<AcctSvcrRef>{one.reference}</AcctSvcrRef><BkTxCd/><NtryDtls><TxDtls><Refs>"
            f"<EndToEndId>NOTPROVIDED</EndToEndId></Refs><RmtInf><Ustrd>{escape(one.text)}</Ustrd></RmtInf>"
            "</TxDtls></NtryDtls></Ntry>"
        )
    return "\n".join([*parts, "</Stmt></BkToCstmrStmt></Document>\n"])


def table_csv(entries: list[Booking], first: date, last: date) -> str:
    """A line for each entry."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for one in entries:
        direction = "credit" if one.amount > 0 else "debit"
        writer.writerow(
            (ACCOUNT, one.day, printed(abs(one.amount)), direction, CURRENCY, one.reference, one.text)
        )
    return text.getvalue()


def _check(first: date, last: date) -> None:
    if not first <= last < first + timedelta(days=MOST_DAYS):
        raise HTTPException(422, f"Ask for 1 to {MOST_DAYS} days, the earlier first.")


def _comma(sen: int) -> str:
    return printed(abs(sen)).replace(".", ",")


def _balance(day: date, sen: int) -> str:
    return f"{'C' if sen >= 0 else 'D'}{day:%y%m%d}{CURRENCY}{_comma(sen)}"


def _direction(sen: int) -> str:
    return f"<CdtDbtInd>{'CRDT' if sen >= 0 else 'DBIT'}</CdtDbtInd>"


def _xml_balance(kind: str, sen: int, day: date) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{CURRENCY}">{printed(abs(sen))}</Amt>{_direction(sen)}<Dt><Dt>{day}</Dt></Dt></Bal>'
    )
