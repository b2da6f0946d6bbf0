"""LinkedIn's sandbox takes a post once, in the right form, from the right member, within its limits."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sandbox_linkedin import HOME, VERSION, LinkedInCaller, png


@pytest.fixture
def linkedin(http: httpx.Client) -> Iterator[LinkedInCaller]:
    """A member who is signed in; afterwards LinkedIn behaves as usual."""
    caller = LinkedInCaller(http)
    caller.sign_in()
    yield caller
    http.delete("/_sandbox/linkedin/manners").raise_for_status()


def arm(linkedin: LinkedInCaller, operation: str, kind: str, **more: Any) -> None:
    failure = {"gateway": "linkedin", "operation": operation, "kind": kind, **more}
    linkedin.http.post("/_sandbox/failures", json=failure).raise_for_status()


def test_a_post_is_published_and_its_id_is_in_a_header(linkedin: LinkedInCaller) -> None:
    answer = linkedin.post("Saya lulus \\(level 6\\) {hashtag|\\#|SKKNI}")
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["x-restli-id"].startswith("urn:li:share:")
    [post] = linkedin.posts()
    assert (post["id"], post["commentary"]) == (answer.headers["X-RestLi-Id"], "Saya lulus (level 6) #SKKNI")
    linkedin.behave(id_header="x-linkedin-id", post_kind="ugcPost")
    assert linkedin.post("Lagi").headers["x-linkedin-id"].startswith("urn:li:ugcPost:")


def test_the_same_post_again_names_the_first_one(linkedin: LinkedInCaller) -> None:
    first = linkedin.post().headers["x-restli-id"]
    answer = linkedin.post()
    assert answer.status_code == 422
    assert answer.json()["errorDetails"]["inputErrors"][0]["code"] == "DUPLICATE_POST"
    assert answer.json()["message"] == f"Content is a duplicate of {first}"
    [post] = linkedin.posts()
    assert post["attempts"] == 2
    deleted = linkedin.http.delete(f"{HOME}/rest/posts/{first}", headers=linkedin.headers())
    assert deleted.status_code == 204
    assert linkedin.post().status_code == 422  # for a while the text stays taken
    assert linkedin.post("Saya lulus juga").status_code == 201


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\\_b \\* \\~ \\| \\< \\> \\[x\\] \\{y\\} \\@z \\\\", "a_b * ~ | < > [x] {y} @z \\"),
        ("O'Brien – 92.50 % & ü", "O'Brien – 92.50 % & ü"),
        ("@[Budi](urn:li:person:782bbtaQ) hadir", "Budi hadir"),
    ],
)
def test_text_that_is_written_plainly_is_taken(linkedin: LinkedInCaller, text: str, seen: str) -> None:
    assert linkedin.post(text).status_code == 201
    assert linkedin.posts()[0]["commentary"] == seen


@pytest.mark.parametrize("sign", list("|{}@[]()<>#\\*_~"))
def test_a_reserved_character_must_be_escaped(linkedin: LinkedInCaller, sign: str) -> None:
    assert linkedin.post(f"sebelum {sign} sesudah").status_code == 400
    linkedin.behave(unescaped="cut")
    assert linkedin.post(f"sebelum {sign} sesudah").status_code == 201
    assert linkedin.posts()[0]["commentary"] == "sebelum "


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"author": None}, "/author"),
        ({"author": "782bbtaQ"}, "/author"),
        ({"commentary": None}, "/commentary"),
        ({"commentary": "x" * 3001}, "/commentary"),
        ({"visibility": "EVERYBODY"}, "/visibility"),
        ({"lifecycleState": "DRAFT"}, "/lifecycleState"),
        ({"distribution": None}, "/distribution"),
        ({"distribution": {"feedDistribution": "ALL"}}, "/distribution/feedDistribution"),
        ({"isReshareDisabledByAuthor": "false"}, "/isReshareDisabledByAuthor"),
        ({"text": "x"}, "/text"),
        ({"content": {"article": {"title": "x"}}}, "/content/article/source"),
        ({"content": {"article": {"source": "https://a.example"}}}, "/content/article/title"),
        ({"content": {"article": {"source": "/c/1", "title": "x"}}}, "/content/article/source"),
        (
            {"content": {"article": {"source": "https://a.example", "title": "x" * 401}}},
            "/content/article/title",
        ),
        ({"content": {"media": {"title": "x"}}}, "/content/media/id"),
        ({"content": {"media": {"id": "1"}, "article": {}}}, "/content"),
    ],
)
def test_a_post_with_a_fault_is_refused_with_its_path(
    linkedin: LinkedInCaller, changes: dict[str, Any], path: str
) -> None:
    body = linkedin.body()
    for name, value in changes.items():
        body[name] = value
        if value is None:
            del body[name]
    answer = linkedin.http.post(f"{HOME}/rest/posts", json=body, headers=linkedin.headers())
    assert answer.status_code == 400
    [fault] = answer.json()["errorDetails"]["inputErrors"]
    assert fault["input"]["inputPath"]["fieldPath"] == path


@pytest.mark.parametrize(
    ("version", "status", "code"),
    [
        ("", 400, "VERSION_MISSING"),
        ("202504", 426, "NONEXISTENT_VERSION"),
        ("299901", 426, "NONEXISTENT_VERSION"),
        ("202613", 426, "NONEXISTENT_VERSION"),
        ("2026-03", 426, "NONEXISTENT_VERSION"),
    ],
)
def test_a_version_that_is_not_active_is_refused(
    linkedin: LinkedInCaller, version: str, status: int, code: str
) -> None:
    headers = linkedin.headers(LinkedIn_Version=version)
    answer = linkedin.http.post(f"{HOME}/rest/posts", json=linkedin.body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_version_ends(linkedin: LinkedInCaller) -> None:
    assert linkedin.post().status_code == 201
    linkedin.behave(oldest_version="202604")
    answer = linkedin.post("Lagi")
    assert answer.json()["message"] == f"Requested version {VERSION} is not active"


def test_the_protocol_version_is_needed(linkedin: LinkedInCaller) -> None:
    headers = linkedin.headers(X_Restli_Protocol_Version="1.0.0")
    assert linkedin.http.post(f"{HOME}/rest/posts", json=linkedin.body(), headers=headers).status_code == 400


def test_nobody_posts_as_somebody_else_or_without_the_scope(linkedin: LinkedInCaller) -> None:
    answer = linkedin.post(author="urn:li:person:782bbtaQ")
    assert (answer.status_code, answer.json()["code"]) == (403, "ACCESS_DENIED")
    linkedin.sign_in(scope="openid profile email")
    answer = linkedin.post()
    assert answer.status_code == 403
    assert answer.json()["message"].startswith("Not enough permissions to access: ")
    assert linkedin.posts() == []


def test_what_the_product_was_once_thought_to_call_is_closed(linkedin: LinkedInCaller) -> None:
    for path in ("learningActivityReports", f"people/id={linkedin.sub}/certifications", "ugcPosts"):
        answer = linkedin.http.post(f"{HOME}/v2/{path}", json={}, headers=linkedin.headers())
        assert answer.status_code == 403


def test_the_daily_limits_end_with_the_day(linkedin: LinkedInCaller) -> None:
    linkedin.behave(member_limit=1, limit_retry_form="seconds")
    assert linkedin.post("satu").status_code == 201
    answer = linkedin.post("dua")
    assert (answer.status_code, answer.json()["serviceErrorCode"]) == (429, 101)
    assert "MEMBER DAY limit" in answer.json()["message"]
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    linkedin.http.post("/_sandbox/linkedin/day")
    assert linkedin.post("dua").status_code == 201
    linkedin.behave(member_limit=None, app_limit=0, limit_retry_form="none")
    answer = linkedin.post("tiga")
    assert "APPLICATION DAY limit" in answer.json()["message"]
    assert "Retry-After" not in answer.headers


def test_a_picture_is_announced_uploaded_and_shown(linkedin: LinkedInCaller) -> None:
    urn = linkedin.picture(png())
    article = {"source": "https://issuer.example/c/1", "title": "Sertifikat", "thumbnail": urn}
    assert linkedin.post("dengan gambar", content={"article": article}).status_code == 201
    assert linkedin.post("gambar saja", content={"media": {"id": urn}}).status_code == 201
    assert [(post["thumbnail"], post["media"]) for post in linkedin.posts()] == [(urn, ""), ("", urn)]


def test_a_picture_that_was_never_uploaded_or_is_another_s_is_refused(linkedin: LinkedInCaller) -> None:
    announced = linkedin.announce().json()["value"]["image"]
    assert linkedin.post(content={"media": {"id": announced}}).status_code == 400
    other = LinkedInCaller(linkedin.http)
    other.sign_in()
    assert linkedin.post(content={"media": {"id": other.picture(png())}}).status_code == 400
    assert linkedin.announce(owner=f"urn:li:person:{other.sub}").status_code == 403


@pytest.mark.parametrize(
    "content",
    [png(), b"GIF89a\x02\x00\x02\x00", bytes.fromhex("ffd8ffe000040000ffc0000b080002000201011100")],
)
def test_png_gif_and_jpeg_are_pictures(linkedin: LinkedInCaller, content: bytes) -> None:
    assert linkedin.picture(content)


@pytest.mark.parametrize("content", [b"<svg/>", b"", b"\x89PNG", png(6013, 6013)])
def test_a_file_that_is_no_bearable_picture_is_refused(linkedin: LinkedInCaller, content: bytes) -> None:
    url = linkedin.announce().json()["value"]["uploadUrl"]
    assert linkedin.http.put(url, content=content, headers=linkedin.headers()).status_code == 400


def test_an_upload_needs_the_token_and_the_action_belongs_into_the_query(linkedin: LinkedInCaller) -> None:
    url = linkedin.announce().json()["value"]["uploadUrl"]
    assert linkedin.http.put(url, content=png()).status_code == 401
    body = {
        "action": "initializeUpload",
        "initializeUploadRequest": {"owner": f"urn:li:person:{linkedin.sub}"},
    }
    assert linkedin.http.post(f"{HOME}/rest/images", json=body, headers=linkedin.headers()).status_code == 400


def test_an_upload_address_may_lead_elsewhere(linkedin: LinkedInCaller) -> None:
    linkedin.behave(upload_base="https://evil.example")
    assert linkedin.announce().json()["value"]["uploadUrl"].startswith("https://evil.example/")


@pytest.mark.parametrize("kind", ["lost", "500_after", "reset_after"])
def test_a_lost_answer_was_a_post(linkedin: LinkedInCaller, kind: str) -> None:
    arm(linkedin, "post", kind)
    headers, body = linkedin.headers(), linkedin.body()
    try:
        answer = linkedin.http.post(f"{HOME}/rest/posts", json=body, headers=headers, timeout=0.5)
        assert answer.status_code == 500
    except httpx.TransportError:
        pass
    assert linkedin.post().status_code == 422
    assert len(linkedin.posts()) == 1


def test_refusals_on_demand_are_in_linkedin_s_form(linkedin: LinkedInCaller) -> None:
    for code, word in (("409", "CONFLICT"), ("426", "NONEXISTENT_VERSION"), ("403", "ACCESS_DENIED")):
        arm(linkedin, "post", "code", code=code)
        answer = linkedin.post()
        assert (answer.status_code, answer.json()["code"]) == (int(code), word)
    arm(linkedin, "token", "code", code="503")
    answer = linkedin.exchange("x")
    assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
    arm(linkedin, "userinfo", "429", retry_after=9)
    assert linkedin.userinfo().headers["Retry-After"] == "9"
