import json
from pathlib import Path

import numpy as np
import pytest

from anytime_study.pages.explorables import MOST_SEEDS, explorables_script, paired_seeds

RECORDS = Path(__file__).parents[3] / "data/records"
PAIR = ["fashion-mnist-resann-const-seed0-b457be405d37", "fashion-mnist-resann-adaloss-seed0-2baf48492ff7"]

LONGER = "fashion-mnist-resann-const-seed1-bf07df6b7b9d"  # twelve epochs


def network(name, record):
    return {"name": name, "record": record}


def test_the_script_holds_the_records_epochs_and_the_seeds_of_the_same_runs():
    kinds = {
        "digits": {"title": "Digits", "networks": [network("CONST", "digits-resann-const-seed0-fea0af90e3b7")]},
        "garments": {"title": "Garments", "networks": [network("CONST", PAIR[0]), network("AdaLoss", PAIR[1])]},
    }
    script = explorables_script(kinds, RECORDS)
    data = json.loads(script.removeprefix("window.EXPLORABLES_DATA = ").rstrip(";\n"))
    for shown, name in zip(data["playedBack"]["garments"]["networks"], PAIR, strict=True):
        record = json.loads((RECORDS / f"laptop/{name}.json").read_text())
        assert shown["record"] == name
        np.testing.assert_allclose(shown["losses"], record["epoch_losses"], rtol=1e-3)
        np.testing.assert_allclose(shown["weights"], record["epoch_weights"], rtol=1e-3)
    assert data["pairedSeeds"] == paired_seeds([RECORDS / f"laptop/{name}.json" for name in PAIR])
    assert data["pairedSeeds"]["seeds"][:5] == [0, 1, 2, 3, 4]
    assert len(data["t95"]) == 2 * MOST_SEEDS - 1
    assert data["t95"][3] == pytest.approx(2.776445, abs=1e-6)  # four degrees of freedom, from a printed table


def test_runs_with_other_settings_are_left_out():
    """Of the many runs of this network and data set each seed has one that differs from the pair in its seed alone."""
    const, adaloss = paired_seeds([RECORDS / f"laptop/{name}.json" for name in PAIR])["errors"]
    longer = json.loads((RECORDS / f"laptop/{LONGER}.json").read_text())
    assert longer["test"]["error"][-1] not in const
    assert len(const) == len(adaloss)
