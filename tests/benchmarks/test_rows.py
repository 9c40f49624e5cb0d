"""Every row runs on a CPU, in a small size. Times themselves are not tested."""

import sys
from functools import partial
from types import SimpleNamespace

import psutil
import pytest
import torch

from anytime_core import ResANN
from benchmarks import deadlines
from benchmarks.__main__ import RESULTS, main, measured
from benchmarks.deadlines import busy_processes, latency_of, run_trial
from benchmarks.machine import Settings, describe_device
from benchmarks.peers import msdnet
from benchmarks.report import load_report
from benchmarks.stopping import CUT, PREDICT, REFINE, Subject
from tests.core.weighting.reference import adaloss_weights

QUICK = Settings(quick=True, device="cpu", threads=1)
COMPARED = {
    ("weightings", "losses"): ["const", "const, a second run", "adaloss", "uw"],
    ("weightings", "gradients"): ["const", "adaloss(order=1)"],
    ("exits", "training"): ["last exit only", "all exits"],
    ("stopping", "exit_3"): [CUT, PREDICT, REFINE],
    ("confidence", "speed"): ["last exit for all", "early exit"],
    ("torchjd", "call"): ["TorchJD, Sum", "TorchJD, GeometricMean", "TorchJD, UW"],
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
    assert len(confidence.tables["calibration"]["ece_after"]) == 3
    assert len(confidence.tables["anytime"]["error"]) == 3
    assert (rows["stopping"].made.threads, rows["exits"].made.commit is not None) == (1, True)


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


# --- other libraries -----------------------------------------------------------------------------------------------


MAIN = """
import sys
from types import SimpleNamespace

import torch

args = SimpleNamespace(said=sys.argv[1:])
models = SimpleNamespace(msdnet=lambda args: torch.nn.Linear(6, 5))
steps = []


def get_dataloaders(args):
    return [(torch.ones(4, 6), torch.zeros(4, dtype=torch.int64))], None, None


def train(loader, model, criterion, optimizer, epoch):
    for images, labels in loader:
        print(len(loader))
        criterion(model(images), labels.cuda(device=None)).backward()
        optimizer.step()
        steps.append(epoch)
"""


def test_their_loop_is_called_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(msdnet, "fetch", lambda name: f"/{name}")
    monkeypatch.delitem(sys.modules, "main", raising=False)
    (tmp_path / "main.py").write_text(MAIN)
    theirs = msdnet.TheirTraining(tmp_path, QUICK)
    before = theirs.net.weight.detach().clone()
    seconds = theirs.block(3)()
    monkeypatch.delitem(sys.modules, "main")
    assert seconds > 0
    assert len(theirs.loop.steps) == msdnet.WARM_UP + 3
    assert not torch.equal(theirs.net.weight, before)
    assert capsys.readouterr().out == ""
    assert theirs.macs(torch.ones(1, 6)) == 30
    assert theirs.loop.args.said[-2:] == ["--data-root", "/cifar10"]


def test_the_clock_of_a_turn_starts_after_its_warm_up(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(msdnet, "clock", lambda: now[0])
    turn = msdnet.Turn(iter(range(100)), 4)
    for place in turn:
        now[0] += 0.5 if place >= msdnet.WARM_UP else 10
    assert (len(turn), turn.seconds) == (msdnet.WARM_UP + 4, 0.5)


def test_scalarizers_are_counted_and_settle_at_their_weights(rows):
    names = [contender.name for contender in rows["torchjd"].comparisons["call"].contenders]
    table = rows["torchjd"].tables["call"]
    weights = dict(zip(names, table["smallest_over_largest"], strict=True))
    assert weights["CONST"] == weights["TorchJD, Sum"] == pytest.approx(1)
    assert weights["TorchJD, GeometricMean"] == pytest.approx(10)  # the losses are 1 and 0.1
    assert weights["AdaLoss, formula"] == pytest.approx(10)
    assert weights["AdaLoss"] == pytest.approx(1 / adaloss_weights([[1.0, 0.1]], refresh_period=1).min())
    assert min(table["operations"]) > 1


def test_a_library_that_is_not_here_is_left_out_with_a_sentence(command, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "earlyon", None)
    monkeypatch.delitem(sys.modules, "benchmarks.peers.earlyon", raising=False)
    out = tmp_path / "r.json"
    status, printed, _ = command("--rows", "earlyon", "msdnet_pytorch", "--msdnet", tmp_path, "--out", out)
    assert status == 0
    assert "earlyon: left out; expected the package earlyon, found none" in printed
    assert "msdnet_pytorch: left out; expected --msdnet with a clone" in printed
    assert not out.exists()


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def command(run_main):
    """The command, in a small size; gives its exit status, output and errors."""
    return partial(run_main, main, "benchmarks", "--quick")


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
