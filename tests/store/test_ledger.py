import io
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from example_run import INFO, outcome, stage, suggestion, view, write_run
from fsspec.implementations.memory import MemoryFileSystem
from victims import compact, killed_at

from analysis.records import COLUMNS
from sweeper.store import Ledger, Storage, StorageError, Store
from sweeper.store.ledger import list_runs


@pytest.fixture
def ledger(url: str) -> Ledger:
    ledger = Ledger(url, "run")
    write_run(ledger)
    return ledger


def part_files(ledger: Ledger) -> list[str]:
    return sorted(ledger.storage.find(f"{ledger.storage.root}/runs/run/parts"))


def test_what_is_written_is_read(ledger: Ledger) -> None:
    assert ledger.info() == INFO
    assert ledger.suggestions() == [suggestion(f"t{number}", number) for number in range(6)]
    assert {trial: (o.status, o.attempt) for trial, o in ledger.outcomes().items()} == {
        "t0": ("ok", 0), "t1": ("ok", 0), "t2": ("diverged", 0), "t3": ("ok", 1), "t4": ("failed", 0),
    }  # fmt: skip
    assert ledger.stages("t3") == {10: stage("t3", 10), 20: stage("t3", 20, attempt=1)}
    assert ledger.stages("t4") == {}
    assert [ledger.next_attempt(f"t{number}") for number in range(6)] == [1, 1, 1, 2, 1, 1]
    assert ledger.next_attempt("new") == 0
    assert view(Ledger(Store(ledger.storage.url), "run")) == view(ledger)


def test_first_complete_attempt_and_first_stage_win(url: str) -> None:
    ledger = Ledger(url, "run")
    ledger.outcome(outcome("t0", 0, attempt=0, status="failed"))
    ledger.outcome(outcome("t0", 0, attempt=2, status="diverged"))
    ledger.outcome(outcome("t0", 0, attempt=10))
    ledger.outcome(outcome("t1", 0, attempt=0, status="failed"))
    ledger.outcome(outcome("t1", 0, attempt=1, status="failed"))
    ledger.stage(stage("t0", 10, attempt=10))
    ledger.stage(stage("t0", 10, attempt=2))
    assert {trial: o.attempt for trial, o in ledger.outcomes().items()} == {"t0": 2, "t1": 1}
    assert ledger.stages("t0")[10].attempt == 2


def test_parts_and_head_never_change(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    before = view(ledger)
    assert not ledger.create(INFO.model_copy(update={"command": "another"}))
    ledger.suggest(suggestion("t0", 77))
    ledger.outcome(outcome("t0", 77))
    assert view(ledger) == before
    assert "the first one counts" in caplog.text


def test_damaged_part_is_ignored_and_reported(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    whole, storage = view(ledger), ledger.storage
    directory = f"{storage.root}/runs/run/parts/t0/0"
    for name in ("suggested", "stage-10", "outcome"):
        content = storage.read(f"{directory}/{name}.json")
        assert content is not None
        for kept in (0, 1, len(content) // 2, len(content) - 1):
            storage.write(f"{directory}/{name}.json", content[:kept])
            caplog.clear()
            now = view(ledger)
            assert f"t0/0/{name}.json is damaged" in caplog.text
            assert [s.trial for s in now["suggestions"]][-5:] == ["t1", "t2", "t3", "t4", "t5"]
            assert now["outcomes"].keys() | {"t0"} == whole["outcomes"].keys()
            assert now["attempts"].get("t0", 1) == 1
            ledger.compact()
            assert storage.find(directory), "a damaged part is not thrown away"
        storage.write(f"{directory}/{name}.json", content)
    assert view(ledger) == whole


def test_damaged_head_is_an_error(ledger: Ledger) -> None:
    ledger.storage.write(f"{ledger.storage.root}/runs/run/run.json", b"{")
    with pytest.raises(StorageError, match=r"run/run\.json is damaged; restore it"):
        ledger.info()


def test_stop_is_a_marker(ledger: Ledger) -> None:
    ledger.clear_stop()
    assert not ledger.stop_requested()
    ledger.request_stop()
    assert Ledger(ledger.storage.url, "run").stop_requested()
    ledger.clear_stop()
    assert not ledger.stop_requested()


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "a b", "a\n", "é"])
def test_bad_run_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="use letters, digits"):
        Ledger(str(tmp_path), name)


def test_paths_and_runs(tmp_path: Path) -> None:
    assert Ledger(str(tmp_path), "a.b-C_1").path == f"{tmp_path}/runs/a.b-C_1"
    ledger = Ledger(f"memory://{uuid.uuid4().hex}", "run")
    assert (ledger.info(), ledger.suggestions(), list_runs(ledger.storage)) == (None, [], [])
    write_run(ledger)
    assert list_runs(ledger.storage) == ["run"]
    root, _, _ = ledger.path.partition("/runs/")
    assert Ledger(root, "run").info() == INFO


def test_compaction_changes_nothing_that_is_read(ledger: Ledger) -> None:
    before = view(ledger)
    ledger.compact()
    assert {path.split("/")[-3] for path in part_files(ledger)} == {"t4", "t5"}
    assert view(ledger) == view(Ledger(ledger.storage.url, "run")) == before
    ledger.compact()
    ledger.outcome(outcome("t4", 4, attempt=1))
    ledger.outcome(outcome("t5", 5))
    before = view(ledger)
    ledger.compact()
    assert part_files(ledger) == []
    assert view(ledger) == view(Ledger(ledger.storage.url, "run")) == before
    # A zombie of a finished trial changes nothing either.
    ledger.stage(stage("t0", 30, attempt=7))
    ledger.compact()
    assert view(ledger) == before


class Diary(Storage):
    """Storage that notes what it is asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []

    def read_many(self, paths: Sequence[str]) -> list[bytes | None]:
        self.asked += paths
        return super().read_many(paths)


def test_outcomes_that_are_left_out_are_not_read(url: str) -> None:
    storage = Diary(url)
    ledger = Ledger(storage, "run")
    write_run(ledger)
    for _ in ("as parts", "in tables"):
        whole = ledger.outcomes()
        storage.asked.clear()
        assert ledger.outcomes(but_for=whole.keys() - {"t4"}) == {"t4": whole["t4"]}
        assert [path.split("/")[-3] for path in storage.asked] == ["t4"]
        ledger.compact()


def test_tables_are_readable_with_plain_pandas(ledger: Ledger) -> None:
    ledger.compact()
    storage = ledger.storage
    tables = {}
    for path in storage.find(f"{storage.root}/runs/run/compact"):
        tables[path.rpartition("/")[2].partition("-")[0]] = pq.read_table(
            io.BytesIO(storage.read(path) or b"")
        )
    assert tables["records"].column_names == COLUMNS
    assert tables["records"].num_rows == 2 * (2 + 2 + 1 + 2)
    assert tables["measurements"].num_rows == 2 + 2 + 1 + 2
    records = tables["records"].to_pandas().set_index(["trial", "branch_step", "metric"])
    assert records.index.is_unique
    assert records.loc[("t0", 10, "loss"), "noise_scale"] == 1 / 3
    assert records.loc[("t2", 200, "loss"), "alpha"] is None or records["alpha"].isna().sum() == 2


def assert_nothing_lost(root: str, before: dict[str, object]) -> None:
    """What a killed compaction left reads as before, and the next compaction finishes the work."""
    assert view(Ledger(root, "run")) == before
    ledger = Ledger(root, "run")
    ledger.compact()
    assert view(ledger) == before
    assert {path.split("/")[-3] for path in part_files(ledger)} == {"t4", "t5"}


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_compaction_killed_at_any_operation_on_a_disk(tmp_path: Path, stride: int) -> None:
    operation, killed = 0, True
    while killed:
        ledger = Ledger(str(tmp_path / str(operation)), "run")
        write_run(ledger)
        before = view(ledger)
        killed = killed_at(operation, compact, ledger.storage.root)
        assert_nothing_lost(ledger.storage.root, before)
        operation += stride
    assert operation > 25


class Killed(BaseException):
    """Stands for the death of the process: no `except Exception` sees it."""


class MortalFileSystem(MemoryFileSystem):
    """An object store whose client dies before the n-th change, after which nothing it does has an effect."""

    protocol = "mortal"
    cachable = False
    changes_left = float("inf")

    @classmethod
    def change(cls) -> None:
        if cls.changes_left <= 0:
            raise Killed
        cls.changes_left -= 1

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: object) -> None:
        self.change()
        super().pipe_file(path, value, mode, **options)

    def rm_file(self, path: str) -> None:
        self.change()
        super().rm_file(path)

    def _rm(self, path: str) -> None:
        self.change()
        super()._rm(path)


def test_compaction_killed_at_any_operation_on_an_object_store() -> None:
    changes, killed = 0, True
    while killed:
        name = uuid.uuid4().hex
        write_run(Ledger(f"memory://{name}", "run"))
        before = view(Ledger(f"memory://{name}", "run"))
        ledger = Ledger(f"memory://{name}", "run")
        ledger.storage.fs = MortalFileSystem()
        MortalFileSystem.changes_left = changes
        try:
            ledger.compact()
        except Killed:
            # Its process is this one and lives, so its lease would have to expire.
            ledger.storage.fs = MemoryFileSystem()
            ledger.storage.remove_trees([f"{ledger.storage.root}/leases"])
        else:
            killed = False
        assert_nothing_lost(f"memory://{name}", before)
        changes += 1
    assert changes > 15


class Overtaken(Storage):
    """Storage on which another process compacts the run just before the n-th time that this one looks."""

    looks_left = -1

    def look(self) -> None:
        self.looks_left -= 1
        if self.looks_left == -1:
            Ledger(self.url, "run").compact()

    def find(self, directory: str) -> dict[str, int]:
        self.look()
        return super().find(directory)

    def names(self, directory: str, prefix: str = "") -> list[str]:
        self.look()
        return super().names(directory, prefix)

    def read_many(self, paths: Sequence[str]) -> list[bytes | None]:
        self.look()
        return super().read_many(paths)


@pytest.mark.parametrize(
    "question",
    [
        Ledger.suggestions, Ledger.outcomes, Ledger.keys,
        lambda ledger: ledger.stages("t3"), lambda ledger: ledger.next_attempt("t3"),
    ],
)  # fmt: skip
def test_reader_overtaken_by_compaction_at_any_look(url: str, question: Callable[[Ledger], object]) -> None:
    looks, overtaken = 1, True
    while overtaken:
        storage = Overtaken(f"{url}/{looks}")
        ledger = Ledger(storage, "run")
        write_run(ledger)
        expected = question(ledger)
        storage.looks_left = looks
        assert question(ledger) == expected
        overtaken = storage.looks_left < 0
        looks += 1
    assert looks >= 3


def test_damaged_table_is_an_error_that_says_what_to_do(ledger: Ledger) -> None:
    ledger.compact()
    storage = ledger.storage
    [path] = [path for path in storage.find(storage.root) if "/trials-" in path]
    storage.write(path, (storage.read(path) or b"")[:-5])
    with pytest.raises(
        StorageError, match=r"trials-\w+\.parquet is missing or damaged; restore it, or delete"
    ):
        Ledger(storage.url, "run").outcomes()
