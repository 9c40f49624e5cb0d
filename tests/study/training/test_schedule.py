from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytime_study.training.schedule import learning_rate_factor


def factors(total, warmup, schedule):
    return [
        learning_rate_factor(step, total_steps=total, warmup_steps=warmup, schedule=schedule) for step in range(total)
    ]


@pytest.mark.parametrize(
    ("total", "warmup", "schedule", "expected"),
    [
        (4, 0, "cosine", [1, 0.5 + 0.5**0.5 / 2, 0.5, 0.5 - 0.5**0.5 / 2]),
        (8, 4, "cosine", [0.25, 0.5, 0.75, 1, 1, 0.5 + 0.5**0.5 / 2, 0.5, 0.5 - 0.5**0.5 / 2]),
        (8, 0, "steps", [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        (8, 2, "steps", [0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        (5, 0, "steps", [1, 1, 1, 0.1, 0.01]),  # half of 5 is 2.5, three quarters are 3.75
        (6, 0, "thirds", [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (7, 3, "thirds", [1 / 3, 2 / 3, 1, 0.1, 0.1, 0.01, 0.01]),  # thirds of 7 are 2.33 and 4.67
        (1, 0, "cosine", [1]),
        (1, 0, "steps", [1]),
        (2, 2, "cosine", [0.5, 1]),
    ],
)
def test_by_hand(total, warmup, schedule, expected):
    assert factors(total, warmup, schedule) == pytest.approx(expected)


def test_the_cosine_ends_at_zero_after_the_last_step():
    # the scheduler asks for one more step than there is
    assert learning_rate_factor(8, total_steps=8, warmup_steps=2, schedule="cosine") == pytest.approx(0)
    assert learning_rate_factor(2, total_steps=2, warmup_steps=2, schedule="cosine") == 1


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from(["cosine", "steps", "thirds"]))
def test_rises_linearly_then_never_rises_again(total, share, schedule):
    warmup = int(share * total)
    values = factors(total, warmup, schedule)
    assert all(0 < value <= 1 for value in values)
    assert values[:warmup] == [(step + 1) / warmup for step in range(warmup)]
    assert all(late <= early for early, late in pairwise(values[warmup:]))
    if schedule == "cosine" and warmup < total:
        assert values[warmup] == 1
