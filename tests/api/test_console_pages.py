"""The console over plain HTTP: who gets in, which forms are taken, and that a page does what the API does."""

import hashlib
import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_world import Paid, every_class, execute, reconcile, save
from console_browser import SIGN_IN, Browser, Person, key_of

from api.console import signing_in
from common import money
from common.settings import settings
from records.db import unit_of_work

pytestmark = pytest.mark.usefixtures("nobody_tried_before")
HTMX = (
    "71ea67185bfa8c98c39d31717c6fce5d852370fcdfd129db4543774d3145c0de"  # of htmx.org 2.0.10, dist/htmx.min.js
)


def of_class(client: httpx.Client, name: str) -> dict[str, Any]:
    (found,) = client.get("/api/v1/exceptions", params={"class": name, "state": "all"}).json()["items"]
    return dict(found)


def read(client: httpx.Client, found: dict[str, Any]) -> dict[str, Any]:
    return dict(client.get(f"/api/v1/exceptions/{found['exception_id']}").json())


def end(browser: Browser, found: dict[str, Any], **fields: str) -> httpx.Response:
    return browser.submit(f"/console/exceptions/{found['exception_id']}/end", **fields)


# Signing in


def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(client: httpx.Client) -> None:
    asked = client.get("/console/exceptions?gateway=ovo&age=7")
    assert asked.status_code == 303
    page = client.get(asked.headers["location"]).text
    there = unescape(re.search(r'name="next" value="([^"]*)"', page)[1])  # type: ignore[index]
    assert there == "/console/exceptions?gateway=ovo&age=7"
    answer = client.post(SIGN_IN, data={"key": key_of("rina").text, "next": there})
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    assert client.get(there).status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/console",
        "//evil.example/console",
        "/\\evil.example",
        "/console/\\evil",
        "/reconciliations",
        "/reconciliations/\\evil",
        "/consoles",
        "javascript:alert(1)",
    ],
)
def test_the_sign_in_leads_nowhere_else(client: httpx.Client, elsewhere: str) -> None:
    answer = client.post(SIGN_IN, data={"key": key_of("rina").text, "next": elsewhere})
    assert answer.headers["location"] == "/console"


def test_every_key_that_opens_nothing_is_told_the_same(client: httpx.Client) -> None:
    right, revoked, expired = key_of("right"), key_of("revoked"), key_of("expired")
    execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", revoked.id)
    execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", expired.id)
    wrong = [
        "",
        "x",
        right.text[:-1],
        right.text[:-1] + "!",
        f"jbt_{right.id}_{'a' * 43}",
        revoked.text,
        expired.text,
    ]
    answers = [client.post(SIGN_IN, data={"key": key}) for key in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert "That key does not open the console." in answers[0].text
    assert "set-cookie" not in answers[0].headers


def test_after_ten_wrong_keys_even_the_right_one_waits_a_minute(client: httpx.Client) -> None:
    for _ in range(signing_in.TRIES):
        assert client.post(SIGN_IN, data={"key": "guess"}).status_code == 401
    answer = client.post(SIGN_IN, data={"key": key_of("rina").text})
    assert answer.status_code == 429
    assert "Wait a minute" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_client_without_the_right_to_see_does_not_get_in(client: httpx.Client) -> None:
    answer = client.post(SIGN_IN, data={"key": key_of("platform", "payments:write").text})
    assert answer.status_code == 403
    assert "exceptions:read" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_for_this_host_alone_and_no_script_reads_it(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of("rina").text
    told = client.post(SIGN_IN, data={"key": key}).headers["set-cookie"]
    assert told.startswith("jembatan-console=")
    assert "HttpOnly" in told
    assert "SameSite=strict" in told
    assert "Secure" not in told  # loopback, where nobody reads along
    monkeypatch.setenv("JEMBATAN_PUBLIC_URL", "https://finance.example")
    settings.cache_clear()
    proxied = client.post(SIGN_IN, data={"key": key}, headers={"Host": "finance.example"})
    told = proxied.headers["set-cookie"]
    assert told.startswith("__Host-jembatan-console=")
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(told.split("; "))


def test_no_key_is_asked_for_where_somebody_could_read_along(client: httpx.Client) -> None:
    host = {"Host": "finance.example"}
    assert "Your key" not in client.get(SIGN_IN, headers=host).text
    answer = client.post(SIGN_IN, data={"key": key_of("rina").text}, headers=host)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


def test_what_we_keep_of_a_session_opens_nothing(rina: Browser) -> None:
    from records.console_session import ConsoleSession

    text = rina.cookies["jembatan-console"]
    with unit_of_work() as session:
        (kept,) = session.query(ConsoleSession).all()
        assert kept.hash == hashlib.sha256(text.encode()).digest()


ENDS = {
    "half an hour without a click": "UPDATE console_sessions SET seen_at = seen_at - interval '30 minutes', "
    "opened_at = opened_at - interval '30 minutes'",
    "eight hours": "UPDATE console_sessions SET opened_at = opened_at - interval '8 hours'",
    "a key that is revoked": "UPDATE api_keys SET revoked_at = now()",
    "a key that expires": "UPDATE api_keys SET expires_at = now()",
    "a client that is revoked": "UPDATE clients SET revoked_at = now()",
}


@pytest.mark.parametrize("what", ENDS)
def test_a_session_ends_with(rina: Browser, what: str) -> None:
    token = rina.token()
    execute(ENDS[what])
    assert rina.get("/console").headers["location"] == SIGN_IN
    sent = rina.post("/console/exceptions/1/end", data={"token": token, "action": "explain", "reason": "x"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{SIGN_IN}?ended=1")
    assert "was not taken" in rina.see(f"{SIGN_IN}?ended=1")


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(rina: Browser) -> None:
    text = rina.cookies["jembatan-console"]
    assert rina.submit("/console/sign-out").headers["location"] == f"{SIGN_IN}?out=1"
    assert rina.get("/console").status_code == 303
    again = httpx.get(f"{rina.base_url}/console", cookies={"jembatan-console": text})
    assert again.status_code == 303


def test_a_part_of_a_page_is_led_to_the_sign_in_as_a_whole(client: httpx.Client) -> None:
    answer = client.get("/console/exceptions?gateway=ovo", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith(SIGN_IN)


def test_a_link_from_a_mail_passes_a_page_of_ours_and_arrives(rina: Browser) -> None:
    from_elsewhere = {"Sec-Fetch-Site": "cross-site", "Cookie": ""}  # browsers leave the cookie out
    page = httpx.get(f"{rina.base_url}/console/approvals", headers=from_elsewhere)
    assert page.status_code == 200
    address = unescape(re.search(r'content="0; url=([^"]*)"', page.text)[1])  # type: ignore[index]
    assert rina.get(address).headers["location"] == "/console/approvals"


# Forms


def test_a_form_counts_only_with_the_token_of_its_own_session(
    client: httpx.Client, rina: Browser, person: Person, tmp_path: Path
) -> None:
    every_class(tmp_path)
    fee = of_class(client, "fee_mismatch")
    path = f"/console/exceptions/{fee['exception_id']}/end"
    fields = {"action": "explain", "reason": "FIN-118"}
    for token in ({}, {"token": ""}, {"token": "0" * 64}, {"token": person("budi").token()}):
        answer = rina.post(path, data=fields | token)
        assert answer.status_code == 403
        assert "not of your present session" in answer.text
    right = fields | {"token": rina.token()}
    assert rina.post(path, data=right, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert rina.post(path, json=right).status_code == 400
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"a=%ff", b"\xff", b"a=%00", b"&".join(b"a%d=" % number for number in range(100))):
        assert rina.post(path, content=body, headers=plain).status_code == 400
    assert rina.post(path, data=right | {"reason": "x" * 20_000}).status_code == 400
    assert read(client, fee)["state"] == "open"
    assert rina.post(path, data=right).status_code == 303
    assert read(client, fee)["state"] == "explained"


def test_who_may_only_read_gets_no_forms_and_cannot_send_them(
    client: httpx.Client, person: Person, tmp_path: Path
) -> None:
    every_class(tmp_path)
    fee = of_class(client, "fee_mismatch")
    reader = person("reader", "exceptions:read")
    page = reader.see(f"/console/exceptions/{fee['exception_id']}")
    assert "End it" not in page
    answer = end(reader, fee, action="explain", reason="FIN-118")
    assert answer.status_code == 403
    assert "exceptions:write" in answer.text
    assert read(client, fee)["state"] == "open"
    assert "refunds:read" in reader.see("/console/payments", 403)
    assert "approvals:read" in reader.see("/console/approvals", 403)


def test_what_is_wrong_with_a_form_is_named_beside_its_field_and_what_was_typed_stays(
    client: httpx.Client, rina: Browser, tmp_path: Path
) -> None:
    every_class(tmp_path)
    stranger = of_class(client, "missing_in_ledger")
    empty = unescape(end(rina, stranger).text)
    assert 'href="#field-action"' in empty
    assert 'href="#field-reason"' in empty
    answer = end(rina, stranger, action="match", payment="R-NOBODY", reason="<b>seen</b>")
    assert answer.status_code == 422
    assert 'href="#field-payment"' in answer.text
    assert 'value="R-NOBODY"' in answer.text
    assert "&lt;b&gt;seen&lt;/b&gt;" in answer.text
    impossible = end(rina, of_class(client, "malformed_line"), action="write_off", reason="x")
    assert (impossible.status_code, "explain it" in impossible.text) == (409, True)
    assert end(rina, {"exception_id": 99_999_999}, action="explain", reason="x").status_code == 404


# What the pages do


def test_an_exception_is_ended_as_over_the_api(client: httpx.Client, rina: Browser, tmp_path: Path) -> None:
    every_class(tmp_path)
    fee = of_class(client, "fee_mismatch")
    answer = end(rina, fee, action="explain", reason="The contract has this fee; FIN-118")
    page = rina.see(answer.headers["location"])
    assert "Done: it is explained by a person." in page
    assert "The contract has this fee; FIN-118" in page
    last = read(client, fee)["history"][-1]
    assert (last["actor"], last["from_state"], last["to_state"]) == ("client:rina", "open", "explained")
    again = end(rina, fee, action="explain", reason="once more")
    assert (again.status_code, "already" in again.text) == (409, True)


def test_a_second_charge_is_given_back_from_its_exceptions_page(
    client: httpx.Client, rina: Browser, person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_GOPAY__BASE_URL", "http://127.0.0.1:9")  # nobody is called: it is asked for
    monkeypatch.setenv("JEMBATAN_GOPAY__SERVER_KEY", "SB-Mid-server-of-a-test")
    settings.cache_clear()
    every_class(tmp_path)
    twice = of_class(client, "duplicate_at_gateway")
    path = f"/console/exceptions/{twice['exception_id']}"
    clerk = person("clerk", "exceptions:write")
    assert 'value="refund"' not in clerk.see(path)
    assert end(clerk, twice, action="refund", reason="FIN-9").status_code == 422
    assert 'value="refund"' in rina.see(path)
    page = rina.see(end(rina, twice, action="refund", reason="Charged twice; FIN-9").headers["location"])
    assert "It stays open until the wallet has confirmed" in page
    assert "approved, about to be sent" in page
    found = read(client, twice)
    assert (found["state"], found["refund"]["amount"]) == ("open", "75000.00")
    assert found["refund"]["charge_reference"] == twice["gateway_reference"]


def test_a_write_off_waits_for_a_second_person_who_is_not_the_first(
    client: httpx.Client, rina: Browser, person: Person, tmp_path: Path
) -> None:
    every_class(tmp_path)
    absent = of_class(client, "missing_at_gateway")
    page = rina.see(
        end(rina, absent, action="write_off", reason="They will not pay; FIN-9").headers["location"]
    )
    assert "stays open until a second person" in page
    question = read(client, absent)["awaiting"]["approval_id"]
    path = f"/console/approvals/{question}"
    assert "“Not in the report” of R-ABSENT. They will not pay; FIN-9" in rina.see(path)
    refused = rina.submit(f"{path}/decide", word="approve", reason="fine by me")
    assert refused.status_code == 403
    assert "You asked for this yourself, so somebody else has to approve it." in refused.text
    assert read(client, absent)["state"] == "open"
    budi = person("budi")
    assert "Write off Rp 80,000" in budi.see("/console")
    no_reason = budi.submit(f"{path}/decide", word="refuse")
    assert (no_reason.status_code, 'href="#field-reason"' in no_reason.text) == (422, True)
    done = budi.submit(f"{path}/decide", word="approve", reason="seen their letter")
    assert "Approved." in budi.see(done.headers["location"])
    now = read(client, absent)
    assert (now["state"], now["history"][-1]["actor"]) == ("written_off", "client:budi")
    late = budi.submit(f"{path}/decide", word="refuse", reason="second thoughts")
    assert (late.status_code, "approved already" in late.text) == (409, True)
    assert "approved by budi" in budi.see("/console/approvals?state=all")


def test_a_write_off_is_decided_over_the_api_too(client: httpx.Client, rina: Browser, tmp_path: Path) -> None:
    every_class(tmp_path)
    absent, less = of_class(client, "missing_at_gateway"), of_class(client, "amount_mismatch")
    for one in (absent, less):
        end(rina, one, action="write_off", reason="FIN-9")
    decide = "/api/v1/approvals/{}/approve"
    question = read(client, absent)["awaiting"]["approval_id"]
    assert client.post(decide.format(question), json={}).status_code == 200
    assert read(client, absent)["state"] == "written_off"
    question = read(client, less)["awaiting"]["approval_id"]
    end(rina, less, action="explain", reason="it was a discount")
    undone = client.post(decide.format(question), json={})
    assert (undone.status_code, undone.json()["type"]) == (409, "urn:jembatan:problem:already-decided")
    assert client.get(f"/api/v1/approvals/{question}").json()["state"] == "open"


def test_the_requester_may_take_a_question_back(client: httpx.Client, rina: Browser, tmp_path: Path) -> None:
    every_class(tmp_path)
    absent = of_class(client, "missing_at_gateway")
    end(rina, absent, action="write_off", reason="FIN-9")
    question = read(client, absent)["awaiting"]["approval_id"]
    page = rina.see(f"/console/approvals/{question}")
    assert "Take it back" in page
    assert 'value="approve"' not in page
    taken = rina.submit(f"/console/approvals/{question}/decide", word="refuse", reason="the wrong one")
    assert "Refused." in rina.see(taken.headers["location"])
    assert read(client, absent)["awaiting"] is None


def test_a_line_is_matched_with_a_payment_that_is_named_by_its_reference(
    client: httpx.Client, rina: Browser, person: Person, tmp_path: Path
) -> None:
    save([Paid("R-OURS", 45_000)])
    reconcile(tmp_path, [Paid("R-THEIRS", 45_000).line()])
    line = of_class(client, "missing_in_ledger")
    page = rina.see(f"/console/exceptions/{line['exception_id']}")
    proposed = re.search(r'href="([^"]*action=match[^"]*)#end"', page)
    assert proposed
    assert re.search(r'value="match" required checked', rina.see(proposed[1]))
    end(rina, line, action="match", payment="R-OURS", reason="same time, same money")
    question = read(client, line)["awaiting"]["approval_id"]
    person("budi").submit(f"/console/approvals/{question}/decide", word="approve", reason="seen")
    assert read(client, line)["state"] == "matched"
    assert of_class(client, "missing_at_gateway")["state"] == "matched"


def test_filters_and_pages_show_what_the_api_lists(
    client: httpx.Client, rina: Browser, tmp_path: Path
) -> None:
    save([Paid(f"R-{number:03}", 10_000 + number) for number in range(60)])
    reconcile(tmp_path, [])
    first = rina.see("/console/exceptions?gateway=gopay&risk=Rp+10,000&order=risk")
    assert "<strong>60</strong> exceptions" in first
    following = re.search(r'href="([^"]*cursor=[^"]*)" rel="next"', first)
    assert following
    second = rina.see(following[1])
    seen = re.findall(r"<code>(R-\d+)</code>", first) + re.findall(r"<code>(R-\d+)</code>", second)
    assert seen == [f"R-{number:03}" for number in reversed(range(60))]
    assert "Nothing fits these filters." in rina.see("/console/exceptions?gateway=ovo")
    wrong = rina.see("/console/exceptions?from=24.11.2026&risk=much&to=2026-02-31")
    assert wrong.count('class="fault"') == 3
    turned = rina.see("/console/exceptions?from=2026-11-25&to=2026-11-24")
    assert "before the first one" in turned


def test_today_adds_up_to_what_the_api_says(client: httpx.Client, rina: Browser, tmp_path: Path) -> None:
    empty = rina.see("/console")
    assert "No day has been reconciled yet." in empty
    every_class(tmp_path)
    page = rina.see("/console")
    (gopay,) = client.get("/api/v1/exceptions/ageing").json()["gateways"]
    assert f'href="/console/exceptions">{gopay["count"]}</a>' in page
    assert money.rupiah(money.parse_minor(gopay["at_risk"])) in page
    assert "✓ balances" in page


def test_nothing_of_the_console_stands_in_the_description_of_the_api(client: httpx.Client) -> None:
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/console")]


def test_pages_load_only_what_is_ours_and_are_not_kept(client: httpx.Client, rina: Browser) -> None:
    headers = rina.get("/console").headers
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "form-action 'none'" in client.get("/healthz").headers["Content-Security-Policy"]
    script = re.search(r'src="(/static/htmx[^"]*)"', rina.see("/console"))
    assert script
    assert hashlib.sha256(client.get(script[1]).content).hexdigest() == HTMX
