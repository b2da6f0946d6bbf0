"""How `jembatan demo` ends: a class goes to the register, its badges to a verifier, all over HTTP."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
import sqlalchemy as sa
from register_desk import due
from register_desk import worked as registered
from registry import exported

from common.settings import settings
from jembatan.commands import demo_credential
from ministry import reporting
from records import process
from records.completion import PROCESS, CompletionReport
from records.credential_export import PROCESS as EXPORT
from records.db import unit_of_work


def _reported() -> None:
    with unit_of_work() as session:
        started = [one.id for one in process.start_batch(session, due(PROCESS), None)]
        wanted = sa.select(CompletionReport.id).where(CompletionReport.process_run_id.in_(started))
        reports = list(session.scalars(wanted))
    reporting.report_all(reports)


@pytest.fixture
def at_work(at: httpx.Client, sandbox: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The API, the sandbox's register, and somebody who works what is due, as the flows do."""
    monkeypatch.setenv("JEMBATAN_SANDBOX_URL", sandbox)
    settings.cache_clear()
    ends = threading.Event()

    def work() -> None:
        while not ends.wait(0.05):
            registered()
            _reported()
            for run in due(EXPORT):
                exported(run)

    working = threading.Thread(target=work)
    working.start()
    yield at
    ends.set()
    working.join()


def test_a_badge_of_the_demo_is_found_valid_and_a_revoked_one_is_not(
    at_work: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    running = SimpleNamespace(api_url=str(at_work.base_url))
    code = demo_credential.begin(running)  # type: ignore[arg-type]  # a stack of which only this is asked
    assert demo_credential.show(running, code)  # type: ignore[arg-type]  # see above
    said = capsys.readouterr()
    print(said.out)
    assert "checked at /verify: valid" in said.out
    assert "checked at /verify: revoked (Issued in error)" in said.out
