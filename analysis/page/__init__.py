"""One self-contained page from sections: the template, its style and script, the figures, and the records."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

SHARED = 8
"""Arrays that are longer are written once, however many figures show them."""


def assemble(
    payload: Mapping[str, Any], records: str, sections: Sequence[tuple[str, str, str]], **fragments: str
) -> str:
    """Return the whole page.

    Args:
        payload: what the script draws.
        records: JSON of the download.
        sections: anchor, title and HTML of each.
        fragments: HTML for the template's other places.
    """
    source = files(__package__)
    texts = {name: source.joinpath(f"report.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    return Template(texts["html"]).substitute(
        css=texts["css"],
        js=texts["js"],
        plotly=get_plotlyjs(),
        payload=to_json(payload),
        records=base64.b64encode(gzip.compress(records.encode(), mtime=0)).decode(),
        contents="".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in sections),
        sections="\n".join(_section(*section) for section in sections),
        **fragments,
    )


def _section(anchor: str, title: str, html: str) -> str:
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title" tabindex="-1">'
        f'<h2 id="{anchor}-title">{escape(title)}</h2><div class="text">{html}</div><div class="plots"></div></section>'
    )


def to_json(payload: Mapping[str, Any]) -> str:
    """Return `payload` as JSON that may stand in a script element.

    Numbers have six digits, those that aren't finite are null. Arrays of more than `SHARED` items are written
    once, in `arrays`; where they stood is `{"array": index}`.
    """
    arrays: dict[str, int] = {}
    body = json.dumps(_shared(payload, arrays), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = f'{{"arrays":[{",".join(arrays)}],"payload":{body}}}'
    # "<" would let a text such as </script> end the element it stands in.
    return text.replace("<", "\\u003c")


def _shared(value: Any, arrays: dict[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {name: _shared(item, arrays) for name, item in value.items()}
    if not isinstance(value, list | tuple | np.ndarray):
        return _plain(value)
    if len(value) <= SHARED:
        return [_shared(item, arrays) for item in value]
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return {"array": arrays.setdefault(text, len(arrays))}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
