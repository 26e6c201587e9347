"""The same DAG through a real Slurm on this machine, with two stand-ins for GPUs.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and a root who may start them; `.ci/run` brings them.
"""

import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hal.params import load
from tests.checkout import TINY, make_checkout, save_often
from tests.tiny import ROOT
from tests.train.test_cell import files_of

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("srun", "sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol")
PROFILE = (
    *("--workflow-profile", "profiles/slurm"),
    # a machine that answers at once
    *(
        "--slurm-init-seconds-before-status-checks",
        "1",
        "--seconds-between-status-checks",
        "1",
        "--latency-wait",
        "5",
    ),
    # the cells compute on the CPU, and yet each gets a GPU of its own
    *("--set-resources", "cell_scored:gpu=1", "cell_unscored:gpu=1"),
)
# Snakemake, whose plugin for Slurm else asks 10 s later each time that it finds no job ended.
ASKING_EACH_SECOND = (
    "import snakemake.cli, snakemake_executor_plugin_slurm as plugin; "
    "plugin.Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None); "
    "snakemake.cli.main()"
)
CONF = """
ClusterName=standin
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
GresTypes=gpu
SchedulerParameters=sched_interval=1,bf_interval=1
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:2
PartitionName=main Nodes=localhost Default=YES State=UP MaxTime=INFINITE
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(
        any(shutil.which(name, path="/usr/sbin:/usr/bin:/bin") is None for name in (*DAEMONS, "sbatch"))
        or os.getuid() != 0,
        reason="no Slurm that could be started here (Debian: slurmctld slurmd slurm-client munge, as root)",
    ),
]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of a shell on a host that submits to the cluster."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(folder=folder, ports=free_ports(2)))
    (folder / "gres.conf").write_text("NodeName=localhost Name=gpu Count=2 File=/dev/tty[0-1]\n")
    # The plugin clears Slurm's variables, so each command is told where its cluster is.
    for client in CLIENTS:
        script = folder / "bin" / client
        script.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec /usr/bin/{client} "$@"\n')
        script.chmod(0o755)
    munge = [f"--{what}={folder}/munge.{kind}" for what, kind in (("key-file", "key"), ("socket", "socket"))]
    munge += [
        f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munge.seed",
    ]
    environment = os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin"}
    try:
        for command in (["munged", "--force", *munge], ["slurmctld"], ["slurmd", "-N", "localhost"]):
            _started(command, environment | {"SLURM_CONF": str(conf)}, folder)
        deadline = time.monotonic() + 30
        while "idle" not in _output(["sinfo"], environment):
            if time.monotonic() > deadline:
                pytest.skip(f"Slurm does not get ready here: {(folder / 'slurmctld.log').read_text()[-500:]}")
            time.sleep(0.2)
        environment.pop("PYTHONPATH", None)
        yield environment
    finally:
        for daemon in ("slurmd", "slurmctld", "munged"):
            if (folder / f"{daemon}.pid").exists():
                os.kill(int((folder / f"{daemon}.pid").read_text()), signal.SIGTERM)


def _started(command: list[str], environment: dict[str, str], folder: Path) -> None:
    """Start a daemon, or skip the tests with what it says: a container may lack what it needs."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        logs = " ".join(path.read_text()[-300:] for path in folder.glob("*.log"))
        pytest.skip(f"{command[0]} does not start here: {done.stderr[-300:]} {logs}")


def _output(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def start(project: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", ASKING_EACH_SECOND, *arguments, *TINY, *PROFILE],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_grid_runs_on_a_cluster_and_all_else_where_it_is_submitted(cluster, tmp_path):
    project = make_checkout(tmp_path / "project")
    process = start(project, cluster)
    seen = set()  # the jobs of the cluster
    while process.poll() is None:
        listed = ["squeue", "--noheader", "--Format=Comment:100,tres-per-job:40"]
        lines = subprocess.run(listed, env=cluster, capture_output=True, text=True, check=False).stdout
        seen |= {tuple(line.split()) for line in lines.splitlines()}
        time.sleep(0.2)
    output = process.stdout.read()
    assert process.returncode == 0, output
    assert (project / "runs/tiny/report/drawn.json").exists()
    rules = {comment.split("_wildcards")[0] for comment, _ in seen}
    assert rules == {"rule_cell_scored", "rule_cell_unscored"}
    assert {gpus for _, gpus in seen} == {"gres:gpu:1"}


def test_a_cancelled_cell_is_tried_again_and_ends_with_the_same_bytes(cluster, tmp_path):
    project = make_checkout(tmp_path / "project")
    save_often(project)
    overlay = project / "configs/tiny.yaml"
    overlay.write_text(overlay.read_text().replace("epochs: 2", "epochs: 200"))
    target = "runs/tiny/results/tiny/pairs/seed0"
    process = start(project, cluster, target)
    state = project / "runs/tiny/.resume"
    while not list(state.glob("*/state.safetensors")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    subprocess.run(["scancel", "--user", "root"], env=cluster, check=True)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    assert "going on after epoch" in (project / "runs/tiny/logs/train/tiny/pairs/seed0.log").read_text()
    params = load(project / "params.yaml", [overlay])
    elsewhere = make_checkout(tmp_path / "undisturbed")
    shutil.copy(overlay, elsewhere / "configs/tiny.yaml")
    hal = [sys.executable, "-m", "hal", "--overlay", "configs/tiny.yaml"]
    for words in (["data", "tiny"], ["train", "tiny", "pairs", "0"]):
        subprocess.run(
            [*hal, *words],
            cwd=elsewhere,
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        )
    cell = params.cell("tiny", "pairs", 0)
    here, there = (files_of(at(folder, params), cell) for folder in (project, elsewhere))
    here.pop(".snakemake_timestamp", None)
    assert here == there


def test_one_allocation_trains_several_cells_and_snakemake_finds_them_finished(cluster, tmp_path):
    project = make_checkout(tmp_path / "project")
    shell = cluster | {"PYTHONPATH": str(project / "src")}
    hal = f"{sys.executable} -m hal --overlay configs/tiny.yaml"
    subprocess.run([*hal.split(), "data", "tiny"], cwd=project, env=shell, check=True, capture_output=True)
    for case in ("baseline", "pairs"):
        submit = [
            "sbatch",
            "--wait",
            "--gpus=1",
            "--output=slurm.log",
            "--wrap",
            f"{hal} train tiny {case} 0 1",
        ]
        subprocess.run(submit, cwd=project, env=shell, check=True, capture_output=True, timeout=120)
    dry = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", *TINY],
        cwd=project,
        env=cluster,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not re.search(r"^(train|data)", dry.stdout, re.MULTILINE)  # in the table of jobs
    assert "study" in dry.stdout


def test_an_allocation_that_is_cut_off_is_followed_by_one_that_goes_on_with_its_cells(cluster, tmp_path):
    project = make_checkout(tmp_path / "project")
    save_often(project)
    overlay = project / "configs/tiny.yaml"
    overlay.write_text(
        overlay.read_text().replace("epochs: 2", "epochs: 200").replace("seeds: [0, 1]", "seeds: [0]")
    )
    snakemake = f"{sys.executable} -m snakemake --configfile configs/tiny.yaml --cores 2 train_tiny"
    submit = [
        "sbatch",
        "--parsable",
        "--gpus=1",
        "--cpus-per-task=2",
        "--array=1-2%1",
        "--output=slurm-%a.log",
    ]
    done = subprocess.run(
        [*submit, "--wrap", snakemake], cwd=project, env=cluster, check=True, capture_output=True, text=True
    )
    first, second = (f"{done.stdout.strip()}_{task}" for task in (1, 2))

    def states() -> dict[str, str]:
        listed = ["squeue", "--noheader", "--states=all", "--format=%i %T"]
        lines = subprocess.run(listed, env=cluster, capture_output=True, text=True, check=False).stdout
        return dict(line.split() for line in lines.splitlines())

    deadline = time.monotonic() + 240
    while len(list((project / "runs/tiny/.resume").glob("*/state.safetensors"))) < 2:  # beside each other
        assert states().get(first, "PENDING") in ("PENDING", "RUNNING"), states()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    subprocess.run(["scancel", first], env=cluster, check=True)
    while states().get(second, "PENDING") in ("PENDING", "RUNNING", "COMPLETING"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert (states()[first], states()[second]) == ("CANCELLED", "COMPLETED")
    for case in ("baseline", "pairs"):
        record = project / f"runs/tiny/results/tiny/{case}/seed0/cell.json"
        assert json.loads(record.read_text())["time"]["resumed"] == 1


def at(folder: Path, params):
    """The parameters with their root below that checkout."""
    return dataclasses.replace(params, root=str(folder / "runs/tiny"))
