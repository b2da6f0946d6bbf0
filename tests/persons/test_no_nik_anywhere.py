"""Wherever one looks afterwards, no NIK stands in the clear: both databases, logs, files, pages."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from class_room import DAY, LPK, PATH, ClassRoom, nik, people, person, program_registered, run_of
from cryptography.fernet import Fernet
from psycopg import sql
from typer.testing import CliRunner

from common.settings import settings
from jembatan.cli import app

# A fraction may have sixteen decimals; a number with more digits is no NIK.
SIXTEEN = re.compile(r"(?<![0-9.])[0-9]{16}(?![0-9])")
COUNT = 12
NAMES = [f"Siti Rahma {number}" for number in range(COUNT)]


def everything(url: str) -> Iterator[tuple[str, str]]:
    """Each row of each table of a database, as text."""
    with psycopg.connect(url) as db:
        tables = db.execute(
            "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert tables
        for oid, schema, table in tables:
            columns = db.execute(
                "SELECT attname, atttypid = 'bytea'::regtype FROM pg_attribute"
                " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
                [oid],
            ).fetchall()
            shown = sql.SQL(", ").join(
                sql.SQL("encode({}, 'escape')" if is_bytes else "{}::text").format(sql.Identifier(name))
                for name, is_bytes in columns
            )
            query = sql.SQL("SELECT {} FROM {}").format(shown, sql.Identifier(schema, table))
            for row in db.execute(query):
                yield f"{schema}.{table}", " | ".join(value or "" for value in row)


def clean(where: str, text: str, names: bool = True) -> None:
    found = SIXTEEN.search(text)
    assert found is None, f"{where}: a number of 16 digits"
    for number in range(COUNT):
        assert nik(number) not in text, where
        assert not names or NAMES[number] not in text, where


def test_nothing_that_is_left_behind_holds_a_nik_or_a_name(
    room: ClassRoom, database: str, prefect_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from prefect.logging.handlers import APILogHandler

    caplog.set_level(logging.DEBUG)
    code = program_registered()
    for answer in live_through_everything(room, code) + live_through_a_check(room):
        clean("an answer or a page", answer)
    named = tmp_path / f"{nik(1)}.xlsx"
    named.write_bytes(b"PK\x03\x04 and no more")
    words = ["--program", code, "--lpk", LPK, "--date", DAY]
    said = CliRunner().invoke(app, ["completions", "report", str(named), *words])
    clean("what a file's name becomes", f"{said.output} {said.exception}")
    named.unlink()
    with monkeypatch.context() as patch:  # something breaks where nobody expects it: a trace of it is left
        taken = room.asked(code, people(2, first=COUNT))
        patch.setenv("JEMBATAN_ENCRYPTION_KEYS", Fernet.generate_key().decode())
        settings.cache_clear()
        clean("a flow that broke", flow(taken["report_id"]))
    settings.cache_clear()
    clean("a process that broke", room.http.get(f"/api/v1/processes/{taken['process_id']}").text)
    for where, row in everything(database):
        clean(where, row)
    APILogHandler().flush()
    told = 0
    for where, row in everything(prefect_database):
        clean(f"Prefect's {where}", row)
        told += code in row
    assert told > 0  # it is the database in which the flow has left its traces
    for record in caplog.records:
        clean(f"log {record.name}", logging.Formatter().format(record))  # with its traceback
    out, err = capfd.readouterr()
    clean("output", out + err)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            clean(str(file.name), file.read_bytes().decode("latin-1"))


def flow(report_id: str) -> str:
    from flows.report_completion import report_completion

    state = report_completion(report_id=report_id, return_state=True)
    return f"{state} {state.message}"


def live_through_a_check(room: ClassRoom) -> list[str]:
    """A credential's check that is refused for its NIK, and one that goes, through Prefect."""
    from flows.verify_credential import verify_credential

    number = str(uuid4())
    body = {"credential_id": number, "credential_url": f"https://issuer.example/{number}",
            "participant_nik": nik(1), "skkni_code": "J.620100.004.02",
            "issuance_date": "2024-07-15T10:30:00Z"}  # fmt: skip
    path = "/api/v1/integrations/siplatih/verify-credential"
    wrong = {"participant_nik": "97" + nik(1)[2:], "credential_url": f"https://issuer.example/{nik(1)}"}
    said = [room.http.post(path, json=body | wrong).text]
    made = room.http.post(path, json=body).raise_for_status().json()
    state: Any = verify_credential(check_id=made["check"]["check_id"], return_state=True)
    said += [json.dumps(made), state.message]
    said.append(room.http.get(made["status_url"]).text)
    known = room.http.post("/api/v1/persons/find", json={"nik": nik(1)}).raise_for_status()
    said.append(known.text)
    said.append(room.http.get(f"/api/v1/persons/{known.json()['person_id']}/audit").text)
    return said


def live_through_everything(room: ClassRoom, code: str) -> list[str]:
    """Faults, refusals that quote a NIK, lost answers, a sheet, the flow in Prefect; what came back."""
    from flows.report_completion import report_completion

    said = [room.ask(code, [person(1, nik="97" + nik(1)[2:]), person(2, nik=int(nik(2)))]).text]
    lines = "".join(f"{nik(n)},{NAMES[n]},COMPLETED\n" for n in range(3))
    sheet = f"nik,full_name,completion_status\n{lines}{nik(4)},{NAMES[4]}\n"
    asked = {"program_code": code, "lpk_registration_number": LPK, "completion_date": DAY}
    said.append(room.http.post(f"{PATH}/sheet", params=asked, content=sheet.encode()).text)
    room.refuses("CERT-2024-000003", message=f"NIK {nik(3)} of {NAMES[3]} is not known")
    taken = room.asked(code, people(COUNT))
    room.fail("complete", "lost")
    states: list[Any] = [report_completion(report_id=taken["report_id"], return_state=True)]
    states.append(report_completion(report_id=taken["report_id"], return_state=True))
    assert run_of(taken).state == "needs_attention"
    said += [state.message for state in states]
    base = f"/api/v1/integrations/siplatih/completions/{taken['report_id']}"
    pages = (base, f"{base}/participants", f"/api/v1/processes/{taken['process_id']}", "/api/v1/processes")
    said += [room.http.get(page).text for page in pages]
    return said
