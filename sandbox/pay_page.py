"""The page on which a person plays the payer: pay, decline, or go back. Indonesian, with English beneath."""

import base64
import hashlib
from html import escape
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.live import Act, Charge, LiveBooks, NotPossible
from sandbox.model import State
from sandbox.wib import WIB

NAMES = {"gopay": "GoPay", "ovo": "OVO", "linkaja": "LinkAja"}
_ENDS: dict[State, tuple[str, str]] = {
    "settled": ("Pembayaran berhasil", "Payment successful"),
    "partially_refunded": ("Sebagian dana dikembalikan", "Partly refunded"),
    "refunded": ("Dana dikembalikan", "Refunded"),
    "denied": ("Pembayaran ditolak", "Payment declined"),
    "cancelled": ("Pembayaran dibatalkan", "Payment cancelled"),
    "expired": ("Waktu pembayaran habis", "Payment expired"),
    "reversed": ("Pembayaran ditarik kembali", "Payment reversed"),
}
# What the payer chose: the act, and GoPay's word for it in the address of return.
_CHOICES: dict[str, tuple[Act | None, str]] = {
    "pay": ("pay", "success"),
    "decline": ("deny", "failure"),
    "back": (None, "abort"),
}
_STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:16px;background:#eef1f4;color:#16202a;
 font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{width:100%;max-width:390px;background:#fff;border-radius:20px;overflow:hidden;
 box-shadow:0 12px 32px rgba(16,32,48,.14)}
.gopay{--wallet:#00768f}.ovo{--wallet:#4b2a85}.linkaja{--wallet:#c1121c}
header{padding:22px 24px;color:#fff;background:var(--wallet);font-weight:700;font-size:1.3rem;display:flex;
 justify-content:space-between;align-items:center}
header small{font-size:.75rem;font-weight:600;background:rgba(0,0,0,.28);padding:4px 10px;border-radius:99px}
section{padding:24px}
p{margin:0}.en{color:#5a6773;font-size:.85rem}
.sum{font-size:2.1rem;font-weight:750;letter-spacing:-.02em;margin:4px 0 18px}
dl{margin:0 0 22px;border-top:1px solid #e3e8ec}
dl div{display:flex;justify-content:space-between;gap:16px;padding:10px 0;border-bottom:1px solid #e3e8ec}
dt{color:#5a6773;white-space:nowrap}dt span{display:block;font-size:.78rem}
dd{margin:0;text-align:right;overflow-wrap:anywhere}
button,a.button{display:block;width:100%;min-height:52px;margin-top:10px;padding:8px;border:0;
 border-radius:14px;font:inherit;font-weight:650;cursor:pointer;text-align:center;text-decoration:none;
 line-height:1.2}
button span,a.button span{display:block;font-size:.78rem;font-weight:500}
.yes{background:var(--wallet);color:#fff}.no{background:#e9edf0;color:#16202a}
.back{background:none;color:#41505c}
button:focus-visible,a:focus-visible{outline:3px solid #f2a900;outline-offset:2px}
.end{text-align:center;font-size:1.25rem;font-weight:700}.end+.en{text-align:center;padding-bottom:14px}
footer{padding:0 24px 22px;font-size:.78rem;color:#5a6773;text-align:center}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def page_router(live: LiveBooks) -> APIRouter:
    """`/{gateway}/pay/{id}` of every charge."""
    routes = APIRouter()

    def wanted(request: Request) -> Charge | None:
        return live.page(request.path_params["gateway"], request.path_params["page_id"])

    async def show(request: Request) -> Response:
        charge = wanted(request)
        return _page(charge) if charge else _unknown()

    async def choose(request: Request) -> Response:
        """The payer's choice; afterwards the browser is sent back to the merchant, if it said where to."""
        charge = wanted(request)
        if charge is None:
            return _unknown()
        form = parse_qs((await request.body()).decode("ascii", "replace"))
        choice = form.get("choice", [""])[0]
        if choice not in _CHOICES:
            return _page(charge, 400)
        act, result = _CHOICES[choice]
        try:
            if act:
                live.move(charge, act)
        except NotPossible:
            return _page(charge, 409)
        address = _return_address(charge, result)
        return RedirectResponse(address, 303) if address else RedirectResponse(request.url.path, 303)

    routes.add_route("/{gateway}/pay/{page_id}", show, methods=["GET"])
    routes.add_route("/{gateway}/pay/{page_id}", choose, methods=["POST"])
    return routes


def qr_picture(charge: Charge) -> Response:
    """A picture in the place of the QR code. It cannot be scanned, and says so."""
    digest = hashlib.sha256(charge.gateway_reference.encode()).digest() * 4
    squares = "".join(
        f'<rect x="{40 + 10 * (place % 20)}" y="{40 + 10 * (place // 20)}" width="10" height="10"/>'
        for place in range(400)
        if digest[place // 8 % 128] >> place % 8 & 1
    )
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 280 320" width="280" height="320" role="img">'
        "<title>Sandbox: not a real QR code</title>"
        f'<rect width="280" height="320" fill="#fff"/><g fill="#b9c4cc">{squares}</g>'
        '<rect x="40" y="112" width="200" height="56" fill="#fff" stroke="#00768f" stroke-width="3"/>'
        '<g font-family="sans-serif" text-anchor="middle" fill="#16202a">'
        '<text x="140" y="137" font-size="17" font-weight="700">SANDBOX</text>'
        '<text x="140" y="157" font-size="12">bukan QR sungguhan</text>'
        f'<text x="140" y="272" font-size="18" font-weight="700">{_rupiah(charge.amount)}</text>'
        '<text x="140" y="296" font-size="11" fill="#5a6773">Sandbox: not a real QR code</text></g></svg>'
    )
    return Response(text, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


def _return_address(charge: Charge, result: str) -> str:
    """Where the merchant wants the payer back; GoPay adds the order and what came of it."""
    address = charge.return_url if result == "success" else charge.failed_url
    if charge.gateway != "gopay" or not address:
        return address
    parts = urlsplit(address)
    added = urlencode({"order_id": charge.reference, "result": result})
    return parts._replace(query=f"{parts.query}&{added}" if parts.query else added).geturl()


def _page(charge: Charge, status: int = 200) -> HTMLResponse:
    name, amount = NAMES[charge.gateway], _rupiah(charge.amount)
    until = f"{charge.expires_at.astimezone(WIB):%d-%m-%Y %H:%M} WIB"
    before = f'<div><dt>Bayar sebelum<span lang="en">Pay before</span></dt><dd>{until}</dd></div>'
    text = f"""<!DOCTYPE html>
<html lang="id">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>{name} · {amount}</title>
<style>{_STYLE}</style>
</head>
<body>
<main class="{charge.gateway}">
<header>{name}<small>SANDBOX</small></header>
<section>
<p>Total pembayaran</p><p class="en" lang="en">Amount to pay</p>
<p class="sum">{amount}</p>
<dl>
<div><dt>Nomor pesanan<span lang="en">Order</span></dt><dd>{escape(charge.reference)}</dd></div>
{before if charge.state == "pending" else ""}
</dl>
{_choices(charge)}
</section>
<footer>Uang mainan: tidak ada yang ditagih.<br><span lang="en">Play money: nobody is charged.</span></footer>
</main>
</body>
</html>
"""
    return HTMLResponse(text, status, _headers(charge))


def _choices(charge: Charge) -> str:
    """The buttons while the charge is open, afterwards what became of it."""
    if charge.state == "pending":
        return """<form method="post">
<button class="yes" name="choice" value="pay">Bayar<span lang="en">Pay</span></button>
<button class="no" name="choice" value="decline">Tolak<span lang="en">Decline</span></button>
<button class="back" name="choice" value="back">Kembali tanpa membayar<span lang="en">Go back</span></button>
</form>"""
    words, english = _ENDS.get(charge.state, ("Pembayaran gagal", "Payment failed"))
    end = f'<p class="end">{words}</p><p class="en" lang="en">{english}</p>'
    is_paid = charge.state in ("settled", "partially_refunded", "refunded")
    address = _return_address(charge, "success" if is_paid else "failure")
    if not address:
        return end
    words = 'Kembali ke toko<span lang="en">Back to the shop</span>'
    return f'{end}<a class="button no" href="{escape(address)}" rel="noreferrer">{words}</a>'


def _headers(charge: Charge) -> dict[str, str]:
    """No script, nothing from elsewhere. A form may lead to the merchant: browsers hold redirects to that."""
    targets = {"'self'"}
    for address in filter(None, (charge.return_url, charge.failed_url)):
        parts = urlsplit(address)
        targets.add(
            f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"
        )
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {' '.join(sorted(targets))}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


def _unknown() -> Response:
    return Response(
        "Pembayaran tidak dikenal. / Unknown payment.", 404, media_type="text/plain; charset=utf-8"
    )


def _rupiah(sen: int) -> str:
    """`Rp150.000`, as Indonesians write it."""
    whole = f"{sen // 100:,}".replace(",", ".")
    return f"Rp{whole},{sen % 100:02d}" if sen % 100 else f"Rp{whole}"
