"""The routes of the API."""

import json
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import FileResponse

from search_spaces.recipe import SCALES
from search_spaces.recipes import RECIPES
from sweeper.service import reading
from sweeper.service.documents import parse_document
from sweeper.service.headers import REPORT_POLICY
from sweeper.service.models import (
    RECIPE_SCHEMA,
    Health,
    Measure,
    NamedRecipe,
    RecipeInfo,
    Resume,
    RunName,
    Sweep,
    Sweeps,
)
from sweeper.service.problems import MEDIA_TYPE, Problem, Refusal
from sweeper.service.reading import RECORDS
from sweeper.service.state import Allowed, Name, Parts
from sweeper.store import StorageError

VERSION = version("sweeper")
SCHEMA_TEXT = json.dumps(RECIPE_SCHEMA)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of the refusals with `statuses`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"model": Problem, "content": content} for status in statuses}


SUBMIT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [{"$ref": "#/components/schemas/NamedRecipe"}, {"type": "object"}]},
                "examples": {
                    "named": {
                        "summary": "A named recipe with changes",
                        "value": NamedRecipe.model_config["json_schema_extra"]["examples"][0],  # type: ignore[index]
                    }
                },
            },
            "application/yaml": {
                "schema": {"type": "string"},
                "examples": {
                    "file": {
                        "summary": "A recipe file",
                        "value": "name: spirals\ntask: {name: digits}\nmodel: {name: mlp}\ntrain: {noise_scale: 0.01}\n"
                        "trunk: {epochs: 20, branch_every: 10}\nbranch: {decay_epochs: 5}\n"
                        "space: {train/noise_scale: {low: 1e-4, high: 1, log: true}}\nsearch: {trials: 20}\n",
                    }
                },
            },
        },
    }
}

public = APIRouter(prefix="/api/v1", tags=["service"])
router = APIRouter(prefix="/api/v1", dependencies=Allowed, responses=refusals(401, 403, 429))


@public.get("/health", responses=refusals(503))
async def health(parts: Parts) -> Health:
    """Say whether the storage and the cluster answer; asks for no token."""
    await parts.cluster.jobs()
    try:
        await parts.board.runs()
        storage = True
    except StorageError:
        storage = False
    cluster = not parts.cluster.problem
    status = "ok" if storage and cluster else "degraded"
    return Health(status=status, storage=storage, cluster=cluster, version=VERSION)


@router.get("/recipes", tags=["recipes"])
def recipes() -> list[RecipeInfo]:
    """List the named recipes."""
    return _recipes()


@cache
def _recipes() -> list[RecipeInfo]:
    found = []
    for name, build in RECIPES.items():
        scales = {scale: build(scale) for scale in SCALES}
        trials = {scale: recipe.planned_trials for scale, recipe in scales.items()}
        first = scales[SCALES[0]]
        found.append(RecipeInfo(name=name, title=first.title, figure=first.figure, trials=trials))
    return found


@router.get("/recipes/schema", tags=["recipes"], response_model=dict[str, Any])
async def schema() -> Response:
    """Return the JSON schema of a recipe."""
    return Response(SCHEMA_TEXT, media_type="application/json")


@router.get("/sweeps", tags=["sweeps"], responses=refusals(422, 503))
async def sweeps(
    parts: Parts,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Sweeps:
    """List the sweeps, the latest first."""
    found = await parts.board.all()
    return Sweeps(sweeps=found[offset : offset + limit], total=len(found))


@router.post(
    "/sweeps",
    tags=["sweeps"],
    status_code=201,
    response_model=Sweep,
    responses={200: {"model": Sweep, "description": "It was there already."}, **refusals(413, 415, 422, 503)},
    openapi_extra=SUBMIT_BODY,
)
async def submit(
    request: Request,
    response: Response,
    parts: Parts,
    name: Annotated[
        str | None, Query(pattern=RunName, description="Of the run; default: by the recipe.")
    ] = None,
) -> Sweep:
    """Have a recipe run, by name or whole. The same recipe is the same sweep, however often it is sent."""
    content = parse_document(await request.body(), request.headers.get("content-type", ""))
    sweep, begun = await parts.operations.submit(content, name)
    response.status_code = 201 if begun else 200
    response.headers["Location"] = f"/api/v1/sweeps/{sweep.name}"
    return sweep


@router.get("/sweeps/{name}", tags=["sweeps"], responses=refusals(404, 422, 503))
async def sweep(name: Name, parts: Parts) -> Sweep:
    """Say how far a sweep is."""
    return await parts.board.get(name)


@router.post("/sweeps/{name}/stop", tags=["sweeps"], status_code=202, responses=refusals(404, 422, 503))
async def stop(name: Name, parts: Parts) -> Sweep:
    """Ask a sweep to drain: trials end at their next branch point, and none starts."""
    return await parts.operations.stop(name)


@router.post(
    "/sweeps/{name}/resume",
    tags=["sweeps"],
    status_code=202,
    responses=refusals(400, 404, 409, 413, 422, 503),
)
async def resume(name: Name, parts: Parts, how: Annotated[Resume | None, Body()] = None) -> Sweep:
    """Go on with a sweep where it stopped, or with more trials than before."""
    found, _ = await parts.operations.resume(name, how.trials if how else None)
    return found


@router.post(
    "/sweeps/{name}/measure",
    tags=["sweeps"],
    status_code=202,
    responses=refusals(400, 404, 409, 413, 422, 503),
)
async def measure(name: Name, parts: Parts, what: Annotated[Measure, Body()]) -> Sweep:
    """Add merges or measures to a sweep that has ended, as a job that trains nothing."""
    return await parts.operations.measure(name, what)


@router.delete("/sweeps/{name}", tags=["sweeps"], status_code=204, responses=refusals(404, 409, 422, 503))
async def delete(name: Name, parts: Parts) -> None:
    """Delete a sweep that doesn't run, with the checkpoints that no other sweep refers to."""
    await parts.operations.delete(name)


@router.get(
    "/sweeps/{name}/records",
    tags=["results"],
    response_class=FileResponse,
    responses={
        200: {"content": {media: {} for media, _ in RECORDS.values()}},
        **refusals(404, 406, 409, 422, 503),
    },
)
async def records(
    request: Request,
    name: Name,
    parts: Parts,
    format_: Annotated[str | None, Query(alias="format", pattern="^(json|csv|arrow|parquet)$")] = None,
) -> Response:
    """Return the merge records, one row per merge and evaluation; the format by `format` or the Accept header."""
    chosen = format_ or _accepted(request.headers.get("accept", "*/*"))
    path, tag = await parts.operations.file(name, chosen, partial(reading.write_records, format_=chosen))
    return _file(request, path, tag, RECORDS[chosen][0])


@router.get(
    "/sweeps/{name}/report",
    tags=["results"],
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}}, **refusals(404, 409, 422, 503)},
)
async def report(request: Request, name: Name, parts: Parts) -> Response:
    """Return the report: one HTML file that needs no network."""
    return await report_response(request, name, parts)


@router.get("/sweeps/{name}/figures", tags=["results"], responses=refusals(404, 409, 422, 503))
async def figures(request: Request, name: Name, parts: Parts) -> Response:
    """Return the figures that the records suffice for, as JSON: name → Plotly figure."""
    path, tag = await parts.operations.file(name, "figures", reading.write_figures)
    return _file(request, path, tag, "application/json")


async def report_response(request: Request, name: str, parts: Parts) -> Response:
    """Return the report of a sweep under a policy of its own."""
    path, tag = await parts.operations.file(name, "html", reading.write_report)
    response = _file(request, path, tag, "text/html")
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    return response


def _file(request: Request, path: Path, tag: str, media_type: str) -> Response:
    """Return a file, or 304 to whoever has it."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return FileResponse(path, headers=headers, media_type=media_type)


def _accepted(accept: str) -> str:
    """Return the first format that an Accept header names, JSON if it takes anything.

    Raises:
        Refusal: 406 if it names none of ours.
    """
    for kind in accept.split(","):
        media = kind.partition(";")[0].strip().lower()
        if media in {"*/*", "application/*"}:
            return "json"
        for name, (ours, _) in RECORDS.items():
            if media == ours:
                return name
    raise Refusal(406, f"accept one of {', '.join(media for media, _ in RECORDS.values())}")
