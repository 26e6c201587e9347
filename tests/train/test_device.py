"""Which GPU a cell gets: places on it are lock files, freed by the kernel."""

import contextlib
import multiprocessing
import time
import types

import pytest
import torch

from hal.errors import UserError
from hal.settings import RuntimeSettings
from hal.train.device import check_wanted, claimed_device, claimed_slot, visible_gpus


def test_nested_claims_get_different_slots_and_a_freed_one_is_taken_again(tmp_path):
    with claimed_slot(["0", "1"], tmp_path) as first:
        with claimed_slot(["0", "1"], tmp_path) as second:
            assert (first, second) == (0, 1)
        with claimed_slot(["0", "1"], tmp_path) as third:
            assert third == 1


def _hold(folder, queue, seconds):
    with claimed_slot(["0", "1"], folder) as slot:
        queue.put((slot, "taken", time.monotonic()))
        time.sleep(seconds)
        queue.put((slot, "freed", time.monotonic()))


@pytest.mark.slow
def test_processes_share_the_slots_one_at_a_time_each(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_hold, args=(tmp_path, queue, 0.3)) for _ in range(4)]
    for process in processes:
        process.start()
    events = sorted((queue.get(timeout=60) for _ in range(8)), key=lambda event: event[2])
    for process in processes:
        process.join()
    for slot in (0, 1):
        of_slot = [what for s, what, _ in events if s == slot]
        assert of_slot == ["taken", "freed"] * (len(of_slot) // 2)


@pytest.mark.slow
def test_a_killed_process_frees_its_slot(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_hold, args=(tmp_path, queue, 60))
    process.start()
    assert queue.get(timeout=60)[0] == 0
    process.kill()
    process.join()
    with claimed_slot(["0"], tmp_path) as slot:
        assert slot == 0


def test_gpus_are_told_apart_by_what_they_are_and_not_by_their_numbers(monkeypatch, tmp_path):
    """Two jobs of a node that each see one GPU as number 0 must not wait for each other."""
    seen = {"first job": ["uuid-a"], "second job": ["uuid-b"], "shares": ["uuid-b", "uuid-a", "uuid-c"]}

    def sees(job: str) -> list[str]:
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(seen[job]))
        monkeypatch.setattr(
            "torch.cuda.get_device_properties", lambda i: types.SimpleNamespace(uuid=seen[job][i])
        )
        return visible_gpus()

    with (
        claimed_slot(sees("first job"), tmp_path) as first,
        claimed_slot(sees("second job"), tmp_path) as second,
    ):
        assert (first, second) == (0, 0)
        with claimed_slot(sees("shares"), tmp_path) as third:
            assert third == 2


def test_each_gpu_takes_so_many_cells_and_none_a_second_before_all_have_a_first(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", lambda device: None)
    monkeypatch.setattr("hal.train.device.visible_gpus", lambda: ["uuid-a", "uuid-b"])
    runtime = RuntimeSettings(cells_per_gpu=2)

    def waited(seconds: float) -> None:
        raise InterruptedError

    monkeypatch.setattr("time.sleep", waited)
    with contextlib.ExitStack() as held:
        devices = [held.enter_context(claimed_device(runtime)) for _ in range(4)]
        assert devices == [torch.device("cuda", i) for i in (0, 1, 0, 1)]
        with pytest.raises(InterruptedError):
            held.enter_context(claimed_device(runtime))
    with claimed_device(runtime) as device:
        assert device == torch.device("cuda", 0)


def test_a_cell_does_not_slip_to_the_cpu_when_mps_has_failed(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/somewhere")
    with (
        pytest.raises(UserError, match="no CUDA device though MPS is set up in /somewhere"),
        claimed_device(RuntimeSettings("auto")),
    ):
        pass


def test_asking_for_cuda_where_there_is_none_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=r"runtime\.device = 'cuda'"), claimed_device(RuntimeSettings("cuda")):
        pass
    with claimed_device(RuntimeSettings("auto")) as device:
        assert device.type == "cpu"


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_papers_epochs_are_trained_on_a_cpu_only_where_that_is_wanted(no_gpu):
    """250 epochs of MNIST are 117,000 steps, 20 of them 9,360."""
    with pytest.raises(
        UserError, match=r"mnist/case1/seed0: 117,000 steps, and PyTorch finds no GPU.*runtime\.device to cpu"
    ):
        check_wanted(RuntimeSettings("auto"), "mnist/case1/seed0", 117_000)
    check_wanted(RuntimeSettings("cpu"), "mnist/case1/seed0", 117_000)
    check_wanted(RuntimeSettings("auto"), "mnist/case1/seed0", 9_360)


def test_a_gpu_that_a_cluster_gave_and_pytorch_does_not_find_is_no_reason_for_the_cpu(no_gpu, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES = '0' names a GPU"):
        check_wanted(RuntimeSettings("auto"), "digits/case1/seed0", 10)
    check_wanted(RuntimeSettings("cpu"), "digits/case1/seed0", 10)
    for nothing in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        check_wanted(RuntimeSettings("auto"), "digits/case1/seed0", 10)
