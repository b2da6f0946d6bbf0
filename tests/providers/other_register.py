"""A register of somebody else's making, for the whole of our flows: it spells as it likes what the contract
leaves open, fails in every way, and enters whatever it is told, as often as it is told. So its books show who
was sent twice. It knows nothing of ours."""

import json
import random
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from counterpart import BROKEN, LOST, OAUTH, Call, Counterpart

Said = tuple[int, Any, dict[str, str]]
PAGE = b"<!DOCTYPE html><html><title>Sedang pemeliharaan</title></html>"
SCOPES = "training:read training:write credential:read credential:write"


@dataclass
class OtherRegister(Counterpart):
    """trouble: how often a call goes wrong, of one; programs and people: its books, in order, repeats and
    all; look_up: `list`, `page`, `single`, or the status of a look-up that is not there; knows_people: it
    takes nobody twice; elsewhere: where its redirects lead."""

    dice: random.Random = field(default_factory=lambda: random.Random(1))
    trouble: float = 0.0
    look_up: str = "list"
    knows_people: bool = False
    elsewhere: str = "http://127.0.0.1:9/login"
    programs: list[dict[str, Any]] = field(default_factory=list)
    people: list[dict[str, Any]] = field(default_factory=list)
    good_token: str = ""

    def answer_to(self, call: Call) -> Said:
        self.calls.append(call)
        if call.path.endswith(OAUTH):
            return self._token()
        if call.headers.get("authorization") != f"Bearer {self.good_token}":
            return 401, self.dice.choice([{"message": "Unauthenticated."}, PAGE]), {}
        goes_wrong = self.dice.random() < self.trouble
        if goes_wrong and self.dice.random() < 0.5:
            return self._trouble()
        said = self._done(call)
        return self._lost() if goes_wrong and call.method == "POST" else said

    def _token(self) -> Said:
        if self.dice.random() < self.trouble / 2:
            return self.dice.choice(
                [(503, PAGE, {}), (500, {"message": "Server Error"}, {}), (200, LOST, {})]
            )
        self.good_token = f"t{self.dice.randrange(10**9)}"
        token = {"access_token": self.good_token, "token_type": self.dice.choice(["Bearer", "bearer"])}
        token |= self.dice.choice([{"expires_in": 3600}, {"expires_in": "3600"}, {}])
        token |= self.dice.choice([{"scope": SCOPES}, {"scope": SCOPES + " more:read"}, {}])
        return self.dice.choice([(200, token, {}), (200, {"success": True, "data": token}, {})])

    def _done(self, call: Call) -> Said:
        parts = urlsplit(call.path)
        if parts.path.endswith("/credentials/verify"):
            asked = call.members["credential_id"]
            return self._yes({"credential_id": asked, "verified": True})
        if call.method == "GET":
            return self._looked_up(parse_qs(parts.query).get("program_code", [""])[0])
        if parts.path.endswith("/completions"):
            return self._reported(call.members["participants"])
        made = call.members
        number = 70_000 + len(self.programs)
        self.programs.append({"number": number, **made})
        return self._yes(self._receipt(self.programs[-1]))

    def _receipt(self, one: dict[str, Any]) -> dict[str, Any]:
        told = {"siplatih_program_id": one["number"], "program_code": one["program_code"], "since": "v2"}
        if one["number"] % 2:
            told["siplatih_program_id"] = f"SIP/{one['number']}"
        told |= self.dice.choice([{"status": "REGISTERED"}, {"status": "registered"}, {}])
        return told | self.dice.choice([{"registration_date": "2024-01-10T10:00:00Z"}, {}])

    def _looked_up(self, code: str) -> Said:
        if self.look_up.isdecimal():
            return int(self.look_up), self.dice.choice([PAGE, {"message": "Not Found"}]), {}
        found = [
            self._receipt(one) | {name: one[name] for name in ("lpk_registration_number", "program_name")}
            for one in self.programs
            if one["program_code"] == code
        ]
        if self.look_up == "single" and found:
            return self._yes(found[0])
        return self._yes({"items": found, "total": len(found)} if self.look_up == "page" else found)

    def _reported(self, told: list[dict[str, Any]]) -> Said:
        known = {one["nik"]: one for one in self.people} if self.knows_people else {}
        repeats = [
            {"index": str(at), "certificate_number": known[one["nik"]].get("certificate_number"),
             "code": "ALREADY_REPORTED", "message": f"{one['nik']} {one['full_name']} sudah dilaporkan"}
            for at, one in enumerate(told) if one["nik"] in known
        ]  # fmt: skip
        if repeats and self.dice.random() < 0.5:
            return 409, {"success": False, "error": {"code": "ALREADY_REPORTED", "details": repeats}}, {}
        self.people += [one for one in told if one["nik"] not in known]
        new = len(told) - len(repeats)
        accepted = self.dice.choice([new, str(new), ["x"] * new])
        forms: list[dict[str, Any]] = [{"accepted": accepted, "rejected": repeats or 0}]
        if not repeats:
            forms += [{}, {"accepted": new}, {"rejected": []}]
        return self._yes(self.dice.choice(forms))

    def _yes(self, data: Any) -> Said:
        envelopes: list[Any] = [{"success": True, "data": data, "meta": {"took": "3 ms"}}]
        if isinstance(data, dict):
            envelopes.append({"success": True, **data})
        envelopes.append(b"\xef\xbb\xbf" + json.dumps(envelopes[0]).encode())
        return self.dice.choice([200, 200, 201, 202]), self.dice.choice(envelopes), {}

    def _lost(self) -> Said:
        """It has happened, and the answer does not say so in a way that one could rely on."""
        yes = {"success": True}
        return self.dice.choice(
            [
                (200, LOST, {}),
                (200, BROKEN, {}),
                (200, PAGE, {}),
                (502, PAGE, {}),
                (500, {"success": False, "error": {"code": "X", "message": "..."}}, {}),
                (200, {"success": "true"}, {}),
                (200, {"status": "ok", "data": {"siplatih_program_id": "1"}}, {}),
                (204, b"", {}),
                (302, PAGE, {"Location": self.elsewhere}),
                (308, yes, {"Location": self.elsewhere}),
            ]
        )

    def _trouble(self) -> Said:
        """It has not happened."""
        soon = formatdate(time() + 2, usegmt=True)
        return self.dice.choice(
            [
                (200, LOST, {}),
                (503, PAGE, {}),
                (504, {"title": "Gateway Timeout", "status": 504}, {}),
                (200, PAGE, {}),
                (
                    200,
                    {"success": False, "error": {"code": "MAINTENANCE", "message": "Sedang pemeliharaan"}},
                    {},
                ),
                (307, PAGE, {"Location": self.elsewhere}),
                (429, {"message": "Too Many Attempts."}, {"Retry-After": "90"}),
                (429, PAGE, {"Retry-After": soon}),
                (429, {"message": "Too Many Attempts."}, {"Retry-After": "soon"}),
                (401, {"error": "token_expired"}, {}),
            ]
        )

    def times_by_code(self) -> dict[str, int]:
        """How often each program is on its books."""
        codes = [one["program_code"] for one in self.programs]
        return {code: codes.count(code) for code in codes}

    def numbers(self) -> dict[str, str]:
        """The number of each program, as a text."""
        return {
            one["program_code"]: f"SIP/{one['number']}" if one["number"] % 2 else str(one["number"])
            for one in self.programs
        }

    def times_by_nik(self) -> dict[str, int]:
        """How often each person is on its books."""
        niks = [one["nik"] for one in self.people]
        return {nik: niks.count(nik) for nik in niks}
