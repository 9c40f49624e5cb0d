import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from anytime_core import DenseANN, MSDNet, ResANN, answer_costs, export_onnx
from anytime_core.errors import InputError
from anytime_core.inference import export
from tests.core.inference.networks import KINDS, NETWORKS, SHAPE, made, small

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnxscript", reason="needs the extra onnx")
from anytime_core.inference.onnx_runner import OnnxRunner

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter deprecates parts of itself
IMAGE = torch.zeros(1, *SHAPE)
EXPORTED = {
    "resann": lambda: ResANN(n=1, c=4, in_channels=1),
    "eann": NETWORKS["eann, some adopted"],
    "msdnet": lambda: MSDNet(blocks=(2, 2), s=2, in_channels=1),
    "denseann": lambda: DenseANN(n=2, growth=4, in_channels=1),
}
OTHERS = ["eann", *(pytest.param(name, marks=pytest.mark.slow) for name in ("msdnet", "denseann"))]


def export_of(name, folder):
    net = made(EXPORTED[name]).cpu().eval()
    export_onnx(net, IMAGE, folder, {"class_names": list("abcde")})
    return net, folder


@pytest.fixture(scope="module")
def resann(tmp_path_factory):
    """A network and the folder of its export."""
    return export_of("resann", tmp_path_factory.mktemp("export"))


@pytest.mark.parametrize("name", ["resann", *OTHERS])
def test_every_exit_gives_the_same_logits_without_pytorch(request, tmp_path, name):
    net, folder = request.getfixturevalue("resann") if name == "resann" else export_of(name, tmp_path)
    runner = OnnxRunner(folder)
    for number in (1, 3):  # the number of images is free
        images = torch.randn(number, *SHAPE)
        with torch.no_grad():
            expected = net(images)
        found = dict(runner.refine(images.numpy()))
        assert tuple(found) == net.answering_exits
        for exit_number, logits in found.items():
            assert np.abs(logits - expected[exit_number - 1].numpy()).max() < 1e-4
    assert [step["macs"] for step in runner.card["steps"]] == list(answer_costs(net, SHAPE))
    assert runner.card["class_names"] == list("abcde")


def test_several_inputs_that_are_no_images(tmp_path):
    first, inputs = KINDS["dict"]
    net = small(first()).cpu()
    inputs = {name: x.cpu() for name, x in inputs.items()}
    export_onnx(net, inputs, tmp_path)
    found = [logits for _, logits in OnnxRunner(tmp_path).refine(*(x.numpy() for x in inputs.values()))]
    with torch.no_grad():
        assert np.abs(np.stack(found) - net(inputs).numpy()).max() < 1e-5


def test_it_stops_between_segments(resann):
    net, folder = resann
    runner = OnnxRunner(str(folder))
    assert runner.predict(IMAGE.numpy(), deadline=60.0)[0] == net.num_exits
    assert runner.predict(IMAGE.numpy(), deadline=1e-9)[0] == 1


def test_the_runner_needs_no_pytorch():
    code = "import sys, anytime_core.inference.onnx_runner; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_inputs_of_another_network_are_refused(resann, tmp_path):
    with pytest.raises(InputError, match=r"^inputs: "):
        export_onnx(resann[0], torch.zeros(1, 3, 12, 12), tmp_path)


def test_a_missing_package_is_named_with_the_line_that_installs_it(resann, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'pip install "anytime-core\[onnx\]"'):
        export_onnx(resann[0], IMAGE, tmp_path)


def test_an_export_that_is_broken_off_leaves_nothing_that_runs(resann, tmp_path, monkeypatch):
    net, folder = resann
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(export, "_export_step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_onnx(net, IMAGE, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"steps\.json"):
        OnnxRunner(tmp_path)
