import hashlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anytime_core.errors import InputError
from anytime_study.datasets import DATASETS
from anytime_study.foundations.validation import validated
from anytime_study.runs import config as config_module
from anytime_study.runs.config import RunConfig

# A record is found by the name of its run. These names are promises: a default never changes its value, and a new field
# comes with the default that means what was done before. If one of these tests fails, records would be lost: do not
# edit the name, undo the change (or raise PROTOCOL, on purpose, when a run no longer means what it did).
PINNED = [
    ({}, "digits-resann-adaloss-seed0-f12f2e92b789"),
    ({"seed": 7}, "digits-resann-adaloss-seed7-c073ed9787b7"),
    (
        {"augment": False, "network": "resann(n=2, c=8)", "batch_size": 32, "weighting": "opt"},
        "digits-resann-opt-seed0-5d78c85ce457",
    ),
    (
        {
            "dataset": "cifar100",
            "network": "resann(n=5)",
            "weighting": "const",
            "schedule": "steps",
            "epochs": 300,
            "batch_size": 64,
            "weight_decay": 2e-4,
        },
        "cifar100-resann-const-seed0-08dece4bc015",
    ),
    (
        {
            "dataset": "fashion-mnist",
            "train_size": 2000,
            "weighting": "adaloss_released(momentum=0.99)",
            "precision": "bf16",
            "threads": 2,
        },
        "fashion-mnist-resann-adaloss_released-seed0-6d3a203dbe7d",
    ),
    (
        {"weighting": "adaloss(floor=0.0)", "learning_rate": 0.05, "warmup_epochs": 0.0, "momentum": 0.0},
        "digits-resann-adaloss-seed0-fd5487f33945",
    ),
]

# Every field with another valid value than its default.
OTHER = {
    "dataset": "fashion-mnist",
    "train_size": 500,
    "augment": False,
    "colour_jitter": True,
    "network": "resann(n=1)",
    "weighting": "linear",
    "seed": 1,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.2,
    "schedule": "steps",
    "warmup_epochs": 0.5,
    "optimiser": "adamw",
    "momentum": 0.5,
    "weight_decay": 0.0,
    "head_weight_decay": "sieve",
    "label_smoothing": 0.1,
    "loss_scales": [1] * 8 + [10],
    "precision": "bf16",
    "compile": True,
    "threads": 2,
    "devices": 2,
    "early_exit": True,
    "device": "cpu",
    "workers": 2,
}
NEEDED = {"colour_jitter": {"dataset": "ilsvrc"}}  # what a field cannot be set without


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fields", "name"), PINNED, ids=[name for _, name in PINNED])
def test_names_never_change(fields, name):
    assert RunConfig(**fields).name == name


def test_defaults_never_change():
    """A changed default would leave the default's name as it is."""
    text = json.dumps(RunConfig().model_dump(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "c98a2d380fb4"


def test_every_field_changes_the_name_but_those_that_say_where():
    assert OTHER.keys() == RunConfig.model_fields.keys()
    names = {field: RunConfig(**NEEDED.get(field, {}), **{field: value}).name for field, value in OTHER.items()}
    assert names.pop("device") == names.pop("workers") == RunConfig().name
    plain = {RunConfig(**needed).name for needed in ({}, *NEEDED.values())}
    assert len({*plain, *names.values()}) == len(plain) + len(names)


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"network": " resann( n = 4, c=8)"}, {"network": "resann(c=8, n=4)"}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"epochs": 15, "device": "cpu"}, {}),
        ({"loss_scales": [2] * 9}, {"loss_scales": (2.0,) * 9}),
        ({"label_smoothing": 0, "head_weight_decay": "same", "loss_scales": None}, {}),
    ],
    ids=str,
)
def test_two_spellings_of_one_run_have_one_name(fields, same):
    assert RunConfig(**fields).name == RunConfig(**same).name


def test_a_new_protocol_renames_every_run(monkeypatch):
    before = RunConfig().name
    monkeypatch.setattr(config_module, "PROTOCOL", config_module.PROTOCOL + 1)
    assert RunConfig().name != before


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "seed": st.integers(0, 2**63 - 1),
            "epochs": st.integers(1, 10**6),
            "batch_size": st.integers(1, 1257),
            "learning_rate": st.floats(1e-9, 10),
            "momentum": st.floats(0, 0.999),
            "weight_decay": st.floats(0, 1),
            "warmup_epochs": st.floats(0, 1),
            "schedule": st.sampled_from(["cosine", "steps", "thirds"]),
            "label_smoothing": st.floats(0, 0.999),
            "loss_scales": st.none() | st.lists(st.floats(1e-6, 1e6), min_size=9, max_size=9),
            "head_weight_decay": st.sampled_from(["same", "sieve"]),
            "weighting": st.sampled_from(["const", "opt(exit=2)", "adaloss(normalisation='sum')"]),
        },
    )
)
def test_a_config_comes_back_from_json_and_from_what_differs_from_the_defaults(fields):
    config = RunConfig(**fields)
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.name == config.name
    assert RunConfig(**config.model_dump(exclude_defaults=True)) == config
    later = {"optimiser"}  # not written down at its default, which is what older records mean
    assert json.loads(config.model_dump_json()).keys() == RunConfig.model_fields.keys() - later


TEXT = {"dataset": "tiny-shakespeare", "network": "gpt"}


def test_another_optimiser_is_written_down():
    config = RunConfig(**TEXT, optimiser="adamw")
    assert config.model_dump()["optimiser"] == "adamw"
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert config.name == "tiny-shakespeare-gpt-adaloss-seed0-37e85dd224e7"


# --- what is refused -----------------------------------------------------------------------------------------------

NAN = float("nan")
JITTER = {"colour_jitter": True}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "Digits"}, r"dataset: .*did you mean digits\?"),
        ({"train_size": 0}, "train_size: .*found 0"),
        ({"train_size": 1258}, "train_size: expected at most the 1257 training images of digits, found 1258"),
        ({"train_size": "100"}, "train_size: expected a valid integer, found '100'"),
        ({"augment": 1}, "augment: expected a valid boolean, found 1"),
        ({"network": "resnet"}, r"network: .*did you mean resann\?"),
        ({"network": "resann(n=0)"}, r"network resann\(n=0\): n: expected a whole number of at least 1, found 0"),
        ({"weighting": "opt(exit=99)"}, "opt exit: expected 1 to 9, found 99"),
        ({"seed": True}, "seed: .*found True"),
        ({"epochs": 1.5}, "epochs: .*found 1.5"),
        ({"batch_size": 1258}, "batch_size: expected at most the 1257 training images used, found 1258"),
        ({"batch_size": 33, "devices": 2}, "batch_size: expected a multiple of the 2 devices"),
        ({"learning_rate": NAN}, "learning_rate: expected a finite number"),
        ({"learning_rate": 0}, "learning_rate: expected greater than 0"),
        ({"schedule": "linear"}, "schedule: .*'cosine', 'steps' or 'thirds'"),
        ({"warmup_epochs": 15.5}, "warmup_epochs: expected at most the 15 epochs of the run, found 15.5"),
        ({"momentum": 1}, "momentum: expected less than 1"),
        ({"weight_decay": -1e-4}, "weight_decay: expected greater than or equal to 0"),
        ({"label_smoothing": 1}, "label_smoothing: expected less than 1"),
        ({"loss_scales": [10, 1]}, r"loss_scales: expected 9 factors.*found \(10.0, 1.0\)"),
        ({"loss_scales": [1] * 8 + [NAN]}, r"loss_scales\.8: "),
        ({"loss_scales": [1] * 8 + [0]}, r"loss_scales\.8: "),
        ({"precision": "fp16"}, "precision: .*'fp32' or 'bf16'"),
        ({"threads": 1025}, "threads: .*1024"),
        ({"device": "tpu"}, "device: .*'auto', 'cpu' or 'cuda'"),
        ({"epoch": 3}, r"epoch: there is no such name \(did you mean epochs\?\)"),
        ({"dataset": "multi-fashion"}, "network: expected no EANN and 2 exits"),
        ({"dataset": "multi-fashion", "network": "eann(n=(1,), s=2)"}, "network: expected no EANN and 2 exits"),
        ({"network": "resann(n=1, c=2, s=3)", "early_exit": True}, "early_exit: expected False"),
        ({"network": "two_heads(n=1)", "dataset": "multi-fashion", "early_exit": True}, "early_exit: expected False"),
        (JITTER, "colour_jitter: expected False"),
        ({**JITTER, "dataset": "ilsvrc", "augment": False}, "colour_jitter: .* but for ilsvrc with augment"),
        ({"weighting": "adaloss(order=1)", "compile": True}, "compile: expected False with gradient norms"),
    ],
    ids=str,
)
def test_bad_values_are_refused_in_one_line(fields, message):
    with pytest.raises(InputError, match=rf"^bad parameters: (together: )?{message}") as caught:
        validated(RunConfig, fields)
    assert "\n" not in str(caught.value)


def test_checking_a_config_computes_nothing_and_draws_no_random_number():
    before = torch.get_rng_state()
    RunConfig(network="resann(n=25, c=128, s=3)", dataset="cifar100")
    assert torch.equal(before, torch.get_rng_state())


# --- what it builds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "images", "steps"),
    [
        ({}, 1257, 9),
        ({"batch_size": 1257}, 1257, 1),
        ({"train_size": 100, "batch_size": 33}, 100, 3),
        ({"dataset": "svhn"}, 599_388, 4682),
    ],
)
def test_steps_leave_the_incomplete_batch_out(fields, images, steps):
    config = RunConfig(**fields)
    assert (config.num_train, config.steps_per_epoch) == (images, steps)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_network_fits_the_data_set(dataset):
    card = DATASETS[dataset]
    network = {1: "resann(n=1, c=2, s=3)", 2: "two_heads(n=1, c=2)"}[card.num_tasks]
    network = "gpt(width=2, blocks=1, heads=1)" if card.reads_text else network
    net = RunConfig(dataset=dataset, network=network).build_network()
    if card.reads_text:
        assert net(card.example()).shape == (1, *card.example().shape, len(card.class_names))
        return
    assert net(torch.zeros(1, *card.image_shape)).shape == (card.num_tasks, 1, len(card.class_names))
