"""The workflow's way to pages that train nothing: one process imports what they need, and each runs in a fork of it.

Starting Python, a kernel, PyTorch and pandas anew would take longer than what most of these pages do.
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Annotated

import papermill
import tyro
import yaml
from papermill.engines import papermill_engines

from anytime_study.pages.notebook_engine import InProcessEngine
from anytime_study.pages.publishing import PublishError, publish

LOGS = Path("build/logs/pages")


def make_page(name: str) -> str | None:
    """Execute the notebook of one page of workflow/pages.yaml and publish it. The checkout is the working folder.

    Returns:
        What went wrong, None if nothing did. A failed notebook stays in build/logs/pages.
    """
    page = yaml.safe_load(Path("workflow/pages.yaml").read_text(encoding="utf-8"))[name]
    executed = LOGS / f"{name}.ipynb"
    papermill_engines.register("in_process", InProcessEngine)
    options = {"engine_name": "in_process", "kernel_name": "python3", "progress_bar": False}
    try:
        papermill.execute_notebook(page["notebook"], executed, page.get("parameters", {}), **options)
        publish(executed, Path(f"book/results/{name}.ipynb"), title=page["title"])
    except (papermill.PapermillExecutionError, PublishError) as error:
        return f"{name}: {error}"
    return None


def make_pages(
    names: tyro.conf.Positional[tuple[str, ...]], *, jobs: Annotated[int, tyro.conf.arg(name="jobs")] = 1
) -> None:
    """Make pages, so many at once; all are tried before the first failure ends the whole.

    Args:
        names: Of workflow/pages.yaml.
        jobs: Processes.
    """
    import matplotlib.pyplot  # noqa: F401  what the pages import, so that each fork has it
    import scipy.stats  # noqa: F401
    import seaborn  # noqa: F401

    import anytime_study.analysis.ledger
    import anytime_study.pages.result_figures
    import anytime_study.runs.record  # noqa: F401

    LOGS.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        failures = [said for said in pool.imap_unordered(make_page, names, chunksize=1) if said]
    if failures:
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    tyro.cli(make_pages)
