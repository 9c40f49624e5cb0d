import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anytime_core.networks.resann import ResANN
from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.foundations.registry import Registry, did_you_mean
from anytime_study.runs.registries import NETWORKS, WEIGHTINGS


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("resann", "resann"),
        ("resann()", "resann"),
        ("  resann ( ) ", "resann"),
        ("resann(n=3, c=16, s=1)", "resann"),  # the defaults
        ("resann(3,16)", "resann"),
        ("resann(4)", "resann(n=4)"),
        ("resann(4,8)", "resann(n=4, c=8)"),
        ("resann(4, s=2)", "resann(n=4, s=2)"),
        ("resann(s=2,c=8,n=4)", "resann(n=4, c=8, s=2)"),
        ("resann(\nn=4,\n)", "resann(n=4)"),
        ("resann(n=0x10)", "resann(n=16)"),
    ],
)
def test_a_network_has_one_spelling(text, canonical):
    assert NETWORKS.canonical(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("opt", "opt"),
        ("opt(exit=None)", "opt"),
        ("opt(2)", "opt(exit=2)"),
        ("adaloss(momentum=99e-2)", "adaloss"),
        ("adaloss(floor=0.0)", "adaloss(floor=0.0)"),
        ("adaloss(normalisation='sum')", "adaloss(normalisation='sum')"),
        ('adaloss(normalisation="sum", momentum=0.5)', "adaloss(momentum=0.5, normalisation='sum')"),
        ("adaloss(bias_correction=True)", "adaloss(bias_correction=True)"),
        ("adaloss_released(momentum=0.99)", "adaloss_released(momentum=0.99)"),
        ("adaloss_released(momentum=0.9)", "adaloss_released"),
        ("adaloss_formula(refresh_period=1)", "adaloss_formula"),
    ],
)
def test_a_weighting_has_one_spelling(text, canonical):
    assert WEIGHTINGS.canonical(text) == canonical


def test_one_value_has_one_spelling():
    # else one run would have two names and be made twice
    assert WEIGHTINGS.canonical("adaloss(floor=0)") == WEIGHTINGS.canonical("adaloss(floor=0.0)")


@given(st.permutations([("n", 2), ("c", 8), ("s", 4)]), st.integers(0, 3))
def test_the_order_of_options_does_not_matter(options, count):
    chosen = options[:count]
    text = f"resann({', '.join(f'{name}={value}' for name, value in chosen)})"
    canonical = NETWORKS.canonical(text)
    assert canonical == NETWORKS.canonical(canonical)
    net = NETWORKS.build(text)
    assert {"n": net.n, "c": net.c, "s": net.s} == {"n": 3, "c": 16, "s": 1, **dict(chosen)}


def test_build_takes_options_and_what_the_trainer_supplies():
    net = NETWORKS.build("resann(2, c=4, s=6)", num_classes=7, in_channels=1)
    assert isinstance(net, ResANN)
    assert (net.n, net.c, net.s) == (2, 4, 6)
    assert net.heads[-1].linear.out_features == 7
    weighing = WEIGHTINGS.build("adaloss(floor=0.5)", num_exits=4)
    assert isinstance(weighing, AdaLoss)
    assert (weighing.num_exits, weighing.floor) == (4, 0.5)


@pytest.mark.parametrize("registry", [NETWORKS, WEIGHTINGS], ids=lambda registry: registry.kind)
def test_every_entry_can_be_built_and_every_option_has_a_default_and_a_type(registry):
    for name in registry.entries:
        assert registry.canonical(name) == name
        for option in registry.options(name).values():
            assert option.default is not inspect.Parameter.empty
            assert option.annotation is not inspect.Parameter.empty
        assert not registry.supplied & registry.options(name).keys()
    for name in WEIGHTINGS.entries:
        assert WEIGHTINGS.build(name, num_exits=3).num_exits == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnt", r"expected one of resann, .* \(did you mean resann\?\)"),
        ("vgg", r"expected one of resann, .*msdnet_imagenet$"),
        ("Resann", r"expected one of resann, .* \(did you mean resann\?\)"),
        ("resann(m=4)", "unknown option m of resann; it has: n, c, s"),
        ("resann(N=4)", "unknown option N of resann; it has: n, c, s"),
        ("resann(num_classes=3)", "unknown option num_classes of resann; it has: n, c, s"),
        ("resann(1, n=2)", "option n of resann is given twice"),
        ("resann(1, 8, 1, 10)", "expected at most 3 values without a name, found 4"),
        ("resann(n='3')", "option n of resann: .*integer, found '3'"),
        ("resann(n=True)", "option n of resann: .*integer, found True"),
        ("resann(n=2.5)", "option n of resann: .*integer, found 2.5"),
        ("resann(n=None)", "option n of resann: .*integer, found None"),
        ("resann(n=[3])", r"option n of resann: .*integer, found \[3\]"),
    ],
)
def test_a_bad_network_is_refused_with_a_reason(text, message):
    with pytest.raises(ValueError, match=message):
        NETWORKS.canonical(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adalos", r"expected one of const, linear, .* \(did you mean adaloss\?\)"),
        ("const(1)", "const: expected at most 0 values without a name, found 1"),
        ("const(weight=1)", "unknown option weight of const; it has: none"),
        ("opt(exit=True)", "option exit of opt: .*integer, found True"),
        ("opt(exit='last')", "option exit of opt: .*integer, found 'last'"),
        ("adaloss(0.9)", "adaloss: expected at most 0 values without a name, found 1"),
        ("adaloss(moment=0.9)", r"unknown option moment of adaloss; .* \(did you mean momentum\?\)"),
        ("adaloss(num_exits=3)", "unknown option num_exits of adaloss"),
        ("adaloss(momentum='0.9')", "option momentum of adaloss: .*number, found '0.9'"),
        ("adaloss(momentum=True)", "option momentum of adaloss: .*number, found True"),
        ("adaloss(refresh_period=2.5)", "option refresh_period of adaloss: .*integer, found 2.5"),
        ("adaloss(bias_correction=1)", "option bias_correction of adaloss: .*boolean, found 1"),
        (
            "adaloss(normalisation='sun')",
            "option normalisation of adaloss: .*'max', 'sum', 'geometric' or 'none', found 'sun'",
        ),
        ("adaloss_formula(order=1)", "unknown option order of adaloss_formula"),
    ],
)
def test_a_bad_weighting_is_refused_with_a_reason(text, message):
    with pytest.raises(ValueError, match=message):
        WEIGHTINGS.canonical(text)


@pytest.mark.parametrize(
    ("registry", "text", "option"),
    [
        (NETWORKS, "resann(s=True)", "s"),
        (NETWORKS, "resann(n=3.0)", "n"),
        (WEIGHTINGS, "adaloss(final_extra=False)", "final_extra"),
        (WEIGHTINGS, "adaloss(bias_correction=0)", "bias_correction"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_even_if_it_equals_the_default(registry, text, option):
    with pytest.raises(ValueError, match=f"option {option} of"):
        registry.canonical(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "3",
        "'resann'",
        "resann(",
        "resann)",
        "resann(n=)",
        "resann(n=1)(2)",
        "resann + resann",
        "a.resann(n=1)",
        "lambda: 0",
        "resann(**{'n': 1})",
        "resann(*[1])",
        "resann(n=print(1))",
        "resann(n=[].__class__)",
        "resann(n=1 if True else 2)",
        "resann(n={[]: 1})",  # a literal that Python cannot build
        "(" * 300 + ")" * 300,
        "resann(n=\x001)",
    ],
)
def test_what_is_no_name_with_literals_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a network written as name or name\(option=value\)"):
        NETWORKS.canonical(text)


def test_nothing_in_a_text_is_evaluated(tmp_path):
    trace = tmp_path / "trace"
    for text in (
        "__import__('os')",
        f"__import__('pathlib').Path({str(trace)!r}).touch()",
        f"resann(n=__import__('pathlib').Path({str(trace)!r}).touch())",
        f"resann(n=open({str(trace)!r}, 'w'))",
    ):
        with pytest.raises(ValueError, match="expected"):
            NETWORKS.build(text)
    assert not trace.exists()


def test_a_registry_imports_an_entry_only_when_it_is_used():
    registry = Registry("thing", {"lost": "anytime_core.no_such_module:Thing"}, frozenset())
    with pytest.raises(ValueError, match=r"expected one of lost \(did you mean lost\?\)"):
        registry.canonical("lots")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        registry.canonical("lost")


def test_did_you_mean():
    assert did_you_mean("epoch", ["epochs", "seed"]) == " (did you mean epochs?)"
    assert did_you_mean("zebra", ["epochs", "seed"]) == ""
    assert did_you_mean("epoch", []) == ""


@pytest.mark.parametrize("registry", [NETWORKS, WEIGHTINGS], ids=lambda registry: registry.kind)
def test_the_table_for_people_describes_every_name_with_every_option(registry):
    rows = registry.table()
    assert [row["name"] for row in rows] == list(registry.entries)
    for row in rows:
        assert row["what it is"].endswith((".", ":", ","))
        assert all(f"{option}=" in row["options"] for option in registry.options(row["name"]))
        assert not any(f"{name}=" in row["options"] for name in registry.supplied)


@pytest.mark.parametrize(
    ("text", "channels", "message"),
    [
        ("torchvision(model='resnet19')", 3, r"model: expected a classifier .*'resnet19' \(did you mean resnet\d+\?\)"),
        ("torchvision", 1, "in_channels: expected 3, which torchvision's models take, found 1"),
        ("torchvision(at=('layer9',))", 3, "layer9"),
    ],
)
def test_a_torchvision_model_that_cannot_be_is_refused(text, channels, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        NETWORKS.build(text, num_classes=10, in_channels=channels)


def test_sizes_that_nobody_could_build_are_refused_at_once():
    from anytime_study.runs.registries import NETWORKS

    assert NETWORKS.canonical("eann(n=(400, 600))") == "eann(n=(400, 600))"
    for text in ("resann(n=1001)", "resann(c=10000000000000)", "eann(n=(400, 601))", "msdnet(blocks=(10000000, 2))"):
        with pytest.raises(ValueError, match="expected at most 1000, found"):
            NETWORKS.canonical(text)
