"""The command line says what went wrong in one line, and shows what it can on any terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hal import cli
from hal.cli import main
from hal.errors import with_overlays
from tests.made_up import made_up_params, make_up_grid

ROOT = Path(__file__).parent.parent


def hal(*words: str, cwd: Path = ROOT, **more) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")} | more.pop("env", {})
    return subprocess.run(
        [sys.executable, "-m", "hal", *words],
        cwd=cwd,
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
        **more,
    )


def test_a_missing_params_yaml_says_where_it_was_looked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 1
    error = capsys.readouterr().err
    assert (
        error
        == f"hal: params.yaml: no such file in {tmp_path}; change to the folder of the checkout, or correct the name\n"
    )


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(28, "No space left on device", "/x/data/mnist.npz")]
)
def test_what_a_machine_lacks_is_one_line(error, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr(cli, "load", fail)
    assert main(["status"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("hal: ")
    assert said.count("\n") == 1
    assert "what was finished is kept" in said


@pytest.mark.parametrize(("now", "stamped"), [("as before", True), ("a cell more", False)])
def test_what_was_drawn_while_cells_changed_is_not_noted_as_drawn_from_them(
    now, stamped, tmp_path, monkeypatch, capsys
):
    seen, noted = iter(["as before", now]), []
    monkeypatch.setattr("hal.current.basis", lambda params, run: next(seen))
    for writer in ("controls.write", "crossed.write", "write_pdf"):
        monkeypatch.setattr(f"hal.draw.{writer}", lambda *of: "")
    for writer in ("all_tables.write", "write_tables.write", "figures.draw", "render"):
        monkeypatch.setattr(f"hal.draw.{writer}", lambda *of: [])
    monkeypatch.setattr("hal.draw.stamp", lambda params, run: noted.append("drawn"))
    (tmp_path / "overlay.yaml").write_text(f"root: {tmp_path}/run\n")
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    assert main(["--params", str(ROOT / "params.yaml"), *overlay, "draw"]) == 0
    assert noted == ["drawn"] * stamped
    assert ("cells have changed meanwhile" in capsys.readouterr().err) is not stamped


def test_a_full_disk_behind_the_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = hal("status", stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("hal: the output: No space left on device; make room")
    assert "Traceback" not in done.stderr


def test_an_ascii_terminal_gets_a_status(tmp_path):
    (tmp_path / "o.yaml").write_text(
        f'root: {tmp_path}/run\ngrid: {{datasets: [digits]}}\ndatasets: {{digits: {{title: "≥ 漢"}}}}\n'
    )
    done = hal(
        "--overlay", f"{tmp_path}/o.yaml", "status", stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("`hal draw` draws", "`hal --overlay configs/a.yaml --overlay 'b c.yaml' draw` draws"),
        ("`hal`", "`hal --overlay configs/a.yaml --overlay 'b c.yaml'`"),
        ("`snakemake --force x`", "`snakemake --force x --configfile configs/a.yaml 'b c.yaml'`"),
        ("`hal --overlay d.yaml status`", "`hal --overlay d.yaml status`"),
        ("`snakemake x --configfile d.yaml`", "`snakemake x --configfile d.yaml`"),
        ("hal draw and `halve`", "hal draw and `halve`"),
    ],
)
def test_commands_in_what_is_said_mean_the_run_that_they_are_said_of(said, meant):
    assert with_overlays(said, ["configs/a.yaml", "b c.yaml"]) == meant
    assert with_overlays(said, []) == said


def test_what_many_files_share_is_said_of_a_few(tmp_path, capsys):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    make_up_grid(params, images=50)
    params.path("report").mkdir(exist_ok=True)
    params.path("report", "drawn.json").write_text("{}")
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    assert main(["--params", str(ROOT / "params.yaml"), *overlay, "verify"]) == 1
    said = capsys.readouterr().err
    assert re.search(r"^hal: (\S+, ){2}\S+ and \d+ more: not drawn from", said)
    assert said.endswith(f"`hal --overlay {tmp_path}/overlay.yaml draw` draws them again\n")


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--overlay", "a.yaml"],
        ["--overlay", "a.yaml", "b.yaml", "status"],
        ["--configfile", "a.yaml", "status"],
    ],
)
def test_where_overlays_stand_is_said_where_they_stand_elsewhere(words):
    done = hal(*words)
    assert done.returncode == 2
    assert "(--overlay FILE stands before the command, once for each file)" in done.stderr
    assert "--overlay FILE stands" not in hal("stats").stderr
