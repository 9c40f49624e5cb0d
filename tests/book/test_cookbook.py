"""The recipes of the cookbook run as they stand on the page, one after the other, on real images."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anytime_core import cross_entropy_per_exit, exit_costs

pytestmark = pytest.mark.slow

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGE = (BOOK / "cookbook.md").read_text(encoding="utf-8")
RECIPES = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:-1]  # the last part is the exercise


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What is defined after the last recipe. ``printed`` has what was printed, by recipe."""
    place = tmp_path_factory.mktemp("cookbook")
    random = np.random.default_rng(0)
    for name, level in (("cat", 90), ("dog", 150)):  # dark and light noise
        (place / "photos" / name).mkdir(parents=True)
        for number in range(20):
            pixels = (level + random.integers(-40, 40, (36, 48, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(place / "photos" / name / f"{number}.jpg")
    printed = []
    names = {"__name__": "__main__", "print": lambda *values: printed.append(values)}
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.chdir(place)
        for number, block in enumerate(blocks(PAGE), start=1):
            if "from transformers" in block and find_spec("transformers") is None:
                continue
            exec(compile(block, f"cookbook.md, block {number}", "exec"), names)
            if "weigh = AdaLoss(num_exits=net.num_exits)" in block and "first" not in names:
                names["first"] = names["net"], names["weigh"]
    names["printed"] = printed
    return names


def test_every_recipe_has_code_of_under_30_lines():
    titles = [recipe.splitlines()[0] for recipe in RECIPES]
    listed = re.findall(r"^- \[(.+)\]\((cookbook-\w+)\)$", PAGE, flags=re.MULTILINE)
    assert re.findall(r"^\((cookbook-\w+)\)=\n## (.+)$", PAGE, flags=re.MULTILINE) == [each[::-1] for each in listed]
    assert [title for title, _ in listed] == titles
    for title, recipe in zip(titles, RECIPES, strict=True):
        assert blocks(recipe), title
        for block in blocks(recipe):
            assert len([line for line in block.splitlines() if line.strip()]) < 30, title
            assert max(map(len, block.splitlines())) <= 120


def test_the_plain_loop_learns(names):
    net, weigh = names["first"]
    data = names["data"]
    losses = cross_entropy_per_exit(net(data.normalise(data.train_images)), data.train_labels)
    assert losses.max() < 1.5  # chance is ln 10 = 2.3
    assert weigh.step == 200
    assert weigh.weights.min() < 1
    errors = names["printed"][0][0]
    assert errors.shape == (3,)
    assert errors.max() < 0.5  # chance is 0.9


def test_the_lightning_module_learns(names):
    module = names["module"]
    assert names["trainer"].global_step == module.weigh.step == 120
    assert {"weigh.weights", "weigh.average", "weigh.step"} <= module.state_dict().keys()
    data = names["data"]
    losses = cross_entropy_per_exit(module.net(data.normalise(data.train_images)), data.train_labels)
    assert losses.max() < 1.5


def test_the_model_of_the_trainer_learns(names):
    pytest.importorskip("transformers", reason="transformers is not installed: the group dev of pyproject.toml has it")
    model, data = names["hugging_face"].model, names["data"]
    assert model.weigh.weights.min() < 1
    images = data.normalise(data.train_images).to(next(model.parameters()).device)
    losses = cross_entropy_per_exit(model.net(images).cpu(), data.train_labels)
    assert losses.max() < 2  # chance is ln 10 = 2.3


def test_exits_on_ones_own_model_cost_what_they_do(names):
    # convolutions: 64 · 8 · 9, then 16 · 16 · 8 · 9; heads: 8 · 10 and 16 · 10, at the end 256 · 10
    first, second = 64 * 8 * 9 + 8 * 10, 16 * 16 * 8 * 9 + 16 * 10
    cumulative = exit_costs(names["own"], (1, 8, 8)).macs_cumulative
    assert list(cumulative) == [first, first + second, first + second + 2560]


def test_both_tasks_are_learned(names):
    data, features = names["data"], names["body"](names["images"])
    wrong = names["digit"](features).argmax(-1) != data.train_labels
    assert wrong.float().mean() < 0.2
    left = (names["place"](features).squeeze(1) - names["centre"]).square().mean()
    assert left < names["centre"].var() / 2
    assert names["weigh_tasks"].weights.sum() == pytest.approx(2)


def test_units_cancel_without_a_floor_only(names):
    half = torch.tensor([0.5, 0.5])
    for shares in names["formula"]:
        torch.testing.assert_close(shares, half)
    plain, scaled = names["floored"]
    # weights (0.93 · 0.02 / 0.5 + 0.07, 1) and (0.93 · 0.2 / 0.5 + 0.07, 1), times the losses
    torch.testing.assert_close(plain[1] / plain[0], torch.tensor(0.02 / (0.1072 * 0.5)))
    torch.testing.assert_close(scaled[1] / scaled[0], torch.tensor(0.2 / (0.442 * 0.5)))


def test_ones_own_images_are_learned(names):
    assert names["photos"].class_names == ("cat", "dog")
    assert (("cat", "dog"), 28, 4, 8) in names["printed"]
    errors = names["error_of_each_exit"](
        names["net"], names["photos"].normalise(names["photos"].test_images), names["photos"].test_labels
    )
    assert errors.tolist() == [0, 0, 0]


def test_a_resumed_run_goes_on_bit_for_bit(names):
    assert names["printed"][-4] == (True, True)
    assert names["weigh"].step == names["weigh2"].step == 21
    assert names["saved"]["weigh"]["step"] == 20  # a forgotten weighting would begin at 0
    assert torch.equal(names["generator"].get_state(), names["generator2"].get_state())


def test_a_network_is_stopped_with_pytorch_and_without(names):
    last = names["net"].num_exits
    assert names["printed"][-3:-1] == [("by a deadline", last), ("without PyTorch", last)]
    assert (names["prediction"].probabilities.max() > 0.9) or names["prediction"].exit == last


def test_a_weighting_of_ones_own_weighs(names):
    assert names["by_rank"].weights.tolist() == pytest.approx([1 / 2, 1, 1 / 3])


@pytest.mark.parametrize("page", ["cookbook.md", "which_weighting.md"])
def test_the_page_cites_what_is_in_the_bibliography_and_links_to_what_exists(page):
    text = (BOOK / page).read_text(encoding="utf-8")
    keys = {key.strip() for group in re.findall(r"\{cite:[tp]\}`([^`]+)`", text) for key in group.split(",")}
    known = set(re.findall(r"^@\w+\{([^,]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    assert keys <= known
    labels = {label for p in BOOK.glob("*.md") for label in re.findall(r"^\(([\w-]+)\)=", p.read_text(), re.MULTILINE)}
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert [t for t in targets if t not in labels and not (BOOK / t).exists() and "results/" not in t] == []
