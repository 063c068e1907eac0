"""`sweeper measure`, as people type it."""

from analysis.reading import read_measurements, read_records
from sweeper.store import Store


def test_merges_and_measures_are_added_and_reported(sweeper, own_run):
    setting = ("--merge", "ties", "--set", "density=0.3", "alphas=[0.5,1]", "measures/cka_examples=50")
    answer = sweeper("measure", own_run.name, *setting, "--also", "cka")
    assert answer.status == 0
    assert "0 epochs trained" in answer.out
    table = read_records(own_run)
    assert set(table[table["merge"] == "ties"].alpha) == {0.5, 1.0}
    assert "cka" in set(read_measurements(own_run).name)
    assert "had it before" in sweeper("measure", own_run.name, *setting, "--also", "cka").out


def test_what_is_left_out_is_told_once_per_reason(sweeper, own_run):
    store = Store(str(own_run.parents[1]))
    for key in list(store.keys()):
        store.delete(key)
    answer = sweeper("measure", own_run.name, "--merge", "slerp")
    assert answer.status == 1
    assert answer.out.count("endpoints are not stored") == 1


def test_wrong_requests_are_told_in_one_line(sweeper, own_run):
    for arguments, problem in [
        ((), "nothing to measure"),
        (("--merge", "tyes"), "tyes"),
        (("--merge", "ties", "--set", "density=2"), "density"),
        (("--merge", "ties", "--set", "train/lr=1"), "trained already"),
        (("--also", "cka", "--set", "density=0.3"), "a field of what merge"),
    ]:
        answer = sweeper("measure", own_run.name, *arguments)
        assert answer.status == 2
        assert problem in answer.err
        assert answer.err.count("\n") == 1
