"""What a training step costs beyond the bare forward, backward and update of the same network.

    python benchmarks/step_overhead.py [--dataset mnist|cifar10|digits] [--steps 40] [--rounds 7]

The bare loop feeds one fixed batch; ours draws, crops, flips and normalises each batch and keeps its loss and
error. Both run in one process, in turn, so that a machine whose speed drifts hits both alike; the ratio is the
median over the rounds. Images are random bytes: their content costs nothing.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from torch.nn import functional as F

from hal.cell import build_network
from hal.data.store import Images
from hal.params import load
from hal.train.batches import DeviceData, draw_epoch
from hal.train.device import claimed_device, configure
from hal.train.loop import build_optimizer, train_epoch

SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3), "digits": (8, 8, 1)}


def main() -> None:
    """Print the table and, as the last line, the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", choices=SHAPES, default="mnist")
    parser.add_argument("--steps", type=int, default=40, help="steps timed a round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()

    params = load("params.yaml", ["configs/demo.yaml"] if arguments.dataset == "digits" else [])
    cell = params.cell(arguments.dataset, "case4", 0)
    batch, steps = cell.train.batch_size, arguments.steps
    with claimed_device("auto") as device:
        configure(params.runtime, cell.train.precision)
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (steps * batch, *SHAPES[arguments.dataset]), dtype=np.uint8)
        labels = rng.integers(0, 10, len(pixels)).astype(np.uint8)
        images = Images(pixels, labels, pixels[:batch], labels[:batch])
        channels = pixels.shape[-1]
        data = DeviceData(
            images, [0.5] * channels, [0.25] * channels, cell.augment.pad, cell.superclasses, device
        )
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=cell.train.precision == "bfloat16")
        net = build_network(cell, channels).to(device, memory_format=torch.channels_last)
        optimizer = build_optimizer(net, cell.train.momentum, cell.train.weight_decay)
        fixed = data.training_batch(draw_epoch(0, 0, len(pixels), batch, cell.augment, device), 0)

        def bare() -> None:
            net.train()
            x, y, x_star = fixed
            for _ in range(steps):
                with autocast:
                    loss = F.cross_entropy(net(x, x_star), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        def ours() -> None:
            draw = draw_epoch(0, 0, len(pixels), batch, cell.augment, device)
            losses, _ = train_epoch(net, optimizer, data, draw, [0.0] * steps, autocast, lambda: None)
            losses.sum().item()

        def timed(loop) -> float:
            began = time.perf_counter()
            loop()
            if device.type == "cuda":
                torch.cuda.synchronize()
            return (time.perf_counter() - began) / steps * 1000

        timed(bare), timed(ours)
        rounds = [(timed(bare), timed(ours)) for _ in range(arguments.rounds)]
    ratio = statistics.median(our / bar for bar, our in rounds)
    result = {
        "dataset": arguments.dataset,
        "device": str(device),
        "threads": params.runtime.cpu_threads,
        "bare_ms": round(statistics.median(bar for bar, _ in rounds), 3),
        "ours_ms": round(statistics.median(our for _, our in rounds), 3),
        "ratio": round(ratio, 4),
    }
    print(f"{arguments.dataset}, {cell.layers} layers, batch {batch}, {device}, torch {torch.__version__}")
    print(f"bare step   {result['bare_ms']:8.2f} ms")
    print(f"our step    {result['ours_ms']:8.2f} ms")
    print(f"ratio       {ratio:8.3f}   (median of {arguments.rounds} rounds of {steps} steps)")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
