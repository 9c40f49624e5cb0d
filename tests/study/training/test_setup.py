import pytest
from torch import nn

from anytime_study.runs.registries import NETWORKS
from anytime_study.training.loop import TrainingRun
from anytime_study.training.setup import decay_groups, learning_rate_factor

# --- learning rate ---------------------------------------------------------------------------------------------------


def factors(total, warmup, schedule):
    return [
        learning_rate_factor(step, total_steps=total, warmup_steps=warmup, schedule=schedule) for step in range(total)
    ]


@pytest.mark.parametrize(
    ("total", "warmup", "schedule", "expected"),
    [
        (4, 0, "cosine", [1, 0.5 + 0.5**0.5 / 2, 0.5, 0.5 - 0.5**0.5 / 2]),
        (8, 4, "cosine", [0.25, 0.5, 0.75, 1, 1, 0.5 + 0.5**0.5 / 2, 0.5, 0.5 - 0.5**0.5 / 2]),
        (8, 0, "steps", [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        (8, 2, "steps", [0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
        (5, 0, "steps", [1, 1, 1, 0.1, 0.01]),  # half of 5 is 2.5, three quarters are 3.75
        (6, 0, "thirds", [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (7, 3, "thirds", [1 / 3, 2 / 3, 1, 0.1, 0.1, 0.01, 0.01]),  # thirds of 7 are 2.33 and 4.67
        (1, 0, "cosine", [1]),
        (1, 0, "steps", [1]),
        (2, 2, "cosine", [0.5, 1]),
    ],
)
def test_by_hand(total, warmup, schedule, expected):
    assert factors(total, warmup, schedule) == pytest.approx(expected)


def test_the_cosine_ends_at_zero_after_the_last_step():
    # the scheduler asks for one more step than there is
    assert learning_rate_factor(8, total_steps=8, warmup_steps=2, schedule="cosine") == pytest.approx(0)
    assert learning_rate_factor(2, total_steps=2, warmup_steps=2, schedule="cosine") == 1


# --- decay -----------------------------------------------------------------------------------------------------------

NETS = ["resann(n=1, c=4)", "two_heads(n=1, c=4)", "eann(n=(1, 2), c=4)"]


def decays(net, **options):
    """Parameter name -> its weight decay."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = decay_groups(net, 0.1, **options)
    found = [(names[id(p)], group["weight_decay"]) for group in groups for p in group["params"]]
    assert len(found) == len(names) == len(dict(found))  # each parameter is in one group
    return dict(found)


@pytest.mark.parametrize("network", NETS)
def test_all_but_batch_norm_decays_alike(network):
    net = NETWORKS.build(network, num_classes=10, in_channels=1)
    modules = dict(net.named_modules())
    for name, decay in decays(net).items():
        is_norm = isinstance(modules[name.rpartition(".")[0]], nn.BatchNorm2d)
        assert decay == (0 if is_norm else 0.1)
    assert len(decay_groups(net, 0.1)) == 2


def test_sieve_scales_the_linear_layers_of_the_heads_alone():
    net = NETWORKS.build("resann(n=3, c=2, s=2)", num_classes=10, in_channels=1)  # 5 exits
    plain, scaled = decays(net), decays(net, heads="sieve")
    by_hand = [3 / 7, 1 / 7, 2 / 7, 1 / 7, 1]  # distances 4, 3, 2, 1 from the end weigh 1 + their exponent of 2
    for name, decay in scaled.items():
        part, number, _ = name.split(".", 2)
        is_linear = part == "heads" and ".linear." in name
        assert decay == pytest.approx(plain[name] * (by_hand[int(number)] if is_linear else 1))
    assert sum(".linear." in name for name in scaled) == 10  # weights and biases


def test_a_run_decays_its_heads_as_asked(tiny_config):
    # with opt at the last exit nothing but its decay moves another head
    plain = {"weighting": "opt", "weight_decay": 0.1}
    heads = {}
    for kind in ("same", "sieve"):
        run = TrainingRun(tiny_config(head_weight_decay=kind, **plain))
        before = [head.linear.weight.detach().clone() for head in run.network.heads]
        run.fit(progress=False)
        after = [head.linear.weight.detach() for head in run.network.heads]
        heads[kind] = [1 - (new / old).median().item() for old, new in zip(before, after, strict=True)]
    assert heads["same"][0] == pytest.approx(heads["same"][1], rel=0.01)
    # SIEVE of three exits is 2/3, 1/3, 1; what decay takes in eight steps is nearly proportional to it
    assert heads["sieve"][0] == pytest.approx(heads["same"][0] * 2 / 3, rel=0.05)
    assert heads["sieve"][1] == pytest.approx(heads["same"][1] / 3, rel=0.05)
