"""One training step of a network, kernel by kernel: what runs, for how long, and how long the device waits between.

    PYTHONPATH=src python benchmarks/profile_step.py cifar10 tf32 [--json FILE]

On a GPU the step is replayed as one graph, as the pipeline does it; on a CPU the operators are listed instead.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from setting import SHAPES, Setting
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from hal.train.loop import Trainer

STEPS = 5  # profiled


def main() -> None:
    """Profile, print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=SHAPES)
    parser.add_argument("precision", choices=["float32", "tf32", "bfloat16"])
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = profiled(Setting(arguments.network, arguments.precision, device, STEPS))
    print(table(result))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def profiled(setting: Setting) -> dict[str, Any]:
    """What runs in a step on the device, by name; means over the steps of an epoch, times in microseconds."""
    setting.configure()
    trainer = Trainer(setting.net(), setting.data(), setting.cell.train)
    trainer.epoch(setting.draw(), setting.rates, lambda: None)  # nothing is profiled that happens once
    trainer._now.zero_()
    setting.finish()
    cuda = setting.device == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as seen:
        for _ in range(setting.steps):
            trainer.launch()
        setting.finish()
    events = [(e.name, e.time_range.start, e.time_range.end, e.self_cpu_time_total) for e in seen.events()
              if (e.device_type == DeviceType.CUDA) == cuda]  # fmt: skip
    kinds: dict[str, list[float]] = {}
    for name, start, end, self_us in events:
        kinds.setdefault(name, []).append(end - start if cuda else self_us)
    n = setting.steps
    span = max(end for _, _, end, _ in events) - min(start for _, start, _, _ in events)
    return {
        "network": setting.network,
        "precision": setting.precision,
        "device": setting.device,
        "count": round(len(events) / n, 1),
        "span_us": round(span / n, 1),
        "busy_us": round(sum(map(sum, kinds.values())) / n, 1),
        "waiting_us": round((span - covered([(start, end) for _, start, end, _ in events])) / n, 1),
        "kernels": [
            {"name": name, "count": round(len(times) / n, 1), "us": round(sum(times) / n, 2)}
            for name, times in sorted(kinds.items(), key=lambda kind: -sum(kind[1]))
        ],
    }


def covered(spans: list[tuple[float, float]]) -> float:
    """How much of the line the spans (start, end) cover together; what two of them share counts once."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def table(result: dict[str, Any]) -> str:
    """The profile for a person."""
    head = (
        f"{result['network']}, {result['precision']}, {result['device']}: {result['count']:g} a step, "
        f"{result['busy_us']:,.0f} us at work, {result['waiting_us']:,.0f} of {result['span_us']:,.0f} us nothing runs"
    )
    lines = [f"{k['us']:10,.1f} us {k['us'] / result['busy_us']:6.1%} {k['count']:7g} x  {k['name'][:110]}"
             for k in result["kernels"]]  # fmt: skip
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()
