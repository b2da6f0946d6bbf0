"""Share as a member: a post with an article, and its picture.

Source: LinkedIn, "Posts API", "Images API", read 2026-11. Quirks: the id is in a header and its name differs;
LinkedIn does not read the page that is shared, so title, description and picture are sent.
"""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from common.errors import Ambiguous, Rejected
from common.services import LinkedIn
from providers import http, reading
from providers.linkedin import PROVIDER, answers
from providers.linkedin.text import little

POST = "post"
_TITLE, _DESCRIPTION = 400, 4_086
_URN = re.compile(r"urn:li:[A-Za-z]{1,40}:[A-Za-z0-9_-]{1,100}")
_IDS = ("x-restli-id", "x-linkedin-id")


@dataclass(frozen=True)
class Share:
    """A post as its member wants it. text: as readers see it. url: of the public page. image: a URN."""

    text: str = field(repr=False)
    url: str
    title: str
    description: str
    visibility: str
    image: str | None = None


class Member:
    """A member who has allowed us to post; one access token."""

    def __init__(self, config: LinkedIn, client: httpx.Client, sub: str, access_token: str) -> None:
        self._config = config
        self._http = client
        self._urn = f"urn:li:person:{sub}"
        self._token = access_token

    def post(self, share: Share) -> str | None:
        """Publish it; the post's id, None where LinkedIn does not tell it.

        The same again by the same member is Duplicate. Raises Ambiguous where it may have been published;
        NeedsReconnect, NotAllowed, OldVersion, Limited, Rejected, Transient where it was not.
        """
        article = {"source": share.url, "title": share.title[:_TITLE]}
        if share.description:
            article["description"] = share.description[:_DESCRIPTION]
        if share.image:
            article["thumbnail"] = share.image
        body = {
            "author": self._urn,
            "commentary": little(share.text),
            "visibility": share.visibility,
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "content": {"article": article},
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": False,
        }
        answer = self._call(POST, "/rest/posts", body, is_read=False)
        named = next((answer.headers[name] for name in _IDS if name in answer.headers), "")
        if answer.status_code != 201 and not named:  # a page of somebody in between
            code = f"HTTP {answer.status_code}"
            raise Ambiguous(PROVIDER, POST, "answers in a form that is not its own", code=code)
        return named if _URN.fullmatch(named) else None

    def upload(self, picture: bytes) -> str:
        """Upload a picture (PNG, JPEG or GIF); its URN. Raises as `post`; nothing of it is seen by anybody
        until a post has it, so it may be done again."""
        begin = {"initializeUploadRequest": {"owner": self._urn}}
        answer = self._call("image", "/rest/images?action=initializeUpload", begin, is_read=True)
        value = reading.member(reading.json_object(answer.content), "value")
        url = reading.link(reading.member(value, "uploadUrl"))
        urn = reading.word(reading.member(value, "image"))
        if url is None or urn is None or not _URN.fullmatch(urn):
            raise Rejected(PROVIDER, "image", "answers without an address to upload to")
        if not self._is_linkedins(url):
            raise Rejected(PROVIDER, "upload", "names an address that is not LinkedIn's")
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/octet-stream"}
        try:
            put = http.call(self._http, "PUT", url, headers=headers, content=picture)
        except httpx.TransportError as error:
            raise answers.no_answer("upload", error, is_read=True) from None
        if not put.is_success:
            raise answers.refusal("upload", put, is_read=True)
        return urn

    def _is_linkedins(self, url: str) -> bool:
        """Whether the member's token may go there: https on a host of LinkedIn's; in the sandbox, http on the
        very address of its API."""
        try:
            parts, api = urlsplit(url), urlsplit(self._config.api_url)
            host = (parts.hostname or "").lower()
            _ = parts.port
        except ValueError:
            return False
        if parts.username is not None or not url.isprintable() or "\\" in url:
            return False
        if parts.scheme == api.scheme == "http" and parts.netloc == api.netloc:
            return True
        hosts = [one.lower().lstrip(".") for one in self._config.upload_hosts]
        return parts.scheme == "https" and any(host == one or host.endswith(f".{one}") for one in hosts)

    def _call(self, operation: str, path: str, body: object, *, is_read: bool) -> httpx.Response:
        try:
            answer = http.call(
                self._http,
                "POST",
                self._config.api_url + path,
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/json",
                    "LinkedIn-Version": self._config.version,
                    "X-Restli-Protocol-Version": "2.0.0",
                },
                content=json.dumps(body).encode(),
            )
        except httpx.TransportError as error:
            raise answers.no_answer(operation, error, is_read=is_read) from None
        if not answer.is_success:
            raise answers.refusal(operation, answer, is_read=is_read)
        return answer
