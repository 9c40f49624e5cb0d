"""Papermill's engines for the book: many kernels side by side, and no kernel at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from papermill.engines import Engine, NBClientEngine
from traitlets.config import Config


class SideBySideEngine(NBClientEngine):
    """``papermill --engine side_by_side``: papermill's own engine, with sockets in the file system.

    Jupyter talks to a kernel through five network ports. It looks for free ones before the kernel starts, so two
    kernels that start in the same moment may be given the same port, and one of them dies or never answers. Here it
    talks through five sockets in a folder that only this kernel has.
    """

    @classmethod
    def execute_managed_notebook(cls, *args: Any, **kwargs: Any) -> Any:
        """See :meth:`papermill.engines.NBClientEngine.execute_managed_notebook`."""
        # tqdm would tell every page that there are no widgets; what a page says on stderr it is refused for
        os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
        with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
            sockets = Config({"KernelManager": {"transport": "ipc", "ip": str(Path(folder) / "socket")}})
            return super().execute_managed_notebook(*args, **{**kwargs, "config": sockets})


class InProcessEngine(Engine):
    """Cells run in this very process: once in the life of a process, since a second notebook would see the first."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, *_: Any, **__: Any) -> Any:
        """See :meth:`papermill.engines.Engine.execute_managed_notebook`."""
        from ipykernel.inprocess.manager import InProcessKernelManager
        from IPython.core.interactiveshell import InteractiveShell

        InteractiveShell.clear_instance()  # the parent's, if it had one: a fork inherits it
        manager: Any = InProcessKernelManager()
        manager.start_kernel()
        manager.kernel.shell.run_line_magic("matplotlib", "inline")
        client = manager.client()
        client.start_channels()
        for number, cell in enumerate(nb_man.nb.cells):
            nb_man.cell_start(cell, number)
            if cell.cell_type == "code" and cell.source.strip():
                client.execute(cell.source)
                reply = client.get_shell_msg()["content"]
                cell.execution_count, cell.outputs = reply["execution_count"], []
                while client.iopub_channel.msg_ready():
                    message = client.get_iopub_msg()
                    if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                        cell.outputs.append(nbformat.v4.output_from_msg(message))
                if reply["status"] == "error":
                    nb_man.cell_exception(cell, number)
                    break
            nb_man.cell_complete(cell, number)
        return nb_man.nb
