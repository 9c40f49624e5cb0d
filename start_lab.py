"""Install what the lab and the exercises need, once, and open the lab: ``python start_lab.py``.

For Linux, macOS and Windows, with Python 3.11, 3.12 or 3.13. All goes into the folder .venv-lab beside this file, with
PyTorch for the processor alone. This file needs nothing but Python itself.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv-lab"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
DONE = ENVIRONMENT / "installed"
ONLY_FOR_CUDA = re.compile(r"(nvidia-|cuda-|triton=)")


def install(*, gpu: bool) -> None:
    """Make the environment, or what is missing of it."""
    lock = (HERE / "requirements-lab.lock").read_text(encoding="utf-8")
    if DONE.is_file() and DONE.read_text(encoding="utf-8") == lock:
        return
    sys.stdout.write("Installing, once: a few minutes, about 1 GB.\n" if not gpu else "Installing, once: about 7 GB.\n")
    sys.stdout.flush()
    venv.create(ENVIRONMENT, with_pip=True)
    python = str(PROGRAMS / "python")
    (uv,) = re.findall(r"^uv==\S+", (HERE / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", uv)
    wanted = [line for line in lock.splitlines() if gpu or not ONLY_FOR_CUDA.match(line)]
    (ENVIRONMENT / "requirements.txt").write_text("\n".join(wanted), encoding="utf-8")
    if not gpu:
        os.environ.setdefault("UV_TORCH_BACKEND", "cpu")
    by_uv = (python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--no-deps")
    run(*by_uv, "--requirement", str(ENVIRONMENT / "requirements.txt"))
    run(*by_uv, "--editable", str(HERE), "--editable", str(HERE / "anytime_study"))
    DONE.write_text(lock, encoding="utf-8")


def run(*command: str) -> None:
    """Run a command, or end with its status; it has said itself what went wrong."""
    status = subprocess.run(command, cwd=HERE, check=False).returncode
    if status:
        raise SystemExit(status)


def main() -> None:
    """Read the command line."""
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise SystemExit(f"Python 3.11, 3.12 or 3.13 is needed; this is {sys.version.split()[0]}.")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("notebook", nargs="?", default="notebooks/lab.ipynb", help="another notebook to open")
    parser.add_argument("--only-install", action="store_true", help="install, and open nothing")
    parser.add_argument("--gpu", action="store_true", help="PyTorch from the package index; with CUDA on Linux")
    told = parser.parse_args()
    install(gpu=told.gpu)
    if not told.only_install:
        os.environ["PATH"] = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"  # for papermill in a terminal of its own
        # All of the project in the list of files: a command of an exercise leaves its notebook beside this file.
        run(str(PROGRAMS / "python"), "-m", "jupyter", "lab", told.notebook, f"--ServerApp.root_dir={HERE}")


if __name__ == "__main__":
    main()
