"""LinkedIn's sandbox signs members in and tells who they are, as strictly as LinkedIn."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sandbox_linkedin import APP, BACK, HOME, SCOPES, LinkedInCaller, back


@pytest.fixture
def linkedin(http: httpx.Client) -> Iterator[LinkedInCaller]:
    """Somebody new at LinkedIn; afterwards it behaves as usual."""
    yield LinkedInCaller(http)
    http.delete("/_sandbox/linkedin/manners").raise_for_status()


def test_the_page_asks_what_the_app_wants(linkedin: LinkedInCaller) -> None:
    page = linkedin.page()
    assert page.status_code == 200
    for words in ("Membuat kiriman atas nama Anda", "Post on your behalf", "Rina Wijaya", "SANDBOX"):
        assert words in page.text
    assert "<script" not in page.text
    assert "form-action 'self' https://jembatan.example;" in page.headers["Content-Security-Policy"]


def test_a_member_comes_back_with_a_code_and_the_state(linkedin: LinkedInCaller) -> None:
    answer = linkedin.choose(redirect_uri=f"{BACK}?a=1", state="s&t=1")
    assert answer.headers["Location"].startswith(f"{BACK}?a=1&code=")
    assert back(answer)["state"] == "s&t=1"


@pytest.mark.parametrize(
    ("choice", "error"), [("cancel", "user_cancelled_authorize"), ("leave", "user_cancelled_login")]
)
def test_a_member_who_does_not_want_comes_back_with_an_error(
    linkedin: LinkedInCaller, choice: str, error: str
) -> None:
    linkedin.behave(cancel_description="<script>alert(1)</script>")
    answer = back(linkedin.choose(choice))
    assert (answer["error"], answer["state"]) == (error, "st-1")
    assert answer["error_description"] == "<script>alert(1)</script>"
    assert "code" not in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"redirect_uri": None},
        {"redirect_uri": "http://jembatan.example/back"},
        {"redirect_uri": f"{BACK}#part"},
        {"redirect_uri": "/back"},
    ],
)
def test_a_wrong_app_or_address_sends_nobody_anywhere(
    linkedin: LinkedInCaller, changes: dict[str, Any]
) -> None:
    for answer in (linkedin.page(**changes), linkedin.choose(**changes)):
        assert answer.status_code == 400
        assert "Location" not in answer.headers


def test_only_registered_addresses_count_without_their_query(linkedin: LinkedInCaller) -> None:
    linkedin.behave(redirect_uris=[BACK])
    assert linkedin.page(redirect_uri=f"{BACK}?learner=1").status_code == 200
    assert linkedin.page(redirect_uri=f"{BACK}/more").status_code == 400


def test_a_scope_that_the_app_has_not_comes_back_as_an_error(linkedin: LinkedInCaller) -> None:
    answer = back(linkedin.page(scope="r_liteprofile r_emailaddress"))
    assert answer["error"] == "unauthorized_scope_error"


def test_a_code_is_good_once(linkedin: LinkedInCaller) -> None:
    code = linkedin.code()
    answer = linkedin.exchange(code)
    assert answer.json()["expires_in"] == 5_184_000
    assert answer.json()["scope"] == "email,openid,profile,w_member_social"
    again = linkedin.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    linkedin.token = answer.json()["access_token"]
    assert linkedin.userinfo().status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"redirect_uri": f"{BACK}?a=1"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"code": "AQother"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, 400, "invalid_request"),
        ({"code_verifier": "v" * 43}, 401, "invalid_client"),
    ],
)
def test_a_wrong_exchange_gives_no_token(
    linkedin: LinkedInCaller, changes: dict[str, Any], status: int, error: str
) -> None:
    answer = linkedin.exchange(linkedin.code(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_secret_in_the_address_or_in_json_gives_no_token(linkedin: LinkedInCaller) -> None:
    form = {"grant_type": "authorization_code", "code": linkedin.code(), "redirect_uri": BACK, **APP}
    path = f"{HOME}/oauth/v2/accessToken"
    assert linkedin.http.post(path, params=form).status_code == 400
    assert linkedin.http.post(path, json=form).status_code == 400
    assert linkedin.http.post(path, data=form).status_code == 200


def test_pkce_works_where_it_is_switched_on(linkedin: LinkedInCaller) -> None:
    linkedin.behave(pkce=True)
    verifier = "v" * 43
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    more = {"code_challenge": challenge, "code_challenge_method": "S256"}
    assert linkedin.exchange(linkedin.code(**more), code_verifier="w" * 43).status_code == 400
    assert linkedin.exchange(linkedin.code(**more), code_verifier=verifier).status_code == 200


def test_a_member_who_is_signed_in_is_sent_back_at_once(linkedin: LinkedInCaller) -> None:
    linkedin.behave(signed_in=linkedin.sub, granted=["openid", "profile"], scope_separator=" ")
    code = back(linkedin.page())["code"]
    assert linkedin.exchange(code).json()["scope"] == "openid profile"


def test_an_id_token_is_signed_with_a_published_key(linkedin: LinkedInCaller) -> None:
    token = linkedin.sign_in()["id_token"]
    keys = KeySet.import_key_set(linkedin.http.get(f"{HOME}/oauth/openid/jwks").json())
    claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"]) == ("https://www.linkedin.com/oauth", APP["client_id"])
    assert (claims["sub"], claims["exp"] - claims["iat"]) == (linkedin.sub, 3600)
    linkedin.http.post("/_sandbox/linkedin/keys")
    other = linkedin.sign_in()["id_token"]
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(other, keys, algorithms=["RS256"])
    keys = KeySet.import_key_set(linkedin.http.get(f"{HOME}/oauth/openid/jwks").json())
    for one in (token, other):
        jwt.decode(one, keys, algorithms=["RS256"])


def test_an_id_token_can_be_wrong(linkedin: LinkedInCaller) -> None:
    keys = KeySet.import_key_set(linkedin.http.get(f"{HOME}/oauth/openid/jwks").json())
    for identity, claim, value in (
        ("old_issuer", "iss", "https://www.linkedin.com"),
        ("other_issuer", "iss", "https://linkedin.example"),
        ("other_audience", "aud", "another-app"),
    ):
        linkedin.behave(identity=identity)
        assert jwt.decode(linkedin.sign_in()["id_token"], keys, algorithms=["RS256"]).claims[claim] == value
    linkedin.behave(identity="other_key")
    with pytest.raises(JoseError):
        jwt.decode(linkedin.sign_in()["id_token"], keys, algorithms=["RS256"])
    linkedin.behave(identity="unsigned")
    assert linkedin.sign_in()["id_token"].endswith(".")
    linkedin.behave(identity="missing")
    assert "id_token" not in linkedin.sign_in()


def test_userinfo_tells_what_the_scopes_open(linkedin: LinkedInCaller) -> None:
    linkedin.sign_in()
    claims = linkedin.userinfo().json()
    assert (claims["sub"], claims["name"], claims["email"]) == (
        linkedin.sub,
        "Rina Wijaya",
        "rina@example.com",
    )
    assert claims["locale"] == {"country": "ID", "language": "in"}
    linkedin.behave(email=False, locale_form="text")
    claims = linkedin.userinfo().json()
    assert "email" not in claims
    assert claims["locale"] == "in-ID"
    linkedin.sign_in(scope="w_member_social")
    assert linkedin.userinfo().status_code == 403


def test_a_grant_with_other_scopes_ends_the_older_token(linkedin: LinkedInCaller) -> None:
    linkedin.sign_in()
    older = linkedin.token
    linkedin.sign_in()
    linkedin.token, newer = older, linkedin.token
    assert linkedin.userinfo().status_code == 200
    linkedin.sign_in(scope="openid profile")
    for token in (older, newer):
        linkedin.token = token
        assert linkedin.userinfo().json()["code"] == "REVOKED_ACCESS_TOKEN"


def test_tokens_end_in_every_way(linkedin: LinkedInCaller) -> None:
    linkedin.sign_in()
    linkedin.http.post(f"/_sandbox/linkedin/members/{linkedin.sub}/expire").raise_for_status()
    answer = linkedin.userinfo()
    assert (answer.status_code, answer.json()["code"]) == (401, "EXPIRED_ACCESS_TOKEN")
    assert answer.json()["serviceErrorCode"] == 65602

    linkedin.sign_in()
    revoked = linkedin.http.post(f"{HOME}/oauth/v2/revoke", data={"token": linkedin.token, **APP})
    assert revoked.status_code == 200
    assert linkedin.userinfo().json()["code"] == "REVOKED_ACCESS_TOKEN"
    asked = linkedin.http.post(f"{HOME}/oauth/v2/introspectToken", data={"token": linkedin.token, **APP})
    assert (asked.json()["active"], asked.json()["status"]) == (False, "revoked")

    linkedin.sign_in()
    linkedin.http.delete("/_sandbox/tokens")
    assert linkedin.userinfo().json()["code"] == "EXPIRED_ACCESS_TOKEN"
    linkedin.token = "AQXnever"
    assert linkedin.userinfo().json()["code"] == "INVALID_ACCESS_TOKEN"
    assert linkedin.http.get(f"{HOME}/v2/userinfo").json()["code"] == "EMPTY_ACCESS_TOKEN"


def test_the_description_leads_to_everything(linkedin: LinkedInCaller) -> None:
    description = linkedin.http.get(f"{HOME}/oauth/.well-known/openid-configuration").json()
    assert description["issuer"] == "https://www.linkedin.com/oauth"
    assert linkedin.http.get(description["jwks_uri"]).json()["keys"]
    assert SCOPES.split()[0] in description["scopes_supported"]
