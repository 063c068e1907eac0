"""The report's figures as files, SVG and PDF: a browser draws them, through kaleido."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.figures.style import Spec
from analysis.reading import RunPath
from analysis.report import read_runs, run_experiments
from analysis.sections import COMPARISONS, SECTIONS
from analysis.sections.base import Content, View

FORMATS = ("svg", "pdf")
WIDTH = 1100
"""Pixels; heights are the figures' own."""


class StaticError(ValueError):
    """Figures can't be drawn here: one line with what is missing, and how to install it."""


def write_figures(run_path: RunPath | Sequence[RunPath], folder: str | Path) -> list[Path]:
    """Write every figure of the report, as it is first shown, into `folder` as SVG and PDF; return the paths.

    A file is called `<figure>.svg`; of several runs or experiments `<number>-<figure>.svg`, in the report's order.

    Raises:
        StaticError: if kaleido is not installed, or finds no Chrome.
        RunError: if a path holds no run, or a damaged one.
    """
    try:
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        raise StaticError("static figures need kaleido: pip install 'sweeper[static]'") from None
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    figures = {target / f"{name}.{suffix}": spec for name, spec in _figures(run_path) for suffix in FORMATS}
    try:
        asyncio.run(_draw(figures))
    except ChromeNotFoundError:
        raise StaticError(
            "static figures need Chrome or Chromium: install one, or set BROWSER_PATH to its program"
        ) from None
    return list(figures)


def _figures(run_path: RunPath | Sequence[RunPath]) -> Iterator[tuple[str, Spec]]:
    """Yield name and figure of what the report shows before a switch is touched."""
    runs = [list(run_experiments(run)) for run in read_runs(run_path)]
    main = [[next(iter(views.values())) for views in experiments] for experiments in runs]
    shown = [view for views in main for view in views]
    contents = [
        ("", section.content([views[0] for views in main])) for section in COMPARISONS if len(runs) > 1
    ]
    contents += [
        (f"{number}-" if len(shown) > 1 else "", content)
        for number, view in enumerate(shown, start=1)
        for content in _contents(view)
    ]
    for prefix, content in contents:
        for drawing in content.drawings:
            yield f"{prefix}{drawing.name}", drawing.spec


def _contents(view: View) -> Iterator[Content]:
    return (section.content(view) for section in SECTIONS)


async def _draw(figures: dict[Path, Spec]) -> None:
    from kaleido import Kaleido, PageGenerator

    # Without `mathjax=False` its page loads a script from the network.
    async with Kaleido(page_generator=PageGenerator(mathjax=False)) as browser:
        for path, spec in figures.items():
            layout = spec["layout"] | {"paper_bgcolor": "white", "plot_bgcolor": "white"}
            size = {"format": path.suffix[1:], "width": WIDTH, "height": layout["height"]}
            await browser.write_fig({"data": spec["data"], "layout": layout}, path=path, opts=size)
