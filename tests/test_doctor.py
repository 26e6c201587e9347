"""What this machine has, and what to do where it lacks something."""

import dataclasses
import errno
from collections import namedtuple

import filelock
import pytest

from hal import doctor
from hal.cli import main
from hal.data.sources import SOURCES
from hal.study.grid import load_grid
from tests.made_up import made_up_params, make_up_grid

GRID = "grid: {{datasets: [{}]}}\ndata: {{mirrors: [{}]}}"


def params_of(tmp_path, dataset="digits", mirror="nowhere"):
    return made_up_params(tmp_path, GRID.format(dataset, mirror))


def said(params, subject):
    found = [check for check in doctor.checks(params) if check.subject == subject]
    assert len(found) == 1
    return found[0]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(doctor, "_TIMEOUT_S", 0.001)
    monkeypatch.delenv("HAL_DATA_MIRROR", raising=False)


def test_a_machine_that_has_all_is_told_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_packages", lambda: doctor.Check("ok", "packages", "all"))
    params_of(tmp_path)
    assert main(["--overlay", str(tmp_path / "overlay.yaml"), "doctor"]) == 0
    out = capsys.readouterr().out
    assert "ok     digits: needs no file" in out
    assert "wrong" not in out
    assert not list(tmp_path.glob(".doctor*"))


def test_packages_are_held_against_the_lock_file(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    monkeypatch.setattr(doctor, "LOCK_FILE", lock)
    assert said(params_of(tmp_path), "packages").state == "note"
    lock.write_text("pytest==0.1 ; python_version < '3.12' \\\n    --hash=sha256:aa\nno-such-package==1.0\n")
    check = said(params_of(tmp_path), "packages")
    assert check.state == "note"
    assert check.says == f"other than in {lock}: pytest {pytest.__version__} (pinned: 0.1)"
    lock.write_text(f"pytest==0.1\npytest=={pytest.__version__}\n")
    assert said(params_of(tmp_path), "packages").state == "ok"
    lock.write_text("torch==2.13.0\nsnakemake==9.27.1\n")
    monkeypatch.setattr(
        doctor.importlib.metadata,
        "version",
        lambda name: (_ for _ in ()).throw(doctor.importlib.metadata.PackageNotFoundError),
    )
    check = said(params_of(tmp_path), "packages")
    assert (check.state, check.says) == ("wrong", "snakemake, torch missing; `make install` brings all")


def test_a_data_set_is_sought_where_it_would_be_fetched(tmp_path):
    check = said(params_of(tmp_path, "mnist", tmp_path / "mirror"), "mnist")
    assert check.state == "wrong"
    assert "set HAL_DATA_MIRROR=FOLDER" in check.says
    (tmp_path / "mirror/mnist").mkdir(parents=True)
    files = [*next(iter(SOURCES["mnist"].forms))]
    for file in files[:-1]:
        (tmp_path / "mirror/mnist" / file).touch()
    assert said(params_of(tmp_path, "mnist", tmp_path / "mirror"), "mnist").state == "wrong"
    (tmp_path / "mirror/mnist" / files[-1]).touch()
    assert (
        said(params_of(tmp_path, "mnist", tmp_path / "mirror"), "mnist").says
        == f"to be had from {tmp_path}/mirror"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mnist.npz").touch()
    assert said(params_of(tmp_path, "mnist"), "mnist").says == "is prepared"
    (tmp_path / "data/mnist.json").write_text("{")
    assert said(params_of(tmp_path, "mnist"), "mnist").state == "wrong"


@pytest.mark.parametrize(
    ("overlay", "state", "text"),
    [
        ("", "note", "11 of warm-up, to a rate of 1: auxiliary networks diverge where they are few; raise its `warmup_epochs` to 10"),
        ("train: {epochs: 5}", "note", "11 of warm-up, to a rate of 1: auxiliary networks diverge where they are few; train for more epochs, or with a lower `max_lr`"),
        ("train: {batch_size: 1500}", "wrong", "a batch of 1500, and only 1437 training images: set its `batch_size` lower"),
    ],
)  # fmt: skip
def test_a_data_set_with_too_few_steps_is_named_before_it_is_trained(tmp_path, overlay, state, text):
    params = made_up_params(tmp_path, f"grid: {{datasets: [digits]}}\n{overlay}")
    check = said(params, "digits's steps")
    assert (check.state, check.says) == (state, text)
    enough = made_up_params(tmp_path, "grid: {datasets: [digits]}\ntrain: {warmup_epochs: 10}")
    assert not [check for check in doctor.checks(enough) if check.subject == "digits's steps"]


@pytest.mark.parametrize("form", range(2))
def test_a_folder_with_any_form_of_cifar10_has_it(tmp_path, form):
    folder = tmp_path / "mirror/cifar10"
    folder.mkdir(parents=True)
    for file in SOURCES["cifar10"].forms[form]:
        (folder / file).touch()
    assert said(params_of(tmp_path, "cifar10", tmp_path / "mirror"), "cifar10").state == "ok"


def test_too_full_a_disk_is_wrong(tmp_path, monkeypatch):
    """25 cells of MNIST with 70,000 images of 20 bytes and 1.5 MB of weights, and twice the 11.6 MB of its files: 96 MB."""
    usage = namedtuple("usage", "free")
    params = params_of(tmp_path, "mnist")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(90_000_000))
    check = said(params, "disk")
    assert check.state == "wrong"
    assert "about 91 MiB needed by data and 25 cells to come" in check.says
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(120_000_000))
    assert said(params, "disk").state == "ok"


def test_a_file_system_without_locks_is_noted(tmp_path, monkeypatch):
    def refuse(self):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    assert said(params_of(tmp_path), "locks").state == "note"
    assert not list(tmp_path.glob(".doctor*"))


def test_a_gpu_that_pytorch_does_not_find_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(
        doctor, "output", lambda *command: "NVIDIA H100" if command[0] == "nvidia-smi" else None
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check = said(params_of(tmp_path), "GPU")
    assert check.state == "wrong"
    assert "NVIDIA H100 is there, but PyTorch" in check.says
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check = said(params_of(tmp_path), "GPU")
    assert check.state == "note"
    assert check.says.startswith("hidden by CUDA_VISIBLE_DEVICES: this run trains on ")
    long = made_up_params(
        tmp_path, GRID.format("mnist", "nowhere")
    )  # is refused on a CPU that nobody asked for
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert said(long, "GPU").state == "wrong"
    on_cpu = made_up_params(tmp_path, GRID.format("digits", "nowhere") + "\nruntime: {device: cpu}")
    assert said(on_cpu, "GPU").state == "ok"


def test_training_that_would_be_refused_for_its_length_on_a_cpu_is_wrong(tmp_path, monkeypatch):
    """The paper's run has 250 epochs of 468 steps on MNIST; told to use a CPU, that is no fault."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(doctor, "output", lambda *command: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check = said(params_of(tmp_path, "mnist"), "GPU")
    assert check.state == "wrong"
    assert "mnist: 117,000 steps, and PyTorch finds no GPU" in check.says
    told = made_up_params(tmp_path, GRID.format("mnist", "nowhere") + "\nruntime: {device: cpu}")
    assert said(told, "GPU").state == "ok"


def test_sizes_are_those_of_the_cells_that_there_are(tmp_path):
    params = params_of(tmp_path, "mnist")
    make_up_grid(params, {"mnist/case1/seed0": "missing"}, images=50)
    cell = params.cell("mnist", "case1", 0)
    files = [f for folder in ("results", "checkpoints") for f in tmp_path.glob(f"{folder}/*/*/*/*")]
    size = sum(file.stat().st_size for file in files) / 24
    assert doctor._bytes(params, cell, [r for r in load_grid(params) if r.ok]) == pytest.approx(size)


def test_nothing_is_made_where_a_run_has_no_folder_yet(tmp_path):
    params = dataclasses.replace(params_of(tmp_path), root=str(tmp_path / "new/run"))
    assert said(params, "locks").state == "ok"
    assert not (tmp_path / "new").exists()


def test_a_slurm_without_a_controller_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(doctor, "output", lambda *command: None)
    assert said(params_of(tmp_path), "Slurm").state == "note"
    monkeypatch.setattr(doctor, "output", lambda *command: "Slurmctld(primary) at here is UP")
    assert said(params_of(tmp_path), "Slurm").state == "ok"
