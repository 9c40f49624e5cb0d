import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.comparisons import finished, left_out, of_tier, rates_tried, together
from anytime_study.studies.experiments import Experiment, load_experiments

MAIN = {"network": "resann(n=3, c=4, s=3)"}


def test_experiments_together_have_the_runs_of_both(made_up_record, made_up_experiment):
    sieve, opt = made_up_record(weighting="sieve"), made_up_record(weighting="opt")
    first, second = made_up_experiment([sieve], name="oscillating", unmade=[opt]), made_up_experiment([opt])
    both = together(first, second)
    assert (both.name, both.main) == ("oscillating", first.main)
    assert both.outcomes == {record.name: record for record in (sieve, opt)}
    nothing = of_tier({"weightings": second}, "oscillating")  # the tier has no study of it
    assert nothing == Experiment("oscillating", {}, {}, {})
    assert together(nothing, second) == Experiment("oscillating", second.main, second.planned, second.outcomes)
    with pytest.raises(InputError, match=r"expected one main grid, found oscillating: .*; weightings: .*512"):
        together(first, made_up_experiment([sieve], main={"train_size": 512}))


def test_finished_runs_by_their_fields(made_up_record, made_up_divergence, made_up_experiment):
    small, large = made_up_record(batch_size=64), made_up_record(seed=1, learning_rate=0.2)
    lost = made_up_divergence(seed=2, batch_size=64)
    made, unmade = [large, lost, small], [made_up_record(seed=3, batch_size=64)]
    experiment = made_up_experiment(made, unmade=unmade)
    assert finished(experiment) == [large, small]
    assert finished(experiment, batch_size=64) == [small]
    assert finished(experiment, batch_size=64, seed=1) == []
    assert finished(made_up_experiment(made, own_rates={"adaloss": 0.2, "const": 0.1})) == [large]


def test_no_chapter_of_the_laptop_tier_compares_different_main_grids(tmp_path):
    experiments = load_experiments("laptop", records=tmp_path)
    for name in ("oscillating", "methods_and_knobs"):  # whose chapters read the runs of weightings too
        both = together(experiments[name], experiments["weightings"])
        assert len(both.planned) > len(experiments["weightings"].planned)


def test_what_is_left_out_is_told():
    assert left_out(["a", "b"], ["b", "a"]) == ""
    shown = iter(["b", "b"])  # what is shown may be read once only
    assert left_out(shown, ["c", "b", "a", "c"]) == "*Not shown, for want of finished runs: c; a.*"


def test_the_rates_tried_tell_which_was_chosen_and_whether_a_better_one_may_lie_beyond(
    made_up_record, made_up_divergence, made_up_experiment
):
    def runs(weighting, validation):
        """By rate; test errors would choose the smallest one."""
        return [
            made_up_record(
                weighting=weighting, learning_rate=rate, seed=seed, scores={"test": [rate], "validation": [v]}
            )
            for rate, v in validation.items()
            for seed in range(3)
        ]

    records = runs("const", {0.05: 0.3, 0.1: 0.3, 0.2: 0.2}) + runs("adaloss", {0.05: 0.05, 0.1: 0.1, 0.2: 0.2})
    records += runs("gls", {0.1: 0.1}) + runs("linear", {0.05: 0.3, 0.1: 0.2})
    records.append(made_up_divergence(weighting="linear", learning_rate=0.2, exits=1))
    experiment = made_up_experiment(records, main={"network": "resann(n=1, c=4, s=3)"})
    table = rates_tried(experiment, ["const", "adaloss", "gls", "linear"]).set_index(["weighting", "learning_rate"])
    assert table.loc["const", "error"].tolist() == pytest.approx([0.3, 0.3, 0.2])
    best = {name: table.loc[name, "best"].tolist() for name in ("const", "adaloss", "linear")}
    assert best == {"const": [False, False, True], "adaloss": [True, False, False], "linear": [False, True]}
    edge = table["at_the_edge"]  # 0.2 is the largest rate, 0.05 the smallest
    assert edge.tolist() == [False, False, True, True, False, False, False, False]
    assert set(table["seeds"]) == {3}
    assert "gls" not in table.index  # it has one rate only
