"""Who may do what: bearer tokens with a scope, kept as hashes."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import Request
from fastapi.security import HTTPBearer

from sweeper.jobs import is_loopback
from sweeper.service.problems import Refusal

Scope = Literal["read", "write"]
TICKET_SECONDS = 60
SAFE = {"GET", "HEAD", "OPTIONS"}

_LINE = re.compile(r"(?P<name>[\w.-]{1,64}) +(?P<scope>read|write) +sha256:(?P<digest>[0-9a-f]{64})")

bearer = HTTPBearer(auto_error=False, description="A token from `sweeper serve --new-token read|write`.")
"""Documents the scheme; `Guard` checks it."""


@dataclass(frozen=True)
class Token:
    """One token, without the token. It has 256 random bits, so a plain hash can't be guessed back."""

    name: str
    """For the audit log."""
    scope: Scope
    digest: str

    def line(self) -> str:
        """Return the line of a token file that `parse_tokens` reads."""
        return f"{self.name} {self.scope} sha256:{self.digest}"


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    name: str
    scope: Scope


def new_token(scope: Scope) -> tuple[str, Token]:
    """Return a new token, and what to keep of it."""
    secret = secrets.token_urlsafe(32)
    digest = _digest(secret)
    return secret, Token(f"{scope}-{digest[:6]}", scope, digest)


def parse_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a file: one `NAME read|write sha256:HASH` a line, # begins a comment.

    Raises:
        ValueError: naming the line that is none; it isn't repeated, since a token may have been pasted there.
    """
    tokens = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        match = _LINE.fullmatch(content)
        if match:
            tokens.append(
                Token(match["name"], "write" if match["scope"] == "write" else "read", match["digest"])
            )
        elif content:
            raise ValueError(
                f"tokens, line {number}: write NAME read|write sha256:HASH, as --new-token prints it"
            )
    return tuple(tokens)


class Guard:
    """Says who asks, and refuses whom it doesn't know.

    Without tokens only pages of this machine may ask: a foreign page could otherwise have a browser here ask for it,
    from its own origin, or by letting its own name point to this machine (DNS rebinding).
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens

    def caller(self, request: Request) -> Caller:
        """Return who asks.

        Raises:
            Refusal: 401 without a token that is known, 403 if a foreign page asks or the token may only read.
        """
        caller = self._known(request) if self._tokens else self._near(request)
        request.state.caller = caller
        if request.method not in SAFE and caller.scope != "write":
            raise Refusal(403, "this token may only read; use one with scope write")
        return caller

    def _known(self, request: Request) -> Caller:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        digest = _digest(secret.strip()) if scheme.lower() == "bearer" else ""
        # All are compared, each in constant time: how long it takes says nothing about which one nearly fits.
        found = [token for token in self._tokens if hmac.compare_digest(token.digest, digest)]
        if not found:
            raise Refusal(
                401, "send a known token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )
        return Caller(found[0].name, found[0].scope)

    @staticmethod
    def _near(request: Request) -> Caller:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        name = re.fullmatch(r"(?P<plain>[\w.-]+)(:\d+)?|\[(?P<bracketed>[\w:]+)\](:\d+)?", host)
        if name is None or not is_loopback(name["plain"] or name["bracketed"]):
            raise Refusal(403, "without tokens, ask for it as localhost or 127.0.0.1")
        if origin is not None and origin.partition("://")[2] != host:
            raise Refusal(403, "without tokens, pages of other origins may not ask")
        return Caller("local", "write")


class Tickets:
    """Lets a frame, which can send no token, open one thing within a minute of when a page asked for it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, name: str) -> str:
        """Return a ticket for `name`."""
        end = str(int(time.time()) + TICKET_SECONDS)
        return f"{end}.{self._sign(name, end)}"

    def check(self, name: str, ticket: str) -> None:
        """Check a ticket.

        Raises:
            Refusal: 403 if it isn't one for `name`, or is too old.
        """
        end, _, sign = ticket.partition(".")
        if not hmac.compare_digest(sign.encode(), self._sign(name, end).encode()) or time.time() > float(end):
            raise Refusal(403, "this link has expired; open it from the page of the sweep")

    def _sign(self, name: str, end: str) -> str:
        return hmac.new(self._key, f"{name}.{end}".encode(), hashlib.sha256).hexdigest()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
