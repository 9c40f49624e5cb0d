import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.comparisons import (
    finished,
    left_out,
    of_main_grid,
    of_tier,
    rates_tried,
    together,
)
from anytime_study.studies.experiments import Experiment, load_experiments

MAIN = {"network": "resann(n=3, c=4, s=3)"}


def test_a_tier_without_the_study_has_an_experiment_without_runs(made_up_record, made_up_experiment):
    experiment = made_up_experiment([made_up_record()], name="beyond")
    assert of_tier({"beyond": experiment}, "beyond") is experiment
    assert of_tier({"beyond": experiment}, "eann") == Experiment("eann", {}, {}, {})


def test_experiments_together_have_the_runs_of_all(made_up_record, made_up_experiment):
    sieve, opt, unmade = (made_up_record(weighting=name) for name in ("sieve", "opt", "const"))
    first = made_up_experiment([sieve], name="oscillating", unmade=[unmade])
    both = together(first, of_tier({}, "nothing"), made_up_experiment([opt]))
    assert both.name == "oscillating"
    assert both.main == first.main
    assert both.outcomes == {record.name: record for record in (sieve, opt)}
    assert set(both.planned) == {record.name for record in (sieve, opt, unmade)}
    assert together(of_tier({}, "a"), of_tier({}, "b")) == Experiment("a", {}, {}, {})


def test_experiments_with_different_main_grids_do_not_go_together(made_up_record, made_up_experiment):
    record = made_up_record()
    with pytest.raises(InputError, match=r"expected one main grid, found eann: .*'epochs': 2.*; weightings: .*512"):
        together(made_up_experiment([record], name="eann"), made_up_experiment([record], main={"train_size": 512}))


def test_finished_runs_by_their_fields(made_up_record, made_up_divergence, made_up_experiment):
    small, large = made_up_record(batch_size=64), made_up_record(seed=1)
    lost = made_up_divergence(seed=2, batch_size=64)
    experiment = made_up_experiment([large, lost, small], unmade=[made_up_record(seed=3, batch_size=64)])
    assert finished(experiment) == [large, small]
    assert finished(experiment, batch_size=64) == [small]
    assert finished(experiment, batch_size=64, seed=1) == []


def test_the_main_grid_leaves_out_other_networks_rates_and_schedules(
    made_up_record, made_up_divergence, made_up_experiment
):
    ours = [made_up_record(weighting=name, seed=seed) for name in ("const", "opt(exit=1)") for seed in (0, 1)]
    others = [
        made_up_record(learning_rate=0.2),
        made_up_record(network="resann(n=1, c=4)"),
        made_up_record(label_smoothing=0.1),
        made_up_divergence(seed=2),
    ]
    config = ours[0].config
    main = {name: getattr(config, name) for name in type(config).model_fields if name not in ("weighting", "seed")}
    assert of_main_grid(made_up_experiment([*ours, *others], main=main)) == ours


def test_no_chapter_of_the_laptop_tier_compares_different_main_grids(tmp_path):
    experiments = load_experiments("laptop", records=tmp_path)
    for name in ("oscillating", "methods_and_knobs"):  # whose chapters read the runs of weightings too
        both = together(experiments[name], experiments["weightings"])
        assert len(both.planned) > len(experiments["weightings"].planned)


def test_what_is_left_out_is_told():
    assert left_out(["a", "b"], ["b", "a"]) == ""
    shown = iter(["b", "b"])  # what is shown may be read once only
    assert left_out(shown, ["c", "b", "a", "c"]) == "*Not shown, for want of finished runs: c; a.*"


@pytest.fixture(scope="module")
def rates(made_up_record, made_up_experiment):
    """CONST at three rates, best at 0.2 on validation and at 0.05 on test; AdaLoss best at 0.05; GLS at 0.1 alone."""

    def run(weighting, rate, test, validation, seed):
        scores = {"test": test, "validation": validation}
        return made_up_record(weighting=weighting, learning_rate=rate, seed=seed, scores=scores)

    records = []
    for seed in range(3):
        for rate, validation in {0.05: 0.3, 0.1: 0.3, 0.2: 0.2}.items():
            records.append(run("const", rate, [0.8, 0.5, rate], [validation] * 3, seed))
        records += [run("adaloss", rate, [0.8, 0.5, 2 * rate], [rate] * 3, seed) for rate in (0.05, 0.1, 0.2)]
        records.append(run("gls", 0.1, [0.8, 0.5, 0.3 + 0.01 * seed], [0.1] * 3, seed))
    return made_up_experiment(records, main=MAIN)


def test_the_rates_tried_tell_which_was_chosen_and_whether_a_better_one_may_lie_beyond(rates):
    table = rates_tried(rates, ["const", "adaloss", "gls"]).set_index(["weighting", "learning_rate"])
    assert table.loc["const", "error"].tolist() == pytest.approx([0.3, 0.3, 0.2])  # validation, not test
    assert table.loc["const", "best"].tolist() == [False, False, True]
    assert table.loc["adaloss", "best"].tolist() == [True, False, False]
    assert table["at_the_edge"].tolist() == table["best"].tolist()  # 0.2 is the largest rate, 0.05 the smallest
    assert set(table["seeds"]) == {3}
    assert "gls" not in table.index  # it has one rate only


def test_a_rate_inside_the_grid_is_not_at_its_edge(made_up_record, made_up_divergence, made_up_experiment):
    def run(rate, seed, make=made_up_record, **scores):
        return make(weighting="const", learning_rate=rate, seed=seed, **scores)

    records = [
        run(rate, seed, scores={"validation": [validation] * 3})
        for rate, validation in {0.05: 0.3, 0.1: 0.2}.items()
        for seed in range(3)
    ]
    experiment = made_up_experiment([*records, run(0.2, 0, made_up_divergence)], main=MAIN)
    table = rates_tried(experiment, ["const"])
    assert table["learning_rate"].tolist() == [0.05, 0.1]  # 0.2 was tried, and diverged
    assert table["best"].tolist() == [False, True]
    assert not table["at_the_edge"].any()
