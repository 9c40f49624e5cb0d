import math

import numpy as np
import pytest
import torch

from anytime_study.pages.lab import checkpoint


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (None, 3, "no answer yet."),
        (3, 3, "right."),
        (2, 3, "too small."),
        (3.02, 3, "too large."),
        (2.99, 3, "right."),
        (math.nan, 3, "expected 1 number(s), found nan."),
        ("three", 3, "expected 1 number(s), found 'three'."),
        ([0.1, 0.2], np.array([0.1, 0.2]), "right."),
        ([0.1, 0.5], np.array([0.1, 0.2]), "not yet: look at number 2."),
        (torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2]), "right."),
        ([0.1], [0.1, 0.2], "expected 2 number(s), found [0.1]."),
        (0.1, [0.1, 0.2], "expected 2 number(s), found 0.1."),
        ("const", "const", "right."),
        ("linear", "const", "not 'linear'. Read the question again."),
    ],
)
def test_answers_are_judged(answer, expected, said):
    assert checkpoint(4, answer, expected, tolerance=0.011) == f"**Checkpoint 4:** {said}"


def test_a_wrong_answer_is_not_told_the_right_one():
    assert "0.25" not in checkpoint(1, [0.5, 0.75], [0.25, 0.75])
