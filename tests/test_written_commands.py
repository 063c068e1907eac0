"""The command line takes every command that documents and manifests hold, and their links lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from ray.scripts.scripts import cli as ray_command_line

from sweeper.cli import _one_value_each, app

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docker/*.md")]
SERVICES = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]
JOB = yaml.safe_load((ROOT / "docker/kubernetes/rayjob.yaml").read_text(encoding="utf-8"))["spec"]
COMMANDS = typer.main.get_command(app).commands
CALL = re.compile(r"(?:^|[\s'`])sweeper(?::\w+)? ([a-z]+(?: [^'`|&#…\n]*)?)")


def called(text: str) -> list[str]:
    """Return the arguments of every call of `sweeper` in shell text."""
    return CALL.findall(text)


def shell() -> list[tuple[str, str]]:
    """Return (where, text) of all shell text in documents, a command in a line."""
    return [
        (page.name, re.sub(r"\\\n\s*", "", block))
        for page in PAGES
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    ]


def parameters(found: list[tuple[str, str]]) -> list[Any]:
    """Return (where, arguments) as cases, each once."""
    return [pytest.param(call, id=f"{where}: {call}") for where, call in dict.fromkeys(found)]


def written() -> list[Any]:
    """Return the calls of `sweeper`."""
    found = [(where, call) for where, text in shell() for call in called(text)]
    found.append(("compose.yaml", shlex.join(SERVICES["service"]["command"])))
    found.append(("compose.yaml", shlex.join([*SERVICES["dashboard"]["entrypoint"][1:], "RUN"])))
    found += [("rayjob.yaml", call) for call in called(JOB["entrypoint"])]
    return parameters(found)


def written_for_ray() -> list[Any]:
    """Return the calls of `ray`, which KubeRay makes of a group's rayStartParams too."""
    lines = [(where, line) for where, text in shell() for line in text.splitlines()]
    found = [(where, call[1]) for where, line in lines if (call := re.match(r"(?:srun )?ray (.+)", line))]
    for name in ("head", "worker"):
        # Compose puts in what the environment says, or the default.
        given = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in SERVICES[name]["entrypoint"][1:]]
        found.append(("compose.yaml", shlex.join(given)))
    cluster = JOB["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        options = [f"--{option}={value}" for option, value in group["rayStartParams"].items()]
        found.append(("rayjob.yaml", " ".join(["start", *options])))
    return parameters(found)


@pytest.mark.parametrize("call", written())
def test_the_command_line_takes_it(call):
    name, *arguments = _one_value_each(shlex.split(call))
    COMMANDS[name].make_context(name, arguments)


@pytest.mark.parametrize("call", written_for_ray())
def test_ray_s_command_line_takes_it(call):
    # A number, as click wants it.
    name, *arguments = shlex.split(call.replace("$SLURM_NNODES", "4"))
    ray_command_line.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target
