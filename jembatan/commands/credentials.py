"""`jembatan credentials`: find, end and export them, check a badge, brand a centre, look after keys."""

import getpass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
import typer
from rich.markup import escape
from rich.table import Table

from api.public_words import WORDS
from common import clock
from common.errors import BadInput
from credentials import asking, certificates, checking, european, images, ours
from credentials import exports as exporting
from jembatan.commands.output import as_json, complain, console
from jembatan.stack import stack
from providers.europass.concepts import Language
from providers.open_badges.logo import LARGEST
from providers.open_badges.reading import MOST_BYTES
from records import approval, credential_export, credential_state, signing_key
from records.credential import Credential
from records.credential_state import NotPossible
from records.db import unit_of_work

app = typer.Typer(no_args_is_help=True, help="What learners achieved, and the badges of it.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[UUID, typer.Argument(help="Id of the credential.")]
Reason = Annotated[str, typer.Option(help="Why, in a few words; public, nothing personal.")]
By = Annotated[str, typer.Option(help="Your name.")]
ME = getpass.getuser()
_MARKS = {"passed": "[green]✓[/green]", "failed": "[red]✗[/red]", "unknown": "[yellow]?[/yellow]"}


@app.command("list")
def list_(
    program: Annotated[str | None, typer.Option(help="Only of this program.")] = None,
    learner: Annotated[str | None, typer.Option(help="Only of this learner (the platform's id).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    json: Json = False,
) -> None:
    """List credentials, newest first."""
    wanted = sa.select(Credential).order_by(Credential.created_at.desc()).limit(limit)
    if program is not None:
        wanted = wanted.where(Credential.program_code == program)
    if learner is not None:
        wanted = wanted.where(Credential.learner_id == learner)
    with stack(), unit_of_work() as session:
        found = list(session.scalars(wanted))
    if json:
        as_json([_as_dict(one) for one in found])
        return
    table = Table("id", "program", "number", "learner", "issued", "state")
    for one in found:
        cells = (one.program_code, one.certificate_number, one.learner_id, str(one.issued_on), _state(one))
        table.add_row(str(one.id), *map(escape, cells))
    for column in table.columns:
        column.overflow = "fold"
    console.print(table if found else "There are no such credentials.")


@app.command("show")
def show(credential_id: Id, json: Json = False) -> None:
    """Show one credential, where it goes and what happened to it. Never the learner's name."""
    with stack(), unit_of_work() as session:
        found = session.get(Credential, credential_id)
        if found is None:
            raise BadInput(f"There is no credential {credential_id}; `jembatan credentials list` shows them")
        exports = [exporting.shown(one) for one in credential_export.of_credential(session, credential_id)]
        events = [
            {"at": one.at, "to_state": one.to_state, "source": one.source, "reason": one.reason}
            for one in credential_state.history(session, credential_id)
        ]
    if json:
        as_json(_as_dict(found) | {"exports": exports, "events": events})
        return
    console.print(f"{found.achievement.content['name']} · {_state(found)}", markup=False)
    console.print(f"{found.program_code} · {found.certificate_number} · {found.learner_id}", markup=False)
    for export in exports:
        console.print(f"{export['target']}: {export['state']} {export['problem'] or ''}", markup=False)
        for name, link in export["links"].items():
            console.print(f"  {name} {link}", markup=False, soft_wrap=True)
    for event in events:
        console.print(f"{event['at']:%Y-%m-%d %H:%M} {event['to_state']} by {event['source']}", markup=False)


@app.command("revoke")
def revoke(credential_id: Id, reason: Reason, by: By = ME) -> None:
    """End a credential for good. It cannot be undone."""
    _move(credential_id, "revoked", by, reason)


@app.command("suspend")
def suspend(credential_id: Id, reason: Reason, by: By = ME) -> None:
    """Let a credential be not valid until it is restored."""
    _move(credential_id, "suspended", by, reason)


@app.command("restore")
def restore(credential_id: Id, by: By = ME) -> None:
    """Let a suspended credential be valid again."""
    _move(credential_id, "valid", by, "")


def _move(credential_id: UUID, to_state: str, by: str, reason: str) -> None:
    """Exit 1 where it cannot be any more, 2 where there is no such credential or no reason."""
    if to_state != "valid" and not reason.strip():
        raise BadInput("A reason is needed: the public page shows it")
    try:
        with stack(), unit_of_work() as session:
            source = approval.actor("operator", by)
            credential_state.apply(session, credential_id, to_state, source=source, reason=reason.strip())
    except NotPossible as refused:
        complain(str(refused))
        raise typer.Exit(1) from None
    except sa.exc.NoResultFound:
        raise BadInput(f"There is no credential {credential_id}") from None
    console.print(f"Credential {credential_id} is {to_state}.")


@app.command("export")
def export(
    program: Annotated[str | None, typer.Option(help="All credentials of this program.")] = None,
    credential_id: Annotated[
        list[UUID] | None, typer.Option("--id", help="This one; may be given several times.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help=f"Where to, {', '.join(exporting.TARGETS)}; may be given several times."),
    ] = None,
) -> None:
    """Ask for an export; `jembatan up`, or whatever serves the API, hands it to Prefect."""
    if bool(credential_id) == bool(program):
        raise BadInput("Give either --program or --id")
    wish = asking.Wish(tuple(credential_id or ()), program, tuple(target or ("open_badge",)))
    with stack(), unit_of_work() as session:
        run, number = asking.ask_for(session, wish)
    console.print(
        f"{number:,} exports were asked for: `jembatan process show {run.id}` says how far they are."
    )


@app.command("download")
def download(
    credential_id: Id,
    file: Annotated[Path, typer.Argument(help="Where to; `.pdf` is the certificate, else the credential.")],
    language: Annotated[Language, typer.Option(help="Of the PDF: `id` or `en`.")] = "id",
    as_made: Annotated[
        bool, typer.Option("--as-made", help="As it was delivered, under our own seal where one is set.")
    ] = False,
) -> None:
    """Save a European credential, in the form that the EU's web issuer takes, or the certificate as PDF.

    The learner's name is in both: hand them to nobody else.
    """
    with stack():
        if file.suffix.lower() == ".pdf":
            made = certificates.pdf(credential_id, language)
        elif as_made:
            kept = european.document(credential_id)
            made = kept.document().encode() if kept is not None else None
        else:
            form = european.upload(credential_id)
            made = form.encode() if form is not None else None
    if made is None:
        raise BadInput(f"There is no credential {credential_id}, or it was revoked")
    try:
        file.write_bytes(made)
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from None
    console.print(f"Saved {file}.", markup=False)


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A badge: PNG, SVG, JSON or a JWT.")], json: Json = False
) -> None:
    """Check a badge of anybody's. Exit 1 unless it is valid."""
    with stack():
        report = checking.check(_read(file, MOST_BYTES))
    if json:
        as_json(
            {
                "state": report.state,
                "reason": report.reason,
                "checks": [vars(one) for one in report.checks],
            }
        )
    else:
        for one in report.checks:
            console.print(f"{_MARKS.get(one.outcome, '–')} {one.name}: {escape(one.detail)}")
        console.print(f"{WORDS['en'][f'is_{report.state}']}.")
    if report.state != "valid":
        raise typer.Exit(1)


@app.command("brand")
def brand(
    lpk: Annotated[str, typer.Argument(help="The centre's number in the ministry's register.")],
    name: Annotated[str, typer.Option(help="What it calls itself.")],
    url: Annotated[str | None, typer.Option(help="Its website.")] = None,
    colour: Annotated[str | None, typer.Option(help="Of the badge's ring, such as #1b4f8f.")] = None,
    logo: Annotated[Path | None, typer.Option(help="PNG or SVG, at most 512 KiB.")] = None,
) -> None:
    """Let a training centre's badges carry its name, colour and logo."""
    if colour is not None and not (len(colour) == 7 and set(colour.lower()[1:]) <= set("0123456789abcdef")):
        raise BadInput("A colour looks like #1b4f8f")
    picture = _read(logo, LARGEST) if logo is not None else None
    with stack(), unit_of_work() as session:
        images.brand(session, lpk, name=name, url=url, colour=colour, picture=picture)
    console.print(f"Badges of {name} carry its brand from now on.", markup=False)


@app.command("keys")
def keys(json: Json = False) -> None:
    """List the keys that ever signed, newest first."""
    with stack(), unit_of_work() as session:
        found = signing_key.all_of_them(session)
        signing = {key.id for key in ours.keys().signing}
    rows = [
        {
            "key_id": one.id,
            "kind": one.jwk["kty"],
            "first_used_at": one.first_used_at,
            "withdrawn_at": one.withdrawn_at,
            "is_configured": one.id in signing,
        }
        for one in found
    ]
    if json:
        as_json(rows)
        return
    table = Table("key", "kind", "first used", "state")
    for row in rows:
        state = "withdrawn" if row["withdrawn_at"] else "signs" if row["is_configured"] else "verifies"
        table.add_row(row["key_id"], row["kind"], f"{row['first_used_at']:%Y-%m-%d}", state)
    console.print(table if rows else "No key has signed anything yet.")


@app.command("withdraw-key")
def withdraw_key(
    key_id: Annotated[str, typer.Argument(help="Which key; `jembatan credentials keys` lists them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a leaked key out of what we publish: no badge of it verifies any more."""
    if not yes:
        typer.confirm("Every badge that this key signed will be refused everywhere. Go on?", abort=True)
    with stack(), unit_of_work() as session:
        signing_key.withdraw(session, key_id)
    console.print(f"The key {key_id} is withdrawn.")


def _read(file: Path, most: int) -> bytes:
    """A file of at most so many bytes; raises BadInput."""
    try:
        with file.open("rb") as opened:
            data = opened.read(most + 1)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise BadInput(
            f"{file} has {file.stat().st_size / 1024**2:,.1f} MiB; at most {most // 1024:,} KiB are read"
        )
    return data


def _state(one: Credential) -> str:
    return one.state_on(clock.business_date(clock.now()))


def _as_dict(one: Credential) -> dict[str, Any]:
    names = ("learner_id", "program_code", "certificate_number", "issued_on", "expires_on", "reason")
    return {"credential_id": str(one.id), "state": _state(one)} | {name: getattr(one, name) for name in names}
