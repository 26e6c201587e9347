"""Which GPU a cell gets: places on it are the kernel's, which frees them, and shared by all users of a machine."""

import contextlib
import multiprocessing
import os
import platform
import subprocess
import sys
import time
import types
import uuid

import pytest
import torch

from hal.errors import UserError
from hal.settings import RuntimeSettings
from hal.train.device import check_wanted, claimed_device, claimed_slot, visible_gpus


@pytest.fixture
def names() -> list[str]:
    """Two places that nobody else on this machine speaks of."""
    return [f"{uuid.uuid4()}.{place}" for place in (0, 1)]


def test_nested_claims_get_different_slots_and_a_freed_one_is_taken_again(names):
    with claimed_slot(names) as first:
        with claimed_slot(names) as second:
            assert (first, second) == (0, 1)
        with claimed_slot(names) as third:
            assert third == 1


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told to keep memory")
def test_on_a_cpu_a_process_keeps_the_memory_that_it_frees():
    script = """
import resource, torch
from hal.settings import RuntimeSettings
from hal.train.device import claimed_device

def pages_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**26)  # 256 MiB, 65,536 pages, or 128 huge ones
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = [pages_of_a_step() for _ in range(3)][-1]
with claimed_device(RuntimeSettings(device="cpu")):
    print(first, [pages_of_a_step() for _ in range(3)][-1])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    given_back, kept = map(int, said.split())
    assert given_back >= 128 > 10 * kept


def _hold(names, queue, seconds):
    with claimed_slot(names) as slot:
        queue.put((slot, "taken", time.monotonic()))
        time.sleep(seconds)
        queue.put((slot, "freed", time.monotonic()))


@pytest.mark.slow
def test_processes_share_the_slots_one_at_a_time_each(names):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_hold, args=(names, queue, 0.3)) for _ in range(4)]
    for process in processes:
        process.start()
    events = sorted((queue.get(timeout=60) for _ in range(8)), key=lambda event: event[2])
    for process in processes:
        process.join()
    for slot in (0, 1):
        of_slot = [what for s, what, _ in events if s == slot]
        assert of_slot == ["taken", "freed"] * (len(of_slot) // 2)


@pytest.mark.slow
def test_a_killed_process_frees_its_slot(names):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_hold, args=(names, queue, 60))
    process.start()
    assert queue.get(timeout=60)[0] == 0
    process.kill()
    process.join()
    with claimed_slot(names) as slot:
        assert slot == 0


def _hold_as_nobody(names, queue, seconds):
    os.setuid(65534)
    os.environ["TMPDIR"] = "/nowhere"
    _hold(names, queue, seconds)


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
def test_two_users_never_have_the_same_gpu(names):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_hold_as_nobody, args=(names, queue, 60))
    process.start()
    assert queue.get(timeout=60)[0] == 0
    with claimed_slot(names) as slot:
        assert slot == 1
    process.kill()
    process.join()
    with claimed_slot(names) as slot:
        assert slot == 0


def test_gpus_are_told_apart_by_what_they_are_and_not_by_their_numbers(monkeypatch):
    """Two jobs of a node that each see one GPU as number 0 must not wait for each other."""
    a, b, c = (str(uuid.uuid4()) for _ in range(3))
    seen = {"first job": [a], "second job": [b], "shares": [b, a, c]}

    def sees(job: str) -> list[str]:
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(seen[job]))
        monkeypatch.setattr(
            "torch.cuda.get_device_properties", lambda i: types.SimpleNamespace(uuid=seen[job][i])
        )
        return visible_gpus()

    with (
        claimed_slot(sees("first job")) as first,
        claimed_slot(sees("second job")) as second,
    ):
        assert (first, second) == (0, 0)
        with claimed_slot(sees("shares")) as third:
            assert third == 2


def test_each_gpu_takes_so_many_cells_and_none_a_second_before_all_have_a_first(monkeypatch, names):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", lambda device: None)
    monkeypatch.setattr("hal.train.device.visible_gpus", lambda: names)
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
