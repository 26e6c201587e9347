"""Several cells on one GPU: the service that lets them compute side by side, against a stand-in for its control program."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hal import nvidia_mps, session
from hal.params import load
from tests.tiny import ROOT

# Keeps what it was told, and a file that stands for the running daemon.
CONTROL = """#!/bin/sh
said=$(cat)
echo "$* $said" >> "$CUDA_MPS_PIPE_DIRECTORY/told"
case "$* $said" in
    "-d ") touch "$CUDA_MPS_PIPE_DIRECTORY/running" ;;
    *quit*) rm "$CUDA_MPS_PIPE_DIRECTORY/running" ;;
    *) test -e "$CUDA_MPS_PIPE_DIRECTORY/running" ;;
esac
"""


@pytest.fixture
def control(tmp_path, monkeypatch) -> Path:
    """The stand-in, the only program on the PATH beside the system's."""
    path = tmp_path / "bin" / nvidia_mps.CONTROL
    path.parent.mkdir()
    path.write_text(CONTROL, encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    monkeypatch.delenv(nvidia_mps.PIPES, raising=False)
    monkeypatch.delenv("CUDA_MPS_LOG_DIRECTORY", raising=False)
    return path


def told(folder: Path) -> list[str]:
    return (folder / "told").read_text(encoding="utf-8").splitlines()


def test_children_find_the_service_until_it_is_stopped(control, tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia_mps, "PROBE", "import os; assert os.environ['CUDA_MPS_PIPE_DIRECTORY']")
    folder = tmp_path / "pipes"
    assert nvidia_mps.start(folder) is None
    assert os.environ[nvidia_mps.PIPES] == str(folder)
    assert (folder / "running").exists()
    nvidia_mps.stop(folder)
    assert nvidia_mps.PIPES not in os.environ
    assert not (folder / "running").exists()
    assert told(folder) == ["-d ", " get_server_list", " quit"]


def test_the_service_sees_every_gpu(control, tmp_path, monkeypatch):
    """It would number those of CUDA_VISIBLE_DEVICES from 0, and its clients look for the numbers in the variable."""
    control.write_text(CONTROL.replace("said=", 'echo "${CUDA_VISIBLE_DEVICES-all}" >> "$0.saw"\nsaid='))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(nvidia_mps, "PROBE", "")
    assert nvidia_mps.start(tmp_path / "pipes") is None
    assert control.with_suffix(".saw").read_text().splitlines()[0] == "all"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"  # the cells choose
    nvidia_mps.stop(tmp_path / "pipes")


def test_a_service_that_no_program_can_use_is_ended_and_the_run_goes_on_without(
    control, tmp_path, monkeypatch
):
    """Cells would fail, or find no GPU and train on the CPU."""
    monkeypatch.setattr(nvidia_mps, "PROBE", "raise SystemExit(1)")
    folder = tmp_path / "pipes"
    assert "a CUDA program cannot use it here" in nvidia_mps.start(folder)
    assert nvidia_mps.PIPES not in os.environ
    assert not (folder / "running").exists()


def test_a_service_that_does_not_start_is_not_taken_for_one_that_runs(control, tmp_path, monkeypatch):
    """The probe succeeds without a service, too."""
    control.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    monkeypatch.setattr(nvidia_mps, "PATIENCE_S", 0.2)
    monkeypatch.setattr(nvidia_mps, "PROBE", "")
    assert nvidia_mps.start(tmp_path / "pipes") is not None
    assert nvidia_mps.PIPES not in os.environ


def test_a_daemon_that_keeps_what_it_inherited_holds_nobody_up(control, tmp_path, monkeypatch):
    """As the real one does: reading its output to the end would last as long as the service."""
    control.write_text('#!/bin/sh\n[ "$1" != -d ] || sleep 30 &\nexit 0\n', encoding="utf-8")
    monkeypatch.setattr(nvidia_mps, "PROBE", "")
    began = time.monotonic()
    assert nvidia_mps.start(tmp_path / "pipes") is None
    nvidia_mps.stop(tmp_path / "pipes")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("script", ["#!/bin/sh\nexec sleep 60\n", "#!/nowhere\n", "no program"])
def test_a_control_program_that_hangs_or_cannot_run_costs_seconds_and_never_the_run(
    control, tmp_path, monkeypatch, script
):
    control.write_text(script, encoding="utf-8")
    monkeypatch.setattr(nvidia_mps, "PATIENCE_S", 0.2)
    monkeypatch.setattr(nvidia_mps, "PROBE", "")
    assert nvidia_mps.start(tmp_path / "pipes") is not None
    assert nvidia_mps.PIPES not in os.environ


def test_a_folder_that_cannot_be_made_is_said(control, tmp_path):
    (tmp_path / "file").touch()
    assert nvidia_mps.start(tmp_path / "file" / "pipes").endswith("pipes: Not a directory")
    assert nvidia_mps.PIPES not in os.environ


def test_the_control_program_is_found_beside_the_drivers_other_programs(tmp_path, monkeypatch):
    """Distributions put a link to nvidia-smi alone on the PATH."""
    driver, path = tmp_path / "driver", tmp_path / "path"
    for folder in (driver, path):
        folder.mkdir()
    for name in ("nvidia-smi", nvidia_mps.CONTROL):
        (driver / name).touch(mode=0o755)
    (path / "nvidia-smi").symlink_to(driver / "nvidia-smi")
    monkeypatch.setenv("PATH", str(path))
    assert nvidia_mps.control_program() == str(driver / nvidia_mps.CONTROL)


def test_a_machine_without_the_service_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(nvidia_mps.PIPES, raising=False)
    assert nvidia_mps.start(tmp_path / "pipes") == "nvidia-cuda-mps-control is not installed"
    assert not (tmp_path / "pipes").exists()


def test_a_service_of_the_users_own_is_left_alone(control, tmp_path, monkeypatch):
    monkeypatch.setenv(nvidia_mps.PIPES, "/somewhere")
    assert nvidia_mps.start(tmp_path / "pipes") is None
    nvidia_mps.stop(tmp_path / "pipes")
    assert os.environ[nvidia_mps.PIPES] == "/somewhere"
    assert not (tmp_path / "pipes").exists()


def test_it_is_started_only_where_cells_share_a_gpu(control, tmp_path, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(nvidia_mps, "start", started.append)
    monkeypatch.setenv("PATH", str(control.parent))  # without a real nvidia-smi
    monkeypatch.setattr("hal.gpu.absent", lambda: False)

    def begin(runtime: str) -> None:
        overlay = tmp_path / "overlay.yaml"
        overlay.write_text(f"root: {tmp_path}/run\nruntime: {runtime}\n", encoding="utf-8")
        session.start_mps(SimpleNamespace(local_exec=True), load(ROOT / "params.yaml", [overlay]))

    begin("{cells_per_gpu: 3}")  # no GPU on this machine: no nvidia-smi
    (control.parent / "nvidia-smi").touch(mode=0o755)
    begin("{cells_per_gpu: 1}")
    begin("{cells_per_gpu: 3, device: cpu}")
    assert started == []
    begin("{cells_per_gpu: 3}")
    assert len(started) == 1
    assert "Up to 3 cells at once on each GPU, side by side" in capsys.readouterr().out
