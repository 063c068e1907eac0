"""A mistake costs one line and exit status 2: the thing, its value, the way out."""

import subprocess
import sys

import pytest

from analysis.records import RunInfo
from search_spaces import load_recipe
from sweeper.tuning.job import code_of

BAD_YAML = {
    "empty.yaml": "",
    "text.yaml": "name: [unclosed",
    "list.yaml": "- a\n- b\n",
    "unknown.yaml": "name: a\nspeed: 3\n",
}

WRONG = {
    "no command": (["fly"], "fly"),
    "no recipe": (["run"], "RECIPE"),
    "unknown option": (["run", "digits", "--speed", "3"], "--speed"),
    "no number": (["run", "digits", "--trials", "many"], "--trials"),
    "no trials": (["run", "digits", "--trials", "0"], "--trials"),
    "unknown recipe": (["run", "fig99"], 'no recipe "fig99"'),
    "unknown scale": (["plan", "digits", "--scale", "huge"], "smoke, cpu, paper"),
    "scale of a file": (["plan", "tiny.yaml", "--scale", "cpu"], "leave out --scale"),
    "missing file": (["plan", "missing.yaml"], "missing.yaml"),
    "empty file": (["run", "empty.yaml"], "holds nothing"),
    "not yaml": (["run", "text.yaml"], "is not YAML: line 1"),
    "a list": (["run", "list.yaml"], "holds no mapping"),
    "unknown field": (["run", "unknown.yaml"], "speed"),
    "unknown path": (["plan", "digits", "--set", "train/speed=3"], "speed"),
    "no assignment": (["plan", "digits", "--set", "train/momentum"], "write path=value"),
    "set twice": (["plan", "digits", "--seed", "1", "--set", "seed=2"], "--seed 1 and --set seed=2"),
    "reversed bounds": (
        ["plan", "digits", "--set", "space/train/noise_scale={low: 1, high: 0.1}"],
        "low 1.0 is above high 0.1",
    ),
    "lr and noise scale": (
        ["plan", "fig1", "--set", "space={train/momentum: [0]}", "train/lr=1", "train/noise_scale=1"],
        "train/lr and train/noise_scale are both set",
    ),
    "batch too large": (
        ["plan", "digits", "--set", "space/train/batch_size={values: [601]}"],
        "train/batch_size 601 is larger than the training set of 600",
    ),
    "batch too large to run": (
        ["run", "digits", "--set", "space/train/batch_size={values: [601]}"],
        "train/batch_size 601 is larger than the training set of 600",
    ),
    "branch beyond the trunk": (
        ["plan", "digits", "--set", "trunk/branch_every=200"],
        "branch_every 200 is beyond the trunk's 150",
    ),
    "unknown task": (["plan", "digits", "--set", "task=mnits"], "no such task"),
    "unknown merge": (["plan", "digits", "--set", "merges=[{kind: blend}]"], "no such kind 'blend'"),
    "data not here": (["run", "fig10", "--scale", "paper"], "cifar-10-batches-py"),
    "unknown import": (["plan", "digits", "--set", 'model="absent:build"'], 'no module "absent"'),
    "bad run name": (["run", "digits", "--name", "../up"], "run name '../up'"),
    "no file system": (["run", "digits", "--storage", "floppy://a"], "floppy"),
    "unwritable storage": (["run", "tiny.yaml", "--storage", "tiny.yaml/below"], "tiny.yaml/below"),
    "unknown run": (["status", "fig1", "--storage", "empty"], 'no run "fig1": storage empty has none'),
    "another run": (["stop", "fig1"], "storage sweeps has damaged"),
    "unknown path of a run": (["report", "a/b/runs/c"], 'no run "a/b/runs/c"'),
    "a file for a run": (["resume", "./tiny.yaml"], "tiny.yaml"),
    "damaged run": (["status", "damaged"], "run.json is damaged"),
    "no batch size": (["recommend", "damaged"], "--batch-size"),
    "batch size 0": (["recommend", "damaged", "--batch-size", "0"], "--batch-size"),
    "unknown table": (
        ["export", "damaged", "--format", "csv", "--table", "trials"],
        "choose from records, measurements",
    ),
    "unknown format": (["export", "damaged", "--format", "xlsx"], "csv, parquet, json"),
    "torn run": (["status", "torn"], "trials-aa.parquet is missing or damaged"),
    "report of a torn run": (["report", "torn"], "trials-aa.parquet is missing or damaged"),
    "export of a torn run": (
        ["export", "torn", "--format", "csv"],
        "trials-aa.parquet is missing or damaged",
    ),
    "lr of a torn run": (
        ["recommend", "torn", "--batch-size", "8"],
        "trials-aa.parquet is missing or damaged",
    ),
    "resume of a torn run": (["resume", "torn"], "trials-aa.parquet is missing or damaged"),
    "a file to collect": (["gc", "--storage", "tiny.yaml"], "tiny.yaml: cannot list it: Not a directory"),
    "nothing to collect": (["gc", "--storage", "nowhere"], "nowhere holds no runs"),
}


@pytest.fixture
def files(tmp_path, tiny):
    for name, content in BAD_YAML.items():
        (tmp_path / name).write_text(content)
    damaged = tmp_path / "sweeps" / "runs" / "damaged"
    torn = tmp_path / "sweeps" / "runs" / "torn"
    damaged.mkdir(parents=True)
    (damaged / "run.json").write_text('{"run": "dama')
    (torn / "compact").mkdir(parents=True)
    (torn / "compact" / "trials-aa.parquet").write_bytes(b"PAR1 cut off")
    recipe = load_recipe(tiny)
    head = {"run": "torn", "recipe": recipe.model_dump(mode="json"), "code": code_of(recipe)}
    info = RunInfo(**head, versions={}, hardware={}, command="", time=0)
    (torn / "run.json").write_text(info.model_dump_json())


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_refused_in_one_line(name, sweeper, files):
    arguments, reason = WRONG[name]
    answer = sweeper(*arguments)
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert reason in answer.err


def test_the_process_tells_it_too(tmp_path, tiny):
    command = [sys.executable, "-m", "sweeper", "run", tiny, "--storage", str(tmp_path)]
    done = subprocess.run([*command, "--address", "nonsense"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --address nonsense: no Ray cluster answers")
    assert done.stderr.count("\n") == 1


def test_what_nobody_expected_is_shown_in_full(sweeper, monkeypatch):
    monkeypatch.setattr("sweeper.planning.recipe_infos", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sweeper("list")
