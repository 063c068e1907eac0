"""The service: serve."""

import contextlib
import gc
import logging
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

from sweeper.commands.cluster import DASHBOARD, DashboardOption, PythonOption, need_service
from sweeper.commands.request import STORAGE, StorageOption, one_line, refuse


def serve(
    storage: StorageOption = STORAGE,
    address: DashboardOption = DASHBOARD,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="To listen on; default: this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="To listen on.")] = 8270,
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", metavar="FILE", help="Of hashed tokens, a line each; or SWEEPER_TOKENS."),
    ] = None,
    new_token: Annotated[
        str | None,
        typer.Option("--new-token", metavar="read|write", help="Print a new token and its line, and end."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate chain, PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, PEM.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy in front ends TLS, and says who asks.")
    ] = False,
    allow_import: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-import",
            metavar="MODULE[:FUNCTION]",
            help="That recipes may name by import path; repeatable.",
        ),
    ] = None,
    max_sweeps: Annotated[int, typer.Option("--max-sweeps", min=1, metavar="N", help="Running at once.")] = 4,
    max_trials: Annotated[
        int, typer.Option("--max-trials", min=1, metavar="N", help="Of one sweep.")
    ] = 10_000,
    quota_gib: Annotated[
        float | None,
        typer.Option("--quota-gib", min=0.001, metavar="GIB", help="Of all checkpoints together."),
    ] = None,
    rate: Annotated[
        int,
        typer.Option("--rate", min=10, metavar="N", help="Requests per minute and token; a tenth may write."),
    ] = 1200,
    audit: Annotated[
        Path | None, typer.Option("--audit", metavar="FILE", help="Audit log; default: standard error.")
    ] = None,
    webhook: Annotated[
        str,
        typer.Option("--webhook", metavar="URL", help="Told of ends; signed with SWEEPER_WEBHOOK_SECRET."),
    ] = "",
    python: PythonOption = "python",
) -> None:
    """Serve sweeps over HTTP: an API under /api/v1 and a page, over a storage and a Ray cluster. Ctrl-C ends it.

    Sweeps run as jobs on the cluster, and go on when the service ends.

    Example: sweeper serve --storage s3://bucket/sweeps --address http://head:8265
    """
    need_service("serve")
    from sweeper.service.auth import new_token as make
    from sweeper.service.auth import parse_tokens

    if new_token is not None:
        if new_token not in {"read", "write"}:
            refuse(f"--new-token {new_token}: a token has scope read or write")
        secret, token = make("write" if new_token == "write" else "read")
        print(f"{secret}\nis shown this once. Add this line to the file of --tokens, or to SWEEPER_TOKENS:")
        print(token.line())
        return
    import uvicorn

    from sweeper.jobs import check_reachable_storage
    from sweeper.service.app import build_app
    from sweeper.service.settings import Settings

    with one_line():
        settings = Settings(
            storage=check_reachable_storage(storage, address),
            address=address,
            host=host,
            port=port,
            tokens=parse_tokens(_token_lines(tokens)),
            tls_certificate=tls_cert,
            tls_key=tls_key,
            behind_proxy=behind_proxy,
            imports=tuple(allow_import or ()),
            sweeps=max_sweeps,
            trials=max_trials,
            quota_gib=quota_gib,
            rate=rate,
            audit=audit,
            webhook=webhook,
            webhook_secret=os.environ.get("SWEEPER_WEBHOOK_SECRET", ""),
            python=python,
        )
        app = build_app(settings)
    logging.basicConfig(level=logging.WARNING)
    config = uvicorn.Config(
        app,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="*" if behind_proxy else None,
        access_log=False,  # the audit log has more, and less: no queries
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    with _listen(host, port) as listening, contextlib.suppress(KeyboardInterrupt):
        # What was loaded to get here stays: looking through it would hold up answers for 100 ms every few seconds.
        gc.collect()
        gc.freeze()
        url = f"{'https' if tls_cert else 'http'}://{_netloc(host, listening)}"
        print(f"{url} serves {settings.storage}; Ctrl-C ends it", flush=True)
        uvicorn.Server(config).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens: whoever asks from now on is answered once the service has begun.

    Raises:
        WrongRequest: if one can't be had there.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        refuse(f"--host {host} --port {port}: {error.strerror}; choose others")


def _netloc(host: str, listening: socket.socket) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _token_lines(file: Path | None) -> str:
    """Return the lines of a token file, or of the environment.

    Raises:
        WrongRequest: if the file can't be read.
    """
    if file is None:
        return os.environ.get("SWEEPER_TOKENS", "")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        refuse(f"--tokens {file}: {getattr(error, 'strerror', None) or 'no UTF-8 text'}")
