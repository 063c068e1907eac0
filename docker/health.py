"""Whether what a container runs is well (HEALTHCHECK): the service answers, or the Ray node does.

A sweep or any other command is, while it runs.
"""

import ssl
import urllib.request
from pathlib import Path

SERVICE = "127.0.0.1:8270/api/v1/health"
NODE = "http://127.0.0.1:52365/api/healthz"
"""Ray's agent answers for the node, and on a head for the GCS too; it asks nobody for a token there."""


def address(command: str) -> str | None:
    """Return where to ask about what `command` started, None if it answers nobody."""
    if "ray start" in command:
        return NODE
    if "sweeper serve" in command:
        return f"{'https' if '--tls-cert' in command else 'http'}://{SERVICE}"
    return None


def main() -> None:
    """Ask about the first process of this container, and fail unless the answer is well."""
    url = address(Path("/proc/1/cmdline").read_bytes().replace(b"\0", b" ").decode())
    if url is not None:
        # The certificate is for the name that others use, not for this loopback address.
        urllib.request.urlopen(url, timeout=8, context=ssl._create_unverified_context()).close()


if __name__ == "__main__":
    main()
