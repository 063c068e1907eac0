"""What is heavy, done in worker processes: recipes are checked, runs read, S* estimated, reports written.

Functions here take and return what can be pickled. They run where torch and user code may be loaded; the process that
answers requests stays light.
"""

import asyncio
import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar

import pandas as pd

from analysis.reading import read_records, read_run_info
from search_spaces import load_recipe, parse_recipe
from search_spaces.explain import Problem
from search_spaces.recipe import Recipe, RecipeError
from sweeper.commands.export import FORMATS, to_csv, to_json
from sweeper.imports import import_paths
from sweeper.store import Ledger, Storage

P = ParamSpec("P")
T = TypeVar("T")

WORKERS = 2
"""A report that takes seconds must not keep all others waiting."""


class Workers:
    """Runs functions in worker processes; one that dies is replaced."""

    def __init__(self) -> None:
        self._pool = self._new()

    @staticmethod
    def _new() -> ProcessPoolExecutor:
        # Forks of a process with threads can hang.
        return ProcessPoolExecutor(WORKERS, get_context("spawn"))

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(*args, **kwargs)`; tried again once if its process dies."""
        call = partial(function, *args, **kwargs)
        pool = self._pool
        try:
            return await self._in(pool, call)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = self._new()
            return await self._in(self._pool, call)

    @staticmethod
    async def _in(pool: ProcessPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    def close(self) -> None:
        """End the processes, after what they are doing."""
        self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Prepared:
    """A recipe that may be submitted."""

    recipe: Recipe
    run: str


def prepare(
    content: Mapping[str, Any], name: str | None, storage: str, most_trials: int, quota_gib: float | None,
    allowed: tuple[str, ...],
) -> Prepared:  # fmt: skip
    """Return the recipe of a request, and the name of its run, which is a function of the recipe.

    Raises:
        RecipeError: if it is none, or asks for more than it may.
    """
    recipe = _recipe(content)
    if (trials := recipe.planned_trials) > most_trials:
        text = f"{trials} are more than the {most_trials} that this service allows; ask for fewer"
        _refuse(recipe, "search/trials", text)
    _check_allowed(recipe, allowed)
    from sweeper.tuning import default_name

    try:
        run = name or default_name(recipe)
    except ValueError as error:
        _refuse(recipe, "", str(error))
    existing = Ledger(storage, run).info()
    if existing is not None and parse_recipe(existing.recipe).identity() != recipe.identity():
        _refuse(recipe, "", f"run {run} holds another recipe; choose another name")
    if quota_gib is not None:
        quota = min(quota_gib, recipe.retention.quota_gib or quota_gib)
        recipe = parse_recipe(recipe.model_dump(mode="json"), {"retention/quota_gib": quota})
    return Prepared(recipe, run)


def prepare_measure(path: str, what: Mapping[str, Any], allowed: tuple[str, ...]) -> tuple[Recipe, list[str]]:
    """Return the recipe of the run at `path`, and the arguments of `sweeper measure` that add `what` to it.

    Raises:
        RecipeError: if nothing is to be added, or its networks can't have it.
    """
    recipe = parse_recipe(read_run_info(path).recipe)
    merge, also, measures = what["merge"], what["also"], what["measures"]
    if merge is None and not also:
        _refuse(recipe, "", "nothing to measure: name a merge, or measures under also")
    from sweeper.additions import recipe_with

    _check_allowed(recipe_with(recipe, merge, also, measures), allowed)
    settings = {name: value for name, value in (merge or {}).items() if name != "kind"}
    settings |= {f"measures/{name}": value for name, value in measures.items()}
    arguments = [f"--merge={merge.get('kind', 'linear')}"] if merge else []
    arguments += [f"--also={measure}" for measure in also]
    return recipe, [*arguments, *(f"--set={name}={json.dumps(value)}" for name, value in settings.items())]


def _check_allowed(recipe: Recipe, allowed: tuple[str, ...]) -> None:
    """Check that nobody's code but what is `allowed` is run, and that all there is can be.

    Raises:
        RecipeError: naming what can't.
    """
    for path in import_paths(recipe):
        if path not in allowed and path.partition(":")[0] not in allowed:
            _refuse(recipe, "", f'import path "{path}" is not among those that this service allows')
    from sweeper.tuning import unsupported

    if missing := unsupported(recipe):
        _refuse(recipe, "", f"it can't be run yet: no {', no '.join(missing)}")


def _recipe(content: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a document: a whole one, or the name of one with what changes.

    Raises:
        RecipeError: if it is none.
    """
    if "recipe" not in content:
        return parse_recipe(content)
    if unknown := content.keys() - {"recipe", "scale", "overrides"}:
        raise RecipeError(f"unknown field {sorted(unknown)[0]!r}; known: recipe, scale, overrides")
    named, overrides = content["recipe"], content.get("overrides") or {}
    from search_spaces import RECIPES

    # A name only: a path would have this machine's files read.
    if not isinstance(named, str) or named not in RECIPES:
        raise RecipeError(
            f"no recipe {named!r}; known: {', '.join(RECIPES)}", [Problem("recipe", "no such recipe")]
        )
    if not isinstance(overrides, dict):
        raise RecipeError(
            "overrides: must be a mapping of paths to values", [Problem("overrides", "must be a mapping")]
        )
    return load_recipe(named, content.get("scale"), overrides)


def _refuse(recipe: Recipe, path: str, text: str) -> NoReturn:
    problem = Problem(path, text)
    raise RecipeError(f'recipe "{recipe.name}", {problem}', [problem])


def fingerprint(path: str) -> str:
    """Return what changes whenever anything changes in the run at `path`: its files, and whether it is driven."""
    ledger = Ledger.at(path)
    root = Storage(path).root
    files = sorted(
        (name, size) for name, size in ledger.storage.find(root).items() if not name.endswith(".html")
    )
    return hashlib.sha256(json.dumps([files, ledger.driven()]).encode()).hexdigest()[:24]


class Look(NamedTuple):
    """What a look at a run saw."""

    fingerprint: str
    """Empty if there is no run."""
    status: dict[str, Any] | None
    """None if nothing has changed, or there is no run."""
    seconds: float
    """Of the processor's time that it took."""


def look(path: str, seen: str) -> Look:
    """Look at the run at `path`, whose fingerprint was `seen`."""
    from sweeper.commands.status import status_info

    started = time.process_time()
    found = fingerprint(path) if Ledger.at(path).info() is not None else ""
    status = None
    if found != seen and found:
        info = status_info(path)
        changed = time.time() - info.idle_seconds
        status = {**asdict(info), "done": info.done, "began": read_run_info(path).time, "changed": changed}
    return Look(found, status, time.process_time() - started)


def to_arrow(table: pd.DataFrame) -> bytes:
    """Return the table as an Arrow IPC stream."""
    import pyarrow as pa

    batch, file = pa.Table.from_pandas(table, preserve_index=False), io.BytesIO()
    with pa.ipc.new_stream(file, batch.schema) as writer:
        writer.write_table(batch)
    return file.getvalue()


RECORDS: dict[str, tuple[str, Callable[[pd.DataFrame], bytes]]] = {
    "json": ("application/json", to_json),
    "csv": ("text/csv", to_csv),
    "arrow": ("application/vnd.apache.arrow.stream", to_arrow),
    "parquet": ("application/vnd.apache.parquet", FORMATS["parquet"]),
}
"""Format of records → its media type, and what writes it."""


def write_records(path: str, out: Path, format_: str) -> None:
    """Write the records of a run to `out`."""
    _replace(out, RECORDS[format_][1](read_records(path)))


def write_report(path: str, out: Path) -> None:
    """Write the report of a run to `out`."""
    from analysis import report

    temporary = out.with_suffix(".part")
    report.write_report(path, temporary)
    temporary.replace(out)


def write_figures(path: str, out: Path) -> None:
    """Write the figures that a run suffices for, as JSON of name → Plotly figure, to `out`."""
    import plotly.graph_objects as go

    from analysis.figures.noise import noise_info, plot_noise
    from analysis.figures.posterior import plot_posterior, posterior_info
    from analysis.verdict import verdict

    found, figures = verdict(path), {}
    if found.curve is not None:
        figures["collapse"] = plot_noise(noise_info(found.curve, found.point, found.selection))
    if found.point is not None:
        figures["posterior"] = plot_posterior(posterior_info(found.point))
    texts = (f"{json.dumps(name)}:{go.Figure(figure).to_json()}" for name, figure in figures.items())
    _replace(out, f"{{{','.join(texts)}}}".encode())


def delete(path: str) -> None:
    """Delete a run, and what it alone refers to."""
    from sweeper.store import delete_run

    delete_run(path)


def _replace(out: Path, content: bytes) -> None:
    temporary = out.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.replace(out)
