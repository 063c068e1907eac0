"""Latency of the service's reads: `python -m benchmarks.service --clients 200 --seconds 30`.

`sweeper serve` over a storage with one planted run and no cluster is asked by clients in another process, each with a
token and a connection of its own, once a second at a moment of its own, for a status, the list or the schema. Prints
the median, the 99th percentile and the largest of the seconds from a request to the whole of its answer, and what
processor time the service took for each. Answers count from `WARM_SECONDS` on: by then all clients are connected.
"""

import argparse
import asyncio
import gc
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import numpy as np
import psutil

from sweeper.service.auth import new_token
from tests.analysis.planted import write_run
from tests.service.head import free_port

READS = ["/sweeps/demo", "/sweeps/demo", "/sweeps", "/recipes/schema"]
AWAY = "http://127.0.0.1:1"
WARM_SECONDS = 3.0


def serve(storage: str, port: int, lines: str) -> subprocess.Popen[bytes]:
    """Begin to serve without a cluster."""
    command = [sys.executable, "-m", "sweeper", "serve", "--storage", storage, "--address", AWAY]
    return subprocess.Popen(
        [*command, "--port", str(port), "--audit", f"{storage}/audit.jsonl"],
        env={**os.environ, "SWEEPER_TOKENS": lines},
    )


async def ask(
    url: str, tokens: list[str], seconds: float, service: psutil.Process
) -> tuple[np.ndarray, float]:
    """Return the seconds that each answer took, and the service's processor seconds per answer."""
    taken: list[float] = []
    began = time.monotonic() + WARM_SECONDS
    end = began + seconds

    async def client(token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as api:
            await asyncio.sleep(random.random())
            while (asked := time.monotonic()) < end:
                async with api.get(f"{url}{random.choice(READS)}") as answer:
                    await answer.read()
                spent = time.monotonic() - asked
                if asked > began:
                    taken.append(spent)
                await asyncio.sleep(max(0.0, 1.0 - spent))

    async def processor_seconds() -> float:
        await asyncio.sleep(WARM_SECONDS)
        before = sum(service.cpu_times()[:2])
        await asyncio.sleep(seconds)
        return sum(service.cpu_times()[:2]) - before

    spent, *_ = await asyncio.gather(processor_seconds(), *map(client, tokens))
    return np.array(taken), spent / len(taken)


async def wait_until_ready(url: str, token: str) -> None:
    """Wait until the service listens and has looked at the run."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as api:
        while True:
            try:
                async with api.get(f"{url}/sweeps/demo") as answer:
                    if (await answer.json())["state"] == "done":
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.3)


async def measure(clients: int, seconds: float) -> str:
    """Serve, ask, and return what it took."""
    tokens = [new_token("read") for _ in range(clients)]
    secrets = [secret for secret, _ in tokens]
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/v1"
    with tempfile.TemporaryDirectory() as storage:
        write_run(Path(storage) / "runs" / "demo")
        with serve(storage, port, "\n".join(token.line() for _, token in tokens)) as service:
            await wait_until_ready(url, secrets[0])
            gc.freeze()  # the clients' own pauses are not the service's
            taken, spent = await ask(url, secrets, seconds, psutil.Process(service.pid))
            service.terminate()
    middle, high, most = 1000 * np.quantile(taken, [0.5, 0.99, 1.0])
    return (
        f"{len(taken)} reads by {clients} clients in {seconds:g} s: median {middle:.1f} ms, p99 {high:.1f} ms, "
        f"largest {most:.1f} ms; {1000 * spent:.2f} ms of processor time each; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    print(asyncio.run(measure(**vars(parser.parse_args()))))
