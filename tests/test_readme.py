"""What the README tells people to type works."""

import re
import subprocess
import sys
from pathlib import Path

import torch
import yaml

from anytime_core import AdaLoss, cross_entropy_per_exit
from anytime_study.pages.readme import with_answer
from anytime_study.runs.config import RunConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def code_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_adaloss_loop_runs_and_learns():
    (code,) = code_blocks("python")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 10
    torch.manual_seed(0)
    images, labels = torch.randn(32, 1, 8, 8), torch.arange(32) % 10
    losses = []

    class Batches:
        def __iter__(self):
            for _ in range(150):
                yield images, labels

    names = {"batches": Batches()}
    exec(compile(code, "README.md", "exec"), names)
    net, weigh = names["net"], names["weigh"]
    losses = cross_entropy_per_exit(net(images), labels)
    assert losses.max() < 1.0  # chance is ln 10 = 2.3
    assert weigh.step == 150
    assert weigh.weights.min() < 1.0  # AdaLoss has refreshed its weights at least once


def test_the_librarys_readme_has_the_same_loop():
    """Its other example runs in tests/test_wheel.py."""
    assert code_blocks("python")[0] in (ROOT / "anytime_core/README.md").read_text()


def test_every_local_link_and_picture_exists():
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("http")]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)) | set(re.findall(r"`make (\w+)`", README))
    assert {"book", "test"} <= targets
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_the_papermill_example_trains_adaloss_past_its_first_refresh():
    (command,) = [line for block in code_blocks("bash") for line in block.splitlines() if line.startswith("papermill")]
    fields = {name: yaml.safe_load(value) for name, value in re.findall(r"-p (\w+) (\S+)", command)}
    config = RunConfig(**fields)
    with torch.device("meta"):
        weigh = config.build_weighting(config.build_network())
    assert isinstance(weigh, AdaLoss)
    steps = config.epochs * config.steps_per_epoch
    assert steps >= 2 * weigh.refresh_period
    assert f"The run has {steps} steps" in README


def test_the_command_that_stops_a_network_knows_the_picture():
    (command,) = [line for block in code_blocks("bash") for line in block.splitlines() if "predict" in line]
    name, *arguments = command.split()
    assert name == "anytime"
    done = subprocess.run(
        [sys.executable, "-m", "anytime_study.cli", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^class +Ankle boot$", done.stdout, flags=re.MULTILINE)
    assert re.search(r"^exit +\d of 9$", done.stdout, flags=re.MULTILINE)


def test_the_answer_is_that_of_the_records():
    assert with_answer(README) == README, "run `make readme`"
