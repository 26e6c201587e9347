"""One cell from settings to files: contracts, determinism, resuming, divergence, faults."""

import contextlib
import csv
import dataclasses
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import hal.cli
import hal.train.cell
from hal import locks
from hal.cell_files import read_record, record_bytes
from hal.data import store
from hal.errors import UserError
from hal.files import write_text
from hal.params import load
from hal.study.check_sums import verify
from hal.study.grid import load_grid
from hal.train import provenance, state
from hal.train.cell import build_network, run
from hal.train.evaluate import round_mantissa
from hal.train.loop import Trainer, first_not_finite, train
from hal.train.memory import forget_peak_memory, keep_freed_memory, peak_memory
from hal.train.provenance import code_version
from tests.tiny import ROOT, tiny_params


def files_of(params, cell) -> dict[str, bytes]:
    """Every file of a cell but cell.json, which holds times."""
    paths = params.cell_paths(cell)
    return {
        file.name: file.read_bytes()
        for folder in (paths.results, paths.checkpoints)
        for file in sorted(folder.iterdir())
        if file.name != "cell.json"
    }


def test_a_case_writes_the_files_of_the_contract(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "threes", 0)
    record = run(params, cell)
    paths = params.cell_paths(cell)

    stored = read_record(paths.results / "cell.json")
    assert stored.pop("sha256")
    assert stored == record
    assert (record["status"], record["hash"], record["epochs"], record["steps"]) == ("ok", cell.hash, 3, 12)
    assert record["provenance"]["data_sha256"] == store.load(tmp_path / "data/tiny.npz")[1]["arrays_sha256"]

    rows = list(csv.DictReader((paths.results / "curves.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["test_error"]) == record["test_error"]
    assert float(rows[-1]["train_loss"]) == record["train_loss"]

    images, description = store.load(tmp_path / "data/tiny.npz")
    with np.load(paths.checkpoints / "predictions.npz") as stored:
        logits, label = stored["logits"], stored["label"]
    assert logits.shape == (33, 3, 4)
    superclass = np.array([0, 1, 1, 2])
    told = logits[np.arange(33), superclass[label]]
    assert 100 * (told.argmax(axis=1) != images.test_labels).mean() == pytest.approx(record["test_error"])

    net = build_network(cell, channels=1).eval()
    net.load_state_dict(load_file(paths.checkpoints / "weights.safetensors"))
    x = (
        torch.tensor((images.train_images / 255 - description["mean"]) / description["std"])
        .permute(0, 3, 1, 2)
        .float()
    )
    x_star = torch.eye(3)[superclass[images.train_labels]]
    with torch.no_grad():
        y = net.features(x)
        score = ((y @ net.auxiliary.linear.weight.T) - x_star).abs().sum(dim=1).numpy()
    with np.load(paths.results / "scores.npz") as stored:
        assert np.allclose(stored["score"], score, rtol=2**-10)
        assert np.array_equal(stored["label"], images.train_labels)
        assert np.array_equal(stored["superclass"], superclass[images.train_labels])
    assert not paths.resume.exists()


def test_the_baseline_takes_no_superclass_and_has_no_scores(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "baseline", 0)
    record = run(params, cell)
    paths = params.cell_paths(cell)
    assert not (paths.results / "scores.npz").exists()
    with np.load(paths.checkpoints / "predictions.npz") as stored:
        assert stored["logits"].shape == (33, 1, 4)
        wrong = stored["logits"][:, 0].argmax(axis=1) != stored["label"]
    assert 100 * wrong.mean() == pytest.approx(record["test_error"])


def test_training_learns(tmp_path):
    params = tiny_params(tmp_path, epochs=12)
    record = run(params, params.cell("tiny", "baseline", 0))
    assert record["test_error"] < 25  # chance is 75


def test_the_same_cell_gives_the_same_bytes_and_another_seed_others(tmp_path):
    first, again = tiny_params(tmp_path / "a"), tiny_params(tmp_path / "b")
    cell = first.cell("tiny", "pairs", 0)
    run(first, cell)
    run(again, cell)
    assert files_of(first, cell) == files_of(again, cell)
    other = first.cell("tiny", "pairs", 1)
    run(first, other)
    assert all(files_of(first, cell)[name] != content for name, content in files_of(first, other).items())


@pytest.mark.parametrize("train", [{}, {"momentum": 0.9, "weight_decay": 0.001}], ids=["plain", "momentum"])
def test_a_run_killed_in_any_epoch_ends_with_the_bytes_of_an_undisturbed_one(tmp_path, monkeypatch, train):
    undisturbed, killed = tiny_params(tmp_path / "a", **train), tiny_params(tmp_path / "b", **train)
    cell = killed.cell("tiny", "pairs", 0)
    run(undisturbed, cell)

    monkeypatch.setattr(hal.train.loop, "SAVE_EVERY_S", 0)
    epoch = Trainer.epoch
    for fatal in (1, 2, 3):  # die after one, two, three epochs more than last time allowed
        calls = []

        def dying(*arguments, calls=calls):
            calls.append(1)
            epoch(*arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(Trainer, "epoch", dying)
        if fatal < 3:
            with pytest.raises(KeyboardInterrupt):
                run(killed, cell)
            assert (
                json.loads((killed.cell_paths(cell).resume / "progress.json").read_text())["epoch"] == fatal
            )
    elsewhere = dataclasses.replace(
        killed, runtime=dataclasses.replace(killed.runtime, cells_per_gpu=9, deterministic=False)
    )
    record = run(elsewhere, cell)
    assert record["time"]["resumed"] == 2
    (before,) = record["provenance"]["before"]  # of two processes alike
    assert (before["deterministic"], record["provenance"]["deterministic"]) == (True, False)
    assert files_of(killed, cell) == files_of(undisturbed, cell)
    assert "before" not in run(undisturbed, cell)["provenance"]


@pytest.mark.slow
def test_a_process_killed_with_sigkill_goes_on_bit_for_bit(tmp_path):
    undisturbed, killed = tiny_params(tmp_path / "a", epochs=150), tiny_params(tmp_path / "b", epochs=150)
    cell = killed.cell("tiny", "threes", 1)
    run(undisturbed, cell)
    code = "import hal.train.loop, hal.cli, sys; hal.train.loop.SAVE_EVERY_S = 0; sys.exit(hal.cli.main(sys.argv[1:]))"
    options = ["--params", str(ROOT / "params.yaml"), "--overlay", str(tmp_path / "b/overlay.yaml")]
    command = [sys.executable, "-c", code, *options, "train", "tiny", "threes", "1"]
    progress = killed.cell_paths(cell).resume / "progress.json"
    kills, reached = 0, 0
    while kills < 3:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not progress.exists() or json.loads(progress.read_text())["epoch"] <= reached + 20:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills, reached = kills + 1, json.loads(progress.read_text())["epoch"]
    assert subprocess.run(command, check=False).returncode == 0
    record = json.loads((killed.cell_paths(cell).results / "cell.json").read_text())
    assert record["time"]["resumed"] == 3
    assert files_of(killed, cell) == files_of(undisturbed, cell)


def test_a_loss_that_is_not_finite_stops_the_cell_and_is_a_result(tmp_path, capsys):
    params = tiny_params(tmp_path, max_lr="1.0e+30", warmup_epochs=0)
    cell = params.cell("tiny", "pairs", 0)
    record = run(params, cell)
    assert record["status"] == "diverged"
    assert record["test_error"] is None
    assert record["epochs"] == 1
    assert 2 <= record["diverged_at_step"] <= 4  # the first step's loss is that of the initial weights
    assert f"not finite at step {record['diverged_at_step']}" in capsys.readouterr().out
    assert set(files_of(params, cell)) == {
        "curves.csv",
        "scores.npz",
        "weights.safetensors",
        "predictions.npz",
        "auxiliary.npz",
    }


def test_a_loss_that_is_nan_in_epoch_3_keeps_the_first_two_and_enters_no_mean(tmp_path, monkeypatch):
    undisturbed, params = tiny_params(tmp_path / "a", epochs=5), tiny_params(tmp_path / "b", epochs=5)
    cell = params.cell("tiny", "pairs", 0)
    run(undisturbed, cell)
    in_epoch(3, lambda trainer: trainer.parameters[0].data.fill_(float("nan")), monkeypatch)
    record = run(params, cell)
    assert (record["status"], record["epochs"], record["diverged_at_step"]) == ("diverged", 3, 9)
    assert record["test_error"] is None
    lines, whole = (
        p.cell_paths(cell).results.joinpath("curves.csv").read_text().splitlines()
        for p in (params, undisturbed)
    )
    assert lines[:3] == whole[:3]
    assert len(lines) == 4
    (result,) = (r for r in load_grid(params) if r.cell == cell)
    assert (result.state, result.ok) == ("diverged", False)


def in_epoch(number: int, happens, monkeypatch) -> None:
    """Let something happen to the trainer at the beginning of that epoch."""
    epoch, begun = Trainer.epoch, []

    def disturbed(trainer, *arguments):
        begun.append(1)
        if len(begun) == number:
            happens(trainer)
        epoch(trainer, *arguments)

    monkeypatch.setattr(Trainer, "epoch", disturbed)


@pytest.mark.parametrize("change", ["seed", "case", "grouping", "setting"])
def test_what_is_changed_half_way_starts_anew_and_changed_back_goes_on(tmp_path, monkeypatch, change):
    root = tmp_path / "changed"
    params = tiny_params(root)
    cell = params.cell("tiny", "pairs", 0)
    monkeypatch.setattr(hal.train.loop, "SAVE_EVERY_S", 0)

    def dying(trainer):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        in_epoch(3, dying, context)
        with pytest.raises(KeyboardInterrupt):
            run(params, cell)

    overlay = root / "overlay.yaml"
    before = overlay.read_text()
    overlay.write_text(
        {
            "grouping": before.replace("[[0, 1], [2, 3]]", "[[0, 2], [1, 3]]"),
            "setting": before.replace("0.1", "0.2"),
        }.get(change, before)
    )
    changed = load(ROOT / "params.yaml", [overlay])
    case, seed = {"case": ("threes", 0), "seed": ("pairs", 1)}.get(change, ("pairs", 0))
    other = changed.cell("tiny", case, seed)
    assert other != cell
    assert run(changed, other)["time"]["resumed"] == 0
    undisturbed = dataclasses.replace(changed, root=str(tmp_path / "undisturbed"))
    shutil.copytree(root / "data", tmp_path / "undisturbed/data")
    run(undisturbed, other)
    assert files_of(changed, other) == files_of(undisturbed, other)

    assert run(params, cell)["time"]["resumed"] == 1
    run(undisturbed, cell)
    assert files_of(params, cell) == files_of(undisturbed, cell)


def test_the_first_loss_that_is_not_finite_is_counted_from_one():
    assert first_not_finite(torch.tensor([1.0, 2.0, float("inf"), float("nan")])) == 3
    assert first_not_finite(torch.tensor([float("nan"), 1.0])) == 1
    assert first_not_finite(torch.tensor([1.0, 2.0])) == 2  # only the test loss was not: the last step


def test_a_finished_cell_is_left_alone_unless_forced(tmp_path, capsys):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    stamp = (params.cell_paths(cell).results / "cell.json").stat().st_mtime_ns
    run(params, cell)
    assert "already finished" in capsys.readouterr().out
    assert (params.cell_paths(cell).results / "cell.json").stat().st_mtime_ns == stamp
    run(params, cell, force=True)
    assert (params.cell_paths(cell).results / "cell.json").stat().st_mtime_ns > stamp


@pytest.mark.parametrize("lost", ["weights.safetensors", "scores.npz"])
def test_a_finished_cell_that_lacks_a_file_is_trained_again_only_if_asked(tmp_path, lost):
    """As in a clone without checkpoints: another machine's bytes shall not take the place of its results unasked."""
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before = files_of(params, cell)
    (path,) = (path for path in params.cell_paths(cell).files if path.name == lost)
    path.unlink()
    with pytest.raises(UserError, match=rf"{lost}: no such file; `dvc pull` .*--force trains the cell again"):
        run(params, cell)
    run(params, cell, force=True)
    assert files_of(params, cell) == before


def test_a_damaged_record_is_trained_again_only_if_asked_and_a_lost_one_at_once(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before, path = files_of(params, cell), params.cell_paths(cell).record
    path.write_text(path.read_text().replace('"test_error": ', '"test_error": 1'))
    with pytest.raises(UserError, match=r"cell.json cannot be read: .*--force trains the cell again"):
        run(params, cell)
    run(params, cell, force=True)
    assert files_of(params, cell) == before
    path.unlink()
    run(params, cell)
    assert files_of(params, cell) == before


def test_a_diverged_cell_whose_state_was_kept_is_trained_again_when_asked(tmp_path, capsys):
    params = tiny_params(tmp_path, max_lr="1.0e+30", warmup_epochs=0)
    cell = params.cell("tiny", "pairs", 0)
    assert run(params, cell, keep_state=True)["status"] == "diverged"
    again = run(params, cell, force=True)
    assert (again["status"], again["time"]["resumed"]) == ("diverged", 0)
    assert capsys.readouterr().out.count("not finite at step") == 2


def test_a_state_of_another_shape_is_set_aside_before_anything_is_taken_from_it(tmp_path, capsys):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before, folder = files_of(params, cell), params.cell_paths(cell).resume
    net = build_network(dataclasses.replace(cell, model=dataclasses.replace(cell.model, widths=(5, 6, 7))), 1)
    state.save_state(
        folder, cell.hash, net, [torch.zeros_like(p) for p in net.parameters()], state.Progress(), 3
    )
    params.cell_paths(cell).record.unlink()
    run(params, cell)
    assert "it holds other tensors" in capsys.readouterr().out
    assert files_of(params, cell) == before


def test_cells_of_one_name_are_trained_one_after_the_other_whatever_their_settings(tmp_path, monkeypatch):
    """They would write the same results: the one that ended last would replace the other's unseen."""
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    other = dataclasses.replace(cell, train=dataclasses.replace(cell.train, epochs=2))
    waited = []

    @contextlib.contextmanager
    def held(path, say):
        waited.append((path, locks.is_held(path)))
        yield False

    lock = locks.acquire(params.cell_paths(cell).lock)
    monkeypatch.setattr("hal.train.state.locks.held", held)
    run(params, other)
    lock.release()
    assert waited == [(params.cell_paths(cell).lock, True)]


def test_a_process_that_waited_trains_a_cell_that_lacks_a_file_if_asked(tmp_path, monkeypatch):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before, path = files_of(params, cell), params.cell_paths(cell).predictions
    path.unlink()
    monkeypatch.setattr("hal.train.cell.locked", lambda paths: contextlib.nullcontext(True))
    with pytest.raises(UserError, match=r"predictions.npz: no such file; .*--force trains the cell again"):
        run(params, cell)
    run(params, cell, force=True)
    assert files_of(params, cell) == before


def test_of_several_seeds_one_that_cannot_be_trained_does_not_keep_the_others(tmp_path, capsys):
    params = tiny_params(tmp_path)
    run(params, params.cell("tiny", "pairs", 0))
    params.cell_paths(params.cell("tiny", "pairs", 0)).predictions.unlink()
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    assert (
        hal.cli.main(["--params", str(ROOT / "params.yaml"), *overlay, "train", "tiny", "pairs", "0", "1"])
        == 1
    )
    said = capsys.readouterr()
    assert "tiny/pairs/seed1: test error" in said.out
    assert "predictions.npz: no such file" in said.err


@pytest.mark.parametrize("file", ["weights.safetensors", "curves.csv", "auxiliary.npz"])
def test_a_damaged_cell_is_not_called_finished(tmp_path, file):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before, paths = files_of(params, cell), params.cell_paths(cell)
    (path,) = (path for path in paths.files if path.name == file)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{file}: not the file .*; --force trains the cell again"):
        run(params, cell)
    run(params, cell, force=True)
    assert files_of(params, cell) == before


def test_a_warm_up_that_is_longer_than_the_training_is_said(tmp_path, capsys):
    params = tiny_params(tmp_path)
    as_long = dataclasses.replace(params.train, epochs=43, warmup_epochs=1.0, max_lr=0.1)
    assert as_long.highest_lr == 0.1  # 0.1 × 43 / 43 is less
    run(params, dataclasses.replace(params.cell("tiny", "baseline", 0), train=as_long))
    assert "longer" not in capsys.readouterr().out
    settings = dataclasses.replace(params.train, epochs=3, warmup_epochs=5.0, max_lr=0.5)
    cell = dataclasses.replace(params.cell("tiny", "baseline", 0), train=settings)
    run(params, cell, force=True)
    said = "the warm-up of 5 epochs is longer than the training of 3, so the learning rate gets no higher than 0.3 of 0.5"
    assert said in capsys.readouterr().out


def test_a_full_disk_leaves_the_finished_cell_as_it_was(tmp_path, monkeypatch):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    path = params.cell_paths(cell).results / "cell.json"
    before, record = files_of(params, cell), path.read_bytes()
    written = []

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hal.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(params, cell, force=True)
    assert files_of(params, cell) == before  # and no temporary file beside them
    assert path.read_bytes() == record


def test_cell_json_has_the_sums_of_the_other_files(tmp_path):
    from hal.study.grid import curves, load_grid, scores  # pandas: a machine with a card may lack it

    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    record = run(params, cell)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files_of(params, cell).items()}
    assert record["files"] == sums
    (result,) = [r for r in load_grid(params) if r.cell == cell]
    assert len(scores(result)) == 70
    for path, read in ((result.paths.scores, scores), (result.paths.curves, curves)):
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(UserError, match="not the file that"):
            read(result)


def test_verify_names_the_files_that_are_not_what_was_written(tmp_path):
    params = tiny_params(tmp_path)
    run(params, params.cell("tiny", "pairs", 0))
    run(params, params.cell("tiny", "baseline", 1))
    assert verify(params) == (6 + 4, 0)
    paths = params.cell_paths(params.cell("tiny", "pairs", 0))
    (paths.checkpoints / "predictions.npz").unlink()
    assert verify(params) == (9, 0)
    weights = paths.checkpoints / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"pairs/seed0/weights\.safetensors: not what was written"):
        verify(params)
    run(params, params.cell("tiny", "pairs", 0), force=True)
    record = paths.results / "cell.json"
    record.write_text(record.read_text().replace('"test_error": ', '"test_error": 1'))
    with pytest.raises(UserError, match=r"pairs/seed0/cell\.json: not what was written"):
        verify(params)
    whole = run(params, params.cell("tiny", "pairs", 0), force=True)
    record.write_bytes(
        record_bytes({key: value for key, value in whole.items() if key not in ("files", "sha256")})
    )
    with pytest.raises(UserError, match=r"pairs/seed0/cell\.json: not what was written"):
        verify(params)


def test_replacing_a_cell_of_other_settings_is_said(tmp_path, capsys):
    params = tiny_params(tmp_path)
    first = params.cell("tiny", "pairs", 0)
    run(params, first)
    longer = tiny_params(tmp_path, epochs=4)
    record = run(longer, longer.cell("tiny", "pairs", 0))
    assert record["epochs"] == 4
    assert f"will replace the cell with the hash {first.hash}" in capsys.readouterr().out


def test_a_run_killed_before_any_rename_or_delete_leaves_no_cell_of_two_runs(tmp_path, monkeypatch):
    """Whether it dies while it trains again or for the first time: cell.json vouches for files of its own run, or is not there."""
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before = files_of(params, cell)
    paths = params.cell_paths(cell)
    left = 0  # of renames and deletes until it dies

    def whole_files():
        return {name: content for name, content in files_of(params, cell).items() if not name.startswith(".")}

    def dying(call):
        def called(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return call(*arguments, **options)

        return called

    survived, deaths = False, 0
    while not survived:
        left = deaths
        with monkeypatch.context() as context:
            context.setattr(os, "replace", dying(os.replace))
            context.setattr(os, "unlink", dying(os.unlink))
            context.setattr(os, "rmdir", dying(os.rmdir))
            try:
                run(params, cell, force=True)
                survived = True
            except KeyboardInterrupt:
                deaths += 1
        if (paths.results / "cell.json").exists():
            assert verify(params).compared == 6
            assert whole_files() == before
    assert deaths > 10
    run(params, cell)
    assert whole_files() == before


@pytest.mark.slow
def test_a_second_process_waits_for_the_first_and_takes_what_it_made(tmp_path):
    """A killed workflow manager leaves its job running; the same job, started again, must not lose or repeat it."""
    params = tiny_params(tmp_path, epochs=30)
    cell = params.cell("tiny", "pairs", 0)
    command = [sys.executable, "-m", "hal", "--params", str(ROOT / "params.yaml")]
    command += ["--overlay", str(tmp_path / "overlay.yaml"), "train", "tiny", "pairs", "0", "--force"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while "epoch 1/" not in first.stdout.readline():
        assert first.poll() is None
    first.send_signal(signal.SIGSTOP)  # however slow the machine is, it still trains when the second begins
    try:
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        waits = "another process is training this cell; waiting for it"
        assert any(waits in line for line in second.stdout)
    finally:
        first.send_signal(signal.SIGCONT)
    first.communicate()
    said = second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "already finished" in said
    assert "epoch 1/" not in said
    assert not params.cell_paths(cell).resume.exists()


def test_a_kept_state_saves_a_finished_cell_from_being_trained_again(tmp_path, capsys):
    """Snakemake, killed before it saw a job end, deletes the job's files and starts it again."""
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell, keep_state=True)
    before = files_of(params, cell)
    paths = params.cell_paths(cell)
    shutil.rmtree(paths.results)
    shutil.rmtree(paths.checkpoints)
    capsys.readouterr()
    run(params, cell, keep_state=True)
    assert "epoch" not in capsys.readouterr().out.replace("going on after epoch 3 of 3", "")
    assert files_of(params, cell) == before
    run(params, cell, force=True)  # somebody wants it trained again
    assert "epoch 3/3" in capsys.readouterr().out
    assert not paths.resume.exists()


def test_a_cell_of_other_data_is_not_finished(tmp_path, capsys):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    record = run(params, cell)
    path = params.cell_paths(cell).results / "cell.json"
    record["provenance"]["data_sha256"] = "0" * 64
    path.write_bytes(record_bytes(record))
    run(params, cell)
    assert "epoch 3/3" in capsys.readouterr().out


def test_a_data_set_that_was_made_from_other_files_is_not_trained_on(tmp_path):
    """Somebody changed the file, and its sum in the overlay, and has not prepared it anew: the cell would carry the new sum."""
    params = tiny_params(tmp_path)
    entry = dataclasses.replace(params.datasets["tiny"], sha256="beef" * 16)
    params = dataclasses.replace(params, datasets=params.datasets | {"tiny": entry})
    cell = params.cell("tiny", "pairs", 0)
    with pytest.raises(
        UserError, match=r"tiny\.npz: was made from other files than .*; `hal data tiny` makes it anew"
    ):
        run(params, cell)
    assert not params.cell_paths(cell).results.exists()


def test_a_finished_cell_of_another_experiment_is_replaced_only_if_asked(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell)
    before = files_of(params, cell)
    longer = tiny_params(tmp_path, epochs=4)
    again = longer.cell("tiny", "pairs", 0)
    with pytest.raises(UserError, match=r"is the run of full\.yaml; give this experiment a root of its own"):
        run(longer, again, others="full.yaml")
    assert files_of(params, cell) == before
    run(params, cell, others="full.yaml")  # under the same settings it is the same experiment
    assert run(longer, again, force=True)["epochs"] == 4


def test_the_state_of_another_cell_is_not_taken(tmp_path, capsys):
    params = tiny_params(tmp_path)
    cell, other = params.cell("tiny", "pairs", 0), params.cell("tiny", "pairs", 1)
    run(params, cell)
    before = files_of(params, cell)
    run(params, other, keep_state=True)
    shutil.copytree(params.cell_paths(other).resume, params.cell_paths(cell).resume)
    (params.cell_paths(cell).resume / "progress.json").unlink()
    run(params, cell, force=True)
    assert "it is another cell's" in capsys.readouterr().out
    assert files_of(params, cell) == before


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "one bit", "a login page", "a folder"])
def test_a_broken_state_is_set_aside_and_the_cell_starts_again(tmp_path, capsys, damage):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    run(params, cell, keep_state=True)
    before = files_of(params, cell)
    state = params.cell_paths(cell).resume / "state.safetensors"
    content = state.read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    damaged = {"truncated": content[:-100], "garbage": b"\xff" * 500, "empty": b"", "one bit": flipped}
    damaged["a login page"] = b"<!DOCTYPE html><html><body>Please log in</body></html>"
    state.unlink()
    if damage == "a folder":
        state.mkdir()
    else:
        state.write_bytes(damaged[damage])
    (state.parent / "progress.json").unlink()
    run(params, cell, force=True)
    assert "set aside as state.broken" in capsys.readouterr().out
    assert files_of(params, cell) == before


def test_bfloat16_trains_on_the_cpu(tmp_path):
    params = tiny_params(tmp_path, precision="bfloat16")
    record = run(params, params.cell("tiny", "pairs", 0))
    assert record["status"] == "ok"
    assert (
        load_file(params.cell_paths(params.cell("tiny", "pairs", 0)).checkpoints / "weights.safetensors")[
            "output.weight"
        ].dtype
        == torch.float32
    )


def test_too_few_images_for_a_batch_are_refused(tmp_path):
    params = tiny_params(tmp_path, batch_size=71)
    with pytest.raises(UserError, match=r"train\.batch_size = 71: tiny has only 70 training images"):
        run(params, params.cell("tiny", "pairs", 0))


def test_a_missing_and_a_damaged_data_set_are_said(tmp_path):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    path = tmp_path / "data/tiny.npz"
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"tiny\.npz: "):
        run(params, cell)
    path.write_bytes(content[:-500])
    with pytest.raises(UserError, match=r"tiny\.npz: broken"):
        run(params, cell)
    path.unlink()
    with pytest.raises(UserError, match=r"`hal data tiny` makes it"):
        run(params, cell)
    assert not params.cell_paths(cell).resume.exists()  # nothing was begun


def test_rounding_keeps_eleven_significant_bits():
    values = np.array([0.0, 1.0, np.pi, 1e-20, 3e30, np.inf, np.nan], np.float32)
    rounded = round_mantissa(values)
    assert rounded[2] == 3.140625  # pi in steps of 2**-9
    assert np.allclose(rounded[:5], values[:5], rtol=2**-11)
    assert np.isinf(rounded[5])
    assert np.isnan(rounded[6])


@pytest.mark.slow
def test_training_needs_little_more_than_torch_numpy_yaml_and_safetensors(tmp_path):
    """A GPU machine often has no more."""
    tiny_params(tmp_path)
    blocked = [
        "tqdm",
        "pandas",
        "scipy",
        "sklearn",
        "matplotlib",
        "seaborn",
        "requests",
        "torchvision",
        "snakemake",
    ]
    blocked += ["dvc", "jinja2", "pydantic", "ruamel"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked})); import hal.cli; sys.exit(hal.cli.main(sys.argv[1:]))"
    options = ["--params", str(ROOT / "params.yaml"), "--overlay", str(tmp_path / "overlay.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", code, *options, "train", "tiny", "pairs", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "test error" in done.stdout


def test_a_users_mistake_ends_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "hal", "--params", str(ROOT / "params.yaml"), "train", "svhn", "case7", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "hal: case 'case7': svhn has baseline, case1, case2, case3, case4\n"


def test_seeds_trained_by_one_process_are_those_of_a_process_each(tmp_path):
    together, alone = tiny_params(tmp_path / "together"), tiny_params(tmp_path / "alone")
    overlay = str(tmp_path / "together" / "overlay.yaml")
    arguments = ["--params", str(ROOT / "params.yaml"), "--overlay", overlay]
    assert hal.cli.main([*arguments, "train", "tiny", "threes", "0", "1"]) == 0
    for seed in (0, 1):
        run(alone, alone.cell("tiny", "threes", seed))
        cells = [params.cell("tiny", "threes", seed) for params in (together, alone)]
        assert files_of(together, cells[0]) == files_of(alone, cells[1])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux forgets a peak")
def test_the_peak_memory_of_a_cell_is_its_own():
    cpu = torch.device("cpu")
    keep_freed_memory()
    held = np.ones(2**27, np.uint8)
    before = peak_memory(cpu)
    del held
    forget_peak_memory(cpu)
    assert peak_memory(cpu) < before - 2**26


def test_macos_counts_a_processs_memory_in_bytes(monkeypatch):
    monkeypatch.setattr("hal.train.memory.resource.getrusage", lambda of: SimpleNamespace(ru_maxrss=3_000))
    for system, expected in (("linux", 3_072_000), ("darwin", 3_000)):
        monkeypatch.setattr("sys.platform", system)
        assert peak_memory(torch.device("cpu")) == expected


@pytest.mark.cuda
class TestCuda:
    def params_on(self, root, device: str, precision: str = "float32"):
        tiny_params(root, precision=precision)
        overlay = root / "overlay.yaml"
        runtime = f"device: {device}, cells_per_gpu: 3"
        overlay.write_text(overlay.read_text().replace("device: cpu", runtime))
        return load(ROOT / "params.yaml", [overlay])

    def run_on(self, root, device: str, precision: str = "float32"):
        params = self.params_on(root, device, precision)
        cell = params.cell("tiny", "threes", 0)
        return run(params, cell), files_of(params, cell)

    def test_the_gpu_gives_the_same_bytes_twice(self, tmp_path):
        assert self.run_on(tmp_path / "a", "cuda")[1] == self.run_on(tmp_path / "b", "cuda")[1]

    def test_the_gpu_follows_the_cpu_in_float32(self, tmp_path):
        gpu, cpu = self.run_on(tmp_path / "a", "cuda")[0], self.run_on(tmp_path / "b", "cpu")[0]
        assert gpu["train_loss"] == pytest.approx(cpu["train_loss"], rel=0.02)

    @pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
    def test_lower_precision_stays_near_float32(self, tmp_path, precision):
        low, full = self.run_on(tmp_path / "a", "cuda", precision)[0], self.run_on(tmp_path / "b", "cuda")[0]
        assert low["train_loss"] == pytest.approx(full["train_loss"], rel=0.1)

    def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(self, tmp_path, monkeypatch):
        undisturbed = self.run_on(tmp_path / "a", "cuda")[1]
        params = self.params_on(tmp_path / "b", "cuda")
        cell = params.cell("tiny", "threes", 0)
        monkeypatch.setattr(hal.train.loop, "SAVE_EVERY_S", 0)
        epoch, calls = Trainer.epoch, []

        def dying(*arguments):
            calls.append(1)
            epoch(*arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(Trainer, "epoch", dying)
        with pytest.raises(KeyboardInterrupt):
            run(params, cell)
        monkeypatch.setattr(Trainer, "epoch", epoch)
        assert run(params, cell)["time"]["resumed"] == 1
        assert files_of(params, cell) == undisturbed

    @pytest.mark.slow
    def test_cells_of_several_processes_on_one_gpu_do_not_change_each_other(self, tmp_path):
        together, alone = (self.params_on(tmp_path / name, "cuda") for name in ("together", "alone"))
        command = [sys.executable, "-m", "hal", "--params", str(ROOT / "params.yaml")]
        command += ["--overlay", str(tmp_path / "together/overlay.yaml"), "train", "tiny", "threes"]
        started = [subprocess.Popen([*command, str(seed)]) for seed in range(3)]
        assert [process.wait() for process in started] == [0, 0, 0]
        for seed in range(3):
            cell = alone.cell("tiny", "threes", seed)
            run(alone, cell)
            assert files_of(together, cell) == files_of(alone, cell)


def test_a_cells_code_is_that_which_its_process_began_with(tmp_path, monkeypatch):
    """Training takes hours, and people commit meanwhile."""
    head = ["at the start"]

    def committed_meanwhile(*arguments):
        head[0] = "another commit"
        return train(*arguments)

    monkeypatch.setattr(provenance, "code_version", lambda: head[0])
    monkeypatch.setattr("hal.train.cell.train", committed_meanwhile)
    monkeypatch.setattr(
        provenance, "code_of_process", functools.cache(provenance.code_of_process.__wrapped__)
    )
    params = tiny_params(tmp_path)
    for seed in (0, 1):
        assert run(params, params.cell("tiny", "pairs", seed))["provenance"]["code"] == "at the start"


def test_a_link_to_the_checkout_hides_no_commit(tmp_path, monkeypatch):
    checkout = tmp_path / "checkout"
    package = checkout / "src" / "hal"
    (package / "train").mkdir(parents=True)
    (package / "cli.py").touch()
    (tmp_path / "link").symlink_to(checkout)
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "ours"],
    ):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    linked = tmp_path / "link" / "src" / "hal" / "train" / "provenance.py"
    monkeypatch.setattr("hal.train.provenance.__file__", str(linked))
    assert re.fullmatch(r"[0-9a-f]{12}", code_version())


def test_the_code_is_unknown_in_somebody_elses_repository(tmp_path, monkeypatch):
    """An archive unpacked inside another repository has that repository's commit around it."""
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", code_version())
    package = tmp_path / "archive" / "src" / "hal"
    (package / "train").mkdir(parents=True)
    (package / "cli.py").touch()
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "theirs"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr("hal.train.provenance.__file__", str(package / "train" / "provenance.py"))
    assert code_version() == "unknown"


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"
            ),
            "this machine",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "the GPU"),
        (MemoryError(), "this machine"),
    ],
    ids=["PyTorch", "GPU", "NumPy"],
)
def test_memory_that_is_not_enough_is_said_in_a_line(tmp_path, monkeypatch, error, whose):
    """In epoch 3, of which nothing stays; the first two do."""
    undisturbed, params = tiny_params(tmp_path / "a"), tiny_params(tmp_path / "b")
    cell = params.cell("tiny", "pairs", 0)
    run(undisturbed, cell)
    monkeypatch.setattr(hal.train.loop, "SAVE_EVERY_S", 0)
    with monkeypatch.context() as context:
        in_epoch(3, lambda trainer: (_ for _ in ()).throw(error), context)
        with pytest.raises(
            UserError,
            match=f"tiny/pairs/seed0: the memory of {whose} is not enough; what was trained is kept",
        ):
            run(params, cell)
    assert run(params, cell)["time"]["resumed"] == 1
    assert files_of(params, cell) == files_of(undisturbed, cell)


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    left, fresh = tmp_path / ".a.txt.1.tmp", tmp_path / ".a.txt.2.tmp"
    left.touch()
    fresh.touch()
    os.utime(left, (0, 0))
    write_text(tmp_path / "a.txt", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.txt.2.tmp", "a.txt"]


def test_u_gives_the_score_under_every_hint_and_so_the_logits(tmp_path):
    """z(s) = a(s) v + b with a(s) = sum_j |u_j - x*_j(s)|: what one hint's logits are, u makes of another's."""
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "threes", 0)
    run(params, cell)
    paths = params.cell_paths(cell)
    with np.load(paths.checkpoints / "auxiliary.npz") as stored:
        u, u_train = stored["u_test"].astype(float), stored["u_train"].astype(float)
    with np.load(paths.checkpoints / "predictions.npz") as stored:
        logits, told, label = (stored[name] for name in ("logits", "told", "label"))
    bias = load_file(paths.checkpoints / "weights.safetensors")["output.bias"].numpy()
    a = np.abs(u[:, None, :] - np.eye(3)).sum(axis=2)  # (N, S)
    v = (logits - bias) / a[:, :, None]
    assert np.allclose(v[:, 0], v[:, 1], rtol=0.01, atol=0.01)
    assert np.allclose(v[:, 0], v[:, 2], rtol=0.01, atol=0.01)
    assert np.array_equal(told, np.array([0, 1, 1, 2])[label])
    with np.load(paths.results / "scores.npz") as stored:
        x_star = np.eye(3)[stored["superclass"]]
        assert np.allclose(stored["score"], np.abs(u_train - x_star).sum(axis=1), rtol=0.01, atol=0.002)


@pytest.mark.parametrize(
    ("changes", "superclasses"),
    [
        ({"block": "concat"}, 3),
        ({"block": "none", "hint": "none", "loss": "masked"}, 1),
        ({"hint": "zero"}, 3),
        ({"hint": "random"}, 3),
        ({"loss": "masked"}, 3),
    ],
    ids=str,
)
def test_a_control_is_told_and_tested_as_its_settings_say(tmp_path, changes, superclasses):
    params = tiny_params(tmp_path)
    cell = dataclasses.replace(params.cell("tiny", "threes", 0), **changes)
    record = run(params, cell)
    paths = params.cell_paths(cell)
    assert (paths.results / "scores.npz").exists() == (paths.checkpoints / "auxiliary.npz").exists()
    assert (paths.results / "scores.npz").exists() == cell.scored == (cell.block == "auxiliary")
    owner = np.array([0, 1, 1, 2])
    with np.load(paths.checkpoints / "predictions.npz") as stored:
        logits, label = stored["logits"], stored["label"]
        told = stored["told"] if "told" in stored else np.zeros(len(label), int)
    assert logits.shape == (33, superclasses, 4)
    used = logits[np.arange(33), told]
    if cell.loss == "masked":
        used = np.where(owner[None, :] == owner[label][:, None], used, -np.inf)
    assert 100 * (used.argmax(axis=1) != label).mean() == pytest.approx(record["test_error"])
    if cell.hint == "zero":
        assert np.array_equal(logits[:, 0], logits[:, 1])
    if cell.hint == "random":
        assert not np.array_equal(told, owner[label])
        assert set(told) == {0, 1, 2}


def test_a_folder_that_cannot_be_written_is_noticed_before_anything_is_trained(tmp_path, monkeypatch):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    monkeypatch.setattr(Trainer, "epoch", lambda *arguments: pytest.fail("it trained"))
    place = params.cell_paths(cell).results
    place.parent.mkdir(parents=True)
    place.touch()
    with pytest.raises(UserError, match=r"results/tiny/pairs/seed0: cannot be made .*nothing was trained"):
        run(params, cell)
    place.unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(
        UserError, match=r"results/tiny/pairs/seed0: cannot be written to.*nothing was trained"
    ):
        run(params, cell)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_lies_in_place_of_a_states_progress_stops_nothing(tmp_path, make):
    params = tiny_params(tmp_path)
    cell = params.cell("tiny", "pairs", 0)
    resume = params.cell_paths(cell).resume
    resume.mkdir(parents=True)
    make(resume / "progress.json")
    assert load_grid(params)[0].state == "missing"  # the baseline's
    assert {r.cell.name: r.state for r in load_grid(params)}["tiny/pairs/seed0"] == "unfinished"
    assert run(params, cell, force=True, keep_state=True)["status"] == "ok"
