"""`sweeper serve` as a process: when it says its address, to whom it listens, and how."""

import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from sweeper.cli import execute
from sweeper.service.auth import new_token
from tests.service.serving import AWAY

ROOT = Path(__file__).parents[2]
SECRET, TOKEN = new_token("read")
KNOWN = {"Authorization": f"Bearer {SECRET}"}
OTHERS = ["--host", "0.0.0.0"]


@contextlib.contextmanager
def served(storage: str, *options: str) -> Iterator[str]:
    """Serve on a free port, and yield the URL that the command prints."""
    command = [
        sys.executable,
        "-m",
        "sweeper",
        "serve",
        "--storage",
        storage,
        "--address",
        AWAY,
        "--port",
        "0",
    ]
    environment = {**os.environ, "SWEEPER_TOKENS": TOKEN.line()}
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:  # fmt: skip
        yield process.stdout.readline().partition(" serves ")[0]
        process.terminate()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority, tmp_path_factory) -> list[str]:
    """The options that name a certificate for 127.0.0.1."""
    folder, certificate = tmp_path_factory.mktemp("tls"), authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    return ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]


def test_others_are_answered_over_tls_if_they_have_a_token(planted, authority, tls):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with served(planted, *OTHERS, *tls) as said:
        assert said.startswith("https://0.0.0.0:")
        # At once: whoever reads the address may use it.
        url = said.replace("0.0.0.0", "127.0.0.1") + "/api/v1/recipes/schema"
        with httpx.Client(verify=context, timeout=60) as client:
            assert client.get(url).status_code == 401
            assert client.get(url, headers=KNOWN).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url.replace("https", "http"), headers=KNOWN, timeout=60)


@pytest.mark.parametrize("behind", [True, False])
def test_who_asks_is_what_a_proxy_says_only_if_there_is_one(planted, behind):
    with served(planted, "--rate", "10", *(["--behind-proxy", *OTHERS] if behind else [])) as said:
        url = said.replace("0.0.0.0", "127.0.0.1") + "/api/v1/recipes/schema"

        def ask(who: str) -> int:
            return httpx.get(url, headers={"X-Forwarded-For": who}, timeout=60).status_code

        assert [ask("192.0.2.1") for _ in range(11)] == [401] * 10 + [429]
        assert ask("192.0.2.2") == (401 if behind else 429)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (OTHERS, "give --tokens"),
        (["--behind-proxy"], "give --tokens"),
        ([*OTHERS, "--tokens", "TOKENS"], "give --tls-cert and --tls-key, or --behind-proxy"),
        (["--tls-cert", "TOKENS", "--tls-key", "TOKENS"], "give a certificate and its key as PEM files"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], "No such file or directory"),
        (["--host", "192.0.2.1", "--tokens", "TOKENS", "--behind-proxy"], "--host 192.0.2.1 --port 8270: "),
    ],
)
def test_it_says_in_a_line_why_it_does_not_listen(planted, tmp_path, capsys, options, message):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text(TOKEN.line())
    options = [option.replace("TOKENS", str(tokens)) for option in options]
    assert execute(["serve", "--storage", planted, "--address", AWAY, *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
