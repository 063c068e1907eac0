"""What the operator decides."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from sweeper.jobs import is_loopback
from sweeper.service.auth import Token


@dataclass(frozen=True)
class Settings:
    """How a service runs. `check` says whether it may."""

    storage: str
    address: str
    """Of the cluster's dashboard."""
    host: str = "127.0.0.1"
    port: int = 8270
    tokens: tuple[Token, ...] = ()
    """None: whoever can reach this machine's loopback addresses may do everything."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    """A proxy in front ends TLS; its X-Forwarded headers are believed."""
    imports: tuple[str, ...] = ()
    """Modules, or module:function, that recipes may name by import path."""
    sweeps: int = 4
    """That may wait or run at once."""
    trials: int = 10_000
    """Of one sweep."""
    quota_gib: float | None = None
    """Of the whole storage; a sweep that would exceed it stops."""
    rate: int = 1200
    """Requests per minute and token, or address where there are no tokens; a tenth of them may write."""
    body_bytes: int = 256 * 1024
    audit: Path | None = None
    """None: standard error."""
    webhook: str = ""
    webhook_secret: str = field(default="", repr=False)
    python: str = "python"

    def check(self) -> None:
        """Check that whoever could reach the service is either this machine's user or has a token, unheard by others.

        Raises:
            ValueError: if not.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key: give both, or none")
        if self.tls_certificate is not None:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                    self.tls_certificate, self.tls_key
                )
            except OSError as error:
                raise ValueError(
                    f"--tls-cert {self.tls_certificate} --tls-key {self.tls_key}: {error.strerror or error}; give a "
                    "certificate and its key as PEM files"
                ) from error
        if self.webhook and not self.webhook_secret:
            raise ValueError("--webhook: set SWEEPER_WEBHOOK_SECRET, with which messages are signed")
        if not self.tokens and (self.behind_proxy or not is_loopback(self.host)):
            where = "--behind-proxy" if self.behind_proxy else f"--host {self.host}"
            raise ValueError(
                f"{where}: others could reach it; give --tokens FILE (sweeper serve --new-token write)"
            )
        if is_loopback(self.host):
            return
        if self.tls_certificate is None and not self.behind_proxy:
            raise ValueError(
                f"--host {self.host}: tokens would travel in the clear; give --tls-cert and --tls-key, or "
                "--behind-proxy if a proxy in front ends TLS"
            )
