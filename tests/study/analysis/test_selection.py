import re

import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.studies.experiments import load_experiments

NET = {"network": "resann(n=1, c=4)"}

STUDY = """
title: Made up
tier: laptop
committed: true
experiment: weightings
common: {{dataset: digits, {network}, epochs: 2{more}}}
grids: [{{seed: [0, 1, 2], weighting: [const, adaloss]}}]
"""


def last_errors(records):
    return {seed: record.test.error[-1] for seed, record in records.items()}


# --- one rate ------------------------------------------------------------------------------------------------------


def test_what_is_not_said_is_the_main_grids(made_up_record, made_up_experiment):
    wanted = [
        made_up_record(**NET, weighting="const", seed=seed, scores={"test": [0.1 + seed / 4]}) for seed in range(3)
    ]
    others = [
        made_up_record(**NET, weighting="const", seed=seed, **fields)
        for seed in range(3)
        for fields in ({"batch_size": 64}, {"learning_rate": 0.2}, {"epochs": 3}, {"dataset": "fashion-mnist"})
    ] + [made_up_record(network="resann(n=2, c=4)", weighting="const")]
    selection = Selection(made_up_experiment(wanted + others, main=NET))
    assert last_errors(selection.pick(weighting="const")) == {0: 0.1, 1: 0.35, 2: 0.6}
    assert set(selection.used) == {record.name for record in wanted}
    assert not selection.missing
    assert not selection.notes
    assert selection.pick(weighting="const", batch_size=64)[1] == others[4]


def test_a_network_may_be_named_by_its_kind(made_up_record, made_up_experiment):
    records = [made_up_record(network="denseann(growth=4)"), made_up_record(**NET)]
    selection = Selection(made_up_experiment(records))
    assert selection.network_named("denseann") == "denseann(growth=4)"
    assert selection.network_named("denseann(n=7)") == "denseann(n=7)"
    assert selection.network_named("msdnet") == "msdnet"  # which will be missing
    two = Selection(made_up_experiment([*records, made_up_record(network="denseann")]))
    message = "bad network denseann: expected one of this kind in weightings, found denseann, denseann(growth=4)"
    with pytest.raises(InputError, match=re.escape(message)):
        two.network_named("denseann")


def test_what_is_missing_is_told(made_up_record, made_up_divergence, made_up_experiment):
    made = [made_up_record(**NET, weighting="const", seed=seed) for seed in (0, 3)]
    diverged = made_up_divergence(**NET, weighting="const", seed=1)
    unmade = [made_up_record(**NET, weighting="const", seed=seed) for seed in (2, 4)]
    selection = Selection(made_up_experiment([*made, diverged], unmade=unmade, main=NET))
    const, linear = selection.pick(weighting="const"), selection.pick(weighting="linear")
    assert (set(const), set(linear)) == ({0, 3}, set())
    assert selection.missing == [
        "weighting const, seeds 2, 4: no record yet",
        "weighting const, seed 1: diverged: the loss is NaN",
        "weighting linear: in no study of weightings",
    ]
    with pytest.raises(MissingRuns) as caught:
        selection.paired(lambda *_: 0.0, const, linear)
    assert caught.value.missing == ("expected at least 3 seeds with all runs, found 0", *selection.missing)
    assert "diverged: the loss is NaN" in str(caught.value)


def test_only_seeds_that_all_have_are_compared(made_up_record, made_up_experiment):
    selection = Selection(made_up_experiment([made_up_record()]))
    first = {seed: made_up_record(seed=seed) for seed in (0, 1, 2, 4)}
    second = {seed: made_up_record(seed=seed) for seed in (4, 2, 3, 0)}
    found = selection.paired(lambda a, b: a.config.seed + b.config.seed, first, second)
    assert found.to_dict() == {0: 0, 2: 4, 4: 8}
    with pytest.raises(MissingRuns, match="expected at least 3 seeds with all runs, found 2"):
        selection.paired(lambda *_: 0.0, first, {seed: second[seed] for seed in (0, 2)})


def test_a_main_grid_without_one_value_is_refused(made_up_record, made_up_experiment):
    record = made_up_record(**NET, weighting="const")
    selection = Selection(made_up_experiment([record], main={**NET, "dataset": ["digits", "fashion-mnist"]}))
    with pytest.raises(InputError, match="bad main grid of weightings: expected one value of dataset, found a list"):
        selection.pick(weighting="const")
    assert selection.pick(weighting="const", dataset="digits") == {0: record}


# --- tuned rate ----------------------------------------------------------------------------------------------------


def runs_with_rates(make, weighting, validation, seeds=(0, 1, 2)):
    """Test errors tell the rate; validation errors are per rate those of the three exits."""
    return [
        make(
            **NET, weighting=weighting, seed=seed, learning_rate=rate, scores={"test": [rate] * 3, "validation": errors}
        )
        for rate, errors in validation.items()
        for seed in seeds
    ]


def test_the_rate_of_a_weighting_is_chosen_by_all_its_exits(made_up_record, made_up_experiment):
    # the last exit alone would choose 0.05; means are 0.5, 0.45, 0.4
    validation = {0.05: [0.9, 0.5, 0.1], 0.1: [0.6, 0.4, 0.35], 0.2: [0.5, 0.4, 0.3]}
    records = runs_with_rates(made_up_record, "const", validation)
    selection = Selection(made_up_experiment(records, main=NET), "tuned_rate")
    assert last_errors(selection.pick(weighting="const")) == {0: 0.2, 1: 0.2, 2: 0.2}
    assert selection.notes == ["weighting const: learning rate 0.2"]
    assert len(selection.used) == 9  # the choice rests on all of them


@pytest.mark.parametrize(("weighting", "rate"), [("opt", 0.05), ("opt(exit=1)", 0.2), ("opt(exit=2)", 0.1)])
def test_the_rate_of_opt_is_chosen_by_its_exit(made_up_record, made_up_experiment, weighting, rate):
    validation = {0.05: [0.9, 0.5, 0.1], 0.1: [0.9, 0.3, 0.3], 0.2: [0.5, 0.4, 0.3]}
    records = runs_with_rates(made_up_record, weighting, validation)
    selection = Selection(made_up_experiment(records, main=NET), "tuned_rate")
    assert last_errors(selection.pick(weighting=weighting)) == {0: rate, 1: rate, 2: rate}


def test_the_rate_is_chosen_by_all_seeds(made_up_record, made_up_experiment):
    # seed 0 prefers 0.1, seeds 1 and 2 more strongly 0.2
    records = runs_with_rates(made_up_record, "const", {0.05: [0.9] * 3, 0.1: [0.1] * 3, 0.2: [0.2] * 3}, seeds=[0])
    records += runs_with_rates(made_up_record, "const", {0.05: [0.9] * 3, 0.1: [0.4] * 3, 0.2: [0.2] * 3}, seeds=[1, 2])
    selection = Selection(made_up_experiment(records, main=NET), "tuned_rate")
    assert set(last_errors(selection.pick(weighting="const")).values()) == {0.2}


def test_a_rate_that_diverged_is_not_the_best(made_up_record, made_up_divergence, made_up_experiment):
    records = runs_with_rates(made_up_record, "const", {0.05: [0.4] * 3, 0.1: [0.3] * 3})
    records += runs_with_rates(made_up_record, "const", {0.2: [0.1] * 3}, seeds=[0, 1])
    records.append(made_up_divergence(**NET, weighting="const", seed=2, learning_rate=0.2))
    selection = Selection(made_up_experiment(records, main=NET), "tuned_rate")
    assert last_errors(selection.pick(weighting="const")) == {0: 0.1, 1: 0.1, 2: 0.1}  # the test error tells rate 0.1
    assert selection.notes == [
        "weighting const: not learning rate 0.2, with which seeds 2 diverged",
        "weighting const: learning rate 0.1",
    ]


def test_a_rate_without_runs_leaves_the_choice_open(made_up_record, made_up_experiment):
    records = runs_with_rates(made_up_record, "const", {0.05: [0.4] * 3, 0.1: [0.3] * 3})
    selection = Selection(made_up_experiment(records, main=NET), "tuned_rate")
    assert selection.pick(weighting="const") == {}
    assert selection.missing == ["weighting const, learning rate 0.2: in no study of weightings"]


# --- networks ------------------------------------------------------------------------------------------------------


def test_networks_are_found_by_weighting(made_up_record, made_up_experiment):
    records = [
        made_up_record(network="resann(n=1, c=4)", weighting="adaloss"),
        made_up_record(network="resann(n=2, c=4)", weighting="adaloss"),
        made_up_record(network="resann(n=2, c=4)", weighting="const"),
        made_up_record(network="resann(n=4, c=4)", weighting="adaloss", epochs=3),  # not of the main grid
    ]
    selection = Selection(made_up_experiment(records))
    assert selection.networks("adaloss") == ["resann(n=1, c=4)", "resann(n=2, c=4)"]
    assert selection.networks("const") == ["resann(n=2, c=4)"]
    assert selection.networks("opt") == []


# --- loading -------------------------------------------------------------------------------------------------------


def studies(folder, **files):
    (folder / "laptop").mkdir()
    for name, content in files.items():
        (folder / "laptop" / f"{name}.yaml").write_text(content)
    return folder


def text(more="", network='network: "resann(n=1, c=4)"'):
    return STUDY.format(more=more, network=network)


def test_an_experiment_is_what_its_studies_plan(made_up_record, made_up_divergence, tmp_path):
    folder = studies(tmp_path, weightings=text(), longer=text(", learning_rate: 0.2"))
    made = made_up_record(**NET, weighting="const", seed=1)
    diverged = made_up_divergence(**NET, weighting="adaloss", seed=2, learning_rate=0.2)
    for record in (made, diverged, made_up_record(**NET, weighting="linear")):
        record.save(tmp_path / "records")
    found = load_experiments("laptop", records=tmp_path / "records", studies=folder)["weightings"]
    assert len(found.planned) == 12
    assert found.outcomes == {made.name: made, diverged.name: diverged}
    assert "learning_rate" not in found.main  # that of weightings.yaml


def test_without_a_study_of_its_name_the_main_grid_must_be_clear(tmp_path):
    folder = studies(tmp_path, a=text(), b=text())
    assert load_experiments("laptop", records=tmp_path, studies=folder)["weightings"].main["epochs"] == 2
    (folder / "laptop" / "b.yaml").write_text(text(", learning_rate: 0.2"))
    with pytest.raises(InputError, match=r"expected one named weightings.yaml, .*, found a, b"):
        load_experiments("laptop", records=tmp_path, studies=folder)


def test_a_record_of_another_run_is_refused(made_up_record, tmp_path):
    folder = studies(tmp_path, weightings=text())
    path = made_up_record(**NET, weighting="const", seed=1).save(tmp_path / "records")
    path.rename(tmp_path / "records" / (made_up_record(**NET, weighting="const", seed=2).name + ".json"))
    with pytest.raises(InputError, match=r"bad record .*: expected the run .*seed2.*, found .*seed1"):
        load_experiments("laptop", records=tmp_path / "records", studies=folder)


def test_a_tier_without_studies_has_no_experiments(tmp_path):
    assert load_experiments("cifar", records=tmp_path, studies=tmp_path) == {}
