import numpy as np
import pandas as pd
import pytest
import yaml

from anytime_study import cli
from anytime_study.analysis.claims import CLAIMS, Claims, Decision, load_claims
from anytime_study.analysis.ledger import ledger, ledger_lines, ledger_table
from anytime_study.analysis.significance import holm
from anytime_study.analysis.verdicts import judge, verdicts
from anytime_study.studies import experiments
from anytime_study.studies.experiments import load_experiments

NET = "resann(n=1, c=4)"

# Five values with mean 0, whose t interval is mean ± 2.776 · 0.7071 = ± 1.963; t(4) of a mean m is m / 0.7071
SPREAD = [-2.0, -1.0, 0.0, 1.0, 2.0]


def around(mean, scale=1.0):
    return pd.Series([mean + scale * value for value in SPREAD])


def claim(name, weighting, *, protocols=("one_rate",), published=-1.0, where="Table 3a", **decision):
    """A claim on the last exit's error with ``weighting`` against that with const."""
    return {
        "id": name,
        "says": f"Of {weighting}.",
        "where": where,
        "published": published,
        "experiment": "weightings",
        "measure": {"name": "error_ratio", "first": {"weighting": weighting}, "second": {"weighting": "const"}},
        "decision": {"kind": "below", **decision},
        "protocols": list(protocols),
    }


def claims_of(*claims):
    return Claims.model_validate(
        {
            "protocols": {"one_rate": "The same.", "tuned_rate": "The best."},
            "measures": {"error_ratio": "In per cent."},
            "claims": list(claims),
        }
    )


@pytest.fixture
def runs(made_up_record):
    """Records of a weighting whose last exit's error is 0.5 plus so many per cent of that, seed by seed."""

    def make(weighting, percents, **fields):
        return [
            made_up_record(
                network=NET, weighting=weighting, seed=seed, scores={"test": [0.9, 0.9, 0.5 * (1 + p / 100)]}, **fields
            )
            for seed, p in enumerate(percents)
        ]

    return make


@pytest.fixture
def judged(made_up_experiment, runs):
    """Verdicts by claim; CONST has error 0.5 with every seed and learning rate."""

    def run(claims, records, **keywords):
        rates = (0.05, 0.1, 0.2)
        const = [r for rate in rates for r in runs("const", [0] * 5, learning_rate=rate, rules=claims.rules)]
        experiment = made_up_experiment([*const, *records], main={"network": NET}, **keywords)
        found = verdicts(claims, {"weightings": experiment}, tier="laptop")
        return {verdict.claim: verdict for verdict in found}

    return run


# --- one decision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "mean", "claimed", "significant"),
    [
        # two-sided t test at 0.05: significant from 1.963 away from the threshold
        ({"kind": "below"}, -2.0, True, True),
        ({"kind": "below"}, -1.9, True, False),
        ({"kind": "below"}, 1.9, False, False),
        ({"kind": "below"}, 2.0, False, True),
        ({"kind": "above"}, 2.0, True, True),
        ({"kind": "above"}, 1.9, True, False),
        ({"kind": "above"}, -2.0, False, True),
        ({"kind": "above", "threshold": 10}, 12.0, True, True),
        ({"kind": "above", "threshold": 10}, 8.0, False, True),
        ({"kind": "below", "threshold": -10}, -12.0, True, True),
        # inside: two one-sided t tests at 0.05, t = 2.132, so 1.507 away from the margin; beyond: two-sided, 1.963
        ({"kind": "within", "margin": 5}, 3.4, True, True),
        ({"kind": "within", "margin": 5}, 3.6, True, False),
        ({"kind": "within", "margin": 5}, -3.4, True, True),
        ({"kind": "within", "margin": 5}, 6.9, False, False),
        ({"kind": "within", "margin": 5}, 7.0, False, True),
        ({"kind": "within", "margin": 5}, -7.0, False, True),
    ],
)
def test_decisions_by_hand(decision, mean, claimed, significant):
    found, p = judge(around(mean), Decision(**decision))
    assert (found, p < 0.05) == (claimed, significant)


def test_no_difference_at_all_is_no_support():
    claimed, p = judge(pd.Series([0.0] * 5), Decision(kind="below"))
    assert (claimed, p) == (False, 1)


# --- verdicts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percents", "decision", "verdict"),
    [
        (around(-3), {"kind": "below"}, "same direction on ours"),
        (around(3), {"kind": "below"}, "opposite"),
        (around(-1), {"kind": "below"}, "inconclusive"),
        (around(0), {"kind": "within", "margin": 5}, "same direction on ours"),
        (around(4), {"kind": "within", "margin": 5}, "inconclusive"),
        (around(9), {"kind": "within", "margin": 5}, "opposite"),
        (around(-3), {"can_only": "support"}, "same direction on ours"),
        (around(3), {"can_only": "support"}, "inconclusive"),
        (around(-3), {"can_only": "refute"}, "inconclusive"),
        (around(3), {"can_only": "refute"}, "opposite"),
    ],
)
def test_the_verdict_of_one_claim(judged, runs, percents, decision, verdict):
    found = judged(claims_of(claim("a", "adaloss", **decision)), runs("adaloss", percents))["a"]
    assert found.verdict == verdict
    (trial,) = found.trials
    assert trial.values.to_list() == pytest.approx(list(percents))
    assert trial.interval.mean == pytest.approx(percents.mean())
    assert trial.interval.n == 5
    assert (found.published, found.where, found.tier, found.experiment) == (-1, "Table 3a", "laptop", "weightings")


def test_the_papers_data_make_a_replication(made_up_experiment, made_up_record):
    def on(dataset, where="Table 3a", published_on=()):
        records = [
            made_up_record(network=NET, dataset=dataset, weighting=name, seed=s, scores={"test": [error + s / 1e4]})
            for name, error in [("const", 0.5), ("adaloss", 0.4)]
            for s in range(5)
        ]
        experiment = made_up_experiment(records, main={"network": NET, "dataset": dataset})
        claims = claims_of({**claim("a", "adaloss", where=where), "published_on": list(published_on)})
        return verdicts(claims, {"weightings": experiment}, tier="paper")[0].verdict

    assert on("cifar10") == on("cifar100") == on("svhn") == "replicated on the paper's data"
    assert on("fashion-mnist") == "same direction on ours"
    assert on("cifar10", where="this study") == "same direction on ours"  # the papers do not say it
    assert on("cifar10", published_on=["ilsvrc"]) == "same direction on ours"  # nor this, of these data


def test_holm_takes_a_verdict_back(judged, runs):
    # p alone: 0.0474 of a mean of -2; with a second claim that is not significant it becomes 0.0947
    strong = claim("strong", "adaloss")
    alone = judged(claims_of(strong), runs("adaloss", around(-2)))["strong"]
    assert alone.verdict == "same direction on ours"
    records = runs("adaloss", around(-2)) + runs("linear", around(0.5))
    both = judged(claims_of(strong, claim("weak", "linear")), records)
    assert (both["strong"].verdict, both["weak"].verdict) == ("inconclusive", "inconclusive")
    assert (both["strong"].alone, both["weak"].alone) == ("supported", "inconclusive")
    p = [both[name].trials[0].p for name in ("strong", "weak")]
    assert p[0] == pytest.approx(alone.trials[0].p) == pytest.approx(0.0474, abs=1e-4)
    assert [both[name].trials[0].adjusted_p for name in ("strong", "weak")] == pytest.approx(holm(p))
    assert both["strong"].trials[0].adjusted_p == pytest.approx(2 * p[0])


def test_holm_counts_protocols_but_not_other_experiments(judged, runs):
    two = claim("two", "adaloss", protocols=["one_rate", "tuned_rate"])
    other = claim("other", "linear") | {"experiment": "elsewhere"}
    records = [record for rate in (0.05, 0.1, 0.2) for record in runs("adaloss", around(-2), learning_rate=rate)]
    found = judged(claims_of(two, other), records)
    assert [trial.protocol for trial in found["two"].trials] == ["one_rate", "tuned_rate"]
    assert [trial.adjusted_p for trial in found["two"].trials] == pytest.approx([2 * found["two"].trials[0].p] * 2)
    assert found["other"].verdict == "not tested"


def test_holm_counts_what_has_no_runs_yet(judged, runs):
    waiting = claim("waiting", "linear"), claim("two", "sieve", protocols=["one_rate", "tuned_rate"])
    found = judged(claims_of(claim("strong", "adaloss"), *waiting), runs("adaloss", around(-2)))
    (trial,) = found["strong"].trials
    assert trial.adjusted_p == pytest.approx(4 * trial.p)
    assert found["strong"].verdict == "inconclusive"
    assert [found[name].alone for name in ("strong", "waiting", "two")] == ["supported", "inconclusive", "inconclusive"]


@pytest.mark.parametrize(
    ("tuned", "verdict"),
    [(-9, "same direction on ours"), (9, "inconclusive"), (0, "inconclusive")],
)
def test_two_protocols_must_agree(judged, runs, tuned, verdict):
    records = runs("adaloss", around(-9))
    records += [
        # their exits before the last err less on validation: the rate 0.2 is chosen
        record
        for rate, early in [(0.05, 0), (0.2, -40)]
        for record in runs("adaloss", around(tuned), learning_rate=rate)
        for record in [_better_validation(record, early)]
    ]
    found = judged(claims_of(claim("a", "adaloss", protocols=["one_rate", "tuned_rate"])), records)["a"]
    assert [trial.interval.mean for trial in found.trials] == pytest.approx([-9, tuned])
    assert found.verdict == verdict
    assert "tuned_rate: weighting adaloss: learning rate 0.2" in found.note


def _better_validation(record, percent):
    errors = [error * (1 + percent / 100) for error in record.validation.error]
    return record.model_copy(update={"validation": record.validation.model_copy(update={"error": errors})})


def test_both_protocols_opposite_are_opposite(judged, runs):
    records = [record for rate in (0.05, 0.1, 0.2) for record in runs("adaloss", around(9), learning_rate=rate)]
    found = judged(claims_of(claim("a", "adaloss", protocols=["one_rate", "tuned_rate"])), records)["a"]
    assert found.verdict == "opposite"


@pytest.mark.parametrize("mean", [-9, 9])
def test_one_protocol_of_two_decides_nothing(judged, runs, mean):
    found = judged(
        claims_of(claim("a", "adaloss", protocols=["one_rate", "tuned_rate"])), runs("adaloss", around(mean))
    )["a"]
    assert found.verdict == "inconclusive"
    assert [trial.protocol for trial in found.trials] == ["one_rate"]
    assert "tuned_rate not tested: missing runs: " in found.note
    assert "weighting adaloss, learning rate 0.05: in no study of weightings" in found.note


def test_missing_runs_are_told(judged, runs):
    records = runs("adaloss", around(-9))
    found = judged(claims_of(claim("a", "adaloss")), records[:2], unmade=records[2:])["a"]
    assert (found.verdict, found.trials, found.amended) == ("not tested", (), False)
    assert found.note == (
        "one_rate not tested: missing runs: expected at least 3 seeds with all runs, found 2; "
        "weighting adaloss, seeds 2, 3, 4: no record yet"
    )


def test_a_diverged_run_is_told(judged, runs, made_up_divergence):
    claims = claims_of(claim("a", "adaloss"))
    records = runs("adaloss", around(-9), rules=claims.rules)
    diverged = made_up_divergence(network=NET, weighting="adaloss", seed=4)
    found = judged(claims, [*records[:4], diverged])["a"]
    assert found.verdict == "same direction on ours"
    assert found.trials[0].values.index.to_list() == [0, 1, 2, 3]
    assert found.trials[0].interval.n == 4
    assert found.note == "one_rate: weighting adaloss, seed 4: diverged: the loss is NaN"
    lost = judged(claims, [*records[:2], diverged])["a"]
    assert lost.verdict == "not tested"
    assert "diverged: the loss is NaN" in lost.note


def test_an_experiment_without_a_study_is_not_tested():
    (found,) = verdicts(claims_of(claim("a", "adaloss")), {}, tier="cifar")
    assert (found.verdict, found.note) == ("not tested", "one_rate not tested: no study of weightings in tier cifar")


def test_an_amended_rule_shows(made_up_experiment, runs):
    before = claims_of(claim("a", "adaloss"), claim("b", "adaloss"))
    after = claims_of(claim("a", "adaloss", published=-7.0), claim("b", "adaloss") | {"decision": {"kind": "above"}})
    records = [*runs("const", [0] * 5, rules=before.rules), *runs("adaloss", around(-9), rules=before.rules)]
    experiment = {"weightings": made_up_experiment(records, main={"network": NET})}
    assert [verdict.amended for verdict in verdicts(before, experiment, tier="laptop")] == [False, False]
    a, b = verdicts(after, experiment, tier="laptop")
    assert (a.amended, a.note) == (False, "")  # the published value is no part of the rule
    assert (b.amended, b.note) == (True, "amended: 10 of 10 records were made under another rule")
    assert b.verdict == "opposite"
    # a rule that was written after its runs
    new = claims_of(claim("c", "adaloss"))
    assert verdicts(new, experiment, tier="laptop")[0].amended


def test_errors_of_the_first_kind_are_as_rare_as_the_level():
    generator = np.random.default_rng(0)
    below, above = Decision(kind="below"), Decision(kind="above")
    wrong = 0
    for _ in range(400):
        values = generator.normal(0, 1, (4, 5))
        p = [judge(pd.Series(row), decision)[1] for row, decision in zip(values, [below, above] * 2, strict=True)]
        wrong += (holm(p) < 0.05).any()
    assert wrong / 400 < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    assert wrong > 0


def test_a_mean_at_the_margin_is_seldom_called_within():
    generator = np.random.default_rng(0)
    found = [judge(pd.Series(row), Decision(kind="within", margin=5)) for row in generator.normal(5, 1, (400, 5))]
    assert sum(claimed and p < 0.05 for claimed, p in found) / 400 < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    assert sum(not claimed and p < 0.05 for claimed, p in found) / 400 < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


# --- the ledger of a tier ------------------------------------------------------------------------------------------


@pytest.fixture
def tier(tmp_path, runs, monkeypatch):
    """A study of five seeds with its records, the first two of four claims tested; gives keywords of ``ledger``."""
    grid = {"seed": [0, 1, 2, 3, 4], "weighting": ["adaloss", "const", "linear"]}
    study = {"title": "Made up", "tier": "laptop", "committed": True, "experiment": "weightings", "grids": [grid]}
    study["common"] = {"dataset": "digits", "network": NET, "epochs": 2}
    (tmp_path / "studies" / "laptop").mkdir(parents=True)
    (tmp_path / "studies" / "laptop" / "weightings.yaml").write_text(yaml.safe_dump(study))
    claims = claims_of(
        claim("a", "adaloss", protocols=["one_rate", "tuned_rate"]),
        claim("b", "adaloss", kind="within", margin=20, published=None),
        claim("c", "linear"),
        claim("d", "adaloss") | {"experiment": "elsewhere"},
    )
    for record in [*runs("const", [0] * 5, rules=claims.rules), *runs("adaloss", around(-9), rules=claims.rules)]:
        record.save(tmp_path / "records")
    return {"records": tmp_path / "records", "studies": tmp_path / "studies", "claims": claims}


def test_the_ledger_of_a_tier(tier):
    found = ledger("laptop", **tier)
    assert [(verdict.claim, verdict.verdict) for verdict in found] == [
        ("a", "inconclusive"),
        ("b", "same direction on ours"),
        ("c", "not tested"),
        ("d", "not tested"),
    ]
    assert all(verdict.verdict == "not tested" for verdict in ledger("cifar", **tier))


def test_the_table_has_a_row_per_claim(tier):
    table = ledger_table(ledger("laptop", **tier))
    assert table.columns.to_list() == [
        *("claim", "says", "where", "published", "one_rate", "one_rate_p", "tuned_rate", "tuned_rate_p"),
        *("seeds", "tier", "verdict", "amended", "note"),
    ]
    first = table.iloc[0]
    assert (first["claim"], first["published"], first["tuned_rate"], first["seeds"]) == ("a", -1, "", "5")
    assert first["one_rate"] == "−9.00 [−10.96, −7.04]"
    assert first["one_rate_p"] < 0.05
    assert table["tuned_rate_p"].isna().all()
    assert table["published"].isna().to_list() == [False, True, False, False]
    assert table["one_rate"].to_list()[2:] == ["", ""]
    assert len(ledger_table([])) == 0


def test_the_lines_tell_verdict_numbers_and_notes(tier):
    lines = list(ledger_lines(ledger("laptop", **tier)))
    assert lines[0] == "inconclusive: a"
    assert lines[1].startswith("    one_rate: −9.00 [−10.96, −7.04], 5 seeds, p ")
    assert lines[1].endswith("; paper -1")
    assert lines[2].startswith("    tuned_rate not tested: missing runs: ")
    assert lines[3] == "same direction on ours: b"
    assert "paper" not in lines[4]


def test_the_command_prints_the_ledger(tier, monkeypatch, anytime):
    monkeypatch.setattr(cli, "load_claims", None)  # it does not take part
    status, out, _ = anytime("ledger", "--tier", "laptop", "--records-dir", tier["records"])
    assert status == 0
    assert out.count("\nnot tested: ") + out.startswith("not tested: ") == len(load_claims().claims)


# --- the study's own files -----------------------------------------------------------------------------------------


def test_every_claim_has_its_runs_in_the_laptop_tier(made_up_record):
    """With a record for every run that is planned, every claim would be tested."""
    claims = load_claims()
    found = load_experiments("laptop", records=CLAIMS.parent / "no such folder")
    made = {
        name: experiments.Experiment(name, planned.main, planned.planned, dict(_invented(planned, made_up_record)))
        for name, planned in found.items()
    }
    protocols = {claim.id: claim.protocols for claim in claims.claims}
    untested = {
        verdict.claim: verdict.note
        for verdict in verdicts(claims, made, tier="laptop")
        if [trial.protocol for trial in verdict.trials] != protocols[verdict.claim]
    }
    assert not untested


def _invented(experiment, make):
    """A record for each run: costs are the real ones, errors fall with cost and differ by seed."""
    from anytime_core.costs import exit_costs
    from anytime_study.datasets import DATASETS

    costs = {}
    for name, config in experiment.planned.items():
        key = config.dataset, config.network
        if key not in costs:
            found = exit_costs(config.build_network(), DATASETS[config.dataset].image_shape)
            costs[key] = {"cumulative": list(found.macs_cumulative), "alone": list(found.macs_fixed)}
        draw = np.random.default_rng(config.seed).uniform(0.9, 1.1)
        errors = [float(min(1.0, draw * (0.1 + 1e5 / macs))) for macs in costs[key]["cumulative"]]
        record = make(scores={**costs[key], "test": errors}, **config.model_dump())
        assert record.name == name
        yield name, record
