"""How a sweep shows its progress: live on a terminal, in a few lines elsewhere."""

import contextlib
import math
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress as RichProgress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeper.commands.console import duration, output, savings, say
from sweeper.commands.watch import Watch

if TYPE_CHECKING:
    from sweeper.tuning import Progress

FRAMES_PER_SECOND = 2
LINES = 10
"""How many lines a sweep takes where there is no terminal, at most."""
Advance = Callable[[int, int], None]
"""Takes how many are done, of how many."""
DRAINING = "draining: trials end at their next branch point"


class Display:
    """Shows a sweep, as its listener. `has_begun` once there is something to show."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._watch: Watch | None = None

    @property
    def has_begun(self) -> bool:
        """Whether trials have begun."""
        return self._progress is not None

    def __call__(self, progress: "Progress") -> None:
        """Take up the latest progress; called often, so this only remembers it."""
        self._progress = progress
        if self._watch is None:
            self._watch = Watch(progress.path)
            self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.stop()

    @property
    def _peak(self) -> str:
        from analysis.verdict import headline

        point = self._watch.point if self._watch is not None else None
        return "" if point is None else headline(point)


class LiveDisplay(Display):
    """A bar and what is known so far, redrawn in place."""

    def __init__(self, console: Console, waiting: str) -> None:
        super().__init__()
        self._waiting = waiting
        self._ended = False
        self._live = Live(self, console=console, refresh_per_second=FRAMES_PER_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._ended = True
        self._live.stop()

    def __rich__(self) -> RenderableType:
        """Return the present frame."""
        progress = self._progress
        if progress is None:
            return Text("" if self._ended else self._waiting)
        bar = Table.grid(expand=True)
        bar.add_row(ProgressBar(total=progress.total, completed=finished(progress)))
        if self._ended:
            return Group(bar, Text(f"{counts(progress)} in {duration(progress.seconds)}"))
        lines = [Text(text) for text in (counts(progress), self._peak, left(progress)) if text]
        if progress.draining:
            lines.append(Text(f"{DRAINING}; Ctrl-C again gives up at once", "yellow"))
        return Group(bar, *lines)


class LineDisplay(Display):
    """A line at every tenth of the way, for files and pipes."""

    def __init__(self, waiting: str) -> None:
        super().__init__()
        say(waiting)
        self._told = 0
        self._draining = False

    def __call__(self, progress: "Progress") -> None:
        """Print a line if another tenth of the trials is done."""
        super().__call__(progress)
        tenth = math.floor(LINES * finished(progress) / progress.total)
        if tenth > self._told:
            self._told = tenth
            say("; ".join(text for text in (counts(progress), self._peak, left(progress)) if text))
        if progress.draining and not self._draining:
            self._draining = True
            say(DRAINING)


def display(waiting: str) -> Display:
    """Return how a sweep is shown on standard output; `waiting` is what it says until trials begin."""
    console = output()
    return LiveDisplay(console, waiting) if console.is_terminal else LineDisplay(waiting)


def finished(progress: "Progress") -> int:
    """Return how many trials have ended, now or in earlier runs of the sweep."""
    return progress.replayed + progress.done + progress.failed


def counts(progress: "Progress") -> str:
    """Return what has become of the trials."""
    saved = savings(progress.epochs, progress.epochs_saved, progress.ended_early)
    text = (
        f"{finished(progress)} of {progress.total} trials, {progress.running} running, {progress.diverged} diverged, "
        f"{progress.at_chance} at chance, {progress.failed} failed; {progress.epochs:,.0f} epochs"
    )
    return f"{text}; {saved}" if saved else text


def left(progress: "Progress") -> str:
    """Return the expected time to the end, "" before the first trial is done."""
    seconds = progress.seconds_left
    return "" if seconds is None or not seconds else f"about {duration(seconds)} left"


@contextlib.contextmanager
def counter(waiting: str, things: str) -> Iterator[Advance]:
    """Show how many of some things are done: a bar on a terminal, a line at every tenth elsewhere.

    Args:
        waiting: What is said until the first is done.
        things: Their name, in the plural.

    Yields:
        What is to be called with (done, total).
    """
    console = output()
    if not console.is_terminal:
        say(waiting)
        yield _tenths(things)
        return
    with RichProgress(console=console, transient=False) as bar:
        task = bar.add_task(waiting, total=None)
        yield lambda done, total: bar.update(
            task, description=f"{done} of {total} {things}", completed=done, total=total
        )


def _tenths(things: str) -> Advance:
    told = 0

    def advance(done: int, total: int) -> None:
        nonlocal told
        tenth = math.floor(LINES * done / total)
        if tenth > told:
            told = tenth
            say(f"{done} of {total} {things}")

    return advance
