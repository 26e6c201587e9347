"""One measurement of `train_speed.py`, in a process of its own: a job as JSON in, its figures as a line of JSON out.

A capture that fails leaves its process on the stream of the capture, and a kernel that hangs never returns: neither
may touch the next measurement.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import floors
import torch
import ways
from setting import Setting

from hal.train import evaluate, provenance
from hal.train.loop import Trainer, autocast

# Training and test images of the data sets.
SIZES = {"mnist": (60_000, 10_000), "cifar10": (50_000, 10_000), "digits": (1_437, 360)}
BEGAN = time.perf_counter()


def row(setting: Setting, way: str, cells: int, rounds: int) -> dict[str, Any]:
    """Speed of one way: the median over rounds of an epoch each, after one that does not count."""
    own_memory = setting.device == "cuda" and way not in ("processes", "mps")
    # MPS is the environment of the same processes.
    with getattr(ways, "processes" if way == "mps" else way)(setting, cells) as epoch:
        loss = epoch()
        ready = time.perf_counter() - BEGAN
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            epoch()
            seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    return {
        "seconds": [round(s, 6) for s in seconds],
        "images_per_s": round(cells * setting.steps * setting.cell.train.batch_size / median, 1),
        "ms_per_step": round(1000 * median / setting.steps, 4),
        "loss": round(loss, 6),
        "ready_s": round(ready, 1),
        "peak_mib": round(torch.cuda.max_memory_allocated() / 2**20) if own_memory else None,
    }


def floor(setting: Setting) -> dict[str, Any]:
    """The floors of one network in one precision; those of kernels and their launches on a GPU only."""
    setting.configure()
    bandwidth = floors.copy_bandwidth(setting, 1024 if setting.device == "cuda" else 64)
    moved = floors.bytes_per_step(setting)
    kernels = floors.kernels_per_step(setting) if setting.device == "cuda" else None
    launch = floors.launch_floor(setting, kernels) if kernels else None
    return {
        "copy_gb_per_s": round(bandwidth / 1e9, 1),
        "mb_per_step": round(moved / 1e6, 2),
        "memory_ms_per_step": round(1000 * moved / bandwidth, 4),
        "kernels_per_step": kernels,
        "launch_ms_per_step": launch and round(1000 * launch, 4),
    }


def fixed(setting: Setting) -> dict[str, Any]:
    """Seconds that a cell of the data set's real size spends on other things than its training steps."""
    images = setting.images(*SIZES[setting.network])
    spent = {}

    def timed(what: str, done: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = done()
        setting.finish()
        spent[what] = round(time.perf_counter() - began, 3)
        return result

    setting.configure()
    cell = setting.cell
    command = [sys.executable, "-c", "import hal.train.cell"]
    timed("start_python_s", lambda: subprocess.run(command, check=True))
    data = timed("data_s", lambda: setting.data(images))
    net, precision = setting.net(), autocast(cell.train, data.device)
    timed("capture_s", lambda: Trainer(net, data, cell.train))
    evaluation = timed("capture_evaluation_s", lambda: evaluate.Evaluation(net, data, precision))
    evaluation.error_and_loss()
    timed("test_each_epoch_s", evaluation.error_and_loss)
    timed("predictions_s", lambda: evaluate.hypothesised_logits(net, data, precision))
    timed("scores_s", lambda: evaluate.auxiliary(net, data, "train", precision))
    return spent


def machine(device: str) -> dict[str, Any]:
    """What the figures of a file were made with."""
    return provenance.describe(torch.device(device))


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job named by `what`."""
    arguments = dict(job)
    what = arguments.pop("what")
    if "setting" in arguments:
        arguments["setting"] = Setting(**arguments["setting"])
    jobs: dict[str, Callable[..., dict[str, Any]]]
    jobs = {"row": row, "floor": floor, "fixed": fixed, "machine": machine}
    return jobs[what](**arguments)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
