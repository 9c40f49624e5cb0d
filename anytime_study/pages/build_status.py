"""What a copy of the book was made with: versions, minutes of its notebooks, records of each tier."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from anytime_study.studies.study import RECORDS, ROOT, load_study

PACKAGES = (
    *("anytime-core", "torch", "torchvision", "lightning", "torchmetrics", "torchjd", "numpy", "scipy", "pandas"),
    *("pydantic", "matplotlib", "seaborn", "scikit-learn", "papermill", "snakemake", "jupyter-book", "Sphinx"),
)


def versions() -> pd.DataFrame:
    """Python and the packages that the study rests on, from their installed metadata. Columns: package, version."""
    rows = [("Python", platform.python_version()), *((name, version(name)) for name in PACKAGES)]
    return pd.DataFrame(rows, columns=["package", "version"])


def notebook_minutes(logs: Path) -> pd.DataFrame:
    """Minutes that papermill took for each executed notebook in a folder, the start of its kernel included.

    Args:
        logs: Folder of notebooks as papermill wrote them; what did not finish there is left out.

    Returns:
        Columns: page (the file's name without suffix), minutes; the longest first.
    """
    rows = []
    for path in sorted(logs.glob("*.ipynb")):
        run = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("papermill", {})
        if run.get("duration") is not None and not run.get("exception"):
            rows.append((path.stem, run["duration"] / 60))
    table = pd.DataFrame(rows, columns=["page", "minutes"])
    return table.sort_values("minutes", ascending=False, ignore_index=True)


def tier_counts(*, records: Path = RECORDS, studies: Path = ROOT / "workflow" / "studies") -> pd.DataFrame:
    """Runs of each tier that its studies plan, and those of them that have a record.

    Columns: tier, studies, planned runs, records. A run that several studies share counts once.
    """
    rows = []
    for tier in ("quick", "laptop", "cifar", "paper"):
        files = [*studies.glob(f"{tier}.yaml"), *sorted((studies / tier).glob("*.yaml"))]
        planned = {run.name for file in files for run in load_study(file)[1]}
        made = sum((records / tier / f"{name}.json").exists() for name in planned)
        rows.append((tier, len(files), len(planned), made))
    return pd.DataFrame(rows, columns=["tier", "studies", "planned runs", "records"])
