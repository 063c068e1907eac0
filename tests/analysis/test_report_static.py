"""Figures as files: drawn by a browser, or a line that says what is missing."""

import os
import subprocess
import sys

import pytest

from analysis.static import FORMATS, StaticError, write_figures

FIGURES = {
    "noise", "residuals", "peaks", "axes", "boxes-lr", "boxes-batch_size", "single", "health", "training", "trace",
}  # fmt: skip


def test_what_to_install_is_said(demo_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido.errors", None)
    with pytest.raises(StaticError, match=r"pip install 'sweeper\[static\]'"):
        write_figures(demo_run, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_figure_is_written_in_each_format(demo_run, tmp_path):
    pytest.importorskip("kaleido")
    try:
        paths = write_figures(demo_run, tmp_path)
    except StaticError as error:
        pytest.skip(str(error))
    assert {path.name for path in paths} == {f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS}
    assert all(path.read_bytes()[:4] == b"%PDF" for path in paths if path.suffix == ".pdf")
    svg = (tmp_path / "noise.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert "loss gain (nats)" in svg


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_a_browser_it_says_so(demo_run, tmp_path):
    pytest.importorskip("kaleido")
    code = "import sys; from analysis.static import write_figures; write_figures(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, demo_run, tmp_path / "figures"],
        capture_output=True, text=True, check=False, env={**os.environ, "BROWSER_PATH": "/no/such"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "static figures need Chrome or Chromium: install one" in done.stderr.splitlines()[-1]
