"""What the page *How to contribute* says works: its files and lines, put into a copy of the package, train."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "contributing.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTIONS = dict(re.findall(r"^\(contributing-(\w+)\)=\n(.*?)(?=^\(|^## Text|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def put(block, checkout):
    """Do what a block of Python asks for: write a file, or insert lines into one. Returns the file."""
    head, _, body = block.partition("\n")
    if place := re.fullmatch(r"# in (\S+), after (.+)", head):
        file, after = checkout / place[1], place[2]
        text = file.read_text()
        assert text.count(after) == 1, f"{place[1]} has {after!r} {text.count(after)} times"
        file.write_text(text.replace(after, f"{after}\n{body}"))
        return file
    file = checkout / head.removeprefix("# ")
    assert not file.exists()
    file.write_text(body)
    return file


@pytest.mark.parametrize("part", ["weighting", "network", "dataset"])
def test_a_new_part_trains_as_the_page_says(part, tmp_path):
    for source in [*(ROOT / "anytime_core").rglob("*.py"), *(ROOT / "anytime_study").rglob("*.py")]:
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "claims.yaml").write_text((ROOT / "data" / "claims.yaml").read_text(encoding="utf-8"))
    commands = []
    for language, block in BLOCK.findall(SECTIONS[part]):
        if language == "bash":
            commands += block.strip().splitlines()
        else:
            changed = put(block, tmp_path)
    if line := re.search(r"`(from anytime_study\S* import \w+)` at the top of that file", SECTIONS[part]):
        text = changed.read_text()
        start = text.index("\nfrom anytime_") + 1
        changed.write_text(f"{text[:start]}{line[1]}\n{text[start:]}")
    (command,) = commands
    program, *arguments = shlex.split(command)
    assert program == "anytime"
    records = tmp_path / "records"
    done = subprocess.run(
        [sys.executable, "-m", "anytime_study.cli", *arguments, "--records-dir", str(records)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (record,) = records.glob("*.json")
    assert any(name in record.name for name in ("quadratic", "plain", "digits-negative"))


@pytest.mark.parametrize("part", ["weighting", "network", "dataset"])
def test_a_part_fits_one_screen(part):
    assert len(SECTIONS[part].splitlines()) <= 60
