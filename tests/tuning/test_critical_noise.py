"""The sampler in plain Optuna."""

import math
from collections import Counter

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sweeper.tuning.search.critical_noise import CriticalNoiseSampler

PEAK = 0.02
LOW, HIGH = 1e-4, 1.0


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def gain(noise_scale, number):
    decades = math.log10(noise_scale / PEAK)
    return math.exp(-0.5 * (decades / 0.5) ** 2) + 0.1 * np.random.default_rng(number).standard_normal()


def objective(trial):
    """A hump whose right side diverges, with nuisances that change nothing."""
    noise_scale = trial.suggest_float("noise_scale", LOW, HIGH, log=True)
    trial.suggest_categorical("batch_size", [16, 64, 128])
    trial.suggest_float("momentum", 0.0, 0.99)
    trial.suggest_int("width", 8, 64, log=True)
    if noise_scale > 10 * PEAK:
        trial.set_user_attr("status", "diverged")
        return 99.0
    return gain(noise_scale, trial.number)


def study_of(sampler=None, direction="maximize"):
    return optuna.create_study(direction=direction, sampler=sampler or CriticalNoiseSampler(seed=0))


def decades(study):
    return np.log10([trial.params["noise_scale"] for trial in study.trials])


@pytest.fixture(scope="module")
def searched():
    study = optuna.create_study(direction="maximize", sampler=CriticalNoiseSampler("noise_scale", seed=0))
    study.optimize(objective, n_trials=18)
    return study


def test_it_finds_the_peak_and_believes_no_value_of_a_diverged_trial(searched):
    found = CriticalNoiseSampler().observations(searched.trials, searched.direction)
    assert "diverged" in found.status
    peak = np.median(found.posterior(np.random.default_rng(0)).argmax_draws)
    assert abs(peak - math.log10(PEAK)) < math.log10(1.25)
    assert np.mean(np.abs(decades(searched)[8:] - math.log10(PEAK)) < 1.2) > 0.9


def test_nuisances_are_balanced_and_spread_over_the_noise_axis(searched):
    sizes = [trial.params["batch_size"] for trial in searched.trials]
    assert max(Counter(sizes).values()) - min(Counter(sizes).values()) <= 2
    lower = decades(searched) < np.median(decades(searched))
    for size in (16, 64, 128):
        assert 1 <= sum(lower & (np.array(sizes) == size)) <= 5
    momenta = np.array([trial.params["momentum"] for trial in searched.trials])
    assert set(np.floor(momenta / 0.99 * 4)) >= {0, 1, 2, 3}
    assert all(type(trial.params["width"]) is int for trial in searched.trials)


def test_suggestions_are_a_function_of_seed_and_trials(searched):
    again = study_of()
    again.add_trials(searched.trials[:10])
    again.optimize(objective, n_trials=1)
    assert again.trials[-1].params == searched.trials[10].params
    other = study_of(CriticalNoiseSampler(seed=1))
    other.add_trials(searched.trials[:10])
    other.optimize(objective, n_trials=1)
    assert other.trials[-1].params != searched.trials[10].params


def test_minimising_the_negative_is_the_same(searched):
    study = study_of(direction="minimize")
    study.optimize(lambda trial: -objective(trial), n_trials=9)
    assert [t.params for t in study.trials] == [t.params for t in searched.trials[:9]]


def test_a_batch_asked_for_at_once_repeats_no_point_and_lost_trials_do_not_count(searched):
    def asked(before):
        study = study_of()
        study.add_trials([*searched.trials[:8], *before])
        batch = [study.ask() for _ in range(4)]
        for trial in batch:
            objective(trial)
        return decades(study)[-4:]

    assert np.diff(np.sort(asked([]))).min() > 0.02
    lost = [
        optuna.trial.create_trial(
            state=state,
            params={"noise_scale": 1e-3},
            distributions={"noise_scale": optuna.distributions.FloatDistribution(LOW, HIGH, log=True)},
        )
        for state in (TrialState.FAIL, TrialState.PRUNED)
    ]
    study = study_of()
    study.add_trials(lost)
    assert CriticalNoiseSampler().observations(study.trials, study.direction).x.size == 0


def test_a_learning_rate_is_chosen_through_the_noise_scale_within_its_bounds():
    def per_noise_scale(params):
        return params["batch_size"] * (1 - params["momentum"])

    def by_lr(trial):
        size = trial.suggest_categorical("batch_size", [16, 128])
        momentum = trial.suggest_categorical("momentum", [0.0, 0.9])
        lr = trial.suggest_float("lr", 1e-3, 10.0)
        return gain(lr / (size * (1 - momentum)), trial.number)

    sampler = CriticalNoiseSampler("lr", seed=0, per_noise_scale=per_noise_scale)
    study = study_of(sampler)
    study.optimize(by_lr, n_trials=14)
    assert all(1e-3 <= trial.params["lr"] <= 10.0 for trial in study.trials)
    found = sampler.observations(study.trials, study.direction)
    peak = np.median(found.posterior(np.random.default_rng(0)).argmax_draws)
    assert abs(peak - math.log10(PEAK)) < 2 * math.log10(1.25)


def test_standard_errors_are_read():
    study = study_of()
    trial = study.ask()
    trial.suggest_float("noise_scale", LOW, HIGH, log=True)
    trial.set_user_attr("sem", 0.25)
    study.tell(trial, 1.0)
    assert CriticalNoiseSampler().observations(study.trials, study.direction).sem.tolist() == [0.25]


def half_measured(sign=1.0, view=None):
    """Ten finished trials before and beyond a cliff, each reported at half its value; one runs inside the gap."""
    study = study_of(direction="maximize" if sign > 0 else "minimize")
    search = {"noise_scale": optuna.distributions.FloatDistribution(LOW, HIGH, log=True)}

    def trial(place, **more):
        return optuna.trial.create_trial(params={"noise_scale": 10**place}, distributions=search, **more)

    for place in (-3.9, -3.6, -3.3, -2.9, -2.5, -2.1, -1.8, -1.2, -0.8, -0.3):
        value = sign * (math.exp(-0.5 * ((place + 1.5) / 0.8) ** 2) if place < -1.5 else -6.0)
        value += 0.01 * math.sin(100 * place)
        study.add_trial(trial(place, value=value, intermediate_values={1: value / 2, 2: value}))
    running = {} if view is None else {1: sign * view}
    study.add_trial(trial(-1.5, state=TrialState.RUNNING, intermediate_values=running))
    next_one = study.ask()
    next_one.suggest_float("noise_scale", LOW, HIGH, log=True)
    return decades(study)[-1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_intermediate_values_of_running_trials_say_where_to_go_on(sign):
    assert -1.81 < half_measured(sign, view=-3.0) < -1.49
    assert -1.51 < half_measured(sign, view=0.5) < -1.19
    assert half_measured(sign, view=math.nan) == half_measured(sign)


@pytest.mark.parametrize("suggest", ["suggest_int", "suggest_float"])
def test_what_is_no_interval_of_positive_numbers_is_refused(suggest):
    trial = study_of().ask()
    with pytest.raises(ValueError, match=r"noise_scale is .*; use suggest_float with low > 0"):
        getattr(trial, suggest)("noise_scale", 0, 1)


def test_threads_may_share_a_study():
    study = study_of()
    study.optimize(objective, n_trials=10, n_jobs=2)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
