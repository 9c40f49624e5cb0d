"""Every fault counts its trials and outcomes; `make torture` has many more trials and keeps the counts."""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

from anytime_core.files import atomic_write
from anytime_study.foundations.provenance import provenance

RESULTS = os.environ.get("TORTURE_RESULTS")
CASES = 1000 if RESULTS else 30  # of each kind of file

_found: list[dict] = []
_begin = time.perf_counter()


@pytest.fixture
def tally(request):
    """Count outcomes: ``tally("group", "fault")`` gives a Counter, whose counts are kept once the test has passed."""
    counted = []

    def begin(group, fault):
        counted.append((group, fault, Counter()))
        return counted[-1][2]

    yield begin
    for group, fault, outcomes in counted:
        if seen := +outcomes:  # those that came at all
            _found.append(
                {"group": group, "fault": fault, "trials": seen.total(), "outcomes": dict(sorted(seen.items()))}
            )


@pytest.fixture
def fuzz(tally):
    """Try a case on many inputs of a strategy, and count what it returns."""

    def run(fault, strategy, case):
        outcomes = tally("bad input", fault)

        @settings(
            max_examples=CASES,
            phases=[Phase.generate],  # a case may take seconds, so none is made smaller
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def every(example):
            outcomes[case(example)] += 1

        every()
        assert outcomes.total() >= CASES
        return outcomes

    return run


@pytest.fixture
def many():
    """Trials of a fault that takes long: few in ``make test``."""
    return lambda number, few=2: number if RESULTS else few


def pytest_sessionfinish(session, exitstatus):
    if RESULTS and exitstatus == 0 and _found:
        report = {
            "format": 1,
            "seconds": round(time.perf_counter() - _begin, 1),
            "faults": _found,
            "provenance": provenance(torch.device("cpu")).model_dump(),
        }
        atomic_write(Path(RESULTS), json.dumps(report, indent=1) + "\n")
