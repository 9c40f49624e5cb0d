import inspect

import pytest

from anytime_core.networks.resann import ResANN
from anytime_core.weighting.adaloss import AdaLoss
from anytime_study.foundations.registry import Registry
from anytime_study.runs.registries import NETWORKS, WEIGHTINGS


@pytest.mark.parametrize(
    ("registry", "text", "spelling"),
    [
        (NETWORKS, "  resann ( ) ", "resann"),
        (NETWORKS, "resann(n=3, c=16, s=1)", "resann"),  # the defaults
        (NETWORKS, "resann(s=2,c=8,n=4)", "resann(n=4, c=8, s=2)"),
        (NETWORKS, "resann(\nn=0x10,\n)", "resann(n=16)"),
        (NETWORKS, "eann(n=(1,2), s=2)", "eann(n=(1, 2), s=2)"),
        (WEIGHTINGS, "opt(exit=None)", "opt"),
        (WEIGHTINGS, "adaloss(momentum=99e-2)", "adaloss"),
        (WEIGHTINGS, "adaloss(floor=0)", "adaloss(floor=0.0)"),  # else one run would have two names
        (WEIGHTINGS, 'adaloss(normalisation="sum", momentum=0.5)', "adaloss(momentum=0.5, normalisation='sum')"),
        (WEIGHTINGS, "adaloss_released(momentum=0.9)", "adaloss_released"),
    ],
)
def test_a_text_has_one_spelling(registry, text, spelling):
    assert registry.parse(text).text == spelling
    assert registry.parse(spelling) == registry.parse(text)


def test_a_spec_has_all_options():
    spec = NETWORKS.parse("resann(n=4)")
    assert (spec.name, spec.options) == ("resann", {"n": 4, "c": 16, "s": 1} | spec.options)
    assert WEIGHTINGS.parse("opt").options == {"exit": None}
    assert len({spec, NETWORKS.parse(" resann( n = 4 )")}) == 1


def test_build_takes_options_and_what_the_trainer_supplies():
    net = NETWORKS.build(NETWORKS.parse("resann(n=2, c=4, s=6)"), num_classes=7, in_channels=1)
    assert isinstance(net, ResANN)
    found = [net.options["n"], net.options["c"], net.options["s"], net.heads[-1].linear.out_features]
    assert found == [2, 4, 6, 7]
    weighing = WEIGHTINGS.build("adaloss(floor=0.5)", num_exits=4)
    assert isinstance(weighing, AdaLoss)
    assert (weighing.num_exits, weighing.floor) == (4, 0.5)


def test_a_default_may_differ_from_the_constructors():
    entries = {"adaloss": WEIGHTINGS.entries["adaloss"]}
    old = Registry("weighting", entries, frozenset({"num_exits", "parameters"}), {"adaloss": {"floor": 0.5}})
    assert old.parse("adaloss(floor=0.5)").text == "adaloss"
    assert old.parse("adaloss(floor=0.07)").text == "adaloss(floor=0.07)"
    assert old.build("adaloss", num_exits=2).floor == 0.5


@pytest.mark.parametrize("registry", [NETWORKS, WEIGHTINGS], ids=lambda registry: registry.kind)
def test_every_entry_has_options_with_defaults_and_a_row_for_people(registry):
    rows = registry.table()
    assert [row["name"] for row in rows] == list(registry.entries)
    for row in rows:
        assert registry.parse(row["name"]).text == row["name"]
        assert row["what it is"].endswith((".", ":", ","))
        options = registry.options(row["name"])
        assert not registry.supplied & options.keys()
        for name, option in options.items():
            assert option.default is not inspect.Parameter.empty
            assert f"{name}=" in row["options"]


@pytest.mark.parametrize(
    ("registry", "text", "message"),
    [
        (NETWORKS, "resnt", r"expected one of .* \(did you mean resann\?\)"),
        (NETWORKS, "resann(m=4)", "unknown option m of resann; it has: n, c, s"),
        (NETWORKS, "resann(num_classes=3)", "unknown option num_classes"),
        (NETWORKS, "resann(n='3')", "option n of resann: .*integer, found '3'"),
        (NETWORKS, "resann(n=3.0)", "option n of resann: .*integer, found 3.0"),
        (NETWORKS, "resann(c=10000000000000)", "option c of resann: expected at most 1000"),
        (NETWORKS, "eann(n=(400, 601))", "option n of eann: expected at most 1000"),
        (WEIGHTINGS, "const(weight=1)", "unknown option weight of const; it has: none"),
        (WEIGHTINGS, "adaloss(moment=0.9)", r"unknown option moment of adaloss; .* \(did you mean momentum\?\)"),
        (WEIGHTINGS, "adaloss(momentum=True)", "option momentum of adaloss: .*number, found True"),
        (WEIGHTINGS, "adaloss(normalisation='sun')", "option normalisation of adaloss: .*'max', .*found 'sun'"),
    ],
)
def test_a_bad_text_is_refused_with_a_reason(registry, text, message):
    with pytest.raises(ValueError, match=message):
        registry.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "'resann'", "resann(", "resann(4)", "resann(n=)", "resann(n=1)(2)", "lambda: 0"),
        *("resann(n=1, n=2)", "resann(**{'n': 1})", "resann(*[1])", "resann(n=print(1))", "resann(n=[].__class__)"),
        *("resann(n={[]: 1})", "(" * 300 + ")" * 300, "resann(n=\x001)"),
    ],
)
def test_what_is_no_name_with_literals_is_refused(text):
    with pytest.raises(ValueError, match=r"expected a network written as name or name\(option=value\)"):
        NETWORKS.parse(text)


def test_nothing_in_a_text_is_evaluated(tmp_path):
    trace = tmp_path / "trace"
    for text in (f"__import__('pathlib').Path({str(trace)!r}).touch()", f"resann(n=open({str(trace)!r}, 'w'))"):
        with pytest.raises(ValueError, match="expected"):
            NETWORKS.build(text)
    assert not trace.exists()


def test_a_part_of_ones_own_is_named_by_where_it_is_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_part.py").write_text(
        "from anytime_core import AdaLoss\n\nclass Mine(AdaLoss):\n    def __init__(self, num_exits, slope=1.0):\n"
        "        super().__init__(num_exits)\n        self.slope = 1 / slope\n"
    )
    (tmp_path / "own_typo.py").write_text("import torch\nMine = torhc.nn.Module\n")
    assert WEIGHTINGS.parse("own_part.Mine(slope=1.0)").text == "own_part.Mine"
    assert WEIGHTINGS.build("own_part.Mine(slope=2.0)", num_exits=3).slope == 0.5
    with pytest.raises(ValueError, match=rf"^{tmp_path}/own_part.py:6: ZeroDivisionError: float division by zero$"):
        WEIGHTINGS.build("own_part.Mine(slope=0.0)", num_exits=3)
    with pytest.raises(ValueError, match=rf"to be a class .*: {tmp_path}/own_typo.py:2: NameError: name 'torhc' is"):
        WEIGHTINGS.parse("own_typo.Mine")
    for text in ("own_part.Other", "own_part.AdaLoss.formula", "os.system(command='true')", "no_such_module.Mine"):
        with pytest.raises(ValueError, match="to be a class"):
            WEIGHTINGS.parse(text)
    with pytest.raises(ValueError, match="expected one of resann"):
        NETWORKS.parse("own_part.Mine")
