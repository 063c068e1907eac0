"""What the tests run in processes of their own, mostly to be killed there."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from sweeper.store import Ledger, Store

# Children are forked from one server that has imported them once and runs no threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["sweeper.store", "pandas"])

MUTATIONS = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def killed_at(operation: int, action: Callable[..., None], root: str, *arguments: Any) -> bool:
    """Run `action(root, …)` in a process that is killed before its file operation of this number, from 0.

    Returns whether it was killed; False says that it has no such operation and finished.
    """
    process = start(_die_at, operation, action, root, *arguments)
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def _die_at(operation: int, action: Callable[..., None], root: str, *arguments: Any) -> None:
    seen = 0

    def count(event: str, details: tuple[Any, ...]) -> None:
        nonlocal seen
        reading = event == "open" and details[1] in {"r", "rb"}
        if event in MUTATIONS and not reading and str(details[0]).startswith(root):
            if seen == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(count)
    action(root, *arguments)


def save_object(root: str, key: str, numbers: int) -> None:
    Store(root).save(key, {"weight": torch.full((numbers,), 7.0)}, {"step": 1})


def save_for_ever(root: str, numbers: int) -> None:
    store, number = Store(root), 0
    while True:
        store.save("ab" + 62 * "0", {"weight": torch.full((numbers,), float(number))}, {"step": number})
        number += 1


def compact(root: str) -> None:
    Ledger(root, "run").compact()


def train_once(root: str, key: str, diary: str) -> None:
    """Do what a trial does for a trunk: look, lease, look again, train, save."""
    store = Store(root)
    with store.lease(key):
        if not store.contains(key):
            with Path(diary).open("a") as file:
                file.write(f"{os.getpid()}\n")
            time.sleep(0.05)
            store.save(key, {"weight": torch.zeros(3)}, {})


def hold(root: str, key: str, held: str) -> None:
    with Store(root).lease(key):
        Path(held).touch()
        time.sleep(600)


def write_past_limit(root: str, limit: int, report: str) -> None:
    """Save an object, then a larger one over it than the limit of bytes per file allows; report what happened."""
    import resource

    from sweeper.store import StorageError

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    store = Store(root)
    save_object(root, "a" * 64, 100)
    try:
        store.save("a" * 64, {"weight": torch.zeros(limit)}, {})
    except StorageError as error:
        Path(report).write_text(str(error))
