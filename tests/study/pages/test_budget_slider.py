import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from anytime_core import exit_costs
from anytime_core.errors import InputError
from anytime_core.inference.latency import ExitLatency, LatencyTable, Quantiles, fingerprint
from anytime_core.inference.saving import SavedModel
from anytime_study.datasets import load_dataset
from anytime_study.pages.budget_slider import (
    CHANGES,
    ELEMENT,
    choose_images,
    load_payload,
    make_payload,
    png_data_uri,
    slider_html,
    slider_range,
    slider_script,
)
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import load_model, model_card, save_model

ROOT = Path(__file__).parents[3]
ASSETS = ROOT / "book/_assets"
CLASSES = ("a", "b", "c")
needs_garments = pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs Fashion-MNIST"
)


def model(seed=0, network="resann(n=1, c=4)", classes=CLASSES, shape=(1, 8, 8), latency=(), dataset="none"):
    torch.manual_seed(seed)
    net = NETWORKS.build(network, num_classes=len(classes), in_channels=shape[0])
    mean, std = (0.25,) * shape[0], (0.5,) * shape[0]
    card = model_card(network, classes, shape, about={"dataset": dataset}, mean=mean, std=std, latency=latency)
    return SavedModel(net.eval(), card)


def table(net, seconds, *, threads=1, batch_size=1, device="A processor"):
    """Times whose median from the start to exit k is the k-th number of ``seconds``."""
    other = Quantiles(p50=9, p90=9, p99=9)
    rows = [
        ExitLatency(exit=place, step=other, fixed=other, streamed=Quantiles(p50=s, p90=9, p99=9))
        for place, s in enumerate(seconds, start=1)
    ]
    return LatencyTable(
        network=fingerprint(net),
        device=device,
        threads=threads,
        inputs=(f"float32 {[batch_size, 1, 8, 8]}",),
        torch="2.0",
        rounds=100,
        exits=tuple(rows),
    )


# --- which images --------------------------------------------------------------------------------------------------

LABELS = np.array([1, 1, 0, 2, 0, 2, 1, 0])
FIRST = np.array([[1, 0, 0, 2, 0, 2, 1, 0], [1, 0, 0, 2, 0, 2, 1, 1]])  # disagrees with itself on image 7
SECOND = np.array([[1, 0, 0, 1, 0, 1, 1, 0]])  # disagrees with FIRST on images 3, which is a first one, and 5


def test_the_first_of_each_class_and_the_first_that_exits_disagree_on():
    assert choose_images(LABELS, [FIRST, SECOND], disagreeing=2) == ([2, 0, 3], [5, 7])
    assert choose_images(LABELS, [FIRST, SECOND], disagreeing=1) == ([2, 0, 3], [5])
    assert choose_images(LABELS, [FIRST], disagreeing=1) == ([2, 0, 3], [7])
    assert choose_images(LABELS, [FIRST], disagreeing=0) == ([2, 0, 3], [])


def test_the_choice_does_not_know_which_network_is_which():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    first, second = rng.integers(0, 3, (2, 2, 200))
    chosen = choose_images(labels, [first, second], disagreeing=6)
    assert chosen == choose_images(labels, [second, first], disagreeing=6)
    renamed = np.array([2, 0, 1])  # the answers' names do not matter, only where they differ
    assert chosen[1] == choose_images(labels, [renamed[first], renamed[second]], disagreeing=6)[1]


def test_too_few_disagreements_are_refused():
    with pytest.raises(InputError, match=r"disagreeing: expected at most 2, .* of 8 .*, found 3"):
        choose_images(LABELS, [FIRST, SECOND], disagreeing=3)


# --- the payload ---------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    """Two untrained networks for digits; the second one's card has times, also such as do not count."""
    digits = load_dataset("digits", train_size=10)
    bare = model(classes=digits.class_names)
    tables = (
        table(bare.net, [9, 9, 9]),
        table(bare.net, [0.001, 0.002, 0.0031416]),
        table(bare.net, [5, 6, 7], threads=2),
    )
    for seed, (name, latency) in enumerate({"X": (), "Y": tables}.items()):
        one = model(seed, classes=digits.class_names, dataset="digits", latency=latency)
        save_model(tmp_path / name, one.net, one.card)
    return {name: tmp_path / name for name in ("X", "Y")}


def test_the_payload_is_what_the_networks_answer(saved):
    payload = make_payload(saved, test_size=50, disagreeing=3)
    assert (payload["candidates"], len(payload["images"]), payload["start"]) == (50, 13, 10)
    digits = load_dataset("digits", train_size=10)
    for place, (name, folder) in enumerate(saved.items()):
        net, card = load_model(folder)
        with torch.inference_mode():
            expected = net(card.normalise(digits.test_images[:50])).softmax(-1)
        network = payload["networks"][place]
        assert (network["name"], network["exits"]) == (name, [1, 2, 3])
        assert network["macs"] == list(exit_costs(net, (1, 8, 8)).macs_cumulative)
        wrong = (expected.argmax(-1) != digits.test_labels[:50]).double().mean(1)
        assert network["errors"] == pytest.approx(wrong.tolist(), abs=1e-6)
        for image in payload["images"]:
            own = expected[:, image["number"] - 1]
            assert np.allclose(image["probabilities"][place], own, atol=1e-4)
            assert image["answers"][place] == own.argmax(-1).tolist()
            assert image["label"] == digits.test_labels[image["number"] - 1]
            assert image["png"] == png_data_uri(digits.test_images[image["number"] - 1])


def test_times_are_the_latest_for_one_image_on_one_thread_of_the_same_layers(saved):
    for network in make_payload(saved, test_size=50, disagreeing=0)["networks"]:  # weights do not change a time
        assert network["milliseconds"] == [1.0, 2.0, 3.142]
        assert network["machine"] == "A processor, 1 thread, batch size 1, PyTorch 2.0"
    alone = make_payload({"X": saved["X"]}, test_size=50, disagreeing=0)
    assert (alone["networks"][0]["milliseconds"], alone["networks"][0]["machine"]) == (None, None)
    assert alone["start"] == 0  # no image with disagreement to begin with


def test_networks_for_other_classes_are_refused(saved, tmp_path):
    other = model(dataset="digits")
    save_model(tmp_path / "other", other.net, other.card)
    with pytest.raises(InputError, match="expected networks for the same classes"):
        make_payload({**saved, "other": tmp_path / "other"}, test_size=50)


# --- range, picture, script ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("macs", "expected"),
    [
        (30_823_968, (31.0, 0.5)),
        (31_000_000, (31.0, 0.5)),
        (31_000_001, (31.5, 0.5)),
        (40_000_000, (40.0, 1.0)),
        (39_999_999, (40.0, 0.5)),
        (3_725_728, (3.75, 0.05)),
        (1_818_000_000, (1820.0, 20.0)),
        (1234, (0.00124, 0.00002)),
    ],
)
def test_range_of_the_slider(macs, expected):
    end, step = slider_range(macs)
    assert (end, step) == expected
    assert end * 1e6 >= macs
    assert round(end / step) >= 40


@pytest.mark.parametrize("shape", [(1, 5, 4), (3, 5, 4)])
def test_a_picture_holds_its_pixels(shape):
    image = torch.randint(0, 256, shape, dtype=torch.uint8)
    kind, _, content = png_data_uri(image).partition(",")
    assert kind == "data:image/png;base64"
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert np.array_equal(read, image[0] if shape[0] == 1 else image.permute(1, 2, 0))


def test_script_holds_the_payload():
    payload = load_payload(ROOT / "data/budget_slider.json")
    payload["classes"][0] = "</script><b>é"
    script = slider_script(payload)
    assert script.isascii()
    assert "</" not in script
    name, _, text = script.rstrip(";\n").partition(" = ")
    assert name == "window.budgetSliderData"
    assert json.loads(text) == payload


def test_script_refuses_what_no_browser_reads():
    with pytest.raises(ValueError, match="not JSON compliant"):
        slider_script({"macs": float("nan")})


# --- the element ---------------------------------------------------------------------------------------------------


def test_code_is_small_and_loads_nothing():
    code = (ASSETS / "budget-slider.js").read_text()
    assert len(code.splitlines()) < 250
    assert not re.search(r"fetch|XMLHttpRequest|\bimport\b|innerHTML|https?:", code)
    assert "</script" not in code  # the notebook puts it into its page
    assert set(re.findall(r"window\.(\w+)", code)) == {"matchMedia", "budgetSliderData"}


def test_code_asks_for_nothing_that_the_payload_lacks():
    """The other way round too: what is in the payload is shown, but for what the page's text tells."""
    payload = load_payload(ROOT / "data/budget_slider.json")
    code = (ASSETS / "budget-slider.js").read_text()
    asked = set(re.findall(r"\bdata\.(\w+)", code)) | set(re.search(r"const \{ (.*?) \} = data;", code)[1].split(", "))
    assert asked == payload.keys()
    assert set(re.findall(r"\bnetwork\.(\w+)", code)) == payload["networks"][0].keys() - {
        "machine",
        "network",
        "record",
        *CHANGES,
    }
    assert set(re.findall(r"\bimage\.(\w+)", code)) == payload["images"][0].keys()


def test_the_landing_page_loads_what_the_book_holds():
    """Static files lie side by side in _static of the built book."""
    intro = (ROOT / "book/intro.md").read_text()
    static = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["html_static_path"]
    pages = yaml.safe_load((ROOT / "workflow/pages.yaml").read_text())
    made = [f"build/figures/{name}" for name in pages["budget_slider"]["figures"]]
    assert ELEMENT in intro
    loaded = re.findall(r'(?:src|href)="\.\./_static/([^"]+)"', intro)
    assert loaded == ["budget-slider.css", "budget_slider_data.js", "budget-slider.js"]  # the data before the code
    for name in loaded:
        assert (ASSETS / name).exists() or f"build/figures/{name}" in {*made} & {*static}


def test_element_with_all_it_needs_inside(tmp_path):
    (tmp_path / "budget-slider.css").write_text("p {}\n")
    (tmp_path / "budget-slider.js").write_text("start();\n")
    html = slider_html("window.budgetSliderData = {};\n", tmp_path)
    assert re.findall(r"<(style|div|script)", html) == ["style", "div", "script", "script"]
    assert html.index("budgetSliderData") < html.index("start()")


# --- the notebook and the models that come with the repository --------------------------------------------------------


def run(monkeypatch, **changed):
    """Execute the code of the notebook, with other parameters; gives its namespace."""
    monkeypatch.setattr("myst_nb.glue", lambda *_, **__: None)
    cells = json.loads((ROOT / "notebooks/stop_it_yourself.ipynb").read_text(encoding="utf-8"))["cells"]
    namespace = {"In": []}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace.update(changed)
    return namespace


def test_the_notebook_shows_other_networks(saved, tmp_path, monkeypatch):
    changed = {
        "models": {name: str(folder) for name, folder in saved.items()},
        "figures_dir": str(tmp_path / "out"),
        "data": str(tmp_path / "data.json"),
        "remake": True,
    }
    found = run(monkeypatch, **changed, test_size=50, disagreeing=3)
    assert load_payload(tmp_path / "data.json") == found["payload"]
    assert (tmp_path / "out/budget_slider_data.js").read_text() == slider_script(found["payload"])
    with pytest.raises(InputError, match="bad parameters: test_size"):
        run(monkeypatch, **changed, test_size=0)


def test_the_two_models_differ_in_their_weighting_alone():
    const, adaloss = (load_model(ROOT / f"data/models/fashion-mnist-resann-{name}") for name in ("const", "adaloss"))
    assert fingerprint(const.net) == fingerprint(adaloss.net)
    about = {**adaloss.card.about, "record": const.card.about["record"]}
    own = {"about": about, "latency": (), "weights_sha256": const.card.weights_sha256}
    assert const.card == replace(adaloss.card, **own) != replace(adaloss.card, about=about)
    assert about["record"].startswith("fashion-mnist-resann-const-seed0-")


@needs_garments
def test_the_committed_answers_are_those_of_the_two_models():
    kept = load_payload(ROOT / "data/budget_slider.json")
    folders = {name: ROOT / f"data/models/fashion-mnist-resann-{name.lower()}" for name in ("CONST", "AdaLoss")}
    again = make_payload(folders, test_size=kept["candidates"])
    for one, other in zip(kept["networks"], again["networks"], strict=True):
        counted = dict.fromkeys(("errors", *CHANGES))  # another processor rounds otherwise
        assert {**one, **counted} == {**other, **counted}
        assert one["errors"] == pytest.approx(other["errors"], abs=2 / kept["candidates"])
    for one, other in zip(kept["images"], again["images"], strict=True):
        assert (one["number"], one["label"], one["png"]) == (other["number"], other["label"], other["png"])
        assert np.allclose(one["probabilities"], other["probabilities"], atol=0.01)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"networks": []}'])
def test_a_file_of_other_data_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"data: .*data\.json"):
        load_payload(path)
    with pytest.raises(InputError, match=r"data: .*No such file"):
        load_payload(tmp_path / "absent.json")
