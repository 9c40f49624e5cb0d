"""The study files of all tiers: valid, with enough seeds, and at one with each other."""

import functools
from collections import defaultdict
from pathlib import Path

import pytest
import torch

from anytime_core import exit_costs
from anytime_study.analysis.claims import load_claims
from anytime_study.datasets import DATASETS
from anytime_study.runs.config import RunConfig
from anytime_study.studies.study import ROOT, load_study

STUDIES = sorted((ROOT / "workflow" / "studies").rglob("*.yaml"))
HEADLINES = {"weightings", "small_against_large", "eann", "difficulty"}  # rest on five seeds or more
load = functools.cache(load_study)  # hundreds of runs: seconds


def id_of(path):
    return str(path.relative_to(ROOT / "workflow" / "studies"))


@pytest.mark.parametrize("path", STUDIES, ids=id_of)
def test_every_study_is_valid_and_in_the_folder_of_its_tier(path):
    found, runs = load(path)
    assert runs
    assert found.tier == (path.stem if path.parent.name == "studies" else path.parent.name)
    assert found.committed == (found.tier != "quick")


def seeds_by_kind(tier):
    """Per experiment and run-without-its-seed: the seeds."""
    seeds = defaultdict(set)
    for path in STUDIES:
        found, runs = load(path)
        if found.tier == tier:
            for run in runs:
                seeds[found.experiment, run.model_copy(update={"seed": 0})].add(run.seed)
    return seeds


@pytest.mark.parametrize("tier", ["quick", "laptop", "paper"])
def test_every_kind_of_run_has_the_seeds_that_its_experiment_needs(tier):
    seeds = seeds_by_kind(tier)
    assert seeds
    for (experiment, run), found in seeds.items():
        if run.weighting.startswith("opt(exit=") and found == {0}:
            continue  # only the picture of Fig. 2a has OPT at every exit
        needed = 5 if experiment in HEADLINES and run.dataset != "ilsvrc" else 3
        assert found >= set(range(needed)), (experiment, run.name, found)
        assert found == set(range(len(found))), "seeds are paired: the same ones everywhere"


def test_the_language_tier_has_five_paired_seeds_and_opt_at_the_exits_that_the_measure_reads():
    seeds = {kind: found for kind, found in seeds_by_kind("language").items() if kind[0] == "language"}
    assert {tuple(sorted(found)) for found in seeds.values()} == {(1, 2, 3, 4, 5)}
    (network,) = {run.network for _, run in seeds}
    opt = {run.weighting for _, run in seeds if run.weighting.startswith("opt")}
    last = len(costs_of("tiny-shakespeare", network).macs_fixed)
    nearest = nearest_exits(next(run for _, run in seeds))
    assert opt == {"opt", *(f"opt(exit={exit})" for exit in nearest - {last})}


WAITING = {"dose"}  # its file follows the learning rate of OPT (workflow/studies/cifar/rates.yaml)


def test_every_experiment_with_a_claim_has_a_study_on_a_laptop():
    made = {load(path)[0].experiment for path in STUDIES if path.parent.name in ("laptop", "cifar", "language")}
    assert {claim.experiment for claim in load_claims().claims} <= made | WAITING


def test_runs_that_choose_a_regime_or_a_rate_are_counted_nowhere():
    choosing = {"gate", "rates"}
    looked_at = {0, 100, 101}  # seed 0 in pilots, 100 by the gate, 101 by the rates
    for path in STUDIES:
        found, runs = load(path)
        if found.tier in ("cifar", "language"):
            seeds = {run.seed for run in runs}
            assert (seeds <= looked_at) == (found.experiment is None) == (path.stem in choosing), path
            assert not seeds & looked_at or path.stem in choosing, path


@pytest.mark.parametrize("tier", ["laptop", "paper"])
def test_one_schedule_within_a_study(tier):
    """What differs between two runs of a study is what the study is about, and on the paper's data the set's epochs."""
    free = {"seed", "dataset", "network", "weighting"}
    known = {
        "weightings": {"learning_rate", "epochs", "batch_size"} if tier == "paper" else {"learning_rate"},
        "small_against_large": {"epochs"} if tier == "paper" else set(),
        "difficulty": {"epochs"} if tier == "paper" else set(),
        "architectures": set(),
        "weightings_longer": set(),
        "eann": set(),
    }
    for path in STUDIES:
        found, runs = load(path)
        if found.tier == tier and found.experiment in known:
            fields = [run.model_dump(exclude=free) for run in runs]
            differing = {name for name in fields[0] if len({str(each[name]) for each in fields}) > 1}
            assert differing <= known[found.experiment], path


# --- what the studies say they are ---------------------------------------------------------------------------------


@functools.cache
def costs_of(dataset, network):
    with torch.device("meta"):
        net = RunConfig(dataset=dataset, network=network, weighting="const").build_network()
        return exit_costs(net, DATASETS[dataset].example())


def nearest_exits(run):
    """The exits whose cost alone is nearest to 1/4, 1/2 and 3/4 of the cumulative cost: the measures' definition."""
    costs = costs_of(run.dataset, run.network)
    total = costs.macs_cumulative[-1]
    return {
        1 + min(range(len(costs.macs_fixed)), key=lambda index: abs(costs.macs_fixed[index] - fraction * total))
        for fraction in (0.25, 0.5, 0.75)
    }


@pytest.mark.parametrize("name", ["weightings", "weightings_rates"])
def test_opt_is_trained_at_the_exits_that_the_measure_reads(name):
    opt = defaultdict(set)
    for run in load(Path(f"workflow/studies/laptop/{name}.yaml"))[1]:
        exits = opt[run.model_copy(update={"weighting": "opt"})]
        if run.weighting.startswith("opt(exit="):
            exits.add(int(run.weighting.partition("=")[2].rstrip(")")))
    assert opt
    for run, exits in opt.items():
        assert nearest_exits(run) <= exits
