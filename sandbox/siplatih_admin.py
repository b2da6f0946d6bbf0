"""SIPLatih's admin calls: how it behaves, what is on its books, who called."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, ValidationError

from sandbox.siplatih import Siplatih
from sandbox.siplatih_books import Participant, Program
from sandbox.siplatih_manners import Manners


class Refusing(BaseModel, extra="forbid"):
    """Whom the register will not take: the participant with this certificate number."""

    certificate_number: str = Field(min_length=1)
    code: str = "NIK_NOT_FOUND"
    message: str = "The civil registry does not know this NIK"


class Wanted(BaseModel, extra="forbid"):
    """A person to be looked for."""

    nik: str


def admin_router(service: Siplatih) -> APIRouter:
    """Everything under `/_sandbox/siplatih`. `async`: the books are used on the event loop only."""
    routes = APIRouter(prefix="/_sandbox/siplatih")
    books = service.books

    def known(program_id: str) -> Program:
        program = books.programs.get(program_id) or books.of_code(program_id)
        if program is None:
            raise HTTPException(404, f"No program has the number or code {program_id}.")
        return program

    @routes.get("")
    async def summary() -> dict[str, int]:
        """How much is on the books. told: participants over all reports, repeats counted."""
        people = [who for program in books for who in program.participants.values()]
        return {
            "programs": len(books.programs),
            "participants": len(people),
            "told": sum(who.times_told for who in people),
            "reports": sum(program.reports for program in books),
        }

    @routes.delete("", status_code=204)
    async def clear() -> None:
        """Empty books, no log, the usual manners; tokens live on."""
        books.clear()
        service.log.clear()
        service.manners = Manners()

    @routes.get("/manners")
    async def manners() -> Manners:
        """How it behaves."""
        return service.manners

    @routes.post("/manners")
    async def behave(changed: dict[str, Any]) -> Manners:
        """Change what is named, leave the rest."""
        try:
            service.manners = Manners.model_validate({**service.manners.model_dump(), **changed})
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
        return service.manners

    @routes.delete("/manners", status_code=204)
    async def behave_as_usual() -> None:
        """Every choice as it is by default, and nobody refused by name."""
        service.manners = Manners()
        books.refusals.clear()

    @routes.get("/programs")
    async def programs() -> list[dict[str, Any]]:
        """Every program, in the order in which they were registered, without their participants."""
        return [_shown(program) for program in books]

    @routes.get("/programs/{program_id:path}")
    async def program(program_id: str) -> dict[str, Any]:
        """One program by number or code, with its participants."""
        found = known(program_id)
        people = sorted(found.participants.values(), key=lambda who: who.number)
        return {**_shown(found), "participants": [_person(who) for who in people]}

    @routes.delete("/programs/{program_id:path}", status_code=204)
    async def forget(program_id: str) -> None:
        """The register loses a program that it had confirmed."""
        books.forget(known(program_id))

    @routes.post("/people")
    async def people(wanted: Wanted) -> list[dict[str, Any]]:
        """Where somebody stands, by NIK."""
        return [{"program_code": one.code, **_person(who)} for one, who in books.programs_of(wanted.nik)]

    @routes.post("/refusals", status_code=201)
    async def refuse(wanted: Refusing) -> Refusing:
        """Do not take a participant from now on."""
        books.refusals[wanted.certificate_number] = wanted.code, wanted.message
        return wanted

    @routes.delete("/refusals", status_code=204)
    async def refuse_nobody() -> None:
        """Take everybody again."""
        books.refusals.clear()

    @routes.get("/calls")
    async def calls() -> list[dict[str, Any]]:
        """The latest 20,000 calls that were served, oldest first, without those for tokens."""
        return [asdict(call) for call in service.log]

    return routes


def _shown(program: Program) -> dict[str, Any]:
    return {
        "siplatih_program_id": program.id,
        "number": program.number,
        "program_code": program.code,
        "program_name": program.name,
        "lpk_registration_number": program.lpk,
        "lpk_name": program.lpk_name,
        "skkni_code": program.skkni_code,
        "registered_at": program.registered_at,
        "versions": program.versions,
        "reports": program.reports,
        "participant_count": len(program.participants),
    }


def _person(who: Participant) -> dict[str, Any]:
    return {
        "nik": who.masked_nik,
        "certificate_number": who.certificate or None,
        "completion_status": who.status,
        "report_id": who.report_id,
        "number": who.number,
        "times_told": who.times_told,
        "versions": who.versions,
    }
