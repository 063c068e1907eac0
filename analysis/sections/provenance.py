"""Where the numbers come from."""

import json
from html import escape
from typing import Any

from analysis.page.fragments import timestamp
from analysis.sections.base import Content, View


def provenance(view: View) -> Content:
    """Return where the numbers come from: command, time, seeds, hardware and versions."""
    info = view.run.info
    seeds = {"recipe": info.recipe["seed"], "branches": info.recipe["branch"].get("seeds") or "0, 1, …"}
    facts = {
        "run": info.run,
        "command": info.command,
        "started": timestamp(info.time),
        "seeds": ", ".join(f"{name} {seed}" for name, seed in seeds.items()),
        "hardware": ", ".join(f"{name} {_plain(value)}" for name, value in info.hardware.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(info.versions.items())),
    }
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return Content(f"<dl>{items}</dl>")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
