"""Several Ray nodes on one machine as if each were a host of its own, to be killed, suspended and cut off.

As root, where the system allows it, every node lives in a network namespace of its own, joined to the others by a link
that can be cut. Elsewhere worker nodes differ by their loopback address, and links can't be cut.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import ray

RAY = (sys.executable, "-m", "ray.scripts.scripts")
ENVIRONMENT = {
    **os.environ,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    # Ray's default of 15 starves the trials where the drills share a machine.
    "RAY_worker_niceness": "0",
}
PORT = 6399
START_SECONDS = 300.0


@dataclass
class Host:
    """Where one node lives."""

    address: str
    prefix: tuple[str, ...] = ()
    """Of a command that is to run there."""
    link: str = ""
    """The other end of its cable; empty if it can't be cut."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, *options: str) -> None:
        """Start a Ray node here."""
        command = [*self.prefix, *RAY, "start", "--block", f"--node-ip-address={self.address}", *options]
        # Nodes that start at once on one machine would choose the same names in one folder.
        command.append(f"--temp-dir={tempfile.mkdtemp(prefix='ray-')}")
        self.process = subprocess.Popen(
            command,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def raylet(self) -> psutil.Process | None:
        """Return the node's raylet, None if the node has died."""
        if self.process is None or self.process.poll() is not None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                if child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE:
                    return child
        return None

    def signal(self, number: int) -> None:
        """Send the raylet a signal, if it lives."""
        if raylet := self.raylet():
            raylet.send_signal(number)

    def cut(self) -> None:
        """Cut the cable."""
        _ip("link", "set", self.link, "down")

    def mend(self) -> None:
        """Plug the cable in again."""
        _ip("link", "set", self.link, "up")

    def stop(self) -> None:
        """End every process of the node."""
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            for child in [*parent.children(recursive=True), parent]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def nodes(workers: int) -> Iterator[tuple[Host, list[Host]]]:
    """Start a head that runs nothing, and worker nodes of one CPU; yield the head and the workers."""
    with _hosts(workers) as (head, hosts):
        try:
            head.start("--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
            _await_cpus(head, 0)
            # One by one: a raylet dies if its agents don't start within 15 s, as on a busy machine.
            for number, host in enumerate(hosts, 1):
                join(host, head)
                while not _await_cpus(head, number, host):
                    join(host, head)
            yield head, hosts
        finally:
            for host in [*hosts, head]:
                host.stop()


def join(host: Host, head: Host) -> None:
    """Start a worker node that joins the cluster."""
    host.start(f"--address={address_of(head)}", "--num-cpus=1")


def address_of(head: Host) -> str:
    """Return the cluster's address."""
    return f"{head.address}:{PORT}"


def _await_cpus(head: Host, cpus: int, starting: Host | None = None) -> bool:
    """Wait for the cluster to have so many CPUs; return whether it has, or False if the node that starts has died."""
    code = (
        f"import ray, time; ray.init({address_of(head)!r}, log_to_driver=False, logging_level='ERROR')\n"
        f"while ray.cluster_resources().get('CPU', 0) < {cpus}: time.sleep(.5)"
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        command = [*head.prefix, sys.executable, "-c", code]
        with subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as asked:
            while asked.poll() is None:
                if (
                    starting is not None
                    and starting.process is not None
                    and starting.process.poll() is not None
                ):
                    asked.kill()
                    return False
                time.sleep(0.2)
        if asked.returncode == 0:
            return True
        time.sleep(1)
    raise AssertionError("the cluster does not come up")


def namespaces_work() -> bool:
    """Return whether this process may make network namespaces."""
    name = f"sweeper-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        _ip("netns", "del", name)
    return made


@contextlib.contextmanager
def _hosts(workers: int) -> Iterator[tuple[Host, list[Host]]]:
    if not namespaces_work():
        yield (
            Host(ray.util.get_node_ip_address()),
            [Host(f"127.0.0.{number}") for number in range(2, 2 + workers)],
        )
        return
    # New names each time: the system takes a while to clear a namespace away, and its cable with it.
    mark = uuid.uuid4().hex[:8]
    bridge, names = f"swb{mark}", [f"sw{mark}-{number}" for number in range(workers + 1)]
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "up")
        head, *hosts = [_namespace(name, f"10.77.0.{number}", bridge) for number, name in enumerate(names, 1)]
        yield head, hosts
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", bridge], capture_output=True, check=False)


def _namespace(name: str, address: str, bridge: str) -> Host:
    """Make a namespace with one address, joined to the bridge by a cable of the same name."""
    _ip("netns", "add", name)
    _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("link", "set", name, "master", bridge, "up")
    _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    # Ray finds its own address by asking for the way to a host outside.
    _ip("-n", name, "route", "add", "default", "dev", "eth0")
    return Host(address, ("ip", "netns", "exec", name), name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
