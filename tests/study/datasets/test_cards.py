import re
import subprocess
import sys
from pathlib import Path

import pytest
import torchvision

from anytime_study.datasets import DATASETS, DatasetError, fetch, find_card, load_dataset

README = (Path(__file__).parents[3] / "data" / "README.md").read_text(encoding="utf-8")


def test_naming_a_data_set_loads_no_heavy_package():
    code = (
        "import sys; from anytime_study.datasets import find_card, load_dataset; find_card('ilsvrc');"
        "print({'torch', 'torchvision', 'sklearn', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_readme_of_the_data_tells_the_same_as_the_cards():
    cards = README.partition("## Cards")[2].partition("###")[0].splitlines()
    lines = (line.strip("| ").split(" | ") for line in cards if line.startswith("| `"))
    table = {name.strip("`"): facts for name, *facts in lines}
    assert list(table) == list(DATASETS)
    for name, card in DATASETS.items():
        numbers = [card.num_classes, card.num_train, card.num_validation, card.num_test]
        assert table[name][0] == card.size
        assert table[name][1:5] == [f"{number:,}".replace(",", " ") for number in numbers]
        assert table[name][5] == ("yes" if card.flip else "no")
        assert table[name][6] == ("none" if card.reads_text or name == "ilsvrc" else str(card.pad))
        assert re.search(rf"^### (\S+ and )?{name}\b", README, flags=re.MULTILINE)
        if card.made_of:
            assert table[name][7] == f"those of `{card.made_of}`"
    assert list(DATASETS["fashion-mnist"].class_names) == torchvision.datasets.FashionMNIST.classes
    assert list(DATASETS["cifar100"].class_names) == sorted(set(DATASETS["cifar100"].class_names))


@pytest.mark.parametrize("function", [find_card, load_dataset, fetch])
def test_an_unknown_name_is_refused_with_a_hint(function):
    with pytest.raises(ValueError, match=r"one of digits, .* or folder:PATH, found 'cifar-10' \(did you mean cifar10"):
        function("cifar-10")


@pytest.mark.parametrize("function", [load_dataset, fetch])
def test_ilsvrc_has_a_card_and_cannot_be_loaded(function, tmp_path):
    (tmp_path / "ilsvrc" / "train").mkdir(parents=True)  # even where its folder is
    with pytest.raises(DatasetError, match=r"ILSVRC 2012: .*too many to be held in memory"):
        function("ilsvrc", cache_dir=tmp_path)
