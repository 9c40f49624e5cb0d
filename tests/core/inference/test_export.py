import subprocess
import sys

import numpy as np
import pytest
import torch

from anytime_core import DenseANN, MSDNet, ResANN, exit_costs, export_onnx
from anytime_core.errors import InputError
from anytime_core.inference import export
from tests.core.inference.networks import KINDS, SHAPE, adopted, small, two_resanns

pytest.importorskip("onnxruntime", reason="needs onnxruntime")
pytest.importorskip("onnxscript", reason="needs the extra onnx")
from anytime_core.inference.onnx_runner import OnnxRunner

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter deprecates parts of itself
IMAGE = torch.zeros(1, *SHAPE)
NETWORKS = {
    "resann": lambda: ResANN(n=1, c=4, num_classes=5, in_channels=1),
    "msdnet": lambda: MSDNet(blocks=(2, 2), s=2, num_classes=5, in_channels=1),
    "denseann": lambda: DenseANN(n=2, growth=4, num_classes=5, in_channels=1),
    "eann": lambda: adopted(two_resanns()),
}


def made(name):
    torch.manual_seed(0)
    net = NETWORKS[name]()
    for module in net.modules():  # statistics of a trained network, so that batch norm does something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_exit_gives_the_same_logits_without_pytorch(tmp_path, name):
    net = made(name)
    export_onnx(net, IMAGE, tmp_path, {"class_names": list("abcde")})
    runner = OnnxRunner(tmp_path)
    exits = [1, 2, 5, 7, 8] if name == "eann" else list(range(1, net.num_exits + 1))  # adopted ones only
    for number in (1, 3):  # the number of images is free
        images = torch.randn(number, *SHAPE)
        with torch.no_grad():
            expected = net(images)
        found = dict(runner.refine(images.numpy()))
        assert list(found) == exits
        for exit_number, logits in found.items():
            assert np.abs(logits - expected[exit_number - 1].numpy()).max() < 1e-4
    if name != "eann":
        assert [step["macs"] for step in runner.card["steps"]] == list(exit_costs(net, SHAPE).macs_cumulative)
    assert runner.card["class_names"] == list("abcde")


def test_several_inputs_that_are_no_images(tmp_path):
    first, inputs = KINDS["dict"]
    net = small(first()).cpu()
    inputs = {name: x.cpu() for name, x in inputs.items()}
    export_onnx(net, inputs, tmp_path)
    found = [logits for _, logits in OnnxRunner(tmp_path).refine(*(x.numpy() for x in inputs.values()))]
    with torch.no_grad():
        assert np.abs(np.stack(found) - net(inputs).numpy()).max() < 1e-5


def test_it_stops_between_segments(tmp_path):
    net = made("resann")
    export_onnx(net, IMAGE, tmp_path)
    runner = OnnxRunner(tmp_path)
    assert runner.predict(IMAGE.numpy(), deadline=60.0)[0] == net.num_exits
    assert runner.predict(IMAGE.numpy(), deadline=1e-9)[0] == 1


def test_the_runner_needs_no_pytorch():
    code = "import sys, anytime_core.inference.onnx_runner; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_inputs_of_another_network_are_refused(tmp_path):
    with pytest.raises(InputError, match="inputs: expected a shape that the network takes"):
        export_onnx(made("resann"), torch.zeros(1, 3, 12, 12), tmp_path)


def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r'pip install "anytime-core\[onnx\]"'):
        export_onnx(made("resann"), IMAGE, tmp_path)


def test_an_export_that_is_broken_off_leaves_nothing_that_runs(tmp_path, monkeypatch):
    export_onnx(made("resann"), IMAGE, tmp_path)
    monkeypatch.setattr(export, "_export_step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_onnx(made("resann"), IMAGE, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"steps\.json"):
        OnnxRunner(tmp_path)
