"""DVC and Snakemake on one pipeline: what is trained again, what is kept, and what is said when something fails."""

import contextlib
import getpass
import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hal.files import sha256_of
from hal.params import load
from tests.checkout import OVERLAY, snakemake
from tests.test_workflow import cells_trained, planned
from tests.tiny import ROOT, save_npz

pytestmark = pytest.mark.slow

PIPELINE = ("Snakefile", "environment.yml", "profiles", "docs", "dvc.yaml", ".dvcignore", ".gitignore")
CHECKPOINTS = "checkpoints/tiny"
TRAIN = "train@tiny"


@pytest.fixture(scope="module", autouse=True)
def environment(tmp_path_factory) -> Iterator[None]:
    """Nothing of this machine's user reaches DVC and git, and they leave nothing behind."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.setenv("DVC_SITE_CACHE_DIR", str(home / "dvc"))
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("SHELL", "/bin/sh")
        (home / ".gitconfig").write_text(
            "[user]\n\tname = Tester\n\temail = tester@example.org\n", encoding="utf-8"
        )
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory, environment) -> Path:
    """A checkout whose two cells train in seconds, made by `dvc repro`, committed, and pushed to the default remote."""
    project = tmp_path_factory.mktemp("built") / "project"
    (project / ".dvc").mkdir(parents=True)
    for name in (*PIPELINE, ".dvc/config", ".dvc/.gitignore", ".dvc/plots"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, project / name)
    (project / "src/hal").mkdir(parents=True)
    for name in ("params.py", "settings.py"):
        shutil.copy(ROOT / "src/hal" / name, project / "src/hal")
    save_npz(project / "tiny-source.npz")
    overlay = yaml.safe_load(OVERLAY.format(sha256=sha256_of(project / "tiny-source.npz")))
    overlay |= {"root": ".", "grid": {"datasets": ["tiny"], "seeds": [0]}}
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    merged = (
        params
        | overlay
        | {key: params[key] | overlay[key] for key in ("model", "train", "augment", "runtime")}
    )
    (project / "params.yaml").write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")
    git(project, "init", "--quiet")
    assert trained(dvc(project, "repro")) == ["tiny/baseline/seed0", "tiny/pairs/seed0"]
    commit(project, "first run")
    dvc(project, "push")
    return project


@pytest.fixture
def project(built, tmp_path) -> Path:
    """A copy of `built`, with a copy of its remote."""
    shutil.copytree(built.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "project"


def run(project: Path, *command: str, fails: bool = False, traceback: bool = False) -> str:
    """What the command printed; it must succeed, or fail without a traceback."""
    done = subprocess.run(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout
    assert ("Traceback" in done.stdout) == traceback, done.stdout
    return done.stdout


def dvc(project: Path, *arguments: str, fails: bool = False, traceback: bool = False) -> str:
    return run(project, sys.executable, "-m", "dvc", *arguments, fails=fails, traceback=traceback)


def git(project: Path, *arguments: str) -> str:
    return run(project, "git", *arguments)


def commit(project: Path, message: str) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)


def clone(project: Path, folder: Path) -> Path:
    git(project, "clone", "--quiet", ".", str(folder))
    shutil.copy(project / "tiny-source.npz", folder)
    return folder


def trained(said: str) -> list[str]:
    """The cells that were trained, from the line that Snakemake prints for each."""
    return sorted(set(re.findall(r"(\S+/seed\d+): train ", said)))


def change(project: Path, section: str, **values: object) -> None:
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params[section] |= values
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    """Every file of the finished cells and the data, with its sum."""
    return {
        str(path.relative_to(folder)): sha256_of(path)
        for top in ("data", "checkpoints", "results/tiny")
        for path in sorted((folder / top).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def in_sync(project: Path) -> bool:
    """Neither DVC nor Snakemake has anything to do."""
    return "up to date" in dvc(project, "status") and planned(project) == {}


def start(project: Path, *command: str) -> subprocess.Popen:
    """A command in a process group of its own, once it trains the first cell of seed 1."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=project,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not list((project / "logs/train").rglob("seed1.log")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    return process


def test_after_dvc_repro_nobody_has_anything_to_do(project):
    assert in_sync(project)
    assert trained(dvc(project, "repro")) == []
    assert git(project, "status", "--short") == ""  # dvc.lock and results/ are all that git needs


def test_both_train_the_same_cells_after_a_change_and_neither_after_the_other(project):
    change(project, "grid", seeds=[0, 1])
    said = snakemake(project, "train_tiny").stdout
    assert trained(said) == ["tiny/baseline/seed1", "tiny/pairs/seed1"]
    assert trained(dvc(project, "repro", TRAIN)) == []
    assert "up to date" in dvc(project, "status", TRAIN)
    assert cells_trained(planned(project)) == 0

    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["datasets"]["tiny"]["cases"]["mine"] = {"superclasses": [[0, 3], [1, 2]]}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    assert cells_trained(planned(project)) == 2
    assert trained(dvc(project, "repro", TRAIN)) == ["tiny/mine/seed0", "tiny/mine/seed1"]
    assert cells_trained(planned(project)) == 0


def test_a_clone_draws_from_what_it_pulled_whatever_the_times_of_its_files(project, tmp_path):
    other = clone(project, tmp_path / "clone")
    dvc(other, "pull")
    assert contents(other) == contents(project)
    rng = random.Random(0)
    for path in sorted(other.rglob("*")):
        if ".git" not in path.parts and ".dvc" not in path.parts:
            os.utime(path, (time.time(), time.time() - rng.randrange(10**6)))
    (other / "report/report.html").unlink()
    assert cells_trained(planned(other)) == 0
    assert trained(snakemake(other).stdout) == []
    assert (other / "report/report.html").stat().st_size > 10_000
    assert contents(other) == contents(project)
    assert "up to date" in dvc(other, "status")

    # This clone's Snakemake has no memory of any training, and yet sees what other settings concern.
    change(other, "train", epochs=3)
    assert cells_trained(planned(other)) == 2
    assert cells_trained(planned(other, "results/tiny/pairs/seed0")) == 1


def test_an_older_version_that_was_checked_out_is_not_trained_again(project):
    change(project, "train", epochs=3)
    assert len(trained(dvc(project, "repro", TRAIN))) == 2
    commit(project, "three epochs")
    git(project, "checkout", "--quiet", "HEAD~1")
    assert cells_trained(planned(project)) == 2  # its checkpoints are still those of three epochs
    dvc(project, "checkout")
    assert cells_trained(planned(project)) == 0
    assert trained(dvc(project, "repro")) == []


def test_without_a_remote_git_holds_enough_to_draw(project, tmp_path):
    other = clone(project, tmp_path / "far" / "away" / "clone")
    said = dvc(other, "pull", fails=True)
    assert "hal-storage" in said or "missing" in said.lower()
    for folder in ("figures", "report"):
        shutil.rmtree(other / folder)
    for command in ("study", "tables", "figure", "report"):
        run(other, sys.executable, "-m", "hal", command)
    assert (other / "report/report.html").stat().st_size > 10_000
    assert (other / "results/table2.csv").read_text() == (project / "results/table2.csv").read_text()


def test_a_failed_cell_costs_no_other(project):
    before = contents(project)
    change(project, "grid", seeds=[0, 1])
    params = load(project / "params.yaml")
    resume = project / params.cell_paths(params.cell("tiny", "pairs", 1)).resume
    resume.parent.mkdir(exist_ok=True)
    resume.write_text("a file where the cell's state should go")
    said = dvc(project, "repro", TRAIN, fails=True)
    resume.unlink()
    assert f"{resume.name}: File exists" in said
    assert "failed to reproduce 'train@tiny'" in said
    assert trained(dvc(project, "repro", TRAIN)) == ["tiny/pairs/seed1"]
    assert contents(project).items() > before.items()
    assert "up to date" in dvc(project, "status", TRAIN)


def test_a_killed_dvc_repro_goes_on(project):
    before = contents(project)
    change(project, "grid", seeds=[0, 1])
    process = start(project, "dvc", "repro", TRAIN)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert contents(project).items() >= before.items()
    assert set(trained(dvc(project, "repro", TRAIN))) <= {"tiny/baseline/seed1", "tiny/pairs/seed1"}
    assert contents(project).items() > before.items()
    assert "up to date" in dvc(project, "status", TRAIN)


def test_two_at_once_do_not_touch_each_other(project):
    change(project, "grid", seeds=[0, 1])
    change(project, "train", epochs=3)
    process = start(project, "dvc", "repro", TRAIN)
    os.killpg(process.pid, signal.SIGSTOP)  # however slow the machine is, the first is at work
    try:
        assert re.search(r"is busy, it is being blocked by", dvc(project, "repro", TRAIN, fails=True))
        again = snakemake(project)
        assert again.returncode != 0
        assert "another snakemake, or a merge, is at work" in again.stdout
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(trained(said)) == 4
    assert "up to date" in dvc(project, "status", TRAIN)


def test_a_corrupted_cache_object_is_said_and_fetched_again(project):
    before = contents(project)
    weights = project / CHECKPOINTS / "pairs/seed0/weights.safetensors"
    cached = cache_object(project / ".dvc/cache", weights)
    damage(cached)
    shutil.rmtree(project / CHECKPOINTS)
    dvc(project, "checkout")
    said = dvc(project, "repro", TRAIN, fails=True)  # must not take it for the new truth
    assert f"{weights.relative_to(project)}: not what was written, by the SHA-256 in cell.json" in said
    assert re.search(rf"not in cache:\s+{CHECKPOINTS}", dvc(project, "status"))
    shutil.rmtree(project / CHECKPOINTS)
    dvc(project, "pull")
    assert contents(project) == before


def test_a_corrupted_object_of_the_remote_is_never_taken_for_good(project, tmp_path):
    weights = project / CHECKPOINTS / "pairs/seed0/weights.safetensors"
    stored = cache_object(tmp_path / "hal-storage", weights)
    damage(stored)
    other = clone(project, tmp_path / "clone")
    assert (
        f"failed to pull data from the cloud - Checkout failed for following targets:\n{CHECKPOINTS}"
        in dvc(other, "pull", fails=True)
    )
    assert not (other / weights.relative_to(project)).exists()
    assert stored.name in dvc(other, "pull", "--verbose", fails=True, traceback=True)
    shutil.copyfile(cache_object(project / ".dvc/cache", weights), stored)  # from where a good copy is
    dvc(other, "pull")
    assert contents(other) == contents(project)


def test_a_remote_that_fails_half_way_costs_nothing(project, tmp_path):
    before = contents(project)
    remote = tmp_path / "hal-storage"
    shutil.rmtree(remote)
    blocked = cache_object(remote, project / CHECKPOINTS / "pairs/seed0/weights.safetensors").parent
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")  # a file where a folder must be
    dvc(project, "push", fails=True)
    assert contents(project) == before
    blocked.unlink()
    dvc(project, "push")
    other = clone(project, tmp_path / "clone")
    dvc(other, "pull")
    assert contents(other) == before


def test_a_seed_that_is_no_longer_wanted_is_removed_by_hand(project):
    change(project, "grid", seeds=[0, 1])
    dvc(project, "repro", TRAIN)
    change(project, "grid", seeds=[1])
    assert trained(dvc(project, "repro", TRAIN)) == []
    assert (project / "results/tiny/pairs/seed0").exists()  # nothing finished is deleted unasked
    for folder in [*project.glob("results/*/*/seed0"), *project.glob("checkpoints/*/*/seed0")]:
        shutil.rmtree(folder)
    dvc(project, "commit", "--force")
    assert "up to date" in dvc(project, "status", TRAIN)


def test_metrics_plots_and_experiments_compare_versions(project):
    errors = json.loads(dvc(project, "metrics", "show", "--json"))[""]["data"]["results/metrics.json"]["data"]
    assert errors["tiny"]["cells"] == 2
    assert errors["tiny"]["test_error"].keys() == {"baseline", "pairs"}

    said = dvc(project, "exp", "run", "--name", "longer", "--set-param", "train.epochs=3")
    assert trained(said) == ["tiny/baseline/seed0", "tiny/pairs/seed0"]
    rows = dvc(project, "exp", "show", "--csv", "--drop", "Created").splitlines()
    assert any("longer" in row for row in rows)
    errors = json.loads(dvc(project, "metrics", "diff", "--json"))["results/metrics.json"]
    assert errors.keys() == {"tiny.test_error.baseline", "tiny.test_error.pairs"}
    assert "train.epochs" in dvc(project, "params", "diff")

    dvc(project, "plots", "diff", "HEAD", "--out", "plots")
    spec = re.search(r"var spec = (\{.*\});", (project / "plots/index.html").read_text(encoding="utf-8"))
    rows = json.loads(spec.group(1))["data"]["values"]
    assert {(row["rev"], row["case"], row["epoch"]) for row in rows} == {
        (rev, case, str(epoch))
        for rev, epochs in (("HEAD", 2), ("workspace", 3))
        for case in ("baseline", "pairs")
        for epoch in range(1, epochs + 1)
    }


def cache_object(cache: Path, path: Path) -> Path:
    """Where DVC keeps the content of a file."""
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return cache / "files/md5" / md5[:2] / md5[2:]


def damage(path: Path) -> None:
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"damaged")


SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[int]:
    """A real OpenSSH server on a loopback port of its own, that lets in the key `folder`/key; gives the port."""
    folder.mkdir()
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "key.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "yes",
        "Subsystem": "sftp internal-sftp",
    }
    text = "".join(f"{key} {value}\n" for key, value in settings.items())
    (folder / "sshd_config").write_text(text, encoding="utf-8")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # the server insists on it where it runs as root
    with open(folder / "log", "w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log)
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


@contextlib.contextmanager
def line_that_breaks(port: int, after_bytes: int) -> Iterator[int]:
    """A line to `port` that goes dead for good once that many bytes went either way; gives its own port."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]
    left = after_bytes

    def cut() -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def carry(source: socket.socket, target: socket.socket) -> None:
        nonlocal left
        with contextlib.suppress(OSError):
            while left > 0 and (data := source.recv(65536)):
                left -= len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        if left <= 0:
            cut()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        cut()


@pytest.mark.skipif(SSHD is None, reason="no OpenSSH server (sshd) on this machine")
@pytest.mark.skipif(importlib.util.find_spec("dvc_ssh") is None, reason="dvc-ssh is not installed")
def test_ssh_carries_everything_and_a_line_that_breaks_half_way_costs_nothing(project, tmp_path):
    def use(where: Path, port: int) -> None:
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/far"
        dvc(where, "remote", "add", "--local", "--force", "--default", "far", url)
        dvc(where, "remote", "modify", "--local", "far", "keyfile", str(tmp_path / "sshd/key"))

    before = contents(project)
    other = clone(project, tmp_path / "clone")
    with ssh_server(tmp_path / "sshd") as port:
        with line_that_breaks(port, after_bytes=400_000) as breaking:
            use(project, breaking)
            dvc(project, "push", fails=True)
        assert contents(project) == before
        use(project, port)
        dvc(project, "push")
        with line_that_breaks(port, after_bytes=400_000) as breaking:
            use(other, breaking)
            dvc(other, "pull", fails=True)
        assert contents(other).items() < before.items()
        use(other, port)
        dvc(other, "pull")
    assert contents(other) == before
    assert cells_trained(planned(other)) == 0
    dvc(project, "push", fails=True)  # and now nobody answers
