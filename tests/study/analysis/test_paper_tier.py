"""The tier paper: its claims find all of their runs, and judge them, once there are any.

Nobody has these runs yet, so their records are made up: real costs, and errors that follow Table 3a.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from anytime_core import exit_costs
from anytime_core.errors import InputError
from anytime_study.analysis.claims import CLAIMS, load_claims
from anytime_study.analysis.verdicts import verdicts
from anytime_study.datasets import DATASETS
from anytime_study.runs.config import RunConfig
from anytime_study.studies.experiments import load_experiments

CLAIMED = load_claims()
HERE = [claim for claim in CLAIMED.claims if "paper" in claim.in_tier]
JUDGED = [claim for claim in HERE if claim.experiment != "eann"]  # whose numbers the made-up errors cannot follow
SEEDS = 3
FRACTIONS = [0.25, 0.5, 0.75, 1.0]
INCREASES = {  # over OPT, per cent, at these fractions of the cost: Table 3a, and a made-up row for Fig. 2a
    "const": [15.07, 16.40, 18.76, 18.90],
    "linear": [25.67, 13.02, 12.97, 12.65],
    "adaloss": [32.99, 9.97, 3.96, 2.73],
    "half_end": [40.0, 30.0, 20.0, 10.0],
}
NOISE = {"const": 0.1, "linear": 0.15, "adaloss": 0.2, "half_end": 0.3}  # times -1, 0 and 1, by seed
DEPTH = {"svhn": 0.0, "cifar10": 1.0, "cifar100": 2.0, "ilsvrc": 2.0}  # power of the cost by which weights grow


PLANNED = load_experiments("paper")


@functools.cache
def costs_of(dataset, network):
    with torch.device("meta"):
        net = RunConfig(dataset=dataset, network=network).build_network()
        return exit_costs(net, DATASETS[dataset].image_shape)


def scores(config, increases):
    """Errors of OPT fall linearly with the cost; those of the others are so much higher, with a little noise."""
    costs = costs_of(config.dataset, config.network)
    cumulative, alone = (np.array(values) for values in (costs.macs_cumulative, costs.macs_fixed))
    weighting = config.weighting.partition("(")[0]
    at = (alone if weighting == "opt" else cumulative) / cumulative[-1]
    increase = 0.0 if weighting == "opt" else np.interp(at, FRACTIONS, increases[weighting])
    increase = increase + (0.0 if weighting == "opt" else NOISE[weighting] * (config.seed - 1))
    errors = (0.5 - 0.3 * at) * (1 + increase / 100)
    weights = (alone / alone[-1]) ** (DEPTH[config.dataset] + 0.01 * config.seed)
    return {
        "test": errors.tolist(),
        "train": ((0.5 - 0.3 * alone / alone[-1]) * (1 + increase / 100)).tolist(),
        "cumulative": cumulative.tolist(),
        "alone": alone.tolist(),
        "weights": weights.tolist(),
    }


@pytest.fixture(scope="module")
def judge_all(made_up_record):
    """Verdicts by claim, of records with these increases over OPT and rules, but for those that ``without`` names."""

    def run(increases=INCREASES, rules=CLAIMED.rules, without=()):
        found = {}
        for name, experiment in PLANNED.items():
            runs = [config for config in experiment.planned.values() if config.seed < SEEDS]
            records = {
                config.name: made_up_record(
                    scores=scores(config, increases),
                    rules=rules,
                    **config.model_dump(exclude_defaults=True),
                )
                for config in runs
                if config.name not in without
            }
            found[name] = replace(experiment, outcomes=records)
        return {verdict.claim: verdict for verdict in verdicts(CLAIMED, found, tier="paper")}

    return run


@pytest.fixture(scope="module")
def judged(judge_all):
    return judge_all()


@pytest.mark.parametrize("claim", JUDGED, ids=lambda claim: claim.id)
def test_the_papers_numbers_show_the_papers_claims(judged, claim):
    verdict = judged[claim.id]
    assert verdict.effect == "shown as claimed", verdict.note
    assert verdict.scope in ("replicated", "the paper's data, network and schedule")
    assert [len(trial.values) for trial in verdict.trials] == [SEEDS]
    assert not verdict.amended


def test_the_mean_is_that_of_table_3a(judged):
    """Over twelve networks and three data sets. The exits of OPT lie up to 0.03 of the cost beside the fractions."""
    for claim in JUDGED:
        if claim.where == "Table 3a":
            assert judged[claim.id].trials[0].interval.mean == pytest.approx(claim.published, abs=2), claim.id


def test_the_other_way_round_is_opposite(judge_all):
    swapped = {**INCREASES, "const": INCREASES["adaloss"], "adaloss": INCREASES["const"]}
    found = judge_all(swapped)
    for name in ("adaloss-below-const-at-1", "adaloss-above-const-at-1-4", "adaloss-below-const-denseann"):
        assert found[name].effect == "shown opposite", found[name].note


def test_a_missing_run_is_named(judge_all):
    (gone,) = (
        config.name
        for config in PLANNED["weightings"].planned.values()
        if (config.dataset, config.network, config.weighting, config.seed) == ("svhn", "resann(n=9, c=32)", "linear", 1)
    )
    other_rules = {claim.id: CLAIMED.rules[claim.id] for claim in CLAIMED.claims}  # not those of this tier
    found = judge_all(without={gone}, rules=other_rules)
    verdict = found["linear-below-const-at-1"]
    assert verdict.verdict == "not tested"
    assert "dataset svhn, epochs 60, network resann(n=9, c=32), weighting linear, seeds 1" in verdict.note
    assert found["adaloss-below-const-at-1"].effect == "shown as claimed"
    assert found["adaloss-below-const-at-1"].amended


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: 60, network: *twelve", "epochs: [], network: *twelve", "epochs: expected at least one value"),
        ("settings: *trained", "settings: trained", "settings"),
        ('[["msdnet_imagenet(depth=38)", "msdnet', '[["msdnet_imagenet(depth=38)"], ["msdnet', "networks"),
        ("in_tier: {paper: {networks", "in_tier: {paper: {nets", "nets"),
    ],
)
def test_runs_that_do_not_fit_are_refused(tmp_path, old, new, message):
    text = CLAIMS.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "claims.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=f"(?s)claim.*{message}"):
        load_claims(path)


def test_the_paper_tier_changes_no_rule_of_another(tmp_path):
    text = CLAIMS.read_text(encoding="utf-8")
    path = tmp_path / "claims.yaml"
    path.write_text(text.replace("Per seed, the mean of the measure", "The mean of the measure"), encoding="utf-8")
    before, after = CLAIMED.rules, load_claims(path).rules
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {claim.rule_name(tier) for claim in CLAIMED.claims for tier in claim.in_tier}
    assert not any(claim.id in changed for claim in CLAIMED.claims)
