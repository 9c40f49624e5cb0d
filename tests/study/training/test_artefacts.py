"""Models that runs of the study leave; the files themselves are the library's, tests/core/inference/test_saving.py."""

import json
from pathlib import Path

import pytest
import torch

from anytime_core import AnytimePredictor
from anytime_core import load_model as load_with_the_library
from anytime_core.errors import InputError
from anytime_study.datasets import find_card, load_dataset
from anytime_study.runs.record import RunRecord
from anytime_study.runs.registries import NETWORKS
from anytime_study.studies.study import ROOT
from anytime_study.training.artefacts import load_model, model_card, save_model
from anytime_study.training.checkpointed_run import run_to_record

MODELS = ROOT / "data" / "models"
NEEDS_IMAGES = pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs the files of Fashion-MNIST"
)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("resann(n=1, c=4)", "ResANN"),
        ("msdnet(blocks=(3, 3), growth=2)", "MSDNet"),
        ("eann(n=(1, 2), c=4)", "eann"),
    ],
)
def test_a_network_of_a_config_comes_back(tmp_path, text, network):
    net = NETWORKS.build(text, num_classes=10, in_channels=1)
    save_model(tmp_path, net, model_card(text, load_dataset("digits"), {"dataset": "none"}))
    before = torch.get_rng_state()
    loaded, read = load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert (read.network, read.about) == (network, {"network": text, "dataset": "none"})
    assert all(torch.equal(loaded.state_dict()[key], tensor) for key, tensor in net.state_dict().items())
    images = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), net.eval()(images))


def test_a_run_gives_its_network(tiny_config, tmp_path):
    record, _ = run_to_record(tiny_config(), tmp_path / "records", progress=False, model_dir=tmp_path / "model")
    assert isinstance(record, RunRecord)
    net, read = load_model(tmp_path / "model")
    assert read.about == {"network": "resann(n=1, c=4)", "dataset": "digits", "record": record.name}
    data = load_dataset("digits", train_size=128)
    images = read.normalise(data.test_images)
    assert torch.equal(images, data.normalise(data.test_images))
    with torch.inference_mode():
        wrong = net(images).argmax(-1) != data.test_labels
    assert wrong.double().mean(1).tolist() == pytest.approx(record.test.error)


@pytest.mark.parametrize(
    "fields",
    [
        {"dataset": "multi-fashion", "network": "two_heads(n=1, c=4)"},
        {"dataset": "tiny-shakespeare", "network": "gpt(width=8, blocks=2, heads=2)"},
    ],
)
def test_models_are_kept_of_images_with_one_label_alone(tiny_config, tmp_path, fields):
    with pytest.raises(InputError, match=f"expected a data set with one label per image, found {fields['dataset']}"):
        run_to_record(tiny_config(**fields), tmp_path, progress=False, model_dir=tmp_path / "model")


def test_the_shipped_models_are_small_and_whole_and_open_with_the_library_alone():
    for folder in sorted(MODELS.glob("*/")):
        assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000
        net, card = load_with_the_library(folder)
        data = find_card(card.about["dataset"])
        assert (card.network, len(card.class_names)) == ("ResANN", data.num_classes)
        assert card.input_shape == data.image_shape
        made = list((ROOT / "data" / "records").glob(f"*/{card.about['record']}.json"))
        assert len(made) == 1, "its record is in the repository"
        record = RunRecord.load(made[0])
        assert (record.config.dataset, len(record.test.error)) == (card.about["dataset"], net.num_exits)
        assert len({table["network"] for table in json.loads((folder / "card.json").read_text())["latency"]}) <= 1


@NEEDS_IMAGES
def test_the_shipped_model_knows_garments():
    net, read = load_model(MODELS / "fashion-mnist-resann-adaloss")
    data = load_dataset("fashion-mnist", train_size=128)
    images, labels = read.normalise(data.test_images[:500]), data.test_labels[:500]
    errors = [(p.logits.argmax(1) != labels).double().mean().item() for p in AnytimePredictor(net).refine(images)]
    assert errors[0] < 0.4
    assert errors[-1] < min(0.2, errors[0])
