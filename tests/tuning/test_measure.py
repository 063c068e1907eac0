"""Merges and measures that are added to a run from what it stored."""

import shutil

import pytest

import sweeper.tuning
from analysis.reading import read_measurements, read_records, read_run_info
from analysis.report import read_runs, run_experiments
from analysis.sections.curvature import curvature
from analysis.sections.paths import paths
from analysis.verdict import read_objective
from search_spaces import RecipeError, parse_recipe
from sweeper.additions import Addition
from sweeper.store import Ledger, StorageError, Store
from sweeper.store.leases import lease
from sweeper.tuning import measure
from sweeper.tuning.job import Job
from sweeper.tuning.second_stage import add
from tests.tuning.recipes import small_recipe

SPACE = {"train/noise_scale": {"values": [0.02, 0.1]}}
BRANCH = {"decay_epochs": 2}
TIES = {"kind": "ties", "density": 0.3, "alphas": [0.5, 1.0]}
ORDER = ["trial", "branch_step", "key_a", "key_b", "merge", "alpha", "batchnorm", "split", "metric"]


def recipe_of(**changes):
    return small_recipe(space=SPACE, branch=BRANCH, **changes)


@pytest.fixture(scope="module")
def stored(ray_cluster, tmp_path_factory):
    """The storage of a run of two trials with two branch points each."""
    storage = tmp_path_factory.mktemp("stored")
    sweeper.tuning.run(recipe_of(), str(storage), name="plain")
    return storage


@pytest.fixture
def finished(stored, tmp_path):
    """A copy of that run, to be added to."""
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "runs" / "plain")


def rows(table, merge):
    return (
        table[table["merge"] == merge]
        .drop(columns=["run", "trial", "attempt"])
        .sort_values(ORDER[1:], ignore_index=True)
    )


def objects(path):
    store = Store(path.rpartition("/runs/")[0])
    return set(store.keys())


def test_an_added_merge_equals_one_of_the_recipe_and_trains_nothing(finished, tmp_path):
    before = objects(finished)
    tally = measure(finished, TIES, also=["distance"])
    assert (tally.branch_points, tally.epochs, dict(tally.left_out)) == (4, 0.0, {})
    assert objects(finished) == before
    with_ties = recipe_of(merges=[{"kind": "linear"}, TIES], measures={"also": ["distance"]})
    other = sweeper.tuning.run(with_ties, str(tmp_path), name="with-ties").path
    added, expected = read_records(finished), read_records(other)
    assert tally.records == len(rows(added, "ties"))
    assert rows(added, "ties").equals(rows(expected, "ties"))
    assert rows(added, "linear").equals(rows(expected, "linear"))
    measured = [read_measurements(path).drop(columns=["run", "trial"]) for path in (finished, other)]
    by = ["branch_step", "subject", "name", "index"]
    assert len(measured[0]) == tally.measurements > 0
    first, second = (table.sort_values(by, ignore_index=True) for table in measured)
    assert first.equals(second)


def test_what_was_added_is_not_measured_again(finished):
    measure(finished, {"kind": "linear", "alphas": [0.25, 0.5]})
    table = read_records(finished)
    assert sorted(table.alpha.unique()) == [0.25, 0.5]
    assert not table.duplicated([*ORDER, "eval_task"]).any()
    again = measure(finished, {"kind": "linear", "alphas": [0.25, 0.5]})
    assert (again.branch_points, again.there, again.records) == (0, 4, 0)
    assert read_records(finished).equals(table)


def test_each_branch_point_is_kept_as_it_is_measured(finished, monkeypatch):
    """Interrupted after its first branch point, a trial goes on with the second."""
    ledger = Ledger.at(finished)
    recipe = parse_recipe(read_run_info(finished).recipe)
    job = Job(recipe, ledger.storage.url, ledger.run)
    addition = Addition(
        recipe.measures, parse_recipe({**recipe.model_dump(mode="json"), "merges": [TIES]}).merges[0]
    )
    trial = ledger.suggestions()[0]
    whole, calls = Addition.stage, []

    def stage(self, of, step):
        calls.append(step)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, of, step)

    monkeypatch.setattr(Addition, "stage", stage)
    with pytest.raises(KeyboardInterrupt):
        add(job, addition, trial)
    tally = add(job, addition, trial)
    assert (tally.there, tally.branch_points) == (1, 1)
    assert calls == [calls[0], calls[1], calls[1]]


def test_the_headline_is_not_moved_by_what_is_added(finished):
    before, *_ = read_objective(finished, {})
    measure(finished, {"kind": "linear", "align": "weight_matching"})
    after, *_ = read_objective(finished, {})
    assert len(read_records(finished)) > len(before)
    assert after.reset_index(drop=True).equals(before.reset_index(drop=True))


def test_the_report_grows_what_was_added(finished):
    def page():
        first, *_ = run_experiments(read_runs(finished)[0])
        view = next(iter(first.values()))
        return [len(section(view).drawings) for section in (paths, curvature)]

    assert page() == [0, 0]
    measure(
        finished,
        {"kind": "linear", "alphas": [0.25, 0.5, 0.75]},
        ["curvature"],
        {"eigenvalues": 1, "curvature_examples": 20},
    )
    assert page() == [1, 1]


@pytest.mark.parametrize(
    ("kept", "merge", "reason"),
    [
        ("nothing", TIES, "endpoints are not stored"),
        ("endpoints", TIES, "the network at the branch point is not stored"),
        ("all", {"kind": "linear", "swa": 2}, "retention/last=2"),
    ],
)
def test_what_was_not_retained_is_left_out_and_named(kept, merge, reason, finished):
    store, records = Store(finished.rpartition("/runs/")[0]), read_records(finished)
    endpoints = {*records.key_a, *records.key_b}
    for key in list(store.keys()):
        if kept == "nothing" or (kept == "endpoints" and key not in endpoints):
            store.delete(key)
    before = objects(finished)
    tally = measure(finished, merge)
    [(why, count)] = tally.left_out.items()
    assert reason in why
    assert (count, tally.records, tally.epochs) == (4, 0, 0.0)
    assert objects(finished) == before
    assert read_records(finished).equals(records)


def test_a_trial_that_dies_is_left_out_and_the_others_go_on(finished):
    ledger = Ledger.at(finished)
    endpoint = read_records(finished).key_a[0]
    Store(ledger.storage.url).save(endpoint, {}, {"status": "ok"})
    tally = measure(finished, TIES)
    assert tally.branch_points >= 2
    assert sum(tally.left_out.values()) == 1


def test_two_at_a_time_are_refused(finished):
    ledger = Ledger.at(finished)
    with (
        lease(ledger.storage, f"measure-{ledger.run}", 60.0),
        pytest.raises(StorageError, match="is being measured by"),
    ):
        measure(finished, TIES)
    with lease(ledger.storage, ledger.driver_key, 60.0), pytest.raises(StorageError, match="is being run"):
        measure(finished, TIES)


def test_what_the_networks_cannot_have_is_a_wrong_request(finished):
    for merge, also, problem in [
        ({"kind": "ties", "density": 0}, [], "density"),
        ({"kind": "linear", "swa": 9}, [], "a branch has 2 checkpoints"),
        (None, ["laplace_fit"], "laplace_fit"),
    ]:
        with pytest.raises(RecipeError, match=problem):
            measure(finished, merge, also)
