import hashlib
import io
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from anytime_core import AnytimePredictor, measure_latency
from anytime_core.errors import InputError
from anytime_study.datasets import load_dataset
from anytime_study.datasets.image_files import load_image
from anytime_study.datasets.images import normalise
from anytime_study.prediction import Limits, parse_seconds, predict_file
from anytime_study.runs.record import RunRecord
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import CARD, WEIGHTS, ModelCard, add_latency, load_model, save_model
from anytime_study.training.checkpointed_run import run_to_record

CLASSES = tuple("abcde")


def card(**fields):
    given = {
        "network": "resann(n=1, c=4)",
        "dataset": "none",
        "class_names": CLASSES,
        "image_shape": (1, 8, 8),
        "mean": (0.25,),
        "std": (0.5,),
    }
    return ModelCard(**{**given, **fields})


def network(text="resann(n=1, c=4)", channels=1):
    torch.manual_seed(0)
    return NETWORKS.build(text, num_classes=len(CLASSES), in_channels=channels)


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", network(), card())
    return tmp_path / "model"


def rewrite(folder, **fields):
    """Change fields of a card; None removes one."""
    content = json.loads((folder / CARD).read_text())
    content.update(fields)
    (folder / CARD).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def put_weights(folder, content):
    """Weights whose checksum fits: made by somebody who knows the format."""
    (folder / WEIGHTS).write_bytes(content)
    rewrite(folder, weights_sha256=hashlib.sha256(content).hexdigest())


# --- there and back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "resann(n=1, c=4)",
        "msdnet(blocks=(3, 3), growth=2)",
        "eann(n=(1, 2), c=4)",
        "torchvision(model='resnet18', at=('layer1', 'layer2'))",
    ],
)
def test_a_network_comes_back_as_it_was(tmp_path, text):
    channels = 3 if text.startswith("torchvision") else 1
    net = network(text, channels).to(memory_format=torch.channels_last)
    images = torch.randn(4, channels, 32, 32)
    net.train()(images)  # running statistics
    if hasattr(net, "adopt"):
        net.adopt([0.9, 0.8, 0.85, *([0.7] * (net.num_exits - 3))])
    shape = {"image_shape": (channels, 32, 32), "mean": (0.5,) * channels, "std": (1.0,) * channels}
    written = save_model(tmp_path, net, card(network=text, **shape))
    loaded, read = load_model(tmp_path)
    assert read == written
    assert not loaded.training
    assert loaded.state_dict().keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), net.eval()(images))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_the_card_is_complete(folder):
    content = json.loads((folder / CARD).read_text())
    assert content["class_names"] == list(CLASSES)
    assert (content["mean"], content["std"], content["image_shape"]) == ([0.25], [0.5], [1, 8, 8])
    assert len(content["costs"]["macs_fixed"]) == len(content["costs"]["macs_cumulative"]) == 3
    assert content["package"]
    assert {path.name for path in folder.iterdir()} == {CARD, WEIGHTS}


def test_a_card_normalises_as_training_does():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    expected = normalise(images, torch.tensor([0.25]), torch.tensor([0.5]))
    assert torch.equal(card().normalise(images), expected)


def test_a_model_is_replaced(folder):
    net = network("resann(n=1, c=6)")
    save_model(folder, net, card(network="resann(n=1, c=6)"))
    assert load_model(folder).net.options["c"] == 6


def test_a_table_is_kept_beside_the_weights_and_replaced_by_a_newer_one(folder):
    table = measure_latency(AnytimePredictor(load_model(folder).net), (1, 8, 8), rounds=100)
    other = table.model_copy(update={"device": "Abacus"})
    for new in (table, other, table.model_copy(update={"rounds": 200})):
        add_latency(folder, new)
    kept = load_model(folder).card.latency
    assert [(one.device, one.rounds) for one in kept] == [("Abacus", 100), (table.device, 200)]


def test_a_run_gives_its_network(tiny_config, tmp_path):
    record, _ = run_to_record(tiny_config(), tmp_path / "records", progress=False, model_dir=tmp_path / "model")
    assert isinstance(record, RunRecord)
    net, read = load_model(tmp_path / "model")
    assert (read.record, read.dataset, read.network) == (record.name, "digits", "resann(n=1, c=4)")
    assert list(read.costs.macs_fixed) == record.costs.macs_fixed
    data = load_dataset("digits", train_size=128)
    with torch.inference_mode():
        wrong = net(read.normalise(data.test_images)).argmax(-1) != data.test_labels
    assert wrong.double().mean(1).tolist() == pytest.approx(record.test.error)


def test_images_with_several_labels_give_no_model(tiny_config, tmp_path):
    if not Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("needs Fashion-MNIST")
    config = tiny_config(dataset="multi-fashion", network="two_heads(n=1, c=4)")
    with pytest.raises(InputError, match="expected a data set with one label per image, found multi-fashion"):
        run_to_record(config, tmp_path, progress=False, model_dir=tmp_path / "model")


# --- what is not written -------------------------------------------------------------------------------------------


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    net = network()
    net.heads[0].linear.bias.data[0] = float("nan")
    with pytest.raises(InputError, match=r"expected finite weights, found NaN or infinity in heads\.0\.linear\.bias"):
        save_model(tmp_path / "model", net, card())
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": "resann(n=2, c=4)"}, r"weights segments\.1\.0\.conv1\.weight: expected .*\[4, 4, 3, 3\], found "),
        ({"network": "resann(n=1"}, "network: expected a network written as"),
        ({"class_names": ("a", "b")}, r"weights heads.0.linear.weight: expected torch.float32 \[2, 4\], found"),
    ],
)
def test_a_card_of_another_network_is_not_written(tmp_path, fields, message):
    with pytest.raises(InputError, match=message):
        save_model(tmp_path / "model", network(), card(**fields))
    assert not (tmp_path / "model").exists()


# --- what is not read ----------------------------------------------------------------------------------------------


class Harmful:
    """Unpickling it leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("checksum_fits", [True, False])
@pytest.mark.parametrize("dump", ["pickle", "torch.save"])
def test_a_pickle_is_not_executed(folder, tmp_path, dump, checksum_fits):
    buffer = io.BytesIO()
    (pickle.dump if dump == "pickle" else torch.save)(Harmful(tmp_path / "trace"), buffer)
    if checksum_fits:
        put_weights(folder, buffer.getvalue())
    else:
        (folder / WEIGHTS).write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="is no safetensors file" if checksum_fits else "its SHA-256 is another one"):
        load_model(folder)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"bad model {folder}: {name}: No such file or directory"):
        load_model(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=f"bad model {tmp_path / 'nowhere'}: card.json: No such file"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_file_elsewhere_is_not_followed(folder, tmp_path, name):
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(InputError, match=f"expected {name} in the folder, found a link to {tmp_path / name}"):
        load_model(folder)


@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_refused(share):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_model(folder, SMALL, card())
        content, text = (folder / WEIGHTS).read_bytes(), (folder / CARD).read_bytes()
        short = content[: int(share * len(content))]
        (folder / WEIGHTS).write_bytes(short)
        with pytest.raises(InputError, match=r"weights.safetensors is damaged"):
            load_model(folder)
        put_weights(folder, short)
        with pytest.raises(InputError, match=r"is no safetensors file"):
            load_model(folder)
        (folder / WEIGHTS).write_bytes(content)
        (folder / CARD).write_bytes(text[: int(share * (len(text) - 2))])
        with pytest.raises(InputError, match="bad card "):
            load_model(folder)


SMALL = network()


def test_one_wrong_byte_is_found(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(content))
    with pytest.raises(InputError, match="its SHA-256 is another one"):
        load_model(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 2}, "format: expected 1, found 2"),
        ({"surprise": 1}, "surprise: there is no such name"),
        ({"network": "os.system('true')"}, "network: expected a network written as name or name"),
        ({"network": "resnet"}, "network: expected one of .*did you mean resann"),
        ({"network": "resann(n=2, c=4)"}, "weights .*: expected .*, found "),
        ({"network": "resann(n=1, c=4, s=3)"}, "weights .*found"),
        ({"image_shape": [1, 8, 9]}, r"the costs are not those of resann\(n=1, c=4\) at \[1, 8, 9\]"),
        ({"image_shape": [3, 8, 8]}, "mean: expected 3 numbers, one per channel, found 1"),
        ({"image_shape": [3, 8, 8], "mean": [0, 0, 0], "std": [1, 1, 1]}, "weights segments.0.0.weight: expected"),
        ({"image_shape": [1, 0, 8]}, "image_shape.1: expected greater than or equal to 1, found 0"),
        ({"class_names": ["a", "b"]}, "weights heads.0.linear.weight: expected"),
        ({"class_names": []}, "class_names: "),
        ({"std": [0]}, "std.0: expected greater than 0, found 0"),
        ({"mean": ["x"]}, "mean.0: expected a valid number"),
        ({"record": "../../secret"}, "record: "),
        ({"weights_sha256": None}, "expected costs and weights_sha256, which save_model writes, found none"),
        ({"costs": None}, "expected costs and weights_sha256, which save_model writes, found none"),
        ({"latency": [{}]}, "latency.0.network: expected a value, found none"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder, fields, message):
    rewrite(folder, **fields)
    with pytest.raises(InputError, match=message):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_card_that_is_no_object_is_refused(folder, content):
    (folder / CARD).write_bytes(content)
    with pytest.raises(InputError, match="bad card "):
        load_model(folder)


@pytest.mark.parametrize("change", ["missing", "extra", "dtype", "shape"])
def test_foreign_tensors_are_refused(folder, change):
    tensors = {name: tensor.contiguous() for name, tensor in load_model(folder).net.state_dict().items()}
    name = "heads.1.linear.bias"
    if change == "missing":
        del tensors[name]
    elif change == "extra":
        tensors[name + "2"] = torch.zeros(1)
    else:
        tensors[name] = tensors[name].double() if change == "dtype" else torch.zeros(7)
    put_weights(folder, save({key: tensor.detach().clone() for key, tensor in tensors.items()}))
    with pytest.raises(InputError, match=r"weights heads\.1\.linear\.bias2?: expected .*, found "):
        load_model(folder)


def test_an_eann_without_its_first_exit_is_refused(tmp_path):
    net = network("eann(n=(1, 2), c=4)")
    net.adopted[0] = False
    save_model(tmp_path, net, card(network="eann(n=(1, 2), c=4)"))
    with pytest.raises(InputError, match="expected the first exit to be adopted"):
        load_model(tmp_path)


# --- images --------------------------------------------------------------------------------------------------------


def save_image(path, pixels, **options):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def test_an_image_of_the_right_size_is_taken_as_it_is(tmp_path):
    pixels = np.arange(64).reshape(8, 8)
    image = load_image(save_image(tmp_path / "a.png", pixels), (1, 8, 8))
    assert (image.dtype, image.shape) == (torch.uint8, (1, 1, 8, 8))
    assert (image[0, 0].numpy() == pixels).all()
    colour = load_image(tmp_path / "a.png", (3, 8, 8))
    assert (colour[0].numpy() == pixels).all()


def test_colours_become_grey_and_channels_come_first(tmp_path):
    pixels = np.zeros((8, 8, 3))
    pixels[..., 0] = 255
    path = save_image(tmp_path / "red.png", pixels)
    assert load_image(path, (1, 8, 8)).unique().tolist() == [76]  # 0.299 of 255
    assert load_image(path, (3, 8, 8))[0, :, 0, 0].tolist() == [255, 0, 0]


def test_the_middle_is_scaled_and_not_inverted(tmp_path):
    pixels = np.zeros((16, 48))
    pixels[:, 16:32] = 200
    image = load_image(save_image(tmp_path / "wide.png", pixels), (1, 8, 8))
    assert image.float().mean() > 190
    image = load_image(tmp_path / "wide.png", (1, 4, 12))  # the aspect of the network, not a square
    assert image[0, 0, :, 0].tolist() == [0] * 4
    assert image[0, 0, :, 6].min() > 190


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", None])
def test_what_is_no_image_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    if content is None:  # truncated
        save_image(path, np.random.default_rng(0).integers(0, 256, (64, 64)))
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"image {path}: no image that can be read"):
        load_image(path, (1, 8, 8))


def test_a_missing_image_and_deep_levels_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.png: missing"):
        load_image(tmp_path / "nothing.png", (1, 8, 8))
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="expected 8 bits per channel"):
        load_image(tmp_path / "deep.png", (1, 8, 8))
    with pytest.raises(InputError, match="expected a network for 1 or 3 channels, found one for 2"):
        load_image(tmp_path / "deep.png", (2, 8, 8))


# --- one image, one limit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("2ms", 0.002), ("0.002s", 0.002), ("0.002", 0.002), (" 1.5 ms ", 0.0015), ("500us", 5e-4), ("3µs", 3e-6)],
        *[("1e-3", 0.001), ("2 s", 2.0), (".5", 0.5)],
    ],
)
def test_a_time_is_read(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "0ms", "-2ms", "2 minutes", "ms", "nan", "1.2.3", "2ms3", "inf"])
def test_a_text_that_is_no_time_is_refused(text):
    with pytest.raises(InputError, match="deadline: expected a time above 0 such as 2ms"):
        parse_seconds(text)


def test_a_file_is_answered_as_the_network_answers(folder, tmp_path):
    path = save_image(tmp_path / "a.png", np.arange(64).reshape(8, 8))
    net, read = load_model(folder)
    with torch.inference_mode():
        probabilities = net(read.normalise(load_image(path, (1, 8, 8)))).softmax(-1)[:, 0]
    threads = torch.get_num_threads()
    for exit_number in (1, 2, 3):
        answer = predict_file(path, folder, Limits(exit=exit_number))
        expected = probabilities[exit_number - 1]
        assert answer.class_name == CLASSES[int(expected.argmax())]
        assert answer.probability == pytest.approx(float(expected.max()), abs=1e-6)
        assert (answer.prediction.exit, answer.num_exits, answer.note) == (exit_number, 3, "")
    assert torch.get_num_threads() == threads


def test_without_a_table_a_deadline_is_kept_roughly_and_this_is_said(folder, tmp_path):
    path = save_image(tmp_path / "a.png", np.zeros((8, 8)))
    answer = predict_file(path, folder, Limits(deadline="60s"))
    assert answer.note.startswith("no latency table of this device with 1 threads in ")
    assert answer.prediction.exit == 3
    measured = predict_file(path, folder, Limits(deadline="60s"), measure=True)
    assert measured.note == ""
    assert len(load_model(folder).card.latency) == 1
    assert predict_file(path, folder, Limits(deadline="60s")).note == ""


# --- the model that comes with the repository ----------------------------------------------------------------------


SHIPPED = Path(__file__).parents[3] / "data" / "models" / "fashion-mnist-resann-adaloss"


def test_the_shipped_model_is_small_and_whole():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 2_000_000
    net, read = load_model(SHIPPED)
    assert (net.num_exits, read.network, read.dataset) == (9, "resann", "fashion-mnist")
    assert read.record.startswith("fashion-mnist-resann-adaloss-seed0-")
    assert read.class_names[9] == "Ankle boot"


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs Fashion-MNIST")
def test_the_shipped_model_knows_garments():
    net, read = load_model(SHIPPED)
    data = load_dataset("fashion-mnist", train_size=128)
    images = read.normalise(data.test_images[:500])
    predictor = AnytimePredictor(net, read.image_shape)
    errors = [(p.logits.argmax(1) != data.test_labels[:500]).double().mean().item() for p in predictor.refine(images)]
    assert errors[0] < 0.4
    assert errors[-1] < 0.2
    assert errors[-1] < errors[0]
