"""Every row runs, alone, and its result file can be read and shown."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anytime_core.errors import InputError
from anytime_study.runs.config import RunConfig
from anytime_study.studies.runner import Finished
from benchmarks.__main__ import earlier, main, measured
from benchmarks.memory_probe import peak_mib, work
from benchmarks.page_figures import ratios_figure, streaming_figure
from benchmarks.page_tables import (
    ceiling_sentences,
    comparison_table,
    exits_sentences,
    header_text,
    made_table,
    streaming_table,
    training_sentences,
    weighting_sentences,
)
from benchmarks.reports import Device
from benchmarks.results import Report, load_report, load_reports
from benchmarks.rows import ROWS, memory, scaling
from benchmarks.settings import Settings

ROOT = Path(__file__).parents[2]
IN_PROCESS = [name for name in ROWS if name not in ("scaling", "memory")]  # those start processes: seconds of imports
DEVICE = Device(name="Some CPU (R) 3000", kind="cpu", cpu="Some CPU (R) 3000", cores=2, features=[])


@pytest.fixture(scope="module")
def report():
    settings = Settings(quick=True, device="cpu", threads=1)
    return Report(device=DEVICE, quick=True, rows={name: measured(name, settings) for name in IN_PROCESS})


def test_rows_hold_what_they_compare(report):
    contenders = {
        (row, key): [contender.name for contender in comparison.contenders]
        for row, found in report.rows.items()
        for key, comparison in found.comparisons.items()
    }
    assert contenders["training_rate", "plain_loop"][:2] == ["plain loop, 0 workers", "package, fp32"]
    assert contenders["ceiling", "share"] == ["whole training step", "its convolutions alone"]
    assert contenders["weightings", "losses"] == ["const", "const, a second run", "adaloss", "uw"]
    assert contenders["weightings", "gradients"] == ["const", "adaloss(order=1)", "IMTL-G of torchjd"]
    assert contenders["exits", "training"] == ["last exit only", "all exits"]
    assert contenders["streaming", "exit_3"] == ["cut after the exit", "streamed"]


def test_rows_agree_with_themselves(report):
    facts = report.rows["ceiling"].facts
    assert facts["achieved_over_ceiling"] == pytest.approx(facts["achieved_gmac_per_s"] / facts["ceiling_gmac_per_s"])
    share = report.rows["ceiling"].comparisons["share"]["its convolutions alone"].ratio
    assert 0 < share.median < 1
    exits = report.rows["exits"].comparisons["training"]
    assert [contender.facts["exits"] for contender in exits.contenders] == [1, 3]
    assert report.rows["exits"].facts["macs_all_over_last"] > 1


def test_a_file_comes_back_as_it_was(report, tmp_path):
    report.save(tmp_path / "some.json")
    assert load_report(tmp_path / "some.json") == report
    assert load_reports(tmp_path) == [report]
    assert report.device.slug == "some-cpu-r-3000-2-cores"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "expected JSON"),
        (lambda text: text.replace('"quick"', '"quik"'), "quik"),
        (lambda text: text.replace('"unit": "ms"', '"unit": 3', 1), "unit"),
        (lambda _: "[]", "bad result file"),
    ],
)
def test_a_damaged_file_is_one_clear_error(report, tmp_path, damage, message):
    path = tmp_path / "some.json"
    report.save(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=message) as caught:
        load_report(path)
    assert str(path) in str(caught.value)
    assert "make bench" in str(caught.value)


def test_no_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="found none"):
        load_reports(tmp_path)


def test_rows_of_another_device_or_of_a_trial_are_not_mixed(report, tmp_path):
    path = tmp_path / "some.json"
    assert earlier(path, DEVICE, quick=True).rows == {}
    report.save(path)
    assert earlier(path, DEVICE, quick=True) == report
    with pytest.raises(InputError, match="quick=False"):
        earlier(path, DEVICE, quick=False)
    with pytest.raises(InputError, match="Other"):
        earlier(path, DEVICE.model_copy(update={"name": "Other"}), quick=True)


def test_a_comparison_has_one_baseline(report, tmp_path):
    values = json.loads(report.model_dump_json())
    values["rows"]["exits"]["comparisons"]["training"]["baseline"] = "all exits"
    (tmp_path / "some.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="baseline"):
        load_report(tmp_path / "some.json")


def test_a_page_can_be_made_of_it(report):
    assert "mean nothing" in header_text(report)
    assert len(made_table([report])) == len(IN_PROCESS)
    assert "times as fast" in training_sentences([report])
    assert "billion multiply-adds" in ceiling_sentences([report])
    assert "AdaLoss costs" in weighting_sentences([report])
    assert "in multiply-adds" in exits_sentences([report])
    assert len(streaming_table([report])) == 3
    assert "ratio to CONST" in comparison_table([report], "weightings", "losses")
    assert len(ratios_figure([report], "weightings", "losses").axes) == 1
    assert len(streaming_figure([report]).axes) == 1


def test_what_is_not_measured_is_said(report):
    empty = report.model_copy(update={"rows": {}})
    assert training_sentences([empty]) == "Not measured."
    assert "Not measured." in comparison_table([empty], "memory", "peak").to_string()
    assert ratios_figure([empty], "weightings", "losses").axes[0].texts[0].get_text() == "Not measured."


def test_a_page_does_not_wait_for_torch():
    code = "import sys, benchmarks.page_figures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_command_measures_one_row_into_one_file(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.json"
    command = ["benchmarks", "--rows", "streaming", "--quick", "--device", "cpu", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    main()
    assert list(load_report(out).rows) == ["streaming"]
    assert capsys.readouterr().out.splitlines()[-1] == str(out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "-1"], "benchmarks: threads: expected 0 or more, found -1"),
        (["--out", "damaged.json"], "benchmarks: bad result file damaged.json: expected JSON, found"),
    ],
)
def test_the_command_refuses_bad_input_without_a_traceback(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("damaged.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", "--device", "cpu", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(message)


def test_a_sweep_tells_when_a_run_does_not_finish(monkeypatch):
    done = Finished(RunConfig(), "failed", "out of memory")
    monkeypatch.setattr(scaling, "run_study", lambda *_, **__: iter([done]))
    with pytest.raises(RuntimeError, match="failed"):
        scaling._sweep_seconds([RunConfig()], 1)


def test_peak_memory_is_a_whole_process(monkeypatch):
    assert peak_mib("cpu") > 100  # torch alone is more
    settings = Settings(quick=True, device="cpu", threads=1)
    with pytest.raises(ValueError, match="variant"):
        work(settings, "nothing")
    monkeypatch.setattr(memory, "peak_mib", lambda _, variant: {"plain": 400.0, "fp32": 200.0}[variant])
    peak = memory.measure(settings).comparisons["peak"]
    assert peak["package, fp32"].ratio.median == 0.5
