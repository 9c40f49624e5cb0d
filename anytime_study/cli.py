"""Anytime neural networks with adaptive loss balancing: what the notebooks and the workflow do, from a shell.

A path that you give starts at the current folder. What you leave out has its place in the checkout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import tyro
from pydantic import ValidationError
from tyro.extras import SubcommandApp

from anytime_core import __version__
from anytime_core.errors import InputError
from anytime_core.files import atomic_write
from anytime_study.analysis.claims import load_claims
from anytime_study.datasets import DatasetError, fetch
from anytime_study.foundations.validation import explain, own_fault
from anytime_study.prediction import predict
from anytime_study.runs.config import RunConfig
from anytime_study.runs.record import load_outcome
from anytime_study.studies.study import RECORDS, Tier
from anytime_study.study_commands import compare_weighting, run_or_list_study, study_cost
from anytime_study.training.interruption import AGAIN, Interrupted

app = SubcommandApp()


@app.command(name="train")
def _train(
    config: Annotated[RunConfig, tyro.conf.arg(name="")],
    records_dir: Path = RECORDS / "local",
    model_dir: Path | None = None,
) -> None:
    """Train one network and write its record.

    Exit status 75 means that it was asked to stop: the same command goes on from there.

    Args:
        config: The run.
        records_dir: Folder for the record.
        model_dir: Folder for the trained network too, as `anytime predict` reads it.
    """
    from anytime_study.training.checkpointed_run import run_to_record  # seconds of imports for this command only

    record, path = run_to_record(config, records_dir, rules=load_claims().rules, model_dir=model_dir)
    print(path)
    if record.outcome == "diverged":
        _stop(record.reason)


app.command(name="study")(run_or_list_study)
app.command(name="study-cost")(study_cost)
app.command(name="compare-weighting")(compare_weighting)
app.command(name="predict")(predict)


@app.command(name="ledger")
def _ledger(tier: Tier = "laptop", records_dir: Path | None = None) -> None:
    """Judge the papers' claims by the records of a tier, as data/claims.yaml says.

    Args:
        tier: Whose studies and records.
        records_dir: Folder of the records instead of the tier's own.
    """
    from anytime_study.analysis.ledger import ledger, ledger_lines  # SciPy and pandas, for this command only
    from anytime_study.runs.folders import record_files

    if records_dir is not None:
        record_files([records_dir])  # there are some
    for line in ledger_lines(ledger(tier, records=records_dir)):
        print(line)


@app.command(name="fetch")
def _fetch(dataset: tyro.conf.Positional[str]) -> None:
    """Download a data set unless it is there, and verify it.

    Args:
        dataset: Name of the data set.
    """
    print(fetch(dataset))


@app.command(name="record")
def _record(
    action: tyro.conf.Positional[Literal["check", "table"]],
    folders: tyro.conf.Positional[tuple[Path, ...]],
    out: Path | None = None,
) -> None:
    """Look after folders of records, of one machine or of many.

    `check` verifies every record, where it comes from, and that no run is there twice with different results; exit
    status 1 if something is wrong. `table` writes all records to the file `out`, .csv, a row per run and exit.

    Args:
        action: What to do.
        folders: Folders of records; those in them count too.
        out: For table.
    """
    from anytime_study.runs.folders import check_records, record_files
    from anytime_study.runs.tables import exits_table

    if not folders:
        raise InputError("bad arguments: folders: expected at least one, found none")
    if action == "check":
        problems, summary = check_records(folders)
        print(*problems, *summary, sep="\n")
        if problems:
            raise SystemExit(1)
        return
    if out is None or out.suffix != ".csv":
        raise InputError(f"bad arguments: out: expected where to write, a file that ends with .csv, found {out}")
    table = exits_table(map(load_outcome, record_files(folders)))
    atomic_write(out, table.to_csv(index=False))
    print(f"{out}: {len(table)} rows of {table['run'].nunique()} runs")


def main() -> None:
    """Run the command; bad input is one message and exit status 1, without a traceback."""
    if sys.argv[1:] == ["--version"]:
        print(f"anytime {__version__}")
        return
    sys.path.insert(0, str(Path.cwd()))  # for weightings of one's own
    try:
        app.cli(prog="anytime", description=__doc__)
        sys.stdout.flush()
    except ValidationError as error:  # only the arguments of `train` make a RunConfig here
        _stop(explain(error, RunConfig, where="arguments"))
    except (InputError, DatasetError) as error:
        _stop(own_fault(error) or error)
    except Interrupted as error:
        print(f"anytime: {error}", file=sys.stderr)
        raise SystemExit(AGAIN) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # `anytime ledger | head` has seen enough; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        _stop(own_fault(error) or f"{error.filename}: {error.strerror}")
    except Exception as error:  # a defect of ours keeps its traceback
        if (told := own_fault(error)) is None:
            raise
        _stop(told)


def _stop(reason: object) -> NoReturn:
    print(f"anytime: {reason}", file=sys.stderr)
    raise SystemExit(1) from None


if __name__ == "__main__":
    main()
