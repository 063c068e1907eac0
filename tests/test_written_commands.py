"""The command line takes every command that documents and manifests hold, and their links lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from sweeper.cli import _one_value_each, app

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docker/*.md")]
COMMANDS = typer.main.get_command(app).commands
CALL = re.compile(r"(?:^|[\s'`])sweeper(?::\w+)? ([a-z]+(?: [^'`|&#…\n]*)?)")


def called(text: str) -> list[str]:
    """Return the arguments of every call of `sweeper` in shell text."""
    return CALL.findall(re.sub(r"\\\n\s*", "", text))


def written() -> list[Any]:
    """Return (where, arguments) of all calls."""
    found = []
    for page in PAGES:
        blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        found += [(page.name, call) for block in blocks for call in called(block)]
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]
    found.append(("compose.yaml", shlex.join(services["service"]["command"])))
    found.append(("compose.yaml", shlex.join([*services["dashboard"]["entrypoint"][1:], "RUN"])))
    job = yaml.safe_load((ROOT / "docker/kubernetes/rayjob.yaml").read_text(encoding="utf-8"))["spec"]
    found += [("rayjob.yaml", call) for call in called(job["entrypoint"])]
    return [pytest.param(call, id=f"{where}: {call}") for where, call in dict.fromkeys(found)]


@pytest.mark.parametrize("call", written())
def test_the_command_line_takes_it(call):
    name, *arguments = _one_value_each(shlex.split(call))
    COMMANDS[name].make_context(name, arguments)


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
