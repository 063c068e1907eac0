"""The page in a real browser: no complaint in its console, and its switches change what is drawn."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Sweep, write_run

from analysis.report import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0",
    "--virtual-time-budget=20000",
]  # fmt: skip

PROBE = """
<script>
window.addEventListener("load", async () => {
  const controls = document.querySelector(".controls");
  const plot = document.querySelector("[data-figures=noise] figure > div");
  const text = (selector) => document.querySelector(selector).textContent;
  const look = () => ({
    axis: plot.layout.yaxis.title.text, type: plot.layout.xaxis.type, gains: plot._fullData.map((t) => t.y.length),
    first: plot._fullData.findLast((t) => t.customdata).y[0], verdict: text("#verdict"), caption: text("figcaption"),
    domain: plot.layout.xaxis2.domain, ink: plot.layout.font.color,
    figures: document.querySelectorAll(".main-svg").length, wide: document.documentElement.scrollWidth,
  });
  const change = (name, apply) => {
    apply(controls.elements[name]);
    controls.elements[name].dispatchEvent(new Event("change", { bubbles: true }));
    return look();
  };
  const seen = { start: look() };
  seen.accuracy = change("metric", (e) => { e.value = "accuracy"; });
  seen.test = change("split", (e) => { e.value = "test"; });
  seen.linear = change("log", (e) => { e.checked = false; });
  const trials = plot._fullData.find((trace) => trace.customdata);
  const { xaxis, yaxis } = plot._fullLayout;
  const corner = plot.getBoundingClientRect();
  plot.querySelector(".xy .nsewdrag, .nsewdrag[data-subplot=xy]").dispatchEvent(new MouseEvent("mousemove", {
    bubbles: true,
    clientX: corner.left + xaxis._offset + xaxis.d2p(trials.x[2]),
    clientY: corner.top + yaxis._offset + yaxis.d2p(trials.y[2]),
  }));
  await new Promise((done) => setTimeout(done, 500));
  seen.hovered = plot.querySelectorAll(".hovertext").length;
  let saved;
  URL.createObjectURL = (blob) => { saved = blob; return "#"; };
  document.getElementById("download").click();
  for (let i = 0; i < 100 && !saved; i++) await new Promise((done) => setTimeout(done, 50));
  seen.csv = (await saved.text()).split("\\n").length;
  const header = [...document.querySelectorAll("th")].find((th) => th.textContent === "gain");
  const column = [...header.parentNode.children].indexOf(header);
  header.firstChild.click();
  seen.sorted = [...document.querySelectorAll(".scroll tbody tr")]
    .map((row) => Number(row.children[column].dataset.value));
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
});
</script>
"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    run = write_run(folder / "run", Sweep(batch_sizes=(16, 64)))
    path = write_report(run, folder / "report.html")
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    return path


def visit(browser: str, page: Path, tmp_path: Path, *flags: str) -> tuple[dict, list[str]]:
    """Return what the probe saw, and the lines of the console."""
    command = [browser, *FLAGS, f"--user-data-dir={tmp_path}", *flags, "--dump-dom", page.as_uri()]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-3000:]
    return json.loads(html.unescape(found[1])), [
        line for line in done.stderr.splitlines() if ":CONSOLE" in line
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_works_without_a_complaint(browser, page, tmp_path):
    seen, console = visit(browser, page, tmp_path, "--window-size=1400,2000")
    assert console == []
    assert seen["start"]["axis"] == "loss gain (nats)"
    assert seen["accuracy"]["axis"] == seen["test"]["axis"] == "accuracy gain (%)"
    assert len({seen[name]["first"] for name in ("start", "accuracy", "test")}) == 3
    assert len({seen[name]["verdict"] for name in ("start", "accuracy", "test")}) == 3
    assert seen["test"]["caption"].startswith("Test accuracy gain")
    assert (seen["start"]["type"], seen["linear"]["type"]) == ("log", "linear")
    assert seen["hovered"] == 3
    assert seen["csv"] == 26 * 3 * 12 + 2
    assert seen["sorted"] == sorted(seen["sorted"], key=lambda value: -1e999 if value is None else value)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_fits_a_telephone_and_the_dark(browser, page, tmp_path):
    wide, _ = visit(browser, page, tmp_path / "wide", "--window-size=1400,2000")
    narrow, console = visit(
        browser, page, tmp_path / "narrow", "--window-size=500,900", "--blink-settings=preferredColorScheme=0"
    )
    assert console == []
    # Panels stand above each other, and nothing makes the page scroll sideways.
    assert wide["start"]["domain"][0] > 0.3
    assert narrow["start"]["domain"] == [0, 1]
    assert narrow["start"]["wide"] <= 500
    assert narrow["start"]["ink"] != wide["start"]["ink"]
