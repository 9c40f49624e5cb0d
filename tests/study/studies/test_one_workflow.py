import os
import subprocess
import sys

import pytest

from anytime_study.studies.one_workflow import MARK

BEGIN = """
import sys
from pathlib import Path
from anytime_study.studies.one_workflow import begin_workflow
print(begin_workflow(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def begin():
    """Begin a workflow in a process of its own, which lives until its standard input ends."""
    started = []

    def begin(root):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, "-c", BEGIN, str(root)], text=True, **pipes)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def sleeper(root):
    """Something that a workflow in this checkout has started."""
    return subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(root)})


def test_two_living_workflows_refuse_each_other_and_a_killed_one_is_no_hindrance(begin, tmp_path):
    first, said = begin(tmp_path)
    assert said == "0"
    second, said = begin(tmp_path)
    assert said == ""
    _, err = second.communicate()
    assert second.returncode == 1
    assert f"expected to be the only one in {tmp_path}, found another at work (process {first.pid}, since 2" in err
    _, said = begin(tmp_path / "elsewhere")
    assert said == "0"
    first.kill()
    first.wait()
    third, said = begin(tmp_path)
    assert (said, third.poll()) == ("0", None)


def test_what_a_killed_workflow_left_is_stopped_and_nothing_else(begin, tmp_path):
    orphan, foreign = sleeper(tmp_path), sleeper(tmp_path / "elsewhere")
    try:
        _, said = begin(tmp_path)
        assert said == "1"
        assert orphan.wait(timeout=10) == -15
        assert foreign.poll() is None
    finally:
        for process in (orphan, foreign):
            process.kill()
            process.wait()


def test_a_refused_workflow_stops_nothing(begin, tmp_path):
    begin(tmp_path)
    child = sleeper(tmp_path)  # of the living one
    try:
        _, said = begin(tmp_path)
        assert said == ""
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
