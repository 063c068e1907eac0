"""What the commands have in common: their arguments, and how these become recipes and runs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from search_spaces.recipe import Recipe

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A name from `sweeper list`, or a YAML file.")
]
ScaleOption = Annotated[
    str | None,
    typer.Option("--scale", metavar="smoke|cpu|paper", help="Size of a named recipe; default cpu."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE …", help="Override fields, as in train/momentum=0.5; repeatable."
    ),
]
TrialsOption = Annotated[
    int | None, typer.Option("--trials", min=1, metavar="N", help="How many trials at most.")
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Of the run; default: recipe, scale and identity."),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, metavar="N", help="Seed of the sweep and its trials.")
]
StorageOption = Annotated[
    str,
    typer.Option(
        "--storage", metavar="URL", envvar="SWEEPER_STORAGE", help="Path or URL that holds the runs."
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDR", help="Of a Ray cluster; default: Ray on this machine."),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A path or URL, or the name of a run under --storage.")
]

STORAGE = "sweeps"
"""Where runs are kept unless --storage or SWEEPER_STORAGE says otherwise."""


class WrongRequest(typer.TyperException):
    """A request that can't be met: one line with the thing, its value, and the way out."""

    exit_code = 2


def refuse(text: str) -> NoReturn:
    """Refuse a request.

    Raises:
        WrongRequest: with `text`.
    """
    raise WrongRequest(text)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Refuse a request to write where nothing can be written.

    Raises:
        WrongRequest: naming the file.
    """
    try:
        yield
    except OSError as error:
        raise WrongRequest(f"{out} cannot be written: {error.strerror}; name another file with -o") from error


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """Turn a `ValueError` about what the user gave into a `WrongRequest`.

    Raises:
        WrongRequest: in its place.
    """
    try:
        yield
    except ValueError as error:
        raise WrongRequest(str(error)) from error


def build_recipe(
    recipe: str,
    scale: str | None,
    assignments: list[str] | None,
    trials: int | None = None,
    seed: int | None = None,
) -> "Recipe":
    """Return the recipe with what the options change.

    Raises:
        RecipeError: if there is no such recipe, or an option doesn't fit it.
        WrongRequest: if an option and --set contradict each other.
    """
    from search_spaces import load_recipe
    from search_spaces.yaml_text import parse_assignments

    overrides: dict[str, Any] = parse_assignments(assignments or [])
    for option, path, value in (("trials", "search/trials", trials), ("seed", "seed", seed)):
        if value is not None and path in overrides:
            raise WrongRequest(f"--{option} {value} and --set {path}={overrides[path]}: give one of the two")
        if value is not None:
            overrides[path] = value
    return load_recipe(recipe, scale, overrides)  # type: ignore[arg-type]  # an unknown scale is refused there


def run_path(recipe: "Recipe", storage: str, name: str | None = None) -> str:
    """Return where the run of a recipe is, or will be.

    Raises:
        WrongRequest: if it can't have that name.
        StorageError: if no file system serves the storage.
    """
    from sweeper.store import Ledger
    from sweeper.tuning import default_name

    with one_line():
        return Ledger(storage, name or default_name(recipe)).path


def find_run(run: str, storage: str) -> str:
    """Return the path or URL of a run, given as such or as a name under `storage`.

    Raises:
        WrongRequest: if there is no such run; it lists those that there are.
        RunError: if its head is damaged.
        StorageError: if the storage can't be read.
    """
    from analysis.reading import read_run_info
    from sweeper.store import Storage
    from sweeper.store.ledger import list_runs

    for url in [run] if "/" in run else [f"{storage}/runs/{run}", run]:
        place = Storage(url)
        if place.read(f"{place.root}/run.json") is not None:
            read_run_info(place.url)
            return place.url
    known = ", ".join(list_runs(Storage(storage)))
    there = (
        f"storage {storage} has {known}" if known else f"storage {storage} has none; name another --storage"
    )
    raise WrongRequest(f'no run "{run}": {there}')
