import math
import re

import pytest

from anytime_core.errors import InputError
from anytime_study.pages.publishing import ORIGIN_BEGINS, ORIGIN_ENDS
from anytime_study.pages.result_pages import collect, compared, header, published, require_runs, sums_of_weights
from anytime_study.studies.experiments import Experiment


def test_the_header_counts_what_was_made(made_up_record, made_up_divergence, made_up_experiment):
    made = [made_up_record(seed=seed, batch_size=size) for seed, size in [(0, 64), (2, 128)]]
    text = header(made_up_experiment([*made, made_up_divergence(seed=1)], unmade=[made_up_record(seed=3)]), "laptop")
    said, _, folded = text.partition(ORIGIN_BEGINS)
    assert said.strip() == (
        "Drawn from 3 of 4 planned training runs so far ([tier](../glossary.html#term-tier) *laptop*): "
        "Optical digits, 1,257 training images, 2 epochs, two seeds. "
        "One of them diverged: the loss became NaN or infinite."
    )
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", folded, re.MULTILINE))
    assert rows["seeds (the same for all that is compared)"] == "0, 2"
    assert rows["batch size"] == "64, 128"
    assert rows["networks"] == "`resann(n=3, c=4, s=3)`, 3 exits, 0.0 million MACs"
    assert rows["hardware"] == "none, 1 thread"
    assert rows["commits"] == made[0].provenance.commit[:7]
    assert folded.endswith(ORIGIN_ENDS)


def test_the_header_of_nothing():
    assert header(Experiment("e", {}, {}, {}), "cifar") == (
        "No run has finished yet ([tier](../glossary.html#term-tier) *cifar*). There is nothing to show."
    )


def test_a_page_that_needs_runs_is_refused_without(made_up_record, made_up_divergence, made_up_experiment):
    require_runs(made_up_experiment([made_up_record()]), "cifar")
    lost = made_up_experiment([made_up_divergence()], unmade=[made_up_record(seed=3)])
    with pytest.raises(
        InputError, match=r"weightings in tier cifar, found none of 2; anytime study workflow/studies/cifar/w"
    ):
        require_runs(lost, "cifar")


def test_measures_without_runs_are_left_out(made_up_record, made_up_experiment):
    records = [made_up_record(seed=seed, weighting=name) for seed in range(3) for name in ("const", "linear")]
    ratio = {"name": "error_difference", "second": {"weighting": "const"}}
    wanted = [({"what": name}, {**ratio, "first": {"weighting": name}}) for name in ("linear", "sieve")]
    experiment = made_up_experiment(records, main={"network": "resann(n=3, c=4, s=3)"})
    table = collect(experiment, wanted)
    assert table.to_dict("list") == {"what": ["linear"] * 3, "seed": [0, 1, 2], "value": [0.0] * 3}
    assert list(collect(experiment, wanted[1:])) == ["what", "seed", "value"]


def test_changes_are_logarithms_at_exits_and_at_shares_of_the_cost(made_up_record, made_up_experiment):
    errors = {"const": [0.4, 0.2], "adaloss": [0.5, 0.1]}
    records = [
        made_up_record(seed=seed, weighting=name, scores={"test": of_name})
        for seed in range(3)
        for name, of_name in errors.items()
    ]
    experiment = made_up_experiment(records, main={"network": "resann(n=2, c=4, s=3)"})
    pairs = {"ours": ({"weighting": "adaloss"}, {"weighting": "const"}), "unmade": ({"weighting": "uw"}, {})}
    for places in ({"first": {"exit": 1}, "last": {}}, {"first": {"fraction": 0.5}, "last": {"fraction": 1.0}}):
        table = compared(experiment, pairs, places)
        assert table["name"].unique().tolist() == ["ours"]
        means = table.groupby("where")["value"].mean()
        assert means.to_dict() == pytest.approx({"first": 100 * math.log(1.25), "last": 100 * math.log(0.5)})


def test_the_sum_of_the_weights_is_a_mean_over_seeds(made_up_record):
    records = [made_up_record(seed=seed, scores={"weights": [1.0, 2.0 * seed]}) for seed in (0, 1)]
    assert sums_of_weights(records).to_dict() == {("adaloss", 1): 2.0, ("adaloss", 2): 2.0}
    assert sums_of_weights([]).empty


def test_published_numbers_come_from_the_paper():
    assert published("table3a").query("scheme == 'AdaLoss' and cost_fraction == 1")[
        "relative_error_increase_percent"
    ].tolist() == [2.73]
