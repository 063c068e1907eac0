"""Sweeps on a cluster, by way of its dashboard: submit."""

import contextlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from sweeper.commands.request import (
    STORAGE,
    NameOption,
    RecipeArgument,
    ScaleOption,
    SeedOption,
    SetOption,
    StorageOption,
    TrialsOption,
    build_recipe,
    one_line,
    refuse,
)

if TYPE_CHECKING:
    from sweeper.jobs import JobInfo, Jobs

DASHBOARD = "http://127.0.0.1:8265"
"""Where `ray start --head` and `kubectl port-forward` put a dashboard."""

DashboardOption = Annotated[
    str,
    typer.Option("--address", metavar="URL", help="Of the cluster's dashboard, http://HEAD:8265."),
]
PythonOption = Annotated[
    str, typer.Option("--python", metavar="PATH", help="The cluster's Python that has sweeper.")
]


def submit(
    recipe: RecipeArgument,
    address: DashboardOption = DASHBOARD,
    scale: ScaleOption = None,
    set_: SetOption = None,
    trials: TrialsOption = None,
    storage: StorageOption = STORAGE,
    name: NameOption = None,
    seed: SeedOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the job's log until it ends; Ctrl-C only ends the showing.")
    ] = False,
    python: PythonOption = "python",
) -> int:
    """Have a Ray cluster run a sweep as a job, which goes on when this machine goes away.

    The same recipe, seed and name is the same run: submitted again while it runs, it is only followed; afterwards, it
    goes on where it stopped. `sweeper stop` lets it end at the next branch points.

    Example: sweeper submit digits --address http://head:8265 --storage s3://bucket/sweeps --follow
    """
    need_service("submit")
    chosen = build_recipe(recipe, scale, set_, trials, seed)
    from sweeper.jobs import Jobs, check_reachable_storage
    from sweeper.store import Ledger
    from sweeper.tuning import default_name

    with one_line():
        url = check_reachable_storage(storage, address)
        run = Ledger(url, name or default_name(chosen))
    jobs = Jobs(address, python)
    job, begun = jobs.submit(chosen, url, run.run)
    print(
        f"{run.path} {'is submitted' if begun else 'is there already'} as job {job.id}, {job.status.lower()}"
    )
    if follow:
        return _follow(jobs, job)
    print(f"Follow it with: ray job logs --follow --address {address} {job.id}")
    print(f"Stop it with: sweeper stop {run.path}")
    return 0


def need_service(command: str) -> None:
    """Refuse a command whose packages are not installed.

    Raises:
        WrongRequest: naming the extra that has them.
    """
    if any(find_spec(package) is None for package in ("aiohttp", "fastapi", "uvicorn", "limits")):
        refuse(f"{command} needs more packages: pip install 'sweeper[service]'")


def _follow(jobs: "Jobs", job: "JobInfo") -> int:
    with contextlib.suppress(KeyboardInterrupt):
        for text in jobs.follow(job):
            print(text, end="", flush=True)
        ended = jobs.current(job)
        return 0 if ended.status == "SUCCEEDED" else 1
    print(f"\nJob {job.id} goes on.")
    return 0
