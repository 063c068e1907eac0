"""Terms: which driver of a run may write, when two of them hold themselves for the one.

    RUN/terms/<term>.json          who began it; the highest term is in force
    RUN/terms/<term>.first         the number of the first suggestion that no earlier term may make

A lease tells who may take a run over, and when; but its holder may be suspended, or cut off, and not know that it
has lost it. So a driver that takes over begins a term, one more than the last, by creating its file exclusively;
the file is never deleted. Whoever finds a term after its own has been superseded, and writes nothing more.

A driver looks for later terms after it has written a suggestion, and before it runs it. So what an earlier driver
runs was written before the term began; a new driver, reading the suggestions after that, finds it. What it doesn't
find, an earlier driver may still write, if it was suspended at that moment; but it won't run it, and the second file
tells every reader that it doesn't count.
"""

import os
import socket
import time
from collections.abc import Callable
from pathlib import PurePosixPath

from pydantic import ValidationError

from analysis.records import Term
from sweeper.store.files import Storage, StorageError


class Superseded(StorageError):
    """Another driver has taken the run over: this one may not write any more."""


class Terms:
    """The terms of the run at `run_path`."""

    def __init__(self, storage: Storage, run_path: str) -> None:
        self._storage = storage
        self._directory = f"{run_path}/terms"

    def path(self, term: int) -> str:
        """Return where it is recorded who began a term."""
        return f"{self._directory}/{term}.json"

    def first_numbers(self) -> dict[int, int]:
        """Return term → the number of its first suggestion; a driver killed as it began a term leaves none."""
        terms = self._begun(".first")
        contents = self._storage.read_many([self._first_path(term) for term in terms])
        found = zip(terms, contents, strict=True)
        return {term: int(number) for term, number in found if number and number.isdigit()}

    def begin(self, next_number: Callable[[], int]) -> int:
        """Begin the next term and return it.

        Args:
            next_number: Reads the number that the next suggestion would have.
        """
        me = Term(host=socket.gethostname(), pid=os.getpid(), time=time.time()).model_dump_json().encode()
        term = max(self._begun(), default=0) + 1
        while not self._storage.create(self.path(term), me, durable=True):
            term += 1
        first = str(next_number()).encode()
        # Of drivers suspended halfway through this, too: what they would write after us could take away what we run.
        for begun in set(self._begun()) - self.first_numbers().keys():
            if begun <= term:
                self._storage.create(self._first_path(begun), first, durable=True)
        return term

    def check(self, term: int, run: str) -> None:
        """Check that no term after `term` has begun.

        Raises:
            Superseded: if one has.
        """
        content = self._storage.read(self.path(term + 1))
        if content is None:
            return
        try:
            later = Term.model_validate_json(content)
            who = f"process {later.pid} on {later.host}"
        except ValidationError:
            who = "another process"
        raise Superseded(
            f"run {run} has been taken over by {who}; this one has stopped, and writes nothing more to it"
        )

    def _first_path(self, term: int) -> str:
        return f"{self._directory}/{term}.first"

    def _begun(self, suffix: str = ".json") -> list[int]:
        names = (PurePosixPath(name) for name in self._storage.names(self._directory))
        return [int(name.stem) for name in names if name.suffix == suffix and name.stem.isdigit()]
