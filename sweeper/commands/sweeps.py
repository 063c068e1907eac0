"""Running sweeps: run, resume, status, stop."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.commands.request import (
    STORAGE,
    AddressOption,
    NameOption,
    RecipeArgument,
    RunArgument,
    ScaleOption,
    SeedOption,
    SetOption,
    StorageOption,
    TrialsOption,
    build_recipe,
    find_run,
    run_path,
)
from sweeper.commands.results import write_report_of

if TYPE_CHECKING:
    from sweeper.tuning import Listener, Run


def run(
    recipe: RecipeArgument,
    scale: ScaleOption = None,
    set_: SetOption = None,
    trials: TrialsOption = None,
    storage: StorageOption = STORAGE,
    name: NameOption = None,
    address: AddressOption = None,
    seed: SeedOption = None,
) -> int:
    """Run a sweep, and end with S*, the learning rates that follow, and a report.

    The same recipe, seed, name and storage is the same run: what it has finished is not trained again.
    Ctrl-C lets running trials reach their next branch point; `sweeper resume` goes on from there.

    Example: sweeper run digits --scale cpu --set train/momentum=0.5 train/weight_decay=1e-3
    """
    chosen = build_recipe(recipe, scale, set_, trials, seed)
    path = run_path(chosen, storage, name)
    from sweeper import tuning

    return _sweep(path, lambda shown: tuning.run(chosen, storage, name, address=address, listener=shown))


def resume(
    run: RunArgument,
    trials: TrialsOption = None,
    address: AddressOption = None,
    storage: StorageOption = STORAGE,
) -> int:
    """Go on with a run where it stopped, or with more trials than before.

    Example: sweeper resume digits-cpu-1f2e3d4c --trials 80
    """
    path = find_run(run, storage)
    from sweeper import tuning

    return _sweep(path, lambda listener: tuning.resume(path, trials, address, listener))


def status(
    run: RunArgument,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    storage: StorageOption = STORAGE,
) -> None:
    """Say how far a run is: trials, epochs, S* so far.

    Example: sweeper status digits-cpu-1f2e3d4c --json
    """
    path = find_run(run, storage)
    from sweeper.commands import console
    from sweeper.commands.status import status_info

    info = status_info(path)
    if json:
        print(info.to_json())
    else:
        console.show_status(info)


def stop(run: RunArgument, storage: StorageOption = STORAGE) -> None:
    """Ask the process that runs a sweep to drain: trials end at their next branch point, none starts.

    Example: sweeper stop digits-cpu-1f2e3d4c
    """
    path = find_run(run, storage)
    from sweeper.store import Ledger

    Ledger.at(path).request_stop()
    print(f"{path} is asked to stop: trials end at their next branch point, and what is finished is kept.")
    print(f"Go on with: sweeper resume {path}")


def _sweep(path: str, start: "Callable[[Listener], Run]") -> int:
    """Run a sweep with live progress, say how it ended, and return the exit status.

    Raises:
        StorageError: if the storage can't be used from the start.
    """
    from analysis.recommend import whole_verdict
    from sweeper.commands import console
    from sweeper.commands.live import display
    from sweeper.store import StorageError

    reason = ""
    with display(f"{path}: starting") as shown:
        try:
            ended = start(shown)
        except KeyboardInterrupt:
            reason = "interrupted"
        except StorageError as error:
            if not shown.has_begun:
                raise
            # A disk that fills up under a running sweep is no fault of the request.
            reason = str(error)
    if reason := reason or _why_unfinished(ended):
        print(f"{reason}; what is finished is kept\nGo on with: sweeper resume {path}", file=sys.stderr)
        return 1
    report = write_report_of(path)
    if ended.stopped_early:
        print(f"The search ended itself: {ended.stopped_early}.")
    console.show_verdict(whole_verdict(path))
    console.show_ended(ended.trials, path, report)
    return 0


def _why_unfinished(ended: "Run") -> str:
    """Return why a sweep has not finished, "" if it has."""
    if ended.storm:
        return ended.storm
    if ended.status == "failed":
        return f"{ended.failed} of the trials failed, the first with: {_first_failure(ended.path)}"
    return f"stopped after {ended.trials} trials" if ended.status == "stopped" else ""


def _first_failure(path: str) -> str:
    from analysis.reading import read_trials

    trials = read_trials(path)
    return str(trials[trials["status"] == "failed"]["error"].iloc[0])
