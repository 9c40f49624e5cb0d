import inspect
import re

import pandas as pd
import pytest

from anytime_core.errors import InputError
from anytime_study.analysis.claims import CLAIMS, load_claims
from anytime_study.analysis.measures import MEASURES
from anytime_study.runs.config import RunConfig

PAPER = CLAIMS.parent / "paper"


def paper(name, **where):
    """The one number, or the column, of a published table: its last column where the others are as said."""
    table = pd.read_csv(PAPER / f"{name}.csv")
    for column, value in where.items():
        table = table[table[column] == value]
    values = table.iloc[:, -1]
    return values.iloc[0] if len(values) == 1 else values


def table3a(scheme, fraction):
    return paper("table3a", scheme=scheme, cost_fraction=fraction)


def fig2a(scheme, exit):
    return paper("fig2a", scheme=scheme, exit=exit)


def table3b(network, fraction=1):
    adaloss, const = (
        paper("table3b", network=network, scheme=name, cost_fraction=fraction) for name in ("AdaLoss", "CONST")
    )
    return 100 * (adaloss - const) / const


def fig4(fraction):
    """Extra errors in per cent of the small network's final error, by data set: AdaLoss small (0 at its end), CONST."""
    errors = pd.read_csv(PAPER / "fig4abc.csv").set_index(["scheme", "cost_fraction_of_small", "dataset"]).iloc[:, 0]
    return errors.get(("AdaLoss small", fraction)), errors["CONST large", fraction]


def fig4_at_half():
    small, large = fig4(0.5)
    return (100 * ((100 + small) / (100 + large) - 1)).mean()


def fig5a_end():
    adaloss, const = (paper("fig5a", curve=f"ResANN(25,32) {name} final") for name in ("AdaLoss", "CONST"))
    return 100 * (adaloss - const) / const


# The quarter of Fig. 2a is exit 4 of 15. Fig. 4 is averaged over its three data sets.
PUBLISHED = {
    "adaloss-below-const-at-1": lambda: table3a("AdaLoss", 1) - table3a("CONST", 1),
    "adaloss-below-const-at-3-4": lambda: table3a("AdaLoss", 0.75) - table3a("CONST", 0.75),
    "adaloss-below-const-at-1-2": lambda: table3a("AdaLoss", 0.5) - table3a("CONST", 0.5),
    "adaloss-above-const-at-1-4": lambda: table3a("AdaLoss", 0.25) - table3a("CONST", 0.25),
    "adaloss-below-linear-at-1": lambda: table3a("AdaLoss", 1) - table3a("LINEAR", 1),
    "adaloss-near-opt-at-1": lambda: table3a("AdaLoss", 1),
    "const-grows-with-depth": lambda: table3a("CONST", 1) - table3a("CONST", 0.25),
    "linear-above-const-at-1-4": lambda: table3a("LINEAR", 0.25) - table3a("CONST", 0.25),
    "linear-below-const-at-1": lambda: table3a("LINEAR", 1) - table3a("CONST", 1),
    "const-train-loss-grows-with-depth": lambda: fig2a("CONST", 15) - fig2a("CONST", 4),
    "adaloss-train-loss-below-const-at-1": lambda: fig2a("AdaLoss", 15) - fig2a("CONST", 15),
    "half-end-train-loss-above-const-early": lambda: fig2a("HALF_END", 4) - fig2a("CONST", 4),
    "small-adaloss-below-large-const-at-half": fig4_at_half,
    "large-const-not-below-small-adaloss": lambda: fig4(2.0)[1].mean(),
    "smaller-pair-adaloss-below-large-const-at-half": fig4_at_half,
    "larger-of-smaller-pair-const-not-below-small-adaloss": lambda: fig4(2.0)[1].mean(),
    "adaloss-below-const-resann": lambda: table3b("ResANN50"),
    "adaloss-below-const-denseann": lambda: table3b("DenseANN169"),
    "adaloss-below-const-msdnet": lambda: table3b("MSDNet38"),
    "adaloss-above-const-early-msdnet": lambda: table3b("MSDNet38", 0.25),
    "eann-inflation-within-theory": lambda: 0.0,  # the bound itself
    "eann-adaloss-ends-below-const": fig5a_end,
}


def changed(tmp_path, old, new):
    """The file of claims with one text replaced."""
    text = CLAIMS.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path = tmp_path / "claims.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


# --- the file ------------------------------------------------------------------------------------------------------


def test_every_published_value_can_be_computed():
    assert {claim.id for claim in load_claims().claims if claim.published is not None} == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values_are_the_papers(name):
    claim = next(claim for claim in load_claims().claims if claim.id == name)
    digits = len(re.search(rf"id: {name}\n.*?published: -?\d+\.?(\d*)", CLAIMS.read_text(), re.DOTALL)[1])
    assert claim.published == round(float(PUBLISHED[name]()), digits)


def test_the_decision_is_on_the_papers_side():
    for claim in load_claims().claims:
        if claim.published is None or claim.id == "eann-inflation-within-theory":
            continue
        kind, margin = claim.decision.kind, claim.decision.margin
        if margin is not None:
            assert abs(claim.published) <= margin, claim.id
        else:
            assert (claim.published < claim.decision.threshold) == (kind == "below"), claim.id


def test_settings_fit_their_measures_and_fields_exist():
    for claim in load_claims().claims:
        settings = {name: value for name, value in claim.measure.items() if name != "name"}
        bound = inspect.signature(MEASURES[claim.measure["name"]]).bind(None, **settings)  # TypeError if not
        assert set(settings) <= set(bound.arguments), claim.id
        for value in claim.measure.values():
            if isinstance(value, dict):
                assert value.keys() <= RunConfig(**value).model_fields_set
        for key in ("weighting", "minus"):
            if isinstance(text := claim.measure.get(key), str):
                assert RunConfig(weighting=text).weighting == text


# --- rules ---------------------------------------------------------------------------------------------------------

NEAR_OPT = "adaloss-near-opt-at-1"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("decision: {kind: within, margin: 5}", "decision: {kind: within, margin: 6}"),
        ("decision: {kind: within, margin: 5}", "decision: {kind: within, margin: 5, can_only: refute}"),
        ("weighting: adaloss, fraction: 1}", "weighting: adaloss, fraction: 0.75}"),
        ("Relative increase of test error over OPT", "Increase of test error over OPT"),
        ("As published: the same learning rate", "The same learning rate"),
        ("For each weighting the learning rate among 0.05", "For each weighting the learning rate among 0.06"),
    ],
)
def test_a_changed_rule_has_another_digest(tmp_path, old, new):
    before, after = load_claims().rules, load_claims(changed(tmp_path, old, new)).rules
    assert before[NEAR_OPT] != after[NEAR_OPT]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("With AdaLoss the last exit is within five per cent of OPT", "The last exit is near OPT"),
        ("published: 2.73", "published: 2.7"),
        ("100 (a - b) / b in per cent, where a and b are test errors of two sequences", "Other than before"),
    ],
)
def test_words_numbers_and_other_measures_are_no_part_of_a_rule(tmp_path, old, new):
    assert load_claims().rules[NEAR_OPT] == load_claims(changed(tmp_path, old, new)).rules[NEAR_OPT]


def test_there_is_a_rule_for_each_claim():
    claims = load_claims()
    names = [claim.rule_name(tier) for tier in ("laptop", "cifar", "paper") for claim in claims.claims]
    assert sorted(claims.rules) == sorted(set(names))
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in claims.rules.values())


# --- refusals ------------------------------------------------------------------------------------------------------


TUNED_RATE = re.search(r"  tuned_rate: >-\n(    .*\n)+", CLAIMS.read_text(encoding="utf-8"))[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: below", "kind: lower", "claims.0.decision.kind"),
        ("{kind: within, margin: 5}", "{kind: within}", "margin: expected with the kind within and with no other"),
        ("{kind: below}", "{kind: below, margin: 2}", "margin: expected with the kind within and with no other"),
        ("{kind: within, margin: 5}", "{kind: within, margin: 0}", "margin"),
        (
            "adaloss-below-const-at-3-4",
            "adaloss-below-const-at-1",
            "expected each id once, found adaloss-below-const-at-1",
        ),
        ("measure: {name: increase_over_opt", "measure: {name: increase", "expected a measure of .*, found increase"),
        ("protocols: [one_rate, tuned_rate]", "protocols: [other]", "protocols"),
        (TUNED_RATE, "", "expected protocols that are defined, found tuned_rate"),
        ("published: -16.17", "published: .nan", "published"),
        ("id: adaloss-near-opt-at-1", "id: Near OPT", "id"),
    ],
)
def test_claims_that_do_not_fit_are_refused(tmp_path, old, new, message):
    with pytest.raises(InputError, match=f"(?s)bad claims.*{message}"):
        load_claims(changed(tmp_path, old, new))


def test_a_file_that_is_no_claims_is_refused(tmp_path):
    path = tmp_path / "claims.yaml"
    with pytest.raises(InputError, match=r"bad claims .*: No such file"):
        load_claims(path)
    for content, message in [("[1]", "expected measures and claims, found"), ("a: [", "expected YAML, found")]:
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            load_claims(path)
