import numpy as np
import pandas as pd
import pytest
import yaml

from anytime_study import cli
from anytime_study.analysis import decisions
from anytime_study.analysis.claims import CLAIMS, Claims, load_claims
from anytime_study.analysis.ledger import ledger, ledger_lines
from anytime_study.analysis.verdicts import verdicts
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
        "measure": {"name": "error_difference", "first": {"weighting": weighting}, "second": {"weighting": "const"}},
        "decision": {"kind": "below", **decision},
        "protocols": list(protocols),
    }


def claims_of(*claims):
    return Claims.model_validate(
        {
            "protocols": {"one_rate": "The same.", "tuned_rate": "The best.", "own_rate": "The study's."},
            "measures": {"error_difference": "In per cent."},
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


# --- verdicts ------------------------------------------------------------------------------------------------------

OTHER = " (other data)"


@pytest.mark.parametrize(
    ("percents", "decision", "verdict"),
    [
        (around(-3), {"kind": "below"}, "shown as claimed" + OTHER),
        (around(3), {"kind": "below"}, "shown opposite" + OTHER),
        (around(-1), {"kind": "below"}, "undecided" + OTHER),
        (around(-1), {"kind": "below", "delta": 5}, "no effect as large as δ" + OTHER),
        (around(0), {"kind": "within", "margin": 5}, "shown as claimed" + OTHER),
        (around(9), {"kind": "within", "margin": 5}, "shown opposite" + OTHER),
        (around(-3), {"can_only": "support"}, "shown as claimed" + OTHER),
        (around(3), {"can_only": "support"}, "undecided" + OTHER),
        (around(-3), {"can_only": "refute"}, "undecided" + OTHER),
        (around(3), {"can_only": "refute"}, "shown opposite" + OTHER),
    ],
)
def test_the_verdict_of_one_claim(judged, runs, percents, decision, verdict):
    found = judged(claims_of(claim("a", "adaloss", **decision)), runs("adaloss", percents))["a"]
    assert found.verdict == verdict
    (trial,) = found.trials
    assert trial.values.to_list() == pytest.approx(list(percents))
    assert (trial.interval.mean, trial.interval.n) == (pytest.approx(percents.mean()), 5)
    assert (found.published, found.where, found.experiment) == (-1, "Table 3a", "weightings")


# --- scope ---------------------------------------------------------------------------------------------------------

PAPERS = {"epochs": 300, "schedule": "steps"}


@pytest.fixture
def scope(made_up_experiment, made_up_record):
    """Scope of a claim that says -1, in the tier paper; AdaLoss has so many per cent more errors than CONST."""

    def of(dataset="cifar10", percent=-1.0, tier="paper", changes=None, **fields):
        fields = {"network": NET, "dataset": dataset, **PAPERS, **fields}
        records = [
            made_up_record(weighting=name, seed=s, scores={"test": [e * (1 + s / 1e4)]}, **fields)
            for name, e in [("const", 0.5), ("adaloss", 0.5 * (1 + percent / 100))]
            for s in range(5)
        ]
        for place, record in enumerate(records):  # a little noise, so that the interval has a width
            errors = [record.test.error[0] * (1 + 2e-3 * (7 * place % 5 - 2) * (place < 5))]
            records[place] = record.model_copy(update={"test": record.test.model_copy(update={"error": errors})})
        experiment = made_up_experiment(records, main=fields)
        claims = claims_of({**claim("a", "adaloss"), "in_tier": {"paper": {}}, **(changes or {})})
        (found,) = verdicts(claims, {"weightings": experiment}, tier=tier)
        return found.scope

    return of


def test_the_papers_data_network_and_schedule_replicate(scope):
    assert scope() == scope("cifar100") == scope("svhn", epochs=60) == "replicated"


def test_six_epochs_of_cifar_10_replicate_nothing(scope):
    reduced = "the paper's data, reduced schedule"
    assert scope(epochs=6) == scope(epochs=40) == scope(schedule="cosine") == scope(train_size=10_000) == reduced
    assert scope(tier="cifar") == reduced  # whose network is not the paper's
    assert scope(changes={"in_tier": {}}) == reduced  # nor is it where the claim does not say which network is
    assert scope(changes={"where": "this study"}) == reduced  # and the paper must have said it


def test_another_size_replicates_nothing(scope):
    full = "the paper's data, network and schedule"
    assert scope(percent=-9) == scope(percent=9) == full
    assert scope(percent=-9, changes={"published": None}) == "replicated"  # where the paper gives no size


def test_other_data_is_other_data(scope):
    assert scope("fashion-mnist") == scope("svhn", changes={"published_on": ["ilsvrc"]}) == "other data"


# --- several things at once ----------------------------------------------------------------------------------------


def test_a_claim_of_two_parts_needs_both(judged, runs):
    def both(first, second):
        also = claim("b", "linear", kind="above", delta=1.0)
        whole = claim("a", "adaloss", delta=1.0) | {"also": [{name: also[name] for name in ("measure", "decision")}]}
        found = judged(claims_of(whole), [*runs("adaloss", around(*first)), *runs("linear", around(*second))])["a"]
        assert [trial.interval.mean for trial in found.trials] == pytest.approx([first[0], second[0]])
        return found.effect

    assert both([-3], [3]) == "shown as claimed"
    assert both([-3], [0.5]) == "undecided"
    assert both([-3], [-3]) == both([3], [3]) == "shown opposite"
    assert both([-3], [-2]) == "undecided"  # p = 0.047 for one part, and any of the two would do
    assert both([-3], [0, 0.1]) == "no effect as large as δ"


@pytest.mark.parametrize(("tuned", "effect"), [(-9, "shown as claimed"), (9, "undecided"), (0, "undecided")])
def test_two_protocols_must_agree(judged, runs, tuned, effect):
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
    assert found.effect == effect
    assert found.evidence.claimed == max(trial.evidence.claimed for trial in found.trials)  # nothing is adjusted
    assert "tuned_rate: weighting adaloss: learning rate 0.2" in found.note


def _better_validation(record, percent):
    errors = [error * (1 + percent / 100) for error in record.validation.error]
    return record.model_copy(update={"validation": record.validation.model_copy(update={"error": errors})})


@pytest.mark.parametrize("mean", [-9, 9])
def test_one_protocol_of_two_decides_nothing(judged, runs, mean):
    found = judged(
        claims_of(claim("a", "adaloss", protocols=["one_rate", "tuned_rate"])), runs("adaloss", around(mean))
    )["a"]
    assert (found.effect, found.waits) == ("undecided", True)
    assert [trial.protocol for trial in found.trials] == ["one_rate"]
    assert "tuned_rate not tested: missing runs: " in found.note
    assert "weighting adaloss, learning rate 0.05: in no study of weightings" in found.note


def test_other_claims_change_nothing(judged, runs):
    records = runs("adaloss", around(-2)) + runs("linear", around(0.5))
    alone = judged(claims_of(claim("a", "adaloss")), records)["a"]
    beside = judged(claims_of(claim("a", "adaloss"), claim("b", "linear"), claim("c", "sieve")), records)["a"]
    assert alone.evidence == beside.evidence
    assert alone.evidence.claimed == pytest.approx(0.0474, abs=1e-4)


def test_where_a_study_fixes_the_rates_there_is_one_protocol(made_up_experiment, runs):
    records = [*runs("const", [0] * 5, learning_rate=0.2), *runs("adaloss", around(-9), learning_rate=0.05)]
    experiment = made_up_experiment(records, main={"network": NET}, own_rates={"const": 0.2, "adaloss": 0.05})
    claims = claims_of(claim("a", "adaloss", protocols=["one_rate", "tuned_rate"]))
    (found,) = verdicts(claims, {"weightings": experiment}, tier="cifar")
    assert [trial.protocol for trial in found.trials] == ["own_rate"]
    assert found.effect == "shown as claimed"


def test_an_effect_that_a_control_shows_is_not_adalosss(judged, runs):
    def flag(control):
        records = runs("adaloss", around(-9)) + runs("linear", around(control))
        controlled = claim("a", "adaloss") | {"control": {"first": {"weighting": "linear"}}}
        return judged(claims_of(controlled), records)["a"].flag

    assert flag(-9) == "not attributable to AdaLoss"
    assert flag(0) == flag(9) == ""


# --- the order of the confirmatory claims --------------------------------------------------------------------------


@pytest.fixture
def sequence(judged, runs):
    def effects(*means, unmade=()):
        names = ["adaloss", "linear", "sieve"]
        roles = ["primary", "sequence", "sequence"]
        claims = [claim(name, name) | {"role": role} for name, role in zip(names, roles, strict=True)]
        claims.insert(1, claim("between", "half_end"))  # an estimate, which is no part of the sequence
        weightings = [*zip(names, means, strict=True), ("half_end", 0)]
        records = [record for name, mean in weightings for record in runs(name, around(mean))]
        return judged(claims_of(*claims), [r for r in records if r.name not in {u.name for u in unmade}], unmade=unmade)

    return effects


def test_claims_are_tested_in_order_until_one_is_not_shown(sequence):
    shown = {name: verdict.effect for name, verdict in sequence(-9, -9, -9).items()}
    assert [shown[name] for name in ("adaloss", "linear", "sieve")] == ["shown as claimed"] * 3
    stopped = sequence(-9, 0, -9)
    assert [stopped[name].effect for name in ("adaloss", "linear", "sieve")] == [
        "shown as claimed",
        "undecided",
        "undecided",
    ]
    assert [stopped[name].stopped_by for name in ("adaloss", "linear", "sieve")] == [None, None, "linear"]
    assert stopped["sieve"].evidence.effect == "shown as claimed"  # the estimate is there, the verdict is not
    first = sequence(9, -9, -9)
    assert first["adaloss"].effect == "shown opposite"
    assert first["linear"].stopped_by == first["sieve"].stopped_by == "adaloss"


def test_a_confirmatory_claim_waits_for_its_last_seed(sequence, runs):
    late = runs("adaloss", around(-9))[4]
    found = sequence(-9, -9, -9, unmade=[late])
    assert (found["adaloss"].effect, found["adaloss"].trials) == ("not tested", ())
    assert "waits for its last runs: weighting adaloss, seeds 4: no record yet" in found["adaloss"].note
    assert found["linear"].stopped_by == "adaloss"


# --- runs that are not there ---------------------------------------------------------------------------------------


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
    assert found.effect == "shown as claimed"
    assert found.trials[0].values.index.to_list() == [0, 1, 2, 3]
    assert found.note == "one_rate: weighting adaloss, seed 4: diverged: the loss is NaN"
    lost = judged(claims, [*records[:2], diverged])["a"]
    assert lost.verdict == "not tested"
    assert "diverged: the loss is NaN" in lost.note


def test_an_experiment_without_a_study_is_not_tested():
    (found,) = verdicts(claims_of(claim("a", "adaloss")), {}, tier="paper")
    assert (found.verdict, found.note) == ("not tested", "one_rate not tested: no study of weightings in tier paper")


# --- amended rules -------------------------------------------------------------------------------------------------


def test_an_amended_rule_shows(made_up_experiment, runs):
    before = claims_of(claim("a", "adaloss"), claim("b", "adaloss"))
    after = claims_of(claim("a", "adaloss", published=-7.0), claim("b", "adaloss") | {"decision": {"kind": "above"}})
    records = [*runs("const", [0] * 5, rules=before.rules), *runs("adaloss", around(-9), rules=before.rules)]
    experiment = {"weightings": made_up_experiment(records, main={"network": NET})}
    assert [verdict.amended for verdict in verdicts(before, experiment, tier="laptop")] == [False, False]
    a, b = verdicts(after, experiment, tier="laptop")
    assert (a.amended, a.note) == (False, "")  # the published value is no part of the rule
    assert (b.amended, b.note) == (True, "amended: 10 of 10 records were made under another rule")
    assert b.effect == "shown opposite"
    # a rule that was written after its runs
    new = claims_of(claim("c", "adaloss"))
    assert verdicts(new, experiment, tier="laptop")[0].amended


@pytest.mark.parametrize(("name", "value"), [("LEVEL", 0.1), ("code_digest", lambda: "other code")])
def test_level_and_code_are_part_of_every_rule(monkeypatch, name, value):
    before = claims_of(claim("a", "adaloss")).rules
    monkeypatch.setattr(decisions, name, value)
    assert claims_of(claim("a", "adaloss")).rules["a"] != before["a"]


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
    assert [(verdict.claim, verdict.effect) for verdict in found] == [
        ("a", "undecided"),
        ("b", "shown as claimed"),
        ("c", "not tested"),
        ("d", "not tested"),
    ]
    assert all(verdict.verdict == "not tested" for verdict in ledger("paper", **tier))


def test_the_lines_tell_verdict_numbers_and_notes(tier):
    lines = list(ledger_lines(ledger("laptop", **tier)))
    assert lines[0] == "undecided (other data): a"
    assert lines[1].startswith("    one_rate: −9.00 [−10.96, −7.04], 5 seeds, p ")
    assert lines[1].endswith("; paper -1")
    assert lines[2].startswith("    tuned_rate not tested: missing runs: ")
    assert lines[3] == "shown as claimed (other data): b"
    assert "paper" not in lines[4]


def test_the_command_prints_the_ledger(tier, monkeypatch, anytime):
    monkeypatch.setattr(cli, "load_claims", None)  # it does not take part
    status, out, _ = anytime("ledger", "--tier", "laptop", "--records-dir", tier["records"])
    assert status == 0
    judged = [claim for claim in load_claims().claims if claim.judged_in("laptop")]
    assert out.count("\nnot tested: ") + out.startswith("not tested: ") == len(judged)


# --- the study's own files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["laptop", "language"])
def test_every_claim_has_its_runs(made_up_record, tier):
    """With a record for every run that is planned, every claim of its experiments would be tested."""
    claims = load_claims()
    found = load_experiments(tier, records=CLAIMS.parent / "no such folder")
    made = {
        name: experiments.Experiment(name, planned.main, planned.planned, dict(_invented(planned, made_up_record)))
        for name, planned in found.items()
    }
    protocols = {claim.id: set(claim.protocols) for claim in claims.claims}
    untested = {
        verdict.claim: verdict.note
        for verdict in verdicts(claims, made, tier=tier)
        if verdict.experiment in found and {trial.protocol for trial in verdict.trials} != protocols[verdict.claim]
    }
    assert not untested


def test_a_tier_with_claims_of_its_own_is_judged_by_these_alone():
    claims = load_claims()
    own = [claim.id for claim in claims.claims if claim.tiers == ["language"]]
    assert [verdict.claim for verdict in verdicts(claims, {}, tier="language")] == own
    assert not set(own) & {verdict.claim for verdict in verdicts(claims, {}, tier="cifar")}
    found = {verdict.claim: verdict for verdict in verdicts(claims, {}, tier="language")}
    assert found["language-own-objective-below-const"].stopped_by == "language-adaloss-trades-early-for-late"


def test_claims_of_another_tier_change_no_rule():
    claims = load_claims()
    without = claims.model_copy(update={"claims": [claim for claim in claims.claims if not claim.tiers]})
    alone = claims.model_copy(update={"claims": [claim for claim in claims.claims if claim.tiers]})
    for rules in (without.rules, alone.rules):
        assert rules
        assert rules.items() <= claims.rules.items()


def _invented(experiment, make):
    """A record for each run: costs are the real ones, errors fall with cost and differ by seed."""
    from anytime_core.costs import exit_costs
    from anytime_study.datasets import DATASETS

    costs = {}
    for name, config in experiment.planned.items():
        key = config.dataset, config.network
        if key not in costs:
            found = exit_costs(config.build_network(), DATASETS[config.dataset].example())
            costs[key] = {"cumulative": list(found.macs_cumulative), "alone": list(found.macs_fixed)}
        draw = np.random.default_rng(config.seed).uniform(0.9, 1.1)
        errors = [float(min(1.0, draw * (0.1 + 1e5 / macs))) for macs in costs[key]["cumulative"]]
        record = make(scores={**costs[key], "test": errors}, **config.model_dump())
        assert record.name == name
        yield name, record
