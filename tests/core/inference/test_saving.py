import hashlib
import io
import json
import os
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn

from anytime_core import (
    EANN,
    AnytimePredictor,
    DenseANN,
    ModelCard,
    MSDNet,
    ResANN,
    load_model,
    measure_latency,
    save_model,
)
from anytime_core.errors import InputError
from anytime_core.inference.saving import CARD, WEIGHTS
from tests.core.inference.networks import KINDS, adopted, small, two_resanns
from tests.core.on_device import DEVICE, on_device, randn

CLASSES = tuple("abcde")
OPTIONS = {"num_classes": 5, "in_channels": 1}
RESANN = {"network": "ResANN", "options": {"n": 1, "c": 4, **OPTIONS}}
IMAGES = {"class_names": CLASSES, "input_shape": (1, 8, 8), "mean": (0.25,), "std": (0.5,)}


def card(**fields):
    return ModelCard(**{**RESANN, **IMAGES, **fields})


def network():
    torch.manual_seed(0)
    return on_device(ResANN(n=1, c=4, **OPTIONS))


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", network(), card())
    return tmp_path / "model"


def rewrite(folder, **fields):
    """Change fields of a card; None removes one."""
    content = json.loads((folder / CARD).read_text())
    content.update(fields)
    (folder / CARD).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


# --- there and back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "options"),
    [(ResANN, {"n": 1, "c": 4}), (MSDNet, {"blocks": (3, 3), "growth": 2}), (DenseANN, {"n": 2, "growth": 4})],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_comes_back_as_it_was(tmp_path, cls, options, dtype):
    torch.manual_seed(0)
    net = on_device(cls(**options, **OPTIONS)).to(dtype, memory_format=torch.channels_last)
    images = randn(4, 1, 16, 16).to(dtype)
    net.train()(images)  # running statistics
    written = save_model(tmp_path, net, card(network=cls.__name__, options={**options, **OPTIONS}))
    before = torch.get_rng_state()
    loaded, read = load_model(str(tmp_path), DEVICE)
    assert torch.equal(torch.get_rng_state(), before)
    assert json.loads((tmp_path / CARD).read_text())["weights_sha256"] == written.weights_sha256 == read.weights_sha256
    assert not loaded.training
    assert loaded.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(loaded.state_dict()[key], tensor) for key, tensor in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    with torch.inference_mode():
        torch.testing.assert_close(loaded(images), net.eval()(images))


def test_a_network_that_the_caller_builds(tmp_path):
    first, inputs = KINDS["dict"]
    net = small(first())
    mine = ModelCard("mine", {"sizes": [[1, 2], [3]]}, about={"weather": "fine"})
    seen = []

    def build(name, options):
        seen.append((name, options))
        return small(first())

    save_model(tmp_path, net, mine, build=build)
    loaded, read = load_model(tmp_path, DEVICE, build=build)
    assert read.about == {"weather": "fine"}
    assert seen[-1] == ("mine", {"sizes": ((1, 2), (3,))})
    with torch.inference_mode():
        assert torch.equal(loaded(inputs), net(inputs))
    with pytest.raises(InputError, match=r"^bad model .*'mine'"):
        load_model(tmp_path)


@pytest.mark.parametrize("kept", ["equal", "untied and changed"])
def test_a_tied_weight_is_written_once_and_comes_back_tied(tmp_path, kept):
    def build(*_):
        net = small(nn.Linear(4, 4))
        net.heads[1].weight = net.heads[0].weight
        net.heads[0].register_buffer("scale", torch.ones(2))
        net.heads[1].register_buffer("scale", net.heads[0].scale)
        return net

    net = build()
    if kept == "untied and changed":
        net.heads[1].weight = nn.Parameter(net.heads[1].weight + 1)
    save_model(tmp_path, net, ModelCard("mine"), build=build)
    written = load((tmp_path / WEIGHTS).read_bytes()).keys()
    loaded = load_model(tmp_path, DEVICE, build=build).net
    assert net.state_dict().keys() - written == {"heads.1.scale", *({"heads.1.weight"} if kept == "equal" else ())}
    assert (loaded.heads[0].weight is loaded.heads[1].weight) == (kept == "equal")
    assert loaded.heads[0].scale is loaded.heads[1].scale
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_a_builder_of_the_callers_may_take_large_numbers(tmp_path):
    def build(_, options):
        assert options == {"vocabulary": 128_256}
        return small(nn.Linear(4, 4))

    save_model(tmp_path, build(None, {"vocabulary": 128_256}), ModelCard("mine", {"vocabulary": 128_256}), build=build)
    assert load_model(tmp_path, build=build).card.options == {"vocabulary": 128_256}


def test_the_published_msdnet_needs_no_builder(tmp_path):
    options = {"num_exits": 2, "base": 1, "step": 1, "num_classes": 5, "in_channels": 1}
    save_model(tmp_path, MSDNet.original(**options), ModelCard("MSDNet.original", options))
    assert load_model(tmp_path).net(torch.zeros(1, 1, 8, 8)).shape == (2, 1, 5)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_have_the_rights_of_any_new_file(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        save_model(tmp_path, network(), card())
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode}


def test_an_eann_comes_back_with_what_it_has_adopted_and_needs_its_first_exit(tmp_path):
    def build(*_):
        return two_resanns()

    net = adopted(two_resanns())
    save_model(tmp_path, net, ModelCard("EANN"), build=build)
    loaded = load_model(tmp_path, build=build).net
    assert isinstance(loaded, EANN)
    assert AnytimePredictor(loaded).exits == (1, 2, 5, 7, 8)
    net.adopted[0] = False
    with pytest.raises(InputError, match=r"^bad model .*EANN adopted: "):
        save_model(tmp_path, net, ModelCard("EANN"), build=build)


def test_a_card_normalises_images():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    expected = torch.tensor([-0.5, -0.1, 1.5]).view(1, 1, 1, 3)
    torch.testing.assert_close(card().normalise(images), expected)
    for bad in (images.float(), images[0], images.expand(1, 3, 1, 3)):
        with pytest.raises(InputError, match=r"^images: "):
            card().normalise(bad)


def test_a_model_is_replaced_and_a_table_is_kept_in_the_place_of_an_older_one(folder):
    net, read = load_model(folder, DEVICE)
    table = measure_latency(AnytimePredictor(net), randn(1, 1, 8, 8), rounds=100)
    other = type(table)(**{**vars(table), "device": "Abacus"})
    for new in (table, other, type(table)(**{**vars(table), "rounds": 200})):
        read = save_model(folder, net, read.with_latency(new))
    assert load_model(folder).card == read
    assert [(one.device, one.rounds) for one in read.latency] == [("Abacus", 100), (table.device, 200)]


# --- what is not written -------------------------------------------------------------------------------------------


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    net = network()
    net.heads[0].linear.bias.data[0] = float("nan")
    with pytest.raises(InputError, match=r"heads\.0\.linear\.bias"):
        save_model(tmp_path / "model", net, card())
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "fields",
    [
        *({"options": {**RESANN["options"], name: 2}} for name in ("n", "num_classes")),
        {"options": {"depth": 1}},
        {"network": "AdaLoss"},
        {"network": "__version__"},
        {"network": "MSDNet.stream"},
    ],
)
def test_a_card_of_another_network_is_not_written(tmp_path, fields):
    with pytest.raises(InputError, match=r"^bad model for "):
        save_model(tmp_path / "model", network(), card(**fields))
    assert not (tmp_path / "model").exists()


def test_a_card_of_other_layers_that_take_the_same_weights_is_not_written(tmp_path):
    net = small(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    with pytest.raises(InputError, match=r"^card: expected the network to be saved, found other layers in tanh {}"):
        save_model(tmp_path, net, ModelCard("tanh"), build=lambda *_: small(nn.Sequential(nn.Linear(4, 4), nn.Tanh())))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", [Path(), float("nan"), np.float32(1), {(1, 2): 3}], ids=str)
def test_a_card_that_json_cannot_hold_spares_the_model_that_was_there(folder, told):
    with pytest.raises(InputError, match=r"^card: "):
        save_model(folder, network(), card(about={"told": told}))
    assert load_model(folder).card.about == {}


@pytest.mark.parametrize(
    "fields", [{"input_shape": ()}, {"mean": ()}, {"std": (0.0,)}, {"std": (1.0, 1.0)}, {"input_shape": (3, 8, 8)}]
)
def test_a_mean_and_a_standard_deviation_per_channel(fields):
    with pytest.raises(InputError, match=r"^mean and std: "):
        card(**fields)


def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ImportError, match=r'pip install "anytime-core\[save\]"'):
        save_model(tmp_path, network(), card())


# --- what is not read ----------------------------------------------------------------------------------------------


class Harmful:
    """Unpickling it leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def put_weights(folder, content):
    """Weights whose checksum fits: made by somebody who knows the format."""
    (folder / WEIGHTS).write_bytes(content)
    rewrite(folder, weights_sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("dump", ["pickle", "torch.save"])
def test_a_pickle_is_not_executed(folder, tmp_path, dump):
    buffer = io.BytesIO()
    (pickle.dump if dump == "pickle" else torch.save)(Harmful(tmp_path / "trace"), buffer)
    put_weights(folder, buffer.getvalue())
    with pytest.raises(InputError, match="is no safetensors file"):
        load_model(folder)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"bad model {folder}: {name}: "):
        load_model(folder)


@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_refused(share):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_model(folder, SMALL, card())
        content, text = (folder / WEIGHTS).read_bytes(), (folder / CARD).read_bytes()
        short = content[: int(share * len(content))]
        (folder / WEIGHTS).write_bytes(short)
        with pytest.raises(InputError, match=f"{WEIGHTS} .*SHA-256"):
            load_model(folder)
        put_weights(folder, short)
        with pytest.raises(InputError, match="no safetensors file"):
            load_model(folder)
        (folder / WEIGHTS).write_bytes(content)
        (folder / CARD).write_bytes(text[: int(share * (len(text) - 2))])
        with pytest.raises(InputError, match="bad card "):
            load_model(folder)


SMALL = network()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"format": 1}, "format"),
        ({"surprise": 1}, "surprise"),
        ({"network": None}, "network"),
        ({"network": "os.system('true')"}, "network"),
        ({"options": {**RESANN["options"], "n": 2}}, "segments"),  # other weights
        ({"options": {**RESANN["options"], "n": 10**9}}, "options"),
        ({"options": 3}, "items"),
        ({"input_shape": [3, 8, 8]}, "mean and std"),
        ({"std": [0]}, "mean and std"),
        ({"mean": ["x"]}, "str"),
        ({"weights_sha256": None}, "SHA-256"),
        ({"latency": [{}]}, "latency"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(folder, fields, field):
    rewrite(folder, **fields)
    with pytest.raises(InputError, match=f"^bad (card|model) .*{field}") as error:
        load_model(folder)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_card_that_is_no_object_is_refused(folder, content):
    (folder / CARD).write_bytes(content)
    with pytest.raises(InputError, match="bad card "):
        load_model(folder)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_foreign_tensors_are_refused(folder, change):
    tensors = {name: tensor.clone() for name, tensor in load_model(folder).net.state_dict().items()}
    name = "heads.1.linear.bias"
    if change == "missing":
        del tensors[name]
    else:
        tensors[name + "2" if change == "extra" else name] = torch.zeros(7)
    put_weights(folder, save(tensors))
    with pytest.raises(InputError, match=r"bad model .*heads\.1\.linear\.bias") as error:
        load_model(folder)
    assert "\n" not in str(error.value)
