"""Who is kept out, what is refused, and that nothing secret is written down. The cluster may be away for all of it."""

import asyncio
import itertools
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from search_spaces import load_recipe
from sweeper.service.app import build_app
from sweeper.service.auth import new_token, parse_tokens
from sweeper.service.reading import prepare
from sweeper.service.settings import Settings
from sweeper.tuning import default_name
from tests.service.serving import AWAY, client, serving

READ, WRITE = new_token("read"), new_token("write")
YAML = {"Content-Type": "application/yaml"}
SMALL = """
name: small
task: {name: "TASK"}
model: {name: mlp}
train: {noise_scale: 0.01}
trunk: {epochs: 2, branch_every: 1}
branch: {decay_epochs: 1}
space: {train/noise_scale: [0.01, 0.1]}
search: {sampler: grid}
"""


@pytest.fixture(scope="module")
def audit(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def root(planted, audit):
    """A service that wants tokens, allows 5 trials, and the code of one module."""
    settings = {
        "tokens": (READ[1], WRITE[1]),
        "trials": 5,
        "imports": ("allowed",),
        "audit": audit,
        "rate": 100_000,
    }
    with serving(planted, **settings) as found:
        yield found


@pytest.fixture(scope="module")
def writer(root):
    with client(root, WRITE[0]) as found:
        yield found


@pytest.fixture(scope="module")
def open_root(planted):
    """A service without tokens."""
    with serving(planted) as found:
        yield found


def detail(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return problem["detail"]


def raw(root: str, request: str) -> int:
    """Send a request that no client would, and return the status of its answer."""
    host, port = root.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as line:
        head, _, rest = request.partition("\r\n")
        line.sendall(f"{head}\r\nHost: {host}\r\nAuthorization: Bearer {WRITE[0]}\r\n{rest}\r\n\r\n".encode())
        return int(line.recv(4096).split()[1])


@pytest.mark.parametrize("token", ["", "wrong", READ[0][:-1], READ[1].digest])
@pytest.mark.parametrize(
    "path", ["/sweeps", "/sweeps/demo", "/sweeps/none", "/recipes", "/sweeps/demo/records"]
)
def test_without_a_known_token_nothing_is_said(root, token, path):
    with client(root, token) as api:
        answer = api.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "known token" in detail(answer)


def test_other_schemes_are_not_bearer(root):
    answer = httpx.get(f"{root}/api/v1/sweeps", headers={"Authorization": f"Basic {WRITE[0]}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sweeps"),
        ("POST", "/sweeps/demo/stop"),
        ("POST", "/sweeps/demo/resume"),
        ("POST", "/sweeps/demo/measure"),
        ("DELETE", "/sweeps/demo"),
    ],
)
def test_a_reading_token_writes_nothing(root, method, path):
    with client(root, READ[0]) as api:
        assert api.get("/sweeps/demo").status_code == 200
        answer = api.request(method, path, json={"recipe": "digits"})
    assert (answer.status_code, detail(answer)) == (403, "this token may only read; use one with scope write")


def test_bodies_are_bounded_however_they_come(writer):
    huge = b" " * (256 * 1024 + 1)
    answer = writer.post("/sweeps", content=huge, headers=YAML)
    assert (answer.status_code, detail(answer)) == (413, "the body is larger than 262144 bytes")
    streamed = writer.post("/sweeps", content=iter([huge[:200_000], huge[200_000:]]), headers=YAML)
    assert streamed.status_code == 413


def test_a_body_is_refused_by_its_length_before_it_comes(root):
    header = "Content-Type: application/json\r\nContent-Length: 99999999999"
    assert raw(root, f"POST /api/v1/sweeps HTTP/1.1\r\n{header}") == 413


BILLION_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in itertools.pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (BILLION_LAUGHS, "aliases"),
        ("a: &a {b: *a}", "aliases"),
        ("[" * 10_000, "deeper"),
        ("- " * 10_000 + "x", "deeper"),
        ("{a: " * 10_000, "deeper"),
        ("space: [" + "1, " * 10_000 + "1]", "larger"),
        ("!!python/object/apply:os.system [echo]", "not YAML"),
        ("a: !!binary aGVsbG8=", "bytes"),
        ("a: 2020-01-01", "date"),
        ("a: .nan", "not finite"),
        ("{1: a}", "names that are no texts"),
        ("? [a]\n: b", "not YAML"),
        ("\x00", "not YAML"),
        ("", "holds nothing"),
        ("- a", "no mapping"),
        ("a: [", "not YAML"),
        ("name: x\nname: y", "twice"),
        ("{}", "is missing"),
    ],
)
def test_yaml_that_is_no_recipe(writer, body, message):
    answer = writer.post("/sweeps", content=body.encode(), headers=YAML)
    assert answer.status_code == 422
    assert message in detail(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b'{"a": NaN}', b'{"a": 1e999}',
        b'{"a": ' + b"9" * 100_000 + b"}", b'{"recipe": {}}', b'{"recipe": "digits", "scale": 1}',
        b'{"recipe": "digits", "overrides": []}', b'{"recipe": "digits", "more": 1}', b'{"recipe": "/etc/passwd"}',
        b'{"recipe": "../digits.yaml"}', b'{"recipe": "digits", "overrides": {"space/": 1}}',
        b'{"recipe": "digits", "overrides": {"name": "../../x"}}', b'{"name": "\\ud800"}',
    ],
)  # fmt: skip
def test_json_that_is_no_recipe(writer, body):
    answer = writer.post("/sweeps", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert detail(answer)


def test_errors_name_their_fields(writer):
    overrides = {"train/momentum": 2, "branch/count": 0}
    answer = writer.post("/sweeps", json={"recipe": "digits", "scale": "smoke", "overrides": overrides})
    assert answer.status_code == 422
    assert {each["path"] for each in answer.json()["errors"]} == set(overrides)


def test_other_types_are_not_looked_at(writer):
    assert writer.post("/sweeps", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert writer.post("/sweeps", data={"recipe": "digits"}).status_code == 415


@pytest.mark.parametrize(
    "name",
    ["..", "../x", "%2e%2e", "%2e%2e%2fx", "..%2f..%2fetc", "%252e%252e", "a%2fb", "a%00", ".hidden", "a%20b", "%C3%A4",
     "x" * 101, "demo%0a", "demo~2"],
)  # fmt: skip
@pytest.mark.parametrize(
    "request_line", ["GET {}", "GET {}/records", "GET {}/report", "GET {}/events", "DELETE {}"]
)
def test_no_name_leaves_the_storage(root, planted, name, request_line):
    line = request_line.format(f"/api/v1/sweeps/{name}")
    assert raw(root, f"{line} HTTP/1.1\r\nConnection: close") in {404, 405, 422}
    assert (Path(planted) / "runs" / "demo" / "run.json").exists()


@pytest.mark.parametrize("name", ["../x", "..", ".x", "a/b", "x" * 101, ""])
def test_a_run_cannot_be_given_such_a_name(writer, name):
    answer = writer.post("/sweeps", params={"name": name}, json={"recipe": "digits", "scale": "smoke"})
    assert answer.status_code == 422


def test_only_allowed_code_is_imported(writer):
    space = 'space: {task: ["digits", "forbidden:task"], '
    bodies = [SMALL.replace("TASK", "digits").replace("space: {", space)]
    names = ("forbidden:task", "allowed.deeper:task", "allowedly:task", "os:system", "forbidden:allowed")
    bodies += [SMALL.replace("TASK", name) for name in names]
    for body in bodies:
        answer = writer.post("/sweeps", content=body, headers=YAML)
        assert answer.status_code == 422
        assert "is not among those that this service allows" in detail(answer)
    answer = writer.post("/sweeps", content=SMALL.replace("TASK", "allowed:task"), headers=YAML)
    assert 'no module "allowed"' in detail(answer), "only now was it looked for"


def test_trials_are_bounded_before_they_are_listed(writer):
    values = ", ".join(str(number / 1000) for number in range(1, 900))
    vast = SMALL.replace("TASK", "digits").replace(
        "space: {train/noise_scale: [0.01, 0.1]}",
        f"space: {{train/noise_scale: [{values}], train/momentum: [{values}], train/weight_decay: [{values}]}}",
    )
    answer = writer.post("/sweeps", content=vast, headers=YAML)
    assert answer.status_code == 422
    assert f"{899**3} are more than the 5 that this service allows" in detail(answer)


def test_the_quota_is_that_of_the_service_whatever_a_recipe_asks_for(tmp_path):
    def quota(asked: float | None) -> float | None:
        content = {"recipe": "digits", "scale": "smoke", "overrides": {"retention/quota_gib": asked}}
        found = prepare(content, None, str(tmp_path), most_trials=100, quota_gib=2.0, allowed=())
        assert found.run == default_name(load_recipe("digits", "smoke")), "the same sweep with another quota"
        return found.recipe.retention.quota_gib

    assert [quota(asked) for asked in (None, 1.0, 3.0)] == [2.0, 1.0, 2.0]


def test_of_two_hundred_clients_at_once_each_gets_its_own_answer(root, audit):
    """Most of them do wrong, each in its way; nobody else is told of it, nor what it sent written down."""
    writing, reading = ({"Authorization": f"Bearer {secret}"} for secret, _ in (WRITE, READ))
    asked = [
        ("GET", "/sweeps/demo", reading, b"", 200),
        ("GET", "/sweeps/demo", {"Authorization": "Bearer a-guess"}, b"", 401),
        ("DELETE", "/sweeps/demo", reading, b"", 403),
        ("GET", "/sweeps/..%2fdemo", reading, b"", 404),
        ("POST", "/sweeps/demo/resume", {**writing, "Content-Type": "application/json"}, b"{a-secret-body", 422),
        ("POST", "/sweeps", {**writing, **YAML}, b"#" * 300_000, 413),
        ("POST", "/sweeps", {**writing, "Content-Type": "text/plain"}, b"a-secret-body", 415),
        ("POST", "/sweeps", {**writing, **YAML}, BILLION_LAUGHS.encode(), 422),
    ] * 25  # fmt: skip

    async def ask_all() -> list[int]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=f"{root}/api/v1", limits=limits, timeout=120) as clients:
            sent = (
                clients.request(how, what, headers=who, content=body) for how, what, who, body, _ in asked
            )
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert asyncio.run(ask_all()) == [status for *_, status in asked]
    assert "a-guess" not in audit.read_text()
    assert "a-secret-body" not in audit.read_text()


def test_requests_are_counted(planted):
    with serving(planted, rate=20) as root, client(root) as api:
        statuses = [api.get("/recipes/schema").status_code for _ in range(25)]
        assert statuses == [200] * 20 + [429] * 5
    with serving(planted, rate=20) as root, client(root) as api:
        statuses = [api.post("/sweeps/none/stop").status_code for _ in range(4)]
        assert statuses == [404, 404, 429, 429], "writes have a tenth"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example:PORT"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost:PORT"}, 200),
        ({"Host": "127.0.0.1:PORT"}, 200),
        ({"Host": "[::1]:PORT"}, 200),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://127.0.0.1:PORT"}, 200),
    ],
)
def test_without_tokens_foreign_pages_are_kept_out(open_root, headers, status):
    port = open_root.rpartition(":")[2]
    headers = {name: value.replace("PORT", port) for name, value in headers.items()}
    assert httpx.get(f"{open_root}/api/v1/recipes/schema", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "give --tokens"),
        ({"host": "::"}, "give --tokens"),
        ({"host": "0.0.0.0", "behind_proxy": True}, "give --tokens"),
        ({"behind_proxy": True}, "--behind-proxy: others could reach it; give --tokens"),
        ({"host": "0.0.0.0", "tokens": (READ[1],)}, "give --tls-cert and --tls-key, or --behind-proxy"),
        ({"tls_key": Path("key.pem")}, "give both"),
        ({"webhook": "http://127.0.0.1/"}, "SWEEPER_WEBHOOK_SECRET"),
    ],
)
def test_it_does_not_listen_to_others_unguarded(planted, settings, message):
    with pytest.raises(ValueError, match=message):
        build_app(Settings(planted, AWAY, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "127.0.0.2"},
        {"host": "::1"},
        {"host": "0.0.0.0", "tokens": (READ[1],), "behind_proxy": True},
    ],
)
def test_it_listens_where_it_is_guarded(planted, settings):
    assert build_app(Settings(planted, AWAY, **settings))


def test_token_files_keep_no_token():
    secret, token = WRITE
    assert secret not in token.line()
    assert parse_tokens(f"# ours\n\n{token.line()}  # laptop\n") == (token,)
    with pytest.raises(ValueError, match="tokens, line 2: write NAME") as caught:
        parse_tokens(f"{token.line()}\n{secret}")
    assert secret not in str(caught.value)


def test_the_audit_log_says_who_did_what_and_nothing_secret(root, writer, audit, capfd):
    before = len(audit.read_text().splitlines())
    writer.post("/sweeps?name=x", json={"recipe": "digits", "overrides": {"title": "a private title"}})
    writer.post("/sweeps/demo/stop", params={"token": "in-a-query"})
    with client(root, "a-wrong-token") as stranger:
        stranger.get("/sweeps/demo")
    # A line is written once its answer is on its way.
    end = time.monotonic() + 10
    while len((text := audit.read_text()).splitlines()) < before + 3 and time.monotonic() < end:
        time.sleep(0.05)
    captured = capfd.readouterr()
    stopped, refused = [json.loads(line) for line in text.splitlines()][-2:]
    assert {**stopped, "time": 0} == {
        "time": 0, "token": WRITE[1].name, "scope": "write", "method": "POST", "path": "/api/v1/sweeps/demo/stop",
        "status": 202, "run": "demo",
    }  # fmt: skip
    assert (refused["token"], refused["status"]) == (None, 401)
    for secret in (WRITE[0], READ[0], "a-wrong-token", "a private title", "in-a-query", WRITE[1].digest):
        assert secret not in text + captured.out + captured.err


def test_this_process_loads_no_torch():
    code = (
        "import sys; from sweeper.service.app import build_app; from sweeper.service.settings import Settings\n"
        "build_app(Settings('x', 'http://127.0.0.1:1')); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "False"
