"""How the workflow grows: seconds and memory of a dry run, a run with nothing to do, the study and the report of made-up grids.

    python benchmarks/growth.py 75 750 3000

A grid of N cells is N/5 networks, the baseline and random groupings of the embedded digits, with five seeds. Beside Snakemake's
two steps stands their floor: a workflow of as many jobs with nothing in it but `touch`. Every step is a process of its own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hal.outputs import figure_names  # noqa: E402
from hal.params import Params  # noqa: E402
from tests.made_up import made_up_params, make_up_data, make_up_grid  # noqa: E402

SEEDS = 5
IMAGES = 200  # of each split: what is measured is the number of cells, not their size
FLOOR = """
rule all:
    input: [f"out/{i}/cell.json" for i in range(%d)]

rule train:
    output: "out/{i}/cell.json"
    shell: "touch {output}"
"""


def grid(root: Path, cells: int) -> Params:
    """An experiment of that many cells below `root`."""
    random = np.random.default_rng(0)
    groupings: set[tuple[tuple[int, ...], ...]] = set()
    while len(groupings) < cells // SEEDS - 1:
        order = random.permutation(10)
        groupings.add(tuple(sorted(tuple(sorted(map(int, part))) for part in np.split(order, [4, 7]))))
    cases = "\n".join(
        f"      g{i}: {{title: random {i}, superclasses: {[list(part) for part in grouping]}}}"
        for i, grouping in enumerate(sorted(groupings))
    )
    return made_up_params(
        root,
        f"grid: {{datasets: [made], seeds: {list(range(SEEDS))}}}\n"
        "train: {epochs: 20}\nruntime: {device: cpu}\n"
        "datasets:\n  made:\n    source: digits\n    layers: 10\n    classes: [a, b, c, d, e, f, g, h, i, j]\n"
        f"    cases:\n{cases}\n",
    )


def make_up_weights(params: Params) -> None:
    """Weights of no use but to carry their cell's hash."""
    for cell in params.cells():
        path = params.cell_paths(cell).checkpoints / "weights.safetensors"
        save_file({"w": np.zeros(1, np.float32)}, path, {"cell": cell.hash})


def measure(command: list[str], cwd: Path) -> str:
    """Seconds and peak MiB of a command, as text.

    Raises:
        SystemExit: it failed.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status != 0:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read().decode()[-2000:]}")
    return f"{seconds:7.1f} s {usage.ru_maxrss / 1024:6.0f} MiB"


def main(sizes: list[int]) -> None:
    """Measure every step of every size, and print each as soon as it is known."""
    for cells in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root, floor = Path(folder, "run"), Path(folder, "floor")
            root.mkdir()
            floor.mkdir()
            params = grid(root, cells)
            overlay = str(root / "overlay.yaml")
            (floor / "Snakefile").write_text(FLOOR % cells)
            snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
            workflow = [*snakemake, "--configfile", overlay]
            hal = [sys.executable, "-m", "hal", "--overlay", overlay]

            def step(name: str, command: list[str], cwd: Path = ROOT, cells: int = cells) -> None:
                print(f"{cells:6} cells  {name:24}{measure(command, cwd)}", flush=True)

            step("dry run", [*workflow, "-n"])
            step("dry run, floor", [*snakemake, "-n"], floor)
            make_up_data(params, "made")
            make_up_grid(params, images=IMAGES)
            make_up_weights(params)
            np.savez(params.path("data", "made.npz"))
            for command in (["controls"], ["study"], ["tables"]):
                step(command[0], [*hal, *command])
            kinds: dict[str, list[str]] = {}
            for name, drawing in figure_names(params).items():
                kinds.setdefault(drawing.kind, []).append(name)
            for kind, names in kinds.items():
                step(f"{kind}, {len(names)} figures", [*hal, "figure", *names])
            step("report", [*hal, "report"])
            step("pdf", [*hal, "pdf", "--note", str(params.path("report", "pdf.txt"))])
            step("drawn", [*hal, "drawn"])
            step("nothing to do", workflow)
            for i in range(cells):
                Path(floor, "out", str(i)).mkdir(parents=True)
                Path(floor, "out", str(i), "cell.json").touch()
            step("nothing to do, floor", snakemake, floor)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [75, 750, 3000])
