"""Fragments of HTML from numbers and texts. Every text is escaped here."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import pandas as pd

from analysis.figures.style import number


def switch(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str) -> str:
    """Return a labelled choice among (value, text) options; nothing if there is no choice."""
    if len(options) < 2:
        return ""
    items = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )
    return f'<label>{escape(label)} <select name="{escape(name)}">{items}</select></label>'


def card(title: str, value: str, lines: Iterable[str], wide: bool = False) -> str:
    """Return a card: a title, a large value, and small lines under it."""
    big = f'<p class="value">{escape(value)}</p>' if value else ""
    small = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<article class="card{" wide" if wide else ""}"><h3>{escape(title)}</h3>{big}{small}</article>'


def interval(low: float, high: float) -> str:
    """Return an interval in words, – if there is none."""
    if math.isnan(low):
        return "–"
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
