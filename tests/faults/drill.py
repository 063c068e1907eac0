"""Drills: a grid on several Ray nodes is disturbed at random moments, and must end as the undisturbed one.

    python -m tests.faults.drill --drills 20 --seed 0 --folder FOLDER

Prints a table. Called again with the same folder, it goes on where it was ended.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.reading import read_records, read_trials
from search_spaces import Recipe, parse_recipe, to_yaml
from sweeper.store import Ledger
from tests.faults.nodes import ENVIRONMENT, Host, address_of, join, namespaces_work, nodes

ROOT = Path(__file__).parents[2]
ORDER = ["trial", "branch_step", "key_a", "key_b", "batchnorm", "split", "metric"]
ATTEMPTS = 6


def recipe(trials: int, diary: Path) -> Recipe:
    """Return a grid of trials of about a second, with three branch points each."""
    scales = [1e-2 * 1.1**number for number in range(-(-trials // 2))]
    content: dict[str, Any] = {
        "name": "drill",
        "task": {"name": "digits", "train_size": 100, "validation_size": 200},
        "model": {"name": "tests.faults.components:counted_model", "settings": {"diary": str(diary)}},
        "train": {"noise_scale": 0.01, "batch_size": 5, "augment": "shift"},
        "trunk": {"epochs": 60, "branch_every": 20},
        "branch": {"decay_epochs": 5},
        "measures": {"splits": ["validation"], "batchnorm": "averaged"},
        "space": {"train/noise_scale": {"values": scales}, "train/batch_size": {"values": [4, 5]}},
        "search": {"sampler": "grid", "trials": trials},
        "resources": {"retries": 10},
    }
    return parse_recipe(content)


@dataclass(frozen=True)
class Result:
    """What one drill gave, in comparison with the undisturbed run."""

    drill: int
    faults: str
    seconds: float
    drivers: int
    trials: int
    records_equal: bool
    lost: int
    """Trials that were finished, and were not as they had been at the end."""
    trained_twice: int
    """Checkpoints that the records of more than one branch point count as trained."""
    epochs: float
    steps_repeated: int
    """Training steps beyond those of the undisturbed run: of work that no branch point had recorded."""

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, changed, or trained twice."""
        return self.records_equal and not self.lost and not self.trained_twice


class Sweep:
    """One grid in a storage of its own, run by drivers that may be killed."""

    def __init__(self, folder: Path, trials: int, head: Host) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.storage, self.diary, self._head = folder / "storage", folder / "diary", head
        # The same for every sweep, since it is part of the model, and so of every key.
        self._open_diary = folder.parent / "diary"
        self.trials = trials
        self._recipe = folder / "recipe.yaml"
        self._recipe.write_text(to_yaml(recipe(trials, self._open_diary)), encoding="utf-8")
        self.drivers = 0
        self._driver: subprocess.Popen[str] | None = None

    def run(self) -> None:
        """Run drivers until one says that the sweep is done."""
        if self.diary.exists():
            return
        self._open_diary.unlink(missing_ok=True)
        for _ in range(ATTEMPTS):
            self.drivers += 1
            command = [*self._head.prefix, sys.executable, "-m", "tests.faults.driver", str(self._recipe)]
            log = self.storage.with_name(f"driver-{self.drivers}.log").open("w")
            with (
                log,
                subprocess.Popen(
                    [*command, str(self.storage), "--address", address_of(self._head)],
                    cwd=ROOT,
                    env=ENVIRONMENT,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                ) as self._driver,
            ):
                output = self._driver.communicate()[0]
            if output.endswith(f"done {self.trials} 0\n"):
                self._open_diary.rename(self.diary)
                return
        raise AssertionError(f"the sweep does not end: {output}")

    def kill_driver(self) -> None:
        """End the driver at once."""
        if self._driver is not None:
            self._driver.kill()

    @property
    def path(self) -> str:
        """Where the run is."""
        return f"{self.storage}/runs/run"

    def ended(self) -> dict[str, dict[str, Any]]:
        """Return the outcome of each trial that has ended."""
        if not Path(self.path, "run.json").exists():
            return {}
        trials = read_trials(self.path)
        return {
            row["trial"]: row for row in trials[~trials.status.isin(["running", "failed"])].to_dict("records")
        }

    def seconds(self) -> float:
        """Return how long after its first trial the last one ended."""
        times = [row["time"] for row in self.ended().values()]
        return max(times) - min(times)

    def records(self) -> pd.DataFrame:
        """Return what must be equal."""
        return read_records(self.path).drop(columns="attempt").sort_values(ORDER).reset_index(drop=True)

    def trained(self) -> Counter[str]:
        """Return how often each checkpoint was trained."""
        ledger = Ledger(str(self.storage), "run")
        stages = [stage for s in ledger.suggestions() for stage in ledger.stages(s.trial).values()]
        return Counter(key for stage in stages for key in stage.trained)

    def epochs(self) -> float:
        """Return the epochs of all checkpoints."""
        ledger = Ledger(str(self.storage), "run")
        stages = [stage for s in ledger.suggestions() for stage in ledger.stages(s.trial).values()]
        return sum(sum(stage.trained.values()) for stage in stages)

    def steps(self) -> int:
        """Return how many steps were trained, those of lost work too."""
        return self.diary.stat().st_size


@dataclass
class Scene:
    """What a fault may do something to."""

    sweep: Sweep
    head: Host
    hosts: list[Host]
    rng: random.Random
    suspended_seconds: tuple[float, float] = (5.0, 45.0)
    cut_seconds: float = 60.0

    def host(self) -> Host:
        """Return some worker node."""
        return self.rng.choice(self.hosts)

    def revive(self, host: Host) -> None:
        """Start a node where Ray has given up the last one, or where it was killed."""
        time.sleep(2)
        if host.raylet() is None:
            host.stop()
            join(host, self.head)


def kill_node(scene: Scene) -> None:
    """SIGKILL a worker node's raylet; another node takes its place."""
    host = scene.host()
    host.signal(signal.SIGKILL)
    scene.revive(host)


def suspend_raylet(scene: Scene) -> None:
    """SIGSTOP a raylet, and continue it, maybe after Ray has given it up."""
    host = scene.host()
    host.signal(signal.SIGSTOP)
    time.sleep(scene.rng.uniform(*scene.suspended_seconds))
    host.signal(signal.SIGCONT)
    scene.revive(host)


def cut_link(scene: Scene) -> None:
    """Cut a worker node off."""
    host = scene.host()
    host.cut()
    time.sleep(scene.cut_seconds)
    host.mend()
    scene.revive(host)


def kill_driver(scene: Scene) -> None:
    """SIGKILL the driver; the next one resumes."""
    scene.sweep.kill_driver()


FAULTS: dict[str, Callable[[Scene], None]] = {
    "node killed": kill_node,
    "raylet suspended": suspend_raylet,
    "link cut": cut_link,
    "driver killed": kill_driver,
}


def disturb(scene: Scene, faults: Sequence[str], within: float) -> None:
    """Let the faults happen, each at a random moment of the sweep."""
    while not scene.sweep.ended():
        time.sleep(0.2)
    started = time.monotonic()
    moments = sorted(scene.rng.uniform(0, within) for _ in faults)
    for name, moment in zip(faults, moments, strict=True):
        time.sleep(max(0.0, started + moment - time.monotonic()))
        FAULTS[name](scene)


@contextmanager
def watching(sweep: Sweep) -> Iterator[set[str]]:
    """Yield the set of trials that were seen finished and later otherwise, filled as the block runs."""
    lost: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        seen: dict[str, dict[str, Any]] = {}
        while not done.wait(1.0):
            now = sweep.ended()
            lost.update(trial for trial, row in seen.items() if now.get(trial) != row)
            seen = now

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()


def drill(number: int, scene: Scene, faults: Sequence[str], calm: Sweep) -> Result:
    """Disturb one sweep and compare it with the undisturbed one."""
    started = time.monotonic()
    saboteur = threading.Thread(target=disturb, args=(scene, faults, calm.seconds() / 2))
    with watching(scene.sweep) as lost:
        saboteur.start()
        scene.sweep.run()
        saboteur.join()
    trained = scene.sweep.trained()
    return Result(
        drill=number,
        faults=", ".join(faults),
        seconds=round(time.monotonic() - started, 1),
        drivers=scene.sweep.drivers,
        trials=len(scene.sweep.ended()),
        records_equal=_equal(scene.sweep.records(), calm.records()),
        lost=len(lost),
        trained_twice=sum(times > 1 for times in trained.values())
        + len(trained.keys() - calm.trained().keys()),
        epochs=scene.sweep.epochs(),
        steps_repeated=scene.sweep.steps() - calm.steps(),
    )


def _equal(ours: pd.DataFrame, calm: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(ours, calm, check_exact=True)
    except AssertionError:
        return False
    return True


def undisturbed(folder: Path, trials: int, head: Host) -> Sweep:
    """Return the sweep to compare with, which is run once."""
    calm = Sweep(folder, trials, head)
    calm.run()
    return calm


def drills(folder: Path, count: int, seed: int, trials: int, workers: int) -> Iterator[Result]:
    """Run the drills that `folder` doesn't hold yet; yield all results."""
    names = [name for name in FAULTS if name != "link cut" or namespaces_work()]
    for number in range(count):
        kept = folder / f"drill-{number}.json"
        if not kept.exists():
            rng = random.Random(f"{seed} {number}")
            faults = rng.sample(names, 2)
            with nodes(workers) as (head, hosts):
                calm = undisturbed(folder / "calm", trials, head)
                scene = Scene(Sweep(folder / f"sweep-{number}", trials, head), head, hosts, rng)
                kept.write_text(json.dumps(asdict(drill(number, scene, faults, calm))))
        yield Result(**json.loads(kept.read_text()))


def main() -> None:
    """Run drills from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    print(
        "| drill | faults | s | drivers | trials | records equal | lost | trained twice | epochs | steps repeated |"
    )
    print("|" + "---|" * 10)
    passed = []
    for result in drills(asked.folder.resolve(), asked.drills, asked.seed, asked.trials, asked.workers):
        print("|", " | ".join(map(str, asdict(result).values())), "|", flush=True)
        passed.append(result.passed)
    print(f"\n{sum(passed)} of {len(passed)} drills passed; load {os.getloadavg()[0]:.1f}")
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
