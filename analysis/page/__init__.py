"""The report's HTML: fragments from numbers, and one page from fragments. Every text is escaped here."""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import pandas as pd
import plotly.io
import yaml
from plotly.offline import get_plotlyjs

from analysis.figures.style import UNITS, number
from analysis.records import RunInfo
from analysis.verdict import Recommendation, Verdict


def assemble(payload: Mapping[str, Any], csv: str, **fragments: str) -> str:
    """Return the whole page: the template filled with HTML `fragments`, figures and the records."""
    source = files(__package__)
    texts = {name: source.joinpath(f"report.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    return Template(texts["html"]).substitute(
        css=texts["css"],
        js=texts["js"],
        plotly=get_plotlyjs(),
        # "<" would let a text such as </script> end the element it stands in.
        payload=plotly.io.json.to_json_plotly(dict(payload), engine="json").replace("<", "\\u003c"),
        records=base64.b64encode(gzip.compress(csv.encode(), mtime=0)).decode(),
        **fragments,
    )


def switch(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str) -> str:
    """Return a labelled choice among (value, text) options; nothing if there is no choice."""
    if len(options) < 2:
        return ""
    items = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )
    return f'<label>{escape(label)} <select name="{escape(name)}">{items}</select></label>'


def verdict_html(verdict: Verdict) -> str:
    """Return the verdict as cards: S*, hump, gain, recommended learning rates."""
    selection, point = verdict.selection, verdict.point
    alpha = "" if selection.alpha is None else f", α = {selection.alpha:g}"
    measured = f"{selection.split} {selection.metric}, {selection.merge} merge{alpha}, batch norm {selection.batchnorm}"
    if point is None:
        none = _card("No critical point", "–", [verdict.reason, measured], wide=True)
        return f'<div class="cards">{none}</div>'
    unit = UNITS.get(selection.metric, "")
    gains = [f"95% interval {_interval(point.gain_low, point.gain_high)}, {selection.split} split"]
    gains += [
        f"{split} split, not used to find S*: {mean:+.3g} ({_interval(low, high)})"
        for split, (mean, low, high) in verdict.reported.items()
    ]
    kind = {"least_regret": "argmax of the mean curve", "most_mass": "most probable place, at a cliff"}[
        point.point
    ]
    cards = [
        _card(
            "Critical noise scale S*",
            number(point.noise_scale),
            [f"95% interval {_interval(point.low, point.high)}", kind, measured],
        ),
        _card(
            "Is there a hump?",
            "Yes" if point.hump else "Not claimed",
            [
                f"probability {point.hump_probability:.2f} that gain falls off on both sides",
                f"check by a plain Gaussian process: S* {number(point.gp.noise_scale)} "
                f"({_interval(point.gp.low, point.gp.high)})",
            ],
        ),
        _card(f"Gain at S* ({unit})", f"{point.gain:+.3g}", gains),
        _recommendations(verdict.recommendations),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _recommendations(recommendations: Iterable[Recommendation]) -> str:
    rows = "".join(
        f"<tr><td>{r.batch_size}</td><td><strong>{number(r.lr)}</strong></td><td>{_interval(r.low, r.high)}</td></tr>"
        for r in recommendations
    )
    momentum = next((f"{r.momentum:g}" for r in recommendations), "–")
    return (
        f'<article class="card wide"><h3>Recommended learning rate, momentum {momentum}</h3><table><thead><tr>'
        f'<th scope="col">batch size</th><th scope="col">lr</th><th scope="col">95% interval</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></article>"
    )


def _card(title: str, value: str, lines: Iterable[str], wide: bool = False) -> str:
    big = f'<p class="value">{escape(value)}</p>' if value else ""
    small = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<article class="card{" wide" if wide else ""}"><h3>{escape(title)}</h3>{big}{small}</article>'


def _interval(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def notices(texts: Iterable[str], otherwise: str) -> str:
    """Return warnings as marked paragraphs, or `otherwise` as a plain one."""
    marked = "".join(f'<p class="notice">{escape(text)}</p>' for text in texts)
    return marked or f"<p>{escape(otherwise)}</p>"


def paragraphs(texts: Iterable[str]) -> str:
    """Return escaped paragraphs."""
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def table_html(table: pd.DataFrame, label: str) -> str:
    """Return a scrolling table whose columns sort on a click; numbers to three digits."""
    kinds = {name: "" if table[name].dtype.kind in "if" else ' class="text"' for name in table}
    head = "".join(
        f'<th scope="col"{kind}><button type="button">{escape(str(name))}</button></th>'
        for name, kind in kinds.items()
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.itertuples(index=False, name=None))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f'<td class="text">{escape(value)}</td>'
    sortable = "-1e999" if pd.isna(value) else repr(float(value))
    shown = f"{value}" if isinstance(value, int) else number(value)
    return f'<td data-value="{sortable}">{shown}</td>'


def provenance_html(info: RunInfo) -> str:
    """Return where the numbers come from: command, time, seeds, hardware, versions, and the recipe as YAML."""
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
    recipe = yaml.safe_dump(info.recipe, sort_keys=False, allow_unicode=True)
    return f"<dl>{items}</dl><details><summary>Recipe (YAML)</summary><pre>{escape(recipe)}</pre></details>"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def timestamp(seconds: float) -> str:
    """Return Unix `seconds` as a date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float) -> str:
    """Return `seconds` in the largest unit that keeps two digits.

    >>> duration(42), duration(400), duration(7200)
    ('42 s', '6.7 min', '2.0 h')
    """
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
