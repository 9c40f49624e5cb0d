"""What the pages read from the records: the choice of the learning rates, and the settings that are shown."""

import math
from pathlib import Path

import pytest

from anytime_study.pages.evidence import Evidence, load_evidence
from anytime_study.studies.study import ROOT, load_study

_, PLANNED = load_study(ROOT / "workflow/studies/cifar/rates.yaml")


@pytest.fixture
def rates(made_up_record, tmp_path):
    """Give the table of the runs whose errors at two exits are said, by weighting and learning rate."""

    def table(errors):
        for config in PLANNED:
            if (config.weighting, config.learning_rate) in errors:
                said = {"validation": errors[config.weighting, config.learning_rate], "test": [0.9, 0.9]}
                record = made_up_record(scores=said, **config.model_dump(exclude={"network"}))
                (tmp_path / "cifar").mkdir(exist_ok=True)
                (tmp_path / "cifar" / f"{config.name}.json").write_text(record.model_dump_json())
        return load_evidence(tmp_path).rates().set_index(["weighting", "learning_rate"])

    return table


def test_the_best_rate_of_each_weighting_by_validation_error(rates):
    table = rates({("const", 0.1): [0.5, 0.1], ("const", 0.2): [0.3, 0.2], ("const", 0.4): [0.3, 0.4]})
    assert table["error"].to_dict() == pytest.approx({("const", 0.1): 30, ("const", 0.2): 25, ("const", 0.4): 35})
    assert [*table.index[table["best"]]] == [("const", 0.2)]
    assert not table["at_the_edge"].any()


def test_a_best_rate_at_the_edge_is_said_to_be_there(rates):
    table = rates({("adaloss", 0.2): [0.5, 0.5], ("adaloss", 0.4): [0.4, 0.4], ("const", 0.1): [0.1, 0.1]})
    assert {*table.index[table["at_the_edge"]]} == {("adaloss", 0.4), ("const", 0.1)}


def test_of_opt_the_last_exit_decides(rates):
    table = rates({("opt", 0.1): [0.9, 0.2], ("opt", 0.2): [0.1, 0.3], ("opt", 0.4): [0.1, 0.4]})
    assert table.loc[("opt", 0.1), "error"] == pytest.approx(20)
    assert table.loc[("opt", 0.1), "best"]


def test_the_experiment_with_more_seeds_shows_a_setting(made_up_record, made_up_experiment):
    def runs(seeds, *rates):
        kinds = [*zip(("const", "adaloss"), rates, strict=True)]
        fields = {"dataset": "cifar10", "train_size": 10000, "epochs": 40}
        return [made_up_record(weighting=w, learning_rate=r, seed=s, **fields) for w, r in kinds for s in range(seeds)]

    def rates_shown(dose_seeds):
        rates = {"const": 0.2, "adaloss": 0.4}
        dose = made_up_experiment(runs(dose_seeds, 0.2, 0.4), own_rates=rates)
        cifar = {"dose": dose, "scripts": made_up_experiment(runs(2, 0.1, 0.1))}
        evidence = Evidence({}, cifar, Path(), [], {})
        assert (evidence.shorter.changes["learning_rate"].tolist(), evidence.shorter.seeds) == ([0.1] * 2, 2)
        return evidence.own_data["learning_rate"].tolist()

    assert rates_shown(1) == [0.1] * 2
    assert rates_shown(2) == [0.2] * 2


def test_the_language_model_is_a_place_among_the_others(made_up_record, made_up_experiment):
    """With its own headroom: OPT, CONST and AdaLoss train at one rate."""
    scores = {"const": [0.4, 0.4], "adaloss": [0.5, 0.3], "opt": [0.9, 0.2]}
    runs = [
        made_up_record(
            scores={"test": errors}, weighting=weighting, seed=seed, dataset="tiny-shakespeare", network="gpt"
        )
        for weighting, errors in scores.items()
        for seed in range(3)
    ]
    evidence = Evidence({}, {}, Path(), [], {}, {"language": made_up_experiment(runs)})
    table = evidence.everywhere
    assert [*table["place"].unique()] == ["Tiny Shakespeare × 2, decoder"]
    assert table["last"].tolist() == pytest.approx([100 * math.log(0.75)] * 3)
    assert table["headroom"].tolist() == pytest.approx([50] * 3)
