"""A full disk costs no finished result, leaves nothing half, and says so in one line."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from example_run import stage, view, write_run
from victims import start, write_past_limit

from sweeper.store import Ledger, Storage, StorageError, Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_full_disk(small_disk: Path) -> None:
    store, ledger = Store(str(small_disk)), Ledger(str(small_disk), "run")
    write_run(ledger)
    before = view(ledger)
    saved = []

    def save() -> None:
        while True:
            number = len(saved)
            store.save(f"{number:064x}", {"weight": torch.full((25_000,), float(number))}, {})
            saved.append(number)

    with pytest.raises(
        StorageError, match=r"cannot write objects/\S+: No space left on device; free space, or run"
    ):
        save()
    filler = fill(small_disk)
    for write in (lambda: ledger.stage(stage("t5", 20)), ledger.compact):
        with pytest.raises(StorageError, match="No space left on device"):
            write()
    assert view(ledger) == before
    assert sorted(store.keys()) == [f"{number:064x}" for number in saved]
    for number in saved:
        loaded = store.load(f"{number:064x}")
        assert loaded is not None
        assert bool((loaded.tensors["weight"] == number).all())
    assert not [path for path in store.find(store.root) if path.endswith(".tmp")]
    filler.unlink()
    ledger.compact()
    assert view(ledger) == before


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    free = os.statvfs(disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
    return filler


def test_a_patient_storage_waits_until_the_disk_has_room(small_disk: Path) -> None:
    filler = fill(small_disk)
    threading.Timer(0.5, filler.unlink).start()
    Storage(str(small_disk), patience_seconds=60.0).write(f"{small_disk}/file", b"content")
    assert not filler.exists()
    assert (small_disk / "file").read_bytes() == b"content"


def test_patience_has_an_end(small_disk: Path) -> None:
    fill(small_disk)
    storage, started = Storage(str(small_disk), patience_seconds=1.0), time.monotonic()
    with pytest.raises(StorageError, match="No space left on device; free space"):
        storage.create(f"{small_disk}/file", b"content")
    assert time.monotonic() - started >= 1.0


def test_no_patience_with_what_waiting_does_not_help(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path), patience_seconds=600.0)
    assert storage.read(f"{tmp_path}/nothing") is None
    assert storage.create(f"{tmp_path}/file", b"content")
    assert not storage.create(f"{tmp_path}/file", b"other")
    with pytest.raises(StorageError, match="Is a directory"):
        storage.read(str(tmp_path))


def test_limit_on_the_size_of_files(tmp_path: Path) -> None:
    report, root = tmp_path / "report", tmp_path / "storage"
    process = start(write_past_limit, str(root), 20_000, str(report))
    process.join()
    assert process.exitcode == 0
    message = report.read_text()
    assert message.startswith(f"storage {root}: cannot write objects/aa/aaa")
    assert message.endswith("File too large; free space, or run `sweeper gc`")
    loaded = Store(str(root)).load("a" * 64)
    assert loaded is not None
    assert loaded.meta == {"step": 1}
    assert not list(root.rglob("*.tmp"))
