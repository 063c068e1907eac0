"""Adding merges and measures to a run: measure."""

import sys
from typing import Annotated, Any

import typer

from sweeper.commands.request import (
    STORAGE,
    AddressOption,
    RunArgument,
    StorageOption,
    find_run,
    refuse,
)


def measure(
    run: RunArgument,
    merge: Annotated[
        str | None,
        typer.Option("--merge", metavar="KIND", help="linear, ties, … as under `merges` of a recipe."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", metavar="MEASURE", help="cka, curvature, … as under `measures/also`; repeatable."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE …",
            help="Fields of the merge, as in density=0.3, or of the measures, as in measures/eigenvalues=4.",
        ),
    ] = None,
    address: AddressOption = None,
    storage: StorageOption = STORAGE,
) -> int:
    """Add a merge or measures to a run that has ended, from its stored endpoints. Trains nothing.

    What has been added is not measured again. Exit status 1 if something was left out; it says what and why.

    Example: sweeper measure digits-cpu-1f2e3d4c --merge ties --set density=0.3 alphas=[0.4,0.7,1]
    """
    if merge is None and not also:
        refuse("nothing to measure: name --merge KIND, --also MEASURE, or both")
    fields, measures = _settings(merge, set_ or [])
    path = find_run(run, storage)
    from sweeper import tuning
    from sweeper.commands import console
    from sweeper.commands.live import counter

    asked = None if merge is None else {"kind": merge, **fields}
    with counter(f"{path}: starting", "trials") as shown:
        try:
            tally = tuning.measure(
                path, asked, also or (), measures, address, lambda seen: shown(seen.done, seen.total)
            )
        except KeyboardInterrupt:
            tally = None
    if tally is None:
        print("interrupted; what is finished is kept\nGo on with the same command", file=sys.stderr)
        return 1
    console.show_added(tally)
    return int(bool(tally.left_out))


def _settings(merge: str | None, assignments: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is set of the merge, and what of the measures.

    Raises:
        WrongRequest: if something else is set.
        RecipeError: if an assignment can't be read.
    """
    from search_spaces.yaml_text import parse_assignments

    fields: dict[str, Any] = {}
    measures: dict[str, Any] = {}
    for name, value in parse_assignments(assignments).items():
        if name.startswith("measures/"):
            measures[name.removeprefix("measures/")] = value
        elif "/" in name:
            refuse(f"--set {name}: it is trained already; set fields of the merge, or measures/…")
        elif merge is None:
            refuse(f"--set {name}: a field of what merge? name it with --merge, or set measures/…")
        else:
            fields[name] = value
    return fields, measures
