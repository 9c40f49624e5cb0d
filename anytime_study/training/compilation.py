"""Whether torch.compile can work here."""

from __future__ import annotations

import logging
import os
import shutil
import sys

_log = logging.getLogger(__name__)


def can_compile() -> bool:
    """Whether there is the C++ compiler that torch.compile calls; if not, one warning in the log says so.

    It is the one that PyTorch itself would take: ``$CXX``, else g++ (on macOS clang++).
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler):
        # that no CUDA toolkit is found is no news on a machine without a GPU
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        return True
    _log.warning("compile=True, but there is no C++ compiler (%s): the network runs uncompiled", compiler)
    return False
