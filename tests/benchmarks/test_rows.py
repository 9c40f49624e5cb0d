"""Every row runs on a CPU, in a small size. Times themselves are not tested."""

import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from anytime_core import ResANN
from benchmarks import cuda_graph, deadlines
from benchmarks.__main__ import RESULTS, main, measured
from benchmarks.deadlines import busy_processes, latency_of, run_trial
from benchmarks.machine import Settings, describe_device
from benchmarks.report import load_report
from benchmarks.stopping import CUT, PREDICT, REFINE, Subject

QUICK = Settings(quick=True, device="cpu", threads=1)
COMPARED = {
    ("training", "plain_loop"): ["plain loop, 0 workers", "package, fp32"],
    ("weightings", "losses"): ["const", "const, a second run", "adaloss", "uw"],
    ("weightings", "gradients"): ["const", "adaloss(order=1)"],
    ("exits", "training"): ["last exit only", "all exits"],
    ("stopping", "exit_3"): [CUT, PREDICT, REFINE],
    ("confidence", "speed"): ["last exit for all", "early exit"],
}


@pytest.fixture(scope="module")
def rows():
    return {name: measured(name, QUICK) for name, _ in COMPARED}


@pytest.mark.parametrize(("row", "key"), COMPARED)
def test_rows_hold_what_they_compare(rows, row, key):
    names = [contender.name for contender in rows[row].comparisons[key].contenders]
    assert names[: len(COMPARED[row, key])] == COMPARED[row, key]


def test_facts_and_tables_are_measured(rows):
    assert rows["exits"].facts["macs_all_over_last"] > 1
    confidence = rows["confidence"]
    assert confidence.facts["images"] == 360
    assert 0 < confidence.facts["macs_early_over_last"] < 1.5  # a quick network is sure of nothing
    assert len(confidence.tables["calibration"]["temperature"]) == 3
    assert len(confidence.tables["anytime"]["error"]) == 3
    assert (rows["stopping"].made.threads, rows["training"].made.commit is not None) == (1, True)


def test_the_row_about_cuda_graphs_trains_both_weightings(monkeypatch):
    """On a CPU, with steps in the place of replays."""
    steps = []
    monkeypatch.setattr(cuda_graph, "replay", lambda step: steps.append(step) or step)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**20)
    found = cuda_graph.cuda_graph(QUICK)
    names = ["const, graph", "adaloss, eager", "adaloss, graph"]
    assert list(found["comparisons"]["step"].ratios) == names
    assert found["facts"]["peak_mib"] == 1
    assert all(parameter.grad.abs().sum() > 0 for step in steps for parameter in step.net.parameters())
    assert steps[1].weigh.step > 4


def test_a_gpu_is_told_with_its_capability_and_memory(monkeypatch):
    properties = SimpleNamespace(name="Some GPU", major=9, minor=0, total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: properties)
    found = describe_device("cuda")
    assert (found.slug, found.features) == ("some-gpu", ["compute capability 9.0", "80 GiB"])


def test_the_row_about_deadlines_has_every_trial_of_the_page(monkeypatch):
    monkeypatch.setattr(deadlines, "run_trial", lambda subject, *_, **options: (subject.text, options))
    found = deadlines.deadlines(QUICK)["trials"]
    assert {options.get("load", "idle") for _, options in found.values()} == {"idle", "one core busy", "all cores busy"}
    assert found["EANN"][0] == "EANN of resann(n=1, c=4), resann(n=2, c=4)"
    assert found["deepest"][0] == "resann(n=2, c=4)"
    assert set(load_report(RESULTS / "amd-epyc-2-cores.json")["deadlines"].trials) == set(found)


# --- deadlines -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    net = ResANN(n=1, c=4, in_channels=1).eval()
    images = torch.randn(40, 1, 8, 8)
    with torch.no_grad():
        labels = net(images)[-1].argmax(1)  # so the last exit is always right
    return Subject("tiny", net, images, labels)


def test_a_trial_counts_every_call_once(subject):
    found = run_trial(subject, latency_of(subject, 100), 300, ends=(1e-4, 5e-2))
    assert found.count == 300
    assert all(low.high_s <= high.low_s + 1e-12 for low, high in zip(found.bins, found.bins[1:], strict=False))
    assert all(len(part.exits) == subject.net.num_exits for part in found.bins)
    assert (found.lateness_s is None) == (found.late == 0)
    assert found.late_by_step <= found.late
    assert (found.table, found.load) == (True, "idle")


def test_answers_of_the_last_exit_are_counted_as_right(subject):
    table = latency_of(subject, 100)
    found = run_trial(subject, table, 50, plan=False, ends=(20.0, 30.0))  # seconds: every answer is the last exit's
    assert sum(part.exits[-1] for part in found.bins) == 50
    assert sum(part.correct for part in found.bins) == 50
    assert found.late == 0
    unlabelled = Subject("tiny", subject.net, subject.images, None)
    assert all(part.correct is None for part in run_trial(unlabelled, table, 20, ends=(20.0, 30.0)).bins)


def test_load_is_there_inside_and_gone_outside():
    before = {child.pid for child in psutil.Process().children()}
    with busy_processes(1):
        (child,) = [child for child in psutil.Process().children() if child.pid not in before]
        child.cpu_percent()
        assert child.cpu_percent(interval=1.0) > 10  # of one core, on a machine with other work too
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch, capsys):
    """Call the command; gives its exit status, output and errors."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return call


def test_the_command_adds_rows_to_the_report_of_its_own_device(tmp_path, command, monkeypatch):
    known = load_report(RESULTS / "amd-epyc-2-cores.json")
    monkeypatch.setattr("benchmarks.__main__.measured", lambda name, _: known[name])
    out = tmp_path / "out.json"
    assert command("--rows", "stopping", "--out", out)[0] == 0
    status, printed, _ = command("--rows", "exits", "--out", out)
    assert (status, printed.splitlines()[-1]) == (0, str(out))
    assert list(load_report(out).rows) == ["stopping", "exits"]
    other = out.read_text().replace('"quick": true', '"quick": false')
    out.write_text(other)
    status, _, error = command("--rows", "stopping", "--out", out)
    assert (status, error.startswith("benchmarks: out: expected")) == (1, True)
    assert out.read_text() == other


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--threads", "-1"], "threads"),
        (["--rows", "cuda_graph"], "rows"),
        pytest.param(
            ["--device", "cuda"],
            "device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here"),
        ),
    ],
)
def test_bad_input_is_one_line_without_a_traceback(arguments, named, command):
    status, _, error = command(*arguments)
    assert status == 1
    assert error.startswith(f"benchmarks: {named}: expected ")
    assert error.count("\n") == 1
