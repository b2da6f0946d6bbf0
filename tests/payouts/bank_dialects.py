"""Bank statements as real banks write them, each in several dialects, from bookings that are known.

Written from the standards (SWIFT MT940, ISO 20022 camt.053.001.02 and .08), not from our readers.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from xml.sax.saxutils import escape

ACCOUNT = "0012345678"


@dataclass(frozen=True)
class Booked:
    """One booking in rupiah (below zero: it goes out), with the bank's reference and what it says."""

    day: date
    amount: Decimal
    reference: str
    text: str


def in_some_dialect(rng: random.Random, form: str, booked: Sequence[Booked]) -> bytes:
    """The statement in one of the three forms, in a dialect by chance."""
    ordered = sorted(booked, key=lambda one: (one.day, one.reference))
    text = {"mt940": _mt940, "camt053": _camt053, "csv": _csv}[form](rng, ordered)
    text = text.replace("\n", rng.choice(["\n", "\r\n"]))
    return (b"\xef\xbb\xbf" if rng.random() < 0.3 else b"") + text.encode()


def _comma(amount: Decimal) -> str:
    """`1500,` or `1500,00` or `1500,5`: at least one digit and a comma."""
    whole, cents = f"{abs(amount):.2f}".split(".")
    return f"{whole},{cents.rstrip('0')}"


def _mt940(rng: random.Random, booked: Sequence[Booked]) -> str:
    envelope = rng.random() < 0.3
    by_day = [list(of_day) for _, of_day in groupby(booked, key=lambda one: one.day)]
    balance, blocks = Decimal(rng.choice([0, 1_000_000])), []
    before = booked[0].day - timedelta(days=1)
    for number, of_day in enumerate(by_day, 1):
        day = of_day[0].day
        lines = [":20:STM", f":25:{ACCOUNT}", f":28C:{number}/1", f":60F:{_balance(before, balance)}"]
        for one in of_day:
            lines += _entry(rng, one)
            balance += one.amount
        lines.append(f":62F:{_balance(day, balance)}")
        if rng.random() < 0.3:
            lines += [f":64:{_balance(day, balance)}", ":86:SALDO AKHIR BANK KAMI PAYOUT"]
        text = "\n".join(lines)
        blocks.append(
            f"{{1:F01BANKIDJA}}{{2:I940BANKIDJAN}}{{4:\n{text}\n-}}{{5:}}" if envelope else f"{text}\n-"
        )
        before = day
    return "\n".join(blocks) + "\n"


def _balance(day: date, amount: Decimal) -> str:
    return f"{'C' if amount >= 0 else 'D'}{day:%y%m%d}IDR{_comma(amount)}"


def _entry(rng: random.Random, one: Booked) -> list[str]:
    """`:61:` with or without the entry date, as a booking or as the reversal of one; `:86:` in a style."""
    marks = ["C", "RD", "CR"] if one.amount > 0 else ["D", "RC", "DR"]  # CR, DR: with IDR's last letter
    value_day = one.day + timedelta(days=rng.choice([-2, -1, 0, 0, 1]))
    dated = f"{value_day:%y%m%d}{one.day:%m%d}" if rng.random() < 0.7 else f"{one.day:%y%m%d}"
    supplement = "\nSETORAN" if rng.random() < 0.3 else ""
    first = f":61:{dated}{rng.choice(marks)}{_comma(one.amount)}NTRFNONREF//{one.reference}{supplement}"
    style = rng.choice(["plain", "subfields", "lines"])
    if style == "subfields":
        pieces = [one.text[at : at + 27] for at in range(0, len(one.text), 27)]
        told = "166?00TRANSFER?10" + "".join(f"?{20 + n}{piece}" for n, piece in enumerate(pieces))
        told += "?30BANKIDJA?31123"
        lines = [told[at : at + 65] for at in range(0, len(told), 65)]
    elif style == "lines":
        lines = [one.text[at : at + 65] for at in range(0, len(one.text), 65)] + ["CABANG JAKARTA"]
    else:
        lines = [one.text[at : at + 65] for at in range(0, len(one.text), 65)]
    return [first, f":86:{lines[0]}", *lines[1:]]


def _camt053(rng: random.Random, booked: Sequence[Booked]) -> str:
    version = rng.choice(["02", "08"])
    p = rng.choice(["", "ns2:", "camt:"])
    entries, left = [], list(booked)
    while left:
        size = rng.choice([1, 1, 2, 3])
        batch = [one for one in left[:size] if one.day == left[0].day]
        entries.append(_xml_entry(rng, version, batch))
        left = left[len(batch) :]
    pending = Booked(booked[-1].day, Decimal("777.77"), "PENDING", "TRSF SANDBOX gopay PAYOUT")
    if rng.random() < 0.5:
        entries.append(_xml_entry(rng, version, [pending], "PDNG"))
    opening = Decimal(rng.choice([0, -2_000]))
    closing = opening + sum(one.amount for one in booked)
    body = (
        f"<BkToCstmrStmt><GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>S</Id><Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr>"
        f"</Id><Ccy>IDR</Ccy></Acct>{_xml_balance('OPBD', opening, booked[0].day)}"
        f"{_xml_balance('CLBD', closing, booked[-1].day)}<TxsSummry><TtlNtries><NbOfNtries>{len(entries)}"
        f"</NbOfNtries></TtlNtries></TxsSummry>{''.join(entries)}</Stmt></BkToCstmrStmt>"
    )
    if p:
        body = body.replace("</", "\0").replace("<", f"<{p}").replace("\0", f"</{p}")
    space = f'xmlns{":" + p[:-1] if p else ""}="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{p}Document {space}>{body}</{p}Document>\n'


def _xml_amount(amount: Decimal) -> str:
    return f'<Amt Ccy="IDR">{abs(amount)}</Amt>'


def _xml_way(amount: Decimal) -> str:
    return f"<CdtDbtInd>{'CRDT' if amount >= 0 else 'DBIT'}</CdtDbtInd>"


def _xml_balance(kind: str, amount: Decimal, day: date) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_xml_amount(amount)}{_xml_way(amount)}"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _xml_entry(rng: random.Random, version: str, batch: Sequence[Booked], status: str = "BOOK") -> str:
    """One booking, or several as one sum with a detail for each."""
    total = sum((one.amount for one in batch), Decimal(0))
    details = []
    for one in batch:
        amount, way = _xml_amount(one.amount), _xml_way(one.amount)
        said = f"<AmtDtls><TxAmt>{amount}</TxAmt></AmtDtls>{way}" if version == "02" else f"{amount}{way}"
        refs = f"<Refs><AcctSvcrRef>{one.reference}</AcctSvcrRef><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
        details.append(f"<TxDtls>{refs}{said}<RmtInf><Ustrd>{escape(one.text)}</Ustrd></RmtInf></TxDtls>")
    state = f"<Sts>{status}</Sts>" if version == "02" else f"<Sts><Cd>{status}</Cd></Sts>"
    day = batch[0].day
    booked_on = f"<Dt>{day}</Dt>" if rng.random() < 0.5 else f"<DtTm>{day}T09:30:00+07:00</DtTm>"
    batched = f"<Btch><NbOfTxs>{len(batch)}</NbOfTxs></Btch>" if len(batch) > 1 else ""
    reference = batch[0].reference if len(batch) == 1 else f"BATCH{batch[0].reference}"
    return (
        f"<Ntry>{_xml_amount(total)}{_xml_way(total)}{state}<BookgDt>{booked_on}</BookgDt>"
        f"<AcctSvcrRef>{reference}</AcctSvcrRef><BkTxCd/><NtryDtls>{batched}{''.join(details)}</NtryDtls></Ntry>"
    )


def _csv(rng: random.Random, booked: Sequence[Booked]) -> str:
    between = rng.choice([",", ";"])
    rows = ["account,booked_on,amount,direction,currency,reference,narrative".replace(",", between)]
    for one in rng.sample(list(booked), len(booked)):
        way = "credit" if one.amount > 0 else "debit"
        cells = (ACCOUNT, str(one.day), f"{abs(one.amount):.2f}", way, "IDR", one.reference, f'"{one.text}"')
        rows.append(between.join(cells))
    return "\n".join(rows) + "\n"
