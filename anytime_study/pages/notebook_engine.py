"""Papermill's engine for many notebooks side by side: ``papermill --engine side_by_side``.

Jupyter talks to a kernel through five network ports. It looks for free ones before the kernel starts, so two kernels
that start in the same moment may be given the same port, and one of them dies or never answers. Here it talks through
five sockets in a folder that only this kernel has.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from papermill.engines import NBClientEngine
from traitlets.config import Config


class SideBySideEngine(NBClientEngine):
    """Papermill's own engine, with sockets in the file system."""

    @classmethod
    def execute_managed_notebook(cls, *args: Any, **kwargs: Any) -> Any:
        """See :meth:`papermill.engines.NBClientEngine.execute_managed_notebook`."""
        # tqdm would tell every page that there are no widgets; what a page says on stderr it is refused for
        os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
        with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
            sockets = Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder) / "socket")}})
            return super().execute_managed_notebook(*args, **{**kwargs, "config": sockets})
