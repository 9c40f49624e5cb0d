"""Tables of what came out: means, intervals and paired differences against SciPy."""

import numpy as np
import pytest
from scipy import stats

from anytime_core.errors import InputError
from anytime_study.summary import difference_table, save_summary, study_table


@pytest.fixture
def records(made_up_record):
    """Three seeds of two weightings; AdaLoss errs less by 0.01, 0.02 and 0.03 at the last exit, and more before."""
    errors = {"const": (0.3, 0.2), "adaloss": (0.4, 0.2)}
    return [
        made_up_record(
            weighting=name,
            seed=seed,
            scores={"test": [first, last - (0.01 * (seed + 1) if name == "adaloss" else 0)], "cumulative": [25, 100]},
        )
        for name, (first, last) in errors.items()
        for seed in (0, 1, 2)
    ]


def test_a_study_has_a_row_per_kind(records):
    table = study_table(records).set_index("weighting")
    assert table.loc["const"].tolist() == pytest.approx([3, 30, 0, 20, 0])
    errors = [19, 18, 17]
    low, high = stats.t.interval(0.95, 2, np.mean(errors), stats.sem(errors))
    assert table.loc["adaloss"].tolist() == pytest.approx([3, 40, 0, 18, (high - low) / 2])


def test_one_seed_has_no_interval(records):
    table = study_table(records[:1])
    assert table["seeds"].tolist() == [1]
    assert np.isnan(table["± at the last exit"][0])


def test_differences_are_paired_by_seed(records):
    table = difference_table(records, "adaloss").set_index("where")
    assert table["against"].unique().tolist() == ["const"]
    assert table.loc["at a quarter of the cost", ["difference", "low", "high"]].tolist() == pytest.approx([10, 10, 10])
    expected = stats.ttest_1samp([-1, -2, -3], 0).confidence_interval(0.95)
    found = table.loc["at the last exit"]
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((-2, expected.low, expected.high))


def test_seeds_without_a_partner_do_not_count_and_none_at_all_is_refused(records):
    const, adaloss = records[:3], records[3:]
    assert difference_table([const[0], *adaloss], "adaloss")["seeds"].tolist() == [1, 1]
    with pytest.raises(InputError, match="expected records of adaloss and of const or adaloss"):
        difference_table([const[0], adaloss[1]], "adaloss")


def test_each_network_has_its_picture(records, made_up_record, tmp_path):
    other = made_up_record(network="resann(n=1, c=4)")
    files = save_summary(study_table(records), [*records, other], tmp_path / "new" / "mine")
    assert [file.name for file in files] == ["mine.csv", "mine-1.png", "mine-2.png"]
    assert all(file.stat().st_size > 0 for file in files)
