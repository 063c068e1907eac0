import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from victims import hold, start, train_once

from sweeper.store import Store
from sweeper.store.leases import Lease, current_leases

KEY = "c" * 64


def leased(store: Store) -> list[str]:
    return store.names(f"{store.root}/leases")


def test_processes_that_want_one_trunk_train_it_once(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    processes = [start(train_once, str(tmp_path / "storage"), KEY, str(diary)) for _ in range(6)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == 6 * [0]
    assert len(diary.read_text().split()) == 1
    assert leased(Store(str(tmp_path / "storage"))) == []


def test_threads_exclude_each_other(url: str) -> None:
    store, inside, most = Store(url), [0], [0]

    def work() -> None:
        with store.lease(KEY):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert leased(store) == []


def test_killed_holder_is_replaced_at_once_by_exactly_one_waiter(tmp_path: Path) -> None:
    root, held, diary = str(tmp_path / "storage"), tmp_path / "held", tmp_path / "diary"
    holder = start(hold, root, KEY, str(held))
    while not held.exists():
        time.sleep(0.01)
    waiters = [start(train_once, root, KEY, str(diary)) for _ in range(4)]
    time.sleep(0.3)
    assert not diary.exists()
    holder.kill()
    holder.join()
    begin = time.monotonic()
    for waiter in waiters:
        waiter.join()
    # Far less than the 60 seconds after which a lease expires.
    assert time.monotonic() - begin < 20
    assert len(diary.read_text().split()) == 1
    assert leased(Store(root)) == []


def test_lease_of_another_host_counts_until_it_is_not_renewed(url: str) -> None:
    store = Store(url, lease_seconds=0.3)
    holder = {"host": "elsewhere", "pid": 1, "started": "1", "seconds": 0.3, "token": "t", "renewed": 0.0}
    store.write(f"{store.root}/leases/{KEY}.1.json", json.dumps(holder).encode())
    begin = time.monotonic()
    with store.lease(KEY):
        assert time.monotonic() - begin >= 0.3
    assert leased(store) == []


def test_renewed_lease_is_not_taken(url: str) -> None:
    store, released = Store(url, lease_seconds=0.2), [0.0]
    begun = threading.Event()

    def work() -> None:
        with store.lease(KEY):
            begun.set()
            time.sleep(1.0)
            released[0] = time.monotonic()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    with store.lease(KEY):
        assert released[0] > 0
    thread.join()


@pytest.mark.parametrize("generation", [1, 2])
def test_a_holder_that_was_suspended_too_long_leaves_the_new_holder_alone(
    url: str, generation: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(url, lease_seconds=0.2)
    with store.lease(KEY):
        store.remove(f"{store.root}/leases/{KEY}.1.json")
        # Another host saw no renewal and took the next generation, or released that and took the first again.
        store.write(f"{store.root}/leases/{KEY}.{generation}.json", b'{"token": "other"}')
        time.sleep(0.2)
    assert "lost the lease" in caplog.text
    assert store.read(f"{store.root}/leases/{KEY}.{generation}.json") == b'{"token": "other"}'


def test_a_key_that_begins_with_another_is_another(url: str) -> None:
    store = Store(url)
    with store.lease("run-a"), store.lease("run-a.b"), store.lease("run-a.1"):
        assert [held.key for held in current_leases(store, "run-a")] == ["run-a"]
        assert sorted(held.key for held in current_leases(store)) == ["run-a", "run-a.1", "run-a.b"]


def test_an_object_store_lists_the_leases_on_one_key_only() -> None:
    listed: list[str] = []

    class Listed(MemoryFileSystem):
        """Lists by prefix, as S3 does."""

        protocol = "listed"

        def find(self, path: str, *arguments: Any, prefix: str = "", **options: Any) -> Any:
            listed.append(f"{path}/{prefix}")
            return super().find(path, *arguments, **options)

        def ls(self, path: str, *arguments: Any, **options: Any) -> Any:
            listed.append(path)
            return super().ls(path, *arguments, **options)

    fsspec.register_implementation("listed", Listed, clobber=True)
    store = Store("listed://leases-on-one-key")
    with store.lease(KEY):
        pass
    assert listed
    assert all(listing.endswith(f"/leases/{KEY}.") for listing in listed)


def test_half_written_lease_expires(url: str) -> None:
    store = Store(url, lease_seconds=0.2)
    store.write(f"{store.root}/leases/{KEY}.1.json", b'{"host"')
    with store.lease(KEY):
        assert len(leased(store)) == 1


def test_error_inside_releases(url: str) -> None:
    store = Store(url)
    with pytest.raises(ZeroDivisionError), store.lease(KEY):
        1 / 0  # noqa: B018
    assert leased(store) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells when a process started")
def test_number_of_a_dead_process_may_be_used_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with store.lease(KEY):
        content = store.read(f"{store.root}/leases/{KEY}.1.json")
    assert content is not None
    mine = Lease(KEY, 1, content)
    earlier = Lease(KEY, 1, json.dumps(mine.holder() | {"started": "1"}).encode())
    assert mine.holder()["pid"] == os.getpid()
    assert not mine.is_over(unchanged=0.0)
    assert earlier.is_over(unchanged=0.0)
