"""The page of the report: whole, offline, escaped, and never at a loss for what a run holds."""

import base64
import gzip
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from planted import Sweep, outcome, suggestion, write_head, write_part, write_run

import analysis
from analysis.page import to_json
from analysis.page.fragments import duration, table_html
from analysis.reading import read_records
from analysis.report import write_report
from analysis.sections import SECTIONS
from analysis.table import gain_curve
from analysis.verdict import verdict


class Page(HTMLParser):
    """Ids, headings, landmarks and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text = [], [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("src", "href") if name in found]

    def script(self, name):
        return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', self.text, re.DOTALL)[1]

    @property
    def payload(self):
        """The payload with its shared arrays put back."""
        packed = json.loads(self.script("payload"))

        def whole(value):
            if isinstance(value, list):
                return [whole(item) for item in value]
            if not isinstance(value, dict):
                return value
            if isinstance(value.get("array"), int):
                return packed["arrays"][value["array"]]
            return {name: whole(item) for name, item in value.items()}

        return whole(packed["payload"])

    @property
    def experiments(self):
        [run] = self.payload["runs"]
        return run["experiments"]

    @property
    def records(self):
        """The download: column → values."""
        return json.loads(gzip.decompress(base64.b64decode(self.script("records"))))

    @property
    def visible(self):
        """Text of the body without scripts."""
        return re.sub(r"<(script|style).*?</\1>", "", self.text, flags=re.DOTALL)


def page_of(run, tmp_path):
    return Page(write_report(run, tmp_path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def demo_page(demo_run, tmp_path_factory):
    return page_of(demo_run, tmp_path_factory.mktemp("report"))


def test_the_page_shows_the_verdict_without_its_script(demo_page, demo_run):
    found = verdict(demo_run)
    for number in (found.point.noise_scale, *(each.lr for each in found.recommendations)):
        assert f"{number:.3g}" in demo_page.visible


def test_the_page_loads_nothing_and_carries_plotly_once(demo_page):
    assert demo_page.links[0] == "data:,"
    assert all(link.startswith("#") for link in demo_page.links[1:])
    assert "connect-src" not in demo_page.text.split("</head>")[0]
    assert "default-src 'none'" in demo_page.text.split("</head>")[0]
    assert demo_page.text.count("plotly.js v") == 1


def test_the_page_has_landmarks_headings_and_labels(demo_page):
    assert demo_page.tags.count("h1") == demo_page.tags.count("main") == 1
    assert {"header", "footer", "form", "table", "noscript"} <= set(demo_page.tags)
    assert len(demo_page.ids) == len(set(demo_page.ids))
    assert {link[1:] for link in demo_page.links[1:]} <= set(demo_page.ids)
    for view in demo_page.experiments[0]["views"].values():
        figures = [figure for content in view.values() for figure in content["figures"]]
        assert len(figures) == len({figure["name"] for figure in figures}) == 7
        assert all(figure["alt"] and figure["caption"] for figure in figures)


def test_every_section_is_on_the_page_once_in_its_order(demo_page):
    anchors = [section.anchor for section in SECTIONS]
    assert [name for name in demo_page.ids if name in anchors] == anchors
    experiment = demo_page.experiments[0]
    view = next(iter(experiment["views"].values()))
    assert {*demo_page.payload["runs"][0]["sections"], *experiment["sections"], *view} == set(anchors)
    said = {
        name
        for name, content in (experiment["sections"] | view).items()
        if content["html"] or content["figures"]
    }
    measured = {"paths", "rates", "matching", "averaging", "planes", "similarity", "curvature"}
    assert said == {*experiment["sections"], *view} - measured


def test_every_choice_of_the_switches_has_a_view(demo_page):
    assert demo_page.payload["switches"] == ["metric", "split", "batchnorm"]
    [experiment] = demo_page.experiments
    assert next(iter(experiment["views"])) == "loss|validation|recalibrated"
    assert set(experiment["views"]) == {
        f"{metric}|{split}|{batchnorm}"
        for metric in ("loss", "accuracy")
        for split in ("validation", "test")
        for batchnorm in ("recalibrated", "averaged")
    }
    assert len({json.dumps(view["noise"]["figures"]) for view in experiment["views"].values()}) == 8


def test_the_download_is_the_whole_table(demo_page, demo_run):
    table = read_records(demo_run)
    downloaded = pd.DataFrame(demo_page.records).astype(table.dtypes)
    pd.testing.assert_frame_equal(downloaded, table)


def test_arrays_are_written_once_and_numbers_have_six_digits():
    values = np.linspace(0, 1, 30) / 3
    text = to_json({"a": {"x": values, "y": [1, np.nan]}, "b": values.copy()})
    packed = json.loads(text)
    assert packed["payload"] == {"a": {"x": {"array": 0}, "y": [1, None]}, "b": {"array": 0}}
    np.testing.assert_allclose(packed["arrays"][0], values, rtol=1e-5)
    assert max(map(len, text.split("]")[0].split(","))) < 12 + len('{"arrays":[[')
    assert json.loads(to_json({"text": "</script>"}))["payload"] == {"text": "</script>"}
    assert "<" not in to_json({"text": "</script>"})


def test_many_records_are_downloaded_by_trial_and_the_page_says_so(make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.report.MOST_RECORDS", 100)
    run = make_run(noise_scales=(0.01, 0.02), batch_sizes=(64, 128))
    page = page_of(run, tmp_path)
    assert "144 records this page shows aggregates" in page.visible
    assert "sweeper export demo --format parquet" in page.visible
    curve = gain_curve(read_records(run))
    assert page.records["trial"] == list(curve.trial)
    np.testing.assert_allclose(np.array(page.records["gain"], float), curve.gain)
    assert set(page.records["epochs_trained"]) == {93.0}


def test_peaks_of_all_objectives_are_listed(demo_page, demo_run):
    html = demo_page.experiments[0]["sections"]["peaks"]["html"]
    for quantity in ("accuracy gain", "merged accuracy", "loss gain"):
        assert html.count(f">{quantity}<") == 1
    assert f">{verdict(demo_run).point.noise_scale:.3g}<" in html


def test_the_collapse_is_judged_with_axes_and_exponents(demo_page):
    [*_, view] = demo_page.experiments[0]["views"].values()
    assert "Do all batch sizes collapse?" not in view["verdict"]["html"], (
        "it is judged on the objective alone"
    )
    assert "Do all batch sizes collapse?" in demo_page.visible
    collapse = demo_page.experiments[0]["sections"]["collapse"]
    table = re.search(r'aria-label="Axes, best first">(.*?)</table>', collapse["html"])[1]
    assert re.findall(r'<tr><td class="text">(.*?)</td>', table)[0] == "S", "the planted hump is over S"
    [figure] = collapse["figures"]
    assert [trace["y"] for trace in figure["data"]] == [[16], [64], [128]]


def test_runs_are_compared_and_each_can_be_shown(demo_run, tmp_path):
    other = write_run(tmp_path / "other", Sweep(noise_scales=(0.01, 0.02), batch_sizes=(16, 64)))
    page = page_of([demo_run, other], tmp_path)
    assert [len(run["experiments"]) for run in page.payload["runs"]] == [1, 1]
    compared = page.payload["compared"]["runs"]
    assert f">{verdict(demo_run).point.noise_scale:.3g}<" in compared["html"]
    assert "needs at least 5 trials, got 4" in compared["html"]
    [figure] = compared["figures"]
    assert len(figure["layout"]["shapes"]) == 2
    assert len([trace for trace in figure["data"] if "text" in trace]) == 2
    assert '<option value="1-0">' in page.visible
    assert len(page.records["trial"]) == (39 + 4) * 36


def test_provenance_is_complete(demo_page):
    for text in (
        "sweeper run digits --scale cpu",
        "torch 2.14.1",
        "cores 2",
        "2001-09-09",
        "pixel_noise: 0.3",
        "recipe 0",
    ):
        assert text in demo_page.visible


def test_the_same_run_gives_the_same_bytes(make_run, tmp_path):
    run = make_run(noise_scales=(0.01, 0.02), batch_sizes=(64,))
    first = write_report(run, tmp_path / "a.html").read_bytes()
    assert write_report(run, tmp_path / "b.html").read_bytes() == first


EVIL = "<script>alert('&\"')</script>"


def test_texts_of_the_run_are_escaped(tmp_path):
    run = write_run(
        tmp_path / "run",
        Sweep(noise_scales=(0.01,), batch_sizes=(64,), models=("mlp", EVIL)),
        title=EVIL,
        sources={"train/lr": EVIL},
    )
    page = page_of(run, tmp_path)
    assert EVIL not in page.text
    assert "&lt;script&gt;alert" in page.visible
    assert page.tags.count("script") == 4
    assert len(page.payload["runs"][0]["experiments"]) == 2


def test_a_run_of_several_models_has_one_experiment_each(make_run, tmp_path):
    page = page_of(make_run(models=("mlp", "cnn"), noise_scales=(0.005, 0.02), batch_sizes=(64,)), tmp_path)
    assert len(page.experiments) == 2
    assert '<option value="0-1">model mlp</option>' in page.visible
    found = verdict(tmp_path / "run")
    assert found.point is None
    assert "mixes model cnn, mlp" in found.reason


def test_weight_decays_are_experiments_apart_but_share_their_boxes(make_run, tmp_path):
    page = page_of(
        make_run(weight_decays=(0.0, 5e-4), noise_scales=(0.005, 0.02), batch_sizes=(64,)), tmp_path
    )
    views = [experiment["views"]["loss|validation|recalibrated"] for experiment in page.experiments]
    assert len(views) == 2
    assert "boxes-weight_decay" in {figure["name"] for figure in views[0]["boxes"]["figures"]}
    [explorer] = views[0]["axes"]["figures"]
    assert list(explorer["explore"]["facets"]) == ["weight_decay"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"noise_scales": (0.01,)}, "needs at least 5 trials, got 3"),
        ({"diverges_above": 0.0}, "all diverged or are at chance"),
        (
            {"batch_sizes": (64,), "noise_scales": (0.001, 0.005, 0.02, 0.05, 0.08)},
            "One batch size was swept",
        ),
    ],
    ids=["too few", "all diverged", "one batch size"],
)
def test_a_poor_run_is_reported_plainly(make_run, tmp_path, fields, said):
    assert said in page_of(make_run(**fields), tmp_path).visible


def test_the_cost_says_what_ending_trials_early_saved(make_run, tmp_path):
    run = make_run()
    ended = outcome("early").model_copy(update={"epochs_saved": 62.0})
    write_part(run, "early", 1, "suggested", suggestion("early"))
    write_part(run, "early", 1, "outcome", ended)
    page = write_report(run, tmp_path / "report.html").read_text()
    assert "62 saved by ending 1 hopeless trial early" in page


def test_a_run_that_has_just_begun_is_reported(tmp_path):
    write_head(tmp_path / "run")
    page = page_of(tmp_path / "run", tmp_path)
    assert "there are no records yet" in page.visible
    assert "No trial has been suggested yet" in page.visible
    write_part(tmp_path / "run", "00000", 0, "suggested", suggestion("00000", 0))
    page = page_of(tmp_path / "run", tmp_path)
    assert "The run is not finished: 1 of 1 suggested trials have not ended" in page.visible


def test_a_run_without_training_loss_leaves_the_check_out(make_run, tmp_path):
    run = make_run(noise_scales=(0.01,))
    for part in run.glob("parts/*/*/stage-*.json"):
        stage = json.loads(part.read_text())
        stage["records"] = [record for record in stage["records"] if record["split"] != "train"]
        part.write_text(json.dumps(stage))
    assert page_of(run, tmp_path).experiments[0]["sections"]["training"]["figures"] == []


def test_the_module_writes_the_report_or_says_why_not(make_run, tmp_path):
    def call(*arguments):
        command = [sys.executable, "-m", "analysis", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    done = call(make_run(noise_scales=(0.01,)), "-o", tmp_path / "out.html")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "out.html")), done.stderr
    assert (tmp_path / "out.html").stat().st_size > 4_000_000
    refused = call(tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "no run.json" in refused.stderr


def test_the_names_of_the_public_surface_are_there():
    for name in analysis.__all__:
        assert callable(getattr(analysis, name))
    with pytest.raises(AttributeError, match="no attribute 'colapse'"):
        analysis.colapse  # noqa: B018


@pytest.mark.parametrize(("seconds", "text"), [(42, "42 s"), (400, "6.7 min"), (7200, "2.0 h")])
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_tables_show_missing_numbers_and_sort_by_value():
    html = table_html(pd.DataFrame({"gain": [0.01234, np.nan], "host": ["<a>", "b"]}), "Trials")
    assert '<td data-value="0.01234">0.0123</td>' in html
    assert '<td data-value="-1e999">–</td>' in html
    assert "&lt;a&gt;" in html
