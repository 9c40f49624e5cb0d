"""Stochastic training with the package's AdaLoss comes to rest where the theory, which knows no batches, says."""

import numpy as np
import pytest
import scipy.linalg
import torch

from anytime_core.weighting.adaloss import AdaLoss
from anytime_core.weighting.static import const
from anytime_study.theory.geometric_mean import adaloss_fixed_point
from anytime_study.theory.linear_residual import linear_residual

EXITS, CORRELATION, SIGMA2 = 6, 0.8, 0.01
STEPS, BATCH, RATE = 8000, 64, 0.03
PROBLEM = linear_residual(EXITS, correlation=CORRELATION, sigma2=SIGMA2)
CONST_POINT = PROBLEM.minimiser(np.ones(EXITS))


def released(**knobs):
    return AdaLoss(EXITS, momentum=0.9, **knobs).double()


def distance(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.fixture(scope="module")
def batches():
    """Fresh samples for every step, from the model in words: correlated inputs, and a target that is their sum."""
    generator = np.random.default_rng(0)
    root = np.linalg.cholesky(scipy.linalg.toeplitz(CORRELATION ** np.arange(EXITS)))
    inputs = generator.normal(size=(STEPS, BATCH, EXITS)) @ root.T
    targets = inputs.sum(-1) + np.sqrt(SIGMA2) * generator.normal(size=(STEPS, BATCH))
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def train(weigh, batches):
    """A usual training loop, from the CONST point; its rate falls to 0. The mean of θ over the last quarter."""
    theta = torch.tensor(CONST_POINT, requires_grad=True)
    total, counted = torch.zeros(EXITS, dtype=torch.float64), 0
    for step, (inputs, target) in enumerate(zip(*batches, strict=True)):
        residuals = torch.cumsum(theta * inputs, dim=1) - target[:, None]  # [n, K]: exit i sees the first i inputs
        (gradient,) = torch.autograd.grad(weigh(residuals.square().mean(0)), theta)
        with torch.no_grad():
            theta -= RATE * (1 - step / STEPS) * gradient
            if step >= 3 * STEPS // 4:
                total, counted = total + theta, counted + 1
    return (total / counted).numpy()


@pytest.fixture(scope="module")
def trained(batches):
    """For each floor, where a run with the authors' weights ends, and the weighting as the run left it."""
    weighings = {floor: released(floor=floor) for floor in (0.07, 0.3)}
    return {floor: (train(weigh, batches), weigh) for floor, weigh in weighings.items()}


@pytest.mark.parametrize("floor", [0.07, 0.3])
def test_minibatches_with_the_authors_weights_reach_the_fixed_point_of_the_floor(trained, floor):
    found, weigh = trained[floor]
    wanted = adaloss_fixed_point(PROBLEM, floor=floor)
    assert distance(found, wanted) < 0.01
    assert distance(CONST_POINT, wanted) > 0.1  # where the run began, and where CONST would have stayed
    losses = PROBLEM.losses(wanted)
    np.testing.assert_allclose(weigh.weights, (1 - floor) * losses.min() / losses + floor, rtol=0.1)


def test_const_stays_at_its_own_point(batches):
    found = train(const(EXITS).double(), batches)
    assert distance(found, CONST_POINT) < 0.01
    assert distance(found, adaloss_fixed_point(PROBLEM, floor=0.07)) > 0.1
