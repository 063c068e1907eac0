"""How much may be asked: bytes of a body, requests per minute."""

from fastapi import Request
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sweeper.service.auth import SAFE
from sweeper.service.problems import Refusal


class BodyLimit:
    """Refuses bodies of more than `most` bytes with 413: by their length, or as soon as too much has come."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        refusal = Refusal(413, f"the body is larger than {self._most} bytes")
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._most:
                raise refusal
            return message

        length = dict(scope.get("headers", ())).get(b"content-length", b"0")
        too_long = length.isdigit() and int(length[:20]) > self._most
        await (refusal.response() if too_long else self._app)(scope, counted, send)


class RateLimit:
    """Counts the requests of each caller in a minute, from the first on."""

    def __init__(self, per_minute: int) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._any = RateLimitItemPerMinute(per_minute)
        self._writing = RateLimitItemPerMinute(max(1, per_minute // 10))

    async def check(self, request: Request, who: str) -> None:
        """Count a request of `who`.

        Raises:
            Refusal: 429 if there were too many.
        """
        await self._hit(self._any, "any", who)
        if request.method not in SAFE:
            await self._hit(self._writing, "write", who)

    async def _hit(self, item: RateLimitItem, kind: str, who: str) -> None:
        if not await self._limiter.hit(item, kind, who):
            raise Refusal(429, f"more than {item.amount} requests a minute; wait", {"Retry-After": "10"})
