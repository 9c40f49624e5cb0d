import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from anytime_core import exit_costs
from anytime_core.errors import InputError
from anytime_core.inference.latency import ExitLatency, LatencyTable, Quantiles, fingerprint
from anytime_study.datasets import load_dataset
from anytime_study.pages.budget_slider import (
    CHANGES,
    ExitAnswers,
    choose_images,
    exit_answers,
    latest_table,
    machine_text,
    make_payload,
    png_data_uri,
    slider_payload,
    slider_range,
    with_measured_times,
)
from anytime_study.pages.slider_page import ELEMENT, load_payload, slider_html, slider_script
from anytime_study.runs.registries import NETWORKS
from anytime_study.training.artefacts import ModelCard, TrainedModel, load_model, save_model

ROOT = Path(__file__).parents[3]
ASSETS = ROOT / "book/_assets"
CLASSES = ("a", "b", "c")
needs_garments = pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs Fashion-MNIST"
)


def model(seed=0, network="resann(n=1, c=4)", classes=CLASSES, shape=(1, 8, 8), latency=(), dataset="none"):
    torch.manual_seed(seed)
    net = NETWORKS.build(network, num_classes=len(classes), in_channels=shape[0])
    card = ModelCard(
        network=network,
        dataset=dataset,
        class_names=classes,
        image_shape=shape,
        mean=(0.25,) * shape[0],
        std=(0.5,) * shape[0],
        latency=latency,
    )
    return TrainedModel(net.eval(), card)


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
        batch_size=batch_size,
        image_shape=(1, 8, 8),
        torch="2.0",
        rounds=100,
        exits=rows,
    )


@pytest.fixture
def images():
    return torch.randint(0, 256, (7, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def answering(*classes):
    """Answers of K exits on N images, from the class of each: 0.6 on it, 0.2 on the other two; 100 k MACs at exit k."""
    probabilities = 0.2 + 0.4 * np.eye(3, dtype=np.float32)[np.array(classes)]
    exits = tuple(range(1, len(classes) + 1))
    return ExitAnswers(exits, tuple(100 * number for number in exits), probabilities.astype(np.float32))


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [2, 7])
def test_answers_are_those_of_the_network(images, batch_size):
    one = model()
    found = exit_answers(one, images, batch_size=batch_size)
    with torch.inference_mode():
        expected = one.net((images.float() / 255 - 0.25) / 0.5).softmax(-1)
    torch.testing.assert_close(torch.from_numpy(found.probabilities), expected, rtol=1e-4, atol=1e-5)
    assert found.exits == (1, 2, 3)
    assert found.macs == exit_costs(one.net, (1, 8, 8)).macs_cumulative
    assert np.array_equal(found.classes, expected.argmax(-1))


# --- which images --------------------------------------------------------------------------------------------------

LABELS = np.array([1, 1, 0, 2, 0, 2, 1, 0])
FIRST = np.array([[1, 0, 0, 2, 0, 2, 1, 0], [1, 0, 0, 2, 0, 2, 1, 1]])  # disagrees with itself on image 7
SECOND = np.array([[1, 0, 0, 1, 0, 1, 1, 0]])  # disagrees with FIRST on images 3, which is a first one, and 5


def test_the_first_of_each_class_and_the_first_that_exits_disagree_on():
    assert choose_images(LABELS, [FIRST, SECOND], disagreeing=2) == ([2, 0, 3], [5, 7])
    assert choose_images(LABELS, [FIRST, SECOND], disagreeing=1) == ([2, 0, 3], [5])
    assert choose_images(LABELS, [FIRST], disagreeing=1) == ([2, 0, 3], [7])
    assert choose_images(LABELS, [FIRST], disagreeing=0) == ([2, 0, 3], [])


def test_images_on_which_all_are_wrong_together_are_no_disagreement():
    assert (FIRST[:, 1] != LABELS[1]).all()
    assert 1 not in choose_images(LABELS, [FIRST, SECOND], disagreeing=2)[1]


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
def shown(images):
    """Two networks of two and one exits, whose answers are made up."""
    models = {"one": model(), "two": model(1)}
    found = {"one": answering([0, 1, 2, 0, 0, 1, 2], [0, 1, 2, 1, 0, 1, 2]), "two": answering([0, 1, 2, 0, 1, 1, 0])}
    labels = torch.tensor([0, 1, 2, 1, 0, 0, 2])
    return slider_payload(models, found, images, labels, disagreeing=2), images


def test_payload(shown):
    payload, images = shown
    assert payload["classes"] == list(CLASSES)
    assert payload["candidates"] == 7
    assert [image["number"] for image in payload["images"]] == [1, 2, 3, 4, 5]  # the last two: exits disagree
    assert payload["start"] == 3
    assert [image["label"] for image in payload["images"]] == [0, 1, 2, 1, 0]
    fourth = payload["images"][3]
    assert fourth["answers"] == [[0, 1], [0]]
    assert fourth["probabilities"] == [[[0.6, 0.2, 0.2], [0.2, 0.6, 0.2]], [[0.6, 0.2, 0.2]]]
    assert fourth["png"] == png_data_uri(images[3])
    one, two = payload["networks"]
    assert (one["name"], one["exits"], one["macs"]) == ("one", [1, 2], [100, 200])
    assert one["errors"] == [round(2 / 7, 6), round(1 / 7, 6)]
    assert two["errors"] == [round(4 / 7, 6)]
    assert one["milliseconds"] is one["machine"] is None


def test_answers_come_from_probabilities_before_they_are_rounded(images):
    found = {"one": answering([0, 1, 2, 0, 0, 0, 0])}
    found["one"].probabilities[0, 0] = [0.400001, 0.400004, 0.199995]
    payload = slider_payload({"one": model()}, found, images, torch.tensor([0, 1, 2, 0, 0, 0, 0]), disagreeing=0)
    assert payload["images"][0]["probabilities"] == [[[0.4, 0.4, 0.2]]]
    assert payload["images"][0]["answers"] == [[1]]
    assert payload["start"] == 0  # no image with disagreement to begin with


def test_payload_refuses_what_does_not_fit(images):
    labels = torch.tensor([0, 1, 2, 1, 0, 0, 2])
    found = {"one": answering(labels.tolist()), "two": answering(labels.tolist())}
    with pytest.raises(InputError, match="found: expected answers of a model, found one, two"):
        slider_payload({}, found, images, labels)
    with pytest.raises(InputError, match="found: expected answers of one, found one, two"):
        slider_payload({"one": model()}, found, images, labels)
    other = model(classes=("a", "b", "d"))
    with pytest.raises(InputError, match=r"the same classes, found \('a', 'b', 'c'\) and \('a', 'b', 'd'\)"):
        slider_payload({"one": model(), "two": other}, found, images, labels)


# --- times ---------------------------------------------------------------------------------------------------------


def test_times_are_the_latest_for_one_image_on_one_thread_of_the_same_layers():
    bare = model()
    old, new = table(bare.net, [0.1, 0.2, 0.3]), table(bare.net, [0.001, 0.002, 0.0031416])
    others = [
        table(bare.net, [5, 6, 7], threads=2),
        table(bare.net, [5, 6, 7], batch_size=8),
        table(model(network="resann(n=2, c=4)").net, [5, 6, 7]),
    ]
    measured = model(latency=(old, new, *others))
    assert latest_table(measured) == new
    assert latest_table(bare) is None
    assert latest_table(bare, [measured]) == new  # weights do not change a time
    assert latest_table(model(network="resann(n=2, c=8)"), [measured]) is None


def test_networks_with_the_same_layers_show_the_same_times(images):
    measured = model(latency=(table(model().net, [0.001, 0.002, 0.00314159]),))
    models = {"one": model(1), "two": measured}
    found = {name: exit_answers(one, images) for name, one in models.items()}
    payload = slider_payload(models, found, images, torch.tensor([0, 1, 2, 1, 0, 0, 2]), disagreeing=0)
    assert [network["milliseconds"] for network in payload["networks"]] == [[1.0, 2.0, 3.142]] * 2
    machine = "A processor, 1 thread, batch size 1, PyTorch 2.0"
    assert [network["machine"] for network in payload["networks"]] == [machine] * 2


def test_machine_text_counts_threads():
    assert machine_text(table(model().net, [1], threads=2, device="X")) == "X, 2 threads, batch size 1, PyTorch 2.0"


def test_times_of_this_machine():
    measured = with_measured_times(model(), 100)
    found = latest_table(measured)
    assert (found.rounds, len(found.exits)) == (100, 3)
    assert found.exits[0].streamed.p50 < found.exits[2].streamed.p50
    with pytest.raises(InputError, match="rounds: expected at least 100"):
        with_measured_times(model(), 99)


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


def test_script_holds_the_payload(shown):
    payload, _ = shown
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


def test_code_asks_for_nothing_that_the_payload_lacks(shown):
    """The other way round too: what is in the payload is shown, but for what the page's text tells."""
    payload, _ = shown
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


def test_element_with_all_it_needs_inside():
    html = slider_html("window.budgetSliderData = {};\n", "p {}\n", "start();\n")
    assert re.findall(r"<(style|div|script)", html) == ["style", "div", "script", "script"]
    assert html.index("budgetSliderData") < html.index("start()")


# --- the notebook and the models that come with the repository --------------------------------------------------------


def run(monkeypatch, **changed):
    """Execute the code of the notebook, with other parameters; gives its namespace."""
    monkeypatch.setattr("myst_nb.glue", lambda *_, **__: None)
    cells = json.loads((ROOT / "notebooks/budget_slider.ipynb").read_text(encoding="utf-8"))["cells"]
    namespace = {"In": []}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace.update(changed)
    return namespace


def test_the_notebook_shows_other_networks(tmp_path, monkeypatch):
    for seed, name in enumerate(("x", "y")):
        digits = load_dataset("digits", train_size=10)
        one = model(seed, classes=digits.class_names, shape=(1, 8, 8), dataset="digits")
        save_model(tmp_path / name, one.net, one.card)
    changed = {
        "models": {"X": str(tmp_path / "x"), "Y": str(tmp_path / "y")},
        "figures_dir": str(tmp_path / "out"),
        "data": str(tmp_path / "data.json"),
        "remake": True,
    }
    found = run(monkeypatch, **changed, test_size=50, disagreeing=3)
    assert load_payload(tmp_path / "data.json") == found["payload"]
    script = (tmp_path / "out/budget_slider_data.js").read_text()
    assert script == slider_script(found["payload"])
    assert [network["name"] for network in found["payload"]["networks"]] == ["X", "Y"]
    assert (found["payload"]["candidates"], len(found["payload"]["images"])) == (50, 13)
    with pytest.raises(InputError, match="bad parameters: test_size"):
        run(monkeypatch, **changed, test_size=0)


def test_the_two_models_differ_in_their_weighting_alone():
    const, adaloss = (load_model(ROOT / f"data/models/fashion-mnist-resann-{name}") for name in ("const", "adaloss"))
    assert fingerprint(const.net) == fingerprint(adaloss.net)
    own = {"record", "weights_sha256", "latency"}
    assert const.card.model_dump(exclude=own) == adaloss.card.model_dump(exclude=own)
    assert const.card.record.startswith("fashion-mnist-resann-const-seed0-")
    assert const.card.weights_sha256 != adaloss.card.weights_sha256


@needs_garments
def test_the_two_models_know_garments():
    data = load_dataset("fashion-mnist", train_size=1)
    for name in ("const", "adaloss"):
        found = exit_answers(load_model(ROOT / f"data/models/fashion-mnist-resann-{name}"), data.test_images[:300])
        errors = (found.classes != data.test_labels[:300].numpy()).mean(1)
        assert errors[0] < 0.4
        assert errors[-1] < 0.2


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
