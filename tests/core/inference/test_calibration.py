import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from anytime_core import expected_calibration_error, fit_temperatures
from anytime_core.errors import InputError
from anytime_core.inference import calibration


def drawn(temperature, number=20_000, classes=4, seed=0):
    """Logits whose labels are drawn from softmax(logits / temperature): calibrated by dividing by it."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=2, size=(number, classes)) * temperature
    p = softmax(logits / temperature, -1)
    labels = (p.cumsum(1) < generator.uniform(size=(number, 1))).sum(1)
    return logits, labels


def test_each_exit_has_its_own():
    logits, labels = drawn(1)
    assert fit_temperatures(np.stack([logits, 2 * logits]), labels) == pytest.approx(
        fit_temperatures(logits[None], labels).item() * np.array([1, 2]), rel=1e-5
    )


def test_by_hand():
    # two classes, logits ±1, three of four right: the best softmax says 3/4, odds of 3, so 2 / T = ln 3
    logits = np.array([[[1.0, -1.0]] * 4])
    assert fit_temperatures(logits, [0, 0, 0, 1]) == pytest.approx([2 / np.log(3)])


@given(st.integers(0, 1000))
def test_it_is_the_minimum(seed):
    logits, labels = drawn(1.5, number=60, seed=seed)
    found = fit_temperatures(logits[None], labels).item()

    def nll(temperature):
        return -log_softmax(logits / temperature, -1)[np.arange(60), labels].mean()

    others = np.geomspace(0.05, 20, 200)
    assert nll(found) <= min(map(nll, others)) + 1e-6


def test_the_ends_where_there_is_no_minimum():
    right, wrong = np.array([[[3.0, 0.0], [2.0, 0.0]]]), np.array([[[0.0, 3.0], [0.0, 2.0]]])
    assert fit_temperatures(right, [0, 0]).item() == pytest.approx(0.05)
    assert fit_temperatures(wrong, [0, 0]).item() == pytest.approx(20)
    assert fit_temperatures(np.zeros((1, 2, 2)), [0, 1]).item() == pytest.approx(0.05)  # logits that say nothing


def test_calibration_error_by_hand():
    # four images at 0.9, three right: distance 0.15; one at 0.6 that is wrong: 0.6; mean (4 × 0.15 + 0.6) / 5
    odds = np.log([9, 9, 9, 9, 1.5])
    logits = np.stack([odds, np.zeros(5)], -1)[None]
    assert expected_calibration_error(logits, [0, 0, 0, 1, 1]) == pytest.approx([(4 * 0.15 + 0.6) / 5], abs=1e-6)


def test_calibrated_logits_have_a_small_error_and_a_temperature_gives_it_back():
    logits, labels = drawn(3)
    before = expected_calibration_error(logits[None], labels)
    after = expected_calibration_error(logits[None], labels, [3.0])
    assert before[0] > 0.1
    assert after[0] < 0.015


def test_one_bin_is_the_distance_of_the_means(monkeypatch):
    monkeypatch.setattr(calibration, "BINS", 1)
    logits, labels = drawn(2, number=500)
    confidence, right = softmax(logits, -1).max(-1), logits.argmax(-1) == labels
    found = expected_calibration_error(logits[None], labels)
    assert found == pytest.approx([abs(confidence.mean() - right.mean())], abs=1e-5)


@pytest.mark.parametrize("function", [fit_temperatures, expected_calibration_error])
def test_bad_input(function):
    logits, labels = drawn(1, number=5)
    with pytest.raises(InputError, match=r"^logits\w*: "):
        function(logits, labels)
    with pytest.raises(InputError, match=r"^labels: "):
        function(logits[None], labels[:2])
    for bad in ("abc", None):
        with pytest.raises(InputError, match=r"^logits\w*: expected numbers"):
            function(bad, labels)


@pytest.mark.parametrize("function", [fit_temperatures, expected_calibration_error])
def test_the_default_device_does_not_matter(function):
    logits, labels = drawn(1, number=50)
    expected = function(logits[None], labels)
    with torch.device("meta"):
        assert torch.equal(function(logits[None], labels), expected)
