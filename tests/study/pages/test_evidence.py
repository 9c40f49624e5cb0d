"""What the pages read from the records: here the choice of the learning rates."""

import pytest

from anytime_study.pages.evidence import load_evidence
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
