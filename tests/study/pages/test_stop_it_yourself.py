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

from anytime_core.errors import InputError
from anytime_core.inference.latency import fingerprint
from anytime_study.datasets import default_cache_dir, load_dataset
from anytime_study.pages.stop_it_yourself import (
    DATA,
    IMAGES,
    MOST_SEEDS,
    SCRIPT,
    STILL,
    choose_images,
    data_script,
    half_way,
    images_of,
    lost,
    paired_seeds,
    png_data_uri,
    write_scripts,
)
from anytime_study.training.artefacts import load_model

ROOT = Path(__file__).parents[3]
ASSETS = ROOT / "book/_assets"
NOTEBOOK = json.loads((ROOT / "notebooks/stop_it_yourself.ipynb").read_text(encoding="utf-8"))["cells"]
PAGES = yaml.safe_load((ROOT / "workflow/pages.yaml").read_text(encoding="utf-8"))


def parameters():
    """The notebook's, as they are in its cell."""
    namespace = {}
    exec(next("".join(c["source"]) for c in NOTEBOOK if "parameters" in c["metadata"].get("tags", [])), namespace)
    return namespace


KINDS = {kind: {name: ROOT / path for name, path in two.items()} for kind, two in parameters()["kinds"].items()}
KEPT = json.loads((ROOT / parameters()["images"]).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    return folder, write_scripts(KINDS, KEPT, folder, ROOT / "data/records")


# --- which images --------------------------------------------------------------------------------------------------

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])


def answers(**changed):
    """All right, [2 networks, 3 exits, N], but for images i0, i1, … whose answers are given for each network."""
    found = np.broadcast_to(LABELS, (2, 3, len(LABELS))).copy()
    for name, both in changed.items():
        found[:, :, int(name[1:])] = both
    return found


def test_the_first_image_is_one_that_later_exits_of_both_correct():
    found = answers(i2=[[0, 2, 2], [2, 2, 2]], i5=[[0, 2, 0], [0, 2, 2]], i7=[[0, 0, 1], [2, 1, 1]])
    chosen = choose_images(LABELS, found)
    assert chosen[0] == 7  # in 2 one network is right at once, in 5 one is wrong in the end
    assert {2, 5} < set(chosen[1:])  # the others on which exits disagree
    assert chosen[1:] == sorted(chosen[1:])
    assert len(set(chosen)) == IMAGES


def test_at_most_four_of_each_sort_of_disagreement_and_new_classes_first():
    corrected, divided = [[9, 9, -1], [9, -1, -1]], [[9, -1, 9], [-1, -1, -1]]
    found = answers()
    for place in range(12):
        both = np.array(corrected if place < 6 else divided)
        found[:, :, place] = np.where(both < 0, LABELS[place], both)
    with pytest.raises(InputError, match="found 10 of 14"):
        choose_images(LABELS, found)  # four, four, and the two that are left


def test_the_choice_does_not_know_which_network_is_which():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 300)
    found = np.where(generator.random((2, 5, 300)) < 0.8, labels, generator.integers(0, 3, (2, 5, 300)))
    assert choose_images(labels, found) == choose_images(labels, found[::-1])


def test_exits_that_never_disagree_are_refused():
    with pytest.raises(InputError, match="some of which exits disagree on, found 12 of 14"):
        choose_images(LABELS, answers())


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_images_are_those_of_the_rule_with_their_answers(kind):
    first, second = (load_model(folder) for folder in KINDS[kind].values())
    dataset = first.card.about["dataset"]
    places = (default_cache_dir(), Path("/usr/share/datasets"))
    if dataset != "digits" and not any((place / dataset).is_dir() for place in places):
        pytest.skip(f"needs {dataset}")
    data = load_dataset(dataset, train_size=1)
    for image in KEPT[kind]:
        pixels = data.test_images[image["number"] - 1 : image["number"]]
        assert (image["png"], image["label"]) == (png_data_uri(pixels[0]), int(data.test_labels[image["number"] - 1]))
        with torch.inference_mode():
            found = [net(card.normalise(pixels)).argmax(-1).flatten().tolist() for net, card in (first, second)]
        assert image["answers"] == found
    right = [[answer == KEPT[kind][0]["label"] for answer in one] for one in KEPT[kind][0]["answers"]]
    assert all(not exits[0] and exits[-1] for exits in right)


def test_the_rule_makes_the_committed_digits_where_the_file_has_none(tmp_path):
    made = images_of({"digits": KINDS["digits"]}, tmp_path / "kept.json")
    assert made == json.loads((tmp_path / "kept.json").read_text()) == {"digits": KEPT["digits"]}


# --- what is written -------------------------------------------------------------------------------------------------


def test_every_number_is_the_one_in_the_record(written):
    folder, data = written
    script = (folder / DATA).read_text()
    assert script == data_script("STOP_IT_YOURSELF", data)
    for kind, folders in KINDS.items():
        assert data[kind]["images"] == KEPT[kind]
        for network, path in zip(data[kind]["networks"], folders.values(), strict=True):
            name = load_model(path).card.about["record"]
            record = json.loads(next((ROOT / "data/records").glob(f"*/{name}.json")).read_text())
            assert network["record"] == name
            assert network["errors"] == record["test"]["error"]
            assert network["weights"] == record["epoch_weights"][-1]
            assert network["macs"] == record["costs"]["macs_cumulative"]
            assert f'["{network["id"]}"]' in (folder / network["script"]).read_text()[:100]


RECORDS = ROOT / "data/records"


def test_the_explorables_show_the_records_epochs_and_the_pairs(written):
    folder, data = written
    script = (folder / SCRIPT).read_text()
    drawn = json.loads(script.removeprefix("window.EXPLORABLES_DATA = ").rstrip(";\n"))
    for shown, network in zip(drawn["playedBack"]["garments"]["networks"], data["garments"]["networks"], strict=True):
        record = json.loads((RECORDS / f"laptop/{network['record']}.json").read_text())
        assert shown["record"] == network["record"]
        np.testing.assert_allclose(shown["losses"], record["epoch_losses"], rtol=1e-3)
        np.testing.assert_allclose(shown["weights"], record["epoch_weights"], rtol=1e-3)
    assert drawn["pairedSeeds"] == paired_seeds(RECORDS)
    assert len(drawn["t95"]) == 2 * MOST_SEEDS - 1
    assert drawn["t95"][3] == pytest.approx(2.776445, abs=1e-6)  # four degrees of freedom, from a printed table


def test_seeds_are_paired_within_one_setting_of_cifar():
    for found in paired_seeds(RECORDS):
        seeds, (const, adaloss) = found["seeds"], np.array(found["errors"])
        assert seeds == sorted(set(seeds))
        assert len(seeds) >= 3
        assert len(const) == len(adaloss) == len(seeds)
        for weighting, errors in (("const", const), ("adaloss", adaloss)):
            for seed, error in zip(seeds, errors, strict=True):
                records = map(
                    json.loads, (path.read_text() for path in (RECORDS / "cifar").glob(f"*-{weighting}-seed{seed}-*"))
                )
                assert error.tolist() in [one["test"]["error"] for one in records if one["config"]["batch_size"] == 128]


def test_without_records_of_cifar_there_are_no_pairs(tmp_path):
    assert paired_seeds(tmp_path) == []


def test_a_page_loads_at_most_two_megabytes(written):
    """What a page loads at first: the first kind of image, and digits. Other networks come when they are chosen."""
    folder, data = written
    sizes = {path.name: path.stat().st_size for path in [*folder.iterdir(), *ASSETS.glob("*.*")]}
    first = next(iter(data))
    scripts = [network["script"] for kind in {first, "digits"} for network in data[kind]["networks"]]
    own = [name for name in sizes if re.match(r"stop-it-yourself|live-|anytime-runtime", name)]
    assert sum(sizes[name] for name in [*scripts, *own]) < 2_000_000
    assert max(sizes[name] for name in scripts) < 750_000


def test_the_picture_for_those_without_javascript_says_what_every_exit_said(written):
    folder, data = written
    kind = next(iter(data.values()))
    said = re.findall(r'font-size="11">([^<]*)<', (folder / STILL).read_text())
    assert said == [kind["classes"][answer] for one in kind["images"][0]["answers"] for answer in one]


def test_a_network_without_its_record_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected the record digits-resann-const-seed0"):
        write_scripts({"digits": KINDS["digits"]}, KEPT, tmp_path, tmp_path)


def test_a_script_is_plain_text_that_ends_no_element():
    script = data_script("NAME", {"a": "</script>é"})
    assert script == 'window.NAME = {"a":"<\\/script>\\u00e9"};\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        data_script("NAME", float("nan"))


@pytest.mark.parametrize("shape", [(1, 5, 4), (3, 5, 4)])
def test_a_picture_holds_its_pixels(shape):
    image = torch.randint(0, 256, shape, dtype=torch.uint8)
    kind, _, content = png_data_uri(image).partition(",")
    assert kind == "data:image/png;base64"
    read = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert np.array_equal(read, image[0] if shape[0] == 1 else image.permute(1, 2, 0))


def test_images_that_a_later_exit_spoils_are_told():
    def image(number, *answers):
        return {"number": number, "label": 1, "answers": [list(one) for one in answers]}

    kind = {"networks": [{"name": "X"}, {"name": "Y"}], "images": [image(3, (1, 0), (0, 1)), image(8, (1, 0), (1, 0))]}
    assert lost(kind) == "Three times, a later exit spoils a right answer: X on test images 3 and 8, Y on test image 8."
    macs = {"macs": [4, 10]}
    assert half_way({"networks": [macs, macs], "images": kind["images"]}) == (1, 1)
    kind["images"] = [image(3, (0, 1), (0, 0))]
    assert lost(kind).endswith("it does not on these twelve images.")


# --- the element ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_two_models_differ_in_their_weighting_alone(kind):
    const, adaloss = (load_model(folder) for folder in KINDS[kind].values())
    assert fingerprint(const.net) == fingerprint(adaloss.net)
    about = {**adaloss.card.about, "record": const.card.about["record"]}
    own = {"about": about, "latency": const.card.latency, "weights_sha256": const.card.weights_sha256}
    assert const.card == replace(adaloss.card, **own)


def test_both_pages_load_what_the_book_holds():
    """Static files lie side by side in _static of the built book, and the script finds the others beside itself."""
    static = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]["html_static_path"]
    assert static == ["book/_assets", parameters()["figures_dir"]]
    assert PAGES["stop_it_yourself"]["figures"] == [f"live/{name}" for name in (DATA, STILL, SCRIPT)]
    for text in ((ROOT / "book/intro.md").read_text(), "".join("".join(cell["source"]) for cell in NOTEBOOK)):
        assert re.findall(r'<div class="(stop-it-yourself)"', text) == ["stop-it-yourself"]
        loaded = re.findall(r'(?:src|href)="(?:\.\./)+_static/(.*?)"', text)
        assert loaded[:2] == ["stop-it-yourself.css", "stop-it-yourself.js"]
        assert loaded[2:] in ([], ["explorables/explorable.js"])
    code = (ASSETS / "stop-it-yourself.js").read_text()
    parts = re.findall(r'"([\w-]+\.js)"', re.search(r"PARTS = \[.*?\]", code)[0])
    assert [part for part in parts if not (ASSETS / part).exists()] == [DATA]


@pytest.mark.parametrize("script", [*ASSETS.glob("*.js"), *ASSETS.glob("explorables/*.js")], ids=lambda path: path.stem)
def test_scripts_ask_nobody_and_write_no_markup(script):
    code = script.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"fetch\(|XMLHttpRequest|\bimport\b|innerHTML|https?:|Worker\(", code)
    assert len(code.splitlines()) < 400
