"""ISO 20022 camt.053, any version: the booked entries of each statement.

Read with lxml, which resolves nothing here: a file with a document type is refused before anything of it is
used, so there are no entities to expand and nothing is fetched. Source: ISO 20022 message definition
BankToCustomerStatement (Stmt, Bal, Ntry, TxDtls).
"""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from lxml import etree

from common.errors import UnusableFile
from providers.bank.entries import LONGEST_NARRATIVE, LONGEST_REFERENCE, BankStatement, Coverage, Entry

_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,5})?")
_DAY = re.compile(r"([12][0-9]{3}-[01][0-9]-[0-3][0-9])(T.*|[+-][0-9:]+|Z)?")
_SIGNS = {"CRDT": 1, "DBIT": -1}
_NO_REFERENCE = ("", "NONREF", "NOTPROVIDED")
_DETAIL_TEXTS = ("Refs/EndToEndId", "RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "AddtlTxInf")
_TEXTS = ("AddtlNtryInf", *(f"NtryDtls/TxDtls/{path}" for path in _DETAIL_TEXTS))


def read_camt053(content: bytes, name: str, account: str) -> BankStatement:
    """All statements of the file. account: whose it has to be, if that is known."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise UnusableFile(
            name, "this is no well-formed XML: cut off or damaged", line=error.lineno
        ) from None
    if root.getroottree().docinfo.doctype:
        raise UnusableFile(name, "the XML has a document type, which no bank statement has", line=1)
    statements = _all(root, "BkToCstmrStmt/Stmt")
    if not statements:
        kind = etree.QName(root[0]).localname if len(root) else etree.QName(root).localname
        raise UnusableFile(
            name, "this is no camt.053: it has no BkToCstmrStmt with a Stmt", line=1, seen=kind
        )
    found = BankStatement("camt053")
    for statement in statements:
        _Statement(statement, name, account).read_into(found)
    return found


class _Statement:
    """One Stmt element."""

    def __init__(self, element: Any, name: str, account: str) -> None:
        self.element = element
        self.name = name
        self.account = _text(element, "Acct/Id/IBAN") or _text(element, "Acct/Id/Othr/Id")
        if not self.account:
            raise self._unusable(element, "the statement does not say of which account it is")
        if account and self.account != account:
            raise self._unusable(element, f"the statement is not of the account {account}", self.account)

    def read_into(self, found: BankStatement) -> None:
        """Add its entries and the days that it covers; raises UnusableFile where it contradicts itself."""
        elements = _all(self.element, "Ntry")
        entries = [entry for one in elements for entry in self._entries(one)]
        self._compare_count(len(elements))
        balances = self._compare_balances(entries)
        days = [entry.booked_on for entry in entries] + balances
        for path in ("FrToDt/FrDtTm", "FrToDt/ToDtTm"):
            if said := _all(self.element, path):
                days.append(self._day(said[0]))
        if not days:
            raise self._unusable(self.element, "nothing says which days the statement covers")
        found.entries += [entry for entry in entries if entry.amount_minor]
        found.coverage.append(Coverage(self.account, min(days), max(days)))

    def _entries(self, element: Any) -> list[Entry]:
        """A booked entry, or the parts of one that books several at once; none for what is only pending.

        A bank may book the payouts of several gateways as one sum. Its parts count where each has an amount
        and they add up to it; otherwise the sum is one entry.
        """
        if (_text(element, "Sts/Cd") or _text(element, "Sts")) not in ("BOOK", ""):
            return []
        whole = self._whole(element)
        details = _all(element, "NtryDtls/TxDtls")
        if len(details) < 2:
            return [whole]
        parts = [self._part(whole, element, one, number) for number, one in enumerate(details, 1)]
        found = [one for one in parts if one is not None]
        is_whole = len(found) == len(details) and sum(one.amount_minor for one in found) == whole.amount_minor
        return found if is_whole else [whole]

    def _part(self, whole: Entry, element: Any, detail: Any, number: int) -> Entry | None:
        """One of the several that an entry books; None where it does not say how much in its currency."""
        amounts = _all(detail, "Amt") or _all(detail, "AmtDtls/TxAmt/Amt")
        if len(amounts) != 1 or amounts[0].get("Ccy", "") != whole.currency:
            return None
        sign = _SIGNS.get(_text(detail, "CdtDbtInd") or _text(element, "CdtDbtInd"))
        own = _text(detail, "Refs/AcctSvcrRef")
        if own in (*_NO_REFERENCE, whole.reference):
            own = f"{whole.reference}/{number}" if whole.reference else ""
        texts = [_text(element, "AddtlNtryInf")]
        texts += [_clean(one.text) for path in _DETAIL_TEXTS for one in _all(detail, path)]
        return Entry(
            detail.sourceline,
            whole.account,
            whole.booked_on,
            (sign or 0) * self._minor(amounts[0]),
            whole.currency,
            own[:LONGEST_REFERENCE],
            _narrative(texts),
        )

    def _whole(self, element: Any) -> Entry:
        amounts, booked = _all(element, "Amt"), _all(element, "BookgDt/Dt") or _all(element, "BookgDt/DtTm")
        sign = _SIGNS.get(_text(element, "CdtDbtInd"))
        if len(amounts) != 1 or not booked or sign is None:
            raise self._unusable(element, "an entry lacks its amount, its direction or its booking date")
        currency = amounts[0].get("Ccy", "")
        if not re.fullmatch(r"[A-Z]{3}", currency):
            raise self._unusable(element, "an amount has no currency", currency)
        names = (_text(element, "AcctSvcrRef"), _text(element, "NtryRef"))
        reference = next((one for one in names if one not in _NO_REFERENCE), "")[:LONGEST_REFERENCE]
        texts = [_clean(one.text) for path in _TEXTS for one in _all(element, path)]
        return Entry(
            element.sourceline,
            self.account,
            self._day(booked[0]),
            sign * self._minor(amounts[0]),
            currency,
            reference,
            _narrative(texts),
        )

    def _compare_count(self, entries: int) -> None:
        stated = _text(self.element, "TxsSummry/TtlNtries/NbOfNtries")
        if stated and stated != str(entries):
            raise self._unusable(
                self.element, f"the number of entries is stated as {stated}, but there are {entries}"
            )

    def _compare_balances(self, entries: list[Entry]) -> list[date]:
        """Opening and closing balance against the entries; the closing day, where there is one."""
        stated = {}
        for balance in _all(self.element, "Bal"):
            kind = _text(balance, "Tp/CdOrPrtry/Cd")
            amounts, days = _all(balance, "Amt"), _all(balance, "Dt/Dt") or _all(balance, "Dt/DtTm")
            sign = _SIGNS.get(_text(balance, "CdtDbtInd"))
            if kind in ("OPBD", "PRCD", "CLBD") and amounts and days and sign:
                stated[kind] = (sign * self._minor(amounts[0]), self._day(days[0]), balance)
        opening, closing = stated.get("OPBD") or stated.get("PRCD"), stated.get("CLBD")
        if opening and closing:
            gives = opening[0] + sum(entry.amount_minor for entry in entries)
            if gives != closing[0]:
                raise self._unusable(
                    closing[2],
                    f"the closing balance is stated as {Decimal(closing[0]) / 100:.2f}, but opening balance "
                    f"and entries give {Decimal(gives) / 100:.2f}",
                )
        return [closing[1]] if closing else []

    def _minor(self, element: Any) -> int:
        text = _clean(element.text)
        minor = Decimal(text) * 100 if _AMOUNT.fullmatch(text) else None
        if minor is None or minor != minor.to_integral_value():
            raise self._unusable(element, "not an amount with at most two decimals", text)
        return int(minor)

    def _day(self, element: Any) -> date:
        text = _clean(element.text)
        try:
            shape = _DAY.fullmatch(text)
            return date.fromisoformat(shape[1] if shape else "")
        except ValueError:
            raise self._unusable(element, "not a day that exists", text) from None

    def _unusable(self, element: Any, reason: str, seen: str = "") -> UnusableFile:
        return UnusableFile(self.name, reason, line=element.sourceline, seen=seen)


def _narrative(texts: list[str]) -> str:
    return " ".join(dict.fromkeys(text for text in texts if text not in _NO_REFERENCE))[:LONGEST_NARRATIVE]


def _all(element: Any, path: str) -> list[Any]:
    """Elements by their local names: the namespace says the version, which does not matter here."""
    found: list[Any] = element.findall("/".join(f"{{*}}{part}" for part in path.split("/")))
    return found


def _text(element: Any, path: str) -> str:
    found = _all(element, path)
    return _clean(found[0].text) if found else ""


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())
