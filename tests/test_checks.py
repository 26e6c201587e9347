"""The checks of .pre-commit-config.yaml that are ours find what they are there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import ROOT

FAULTY = {
    "parses": {
        "bad.yaml": "a: [1",
        "bad.json": "{'a': 1}",
        "bad.toml": "a = ",
        "large.txt": "0" * 500_001,
    },
    "merge-conflict": {"both.py": "<<<<<<< ours\n"},
    "data": {"weights.safetensors": "0", "runs/mine/data.npz": "0"},
    "notebook-output": {"notebook.ipynb": '{"cells": [{"outputs": [{"output_type": "stream"}]}]}'},
}
SOUND = {
    "mkdocs.yml": "a: !!python/name:b.c\n",
    "good.json": "{}",
    "results/digits/case1/seed0/scores.npz": "small, and for git",
    "notebook.ipynb": '{"cells": [{"outputs": []}]}',
}


def check(folder: Path, hook: str, files: dict[str, str]) -> subprocess.CompletedProcess:
    """Run one hook over files in a repository of their own."""
    shutil.copy(ROOT / ".pre-commit-config.yaml", folder)
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/check_files.py", folder / ".ci")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["git", "add", "--all", "--force"], cwd=folder, check=True)
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", hook, "--files", *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("hook", FAULTY)
def test_every_fault_is_named(tmp_path, hook):
    done = check(tmp_path, hook, FAULTY[hook])
    assert done.returncode == 1, done.stdout
    assert all(name in done.stdout for name in FAULTY[hook])


@pytest.mark.parametrize("hook", FAULTY)
def test_what_is_sound_passes(tmp_path, hook):
    done = check(tmp_path, hook, SOUND)
    assert done.returncode == 0, done.stdout
