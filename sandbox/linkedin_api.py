"""LinkedIn's API: who a member is, posts, pictures.

Source: LinkedIn, "Posts API", "Images API", "little Text Format", "Rate Limiting".
"""

import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.failures import slowly
from sandbox.linkedin import HOME, LinkedIn
from sandbox.linkedin_books import Member, Picture, Post, Token, content_of
from sandbox.linkedin_errors import LinkedInRefusal
from sandbox.linkedin_posts import check_post, post_members
from sandbox.pictures import pixels
from sandbox.refusals import retry_after

# The operation of each path, for the failures and the count of calls.
OPERATIONS = {
    "token": re.compile(re.escape(HOME) + "/oauth/v2/accessToken"),
    "revoke": re.compile(re.escape(HOME) + "/oauth/v2/revoke"),
    "jwks": re.compile(re.escape(HOME) + "/oauth/openid/jwks"),
    "userinfo": re.compile(re.escape(HOME) + "/v2/userinfo"),
    "post": re.compile("POST " + re.escape(HOME) + "/rest/posts"),
    "image": re.compile("POST " + re.escape(HOME) + "/rest/images"),
    "upload": re.compile("PUT " + re.escape(HOME) + "/dms-uploads/[^/]+"),
}
MOST_PIXELS = 36_152_320
UPLOAD_SECONDS = 86_400
_VERSION = re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])")
Work = Callable[[Request, Token, Member], Awaitable[Response]]


class Api:
    """What the app does with a member's token."""

    def __init__(self, service: LinkedIn) -> None:
        self._service = service
        self._books = service.books
        self._numbers = int(time.time() * 1000)

    def routes(self) -> APIRouter:
        """`/v2/userinfo`, `/rest/…`, and the host to which pictures are uploaded."""
        routes = APIRouter()

        def add(path: str, method: str, work: Work) -> None:
            async def endpoint(request: Request) -> Response:
                try:
                    token, member = self._books.bearer(request.headers.get("authorization", ""))
                    if path.startswith("/rest/"):
                        self._check_version(request)
                    return await work(request, token, member)
                except LinkedInRefusal as refusal:
                    return refusal.answer()

            routes.add_route(HOME + path, endpoint, methods=[method])

        add("/v2/userinfo", "GET", self.userinfo)
        add("/rest/posts", "POST", self.post)
        add("/rest/posts/{urn}", "DELETE", self.delete)
        add("/rest/images", "POST", self.announce)
        add("/dms-uploads/{upload}", "PUT", self.upload)
        for method in ("GET", "POST", "PUT", "DELETE"):
            add("/v2/{rest:path}", method, self.closed)
            add("/rest/{rest:path}", method, self.nothing)
        return routes

    async def userinfo(self, request: Request, token: Token, member: Member) -> Response:
        """OpenID Connect's claims. The e-mail address may be missing; the locale has two forms."""
        _need(token, "openid", "userinfo.GET")
        await slowly(request)
        manners = self._service.manners
        answer: dict[str, Any] = {"sub": member.sub}
        if "profile" in token.scopes:
            locale: Any = {"country": member.country, "language": member.language}
            if manners.locale_form == "text":
                locale = f"{member.language}-{member.country}"
            answer |= {"name": member.name, "given_name": member.given_name, "locale": locale}
            if member.family_name:
                answer["family_name"] = member.family_name
            answer["picture"] = f"https://media.licdn.com/dms/image/sandbox/{member.sub}/200_200"
        if "email" in token.scopes and manners.email and member.email:
            answer |= {"email": member.email, "email_verified": member.email_verified}
        return JSONResponse(answer)

    async def post(self, request: Request, token: Token, member: Member) -> Response:
        """Publish: 201 without a body, the id in a header. The same again is 422 with the first one's id."""
        _need(token, "w_member_social", "posts.CREATE")
        members = await post_members(request)
        manners = self._service.manners
        wanted = check_post(members, cuts=manners.unescaped == "cut")
        author = f"urn:li:person:{member.sub}"
        if wanted.author != author:
            words = f"Not enough permissions to post as {wanted.author}"
            raise LinkedInRefusal(403, "ACCESS_DENIED", words, 100)
        for name, urn in (("thumbnail", wanted.thumbnail), ("media", wanted.media)):
            picture = self._books.pictures.get(urn)
            if urn and (picture is None or picture.sub != member.sub or not picture.size):
                raise LinkedInRefusal(400, "INVALID_IMAGE", f"The {name} {urn} is not an uploaded image")
        await slowly(request)
        content = content_of(author, wanted.commentary, wanted.source, wanted.media)
        if twin := self._books.twin(content):
            twin.attempts += 1
            self._books.note(twin)
            raise _duplicate(twin)
        self._count(author)
        self._numbers += 1
        urn = f"urn:li:{manners.post_kind}:{self._numbers}"
        self._books.publish(
            Post(
                urn,
                author,
                content,
                wanted.commentary,
                wanted.source,
                wanted.thumbnail,
                wanted.media,
                wanted.visibility,
                datetime.now(UTC).isoformat(),
            )
        )
        return Response(status_code=201, headers={manners.id_header: urn})

    async def delete(self, request: Request, token: Token, member: Member) -> Response:
        """Take a post away; its content stays a duplicate for a while."""
        _need(token, "w_member_social", "posts.DELETE")
        post = self._books.posts.get(unquote(request.path_params["urn"]))
        if post is None or post.deleted or post.author != f"urn:li:person:{member.sub}":
            raise LinkedInRefusal(404, "NOT_FOUND", "Could not find entity")
        post.deleted = True
        self._books.note(post)
        return Response(status_code=204)

    async def announce(self, request: Request, token: Token, member: Member) -> Response:
        """An address to upload a picture to. `action` belongs into the query."""
        _need(token, "w_member_social", "images.ACTION")
        if request.query_params.get("action") != "initializeUpload":
            raise LinkedInRefusal(400, "ILLEGAL_ARGUMENT", "The query must say action=initializeUpload")
        members = await post_members(request)
        inner = members.get("initializeUploadRequest")
        owner = inner.get("owner") if isinstance(inner, dict) else None
        if not isinstance(owner, str) or set(members) != {"initializeUploadRequest"}:
            raise LinkedInRefusal(400, "MISSING_FIELD", "initializeUploadRequest.owner is required")
        if owner != f"urn:li:person:{member.sub}":
            raise LinkedInRefusal(403, "ACCESS_DENIED", f"Not enough permissions for {owner}", 100)
        await slowly(request)
        name = f"C4D{uuid4().hex[:17].upper()}"
        urn = f"urn:li:image:{name}"
        self._books.pictures[urn] = Picture(urn, member.sub)
        base = self._service.manners.upload_base or str(request.base_url).rstrip("/")
        expires = int((time.time() + UPLOAD_SECONDS) * 1000)
        value = {
            "uploadUrl": f"{base.rstrip('/')}{HOME}/dms-uploads/{name}",
            "uploadUrlExpiresAt": expires,
            "image": urn,
        }
        return JSONResponse({"value": value})

    async def upload(self, request: Request, token: Token, member: Member) -> Response:
        """The bytes of a picture: PNG, JPEG or GIF of a bearable size."""
        picture = self._books.pictures.get(f"urn:li:image:{request.path_params['upload']}")
        if picture is None or picture.sub != member.sub:
            raise LinkedInRefusal(404, "NOT_FOUND", "There is no such upload")
        content = await request.body()
        size = pixels(content)
        if size is None:
            raise LinkedInRefusal(400, "INVALID_IMAGE", "The image is no PNG, JPEG or GIF")
        if not 0 < size < MOST_PIXELS:
            raise LinkedInRefusal(400, "INVALID_IMAGE", f"The image must have less than {MOST_PIXELS} pixels")
        await slowly(request)
        picture.size, picture.content_hash = len(content), hashlib.sha256(content).hexdigest()
        return Response(status_code=201)

    async def closed(self, request: Request, _token: Token, _member: Member) -> Response:
        """Certifications, learningActivityReports and whatever else a member's token does not open."""
        words = f"Not enough permissions to access: {request.path_params['rest']}.{request.method}"
        raise LinkedInRefusal(403, "ACCESS_DENIED", words, 100)

    async def nothing(self, request: Request, _token: Token, _member: Member) -> Response:
        """A path that there is not."""
        words = f"No virtual resource found for: {request.path_params['rest']}"
        raise LinkedInRefusal(404, "RESOURCE_NOT_FOUND", words, 0)

    def _check_version(self, request: Request) -> None:
        """426 for a version that is no more, or not yet."""
        version = request.headers.get("linkedin-version", "")
        if not version:
            words = "A version must be present. Please specify one by adding the LinkedIn-Version header."
            raise LinkedInRefusal(400, "VERSION_MISSING", words)
        newest = f"{datetime.now(UTC):%Y%m}"
        is_active = self._service.manners.oldest_version <= version <= newest
        if not _VERSION.fullmatch(version) or not is_active:
            words = f"Requested version {version} is not active"
            raise LinkedInRefusal(426, "NONEXISTENT_VERSION", words)
        if request.headers.get("x-restli-protocol-version") != "2.0.0":
            raise LinkedInRefusal(400, "ILLEGAL_ARGUMENT", "X-Restli-Protocol-Version must be 2.0.0")

    def _count(self, author: str) -> None:
        """429 at the daily limit of the member or the app; it ends at 00:00 UTC."""
        manners, (own, everybody) = self._service.manners, self._books.count(author)
        for kind, limit, used in (
            ("MEMBER", manners.member_limit, own),
            ("APPLICATION", manners.app_limit, everybody),
        ):
            if limit is not None and used >= limit:
                words = f"Resource level throttle {kind} DAY limit for calls to this resource is reached."
                raise LinkedInRefusal(
                    429,
                    "TOO_MANY_REQUESTS",
                    words,
                    101,
                    headers=retry_after(_until_midnight(), manners.limit_retry_form),
                )


def _need(token: Token, scope: str, call: str) -> None:
    if scope not in token.scopes:
        raise LinkedInRefusal(403, "ACCESS_DENIED", f"Not enough permissions to access: {call}", 100)


def _duplicate(post: Post) -> LinkedInRefusal:
    words = f"Content is a duplicate of {post.id}"
    inputs = [
        {
            "code": "DUPLICATE_POST",
            "description": words,
            "input": {"inputPath": {"fieldPath": "/commentary"}},
        }
    ]
    return LinkedInRefusal(422, "UNPROCESSABLE_ENTITY", words, inputs=inputs)


def _until_midnight() -> int:
    moment = datetime.now(UTC)
    tomorrow = datetime.combine(moment.date() + timedelta(days=1), datetime.min.time(), UTC)
    return int((tomorrow - moment).total_seconds()) + 1
