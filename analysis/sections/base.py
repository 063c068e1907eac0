"""What a section of the report reads, and what it gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import pandas as pd

from analysis.collapse import Collapse
from analysis.figures.style import Spec
from analysis.reading import RunPath, has_additions, read_measurements
from analysis.records import RunInfo
from analysis.table import SETTINGS, WITHIN_MERGE, Selection
from analysis.verdict import Verdict


@dataclass(frozen=True)
class Run:
    """One run, as read."""

    path: RunPath
    info: RunInfo
    records: pd.DataFrame
    trials: pd.DataFrame
    objective: Selection

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """The run's measurements, read when a section first asks."""
        return read_measurements(self.path)

    def asks(self, measure: str) -> bool:
        """Return whether the run may have `measure`: reading measurements takes as long as reading records."""
        return measure in self.info.recipe["measures"]["also"] or self.grew

    @cached_property
    def grew(self) -> bool:
        """Whether merges or measures were added to the run after its sweep."""
        return has_additions(self.path)


@dataclass(frozen=True)
class View:
    """One experiment of a run under one selection: what the switches of the page choose."""

    run: Run
    context: dict[str, Any]
    """What sets the experiment apart; empty if the run holds one."""
    rows: pd.DataFrame
    """The experiment's records of the objective's merge."""
    broad: pd.DataFrame
    """The same with all weight decays and augmentations: a curve against S needs one, boxes by weight decay all."""
    verdict: Verdict
    collapse: Collapse | None
    """Of the experiment, on the objective; None without a critical point."""

    @property
    def selection(self) -> Selection:
        """Metric, split and batch norm that are shown."""
        return self.verdict.selection

    @cached_property
    def every_merge(self) -> pd.DataFrame:
        """The experiment's records of every merge, weight decay and augmentation, under the selection."""
        rows = self.run.records
        chosen = {name: getattr(self.selection, name) for name in ("metric", "split", "batchnorm")}
        held = {name: value for name, value in self.context.items() if name not in (*SETTINGS, *WITHIN_MERGE)}
        for column, value in (chosen | held).items():
            rows = rows[rows[column] == value]
        return rows

    @property
    def what(self) -> str:
        """Split and metric in words, as captions begin."""
        return f"{self.selection.split.capitalize()} {self.selection.metric}"

    @property
    def merges(self) -> bool:
        """Some trial has a gain."""
        curve = self.verdict.curve
        return curve is not None and bool((curve.status == "ok").any())


@dataclass(frozen=True)
class Drawing:
    """A figure with its name, unique in a section, and the caption that says what it shows."""

    name: str
    spec: Spec
    caption: str

    def to_json(self) -> dict[str, Any]:
        """Return what the page's script draws."""
        alt = f"Interactive chart. {self.caption}"
        return {**self.spec, "name": self.name, "caption": self.caption, "alt": alt}


@dataclass(frozen=True)
class Content:
    """What a section says: HTML, and figures under it. The page hides a section without either."""

    html: str = ""
    drawings: tuple[Drawing, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what the page's script shows."""
        return {"html": self.html, "figures": [drawing.to_json() for drawing in self.drawings]}


Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Section(Generic[Subject]):
    """A part of the report under its own heading.

    `content` is called once per run, per experiment (with the objective's view) or per view: say the least that
    the section depends on, its cost is paid for each.
    """

    anchor: str
    title: str
    content: Callable[[Subject], Content]
    per: Literal["run", "experiment", "view"] = "view"
