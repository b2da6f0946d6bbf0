"""Wherever one looks afterwards, no NIK stands in the clear: both databases, logs, files, pages."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from class_room import DAY, LPK, PATH, ClassRoom, nik, people, person, program_registered, run_of
from psycopg import sql

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


def databases(server: str) -> list[str]:
    """Prefect's, beside the one of the test."""
    with psycopg.connect(server) as db:
        found = db.execute("SELECT datname FROM pg_database WHERE datname LIKE '%prefect%'").fetchall()
    names = [name for (name,) in found]
    assert names
    return [server.replace("/jembatan", f"/{name}", 1) for name in names]


def clean(where: str, text: str, names: bool = True) -> None:
    found = SIXTEEN.search(text)
    assert found is None, f"{where}: a number of 16 digits"
    for number in range(COUNT):
        assert nik(number) not in text, where
        assert not names or NAMES[number] not in text, where


def test_nothing_that_is_left_behind_holds_a_nik_or_a_name(
    room: ClassRoom, database: str, server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    answers = live_through_everything(room)
    for answer in answers:
        clean("an answer or a page", answer)
    for where, row in everything(database):
        clean(where, row)
    for url in databases(server):
        for where, row in everything(url):
            clean(f"Prefect's {where}", row)
    for record in caplog.records:
        clean(f"log {record.name}", record.getMessage() + str(record.exc_info or ""))
    out, err = capfd.readouterr()
    clean("output", out + err)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            clean(str(file.name), file.read_bytes().decode("latin-1"))


def live_through_everything(room: ClassRoom) -> list[str]:
    """Faults, refusals that quote a NIK, lost answers, a sheet, the flow in Prefect; what came back."""
    from flows.report_completion import report_completion

    code = program_registered()
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
