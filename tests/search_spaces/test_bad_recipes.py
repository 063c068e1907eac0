"""Every mistake is answered by one line that names the place, the value and the way out."""

from pathlib import Path
from typing import Any

import pytest

from search_spaces import RecipeError, read_yaml
from search_spaces.yaml_text import parse_assignments

GOOD = """\
name: my-sweep
task: {name: digits, train_size: 600, pixel_noise: 0.3}
model: {name: mlp, widths: [64, 64], norm: batch}
train: {optimizer: sgd, lr: 0.1, momentum: 0.9, weight_decay: 5.0e-4, batch_size: 64, augment: shift}
trunk: {epochs: 45, branch_every: 15}
branch: {decay_epochs: 8, decay: sqrt, count: 2}
merges: [{kind: linear, alphas: [0.5]}]
space:
  train/weight_decay: {low: 1.0e-4, high: 1.0, log: true}
  train/batch_size: {values: [16, 64, 128]}
search: {sampler: tpe, trials: 40}
"""


def refusal(tmp_path: Path, text: str, *assignments: str) -> str:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_yaml(file, parse_assignments(assignments))
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    return message


def test_the_recipe_that_the_mistakes_are_made_in_is_good(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(GOOD)
    assert read_yaml(file).name == "my-sweep"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train/lrr=1", "train: unknown field 'lrr'; known: optimizer, lr, noise_scale, momentum"),
        ("speed=1", "unknown field 'speed'; known: task, tasks, model"),
        ("trian/lr=1", "path trian/lr: there is no 'trian'; known: task, tasks, model"),
        ("train/momentum/x=1", "path train/momentum/x: 'momentum' holds 0.9, which has no fields"),
        ("merges/3/alphas=[1]", "path merges/3/alphas: '3' is none of the 1 entries, counted from 0"),
        ("train/momentum=2", "train/momentum: must be less than 1 (got 2)"),
        ("train/momentum=.nan", "train/momentum: must be less than 1 (got nan)"),
        ("train/momentum=fast", "train/momentum: must be a number (got 'fast')"),
        ("train/lr=-1", "train/lr: must be greater than 0 (got -1)"),
        ("train/lr=null", "train: name lr or noise_scale, exactly one; lr is None, noise_scale is None"),
        ("train=fast", "train: must be a mapping of fields (got 'fast')"),
        ("train/optimizer=sgdd", "train/optimizer: must be 'sgd' or 'adamw' (got 'sgdd')"),
        ("train/schedule=cosine", "train: schedule cosine needs budget_epochs or budget_steps"),
        (
            "train/budget_steps=9",
            "train: schedule constant has no end; leave out its budget, or name wsd or cosine",
        ),
        ("train/decay_epochs=9", "train: decay_epochs 9 is for schedule wsd, not constant; leave it out"),
        ("train/merge_aware={kind: asam}", "train/merge_aware: no such kind 'asam'; known: sam, mergopt"),
        ("train/merge_aware={kind: sam, rho: 0}", "train/merge_aware/rho: must be greater than 0 (got 0)"),
        ("task=imagenet", "task: no such task; known: digits, mnist,"),
        ("task=imagenet", "quadratic, or package.module:function (got 'imagenet')"),
        ("task/name=imagenet", "or package.module:function (got 'imagenet')"),
        ("task/pixel_noise=-1", "task/pixel_noise: must be greater than or equal to 0 (got -1)"),
        ("task={name: 'users.tasks:build', size: 3}", "task: unknown field 'size'; known: name, settings"),
        ("model=vgg", "model: no such model; known: mlp, resnet8,"),
        ("model={name: resnet18, widths: [3]}", "model: unknown field 'widths'; known: name"),
        ("model={name: gpt, heads: 3}", "model: width 128 is no multiple of heads 3; change either"),
        ("model/widths=64", "model/widths: must be a list (got 64)"),
        ("model/widths=[0.5]", "model/widths/0: must be a whole number (got 0.5)"),
        ("trunk/branch_every=100", "trunk: branch_every 100 is beyond the trunk's 45 epochs"),
        ("trunk/epochs=null", "trunk: name epochs or steps, exactly one"),
        ("start=pretrained", "start pretrained has no trunk; leave out trunk, or name another start"),
        ("trunk=null", "start trunk needs a trunk; name trunk, or start pretrained"),
        ("branch/decay_epochs=null", "branch: decay sqrt needs decay_epochs or decay_steps"),
        (
            "branch/decay=continue",
            "branch: decay continue ends with train's schedule; leave out decay_epochs",
        ),
        ("branch/count=0", "branch/count: must be greater than or equal to 1 (got 0)"),
        ("branch/seeds=[1, 1]", "branch: seeds [1, 1] must be 2 different numbers, one for each of count"),
        (
            "branch/overrides=[{lr: 0.1}]",
            "branch: overrides has 1 entries for count 2; give one a branch, or none",
        ),
        (
            "merges=[{kind: average}]",
            "merges/0: no such kind 'average'; known: linear, task_arithmetic, ties",
        ),
        ("merges=[{alphas: [0.5]}]", "merges/0: kind is missing"),
        ("merges=[linear]", "merges/0: must be a mapping of fields (got 'linear')"),
        ("merges=linear", "merges: must be a list (got 'linear')"),
        ("merges=[]", "merges: must not be empty"),
        ("merges/0/alphas=[0.5, 0.5]", "merges/0: alphas [0.5, 0.5] repeat a value"),
        ("merges/0/density=0.5", "merges/0: unknown field 'density'; known: alphas, group, swa, align, kind"),
        ("measures/metrics=[acc]", "measures/metrics/0: must be 'accuracy' or 'loss' (got 'acc')"),
        ("search/sampler=annealing", "search/sampler: must be 'critical_noise', 'tpe', 'random' or 'grid'"),
        ("search/trials=null", "search/trials: tpe needs a number of trials, or sampler grid"),
        ("search/sampler=grid", "space/train/weight_decay: a grid needs `values`, not low and high"),
        (
            "search/sampler=critical_noise",
            "search/sampler: critical_noise needs an interval of train/noise_scale or train/lr, with low > 0, in the "
            "space; declare one, or name tpe, random or grid",
        ),
        ("search/min_accuracy=101", "search/min_accuracy: must be less than or equal to 100 (got 101)"),
        ("search/stop={within: 0.5}", "search/stop/within: must be greater than 1 (got 0.5)"),
        (
            "search={sampler: grid, early_stop: true}",
            "search/early_stop: a grid is to be complete; leave it out, or name another sampler",
        ),
        (
            "retention=everything",
            "retention/keep: must be 'records', 'endpoints' or 'all' (got 'everything')",
        ),
        ("name=my sweep", "name: must be letters, digits, dots, dashes and underscores (got 'my sweep')"),
        ("seed=-1", "seed: must be greater than or equal to 0 (got -1)"),
        ("space/train/momentum={low: 0.9, high: 0.1}", "space/train/momentum: low 0.9 is above high 0.1"),
        ("space/train/momentum={low: 0, high: 0.9, log: true}", "low 0.0 must be positive on a log axis"),
        ("space/train/momentum={low: 0.1}", "space/train/momentum/high: is missing"),
        (
            "space/train/momentum={low: 0.1, high: 2.0}",
            "train/momentum=2: train/momentum: must be less than 1 (got 2.0)",
        ),
        ("space/train/momentum=[0.1, 0.1]", "space/train/momentum: value 0.1 is listed twice"),
        ("space/train/momentun=0.1", "train: unknown field 'momentun'; known: optimizer, lr"),
        ("space/resources/cpu=[1, 2]", "there is no 'resources'; known: task, tasks, model"),
        ("train/batch_size=32", "the space varies train/batch_size; set space/train/batch_size instead"),
        ("space={}", "space/0: the space is empty: name a path and its domain"),
        ("space=null", "space: must be a list"),
        ("space=[3]", "space/0: must be a mapping of fields (got 3)"),
        ("space={points: 3}", "space/points: must be a list (got 3)"),
        (
            "space={points: [{train/lr: 1}], train/noise_scale: 1}",
            "train/lr and train/noise_scale are both set",
        ),
        (
            "space=[{train/lr: [0.1, 0.2]}, {train/lr: [0.3, 0.4]}]",
            "search/sampler: tpe takes one space, not a union of 2; name one space, or sampler grid",
        ),
        (
            "measures/metrics=[accuracy]",
            "search/metric: loss is not among measures/metrics accuracy; name one of these, or measure it",
        ),
        (
            "measures/splits=[test, ood]",
            "search/split: validation is not among measures/splits test, ood; name one of these, or measure it",
        ),
        (
            "merges/0/group=3",
            "merges/0/group 3 is more than a branch point has endpoints, 2; lower it, or raise branch/count",
        ),
        ("branch/count=1", "merges/0/group 2 is more than a branch point has endpoints, 1"),
        (
            "merges/0={kind: linear, group: 3, alphas: [0.3, 0.5]}",
            "merges/0: alphas [0.3, 0.5] are for pairs; leave them out for the mean of group 3",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_value_and_way_out(
    assignment: str, message: str, tmp_path: Path
) -> None:
    answer = refusal(tmp_path, GOOD, assignment)
    assert answer.startswith('recipe "my-sweep", ')
    assert message in answer


def test_networks_that_share_nothing_have_no_base(tmp_path: Path) -> None:
    answer = refusal(tmp_path, GOOD, "start=independent", "merges=[{kind: linear}, {kind: ties}]")
    assert "merges/1: ties needs a base, and networks of start independent share none; name linear" in answer


def test_only_the_first_of_several_mistakes_is_spelled_out(tmp_path: Path) -> None:
    answer = refusal(tmp_path, GOOD, "train/momentum=2", "branch/count=0")
    assert answer.endswith("train/momentum: must be less than 1 (got 2); and 1 more")


def test_lr_and_noise_scale_exclude_each_other(tmp_path: Path) -> None:
    both = refusal(tmp_path, GOOD.replace("lr: 0.1", "lr: 0.1, noise_scale: 0.02"))
    assert both.endswith("name lr or noise_scale, exactly one; lr is 0.1, noise_scale is 0.02")
    assert "exactly one" in refusal(tmp_path, GOOD.replace("lr: 0.1, ", ""))
    both = refusal(tmp_path, GOOD, "train/lr=0.1", "train/noise_scale=0.02")
    assert both.endswith("train/lr and train/noise_scale are both set; set one of them")
    adamw = refusal(tmp_path, GOOD, "train/optimizer=adamw", "train/noise_scale=0.02")
    assert "noise_scale (Eq. 3) is defined for sgd; name lr for adamw" in adamw


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds nothing"),
        ("# only a comment", "holds nothing"),
        ("- a\n- b", "holds no mapping"),
        ("just words", "holds no mapping"),
        ("name: [a", "is not YAML: line 1: expected ',' or ']'"),
        ("name: a\n\tb: c", "is not YAML: line 2: found character '\\t'"),
        ("\x00", "is not YAML: unacceptable character"),
        (GOOD + "seed: 1\nseed: 2\n", "is not YAML: line 13: seed is there twice"),
        ("name: x", 'recipe "x", train: is missing; and 2 more'),
        ("3: x", 'recipe "?", unknown field 3; known: task, tasks'),
    ],
)
def test_files_that_hold_no_recipe(text: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"missing\.yaml: No such file or directory"):
        read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(RecipeError, match="Is a directory"):
        read_yaml(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(RecipeError, match="it is no UTF-8 text"):
        read_yaml(latin)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["train/momentum"], "--set train/momentum: write path=value, as in train/momentum=0.5"),
        (["=0.5"], "--set =0.5: write path=value"),
        (["train/lr=1", "train/lr=2"], "--set train/lr is given twice"),
        (["train/lr=[1"], "--set train/lr: '[1' is not a YAML value"),
    ],
)
def test_assignments_that_are_none(assignments: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_assignments(assignments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        (["train/lr=1e-4"], {"train/lr": 1e-4}),
        (["seed=3", "model=mlp"], {"seed": 3, "model": "mlp"}),
        (
            ["space/train/lr={low: 1e-4, high: 1, log: true}"],
            {"space/train/lr": {"low": 1e-4, "high": 1, "log": True}},
        ),
        (["task.root=a=b"], {"task.root": "a=b"}),
        (["trunk=null"], {"trunk": None}),
    ],
)
def test_assignments_are_read_as_yaml(assignments: list[str], expected: dict[str, Any]) -> None:
    parsed = parse_assignments(assignments)
    assert parsed == expected
    assert [type(value) for value in parsed.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        (
            "trunk/branch_every=30",
            "search/early_stop: a trial has one branch point; leave it out, or branch earlier",
        ),
        (
            "space={trunk/epochs: {values: [30, 45]}, train/weight_decay: {low: 0.1, high: 1.0}}",
            "search/early_stop: the space varies the trunk, so that branch points can't be compared; "
            "leave one of them out",
        ),
    ],
)
def test_trials_end_early_only_where_branch_points_compare(
    tmp_path: Path, assignment: str, expected: str
) -> None:
    assert expected in refusal(tmp_path, GOOD, "search/early_stop=true", assignment)
