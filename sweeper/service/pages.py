"""The pages: shells that anyone may have, and fragments with what the storage holds, for whoever may read it.

A browser sends no token when it opens a page. So a page is a shell whose script asks for the fragments, with the token
that its user has typed; a report, which a frame opens, is asked for with a ticket from a fragment.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from plotly.offline import get_plotlyjs

from search_spaces import RECIPES, load_recipe
from search_spaces.recipe import SCALES, Scale
from search_spaces.yaml_text import to_yaml
from sweeper.service.api import report_response
from sweeper.service.forms import form_fields
from sweeper.service.headers import FIGURE_POLICY
from sweeper.service.state import Allowed, Name, Parts

FOLDER = Path(str(files(__package__)))
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}

templates = Jinja2Templates(FOLDER / "templates")


shells = APIRouter(include_in_schema=False)
fragments = APIRouter(prefix="/fragments", include_in_schema=False, dependencies=Allowed)


def add_pages(app: FastAPI) -> None:
    """Add the pages to `app`."""
    app.include_router(shells)
    app.include_router(fragments)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))


def _shell(request: Request, parts: Parts, template: str, **context: object) -> HTMLResponse:
    return templates.TemplateResponse(request, template, {"tokens": bool(parts.settings.tokens), **context})


@shells.get("/")
def home(request: Request, parts: Parts) -> HTMLResponse:
    """All sweeps."""
    return _shell(request, parts, "home.html")


@shells.get("/submit")
def form(
    request: Request,
    parts: Parts,
    recipe: Annotated[str, Query(pattern=f"^({'|'.join(RECIPES)})$")] = "digits",
    scale: Scale = "smoke",
) -> HTMLResponse:
    """Return the form for a named recipe at a scale."""
    chosen = load_recipe(recipe, scale)
    return _shell(
        request, parts, "submit.html", recipes=RECIPES, scales=SCALES, recipe=chosen, name=recipe,
        sections=form_fields(chosen), yaml=to_yaml(chosen),
    )  # fmt: skip


@shells.get("/sweeps/{name}")
def one(request: Request, name: Name, parts: Parts) -> HTMLResponse:
    """One sweep."""
    return _shell(request, parts, "sweep.html", name=name)


@shells.get("/figure")
def figure(request: Request) -> HTMLResponse:
    """Return the frame that draws figures which its page sends it."""
    return templates.TemplateResponse(
        request, "figure.html", headers={"Content-Security-Policy": FIGURE_POLICY}
    )


@shells.get("/plotly.js")
def plotly() -> Response:
    """Return the library that draws them."""
    return PlainTextResponse(_plotly(), headers=FOREVER, media_type="text/javascript")


@shells.get("/report/{name}")
async def report(request: Request, name: Name, parts: Parts, ticket: str = "") -> Response:
    """Return the report to a frame that has a ticket for it."""
    parts.tickets.check(name, ticket)
    return await report_response(request, name, parts)


@fragments.get("/sweeps")
async def all_sweeps(request: Request, parts: Parts) -> HTMLResponse:
    """Return the table of sweeps."""
    sweeps = await parts.board.all()
    context = {"sweeps": sweeps, "reached": not parts.cluster.problem}
    return templates.TemplateResponse(request, "fragments/sweeps.html", context)


@fragments.get("/sweeps/{name}")
async def one_sweep(request: Request, name: Name, parts: Parts) -> HTMLResponse:
    """Return one sweep as it is."""
    return templates.TemplateResponse(request, "fragments/sweep.html", {"sweep": await parts.board.get(name)})


@fragments.get("/sweeps/{name}/report")
async def report_frame(request: Request, name: Name, parts: Parts) -> HTMLResponse:
    """Return the frame of the report, with a ticket."""
    await parts.board.get(name)
    context = {"name": name, "ticket": parts.tickets.issue(name)}
    return templates.TemplateResponse(request, "fragments/report.html", context)


@cache
def _plotly() -> str:
    return str(get_plotlyjs())
