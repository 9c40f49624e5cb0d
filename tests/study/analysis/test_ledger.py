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


@pytest.mark.parametrize(
    ("mean", "decision", "effect"),
    [
        (-1, {"delta": 5}, "no effect as large as δ"),
        (-3, {"can_only": "support"}, "shown as claimed"),
        (3, {"can_only": "support"}, "undecided"),
        (-3, {"can_only": "refute"}, "undecided"),
        (3, {"can_only": "refute"}, "shown opposite"),
    ],
)
def test_the_verdict_of_one_claim(judged, runs, mean, decision, effect):
    found = judged(claims_of(claim("a", "adaloss", **decision)), runs("adaloss", around(mean)))["a"]
    assert found.verdict == f"{effect} (other data)"
    (trial,) = found.trials
    assert trial.values.to_list() == pytest.approx(list(around(mean)))
    assert (trial.interval.mean, trial.interval.n) == (pytest.approx(mean), 5)
    assert (found.published, found.where, found.experiment) == (-1, "Table 3a", "weightings")


# --- scope ---------------------------------------------------------------------------------------------------------

PAPERS = {"epochs": 300, "schedule": "steps"}


@pytest.fixture
def scope(made_up_experiment, made_up_record):
    """Scope of a claim that says -1, in the tier paper; AdaLoss has so many per cent more errors than CONST."""

    def of(dataset="cifar10", percent=-1.0, tier="paper", changes=None, **fields):
        fields = {"network": NET, "dataset": dataset, **PAPERS, **fields}
        values = {"const": [0.0] * 5, "adaloss": around(percent, 0.1)}
        records = [
            made_up_record(weighting=name, seed=seed, scores={"test": [0.5 * (1 + value / 100)]}, **fields)
            for name, of_seeds in values.items()
            for seed, value in enumerate(of_seeds)
        ]
        experiment = made_up_experiment(records, main=fields)
        claims = claims_of({**claim("a", "adaloss"), "in_tier": {"paper": {}}, **(changes or {})})
        (found,) = verdicts(claims, {"weightings": experiment}, tier=tier)
        return found.scope

    return of


def test_the_scope(scope):
    assert scope() == scope("cifar100") == scope("svhn", epochs=60) == "replicated"
    reduced = "the paper's data, reduced schedule"
    assert scope(epochs=6) == scope(epochs=40) == scope(schedule="cosine") == scope(train_size=10_000) == reduced
    assert scope(tier="cifar") == reduced  # whose network is not the paper's
    assert scope(changes={"in_tier": {}}) == reduced  # nor is it where the claim does not say which network is
    assert scope(changes={"where": "this study"}) == reduced  # and the paper must have said it

    # another size replicates nothing
    full = "the paper's data, network and schedule"
    assert scope(percent=-9) == scope(percent=9) == full
    assert scope(percent=-9, changes={"published": None}) == "replicated"  # where the paper gives no size

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


TWO = claim("a", "adaloss", protocols=["one_rate", "tuned_rate"])


@pytest.mark.parametrize(("tuned", "effect"), [(-9, "shown as claimed"), (9, "undecided"), (0, "undecided")])
def test_two_protocols_must_agree(judged, runs, tuned, effect):
    records = runs("adaloss", around(-9)) + runs("adaloss", around(tuned), learning_rate=0.05)
    for record in runs("adaloss", around(tuned), learning_rate=0.2):  # which is chosen: it errs least on validation
        scores = record.validation.model_copy(update={"error": [0.1] * 3})
        records.append(record.model_copy(update={"validation": scores}))
    found = judged(claims_of(TWO), records)["a"]
    assert [trial.interval.mean for trial in found.trials] == pytest.approx([-9, tuned])
    assert found.effect == effect
    assert found.evidence.claimed == max(trial.evidence.claimed for trial in found.trials)  # nothing is adjusted
    assert "tuned_rate: weighting adaloss: learning rate 0.2" in found.note


def test_one_protocol_of_two_decides_nothing(judged, runs):
    found = judged(claims_of(TWO), runs("adaloss", around(-9)))["a"]
    assert (found.effect, found.waits) == ("undecided", True)
    assert [trial.protocol for trial in found.trials] == ["one_rate"]
    assert "tuned_rate not tested: missing runs: " in found.note
    assert "weighting adaloss, learning rate 0.05: in no study of weightings" in found.note


def test_where_a_study_fixes_the_rates_there_is_one_protocol(made_up_experiment, runs):
    records = [*runs("const", [0] * 5, learning_rate=0.2), *runs("adaloss", around(-9), learning_rate=0.05)]
    experiment = made_up_experiment(records, main={"network": NET}, own_rates={"const": 0.2, "adaloss": 0.05})
    (found,) = verdicts(claims_of(TWO), {"weightings": experiment}, tier="cifar")
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


@pytest.mark.parametrize(
    ("means", "effects", "stopped_by"),
    [
        ((-9, -9, -9), ["shown as claimed"] * 3, [None] * 3),
        ((-9, 0, -9), ["shown as claimed", "undecided", "undecided"], [None, None, "linear"]),
        ((9, -9, -9), ["shown opposite", "undecided", "undecided"], [None, "adaloss", "adaloss"]),
    ],
)
def test_claims_are_tested_in_order_until_one_is_not_shown(sequence, means, effects, stopped_by):
    found = [sequence(*means)[name] for name in ("adaloss", "linear", "sieve")]
    assert [verdict.effect for verdict in found] == effects
    assert [verdict.stopped_by for verdict in found] == stopped_by
    assert not any(verdict.queued for verdict in found)
    assert found[2].evidence.effect == "shown as claimed"  # the estimate is there, the verdict may not be


def test_a_confirmatory_claim_waits_for_its_last_seed(sequence, runs):
    late = runs("adaloss", around(-9))[4]
    found = sequence(-9, -9, -9, unmade=[late])
    assert (found["adaloss"].effect, found["adaloss"].trials) == ("not tested", ())
    assert "waits for its last runs: weighting adaloss, seeds 4: no record yet" in found["adaloss"].note
    assert (found["linear"].stopped_by, found["linear"].queued) == ("adaloss", True)
    lines = [line for line in ledger_lines(found.values()) if "an estimate only" in line]
    assert lines == ["    an estimate only: adaloss, which is tested before it, has not been judged yet"] * 2


# --- runs that are not there ---------------------------------------------------------------------------------------


def test_missing_and_diverged_runs_are_told(judged, runs, made_up_divergence):
    claims = claims_of(claim("a", "adaloss"))
    records = runs("adaloss", around(-9), rules=claims.rules)
    missing = judged(claims, records[:2], unmade=records[2:])["a"]
    assert (missing.verdict, missing.trials, missing.amended) == ("not tested", (), False)
    assert missing.note == (
        "one_rate not tested: missing runs: expected at least 3 seeds with all runs, found 2; "
        "weighting adaloss, seeds 2, 3, 4: no record yet"
    )
    found = judged(claims, [*records[:4], made_up_divergence(network=NET, weighting="adaloss", seed=4)])["a"]
    assert found.effect == "shown as claimed"
    assert found.trials[0].values.index.to_list() == [0, 1, 2, 3]
    assert found.note == "one_rate: weighting adaloss, seed 4: diverged: the loss is NaN"
    (nowhere,) = verdicts(claims, {}, tier="paper")
    assert nowhere.note == "one_rate not tested: no study of weightings in tier paper"


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
        TWO,
        claim("b", "adaloss", kind="within", margin=20, published=None),
        claim("c", "linear"),
        claim("d", "adaloss") | {"experiment": "elsewhere"},
    )
    for record in [*runs("const", [0] * 5, rules=claims.rules), *runs("adaloss", around(-9), rules=claims.rules)]:
        record.save(tmp_path / "records")
    return {"records": tmp_path / "records", "studies": tmp_path / "studies", "claims": claims}


def test_the_ledger_of_a_tier_and_its_lines(tier):
    found = ledger("laptop", **tier)
    effects = {"a": "undecided", "b": "shown as claimed", "c": "not tested", "d": "not tested"}
    assert {verdict.claim: verdict.effect for verdict in found} == effects
    assert all(verdict.verdict == "not tested" for verdict in ledger("paper", **tier))
    lines = list(ledger_lines(found))
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
