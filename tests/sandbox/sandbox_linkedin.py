"""An app of the sandbox's LinkedIn: signs a member in, posts, uploads."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx

HOME = "/linkedin"
APP = {"client_id": "sandbox-linkedin", "client_secret": "sandbox-linkedin-secret"}
BACK = "https://jembatan.example/api/v1/integrations/linkedin/callback"
SCOPES = "openid profile email w_member_social"
VERSION = "202603"


class LinkedInCaller:
    """Calls as one member, who is somebody new."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.sub = f"m{uuid4().hex[:10]}"
        member = {"sub": self.sub, "given_name": "Rina", "family_name": "Wijaya", "email": "rina@example.com"}
        http.post("/_sandbox/linkedin/members", json=member).raise_for_status()
        self.token = ""

    def behave(self, **manners: Any) -> None:
        """Change how the service behaves."""
        self.http.post("/_sandbox/linkedin/manners", json=manners).raise_for_status()

    def asked(self, **changes: Any) -> dict[str, str]:
        """What the app sends the browser with; None leaves something out."""
        usual = {
            "response_type": "code",
            "client_id": APP["client_id"],
            "redirect_uri": BACK,
            "state": "st-1",
            "scope": SCOPES,
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def page(self, **changes: Any) -> httpx.Response:
        """The page of consent."""
        return self.http.get(f"{HOME}/oauth/v2/authorization", params=self.asked(**changes))

    def choose(self, choice: str = "allow", **changes: Any) -> httpx.Response:
        """What the member does on it."""
        form = {"choice": choice, "member": self.sub}
        return self.http.post(f"{HOME}/oauth/v2/authorization", params=self.asked(**changes), data=form)

    def code(self, **changes: Any) -> str:
        """A code for what the member has allowed."""
        return back(self.choose(**changes))["code"]

    def exchange(self, code: str, /, **changes: Any) -> httpx.Response:
        """The app's exchange of a code."""
        usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **APP}
        form = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        return self.http.post(f"{HOME}/oauth/v2/accessToken", data=form)

    def sign_in(self, **changes: Any) -> dict[str, Any]:
        """The whole way to a token, which later calls use."""
        answer: dict[str, Any] = self.exchange(self.code(**changes)).raise_for_status().json()
        self.token = answer["access_token"]
        return answer

    def headers(self, **changes: str) -> dict[str, str]:
        """What every call of the API carries; an empty one is left out."""
        usual = {
            "Authorization": f"Bearer {self.token}",
            "LinkedIn-Version": VERSION,
            "X-Restli-Protocol-Version": "2.0.0",
        }
        given = {**usual, **{name.replace("_", "-"): value for name, value in changes.items()}}
        return {name: value for name, value in given.items() if value}

    def userinfo(self) -> httpx.Response:
        """Who it is."""
        return self.http.get(f"{HOME}/v2/userinfo", headers=self.headers())

    def body(self, text: str = "Saya lulus", **changes: Any) -> dict[str, Any]:
        """A post with an article."""
        members = {
            "author": f"urn:li:person:{self.sub}",
            "commentary": text,
            "visibility": "PUBLIC",
            "distribution": {
                "feedDistribution": "MAIN_FEED",
                "targetEntities": [],
                "thirdPartyDistributionChannels": [],
            },
            "content": {
                "article": {
                    "source": "https://issuer.example/c/550e8400",
                    "title": "Sertifikat Kompetensi",
                    "description": "SKKNI J.620100.004.02",
                }
            },
            "lifecycleState": "PUBLISHED",
            "isReshareDisabledByAuthor": False,
        }
        return {name: value for name, value in {**members, **changes}.items() if value is not None}

    def post(self, text: str = "Saya lulus", **changes: Any) -> httpx.Response:
        """Share."""
        return self.http.post(f"{HOME}/rest/posts", json=self.body(text, **changes), headers=self.headers())

    def picture(self, content: bytes) -> str:
        """Announce and upload a picture; its URN."""
        value = self.announce().raise_for_status().json()["value"]
        self.http.put(value["uploadUrl"], content=content, headers=self.headers()).raise_for_status()
        return str(value["image"])

    def announce(self, **changes: Any) -> httpx.Response:
        """Ask for an address to upload to."""
        members = {"initializeUploadRequest": {"owner": f"urn:li:person:{self.sub}", **changes}}
        params = {"action": "initializeUpload"}
        return self.http.post(f"{HOME}/rest/images", params=params, json=members, headers=self.headers())

    def posts(self) -> list[dict[str, Any]]:
        """What LinkedIn has on its books."""
        answer = self.http.get("/_sandbox/linkedin/posts", params={"sub": self.sub})
        found: list[dict[str, Any]] = answer.json()
        return found


def back(answer: httpx.Response) -> dict[str, str]:
    """What a redirect brings to the app."""
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def png(width: int = 2, height: int = 2) -> bytes:
    """The first bytes of a PNG."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
