"""The DAG: what it plans, what it reruns and what it leaves alone."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hal import locks, sums
from hal.cell_files import read_record, record_bytes
from hal.current import drawing, outdated
from hal.dag import cell_records, drawn_files, figure_inputs, minutes, prefix
from hal.departures import describe
from hal.errors import UserError, hal_command
from hal.files import sha256_of
from hal.params import Params, load
from hal.refusals import check_targets
from hal.session import forget_states, gpus, lock, mend_times, overlays, say_full_disk, say_limit, share_gpus
from hal.standing import standing
from hal.study.grid import load_grid
from tests.checkout import TINY, hal, make_checkout, save_often, snakemake
from tests.made_up import DATA_SHA256, made_up_params, make_up_grid
from tests.tiny import ROOT
from tests.train.test_cell import files_of

pytestmark = pytest.mark.slow


def interruptible() -> None:
    """In a child: let Ctrl-C end it, also where these tests themselves run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def below(project: Path) -> Params:
    """The tiny run of that project, wherever this process works."""
    params = load(project / "params.yaml", [project / "configs/tiny.yaml"])
    return dataclasses.replace(params, root=str(project / "runs/tiny"))


def training(project: Path) -> subprocess.Popen:
    """Snakemake at work there, as a person starts it, after a first epoch of a first cell."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--configfile", "configs/tiny.yaml"],
        cwd=project,
        start_new_session=True,
        preexec_fn=interruptible,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    logs = project / "runs/tiny/logs/train/tiny"
    while not any("epoch 1/" in log.read_text() for log in logs.glob("*/*.log")):
        assert process.poll() is None
        time.sleep(0.05)
    return process


@pytest.fixture
def project(tmp_path) -> Path:
    """A checkout of its own, with an overlay whose cells train in a second."""
    return make_checkout(tmp_path)


def planned(project: Path, *arguments: str) -> dict[str, int]:
    """Rule to number of jobs, from a dry run."""
    done = snakemake(project, "--dry-run", *arguments)
    assert done.returncode == 0, done.stdout
    return jobs_in(done.stdout)


def jobs_in(said: str) -> dict[str, int]:
    """Rule to number of jobs, from what a dry run said."""
    if "Nothing to be done" in said:
        return {}
    table = said.rsplit("Job stats:", 1)[1].split("total")[0]
    rows = [line.split() for line in table.splitlines()[3:] if line.strip()]
    return {name: int(count) for name, count in rows}


def cells_trained(jobs: dict[str, int]) -> int:
    return jobs.get("cell_unscored", 0) + jobs.get("cell_scored", 0)


def assert_begins_and_trains_nothing(project: Path, *arguments: str) -> None:
    """That Snakemake would refuse nothing and train nothing: a dry run says at its end what a real one checks at its beginning."""
    done = snakemake(project, "--dry-run", *arguments)
    assert done.returncode == 0, done.stdout
    assert "without -n this is refused" not in done.stdout, done.stdout
    assert cells_trained(jobs_in(done.stdout)) == 0


def edit(project: Path, old: str, new: str) -> None:
    path = project / "configs/tiny.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_papers_grid_is_75_cells_and_its_figures(project):
    jobs = planned(project)
    assert (jobs["cell_unscored"], jobs["cell_scored"], jobs["data"]) == (15, 60, 3)
    assert jobs["figure"] >= 6


def test_one_cell_is_asked_for_by_its_path(project):
    assert planned(project, "results/svhn/case4/seed3") == {"data": 1, "cell_scored": 1}
    assert planned(project, "results/svhn/baseline/seed3") == {"data": 1, "cell_unscored": 1}


def test_the_workflow_has_nothing_for_the_linter_to_say_but_that_it_names_no_conda_environment(project):
    """It runs in the environment that runs Snakemake: the lock file's, whose hashes conda would not check."""
    said = re.findall(r"^    \* (.*)$", snakemake(project, "--lint").stdout, re.MULTILINE)
    assert set(said) == {"Specify a conda environment or container for each rule.:"}


def test_a_cluster_is_asked_for_time_by_layers_and_epochs():
    """Twelve hours for 28 layers and 250 epochs, 10/28 of that for ten, and never less than half an hour."""
    params = load(ROOT / "params.yaml")
    assert minutes(params, "cifar10/case1") == 720
    assert minutes(params, "mnist/baseline") == 257
    assert minutes(load(ROOT / "params.yaml", [ROOT / "configs/demo.yaml"]), "digits/case1") == 30


def test_an_overlay_writes_below_its_own_root():
    params = load(ROOT / "params.yaml", [ROOT / "configs/demo.yaml"])
    assert prefix(params) == "runs/demo/"
    assert prefix(load(ROOT / "params.yaml")) == ""
    files = cell_records(params)
    assert len(files) == 25
    assert all(file.startswith("runs/demo/results/digits/") for file in files)


def test_a_root_has_one_spelling_and_any_name_of_a_data_set_has_a_rule(project):
    edit(project, "root: runs/tiny", "root: runs/other/../tiny/")
    path = project / "configs/tiny.yaml"
    path.write_text(path.read_text().replace("tiny:\n", "scored:\n").replace("[tiny]", "[scored]"))
    jobs = planned(project, "--configfile", "configs/tiny.yaml")
    assert (jobs["cell_unscored"], jobs["cell_scored"], jobs["study"]) == (2, 2, 1)
    assert planned(project, "train_scored", "--configfile", "configs/tiny.yaml")["cell_scored"] == 2


def test_figures_need_only_the_cells_that_they_show(tmp_path):
    params = load(ROOT / "params.yaml")
    scores = figure_inputs(params, "fig5_svhn_scores")
    assert sum(file.endswith("scores.npz") for file in scores) == 20  # the baseline has no scores
    assert sum(file.endswith("curves.csv") for file in figure_inputs(params, "fig4_svhn_loss")) == 25
    assert all("/svhn/" in file for file in scores)
    cases = {
        f"more{i}": {"title": "more", "superclasses": [[i], sorted({*range(10)} - {i})]} for i in range(4)
    }
    (tmp_path / "many.yaml").write_text(
        f"root: runs/many\ndatasets: {{svhn: {{cases: {json.dumps(cases)}}}}}"
    )
    second = figure_inputs(load(ROOT / "params.yaml", [tmp_path / "many.yaml"]), "fig4_svhn_loss_2")
    assert {Path(file).parts[4] for file in second} == {"baseline", "more2", "more3"}


def test_a_machine_without_a_gpu_says_so_before_the_first_job(tmp_path, monkeypatch):
    """Once, and only where cells are to be trained here: a dry run and what is drawn from nothing go on."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    project = make_checkout(tmp_path / "project")
    overlay = project / "configs/long.yaml"
    overlay.write_text("root: runs/long\ngrid: {datasets: [digits], seeds: [0, 1]}\ntrain: {epochs: 3000}\n")
    run = ("--cores", "2", "--configfile", "configs/long.yaml")
    assert snakemake(project, *run, "--dry-run").returncode == 0
    done = snakemake(project, *run)
    assert done.returncode == 1
    said = re.findall(r"^hal: .*", done.stdout, re.MULTILINE)
    assert len(said) == 1
    assert re.match(
        r"hal: digits/\w+/seed[01]: 33,000 steps, and PyTorch finds no GPU.*runtime\.device to cpu", said[0]
    )
    assert not (project / "runs/long/logs").exists()  # no job was started
    assert snakemake(project, "runs/long/data/digits.npz", *run).returncode == 0
    overlay.write_text(overlay.read_text().replace("3000", "2"))
    target = "runs/long/results/digits/baseline/seed0"
    assert snakemake(project, target, *run).returncode == 0


@pytest.mark.parametrize(
    ("limit", "local", "said"), [(1, False, True), (20, False, False), (None, False, False), (1, True, False)]
)
def test_a_cluster_that_the_default_profile_holds_to_one_gpu_is_told_so(capsys, limit, local, said):
    given = SimpleNamespace(local_exec=local, global_resources={"gpu": SimpleNamespace(value=limit)})
    say_limit(given, load(ROOT / "params.yaml"))
    assert ("--resources gpu=N" in capsys.readouterr().out) is said


@pytest.mark.parametrize(("free", "said"), [(0, True), (2**19, True), (2**30, False)])
def test_a_disk_without_room_for_a_log_is_said_by_snakemake(monkeypatch, capsys, free, said):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    say_full_disk(load(ROOT / "params.yaml"))
    assert ("No space left on device; make room" in capsys.readouterr().out) is said


def test_settings_on_the_command_line_are_refused_with_the_way_to_go(project):
    with pytest.raises(UserError, match=r"--config train=5: settings come from files"):
        overlays([], {"train": 5}, [])
    done = snakemake(project, "--dry-run", "--config", "epochs=5")
    assert done.returncode == 1
    assert "settings come from files" in done.stdout


def test_a_wrong_setting_stops_snakemake_before_anything_runs(project):
    edit(project, "epochs: 2", "epoch: 2")
    done = snakemake(project, "--configfile", "configs/tiny.yaml")
    assert done.returncode == 1
    assert "train.epoch: unknown key" in done.stdout
    assert "did you mean epochs?" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project / "runs").exists()


def test_a_name_that_is_no_cells_is_refused_at_once(project):
    done = snakemake(project, "results/svhn/case9/seed0")
    assert done.returncode == 1
    assert "hal: case 'case9': svhn has baseline, case1" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("results/svhn/case9/seed3", "case 'case9': svhn has baseline, case1, case2, case3, case4"),
        ("results/mnits/case1/seed3", "data set 'mnits': params.yaml has mnist, svhn"),
        ("runs/demo/results/digits/case1/seed0", "this run's cells lie below results/"),
        ("results/svhn/case4/seed05", "that cell is called svhn/case4/seed5"),
        ("train_foo", "train_foo: the grid has mnist, svhn, cifar10"),
    ],
)
def test_what_no_rule_makes_is_refused_with_what_there_is(target, said):
    with pytest.raises(UserError, match=said):
        check_targets(["--cores", "2", target], load(ROOT / "params.yaml"))


def test_what_a_run_has_may_be_asked_for():
    words = ["./results/svhn/case4/seed3", "results/svhn/case4/seed33/", "train_svhn", "results/table2.csv"]
    words += ["--report", "train_report.html", "--directory", "train_there"]
    check_targets([*words, "--forcerun", "results/mnist/baseline/seed0"], load(ROOT / "params.yaml"))


def test_an_overlays_name_may_hold_a_brace_a_blank_and_a_quote(project):
    overlay = "configs/it's {mine}.yaml"
    (project / "configs/tiny.yaml").rename(project / overlay)
    target = "runs/tiny/data/tiny.npz"
    done = snakemake(project, target, "--configfile", overlay)
    assert done.returncode == 0, done.stdout
    assert shlex.split(hal_command([overlay], "draw")) == ["hal", "--overlay", overlay, "draw"]


def test_a_second_snakemake_on_one_root_says_so_in_a_line(project):
    params = below(project)
    held = lock(params)
    done = snakemake(project, "runs/tiny/data/tiny.npz", "--configfile", "configs/tiny.yaml")
    held.release()
    assert done.returncode == 1
    assert "another snakemake, or a merge, is at work in runs/tiny" in done.stdout.splitlines()[-1]


def test_jobs_run_the_source_beside_the_snakefile_whatever_is_installed(project):
    target = "runs/tiny/data/tiny.npz"
    source = project / "src/hal/data/prepare.py"
    assert not source.is_symlink()
    source.write_text(source.read_text() + "\nprint('of this checkout')\n")
    done = snakemake(project, target, "--configfile", "configs/tiny.yaml")
    assert done.returncode == 0, done.stdout
    assert "of this checkout" in (project / "runs/tiny/logs/data/tiny.log").read_text()


def test_only_cells_with_a_gpu_count_towards_the_gpu_resource(monkeypatch):
    """With none here they are limited by the cores alone, as `hal plan` says; what a cluster's nodes have is not known here."""
    here, there = SimpleNamespace(local_exec=True), SimpleNamespace(local_exec=False)
    auto, cpu = load(ROOT / "params.yaml"), load(ROOT / "params.yaml", [ROOT / "configs/demo.yaml"])
    for absent, expected in (True, (0, 1, 0, 0)), (False, (1, 1, 0, 0)):
        monkeypatch.setattr("hal.gpu.absent", lambda absent=absent: absent)
        assert (gpus(here, auto), gpus(there, auto), gpus(here, cpu), gpus(there, cpu)) == expected


def test_a_gpu_takes_several_cells_and_gpus_are_still_counted_as_devices(project):
    edit(project, "runtime: {device: cpu}", "runtime: {device: auto, cells_per_gpu: 3}")
    target = ["runs/tiny/results/tiny/pairs/seed0", "--configfile", "configs/tiny.yaml"]
    for arguments, limit in ([], 3), (["--resources", "gpu=2"], 6):
        done = snakemake(project, *target, "--force", "--quiet", "reason", *arguments)
        assert re.search(rf"Provided resources: gpu=.*\b{limit}\b", done.stdout), done.stdout
    assert json.loads((project / target[0] / "cell.json").read_text())["status"] == "ok"


@pytest.mark.parametrize(("local", "limit"), [(True, 10), (False, 2)])
def test_on_a_cluster_a_gpu_is_a_cell(local, limit):
    """There each job has a GPU of its own, so two GPUs are two jobs and not ten."""
    left = {"gpu": SimpleNamespace(value=2)}

    def register(name: str, value: int) -> None:
        left[name] = SimpleNamespace(value=value)

    given = SimpleNamespace(local_exec=local, global_resources=left, register_resource=register)
    share_gpus(given, load(ROOT / "params.yaml"))
    assert left["gpu"].value == limit


@pytest.mark.parametrize(("data", "expected"), [(DATA_SHA256, "finished"), ("beef" * 16, "stale")])
def test_what_no_longer_counts_because_the_data_are_others_is_trained_again(data, expected, tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    make_up_grid(params, images=50)
    path = params.path("data", "mnist.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"arrays_sha256": data}))
    assert {standing(params, cell) for cell in params.cells()} == {expected}
    assert {result.finished for result in load_grid(params)} == {expected == "finished"}


def test_weights_without_a_record_are_no_finished_network(tmp_path):
    """Cut off, they would else be one that is damaged, and the whole run refused for it."""
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    cell = params.cell("mnist", "case1", 0)
    paths = params.cell_paths(cell)
    paths.weights.parent.mkdir(parents=True)
    paths.weights.write_bytes(b"cut off")
    assert standing(params, cell) == "none"


def test_every_file_that_times_decide_about_is_mended(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    make_up_grid(params, images=50)
    files = [params.path("data/mnist.json"), params.cell_paths(params.cell("mnist", "case1", 0)).curves]
    files += [
        params.path("results/table2.csv"),
        params.path("results/controls/mnist.csv"),
        params.path("report/report.html"),
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (time.time() + 86_400,) * 2)
    mend_times(params)
    (mended,) = {
        file.stat().st_mtime for file in files
    }  # of several, what is drawn might be older than its cells
    assert mended <= time.time()


def test_cells_are_not_brought_in_while_a_snakemake_that_planned_to_train_them_is_at_work(finished):
    """It deletes a cell's files before it begins with it, whoever put them there meanwhile."""
    project, tiny = finished, ["--overlay", "configs/tiny.yaml"]
    (project / "runs/other/results").mkdir(parents=True)
    held = lock(below(project))
    done = hal(project, *tiny, "merge", "runs/other")
    assert done.returncode == 1
    assert "another snakemake, or a merge, is at work in" in done.stdout
    done = hal(project, *tiny, "train", "tiny", "pairs", "7")
    assert done.returncode == 0, done.stdout
    kept = "runs/tiny/.resume/tiny-pairs-seed7-*/state.safetensors"
    assert list(project.glob(kept))
    held.release()
    forget_states(
        SimpleNamespace(persistence=SimpleNamespace(_filter_incomplete_keys=lambda files: [])), below(project)
    )
    assert not list(project.glob(kept))
    # asked for again after a run that was killed, it is trained, and not found to be complete; and its state goes
    assert hal(project, *tiny, "train", "tiny", "pairs", "7", "--force", "--keep-state").returncode == 0
    assert list(project.glob(kept))
    cell = "runs/tiny/results/tiny/pairs/seed7"
    done = snakemake(project, cell, "--force", "--configfile", "configs/tiny.yaml")
    assert done.returncode == 0, done.stdout
    assert json.loads((project / cell / "cell.json").read_text())["time"]["resumed"] == 0
    assert not list(project.glob(kept))


def test_the_state_of_a_cell_that_is_being_trained_again_is_not_forgotten(tmp_path):
    """Its old record still stands, so it is called finished."""
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0]}")
    make_up_grid(params, images=50)
    paths = params.cell_paths(params.cell("mnist", "case1", 0))
    workflow = SimpleNamespace(persistence=SimpleNamespace(_filter_incomplete_keys=lambda files: []))
    paths.resume.mkdir(parents=True)
    (paths.resume / "progress.json").write_text('{"epoch": 3, "epochs": 4}')
    forget_states(workflow, params)
    assert paths.resume.exists()
    (paths.resume / "progress.json").write_text('{"epoch": 4, "epochs": 4}')
    held = locks.acquire(paths.lock)
    forget_states(workflow, params)
    assert paths.resume.exists()
    held.release()
    forget_states(workflow, params)
    assert not paths.resume.exists()


def test_tables_are_computed_by_one_process_at_a_time(finished):
    project, tiny = finished, ["--overlay", "configs/tiny.yaml"]
    said = r"(controls\.tiny|study)\.lock: another process computes these tables; waiting for it"
    for rule, command in (("controls/tiny", "controls"), ("study", "study"), ("study", "draw")):
        words = [sys.executable, "-m", "hal", *tiny, command]
        with drawing(below(project), [rule]):
            process = subprocess.Popen(words, cwd=project, stdout=subprocess.PIPE, text=True)
            assert re.search(said, process.stdout.readline()), command
            assert process.poll() is None
        process.communicate()
        assert process.returncode == 0, command


def test_a_description_of_the_data_that_is_damaged_is_made_again_before_a_network_is_deleted(finished):
    project, cell = finished, "runs/tiny/results/tiny/pairs/seed0"
    (project / "runs/tiny/data/tiny.json").write_text('{"a":')
    done = snakemake(project, cell, "--force", "--configfile", "configs/tiny.yaml")
    assert done.returncode == 0, done.stdout
    assert (project / cell / "cell.json").exists()


def test_one_snakemake_at_a_time_below_a_root(tmp_path):
    params = dataclasses.replace(load(ROOT / "params.yaml", [ROOT / "configs/demo.yaml"]), root=str(tmp_path))
    held = lock(params)
    with pytest.raises(UserError, match="another snakemake, or a merge, is at work"):
        lock(params)
    held.release()
    lock(params).release()


def test_changes_rerun_just_what_they_touch(finished):
    project, tiny = finished, ("--configfile", "configs/tiny.yaml")
    root = project / "runs/tiny"
    assert (root / "report/report.html").stat().st_size > 10_000
    assert not (project / "results").exists()
    assert planned(project, *tiny) == {}

    # Snakemake's own report has a text of its own, every figure with number and caption, and the report's page
    assert snakemake(project, *tiny, "--report", "workflow.html").returncode == 0
    workflow_report = (project / "workflow.html").read_text(encoding="utf-8")
    for said in ("This page is about the making", "Training loss (dotted;", '"Figure": "A2"', '"text/html"'):
        assert said in workflow_report

    # a forced cell, and what follows from it
    stamps = {path: path.stat().st_mtime_ns for path in root.glob("results/tiny/*/*/cell.json")}
    assert len(stamps) == 4
    assert snakemake(project, *tiny, "--force", "runs/tiny/results/tiny/pairs/seed1").returncode == 0
    changed = [path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp]
    assert changed == [root / "results/tiny/pairs/seed1/cell.json"]
    follows = planned(project, *tiny)
    assert cells_trained(follows) == 0
    assert {"study", "tables", "figure", "report"} <= follows.keys()

    # a seed more, and a grouping more
    edit(project, "seeds: [0, 1]", "seeds: [0, 1, 2]")
    jobs = planned(project, *tiny)
    assert (jobs["cell_unscored"], jobs["cell_scored"]) == (1, 1)
    edit(project, "cases:", "cases:\n      mine: {superclasses: [[0, 3], [1, 2]]}")
    jobs = planned(project, *tiny)
    assert (jobs["cell_unscored"], jobs["cell_scored"]) == (1, 1 + 3)

    # a title redraws; runtime settings and a touched data set do nothing; epochs retrain all
    edit(project, "title: Tiny", "title: Tiny squares")
    assert cells_trained(planned(project, *tiny)) == 5
    edit(project, "runtime: {device: cpu}", "runtime: {device: cpu, cpu_threads: 2}")
    os.utime(root / "data/tiny.npz")
    assert cells_trained(planned(project, *tiny)) == 5
    edit(project, "epochs: 2", "epochs: 3")
    assert cells_trained(planned(project, *tiny)) == 9

    # and the whole with a grouping of one's own, to the report
    edit(project, "epochs: 3", "epochs: 2")
    edit(project, "seeds: [0, 1, 2]", "seeds: [0, 1]")
    assert cells_trained(planned(project, *tiny)) == 2
    done = snakemake(project, *tiny)
    assert done.returncode == 0, done.stdout
    table = (root / "results/table2.csv").read_text(encoding="utf-8")
    assert "mine" in table
    assert "mine" in (root / "report/report.html").read_text(encoding="utf-8")
    assert planned(project, *tiny) == {}


def test_what_it_calls_finished_is_whole_and_current_also_in_a_copy_without_memory(finished, monkeypatch):
    """A clone has no .snakemake/: what is there to be seen in the files must be enough."""
    project, tiny, root = finished, ("--configfile", "configs/tiny.yaml"), finished / "runs/tiny"

    def without_memory() -> dict[str, int]:
        shutil.rmtree(project / ".snakemake")
        return planned(project, *tiny)

    assert without_memory() == {}
    # what is not here is called outdated, whatever it is, and the Snakefile has drawn again what is called so
    with monkeypatch.context() as patch:
        patch.chdir(project)
        params = load("params.yaml", ["configs/tiny.yaml"])
        run, files = describe(params, ["configs/tiny.yaml"]), list(map(Path, drawn_files(params)))
        assert outdated(params, run, files) == set()
        for some in files[::2], files[1::2]:
            aside = [path.rename(path.with_name(f"{path.name}.aside")) for path in some]
            assert outdated(params, run, files) == set(some)
            for moved, path in zip(aside, some, strict=True):
                moved.rename(path)
    kept = root.with_name("kept")
    root.rename(kept)
    overlaid = ("--overlay", "configs/tiny.yaml")
    assert hal(project, *overlaid, "draw").returncode == 0  # of no cell at all
    verified = hal(project, *overlaid, "verify")
    assert re.search(r"\n[1-9]\d* tables, figures and pages are what was drawn", verified.stdout)
    (root / "report/drawn.json").unlink()
    verified = hal(project, *overlaid, "verify")
    assert verified.returncode == 0
    assert "of tables, figures and pages nothing is noted yet" in verified.stdout
    assert cells_trained(planned(project, *tiny)) == 4

    def restore() -> None:
        shutil.rmtree(root)
        shutil.copytree(kept, root, copy_function=shutil.copy2)

    restore()

    for cell_file in (
        "results/tiny/pairs/seed1/cell.json",
        "checkpoints/tiny/baseline/seed0/predictions.npz",
        "checkpoints/tiny/pairs/seed0/auxiliary.npz",
    ):
        (root / cell_file).unlink()
        assert cells_trained(planned(project, *tiny)) == 1, cell_file
        restore()
    shutil.rmtree(root / "results/tiny/pairs/seed1")
    assert cells_trained(without_memory()) == 1
    restore()
    record = root / "results/tiny/pairs/seed1/cell.json"
    record.write_text(record.read_text().replace('"test_error": ', '"test_error": 1'))
    assert cells_trained(without_memory()) == 1  # a number that was not measured
    restore()

    for drawn, rule in (
        ("results/controls/tiny.csv", "controls"),
        ("results/table2.csv", "study"),
        ("results/table2.md", "tables"),
        ("figures/overview.png", "figure"),
        ("figures/tiny_loss.svg", "figure"),
        ("report/report.html", "report"),
    ):
        path = root / drawn
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        os.utime(path.parent)
        jobs = without_memory()
        assert rule in jobs, drawn
        assert cells_trained(jobs) == 0
        restore()
    (root / "report/report.html").unlink()
    jobs = without_memory()
    assert "report" in jobs
    assert cells_trained(jobs) == 0
    restore()

    edit(project, "seeds: [0, 1]", "seeds: [0]")  # everything is there already, and shows too much
    jobs = without_memory()
    assert cells_trained(jobs) == 0
    assert {"study", "tables", "figure", "report"} <= jobs.keys()


def test_a_finished_network_whose_checkpoint_is_not_here_is_not_replaced_unasked(finished):
    """A clone has results and no checkpoints; Snakemake would delete the results before it trains."""
    project, tiny, root = finished, ("--configfile", "configs/tiny.yaml"), finished / "runs/tiny"
    lost = [root / f"checkpoints/tiny/{cell}/predictions.npz" for cell in ("pairs/seed0", "baseline/seed1")]
    for path in lost:
        path.unlink()
    shutil.rmtree(root / "results/tiny/pairs/seed1")
    shutil.rmtree(root / "checkpoints/tiny/pairs/seed1")
    records = {path: path.read_bytes() for path in root.rglob("cell.json")}

    def refused(*arguments: str) -> str:
        shutil.rmtree(project / ".snakemake", ignore_errors=True)
        done = snakemake(project, *arguments, *tiny)
        assert done.returncode != 0
        assert "Traceback" not in done.stdout
        assert {path: path.read_bytes() for path in records} == records
        return done.stdout[done.stdout.index("hal: ") :]

    def run_as_said(said: str, closing: str) -> None:
        (command,) = [part for part in said.split("`") if part.startswith("snakemake") and closing in part]
        done = snakemake(project, *shlex.split(command)[1:])
        assert done.returncode == 0, done.stdout

    said = refused()
    assert said.startswith(
        "hal: 2 finished networks, such as tiny/baseline/seed1, would be trained again, which nobody asked for:\n- "
    )
    assert "predictions.npz and 1 more: not here: " in said
    assert "`hal --overlay configs/tiny.yaml evaluate`" in said
    run_as_said(said, "pairs/seed1 ")  # trains what is missing, and nothing else
    assert {path: path.read_bytes() for path in records} == records
    said = refused()
    assert "trains what is missing" not in said
    record = root / "results/tiny/pairs/seed0/cell.json"
    content = read_record(record)
    content["files"]["predictions.npz"] = (
        "0" * 64
    )  # as if trained on another processor, which rounds otherwise
    record.write_bytes(record_bytes(content))
    assert hal(project, "--overlay", "configs/tiny.yaml", "evaluate").returncode == 0
    assert all(path.exists() for path in lost)
    assert cells_trained(planned(project, *tiny)) == 0
    assert hal(project, "--overlay", "configs/tiny.yaml", "draw").returncode == 0
    counted = root / "results/controls/tiny.csv"
    published = counted.read_text().replace(
        "tiny,pairs,0,pairs,0 1 | 2 3,flips,", "tiny,pairs,0,pairs,0 1 | 2 3,flips,1", 1
    )
    assert published != counted.read_text()  # as if an image had come out otherwise where it was trained
    sums.write({counted: published}, counted.with_suffix(".sha256"))
    done = snakemake(project, "--force", "runs/tiny/results/controls/tiny.csv", *tiny)
    assert done.returncode == 0, done.stdout
    assert counted.read_text() == published
    records[record] = record.read_bytes()
    for path in lost:
        path.unlink()
    run_as_said(said, "--force")
    assert all(path.exists() for path in lost)
    assert_begins_and_trains_nothing(project, *tiny)


def test_finished_networks_are_not_replaced_because_data_are_not_here_or_a_file_is_damaged(finished):
    project, tiny, root = finished, ("--configfile", "configs/tiny.yaml"), finished / "runs/tiny"
    records = {path: path.read_bytes() for path in root.rglob("cell.json")}
    data = {path: path.read_bytes() for path in (root / "data").iterdir()}

    def refused(*arguments: str) -> str:
        shutil.rmtree(project / ".snakemake", ignore_errors=True)
        done = snakemake(project, *arguments, *tiny)
        assert done.returncode != 0
        return done.stdout[done.stdout.index("hal: ") :]

    for path in data:
        path.unlink()
    shutil.rmtree(root / "results/tiny/pairs/seed1")
    missing = root / "results/tiny/pairs/seed1/cell.json"
    assert "`hal --overlay configs/tiny.yaml data tiny` makes the data that are not here" in refused()
    assert {path: path.read_bytes() for path in records if path != missing} == {
        p: c for p, c in records.items() if p != missing
    }
    for path, content in data.items():
        path.write_bytes(content)
    assert snakemake(project, "train_tiny", *tiny).returncode == 0
    record = root / "results/tiny/baseline/seed0/cell.json"
    record.write_bytes(record.read_bytes() + b"x")
    assert "tiny/baseline/seed0 is damaged (`hal --overlay configs/tiny.yaml verify` says how)" in refused()
    assert record.read_bytes() == records[record] + b"x"
    record.write_bytes(records[record])
    weights = root / "checkpoints/tiny/baseline/seed0/weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:500])
    assert "tiny/baseline/seed0 is damaged" in refused("runs/tiny/results/tiny/baseline/seed0")
    weights.write_bytes(content)
    assert_begins_and_trains_nothing(project, *tiny)


def test_a_killed_snakemake_goes_on_and_ends_with_the_same_bytes(project):
    save_often(project)
    edit(project, "epochs: 2", "epochs: 150")
    tiny = ("runs/tiny/results/tiny/pairs/seed0", "--configfile", "configs/tiny.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *tiny],
        cwd=project,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((project / "runs/tiny/.resume").glob("*/state.safetensors")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    record = project / "runs/tiny/results/tiny/pairs/seed0/cell.json"
    assert not record.exists()
    done = snakemake(project, *tiny)  # nothing to unlock by hand
    assert done.returncode == 0, done.stdout
    assert json.loads(record.read_text())["time"]["resumed"] == 1

    params = below(project)
    cell = params.cell("tiny", "pairs", 0)
    killed = files_of(params, cell)
    assert snakemake(project, *tiny, "--force").returncode == 0
    assert json.loads(record.read_text())["time"]["resumed"] == 0
    assert files_of(params, cell) == killed


def test_a_cell_that_finishes_while_snakemake_is_stopped_is_not_trained_again(project):
    """SIGINT to snakemake alone, as a scheduler sends it: it waits for its jobs, and forgets that they ended well."""
    edit(project, "epochs: 2", "epochs: 60")
    edit(project, "seeds: [0, 1]", "seeds: [0]")
    tiny = ("--configfile", "configs/tiny.yaml")
    process = training(project)
    process.send_signal(signal.SIGINT)
    process.communicate()
    finished = {path: path.read_bytes() for path in project.glob("runs/tiny/results/tiny/*/*/cell.json")}
    assert finished
    unrelated = snakemake(project, "runs/tiny/data/tiny.npz", *tiny)
    assert unrelated.returncode == 0, unrelated.stdout
    done = snakemake(project, "train_tiny", *tiny)
    assert done.returncode == 0, done.stdout
    for path, record in finished.items():
        before, after = json.loads(record), json.loads(path.read_text())
        assert after["time"]["started"] == before["time"]["started"]
        assert after["files"] == before["files"]


def test_after_ctrl_c_the_last_line_says_what_is_kept_and_nothing_drowns_it(project):
    edit(project, "epochs: 2", "epochs: 5000")
    process = training(project)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said, _ = process.communicate(timeout=240)
    assert process.returncode != 0
    last = said.rstrip().splitlines()[-1]
    assert last.startswith("Interrupted. Finished networks are kept")
    assert "with: snakemake --configfile configs/tiny.yaml" in last
    for noise in ("Error in rule", "Traceback", "make draw"):
        assert noise not in said


def test_a_cell_that_fails_does_not_hold_up_the_others(project):
    edit(project, "batch_size: 16", "batch_size: 71")  # more than there are images
    edit(project, "seeds: [0, 1]", "seeds: [0]")
    done = snakemake(project, "--configfile", "configs/tiny.yaml")
    assert done.returncode == 1
    said = done.stdout
    assert said.count("train.batch_size = 71: tiny has only 70 training images") == 2  # both cells were tried
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_data_set_dated_a_day_ahead_costs_nothing(project):
    """A clock that went wrong, or another machine's: times do not matter where sums are known."""
    edit(project, "seeds: [0, 1]", "seeds: [0]")
    tiny = ("--configfile", "configs/tiny.yaml")
    assert snakemake(project, "runs/tiny/data/tiny.npz", *tiny).returncode == 0
    tomorrow = time.time() + 86_400
    for suffix in (".npz", ".json"):
        os.utime(project / f"runs/tiny/data/tiny{suffix}", (tomorrow, tomorrow))
    done = snakemake(project, "train_tiny", *tiny)
    assert done.returncode == 0, done.stdout
    assert len(list(project.glob("runs/tiny/results/tiny/*/*/cell.json"))) == 2
    jobs = planned(project, *tiny)
    assert "data" not in jobs
    assert cells_trained(jobs) == 0


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_without_a_traceback(project):
    edit(project, "epochs: 2", "epochs: 5000")
    process = training(project)
    process.send_signal(signal.SIGINT)  # to snakemake alone: it waits for its jobs
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130
    os.killpg(process.pid, signal.SIGKILL)  # the jobs, which nobody told
    said = process.stdout.read()
    assert "Traceback" not in said
    assert said.rstrip().endswith("stopped; what was finished is kept")


def test_a_second_configfile_flag_is_not_a_second_overlay(project):
    done = snakemake(project, "-n", "--configfile", "configs/demo.yaml", "--configfile", "configs/tiny.yaml")
    assert done.returncode == 1
    assert "hal: --configfile is given more than once" in done.stdout


def test_an_overlay_that_forgot_its_root_replaces_no_finished_network_of_another(finished):
    project, root = finished, finished / "runs/tiny"
    text = (project / "configs/tiny.yaml").read_text().replace("epochs: 2", "epochs: 3")
    (project / "configs/mine.yaml").write_text(text)
    records = {path: path.read_bytes() for path in root.rglob("cell.json")}
    refused = snakemake(project, "--configfile", "configs/mine.yaml")
    assert refused.returncode == 1
    assert (
        "hal: 4 finished networks of other settings, such as tiny/baseline/seed0 (train.epochs is 2, not 3), would"
        in refused.stdout
    )
    assert "runs/tiny is the run of tiny.yaml" in refused.stdout
    dry = snakemake(project, "-n", "--configfile", "configs/mine.yaml")
    assert dry.returncode == 0
    assert "hal: without -n this is refused: 4 finished networks of other settings" in dry.stdout
    counted = {
        path: path.read_bytes() for path in (root / "results").glob("c*/tiny.csv")
    }  # controls, crossed
    for command in ("draw", "controls"):
        drawn = hal(project, "--overlay", "configs/mine.yaml", command)
        assert drawn.returncode == 1
        assert "runs/tiny is the run of tiny.yaml" in drawn.stdout
    assert {path: path.read_bytes() for path in counted} == counted
    assert len(counted) == 2
    assert {path: path.read_bytes() for path in root.rglob("cell.json")} == records
    grid = "grid: {datasets: [digits], seeds: [0]}"
    (project / "configs/mine.yaml").write_text(f"root: runs/tiny\n{grid}\n")
    for command in (["--configfile", "configs/mine.yaml"], ["--configfile", "configs/mine.yaml", "-n"]):
        refused = snakemake(project, *command)
        assert (
            "runs/tiny is the run of tiny.yaml, of whose networks (tiny/baseline/seed0 and 3 more) this experiment has none"
            in refused.stdout
        )
    drawn = hal(project, "--overlay", "configs/mine.yaml", "draw")
    assert "this experiment has none: its tables, figures and report would be replaced" in drawn.stdout
    assert {path: path.read_bytes() for path in root.rglob("cell.json")} == records
    edit(project, "epochs: 2", "epochs: 3")  # the experiment itself may change
    done = snakemake(project, "runs/tiny/results/tiny/pairs/seed0", *TINY)
    assert done.returncode == 0, done.stdout
    assert (
        "a finished network of other settings, such as tiny/pairs/seed0 (train.epochs is 2, not 3), trained again"
        in done.stdout
    )


@pytest.mark.parametrize("first", [False, True], ids=["by Snakemake", "by hal data"])
def test_data_of_ones_own_that_changed_are_prepared_anew_before_anything_is_trained_on_them(finished, first):
    project, source = finished, finished / "tiny-source.npz"
    with np.load(source) as arrays:
        other = {name: array[:-1] for name, array in arrays.items()}
    before = sha256_of(source)
    np.savez(source, **other)
    edit(project, before, sha256_of(source))
    if first:
        assert hal(project, "--overlay", "configs/tiny.yaml", "data", "tiny").returncode == 0
    jobs = planned(project, *TINY)
    assert (jobs.get("data", 0), cells_trained(jobs)) == (0 if first else 1, 4)
    done = snakemake(project, "train_tiny", *TINY)
    assert done.returncode == 0, done.stdout
    described = json.loads((project / "runs/tiny/data/tiny.json").read_text())
    assert described["train"]["images"] == len(other["train_labels"])
    records = [json.loads(path.read_text()) for path in (project / "runs/tiny").rglob("cell.json")]
    assert {record["provenance"]["data_sha256"] for record in records} == {described["arrays_sha256"]}


def test_a_committed_description_of_the_data_stays_as_it_is(finished):
    """A clone has it, without the arrays; only the mirror may be another one than its author's."""
    project, described = finished, finished / "runs/tiny/data/tiny.json"
    text = described.read_text().replace('"from": "tiny-source.npz"', '"from": "elsewhere/tiny-source.npz"')
    described.write_text(text)
    described.with_suffix(".npz").unlink()
    done = snakemake(project, "runs/tiny/data/tiny.npz", *TINY)
    assert done.returncode == 0, done.stdout
    assert described.read_text() == text
