"""Answers that count for a while: readers get what is remembered, and it is asked for again behind them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

LATE_SECONDS = 5.0
"""How long past its time an answer is still given; who comes later, since nobody had asked, waits for a new one."""


class Remembered(Generic[T]):
    """The last answer to a question, None before the first.

    Args:
        ask: returns the answer now, and the seconds for which it counts.
    """

    def __init__(self, ask: Callable[[], Awaitable[tuple[T, float]]]) -> None:
        self.answer: T | None = None
        self._ask = ask
        self._until = float("-inf")
        self._lock = asyncio.Lock()
        self._renewing: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return an answer that counts, or did until just now."""
        late = self.late()
        if late is not None:
            return await asyncio.shield(late)
        assert self.answer is not None
        return self.answer

    def late(self) -> asyncio.Task[T] | None:
        """Have it asked again if the answer counts no more; return the asking if that has to be waited for."""
        now = time.monotonic()
        if now > self._until and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self.renew())
            # What nobody waits for fails unheard; the next reader asks again.
            self._renewing.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._renewing if now > self._until + LATE_SECONDS else None

    async def renew(self) -> T:
        """Return the answer as it is from now on."""
        async with self._lock:
            self.answer, seconds = await self._ask()
            self._until = time.monotonic() + seconds
        return self.answer
