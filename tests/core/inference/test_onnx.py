import subprocess
import sys

import numpy as np
import pytest
import torch

from anytime_core.costs import exit_costs
from anytime_core.networks.ensemble import EANN, eann
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import ModelCard, TrainedModel

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")
from anytime_core.inference import onnx_export
from anytime_core.inference.onnx_export import export_onnx
from anytime_core.inference.onnx_runner import OnnxRunner

SHAPE = (1, 12, 12)
pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter deprecates parts of itself


def model(text):
    torch.manual_seed(0)
    net = NETWORKS.build(text, num_classes=5, in_channels=1) if isinstance(text, str) else text
    for module in net.modules():  # statistics of a trained network, so that batch norm does something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    card = ModelCard(
        network=str(text), dataset="none", class_names=tuple("abcde"), image_shape=SHAPE, mean=(0.5,), std=(0.5,)
    )
    return TrainedModel(net.eval(), card)


@pytest.mark.parametrize("text", ["resann(n=1, c=4)", "msdnet(blocks=(2, 2), s=2)", "denseann(n=2, growth=4)"])
def test_every_exit_gives_the_same_logits_without_pytorch(tmp_path, text):
    trained = model(text)
    export_onnx(trained, tmp_path)
    runner = OnnxRunner(tmp_path)
    for number in (1, 3):  # the number of images is free
        images = torch.randn(number, *SHAPE)
        with torch.no_grad():
            expected = trained.net(images)
        found = list(runner.refine(images.numpy()))
        assert [exit_number for exit_number, _ in found] == list(range(1, trained.net.num_exits + 1))
        for (_, logits), row in zip(found, expected, strict=True):
            assert np.abs(logits - row.numpy()).max() < 1e-4
    assert [step["macs"] for step in runner.card["steps"]] == list(exit_costs(trained.net, SHAPE).macs_cumulative)


def test_exits_of_an_eann_that_are_not_adopted_are_left_out(tmp_path):
    net = eann(n=(1, 2), c=4, num_classes=5, in_channels=1)
    assert isinstance(net, EANN)
    net.adopt([0.5, 0.6, 0.4, 0.7, 0.3, 0.9, 0.9, 0.9, 0.2])
    trained = model(net)
    export_onnx(trained, tmp_path)
    images = torch.randn(2, *SHAPE)
    found = dict(OnnxRunner(tmp_path).refine(images.numpy()))
    assert list(found) == [1, 3, 5, 9]
    with torch.no_grad():
        expected = net(images)
    for exit_number, logits in found.items():
        assert np.abs(logits - expected[exit_number - 1].numpy()).max() < 1e-4


def test_it_stops_between_segments(tmp_path):
    trained = model("resann(n=1, c=4)")
    export_onnx(trained, tmp_path)
    runner = OnnxRunner(tmp_path)
    images = np.zeros((1, *SHAPE), dtype=np.float32)
    assert runner.predict(images, deadline=60.0)[0] == trained.net.num_exits
    assert runner.predict(images, deadline=1e-9)[0] == 1
    (tmp_path / "step-02.onnx").write_bytes(b"")
    with pytest.raises(Exception, match=r"step-02\.onnx"):
        OnnxRunner(tmp_path)


def test_the_runner_needs_no_pytorch():
    code = "import sys, anytime_core.inference.onnx_runner; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_an_export_that_is_broken_off_leaves_nothing_that_runs(tmp_path, monkeypatch):
    export_onnx(model("resann(n=1, c=4)"), tmp_path)
    monkeypatch.setattr(onnx_export, "_export_step", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_onnx(model("resann(n=1, c=4)"), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"steps\.json"):
        OnnxRunner(tmp_path)
