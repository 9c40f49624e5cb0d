import math

import numpy as np
import pytest
import torch

from anytime_study.pages.lab import judged


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (3, 3, "right."),
        (2, 3, "too small."),
        (3.02, 3, "too large."),
        (math.nan, 3, "expected one number, found nan."),
        ("three", 3, "expected one number, found 'three'."),
        ([0.1, 0.2], np.array([0.1, 0.2]), "right."),
        ([0.3, 0.5], np.array([0.1, 0.2]), "not yet: look at numbers 1, 2."),
        (torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2]), "right."),
        ([0.1], [0.1, 0.2], "expected 2 numbers, found [0.1]."),
        (0.1, [0.1, 0.2], "expected 2 numbers, found 0.1."),
    ],
)
def test_answers_are_judged(answer, expected, said):
    assert judged(answer, expected, tolerance=0.011) == said


def test_a_wrong_answer_is_not_told_the_right_one():
    assert "0.25" not in judged([0.5, 0.75], [0.25, 0.75])
