"""What people type is a contract: it may only grow."""

import os
import subprocess
import sys

import pytest
import typer

from sweeper.cli import app

SWEEP = ["--scale", "--set", "--trials", "--seed", "--storage"]
SURFACE = {
    "list": [],
    "plan": ["RECIPE", *SWEEP],
    "run": ["RECIPE", *SWEEP, "--name", "--address"],
    "resume": ["RUN", "--trials", "--address", "--storage"],
    "status": ["RUN", "--json", "--storage"],
    "stop": ["RUN", "--storage"],
    "measure": ["RUN", "--merge", "--also", "--set", "--address", "--storage"],
    "submit": ["RECIPE", *SWEEP, "--name", "--address", "--follow", "--python"],
    "report": ["RUN", "-o", "--static", "--storage"],
    "dashboard": ["RUN", "--port", "--storage"],
    "recommend": ["RUN", "--batch-size", "--momentum", "--storage"],
    "export": ["RUN", "--format", "--table", "-o", "--storage"],
    "doctor": ["--storage", "--address"],
    "gc": ["--storage", "--dry-run"],
    "serve": [
        *("--storage", "--address", "--host", "--port", "--tokens", "--new-token", "--tls-cert", "--tls-key"),
        *(
            "--behind-proxy",
            "--allow-import",
            "--max-sweeps",
            "--max-trials",
            "--quota-gib",
            "--rate",
            "--audit",
        ),
        *("--webhook", "--python"),
    ],
}
COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", SURFACE)
def test_nothing_of_the_surface_is_lost(name):
    found = [
        parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
        for parameter in COMMANDS[name].params
    ]
    assert set(SURFACE[name]) <= set(found)


def test_every_command_is_listed_here():
    assert set(COMMANDS) == set(SURFACE)


@pytest.mark.parametrize("name", SURFACE)
def test_help_teaches_by_an_example(name, sweeper):
    answer = sweeper(name, "--help")
    assert answer.status == 0
    assert f"Example: sweeper {name}" in answer.out


def test_without_arguments_it_helps(sweeper):
    answer = sweeper()
    assert answer.status == 0
    assert all(name in answer.out for name in SURFACE)


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)


def test_help_answers_in_under_a_second():
    """Of processor time, the best of three, since other tests may run beside this one."""

    def seconds():
        before = os.times()
        assert python("-m", "sweeper", "--help").returncode == 0
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize("start", ["import sweeper", "import sweeper.cli; sweeper.cli.execute(['--help'])"])
def test_starting_loads_no_framework(start):
    done = python("-c", f"import sys; {start}; print(sorted(sys.modules), file=sys.stderr)")
    assert done.returncode == 0
    for name in ("torch", "ray", "optuna", "pandas", "scipy", "pydantic", "plotly"):
        assert f"'{name}'" not in done.stderr


def test_the_python_surface_is_that_of_tuning():
    import sweeper
    from sweeper import tuning

    assert (sweeper.run, sweeper.resume, sweeper.Run) == (tuning.run, tuning.resume, tuning.Run)
    with pytest.raises(AttributeError, match="no attribute 'walk'"):
        sweeper.walk  # noqa: B018


@pytest.mark.parametrize(
    "spelling",
    [
        ["--set", "train/momentum=0.5", "seed=3"],
        ["--set", "train/momentum=0.5", "--set", "seed=3"],
        ["--set=train/momentum=0.5", "--seed", "3"],
        ["--seed", "3", "--set", "train/momentum=0.5"],
    ],
)
def test_all_spellings_of_a_setting_are_one(spelling, sweeper):
    plans = [sweeper("plan", "digits", *spelling), sweeper("plan", *spelling, "digits")]
    paths = {line for plan in plans for line in plan.out.splitlines() if line.startswith("run ")}
    assert len(paths) == 1
    from search_spaces import load_recipe
    from sweeper.tuning import default_name

    expected = default_name(load_recipe("digits", None, {"train/momentum": 0.5, "seed": 3}))
    assert expected in paths.pop()
