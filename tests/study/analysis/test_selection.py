import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.selection import MissingRuns, Selection
from anytime_study.studies.experiments import load_experiments

NET = {"network": "resann(n=1, c=4)"}
CONST, LINEAR = {"weighting": "const"}, {"weighting": "linear"}


def last_errors(records):
    return {seed: record.test.error[-1] for seed, record in records.items()}


# --- one rate ------------------------------------------------------------------------------------------------------


def test_what_is_not_said_is_the_main_grids(made_up_record, made_up_experiment):
    wanted = [made_up_record(**NET, **CONST, seed=seed, scores={"test": [0.1 + seed / 4]}) for seed in range(3)]
    others = [
        made_up_record(**NET, **CONST, seed=seed, **fields)
        for seed in range(3)
        for fields in ({"batch_size": 64}, {"learning_rate": 0.2}, {"epochs": 3}, {"dataset": "fashion-mnist"})
    ] + [made_up_record(network="resann(n=2, c=4)", **CONST)]
    selection = Selection(made_up_experiment(wanted + others, main=NET))
    assert last_errors(selection.pick(**CONST)) == {0: 0.1, 1: 0.35, 2: 0.6}
    assert set(selection.used) == {record.name for record in wanted}
    assert not selection.missing
    assert not selection.notes
    assert selection.pick(**CONST, batch_size=64)[1] == others[4]
    unclear = Selection(made_up_experiment(wanted, main={**NET, "dataset": ["digits", "fashion-mnist"]}))
    with pytest.raises(InputError, match="bad run of weightings: dataset"):
        unclear.pick(**CONST)
    assert len(unclear.pick(**CONST, dataset="digits")) == 3


def test_what_is_missing_is_told(made_up_record, made_up_divergence, made_up_experiment):
    made = [made_up_record(**NET, **CONST, seed=seed) for seed in (0, 3)]
    diverged = made_up_divergence(**NET, **CONST, seed=1)
    unmade = [made_up_record(**NET, **CONST, seed=seed) for seed in (2, 4)]
    selection = Selection(made_up_experiment([*made, diverged], unmade=unmade, main=NET))
    assert set(selection.pick(**CONST)) == {0, 3}
    missing = ["weighting const, seeds 2, 4: no record yet", "weighting const, seed 1: diverged: the loss is NaN"]
    assert selection.missing == missing
    told = ["expected at least 3 seeds with all runs, found 0", *missing, "weighting linear: in no study of weightings"]
    with pytest.raises(MissingRuns, match=f"^missing runs: {'; '.join(told)}$"):
        selection.compared(lambda *_: 0.0, CONST, LINEAR)


def test_only_seeds_that_both_have_are_compared(made_up_record, made_up_experiment):
    records = [made_up_record(**NET, **CONST, seed=seed) for seed in (0, 1, 2, 4)]
    records += [made_up_record(**NET, **LINEAR, seed=seed) for seed in (4, 2, 3, 0)]
    selection = Selection(made_up_experiment(records, main=NET))
    found = selection.compared(lambda a, b: a.config.seed + b.config.seed, CONST, LINEAR)
    assert found.to_dict() == {0: 0, 2: 4, 4: 8}
    few = Selection(made_up_experiment(records[1:], main=NET))
    with pytest.raises(MissingRuns, match="expected at least 3 seeds with all runs, found 2"):
        few.compared(lambda *_: 0.0, CONST, LINEAR)


def test_a_network_may_be_named_by_its_kind(made_up_record, made_up_experiment):
    records = [made_up_record(network="denseann(growth=4)", seed=seed) for seed in range(3)]
    records += [made_up_record(network=name, seed=seed) for name in ("msdnet", "resann(n=1, c=4)") for seed in range(3)]

    def networks(*names, more=()):
        selection = Selection(made_up_experiment([*records, *more]))
        fields = ({"network": name} for name in names)
        found = selection.compared(lambda a, b: float(a.config.network == b.config.network), *fields)
        return found.unique().tolist()

    assert networks("denseann", "denseann(growth=4)") == networks("msdnet", "msdnet") == [1.0]
    with pytest.raises(MissingRuns, match="network two_heads: in no study"):
        networks("two_heads", "msdnet")
    with pytest.raises(
        InputError, match=r"^bad network denseann: .* found denseann\(growth=4\), denseann\(growth=6\)$"
    ):
        networks("denseann", "msdnet", more=[made_up_record(network="denseann(growth=6)")])
    whole = [made_up_record(network="denseann", seed=seed) for seed in range(3)]  # a name in full is no kind
    assert networks("denseann", "denseann(growth=4)", more=whole) == [0.0]


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


# --- tuned rate ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tuned(made_up_record, made_up_experiment):
    """A selection of runs whose test errors tell the rate, with validation errors of three exits by rate."""

    def make(weighting, validation, seeds=(0, 1, 2), more=()):
        records = [
            made_up_record(**NET, weighting=weighting, seed=seed, learning_rate=rate, scores=scores)
            for rate, errors in validation.items()
            for scores in [{"test": [rate] * 3, "validation": errors}]
            for seed in seeds
        ]
        return Selection(made_up_experiment([*records, *more], main=NET), "tuned_rate")

    return make


def test_the_rate_of_a_weighting_is_chosen_by_all_its_exits_and_seeds(tuned, made_up_record):
    # the last exit alone would choose 0.05; means are 0.5, 0.45, 0.4
    validation = {0.05: [0.9, 0.5, 0.1], 0.1: [0.6, 0.4, 0.35], 0.2: [0.5, 0.4, 0.3]}
    selection = tuned("const", validation)
    assert last_errors(selection.pick(**CONST)) == {0: 0.2, 1: 0.2, 2: 0.2}
    assert selection.notes == ["weighting const: learning rate 0.2"]
    assert len(selection.used) == 9  # the choice rests on all of them
    scores = {0.05: 0.9, 0.1: 0.01, 0.2: 0.2}  # seed 3 prefers 0.1, the others 0.2, but less strongly
    other = [
        made_up_record(**NET, **CONST, seed=3, learning_rate=rate, scores={"test": [rate] * 3, "validation": [e] * 3})
        for rate, e in scores.items()
    ]
    assert set(last_errors(tuned("const", validation, more=other).pick(**CONST)).values()) == {0.1}


@pytest.mark.parametrize(("weighting", "rate"), [("opt", 0.05), ("opt(exit=1)", 0.2), ("opt(exit=2)", 0.1)])
def test_the_rate_of_opt_is_chosen_by_its_exit(tuned, weighting, rate):
    selection = tuned(weighting, {0.05: [0.9, 0.5, 0.1], 0.1: [0.9, 0.3, 0.3], 0.2: [0.5, 0.4, 0.3]})
    assert last_errors(selection.pick(weighting=weighting)) == {0: rate, 1: rate, 2: rate}


def test_a_rate_that_diverged_is_not_the_best_and_one_without_runs_leaves_the_choice_open(tuned, made_up_divergence):
    validation = {0.05: [0.4] * 3, 0.1: [0.3] * 3}
    diverged = made_up_divergence(**NET, **CONST, seed=2, learning_rate=0.2)
    selection = tuned("const", validation, more=[diverged])
    assert last_errors(selection.pick(**CONST)) == {0: 0.1, 1: 0.1, 2: 0.1}
    assert selection.notes == [
        "weighting const: not learning rate 0.2, with which seeds 2 diverged",
        "weighting const: learning rate 0.1",
    ]
    selection = tuned("const", validation)
    assert selection.pick(**CONST) == {}
    assert selection.missing == ["weighting const, learning rate 0.2: in no study of weightings"]


# --- loading -------------------------------------------------------------------------------------------------------


@pytest.fixture
def load(tmp_path):
    """Load the experiment of studies of one tier, each with more common fields, and the records in ``tmp_path``."""

    def run(**studies):
        folder = tmp_path / "studies" / "laptop"
        folder.mkdir(parents=True, exist_ok=True)
        for name, more in studies.items():
            (folder / f"{name}.yaml").write_text(f"""
title: Made up
tier: laptop
committed: true
experiment: weightings
common: {{dataset: digits, network: "resann(n=1, c=4)", epochs: 2{more}}}
grids: [{{seed: [0, 1, 2], weighting: [const, adaloss]}}]
""")
        return load_experiments("laptop", records=tmp_path, studies=folder.parent)["weightings"]

    return run


def test_an_experiment_is_what_its_studies_plan(made_up_record, made_up_divergence, load, tmp_path):
    made = made_up_record(**NET, **CONST, seed=1)
    diverged = made_up_divergence(**NET, weighting="adaloss", seed=2, learning_rate=0.2)
    for record in (made, diverged, made_up_record(**NET, **LINEAR)):
        record.save(tmp_path)
    found = load(weightings="", longer=", learning_rate: 0.2")
    assert len(found.planned) == 12
    assert found.outcomes == {made.name: made, diverged.name: diverged}
    assert "learning_rate" not in found.main  # that of weightings.yaml
    (tmp_path / f"{made.name}.json").rename(tmp_path / f"{made_up_record(**NET, **CONST, seed=2).name}.json")
    with pytest.raises(InputError, match=r"bad record .*: expected the run .*seed2.*, found .*seed1"):
        load()
    assert load_experiments("cifar", records=tmp_path, studies=tmp_path) == {}


def test_without_a_study_of_its_name_the_main_grid_must_be_clear(load):
    assert load(a="", b="").main["epochs"] == 2
    with pytest.raises(InputError, match=r"expected one named weightings.yaml, .*, found a, b"):
        load(b=", learning_rate: 0.2")
