"""The API's documentation at /docs: Swagger UI from this machine, as the reader may be offline.

FastAPI's own page loads it from a CDN and has a script in the page. The files come with the package
`fastapi-offline`, which ships each release of Swagger UI; of its code we use nothing.
"""

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.rendering import ROOM, page

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs() -> HTMLResponse:
    """The endpoints, with their fields and examples."""
    return page("docs.html")


def mount(app: FastAPI) -> None:
    """Serve the files that the pages load."""
    app.include_router(router)
    app.mount("/static/swagger", StaticFiles(packages=[("fastapi_offline", "static")]), name="swagger")
    app.mount("/static", StaticFiles(directory=ROOM / "static"), name="static")
