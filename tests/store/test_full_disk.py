"""A full disk costs no finished result, leaves nothing half, and says so in one line."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from example_run import stage, view, write_run
from victims import start, write_past_limit

from sweeper.store import Ledger, StorageError, Store


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

    def fill() -> None:
        while True:
            number = len(saved)
            store.save(f"{number:064x}", {"weight": torch.full((25_000,), float(number))}, {})
            saved.append(number)

    with pytest.raises(
        StorageError, match=r"cannot write objects/\S+: No space left on device; free space, or run"
    ):
        fill()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize))
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
