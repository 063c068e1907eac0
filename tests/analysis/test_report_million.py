"""A million records: read, judged and drawn within a minute, 4 GiB and 15 MB."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import HEIGHT, PEAK, write_head

from analysis.reading import MEASUREMENT_COLUMNS, read_records
from analysis.records import COLUMNS

TRIALS, POINTS = 8334, 10
MEASURE = """
import resource, sys
from analysis import write_report
write_report(sys.argv[1], sys.argv[2])
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)
"""


def write_million(run: Path) -> Path:
    """Write a compacted run with noise scale, batch size and momentum drawn at random."""
    write_head(run)
    rng = np.random.default_rng(0)
    names = np.array([f"{number:05d}-{number:08x}" for number in range(TRIALS)])
    trials = pd.DataFrame(
        {
            "trial": names,
            "noise_scale": 10 ** rng.uniform(-3.5, -0.5, TRIALS),
            "batch_size": rng.choice([16, 64, 128], TRIALS),
        }
    )
    trials["lr"] = trials["noise_scale"] * trials["batch_size"] * 0.1
    combinations = itertools.product(
        range(1, POINTS + 1),
        ("train", "validation", "test"),
        ("recalibrated", "averaged"),
        ("accuracy", "loss"),
    )
    cells = pd.DataFrame(combinations, columns=["branch_epoch", "split", "batchnorm", "metric"])
    rows = trials.merge(cells, how="cross")
    decades = np.log10(rows["noise_scale"] / PEAK)
    hump = 1.35 * np.exp(-0.5 * (decades / np.where(decades < 0, 1.0, 0.45)) ** 2) - 0.35
    height = rows["metric"].map(HEIGHT)
    key = rows["trial"] + rows["branch_epoch"].map("{:056d}".format)
    single = 94 - 20 * rows["noise_scale"] + rng.normal(size=len(rows))
    constant = {
        "run": "demo", "attempt": 1, "recipe": "digits", "schema": 1, "task": "digits", "model": "mlp",
        "optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4, "augment": "shift", "seed": 0, "n_endpoints": 2,
        "merge": "linear", "alpha": 0.5, "merge_settings": "{}", "eval_task": "digits",
    }  # fmt: skip
    rows = rows.assign(
        **constant,
        branch_step=rows["branch_epoch"] * 10,
        branch_epoch=rows["branch_epoch"].astype(float),
        key_a="a" + key,
        key_b="b" + key,
        endpoints='["a' + key + '", "b' + key + '"]',
        gain=height * (hump + 0.2 * rng.normal(size=len(rows))),
        f_a=single,
        f_b=single,
        f_mean=single,
        status="ok",
    )
    sign = np.where(rows["metric"] == "accuracy", 1.0, -1.0)
    rows["f_merged"] = rows["f_mean"] + sign * rows["gain"]
    lost = rows["noise_scale"] > 0.15
    rows.loc[lost, "status"] = "diverged"
    rows.loc[lost, ["gain", "f_merged", "f_a", "f_b", "f_mean"]] = np.nan
    ended = pd.DataFrame(
        {
            "trial": names, "attempt": 1, "number": range(TRIALS), "status": "ok", "objective": 0.01,
            "epochs_trained": 93.0, "wall_seconds": 11.0, "cpu_seconds": 10.5, "host": "node",
            "time": 1e9 + np.arange(TRIALS), "error": "", "overrides": "{}", "config": "{}",
        }
    )  # fmt: skip
    (run / "compact").mkdir()
    tables = {
        "records": rows[COLUMNS],
        "measurements": pd.DataFrame(columns=MEASUREMENT_COLUMNS),
        "trials": ended,
    }
    for name, table in tables.items():
        table.to_parquet(run / "compact" / f"{name}-0123456789abcdef.parquet", index=False)
    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_million_records_are_reported_within_a_minute_4_gib_and_15_mb(tmp_path):
    run, out = write_million(tmp_path / "run"), tmp_path / "report.html"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(run), str(out)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    # Seconds of the processor's time: on a busy machine the clock says nothing.
    seconds, gib = map(float, done.stdout.split())
    page = out.read_text(encoding="utf-8")
    assert seconds <= 60
    assert gib <= 4
    assert out.stat().st_size <= 15e6
    assert "1,000,080 records this page shows aggregates" in page
    packed = json.loads(re.search(r'id="payload">(.*?)</script>', page, re.DOTALL)[1])
    [experiment] = packed["payload"]["runs"][0]["experiments"]
    assert len(experiment["views"]) == 8
    assert len(read_records(run)) == TRIALS * POINTS * 12
