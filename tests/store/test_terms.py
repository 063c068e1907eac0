"""Two drivers of one run: whenever the second takes over, what counts is as if the first had ended before."""

from collections.abc import Callable
from typing import Any

import pytest
from example_run import INFO

from analysis.reading import read_trials
from analysis.records import Suggestion
from sweeper.store import Ledger, Storage, Superseded

OPERATIONS = ("read_many", "create", "names", "find")


class Suspended(Storage):
    """Storage whose user is suspended before its operation `at`, from 0, while `meanwhile` happens."""

    def __init__(self, url: str, at: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(url)
        self._at, self._meanwhile, self._busy, self.seen = at, meanwhile, False, 0
        for name in OPERATIONS:
            setattr(self, name, self._counted(getattr(self, name)))

    def _counted(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **settings: Any) -> Any:
            self.seen += 1
            if self.seen == self._at + 1:
                self._meanwhile()
            return operation(*arguments, **settings)

        return counted


def suggestion(number: int, who: str) -> Suggestion:
    return Suggestion(
        trial=f"{number:05d}-{who}", attempt=0, number=number, overrides={}, config={}, time=float(number)
    )


def begun(url: str) -> Ledger:
    """A run that a first driver drives and has suggested two trials of."""
    ledger = Ledger(url, "run")
    ledger.create(INFO)
    ledger.begin_term()
    for number in range(2):
        ledger.suggest(suggestion(number, "first"))
    return ledger


def take_over(ledger: Ledger) -> None:
    """Do what a second driver does: begin a term, read what there is, suggest the next."""
    ledger.begin_term()
    number = len(ledger.suggestions())
    ledger.suggest(suggestion(number, "second"))


def check(url: str, ran: bool) -> None:
    """Check that numbers are unique, and that what the first driver has run is not lost."""
    found = Ledger(url, "run").suggestions()
    names = [one.trial for one in found]
    assert [one.number for one in found] == list(range(len(found)))
    assert names[-1] == f"{len(found) - 1:05d}-second"
    assert ("00002-first" in names) >= ran
    assert list(read_trials(Ledger(url, "run").path).trial) == names


def suggests(ledger: Ledger) -> bool:
    """Suggest as the first driver; return whether its trial may run."""
    try:
        ledger.suggest(suggestion(2, "first"))
    except Superseded:
        return False
    return True


@pytest.mark.parametrize("at", range(3))
def test_a_driver_suspended_while_it_suggests(url: str, at: int) -> None:
    first = begun(url)
    slow = Suspended(url, at, lambda: take_over(Ledger(url, "run")))
    ran = suggests(Ledger(slow, "run", first.term))
    assert slow.seen > at
    assert not ran
    check(url, ran)


@pytest.mark.parametrize("at", range(8))
def test_a_driver_that_suggests_while_another_takes_over(url: str, at: int) -> None:
    first, ran = begun(url), []
    slow = Suspended(url, at, lambda: ran.append(suggests(first)))
    take_over(Ledger(slow, "run"))
    assert slow.seen > at
    check(url, ran[0])


def test_a_driver_that_has_been_superseded_writes_nothing(url: str) -> None:
    first = begun(url)
    Ledger(url, "run").begin_term()
    before = first.storage.find(first.storage.root)
    writes: list[Callable[[], object]] = [
        lambda: first.suggest(suggestion(2, "first")),
        lambda: first.request_trials(9),
        first.request_stop,
        first.clear_stop,
        first.compact,
    ]
    for write in writes:
        with pytest.raises(Superseded, match=r"run \S+/runs/run has been taken over by process \d+ on "):
            write()
    assert first.stop_requested()
    assert first.storage.find(first.storage.root) == before


def test_of_drivers_that_begin_at_once_each_has_a_term_of_its_own(url: str) -> None:
    second = Ledger(url, "run")
    slow = Suspended(url, 2, lambda: second.begin_term() and None)
    first = Ledger(slow, "run")
    first.begin_term()
    assert {first.term, second.term} == {1, 2}
