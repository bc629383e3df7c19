"""A private one-node SLURM cluster on this machine: munge, slurmctld, slurmd."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from waiting import wait_for

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel")
# Job steps start with a clean environment and look here.
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")
SLURM_CONF = """
ClusterName=normscan
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={daemon_port}
AuthType=auth/munge
# A requeued job waits until its credential has expired.
AuthInfo=socket={folder}/munge.socket,cred_expire=15
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
TaskProlog={folder}/prolog.sh
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=0,sched_interval=1
# More processors than there may be: jobs of tests wait more than they compute.
SlurmdParameters=config_overrides
SlurmctldTimeout=30
SlurmdTimeout=300
KillWait=5
MinJobAge=7200
ReturnToService=2
OverTimeLimit=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""
# Runs inside every job's task, in its environment.
PROLOG = """#!/bin/sh
echo "$SLURM_JOB_ID $SLURM_JOB_PARTITION ${{CUDA_VISIBLE_DEVICES:-none}}" >> {folder}/seen.txt
"""


def missing() -> str:
    """Why no cluster can be started here; empty when one can."""
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking:
        return (
            f"no private SLURM here: {', '.join(lacking)} not found; "
            "as root: apt-get install slurm-wlm munge"
        )
    if os.geteuid() != 0:
        return "a private SLURM is started by root only"
    if SYSTEM_CONF.exists() or SYSTEM_CONF.is_symlink():
        return f"{SYSTEM_CONF} exists: this machine belongs to a cluster"
    return ""


class Cluster:
    """One node with a declared GPU, a partition ``cpu`` and a partition ``gpu``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        facts = {
            "host": socket.gethostname().split(".")[0],
            "folder": folder,
            "port": free_port(),
            "daemon_port": free_port(),
            "cpus": max(os.cpu_count(), 4),
            # Declared, not used: what rules ask for must fit on small machines.
            "memory": max(memory - 500, 1000),
        }
        (folder / "slurm.conf").write_text(SLURM_CONF.format(**facts))
        (folder / "gres.conf").write_text("Name=gpu Count=1 File=/dev/null\n")
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        prolog = folder / "prolog.sh"
        prolog.write_text(PROLOG.format(**facts))
        prolog.chmod(0o755)
        (folder / "seen.txt").touch()

    def environment(self) -> dict[str, str]:
        """For everything that talks to the cluster."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start all daemons and wait for the node to be idle."""
        SYSTEM_CONF.parent.mkdir(exist_ok=True)
        SYSTEM_CONF.symlink_to(self.folder / "slurm.conf")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self._spawn(
            "munged",
            "--foreground",
            "--force",
            f"--socket={self.folder}/munge.socket",
            f"--key-file={key}",
            f"--log-file={self.folder}/munged.log",
            f"--pid-file={self.folder}/munged.pid",
            f"--seed-file={self.folder}/munged.seed",
        )
        wait_for(lambda: (self.folder / "munge.socket").exists(), "munged")
        self._spawn("slurmctld", "-D", "-c")
        self.start_node()

    def start_node(self) -> None:
        """Start slurmd and wait for the node."""
        self._spawn("slurmd", "-D")
        ready = {"idle", "mixed", "allocated"}
        wait_for(lambda: ready & set(self.call("sinfo", "-h", "-o", "%T").split()), "the node")

    def stop_node(self) -> None:
        """Stop slurmd; jobs go on."""
        self._stop("slurmd")

    def stop(self) -> None:
        """Cancel all jobs and stop all daemons."""
        self.call("scancel", "--user=root")
        for name in ("slurmd", "slurmctld", "munged"):
            self._stop(name)
        # Not another cluster's.
        if SYSTEM_CONF.is_symlink() and SYSTEM_CONF.readlink() == self.folder / "slurm.conf":
            SYSTEM_CONF.unlink()

    def call(self, *command: str) -> str:
        """Output of a SLURM command."""
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=60
        )
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """Jobs that SLURM knows: id, partition, state, folder, comment."""
        names = ["id", "partition", "state", "folder", "comment"]
        lines = self.call("squeue", "-h", "-t", "all", "-o", "%i|%P|%T|%Z|%k").splitlines()
        return [dict(zip(names, line.split("|", 4))) for line in lines]

    def seen(self) -> list[tuple[str, str, str]]:
        """(job, partition, visible GPU) of every task, as the jobs saw them themselves."""
        path = self.folder / "seen.txt"
        return [tuple(line.split()) for line in path.read_text().splitlines()]

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("a") as out:
            self.daemons[name] = subprocess.Popen(
                [name, *arguments], env=self.environment(), stdout=out, stderr=out
            )

    def _stop(self, name: str) -> None:
        daemon = self.daemons.pop(name, None)
        if daemon and daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
