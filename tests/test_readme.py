"""The README's example is complete and runs: its network on its data, its command, its Python."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.reading import read_records
from analysis.records import COLUMNS

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MODULE, NOTEBOOK = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
(RECIPE,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
(COMMAND,) = re.findall(r"^sweeper (run spirals.yaml.*)$", TEXT, flags=re.MULTILINE)
TRIALS = 5
"""Of the example's 20: the fewest that a critical point is estimated from."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the example has been written down and run, with the command that the README gives."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "spirals.py").write_text(MODULE)
    (folder / "spirals.yaml").write_text(RECIPE)
    arguments = [sys.executable, "-m", "sweeper", *shlex.split(COMMAND), "--trials", str(TRIALS)]
    subprocess.run(arguments, cwd=folder, check=True, timeout=240)
    return folder


def test_the_example_is_short() -> None:
    assert len((MODULE + RECIPE).splitlines()) <= 25


def test_the_example_trains_and_merges(folder: Path) -> None:
    (run,) = (folder / "sweeps" / "runs").iterdir()
    table = read_records(run)
    assert list(table.columns) == COLUMNS
    assert table.trial.nunique() == TRIALS
    assert set(table.batch_size) <= {16, 64}
    # Three classes, 900 images: whoever guesses has 33%, give or take three.
    trained = table[(table.status == "ok") & (table.metric == "accuracy")]
    assert trained.f_mean.max() > 60


def test_the_notebook_reads_what_the_command_ran(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    scope: dict[str, Any] = {}
    exec(NOTEBOOK.replace("sweeper.run(recipe)", f"sweeper.run(recipe, trials={TRIALS})"), scope)
    assert scope["run"].status == "done"
    assert len(scope["curve"]) == TRIALS
    assert (folder / "report.html").stat().st_size > 1_000_000


def test_start_is_two_commands() -> None:
    start = TEXT.split("\n## Start\n")[1].split("\n## ")[0]
    assert re.findall(r"```sh\n(.*?)\n```", start, flags=re.DOTALL) == ["make demo", "make test"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        place = Path(__file__).parents[1] / path
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target
