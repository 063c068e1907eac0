"""The page in a real browser: no complaint in its console, and whatever can be operated does what it says."""

import json
import os
from pathlib import Path

import pytest
from browser import Page, find_browser
from planted import Sweep, write_run

from analysis.report import write_report

DEMO = os.environ.get("SWEEPER_DEMO_RUN", "")
"""Path of a real run, where one is at hand."""

LOOK = """
(() => {
  const plot = document.querySelector("#noise .plot");
  const explorer = document.querySelector("#axes .plot");
  const text = (selector) => document.querySelector(selector).textContent;
  return {
    gain: plot.layout.yaxis.title.text, type: plot.layout.xaxis.type, panels: plot.layout.xaxis2.domain,
    first: plot._fullData.find((trace) => trace.text).y[0], verdict: text("#verdict"),
    caption: text("#noise figcaption"),
    axis: explorer.layout.xaxis.title.text, facets: (explorer.layout.annotations ?? []).map(({ text }) => text),
    marks: explorer._fullData.flatMap((trace) => (trace.text ? [...trace.x] : [])).length,
    ink: plot.layout.font.color, ground: getComputedStyle(document.body).backgroundColor,
    wide: document.documentElement.scrollWidth, hash: decodeURIComponent(location.hash),
    chosen: Object.fromEntries([...document.querySelectorAll("select")].map(({ name, value }) => [name, value])),
  };
})()
"""
OPTIONS = """
Object.fromEntries([...document.querySelectorAll("select")].map((select) =>
  [select.name, [...select.options].map((option) => option.value)]))
"""
SAVED = """
(async () => {
  const before = URL.createObjectURL;
  const blob = new Promise((done) => { URL.createObjectURL = (found) => { done(found); return "#"; }; });
  document.querySelector('[data-format="%s"]').click();
  const text = await (await blob).text();
  URL.createObjectURL = before;
  return text;
})()
"""
SAVE_FIGURE = """
(async () => {
  const link = new Promise((done) => {
    HTMLAnchorElement.prototype.click = function () { done({ href: this.href, download: this.download }); };
  });
  document.querySelector('#noise [data-title="TITLE"]').dispatchEvent(new MouseEvent("click", { bubbles: true }));
  return link;
})()
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    run = write_run(folder / "run", Sweep(batch_sizes=(16, 64)))
    return write_report(DEMO or run, folder / "report.html")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed")
    with Page(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def opened(page, report):
    page.complaints.clear()
    page.open(report.as_uri())
    yield page
    assert page.complaints == []


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_every_option_of_every_switch_draws_something_else_without_a_complaint(opened):
    options = opened.evaluate(OPTIONS)
    assert set(options) == {"metric", "split", "batchnorm", "scale", "theme", "axis", "facet"}
    start = opened.evaluate(LOOK)
    for name, values in options.items():
        looks = []
        for value in values:
            opened.choose(name, value)
            look = opened.evaluate(LOOK)
            assert look["chosen"] == start["chosen"] | {name: value}
            assert (f"{name}={value}" in look["hash"]) == (value != start["chosen"][name])
            looks.append(
                json.dumps({key: seen for key, seen in look.items() if key not in ("hash", "chosen")})
            )
        # The system's theme is one of the two others.
        assert len(set(looks)) == len(values) - (name == "theme")
        opened.choose(name, start["chosen"][name])
    assert opened.evaluate(LOOK) == start | {"hash": ""}


def test_the_address_restores_what_was_chosen(opened, report):
    chosen = {"metric": "accuracy", "split": "test", "scale": "linear", "theme": "dark", "axis": "lr"}
    chosen["facet"] = "batch_size"
    for name, value in chosen.items():
        opened.choose(name, value)
    before = opened.evaluate(LOOK)
    opened.open(opened.evaluate("location.href"))
    after = opened.evaluate(LOOK)
    assert after == before
    assert after["chosen"].items() >= chosen.items()
    assert after["gain"] == "accuracy gain (%)"
    assert after["caption"].startswith("Test accuracy gain")
    assert (after["axis"], after["type"]) == ("learning rate", "linear")
    assert after["facets"][0] == "batch size B = 16"
    opened.open(report.as_uri())
    start = opened.evaluate(LOOK)
    assert start["marks"] == after["marks"]
    assert (start["ink"], start["ground"]) != (after["ink"], after["ground"])


def test_the_first_paint_comes_within_two_seconds(opened):
    paints = opened.evaluate('performance.getEntriesByType("paint").map(({ startTime }) => startTime)')
    assert 0 < max(paints) < 2000


def test_pointing_at_a_trial_rings_it_in_every_figure(opened):
    place = opened.evaluate(
        """(() => {
          const plot = document.querySelector("#noise .plot"), trace = plot._fullData.find((each) => each.text);
          plot.scrollIntoView();
          const { left, top } = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout;
          const at = (axis, value) => axis._offset + axis.d2p(value);
          return [left + at(xaxis, trace.x[3]), top + at(yaxis, trace.y[3]), trace.text[3]];
        })()"""
    )
    opened.point(*place[:2])
    rings = """Object.fromEntries([...document.querySelectorAll(".plot")].map((plot) =>
      [plot.dataset.name, plot.querySelectorAll(".rings circle").length]))"""
    opened.evaluate("new Promise((done) => setTimeout(done, 500))")
    found = opened.evaluate(rings)
    assert found["noise"] == 3
    assert {"residuals", "axes", "boxes-lr", "boxes-batch_size", "single", "training"} <= {
        name for name, count in found.items() if count
    }


def test_controls_are_reached_by_keyboard_and_show_it(opened):
    reached = []
    for _ in range(60):
        opened.press("Tab")
        reached.append(
            opened.evaluate(
                """(({ name, dataset, tagName, className }) => [
                  name || dataset.format || dataset.title || className || tagName,
                  getComputedStyle(document.activeElement).outlineStyle !== "none"
                    || document.activeElement.matches(".skip")])(document.activeElement)"""
            )
        )
    names = [name for name, _ in reached]
    assert {
        "metric",
        "split",
        "batchnorm",
        "scale",
        "theme",
        "csv",
        "json",
        "Save as SVG",
        "Save as PNG",
    } <= set(names)
    assert all(visible for _, visible in reached), reached


def test_the_records_are_downloaded_in_both_formats(opened):
    csv, rows = opened.evaluate(SAVED % "csv"), json.loads(opened.evaluate(SAVED % "json"))
    assert len(csv.splitlines()) == len(rows) + 1
    assert csv.split("\n")[0].split(",") == list(rows[0])
    if not DEMO:
        assert len(rows) == 26 * 3 * 12


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_figures_are_saved_from_the_tool_bar(opened, suffix):
    link = opened.evaluate(
        SAVE_FIGURE.replace("TITLE", f"Save as {suffix.upper()}"),
    )
    assert link["download"].endswith(f"-noise.{suffix}")
    assert link["href"].startswith(("data:", "blob:"))


def test_tables_sort_by_a_click_on_the_column(opened):
    column = opened.evaluate(
        """(() => {
          const header = [...document.querySelectorAll("#trials th")].find((th) => th.textContent === "gain");
          const index = [...header.parentNode.children].indexOf(header);
          header.firstChild.click();
          return [...document.querySelectorAll("#trials tbody tr")].map((row) => row.children[index].dataset.value);
        })()"""
    )
    numbers = [float(value) for value in column]
    assert numbers == sorted(numbers)


def test_contents_lead_to_sections_and_keep_the_choice(opened):
    opened.choose("metric", "accuracy")
    opened.evaluate("""document.querySelector('nav a[href="#boxes"]').click()""")
    assert opened.evaluate("document.activeElement.id") == "boxes"
    assert opened.evaluate("location.hash") == "#metric=accuracy"


def test_the_page_fits_a_telephone(report, tmp_path, page):
    with Page(find_browser(), tmp_path, 500, 900) as narrow:
        narrow.open(report.as_uri())
        look = narrow.evaluate(LOOK)
    # Panels stand above each other, and nothing makes the page scroll sideways.
    assert look["panels"] == [0, 1]
    assert look["wide"] <= 500


@pytest.mark.skipif(not DEMO, reason="a real run is named by SWEEPER_DEMO_RUN")
def test_a_real_run_stays_small(report):
    assert report.stat().st_size < 15e6
