"""AdaLoss in plain NumPy and float64, from the written algorithm alone: the oracle of all tests."""

import numpy as np


def adaloss_weights(
    steps,
    *,
    momentum=0.99,
    refresh_period=100,
    floor=0.07,
    final_extra=0.0,
    bias_correction=False,
    normalisation="max",
    epsilon=1e-8,
    floor_kind="const",
):
    """Losses [T, K] -> weights after each step, [T, K].

    Average: the first batch, then β a + (1 - β) l; with bias correction started at 0 and divided by 1 - β^t.
    Every P-th step: reciprocal of max(a, ε); normalise; e more for the last; normalise; (1 - γ) u + γ. With the floor
    of the start, the reciprocal is mixed with that of the first losses instead.
    """

    def normalised(u):
        factors = {"max": u.max(), "sum": u.mean(), "geometric": np.exp(np.log(u).mean()), "none": 1}
        return u / factors[normalisation]

    weights = np.ones(len(steps[0]))
    average = None
    history = []
    for t, losses in enumerate(np.asarray(steps, dtype=np.float64), start=1):
        if average is None:
            average = (1 - momentum) * losses if bias_correction else losses
        else:
            average = momentum * average + (1 - momentum) * losses
        if t % refresh_period == 0:
            corrected = average / (1 - momentum**t) if bias_correction else average
            u = 1 / np.maximum(corrected, epsilon)
            if floor_kind == "start":
                u = (1 - floor) * u + floor / np.maximum(steps[0], epsilon)
            u = normalised(u)
            if final_extra:
                u[-1] += final_extra
                u = normalised(u)
            weights = u if floor_kind == "start" else (1 - floor) * u + floor
        history.append(weights)
    return np.array(history)
