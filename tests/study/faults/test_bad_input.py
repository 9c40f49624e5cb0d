"""Bad files and values: one message that names file and fault, nothing overwritten, nothing executed.

Each kind of file is damaged at random: by bits, cuts and junk, or, where its format is known, by values of the wrong
type, huge values, missing fields, unknown ones, and names that lead out of the folder. Whatever happens must be one of
the outcomes that the case returns; any other exception than ours fails the test.
"""

import gzip
import hashlib
import io
import json
import os
import pickle
import re
import struct
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import strategies as st
from PIL import Image

import anytime_core
from anytime_core.errors import InputError
from anytime_study.analysis.claims import CLAIMS, load_claims
from anytime_study.datasets import DATASETS, DatasetError, load_dataset, readers
from anytime_study.datasets.image_files import load_image
from anytime_study.foundations.validation import validated
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.runs.registries import NETWORKS, WEIGHTINGS
from anytime_study.studies.study import load_study
from anytime_study.training.artefacts import CARD, WEIGHTS, ModelCard, load_model, save_model
from anytime_study.training.checkpoints import _MAGIC, Checkpoints

PATHS = ["../x", "../../../../etc/passwd", "/etc/passwd", "~/x", "a/b", "..", ".", "\x00", "con\nfig", "x" * 5000, ""]
CODE = ["__import__('os').mkdir('{trap}')", "os.system", "!!python/object/apply:os.mkdir ['{trap}']"]
HUGE = [2**31, 2**63 - 1, 2**64, -(2**63), 10**30, 1e308, -1e308, float("nan"), float("inf"), 5e-324]

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(HUGE),
    st.floats(),
    st.sampled_from(PATHS + CODE),
    st.text(max_size=30),
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner), max_leaves=8
)


def refusal(call, error, *names):
    """The message of the error that ``call`` raises, None if it raises none. Another error is not caught."""
    try:
        call()
    except error as caught:
        kind, message = type(caught), str(caught)
    else:
        return None
    assert kind is error
    assert all(name in message for name in names), message
    assert "Traceback" not in message
    assert len(message) < 20_000
    return message


@st.composite
def damaged(draw, content):
    """Bytes with some bits flipped, cut off, with junk in between, or something else altogether."""
    content = bytearray(content)
    kind = draw(st.sampled_from(["flip", "flip", "cut", "junk", "double", "zeros", "other"]))
    place = draw(st.integers(0, len(content) - 1))
    if kind == "flip":
        for at in [place, *draw(st.lists(st.integers(0, len(content) - 1), max_size=3))]:
            content[at] ^= 1 << draw(st.integers(0, 7))
    elif kind == "cut":
        del content[place:]
    elif kind == "junk":
        content[place:place] = draw(st.binary(min_size=1, max_size=40))
    elif kind == "double":
        content += content[place:]
    elif kind == "zeros":
        end = draw(st.integers(place, len(content)))
        content[place:end] = bytes(end - place)
    else:
        return draw(
            st.binary(max_size=200) | st.sampled_from([b"[" * 50_000, b"{" * 50_000, b"\xff\xfe", b"PK\x03\x04"])
        )
    return bytes(content)


def places(content, before=()):
    """Paths to all fields of nested dicts and lists."""
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inner:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


@st.composite
def changed(draw, content):
    """The same nested dicts and lists with a few fields replaced, removed or added."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(list(places(content)) or [("new",)]))
        at = content
        for key in above:
            at = at[key]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "replace":
            at[last] = draw(values)
        elif change == "remove":
            del at[last]
        elif isinstance(at, dict):
            at[draw(st.text(max_size=8) | st.sampled_from(PATHS))] = draw(values)
        else:
            at.append(draw(values))
    return content


def as_json(content):
    return json.dumps(content).encode("utf-8", "surrogatepass")


@pytest.fixture
def trap(tmp_path):
    """What code in a file would make; it must not be there in the end."""
    path = tmp_path / "trapped"
    yield path
    assert not path.exists()


@pytest.fixture
def traps(trap):
    """Pickles that make the trap when they are unpacked."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    buffer = io.BytesIO()
    torch.save({"made_by": {}, "weights": Trap()}, buffer)
    return [pickle.dumps(Trap()), pickle.dumps({"made_by": {}, "a": Trap()}, protocol=0), buffer.getvalue()]


@pytest.fixture
def written(tmp_path):
    """Write a file of a case, and see after it that nothing was changed and nothing appeared."""

    def written(path, content, call):
        path.write_bytes(content)
        before = sorted(tmp_path.rglob("*"))
        result = call()
        assert path.read_bytes() == content
        assert sorted(tmp_path.rglob("*")) == before
        return result

    return written


# --- configs and studies -------------------------------------------------------------------------------------------


@st.composite
def part(draw, registry):
    """The text of a network or weighting: right, with strange options, or nonsense."""
    name = draw(st.sampled_from(list(registry.entries)))
    options = list(registry.options(name)) or ["x"]
    value = st.one_of(
        st.integers(-3, 30),
        st.sampled_from([1001, 10**6, 10**9, 2**63, 10**30, 1e308, True, None]),
        st.lists(st.integers(-1, 9) | st.just(10**6), max_size=4).map(tuple),
        st.sampled_from(PATHS + CODE),
    )
    given = draw(st.dictionaries(st.sampled_from(options) | st.just("x"), value, max_size=3))
    text = f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})"
    return draw(st.sampled_from([text, text, text, text[:-1], text + text, name, name.upper(), f"{name}.__class__"]))


field = st.one_of(
    st.tuples(st.just("network"), part(NETWORKS)),
    st.tuples(st.just("weighting"), part(WEIGHTINGS)),
    st.tuples(st.just("dataset"), st.sampled_from(list(DATASETS))),
    st.tuples(st.sampled_from([*RunConfig.model_fields, "epoch"]), values),
)
fields = st.lists(field, min_size=1, max_size=4).map(dict)


def plain_name(config):
    """A run's name is the name of a file in the folder, and of none elsewhere."""
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", config.name)
    return config.name not in (".", "..")


def test_configs(fuzz, trap):
    def case(given):
        given = {
            key: value.replace("{trap}", str(trap)) if isinstance(value, str) else value for key, value in given.items()
        }
        made = []
        message = refusal(lambda: made.append(validated(RunConfig, given)), InputError, "bad parameters: ")
        if message is None:
            assert plain_name(made[0])
            return "a valid run"
        assert any(name in message for name in [*given, "together"])
        return "refused, with the field's name"

    fuzz("values of a run's config", fields, case)


STUDY = {
    "title": "A study",
    "tier": "quick",
    "committed": False,
    "common": {"epochs": 2, "network": "resann(n=1, c=4)"},
    "grids": [{"weighting": ["const", "adaloss"], "seed": [0, 1]}, {"learning_rate": 0.05, "warmup_epochs": 0.5}],
}
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
NASTY = [
    "!!python/object/apply:os.mkdir ['{trap}']",
    "title: !!python/object/new:os.mkdir ['{trap}']",
    "title: !!python/name:os.system",
    BOMB,
    "grids:\n" + "- " * 3000,
    "title: 2024-99-99",
    "title: 9999-12-31 23:59:59-23:59",
    "title: 0x_",
    "title: " + "9" * 5000,
    "? [a]\n: b",
    "&a [*a]",
    "title: 0b",
    "title: *nowhere",
    "a: 1\na: 2",
    "\t",
    "title: x\n---\ntitle: y",
    yaml.safe_dump({**STUDY, "grids": [{name: list(range(1000)) for name in "abcdefgh"}]}),
]
EXTRA = st.sampled_from(NASTY).map(str.encode)


def test_studies(fuzz, written, trap, tmp_path):
    text = yaml.safe_dump(STUDY).encode()
    sources = (
        damaged(text) | changed(STUDY).map(lambda content: yaml.safe_dump(content).encode("utf-8", "replace")) | EXTRA
    )

    def case(content):
        content = content.replace(b"{trap}", str(trap).encode())
        path = tmp_path / "study.yaml"
        made = []
        message = written(path, content, lambda: refusal(lambda: made.append(load_study(path)), InputError, str(path)))
        if message is None:
            assert all(plain_name(config) for config in made[0][1])
            return "read as another valid study"
        return "refused, with file and field"

    fuzz("study files", sources, case)


def test_claims(fuzz, written, trap, tmp_path):
    whole = yaml.safe_load(CLAIMS.read_bytes())
    few = {**whole, "claims": whole["claims"][:2]}  # damage that hits one of forty claims finds no more
    text = yaml.safe_dump(few).encode()
    sources = (
        damaged(text) | changed(few).map(lambda content: yaml.safe_dump(content).encode("utf-8", "replace")) | EXTRA
    )

    def case(content):
        path = tmp_path / "claims.yaml"
        content = content.replace(b"{trap}", str(trap).encode())
        call = lambda: refusal(lambda: load_claims(path), InputError, path.name)  # noqa: E731
        return "read as other valid claims" if written(path, content, call) is None else "refused, with file and field"

    fuzz("files of claims", sources, case)


# --- records and checkpoints ---------------------------------------------------------------------------------------


def test_records(fuzz, written, made_up_record, made_up_divergence, tmp_path, traps):
    good = [
        json.loads(record.save(tmp_path / "good").read_bytes())
        for record in (made_up_record(), made_up_divergence(seed=1))
    ]
    sources = st.one_of(*(damaged(as_json(content)) | changed(content).map(as_json) for content in good))
    sources |= st.sampled_from(traps)

    def case(content):
        path = tmp_path / "record.json"
        made = []
        message = written(
            path, content, lambda: refusal(lambda: made.append(load_outcome(path)), InputError, str(path))
        )
        if message is None:
            record = made[0]
            assert (tmp_path / f"{record.name}.json").resolve().parent == tmp_path.resolve()
            return "read as it was" if record.model_dump(mode="json") in good else "read as another valid record"
        return "refused, with file and field"

    fuzz("records", sources, case)


STATE = {"made_by": {"run": "a"}, "tensor": torch.arange(12.0), "list": [1, 2.5, "x", None], "step": 3}


def forged(content):
    """A checkpoint file with a right checksum around any content."""
    return _MAGIC + hashlib.sha256(content).digest() + content


def test_checkpoints(fuzz, written, tmp_path, traps):
    checkpoints = Checkpoints(tmp_path / "run.pt")
    checkpoints.save({**STATE, "step": 2})
    checkpoints.save(STATE)
    whole = checkpoints.path.read_bytes()
    start = len(_MAGIC) + 32

    def saved(content):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    sources = st.one_of(
        damaged(whole),
        damaged(whole[start:]).map(forged),
        values.map(lambda value: forged(saved(value))),
        st.sampled_from(traps + [forged(content) for content in traps]),
    )

    def case(content):
        state = written(checkpoints.path, content, lambda: checkpoints.load(STATE["made_by"]))
        assert state is not None  # that before is there
        return {2: "passed over for the state before", 3: "read"}.get(state.get("step"), "read")

    outcomes = fuzz("checkpoints", sources, case)
    assert outcomes["passed over for the state before"] > 0.5 * outcomes.total()


# --- models --------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    card = ModelCard(
        network="resann(n=1, c=4)",
        dataset="none",
        class_names=("a", "b"),
        image_shape=(1, 8, 8),
        mean=(0.25,),
        std=(0.5,),
        record="run-1",
    )
    save_model(tmp_path / "model", NETWORKS.build(card.network, num_classes=2, in_channels=1), card)
    return tmp_path / "model"


def loaded(model):
    return refusal(lambda: load_model(model), InputError, str(model)) is None


def test_cards(fuzz, written, model, traps):
    whole = (model / CARD).read_bytes()
    sources = damaged(whole) | changed(json.loads(whole)).map(as_json) | st.sampled_from(traps)

    def case(content):
        good = written(model / CARD, content, lambda: loaded(model))
        return "read: what is left fits the weights" if good else "refused, with file and field"

    fuzz("model cards", sources, case)


def test_weights(fuzz, written, model, traps):
    whole, card = (model / WEIGHTS).read_bytes(), json.loads((model / CARD).read_bytes())
    size = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + size])

    def with_header(content):
        text = as_json(content)
        return struct.pack("<Q", len(text)) + text + whole[8 + size :]

    foreign = st.sampled_from(traps) | changed(header).map(with_header)
    sources = st.tuples(damaged(whole) | foreign, st.booleans())

    def case(given):
        content, forge = given
        digest = hashlib.sha256(content).hexdigest() if forge else card["weights_sha256"]
        (model / CARD).write_text(json.dumps({**card, "weights_sha256": digest}))
        good = written(model / WEIGHTS, content, lambda: loaded(model))
        assert forge or not good or content == whole  # without a right checksum nothing is taken
        return "read: other numbers under a right checksum" if good else "refused, with the file"

    fuzz("weights of models", sources, case)


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
@pytest.mark.parametrize("target", ["../outside", "/etc/hostname"])
def test_a_link_that_leads_out_of_a_model_is_refused(model, name, target, tally):
    outcomes = tally("bad input", f"{name} of a model is a link to {target}")
    (model.parent / "outside").write_bytes((model / name).read_bytes())
    (model / name).unlink()
    (model / name).symlink_to(target)
    with pytest.raises(InputError, match="in the folder, found a link to"):
        load_model(model)
    outcomes["refused, with the file"] += 1


# --- data ----------------------------------------------------------------------------------------------------------


def test_idx_files(fuzz, written, tmp_path, monkeypatch, traps):
    file = "t10k-labels-idx1-ubyte.gz"
    content = struct.pack(">II", 2049, 20) + bytes(range(10)) * 2
    monkeypatch.setitem(readers.FASHION_MNIST_SHA256, file, hashlib.sha256(content).hexdigest())
    whole = gzip.compress(content, mtime=0)
    reader = readers.IdxReader()
    sources = damaged(whole) | damaged(content).map(gzip.compress)
    sources |= st.sampled_from([*traps, *map(gzip.compress, traps), gzip.compress(bytes(10**6))])

    def case(given):
        path = tmp_path / file
        made = []

        def call():
            try:
                made.append(reader._content(path))
            except DatasetError as bad:
                made.append(str(bad))

        written(path, given, call)
        good = made == [content]
        assert good or made[0].startswith(f"{path}: ")
        return "read: the content is right" if good else "refused, with the file"

    fuzz("gzipped IDX files of a data set", sources, case)


def test_a_data_set_with_a_bad_file_says_how_to_get_a_sound_one(tmp_path, traps):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for file in readers.FASHION_MNIST_SHA256:
        (folder / file).write_bytes(traps[0])
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz: not a sound gzip file .* To get it: remove"):
        load_dataset("fashion-mnist", cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_pickles_in_place_of_cifar_are_not_unpacked(tmp_path, trap, traps, name, tally):
    """The files are pickles. Their checksums are looked at before they are unpacked, of every file in turn."""
    outcomes = tally("bad input", f"a foreign pickle in place of a file of {name}")
    source = readers.CifarReader(DATASETS[name].reader.torchvision_name)._source()
    folder = tmp_path / name / source.base_folder
    folder.mkdir(parents=True)
    for file, _ in (*source.train_list, *source.test_list, (source.meta["filename"], None)):
        (folder / file).write_bytes(traps[0])
    with pytest.raises(DatasetError, match="truncated or altered: MD5 expected"):
        load_dataset(name, cache_dir=tmp_path)
    outcomes["refused, with the file"] += 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images(fuzz, written, tmp_path, kind, traps):
    buffer = io.BytesIO()
    Image.effect_noise((24, 20), 80).save(buffer, kind)

    def case(content):
        path = tmp_path / "image"
        shapes = []
        call = lambda: refusal(lambda: shapes.append(load_image(path, (1, 8, 8)).shape), InputError, str(path))  # noqa: E731
        if written(path, content, call) is None:
            assert shapes == [(1, 1, 8, 8)]
            return "read as an image"
        return "refused, with the file"

    fuzz(f"images to predict ({kind})", damaged(buffer.getvalue()) | st.sampled_from(traps), case)


def test_no_file_is_read_in_a_way_that_could_run_code():
    """YAML by the safe loader, torch's files as weights only, pickles never (torchvision's of CIFAR: see above)."""
    package = Path(anytime_core.__file__).parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    assert set(re.findall(r"yaml\.\w*[Ll]oad\w*", text)) == {"yaml.safe_load", "yaml.SafeLoader"}
    assert re.findall(r"torch\.load\([^\n]*", text)
    assert all("weights_only=True" in call for call in re.findall(r"torch\.load\([^\n]*", text))
    assert not re.search(r"pickle\.loads?\(|(?<![.\w])(eval|exec)\(", text)
