import pytest

from anytime_study.analysis.competence import competence, competence_table, excess_table, frontier, trained_alone
from anytime_study.runs.config import RunConfig


def opt(make, cost, error, *, exits=2, **fields):
    """A network trained for its last exit alone; the other exits have numbers that must not be read."""
    scores = {
        "validation": [0.01] * (exits - 1) + [error],
        "test": [0.99] * exits,
        "alone": [*range(1, exits), cost],
        "cumulative": [*range(1, exits), cost + 5],
    }
    return make(weighting="opt", scores=scores, **fields)


def test_the_frontier_by_hand(made_up_record):
    points = [(40, 0.2), (10, 0.5), (30, 0.45), (20, 0.4)]
    networks = [
        {seed: opt(made_up_record, cost, error + aside, seed=seed) for seed, aside in enumerate((-0.01, 0.03))}
        for cost, error in points
    ]
    costs, errors = frontier(networks)
    assert costs.tolist() == [10, 20, 40]  # that of 30 is no better than that of 20
    assert errors.tolist() == pytest.approx([0.51, 0.41, 0.21])  # means over the seeds
    scores = {"validation": [0.9, 0.3, 0.8], "alone": [10, 20, 30]}  # an inner exit is read where it was trained
    costs, errors = frontier([{0: made_up_record(weighting="opt(exit=2)", scores=scores)}])
    assert (costs.tolist(), errors.tolist()) == ([20], [0.3])


def test_networks_trained_alone_have_the_same_seeds(made_up_record):
    runs = [made_up_record(weighting="opt", seed=seed) for seed in range(3)]
    runs += [made_up_record(weighting="opt(exit=1)", seed=seed) for seed in (0, 1)]
    runs += [made_up_record(weighting="const", seed=seed) for seed in range(4)]
    assert trained_alone(runs) == [{run.config.seed: run for run in runs[:3]}]


@pytest.mark.parametrize(
    ("excesses", "expected"),
    [
        ([9, 9, 5, 4], 1 / 0.6),  # the tolerance itself counts
        ([1, 1, 1, 1], 5),
        ([1, 9, 1, 1], 1 / 0.6),  # an early exit that is good by chance does not
        ([9, 9, 9, 5], 1),
        ([-3, -3, -3, 5.1], 0),  # the last exit decides whether there is any
    ],
)
def test_from_where_on_a_network_is_competent(excesses, expected):
    assert competence([0.2, 0.4, 0.6, 1], excesses, 5) == pytest.approx(expected)


def test_competence_by_network_and_tolerance(made_up_record, made_up_divergence, made_up_experiment):
    small, large = "resann(n=1, c=4, s=3)", "resann(n=2, c=4, s=3)"
    separate, own = [], []
    for seed, aside in ((0, -0.02), (1, 0.02)):  # which the mean over seeds takes away
        separate += [opt(made_up_record, 10, 0.5 + aside, exits=1, network=small, seed=seed)]
        separate += [opt(made_up_record, 30, 0.3 - aside, network=large, seed=seed)]
        # where the separate networks are at 0.4 and 0.3
        scores = {"cumulative": [20, 40], "validation": [0.44 + aside, 0.3 + aside]}
        own += [made_up_record(network=large, weighting="const", seed=seed, scores=scores)]
        scores = {"cumulative": [12], "validation": [0.6]}  # over 0.48: a quarter
        own += [made_up_record(network=small, weighting="const", seed=seed, scores=scores)]
        # another rate, and a weighting that was not asked for
        own += [made_up_record(network=large, weighting="const", seed=seed, learning_rate=0.2)]
        own += [made_up_record(network=large, weighting="linear", seed=seed)]
    own += [made_up_divergence(network=large, weighting="const", seed=2)]
    experiments = [made_up_experiment(own), made_up_experiment(separate)]
    table = excess_table(experiments, RunConfig(epochs=2), ["const"])
    assert table["network"].tolist() == ["(1, 4)"] * 2 + ["(2, 4)"] * 4
    of_large = table[table["network"] == "(2, 4)"]
    assert of_large["seed"].tolist() == [0, 0, 1, 1]
    assert of_large["excess"].tolist() == pytest.approx([5, -20 / 3, 15, 20 / 3])
    assert table[table["seed"] == 1]["cost"].tolist() == [1, 0.5, 1]
    found = competence_table(table, (5, 10.001)).set_index(["network", "tolerance"])
    expected = {("(1, 4)", 5): 0, ("(1, 4)", 10.001): 0, ("(2, 4)", 5): 1, ("(2, 4)", 10.001): 2}
    assert found["b"].to_dict() == expected
    assert excess_table(experiments[:1], RunConfig(epochs=2), ["const"]).empty
