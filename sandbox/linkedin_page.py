"""The page on which a person plays the member: signs in as somebody, allows the app, or goes back."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from sandbox.linkedin_books import Member

_SCOPES = {
    "openid": ("Tahu bahwa ini Anda", "Know that it is you"),
    "profile": ("Melihat nama dan gambar profil Anda", "See your name and photo"),
    "email": ("Melihat alamat email Anda", "See your email address"),
    "w_member_social": ("Membuat kiriman atas nama Anda", "Post on your behalf"),
}
_STYLE = """
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:16px;background:#f3f2ef;color:#16202a;
 font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:420px;background:#fff;border-radius:14px;box-shadow:0 8px 28px rgba(16,32,48,.14)}
header{padding:20px 24px;color:#fff;background:#0a5a9c;border-radius:14px 14px 0 0;font-weight:700;
 display:flex;justify-content:space-between;align-items:center}
header small{font-size:.75rem;background:rgba(0,0,0,.28);padding:4px 10px;border-radius:99px}
section{padding:24px}h1{font-size:1.15rem;margin:0 0 4px}
p{margin:0}.en,span{display:block;color:#5a6773;font-size:.82rem}
ul{padding:12px 0;margin:14px 0;list-style:none;border:solid #e3e8ec;border-width:1px 0}li{padding:6px 0}
label{display:block;margin-bottom:14px}
select,button{width:100%;min-height:48px;margin-top:8px;padding:8px 12px;border-radius:24px;font:inherit;
 font-weight:600;border:1px solid #0a5a9c;background:#fff;color:#0a4f88;cursor:pointer}
select{border-radius:8px;font-weight:500;color:#16202a;border-color:#6b7680}
button.yes{background:#0a5a9c;color:#fff}button.yes span{color:#e6f0f8}
button:focus-visible,select:focus-visible{outline:3px solid #f2a900;outline-offset:2px}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def consent(
    members: Iterable[Member], scopes: Iterable[str], redirect_uri: str, status: int = 200
) -> HTMLResponse:
    """What the app wants, and the choice: `allow` as a member, `cancel`, or `leave` without signing in."""
    wishes = "".join(
        f'<li>{words}<span lang="en">{english}</span></li>'
        for words, english in (_SCOPES.get(scope, (escape(scope), "")) for scope in scopes)
    )
    people = "".join(
        f'<option value="{escape(member.sub)}">{escape(member.name)}</option>' for member in members
    )
    return _page(
        f"""<h1>Izinkan aplikasi ini?</h1><p class="en" lang="en">Allow this app to</p>
<ul>{wishes}</ul>
<form method="post">
<label>Masuk sebagai<span lang="en">Sign in as</span><select name="member">{people}</select></label>
<button class="yes" name="choice" value="allow">Izinkan<span lang="en">Allow</span></button>
<button name="choice" value="cancel">Batal<span lang="en">Cancel</span></button>
<button name="choice" value="leave">Kembali tanpa masuk<span lang="en">Leave without sign-in</span></button>
</form>""",
        redirect_uri,
        status,
    )


def refused(words: str) -> HTMLResponse:
    """What a person sees when the app's address or id is wrong: nobody is sent anywhere."""
    return _page(
        f'<h1>Terjadi kesalahan</h1><p class="en" lang="en">Something went wrong</p><p>{escape(words)}</p>',
        "",
        400,
    )


def _page(content: str, redirect_uri: str, status: int) -> HTMLResponse:
    text = f"""<!DOCTYPE html>
<html lang="id">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>LinkedIn (sandbox)</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<header>LinkedIn<small>SANDBOX</small></header>
<section>
{content}
</section>
</main>
</body>
</html>
"""
    targets = "'self'"
    if redirect_uri:  # browsers hold the redirect after a form to it
        parts = urlsplit(redirect_uri)
        targets += f" {parts.scheme}://{parts.netloc}"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(text, status, headers)
