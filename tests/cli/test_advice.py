"""What the verdict and a recommendation say, in plain words."""

from dataclasses import replace

import numpy as np
import pytest

from analysis import Collapse, Recommendation, Selection, Verdict, critical_point
from analysis.guide import Merged, Stable
from sweeper.commands import console

ADVICE = Recommendation(
    batch_size=64,
    momentum=0.9,
    lr=0.128,
    low=0.1,
    high=0.2,
    metric="accuracy",
    gain=1.25,
    gain_low=1.0,
    gain_high=1.5,
    merged=Merged("accuracy", 77.5, 76.0, 79.0),
    stable=Stable(0.064, 0.31),
)


@pytest.fixture
def told(capsys):
    def told(show, what):
        show(what)
        return capsys.readouterr().out

    return told


def test_a_recommendation_in_words(told):
    said = told(console.show_recommendation, ADVICE)
    assert "Expected gain of merging, in points: 1.25, 95% interval 1 to 1.5" in said
    assert "Expected accuracy of the merge, in percent: 77.5, 95% interval 76 to 79" in said
    assert "Nearest learning rate tried without a collapse: 0.064, 0.31 points less gain expected" in said


def test_a_stable_rate_may_gain_more_or_be_missing(told):
    better = replace(ADVICE, stable=Stable(0.064, -0.2), merged=None, note="batch size 64 was not swept")
    said = told(console.show_recommendation, better)
    assert "0.2 points more gain expected" in said
    assert "of the merge" not in said
    assert "Batch size 64 was not swept." in said
    none = told(console.show_recommendation, replace(ADVICE, stable=None))
    assert "No learning rate up to this one was tried without a collapse." in none


def test_a_merged_loss_is_in_nats(told):
    loss = replace(ADVICE, metric="loss", merged=Merged("loss", 2.2, 2.1, 2.3))
    said = told(console.show_recommendation, loss)
    assert "Expected gain of merging, in nats" in said
    assert "Expected loss of the merge, in nats: 2.2" in said


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("holds", "it holds"), ("imperfect", "it is imperfect"), ("unknown", "it can't be told")],
)
def test_the_verdict_has_one_line_about_the_collapse(told, verdict, words):
    scales = np.geomspace(1e-4, 1, 12)
    point = critical_point(scales, np.exp(-(np.log10(scales / 0.01) ** 2)))
    aligned = Collapse(verdict, "This is why.", (), None, None, {}, (1.0, 1.0), (1.0, 1.0), None)
    found = Verdict(Selection(), "sgd", None, point, "", (ADVICE, replace(ADVICE, batch_size=128)), {}, ())
    assert "Collapse" not in told(console.show_verdict, found)
    assert f"Collapse: {words}. This is why.\n" in told(
        console.show_verdict, replace(found, collapse=aligned)
    )
    # With one batch size a warning has said that nothing was tested.
    alone = replace(found, collapse=aligned, recommendations=(ADVICE,))
    assert "Collapse" not in told(console.show_verdict, alone)
