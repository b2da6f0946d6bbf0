"""Learners for programs: what became of one, from the registered program to the credential."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api import learner_story
from api.access import REFUSALS, Caller, allowed
from api.learner_models import LearnerTimeline
from api.problem_kinds import OURS, described
from api.problems import not_found
from records import timeline
from records.client import allows
from records.db import unit_of_work

router = APIRouter(prefix="/api/v1/learners", tags=["learners"])
Reader = Annotated[Caller, Depends(allowed("learners:read"))]


@router.get(
    "/{learner_id:path}/timeline",
    summary="What became of a learner",
    response_description="The learner's way through each program",
    responses=described("not-found", *OURS, *REFUSALS),
)
def read_learner_timeline(
    learner_id: Annotated[str, Path(description="The platform's id", examples=["learner-4711"])],
    caller: Reader,
) -> LearnerTimeline:
    """Registered, paid, enrolled, completed, reported, credential, refunds: for each program of the learner
    where that stands and what it rests on. Payments and refunds are your own; another client's are not there.
    """
    if "\0" in learner_id:  # no text of the database has it
        raise not_found("We know no such learner.")
    with unit_of_work() as session:
        known = timeline.of_learner(session, learner_id, caller.client_id)
        if known is None:
            raise not_found("We know no such learner.")
        has_scope = allows(caller.scopes, "exceptions:read")
        return learner_story.timeline(known, with_differences=has_scope)
