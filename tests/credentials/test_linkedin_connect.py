"""A learner connects LinkedIn: by whom, in which browser, once; and whatever comes back is no proof."""

from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from networking import API, LEARNER, Network, Page, opened, state_in

from common.settings import settings
from records import client as clients
from records import rotation
from records.db import unit_of_work
from records.linkedin_connection import LinkedInConnection


def connection() -> LinkedInConnection | None:
    with unit_of_work() as session:
        return session.scalars(sa.select(LinkedInConnection)).one_or_none()


def refused(network: Network, answer: httpx.Response, words: str, status: int = 401) -> None:
    """It is refused in words, on a page, and nothing was connected by it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    assert words in unescape(answer.text)
    assert connection() is None


def english(network: Network) -> Page:
    return Page(base_url=network.api.base_url, headers={"Accept-Language": "en"})


def test_a_learner_connects_by_the_link_and_sees_it(network: Network) -> None:
    browser = opened(network)
    assert "LinkedIn belum tersambung" in browser.see()
    sent = browser.get("/linkedin/connect", follow_redirects=False)
    asked = parse_qs(urlsplit(sent.headers["Location"]).query)
    assert asked["scope"] == ["openid profile email w_member_social"]
    assert "scope=openid%20profile" in sent.headers["Location"]
    assert "code_challenge" not in asked
    assert len(asked["state"][0]) >= 43  # 256 bits
    back = network.chooses(sent.headers["Location"], network.joins())
    assert "LinkedIn sudah tersambung" in browser.see(back)
    shown = network.state()
    assert (shown["state"], shown["can_share"], shown["share_new"]) == ("connected", True, False)


def test_a_browser_that_asks_the_api_is_led_to_linkedin_and_its_answer_counts_there_only(
    network: Network,
) -> None:
    asked = {"learner_id": LEARNER}
    led = network.api.get(f"{API}/connect", params=asked, headers={"Accept": "text/html"})
    assert led.status_code == 303
    cookie = led.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    network.api.cookies.clear()
    back = network.chooses(led.headers["Location"], network.joins())
    refused(network, english(network).get(back), "another user or browser")
    own = english(network)
    own.cookies.set("jembatan-learner", cookie.split("=", 1)[1].split(";")[0])
    assert own.get(back).headers["Location"] == "/linkedin?said=connected"


def test_over_https_the_cookie_is_bound_to_this_host(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = network.connect()["learner_page_url"]
    monkeypatch.setenv("JEMBATAN_PUBLIC_URL", "https://jembatan.example")
    settings.cache_clear()
    cookie = httpx.get(link).headers["Set-Cookie"]
    assert cookie.startswith("__Host-jembatan-learner=")
    assert "Secure" in cookie


def test_states_and_links_are_good_once_for_ten_minutes_in_their_browser(network: Network) -> None:
    sub, page = network.joins(), english(network)
    refused(network, page.get(f"{API}/callback?code=x"), "no security mark")
    refused(network, page.get(f"{API}/callback?code=x&state=of+nobody"), "do not know the security mark")
    refused(network, page.get("/linkedin/start?ticket=of-nobody"), "do not know")
    late = network.chooses(network.connect()["authorization_url"], sub)
    link = network.connect()["learner_page_url"]
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE learner_tickets SET expires_at = now() - interval '1 second'"))
    refused(network, page.get(late), "older than ten minutes")
    refused(network, page.get(link), "older than ten minutes")
    # One learner's answer in another's browser, and two tabs of one.
    first, second = opened(network), opened(network, "learner-1")
    tabs = [first.get("/linkedin/connect", follow_redirects=False).headers["Location"] for _ in range(2)]
    assert len({state_in(tab) for tab in tabs}) == 2
    back = [network.chooses(tab, sub) for tab in tabs]
    before = network.calls("token")
    refused(network, second.get(back[0], headers={"Accept-Language": "en"}), "another user or browser")
    assert network.calls("token") == before
    assert first.get(back[0], follow_redirects=False).status_code == 303
    assert first.get(back[1], follow_redirects=False).status_code == 303
    replayed = first.get(back[0], headers={"Accept-Language": "en"})
    assert (replayed.status_code, "was used already" in replayed.text) == (401, True)
    assert network.calls("token") == before + 2
    assert network.state()["state"] == "connected"


def test_an_unbound_answer_is_refused_where_another_learner_is_at_the_browser(network: Network) -> None:
    second = opened(network, "learner-1")
    back = network.chooses(network.connect()["authorization_url"], network.joins())
    refused(network, second.get(back, headers={"Accept-Language": "en"}), "Another user's session")
    # On a computer that many use, that session is ended and the learner begins anew.
    assert "sudah selesai" in second.submit("/linkedin/leave").text
    back = network.chooses(network.connect()["authorization_url"], network.joins())
    assert second.get(back).status_code == 200
    assert network.state()["state"] == "connected"


def test_a_cancel_is_no_failure_and_linkedins_words_are_never_shown(network: Network) -> None:
    script = "<script>alert(1)</script>"
    network.behaves(cancel_description=script)
    browser = opened(network)
    for choice in ("cancel", "leave"):
        sent = browser.get("/linkedin/connect", follow_redirects=False).headers["Location"]
        back = network.chooses(sent, network.joins(), choice)
        assert "script" in back
        shown = browser.get(back)
        assert (shown.status_code, "Anda membatalkan" in shown.text) == (200, True)
        assert "alert(1)" not in shown.text
        assert connection() is None
        assert browser.get(back).status_code == 401  # once


def test_an_answer_leads_nowhere_but_to_our_own_page(network: Network) -> None:
    away = "https://evil.example/"
    for more in ("next", "return_url", "redirect_uri", "said", "lang", "ticket"):
        back = network.chooses(network.connect()["authorization_url"], network.joins())
        answer = httpx.get(f"{back}&{more}={away}")
        assert answer.headers["Location"] == "/linkedin?said=connected"
    shown = opened(network).see(f"/linkedin?said={away}&lang={away}&next={away}")
    assert "evil" not in shown


def test_an_error_of_linkedin_is_told_in_our_words(network: Network) -> None:
    network.behaves(scopes=["openid"])
    address = network.connect()["authorization_url"]
    back = httpx.get(address).headers["Location"]
    refused(network, english(network).get(back), "LinkedIn refused this request", 400)


def test_the_proof_of_who_it_is_is_checked(network: Network) -> None:
    for identity in ("other_issuer", "other_audience", "other_key", "expired", "unsigned", "missing"):
        network.behaves(identity=identity)
        back = network.chooses(network.connect()["authorization_url"], network.joins())
        refused(network, english(network).get(back), "does not prove who you are", 400)
    for number, identity in enumerate(("right", "old_issuer")):
        network.behaves(identity=identity)
        network.admin.post("/_sandbox/linkedin/keys").raise_for_status()  # keys are read anew
        network.connected(f"learner-{number}")


def test_a_code_is_good_once_and_what_goes_wrong_is_said(network: Network) -> None:
    sub, page = network.joins(), english(network)
    back = network.chooses(network.connect()["authorization_url"], sub)
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert page.get(back).status_code == 303
    page.cookies.clear()
    with unit_of_work() as session:
        session.execute(sa.text("DELETE FROM linkedin_connections"))
    again = f"{API}/callback?code={code}&state={state_in(network.connect()['authorization_url'])}"
    refused(network, page.get(again), "LinkedIn refused this request", 400)
    page.cookies.clear()
    empty = f"{API}/callback?state={state_in(network.connect()['authorization_url'])}"
    refused(network, page.get(empty), "not complete", 400)
    for kind, words, status in (
        ("500", "does not answer", 503),
        ("html", "", 0),
        ("lost", "does not answer", 503),
        ("reset", "does not answer", 503),
    ):
        page.cookies.clear()
        network.fails("token", kind)
        answer = page.get(network.chooses(network.connect()["authorization_url"], sub))
        refused(network, answer, words or "LinkedIn", status or answer.status_code)
    page.cookies.clear()
    network.fails("userinfo", "500")
    refused(network, page.get(network.chooses(network.connect()["authorization_url"], sub)), "answer", 503)


def test_an_account_of_another_learner_is_not_moved(network: Network) -> None:
    sub = network.connected()
    page = english(network)
    answer = page.get(network.chooses(network.connect("learner-1")["authorization_url"], sub))
    assert (answer.status_code, "by another user already" in answer.text) == (409, True)
    assert network.state("learner-1")["state"] == "not_connected"
    assert network.state()["state"] == "connected"


def test_another_account_of_the_same_learner_takes_the_place_and_the_old_token_ends(network: Network) -> None:
    network.connected(share_new=True)
    network.connected()
    assert network.live_tokens() == 1
    assert network.state()["share_new"] is False  # it was said for the other account


def test_what_is_kept_is_sealed_rotates_and_scopes_may_be_parted_by_blanks(
    network: Network, database: str
) -> None:
    network.behaves(scope_separator=" ")
    sub = network.connected()
    with psycopg.connect(database) as raw:
        kept = b" ".join(bytes(row[0]) for row in raw.execute("SELECT tokens FROM linkedin_connections"))
        everything = raw.execute("SELECT * FROM linkedin_connections").fetchone()
        columns = {(one.table, one.name) for one in rotation.sealed_columns(raw)}
    assert sub.encode() not in kept
    assert b"AQX" not in kept
    assert sub not in str(everything)
    assert {("linkedin_connections", "tokens"), ("linkedin_shares", "text")} <= columns
    assert ("learner_tickets", "verifier") in columns
    found = connection()
    assert found is not None
    assert found.opened().member == sub
    assert "w_member_social" in found.scopes
    assert "AQX" not in repr(found.opened())


def test_pkce_is_off_and_a_setting_turns_it_on(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_LINKEDIN__PKCE", "true")
    settings.cache_clear()
    back = network.chooses(network.connect()["authorization_url"], network.joins())
    refused(network, english(network).get(back), "is not ready", 503)  # as LinkedIn does to web apps
    network.behaves(pkce=True)
    address = network.connect()["authorization_url"]
    assert "code_challenge_method=S256" in address
    assert httpx.get(network.chooses(address, network.joins())).status_code == 303


def test_disconnect_ends_the_token_and_erases_it_even_where_linkedin_is_away(network: Network) -> None:
    network.connected()
    body = {"learner_id": LEARNER}
    answer = network.api.post(f"{API}/disconnect", json=body)
    assert answer.json()["state"] == "not_connected"
    assert (connection(), network.live_tokens()) == (None, 0)
    network.connected()
    network.fails("revoke", "500", times=None)
    browser = opened(network)
    assert "sudah diputus" in browser.submit("/linkedin/disconnect").text
    assert connection() is None
    assert network.api.post(f"{API}/disconnect", json=body).status_code == 200  # nothing is connected


def test_the_endpoints_need_their_scope(network: Network) -> None:
    with unit_of_work() as session:
        _, key = clients.create(session, "reader", ["linkedin:read"])
    headers = {"Authorization": f"Bearer {key.text}"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"{API}/connect?learner_id=a", {}),
        ("POST", f"{API}/disconnect", {"json": {"learner_id": "a"}}),
    ]
    for method, path, more in calls:
        assert network.api.request(method, path, headers=headers, **more).status_code == 403
    assert network.api.get(f"{API}/connection?learner_id=a", headers=headers).status_code == 200
    assert network.api.get(f"{API}/connection?learner_id=a", headers={"Authorization": ""}).status_code == 401


def test_a_session_ends_and_forms_count_in_their_own_only(network: Network) -> None:
    network.connected()
    browser = opened(network)
    forged = browser.post("/linkedin/disconnect", data={"token": "0" * 64})
    assert (forged.status_code, "Formulir ini bukan" in forged.text) == (403, True)
    elsewhere = browser.post("/linkedin/disconnect", headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert connection() is not None
    with unit_of_work() as session:
        past = timedelta(minutes=31)
        session.execute(sa.text("UPDATE learner_sessions SET seen_at = now() - :past"), {"past": past})
    assert "sudah berakhir" in browser.see(status=401)
    assert browser.get("/linkedin/connect", follow_redirects=False).status_code == 401
