"""How long tables, controls, analysis, figures and report take for a made-up grid of the paper's size, and how much memory.

    python benchmarks/report_speed.py

Every step is a process of its own, one after the other, as Snakemake runs them. Budget: 60 s and 2 GB in all.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hal.outputs import figure_names  # noqa: E402
from tests.made_up import made_up_params, make_up_grid  # noqa: E402


def measure(arguments: list[str], overlay: Path) -> tuple[float, float]:
    """Seconds and peak MiB of one `hal` command.

    Raises:
        SystemExit: the command failed.
    """
    began = time.monotonic()
    command = [sys.executable, "-m", "hal", "--overlay", str(overlay), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Make up the grid, run every step, print a table."""
    with tempfile.TemporaryDirectory() as folder:
        params = made_up_params(Path(folder))
        make_up_grid(params)
        controls = [["controls", dataset] for dataset in params.grid.datasets]
        steps = [
            *controls,
            ["study"],
            ["tables"],
            *(["figure", name] for name in figure_names(params)),
            ["report"],
        ]
        print(f"{'step':28}{'seconds':>9}{'peak MiB':>10}")
        total, peak = 0.0, 0.0
        for step in steps:
            seconds, mib = measure(step, Path(folder, "overlay.yaml"))
            print(f"{' '.join(step):28}{seconds:9.1f}{mib:10.0f}", flush=True)
            total, peak = total + seconds, max(peak, mib)
        print(f"{f'all, {len(params.cells())} cells':28}{total:9.1f}{peak:10.0f}")


if __name__ == "__main__":
    main()
