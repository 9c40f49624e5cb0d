"""Damaged files and strange values: one message that names file and fault, nothing overwritten, nothing executed.

Files are damaged at random: by bits, cuts and junk, or, where the format is known, by values of the wrong type, huge
values, missing fields, unknown ones. Any other exception than ours fails the test.
"""

import json
import re

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from anytime_core.errors import InputError
from anytime_study.datasets import DATASETS
from anytime_study.foundations.validation import validated
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.runs.registries import NETWORKS, WEIGHTINGS
from anytime_study.studies.study import load_study
from anytime_study.training.checkpoints import Checkpoints

PATHS = ["../x", "/etc/passwd", "..", "\x00", "con\nfig", "x" * 5000, ""]
CODE = ["__import__('os').mkdir('{trap}')", "os.system", "!!python/object/apply:os.mkdir ['{trap}']"]
HUGE = [2**63 - 1, 2**64, -(2**63), 10**30, 1e308, float("nan"), float("inf"), 5e-324]

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(HUGE + PATHS + CODE)
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner), max_leaves=8
)
fuzz = settings(
    max_examples=30,
    phases=[Phase.generate],  # a case may take long, so none is made smaller
    database=None,
    suppress_health_check=list(HealthCheck),
)


def refused(call, *names):
    """Whether a call raises our error, whose message holds these names; another error is not caught."""
    try:
        call()
    except InputError as error:
        message = str(error)
    else:
        return False
    assert any(name in message for name in names), message
    assert len(message) < 20_000
    return True


@st.composite
def damaged(draw, content):
    """Bytes with some bits flipped, cut off, with junk in between, or something else altogether."""
    content = bytearray(content)
    place = draw(st.integers(0, len(content) - 1))
    kind = draw(st.sampled_from(["flip", "cut", "junk", "zeros", "other"]))
    if kind == "flip":
        content[place] ^= 1 << draw(st.integers(0, 7))
    elif kind == "cut":
        del content[place:]
    elif kind == "junk":
        content[place:place] = draw(st.binary(min_size=1, max_size=40))
    elif kind == "zeros":
        content[place:] = bytes(len(content) - place)
    else:
        return draw(st.sampled_from([b"[" * 50_000, b"{" * 50_000, b"\xff\xfe", b"PK\x03\x04", b"null"]))
    return bytes(content)


def places(content, before=()):
    """Paths to all fields of nested dicts and lists."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from places(value, (*before, key))


@st.composite
def changed(draw, content):
    """The same nested dicts and lists with one field replaced, removed or added."""
    content = json.loads(json.dumps(content))
    *above, last = draw(st.sampled_from(list(places(content))))
    at = content
    for key in above:
        at = at[key]
    change = draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "remove":
        del at[last]
    elif change == "add" and isinstance(at, dict):
        at[draw(st.text(max_size=8))] = draw(values)
    else:
        at[last] = draw(values)
    return content


@pytest.fixture
def trap(tmp_path):
    """What code in a file would make; it must not be there in the end."""
    path = tmp_path / "trapped"
    yield path
    assert not path.exists()


@st.composite
def part(draw, registry):
    """The text of a network or weighting: right, with strange options, or nonsense."""
    name = draw(st.sampled_from(list(registry.entries)))
    options = list(registry.options(name)) or ["x"]
    value = st.integers(-3, 30) | st.lists(st.integers(-1, 9), max_size=4).map(tuple) | st.sampled_from(HUGE + CODE)
    chosen = draw(st.dictionaries(st.sampled_from(options) | st.just("x"), value, max_size=3))
    text = f"{name}({', '.join(f'{key}={value!r}' for key, value in chosen.items())})"
    return draw(st.sampled_from([text, text, text[:-1], text + text, name.upper(), f"{name}.__class__"]))


field = st.one_of(
    st.tuples(st.just("network"), part(NETWORKS)),
    st.tuples(st.just("weighting"), part(WEIGHTINGS)),
    st.tuples(st.just("dataset"), st.sampled_from(list(DATASETS))),
    st.tuples(st.sampled_from([*RunConfig.model_fields, "epoch"]), values),
)


@pytest.mark.slow
def test_configs(trap):
    @fuzz
    @given(st.lists(field, min_size=1, max_size=4).map(dict))
    def case(fields):
        fields = {k: v.replace("{trap}", str(trap)) if isinstance(v, str) else v for k, v in fields.items()}
        made = []
        if not refused(lambda: made.append(validated(RunConfig, fields)), *fields, "together"):
            assert re.fullmatch(
                r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", made[0].name
            )  # a file in the folder, and none elsewhere

    case()


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
    *("!!python/object/apply:os.mkdir ['{trap}']", "title: !!python/name:os.system", BOMB, "grids:\n" + "- " * 3000),
    *("title: 2024-99-99", "title: 0x_", "title: " + "9" * 5000, "? [a]\n: b", "&a [*a]", "title: *nowhere"),
]


def test_studies(trap, tmp_path):
    path = tmp_path / "study.yaml"
    sources = st.one_of(
        damaged(yaml.safe_dump(STUDY).encode()),
        changed(STUDY).map(lambda content: yaml.safe_dump(content).encode("utf-8", "replace")),
        st.sampled_from(NASTY).map(str.encode),
    )

    @fuzz
    @given(sources)
    def case(content):
        content = content.replace(b"{trap}", str(trap).encode())
        path.write_bytes(content)
        refused(lambda: load_study(path), str(path))
        assert path.read_bytes() == content

    case()


def test_records(made_up_record, made_up_divergence, tmp_path):
    path = tmp_path / "record.json"
    good = [record.save(tmp_path / "good").read_bytes() for record in (made_up_record(), made_up_divergence(seed=1))]
    as_json = [changed(json.loads(content)).map(json.dumps).map(str.encode) for content in good]

    @fuzz
    @given(st.one_of(*map(damaged, good), *as_json))
    def case(content):
        path.write_bytes(content)
        made = []
        if not refused(lambda: made.append(load_outcome(path)), str(path)):
            assert (tmp_path / f"{made[0].name}.json").resolve().parent == tmp_path.resolve()

    case()


def test_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run.pt")
    checkpoints.save({"made_by": {}, "step": 3})
    whole = checkpoints.path.read_bytes()

    @fuzz
    @given(damaged(whole))
    def case(content):
        checkpoints.path.write_bytes(content)
        assert checkpoints.load({}) == ({"made_by": {}, "step": 3} if content == whole else None)

    case()
