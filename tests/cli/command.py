"""The command line, called in this process."""

from typing import NamedTuple

import pytest

from sweeper.cli import execute


class Answer(NamedTuple):
    status: int
    out: str
    err: str


class Command:
    """`sweeper(*arguments)` runs a command and returns what it answers."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Answer:
        self._capture.readouterr()
        return Answer(execute(arguments), *self._capture.readouterr())
