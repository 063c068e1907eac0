import json
import os
import time
from pathlib import Path

import pytest
import torch
from example_run import key_of, outcome, write_run

from sweeper.store import GcReport, Ledger, Storage, StorageError, Store, collect_garbage, delete_run
from sweeper.store.objects import object_path

WEIGHT = {"weight": torch.zeros(10)}
ORPHAN, LEASED, CORRUPT_REFERENCE = (letter * 64 for letter in "abc")


@pytest.mark.parametrize("compacted", [False, True])
def test_what_runs_name_stays_and_the_rest_goes(url: str, compacted: bool) -> None:
    store, ledger = Store(url), Ledger(url, "run")
    write_run(ledger)
    named = {key_of("t0", 10, "trunk"), key_of("t0", 10, "a"), key_of("t3", 20, "b"), key_of("t5", 10, "a")}
    for key in (*named, ORPHAN, LEASED, CORRUPT_REFERENCE):
        store.save(key, WEIGHT, {})
    store.write(
        f"{store.root}/runs/run/parts/t5/0/stage-20.json", f'{{"key_a": "{CORRUPT_REFERENCE}", '.encode()
    )
    assert collect_garbage(url, grace_seconds=0.0).objects == 0, "all may be of the unfinished trials"
    ledger.outcome(outcome("t4", 4, attempt=1))
    ledger.outcome(outcome("t5", 5))
    if compacted:
        ledger.compact()
    expected = GcReport(
        objects=1, bytes=store.find(store.root)[object_path(store, ORPHAN)], leases=0, leftovers=0
    )
    with store.lease(LEASED):
        assert collect_garbage(url) == GcReport(0, 0, 0, 0), "all is younger than the grace period"
        assert collect_garbage(url, dry_run=True, grace_seconds=0.0) == expected
        assert store.contains(ORPHAN)
        assert collect_garbage(url, grace_seconds=0.0) == expected
    assert set(store.keys()) == {*named, LEASED, CORRUPT_REFERENCE}
    assert collect_garbage(url, grace_seconds=0.0).objects == 1, "what was leased is released"


def test_leases_of_the_dead_and_leftovers_of_the_killed_go(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    holder = {"host": "elsewhere", "pid": 1, "started": "1", "seconds": 60.0, "token": "t", "renewed": 0.0}
    leftovers = [
        tmp_path / "objects" / "ab" / "x.safetensors.123.tmp",
        tmp_path / "runs" / "run" / "compact" / "records-00ff.parquet",
    ]
    for path in (*leftovers, lease := tmp_path / "leases" / f"{LEASED}.1.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(holder))
    (tmp_path / "leases" / ".DS_Store").write_text("not ours")
    assert collect_garbage(str(tmp_path)) == GcReport(0, 0, 0, 0)
    for path in (*leftovers, lease):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert collect_garbage(str(tmp_path)) == GcReport(objects=0, bytes=0, leases=1, leftovers=2)
    assert [path.rpartition("/")[2] for path in store.find(store.root)] == [".DS_Store"]


def test_a_file_for_a_storage_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no storage")
    place = Storage(str(tmp_path / "file"))
    for look in (place.names, place.find, lambda root: place.age(f"{root}/below")):
        with pytest.raises(StorageError, match=r"storage \S+/file: cannot .*: Not a directory"):
            look(place.root)


def test_empty_storage(url: str) -> None:
    assert collect_garbage(url) == GcReport(0, 0, 0, 0)


def test_a_run_is_deleted_with_what_it_alone_names(url: str) -> None:
    store, ledger, other = Store(url), Ledger(url, "run"), Ledger(url, "other")
    write_run(ledger)
    write_run(other)
    own, common, unnamed = "d" * 64, key_of("t0", 10, "trunk"), ORPHAN
    ledger.outcome(outcome("t4", 4, attempt=1))
    stage = ledger.stages("t0")[10]
    ledger.stage(stage.model_copy(update={"trial": "t5", "branch_step": 30, "trained": {own: 1.0}}))
    for key in (own, common, unnamed):
        store.save(key, WEIGHT, {})
    with store.lease(ledger.driver_key), pytest.raises(StorageError, match="is being run; stop it first"):
        delete_run(ledger.path)
    assert delete_run(ledger.path).objects == 1
    assert set(store.keys()) == {common, unnamed}
    assert ledger.info() is None
    assert not store.find(f"{store.root}/runs/run")
    assert other.outcomes()
    assert delete_run(ledger.path).objects == 0, "again, it is as it was"
