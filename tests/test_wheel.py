"""The wheel alone: in a fresh environment with nothing but it and PyTorch, what its README shows works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")
NOT_THERE = {"pandas", "pydantic", "lightning", "pyyaml", "torchvision", "scipy", "torchjd", "safetensors", "tqdm"}
USE = """
import json, sys
from importlib.metadata import distributions

import torch
from torch import nn

torch.manual_seed(0)
loop, deadline, language = json.load(sys.stdin)
images, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
names = {"batches": [(images, labels)] * 101}
exec(loop, names)
assert names["weigh"].step == 101 and names["weigh"].weights.min() < 1

from anytime_core import AdaLoss, ResANN

torch.save({"net": names["net"].state_dict(), "weigh": names["weigh"].state_dict()}, "state.pt")
state = torch.load("state.pt")
net, weigh = ResANN(n=2, c=8, num_classes=10, in_channels=1), AdaLoss(num_exits=6)
net.load_state_dict(state["net"])
weigh.load_state_dict(state["weigh"])
assert torch.equal(net.eval()(images), names["net"].eval()(images))
assert torch.equal(weigh.weights, names["weigh"].weights)

layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 28 * 28, 10)]
names = {"model": nn.Sequential(*layers), "images": torch.rand(1, 3, 32, 32)}
exec(deadline.replace("0.002", "60"), names)
assert names["answer"].exit == names["net"].num_exits == 3

class Block(nn.Linear):
    def forward(self, x, cache):
        keys, _ = cache.update(x[:, None], x[:, None], self.place)
        return x + super().forward(keys[:, 0].cumsum(1)[:, -x.shape[1] :])


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.blocks, self.output = nn.Embedding(5, 4), nn.ModuleList(), nn.Linear(4, 5)
        for place in range(3):
            self.blocks.append(Block(4, 4))
            self.blocks[place].place = place

    def forward(self, ids, cache):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, cache)
        return self.output(x)


names = {"language_model": Decoder(), "ids": torch.tensor([[1, 2, 3]])}
exec(language, names)
assert names["tokens"].shape == (1,) and names["answer"].exit in (1, 2, 3)

found = {distribution.metadata["Name"].lower() for distribution in distributions()}
print(json.dumps({"installed": sorted(found), "imported": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python of an environment with the wheel and what it depends on, at the locked versions: uv links them from its
    cache, where `make install` has left them."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [UV, "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    install = [UV, "pip", "install", "--quiet", "--python", python]
    done = subprocess.run([*install, "--constraint", ROOT / "requirements.lock", wheel], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"PyTorch could not be installed: {done.stderr.strip().splitlines()[-1]}")
    yield python
    shutil.rmtree(folder / "venv")  # gigabytes, where they are copies


def test_what_the_librarys_readme_shows_works_with_pytorch_alone(python, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "anytime_core/README.md").read_text(), flags=re.DOTALL)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", USE], input=json.dumps(blocks), cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert "anytime-core" in told["installed"]
    assert NOT_THERE.isdisjoint(told["installed"])
    assert "anytime_study" not in told["imported"]
