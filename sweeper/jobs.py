"""Sweeps as jobs of a Ray cluster (Ray's Jobs API): they go on whatever happens to whoever submitted them.

The submission id of a run's first job is the name of the run. Ray takes an id once, so of several submits of the same
run one begins it and the others find it. A run that is gone on with gets further jobs, NAME~2, NAME~3, …
"""

import asyncio
import ipaddress
import logging
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from search_spaces.recipe import Recipe
from search_spaces.yaml_text import to_yaml
from sweeper.imports import import_paths
from sweeper.store import Storage
from sweeper.tuning.cluster import ClusterError

STOPPING = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "600"}
"""`ray job stop` drains the sweep, as Ctrl-C does, instead of killing it after three seconds."""

RECIPE_FILE = "recipe.yaml"
_ID = re.compile(r"(?P<run>[A-Za-z0-9_-][A-Za-z0-9._-]*)(~(?P<number>\d+))?")


@dataclass(frozen=True)
class JobInfo:
    """The latest job of a run."""

    run: str
    number: int
    """Counted from 1; each resume is one more."""
    status: JobStatus
    message: str
    """What Ray says of it; of a failed one the end of its log is part of that."""
    storage: str

    @property
    def id(self) -> str:
        """Ray's submission id."""
        return self.run if self.number == 1 else f"{self.run}~{self.number}"

    @property
    def active(self) -> bool:
        """Whether it is waiting or running."""
        return not self.status.is_terminal()

    @property
    def reason(self) -> str:
        """Why it failed, in a line: what the command said last, or Ray."""
        lines = [line for line in self.message.splitlines() if line and not line.startswith("Go on with: ")]
        said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return (said or lines or [""])[-1]


class Jobs:
    """The sweeps of the Ray cluster whose dashboard is at `address`.

    Args:
        address: http://HOST:PORT of the dashboard, by default port 8265 of the head.
        python: the Python that has sweeper, as the head finds it.

    Raises:
        ClusterError: if no dashboard answers there.
    """

    def __init__(self, address: str, python: str = "python") -> None:
        if urlsplit(address).scheme not in {"http", "https"}:
            raise ClusterError(f"--address {address}: give the dashboard's, as in http://HEAD:8265")
        for module in ("dashboard_sdk", "job.sdk"):
            logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.WARNING)
        logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.WARNING)
        # Ray prefers what the environment says to what it is told, and this to RAY_ADDRESS.
        os.environ["RAY_API_SERVER_ADDRESS"] = address
        self._address, self._python = address, python
        with self._reached():
            self._client = JobSubmissionClient(address, headers=_authorization())

    def submit(
        self, recipe: Recipe, storage: str, run: str, trials: int | None = None
    ) -> tuple[JobInfo, bool]:
        """Have the cluster run a sweep, or go on with it; return its job, and whether this call began it.

        Modules that the recipe names by import path travel with the job if they lie in the current directory.

        Raises:
            ClusterError: if the cluster doesn't take it.
        """
        command = ["run", RECIPE_FILE, "--storage", storage, "--name", run]
        return self._begin(recipe, storage, run, [*command, *(["--trials", str(trials)] if trials else [])])

    def measure(
        self, recipe: Recipe, storage: str, run: str, arguments: Sequence[str]
    ) -> tuple[JobInfo, bool]:
        """Have the cluster add to a run, `arguments` being those of `sweeper measure`; as `submit` otherwise.

        Raises:
            ClusterError: if the cluster doesn't take it.
        """
        return self._begin(recipe, storage, run, ["measure", run, "--storage", storage, *arguments])

    def _begin(
        self, recipe: Recipe, storage: str, run: str, arguments: Sequence[str]
    ) -> tuple[JobInfo, bool]:
        known = self.find(run)
        if known is not None and known.active:
            if known.storage != storage:
                raise ClusterError(f"run {run} is running in {known.storage}; choose another --name")
            return known, False
        job = JobInfo(run, known.number + 1 if known else 1, JobStatus.PENDING, "", storage)
        command = [self._python, "-m", "sweeper", *arguments, "--address", "auto"]
        with tempfile.TemporaryDirectory(prefix="sweeper-") as folder, self._reached():
            _pack(recipe, Path(folder))
            try:
                self._client.submit_job(
                    # Without exec, signals would go to a shell that doesn't pass them on.
                    entrypoint=f"exec {shlex.join(command)}",
                    submission_id=job.id,
                    runtime_env={"working_dir": folder, "env_vars": STOPPING},
                    metadata={"sweeper_storage": storage},
                )
            except RuntimeError as error:
                faster = self.find(run)
                if faster is None or faster.number < job.number:
                    raise ClusterError(f"--address {self._address}: {error}") from error
                return faster, False
        return job, True

    def stop(self, run: str) -> None:
        """Stop a job that has not begun its sweep; one that has drains.

        Raises:
            ClusterError: if the cluster doesn't answer.
        """
        job = self.find(run)
        if job is not None and job.active:
            with self._reached():
                self._client.stop_job(job.id)

    def forget(self, run: str) -> None:
        """Have the cluster forget the jobs of a run, which must have ended.

        Raises:
            ClusterError: if one has not, or the cluster doesn't answer.
        """
        with self._reached():
            for details in self._client.list_jobs():
                if (job := _job(details)) and job.run == run:
                    self._client.delete_job(job.id)

    def find(self, run: str) -> JobInfo | None:
        """Return the latest job of a run, None if the cluster knows of none.

        Raises:
            ClusterError: if the cluster doesn't answer.
        """
        return self.all().get(run)

    def all(self) -> dict[str, JobInfo]:
        """Return run → its latest job.

        Raises:
            ClusterError: if the cluster doesn't answer.
        """
        with self._reached():
            jobs = [job for details in self._client.list_jobs() if (job := _job(details))]
        return {job.run: job for job in sorted(jobs, key=lambda job: job.number)}

    def follow(self, job: JobInfo) -> Iterator[str]:
        """Yield the job's log as it grows, until the job ends; a connection that breaks is taken up again.

        Raises:
            ClusterError: if the cluster doesn't answer any more.
        """
        told = 0
        with asyncio.Runner() as runner:
            while True:
                # Each connection tells the log from its beginning.
                seen, log = 0, self._client.tail_job_logs(job.id)
                try:
                    while (chunk := runner.run(anext(log, None))) is not None:
                        yield chunk[max(0, told - seen) :]
                        seen += len(chunk)
                        told = max(told, seen)
                except (RuntimeError, aiohttp.ClientError):
                    pass
                if not self.current(job).active:
                    return

    def current(self, job: JobInfo) -> JobInfo:
        """Return what has become of a job.

        Raises:
            ClusterError: if the cluster doesn't answer.
        """
        with self._reached():
            found = _job(self._client.get_job_info(job.id))
        assert found is not None
        return found

    def _reached(self) -> "_Reached":
        return _Reached(self._address)


class _Reached:
    """Turns what Ray's client raises into a `ClusterError`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AuthenticationError):
            way_out = "give its token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
            raise ClusterError(f"--address {self._address}: the cluster refuses us; {way_out}") from error
        if isinstance(error, RuntimeError | ConnectionError | requests.RequestException):
            reason = str(error).strip().partition("\n")[0]
            raise ClusterError(f"--address {self._address}: {reason}") from error


def _authorization() -> dict[str, str]:
    """Return the header for clusters that want a token, from where Ray looks for it, too."""
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    token = os.environ.get("RAY_AUTH_TOKEN") or (file.read_text().strip() if file.is_file() else "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def check_reachable_storage(storage: str, address: str) -> str:
    """Return `storage` as a cluster's nodes find it: a URL or an absolute path.

    Raises:
        ValueError: if it is a path of this machine's and the cluster is elsewhere.
    """
    place = Storage(storage)
    near = is_loopback(urlsplit(address).hostname or "")
    if place.local and not (near or storage.startswith(("/", "file:/"))):
        raise ValueError(
            f"--storage {storage}: the cluster at {address} can't see a folder of this machine; give a URL such as "
            "s3://bucket/sweeps, or the absolute path of a folder that all its nodes share"
        )
    return place.url


def is_loopback(host: str) -> bool:
    """Return whether `host` is a name or an address of this machine that no other reaches."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _job(details: JobDetails) -> JobInfo | None:
    """Return what we know a job by, None if it is no sweep's."""
    match = _ID.fullmatch(details.submission_id or "")
    storage = (details.metadata or {}).get("sweeper_storage")
    if match is None or storage is None:
        return None
    return JobInfo(match["run"], int(match["number"] or 1), details.status, details.message or "", storage)


def _pack(recipe: Recipe, folder: Path) -> None:
    """Write into `folder` what a job needs: the recipe, and the modules here that it names by import path."""
    (folder / RECIPE_FILE).write_text(to_yaml(recipe), encoding="utf-8")
    for name in {path.partition(":")[0].partition(".")[0] for path in import_paths(recipe)}:
        module = Path(name)
        if module.with_suffix(".py").is_file():
            shutil.copy(module.with_suffix(".py"), folder)
        elif module.is_dir():
            shutil.copytree(module, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
