"""Parts of a small run, for the tests of ledger, compaction and garbage collection."""

from typing import Any

from analysis.records import Measurement, MergeRecord, Outcome, RunInfo, Stage, Suggestion
from sweeper.store import Ledger, content_key

INFO = RunInfo(
    run="run", recipe={"name": "digits"}, versions={"torch": "2"}, hardware={}, command="", time=1.0
)


def key_of(*what: Any) -> str:
    return content_key({"example": list(what)})


def suggestion(trial: str, number: int, attempt: int = 0) -> Suggestion:
    overrides = {"train/noise_scale": 0.1 * (number + 1)}
    return Suggestion(
        trial=trial,
        attempt=attempt,
        number=number,
        overrides=overrides,
        config={"train": {"lr": 0.1}},
        time=2.5,
    )


def stage(trial: str, step: int, attempt: int = 0) -> Stage:
    ends = [key_of(trial, step, branch) for branch in "ab"]
    diverged = step > 100
    record = MergeRecord(
        run="run", trial=trial, attempt=attempt, recipe="digits", task="digits", model="mlp", optimizer="sgd",
        lr=0.1, batch_size=64, momentum=0.9, weight_decay=0.0, augment="none", noise_scale=1 / 3, seed=0,
        branch_epoch=step / 10, branch_step=step, n_endpoints=2, key_a=ends[0], key_b=ends[1],
        endpoints=f'[{{"key": "{ends[0]}"}}, {{"key": "{ends[1]}"}}]', merge="linear", alpha=None if diverged else 0.5,
        merge_settings="{}", batchnorm="averaged", eval_task="digits", split="test", metric="loss", f_merged=0.1,
        f_a=0.2, f_b=0.3, f_mean=0.25, gain=None if diverged else 0.15, status="diverged" if diverged else "ok",
    )  # fmt: skip
    measurement = Measurement(
        run="run", trial=trial, branch_step=step, subject="+".join(ends), name="cka", index=0,
        value=None if diverged else 0.1 + 0.2, settings="{}",
    )  # fmt: skip
    return Stage(
        trial=trial,
        attempt=attempt,
        branch_step=step,
        records=(record, record.model_copy(update={"metric": "accuracy"})),
        measurements=(measurement,),
        trained={key_of(trial, step, "trunk"): 5.0, ends[0]: 2.0, ends[1]: 2.0},
    )


def outcome(trial: str, number: int, attempt: int = 0, status: Any = "ok") -> Outcome:
    return Outcome(
        trial=trial, attempt=attempt, number=number, status=status, objective=None if status == "failed" else 0.1,
        epochs_trained=9.0, wall_seconds=1.5, cpu_seconds=1.25, host="here", time=3.0,
        error="worker died" if status == "failed" else "",
    )  # fmt: skip


def write_run(ledger: Ledger) -> None:
    """Write six trials: two plain, one diverged, one retried, one failed, one that is still running."""
    ledger.create(INFO)
    for number, trial in enumerate(["t0", "t1", "t2", "t3", "t4", "t5"]):
        ledger.suggest(suggestion(trial, number))
    for number, trial in enumerate(["t0", "t1"]):
        ledger.stage(stage(trial, 10))
        ledger.stage(stage(trial, 20))
        ledger.outcome(outcome(trial, number))
    ledger.stage(stage("t2", 200))
    ledger.outcome(outcome("t2", 2, status="diverged"))
    ledger.stage(stage("t3", 10))
    ledger.outcome(outcome("t3", 3, status="failed"))
    ledger.stage(stage("t3", 20, attempt=1))
    ledger.outcome(outcome("t3", 3, attempt=1))
    ledger.outcome(outcome("t4", 4, status="failed"))
    ledger.stage(stage("t5", 10))


def view(ledger: Ledger) -> dict[str, Any]:
    """Return all that can be asked of a ledger."""
    suggestions = ledger.suggestions()
    return {
        "info": ledger.info(),
        "suggestions": suggestions,
        "outcomes": ledger.outcomes(),
        "stages": {item.trial: ledger.stages(item.trial) for item in suggestions},
        "attempts": {item.trial: ledger.next_attempt(item.trial) for item in suggestions},
        "keys": ledger.keys(),
    }
