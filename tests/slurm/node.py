"""A Slurm cluster of one node, this machine, for as long as a test takes.

All it writes lies in one temporary folder: configuration, key, sockets, state, logs. A Slurm that is at work here
already is not touched; the ports are free ones.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "setpriv")

_CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ReturnToService=2
MinJobAge=3600
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Node:
    """The cluster at work.

    Attributes:
        folder: Its files.
        env: Environment in which Slurm's commands find it.
        cpus: Processors that it lends.
    """

    folder: Path
    env: dict[str, str]
    cpus: int

    def ask(self, *command: str) -> str:
        """What a command of Slurm answers."""
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs of this cluster's life, as ``scontrol`` shows them."""
        lines = self.ask("scontrol", "show", "job", "--oneliner").splitlines()
        fields = [dict(word.partition("=")[::2] for word in line.split() if "=" in word) for line in lines]
        return [job for job in fields if "JobId" in job]


def why_not() -> str | None:
    """What is missing for a cluster here; None if nothing is."""
    if os.geteuid() != 0:
        return "a one-node Slurm needs root"
    missing = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    return f"not installed: {', '.join(missing)} (Debian: slurm-wlm, munge, util-linux)" if missing else None


@contextmanager
def slurm_node(cpus: int | None = None) -> Iterator[Node]:
    """Start the cluster, wait until its node is idle, and stop what was started, whatever happens inside.

    Raises:
        RuntimeError: it did not come up; the message has the end of the logs.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munge wants a folder that others may enter and not write
    cpus = cpus or len(os.sched_getaffinity(0))
    memory_mb = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20 * 0.9)
    config = folder / "slurm.conf"
    config.write_text(_CONFIG.format(host=_host(), ports=_free_ports(2), folder=folder, cpus=cpus, memory_mb=memory_mb))
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    # The executor takes all SLURM_ variables from its inner srun, which then looks for /etc/slurm/slurm.conf.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {shutil.which("srun", path=_path())} "$@"\n')
    srun.chmod(0o755)
    key = folder / "munge.key"
    key.touch(0o400)
    key.write_bytes(os.urandom(1024))
    node = Node(folder, {**os.environ, "SLURM_CONF": str(config), "PATH": f"{srun.parent}:{_path()}"}, cpus)
    started: list[subprocess.Popen[bytes]] = []
    try:
        options = [f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in ("key-file", "socket", "pid-file")]
        options += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed"]
        started.append(_start(node, "munged", "--foreground", *options))
        _wait_for("munged", lambda: (folder / "munge.socket").exists(), node)
        started.append(_start(node, "slurmctld", "-D", "-f", str(config)))
        started.append(_start(node, "slurmd", "-D", "-f", str(config)))
        _wait_for("the node", lambda: node.ask("sinfo", "--noheader", "--format=%T") == "idle", node)
        yield node
    finally:
        if len(started) == 3:
            _end_jobs(node)
        for process in reversed(started):  # by their ids, and no other process
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start(node: Node, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A daemon in the foreground: it ends with this process, even if that is killed, and Ctrl-C does not reach it."""
    with open(node.folder / f"{program}.out", "wb") as out:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", program, *arguments],
            env=node.env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for(what: str, ready, node: Node, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(subprocess.SubprocessError):
            if ready():
                return
        time.sleep(0.2)
    logs = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(node.folder.glob("*.out")))
    raise RuntimeError(f"{what} did not come up within {seconds:.0f} s\n{logs}")


def _end_jobs(node: Node) -> None:
    """Cancel what still runs: a job's processes would outlive the daemons."""
    with suppress(subprocess.SubprocessError):
        ids = node.ask("squeue", "--noheader", "--format=%A").split()
        if ids:
            node.ask("scancel", *ids)
        end = time.monotonic() + 60
        while time.monotonic() < end and node.ask("squeue", "--noheader", "--format=%A"):
            time.sleep(0.5)
