"""Latency of the service's reads: `python -m benchmarks.service --clients 200 --seconds 30`.

A service over a storage with one planted run is asked by clients, each once a second at a moment of its own,
for the list, a status or the schema. Prints the median, the 99th percentile and the largest.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np

from sweeper.service.auth import new_token

READS = ["/sweeps/demo", "/sweeps/demo", "/sweeps", "/recipes/schema"]
AWAY = "http://127.0.0.1:1"


def serve(storage: str, port: int, lines: str) -> None:
    """Serve without a cluster."""
    from sweeper.cli import execute

    os.environ["SWEEPER_TOKENS"] = lines
    execute(
        [
            "serve",
            "--storage",
            storage,
            "--address",
            AWAY,
            "--port",
            str(port),
            "--audit",
            f"{storage}/audit.jsonl",
        ]
    )


async def ask(url: str, tokens: list[str], seconds: float) -> list[float]:
    """Return the seconds that each answer took; each client has a connection and a token of its own."""
    taken: list[float] = []

    async def client(token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=60) as api:
            await asyncio.sleep(random.random())
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                started = time.perf_counter()
                answer = await api.get(random.choice(READS))
                answer.raise_for_status()
                taken.append(time.perf_counter() - started)
                await asyncio.sleep(max(0.0, 1.0 - taken[-1]))

    await asyncio.gather(*map(client, tokens))
    return taken


def main() -> None:
    """Serve, ask, and print what it took."""
    from tests.analysis.planted import write_run
    from tests.service.head import free_port

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    tokens = [new_token("read") for _ in range(options.clients)]
    with tempfile.TemporaryDirectory() as storage:
        write_run(Path(storage) / "runs" / "demo")
        port, lines = free_port(), "\n".join(token.line() for _, token in tokens)
        service = multiprocessing.get_context("spawn").Process(target=serve, args=(storage, port, lines))
        service.start()
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, tokens[0][0])
        taken = np.array(asyncio.run(ask(url, [secret for secret, _ in tokens], options.seconds)))
        service.terminate()
        service.join()
    load = os.getloadavg()[0]
    middle, high, most = 1000 * np.quantile(taken, [0.5, 0.99, 1.0])
    print(
        f"{len(taken)} reads by {options.clients} clients in {options.seconds:g} s: median {middle:.1f} ms, "
        f"p99 {high:.1f} ms, largest {most:.1f} ms; load {load:.1f} on {os.cpu_count()} cores"
    )


def wait_until_ready(url: str, token: str) -> None:
    """Wait until the run has been looked at."""
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        try:
            if httpx.get(f"{url}/api/v1/sweeps/demo", headers=headers, timeout=60).json()["state"] == "done":
                return
        except httpx.TransportError:
            time.sleep(0.3)


if __name__ == "__main__":
    main()
