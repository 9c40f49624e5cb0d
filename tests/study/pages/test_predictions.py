import math
from types import SimpleNamespace

import numpy as np
import pytest

from anytime_study.pages.predictions import (
    BY_CHANCE,
    UNKNOWN,
    answer_at,
    curve,
    fewer_errors,
    live_experiment,
    over_exits,
    stop_curves,
    stopping_early,
    where_pairs_help,
)

NOISE = np.array([0.01, -0.02, 0.015, -0.005])  # of four seeds


def pair(first, last):
    """CONST errs on 40 % at the first of two exits and 20 % at the last; AdaLoss on what is given, seed by seed."""
    const = np.stack([0.4 + NOISE, 0.2 + NOISE], 1)
    return [{"title": "T", "seeds": [1, 2, 3, 4], "errors": [const.tolist(), np.stack([first, last], 1).tolist()]}]


def test_who_errs_less_is_told_by_the_interval_over_seeds():
    assert fewer_errors([-3, -4, -5], "one", "other") == "one"
    assert fewer_errors([3, 4, 5], "one", "other") == "other"
    assert fewer_errors([-3, 0.1, 3], "one", "other") == BY_CHANCE
    assert fewer_errors([], "one", "other") == UNKNOWN


def test_whoever_stops_early_takes_what_is_better_early():
    trade = pair(0.5 + NOISE, 0.1 + NOISE)
    assert stopping_early(trade, ratio=0.5) == "CONST"  # 2/3 · 10 points more, 1/3 · 10 points fewer
    assert stopping_early(trade, ratio=2) == "AdaLoss"
    assert stopping_early([]) == UNKNOWN


def test_pairs_help_where_both_runs_share_their_luck():
    shared, own = 0.5 + NOISE + [0.001, 0, 0, -0.001], 0.1 - NOISE
    where, told = where_pairs_help(pair(shared, own))
    assert where == "At the first exit"
    assert "times at the last" in told
    assert where_pairs_help(pair(0.5 - NOISE, shared - 0.4))[0] == "At the last exit"
    assert where_pairs_help(pair(shared, shared - 0.4))[0] == "At both alike"
    assert where_pairs_help([]) == (UNKNOWN, "")


def test_a_curve_is_the_mean_of_its_seeds_and_keeps_what_changes():
    runs = [
        SimpleNamespace(costs=SimpleNamespace(macs_cumulative=[1e6, 2e6, 3e6]), test=SimpleNamespace(error=errors))
        for errors in ([0.5, 0.3, 0.3], [0.3, 0.1, 0.1])
    ]
    found = curve("small", "const", *over_exits(runs))
    assert found == {"name": "small", "kind": "const", "costs": [1, 2], "errors": [40, 20]}
    assert [answer_at(found, budget) for budget in (1, 1.9, 9)] == [40, 40, 20]
    assert math.isnan(answer_at(found, 0.9))
    assert "&quot;budget&quot;: 3.0" in stop_curves([found], at=1.5).data
    assert stop_curves([], at=1).data == ""


def test_what_an_experiment_is_given_cannot_end_its_element():
    text = live_experiment("x", some_data={"a": "'\"<>&"}, limit="1").data
    assert text.startswith('<div class="experiment" data-explorable="x" data-some-data="{&quot;a&quot;')
    assert text.count("<") == 2
    assert 'data-limit="1"' in text


@pytest.mark.parametrize("ratio", [0.25, 1, 4])
def test_answers_are_weighed_by_how_often_they_are_given(ratio):
    same = pair(
        0.4 + NOISE + ratio / 100, 0.2 + NOISE - 0.01
    )  # the first exit counts 1 / ratio times as much as the last
    assert stopping_early(same, ratio=ratio) == BY_CHANCE
