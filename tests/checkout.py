"""A checkout of its own to run Snakemake in, with an overlay whose cells train in a second."""

import shutil
import subprocess
import sys
from pathlib import Path

from hal.files import sha256_of
from tests.tiny import ROOT, save_npz

OVERLAY = """
root: runs/tiny
grid: {{datasets: [tiny], seeds: [0, 1]}}
datasets:
  tiny:
    source: npz
    path: tiny-source.npz
    sha256: {sha256}
    title: Tiny
    layers: 10
    classes: [a, b, c, d]
    cases:
      pairs: {{title: pairs, superclasses: [[0, 1], [2, 3]]}}
model: {{batch_norm_momentum: 0.1}}
train: {{epochs: 2, batch_size: 16, max_lr: 0.1}}
augment: {{pad: 1}}
runtime: {{device: cpu}}
"""
TINY = ("--configfile", "configs/tiny.yaml")


def make_checkout(folder: Path) -> Path:
    """Write it; nothing is trained yet."""
    folder.mkdir(exist_ok=True)
    for name in ("Snakefile", "params.yaml", "src", "profiles", "configs", "docs"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    save_npz(folder / "tiny-source.npz")
    overlay = OVERLAY.format(sha256=sha256_of(folder / "tiny-source.npz"))
    (folder / "configs/tiny.yaml").write_text(overlay, encoding="utf-8")
    return folder


def save_often(project: Path) -> None:
    """Let that checkout save a training's state every 0.2 seconds, so that a short training has one to go on from."""
    path = project / "src/hal/train/loop.py"
    text = path.read_text(encoding="utf-8")
    assert text.count("SAVE_EVERY_S = 5.0\n") == 1
    path.write_text(text.replace("SAVE_EVERY_S = 5.0\n", "SAVE_EVERY_S = 0.2\n"), encoding="utf-8")


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run it there; a dry run reports on stdout, a real one on stderr, and both are in `stdout`."""
    return _run(project, "snakemake", *arguments)


def hal(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run a command of ours there; both streams are in `stdout`."""
    return _run(project, "hal", *arguments)


def _run(project: Path, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
