"""Stored weights give the recorded error again, and the files that were measured on them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from hal import locks, remeasured, sums
from hal.cell_files import check_sum, npz_bytes, read_record
from hal.cli import main
from hal.data.prepare import prepare
from hal.errors import UserError
from hal.files import read_json, sha256_of
from hal.params import load
from hal.present.evaluated import lines
from hal.study import controls, crossed, measures
from hal.study.check_sums import verify
from hal.study.grid import load_cells
from hal.train import stored
from hal.train.cell import run
from hal.train.stored import chosen, measure
from tests.made_up import change_record
from tests.tiny import ROOT, tiny_params

MEASURED = (
    "results/tiny/{}/scores.npz",
    "checkpoints/tiny/{}/predictions.npz",
    "checkpoints/tiny/{}/auxiliary.npz",
)


@pytest.fixture
def params(tmp_path):
    params = tiny_params(tmp_path)
    for case in ("baseline", "pairs"):
        run(params, params.cell("tiny", case, 0))
    return params


def files(params, name):
    return [params.path(*path.format(name).split("/")) for path in MEASURED]


def test_what_was_measured_on_the_weights_comes_back_byte_for_byte(params):
    """A clone that has weights and results alone."""
    cell = params.cell("tiny", "pairs", 0)
    before = [path.read_bytes() for path in files(params, "pairs/seed0")]
    for path in files(params, "pairs/seed0"):
        path.unlink()
    measured = measure(params, cell)
    assert measured.error == measured.recorded
    assert not measured.differs
    assert sorted(measured.restored) == sorted(measured.same) == sorted(files(params, "pairs/seed0"))
    assert measured.other == []
    assert [path.read_bytes() for path in files(params, "pairs/seed0")] == before
    logits, label, told = (measured.predictions[name] for name in ("logits", "label", "told"))
    tested = measures.as_tested(
        logits, label, told, measures.owners(cell.superclasses, cell.classes), cell.loss
    )
    assert 100 * (tested != label).mean() == measured.error
    assert measure(params, cell).restored == []


def made_elsewhere(params, name, *files, **changes):
    """Let cell.json speak of files that a processor measured whose sums round otherwise; they are not here. Returns their paths."""
    folder, record = params.path("checkpoints", *name.split("/")), params.path("results", name, "cell.json")
    sums = read_record(record)["files"] | dict.fromkeys(files, "0" * 64)
    change_record(params, name, files=sums, **changes)
    for file in files:
        (folder / file).unlink()
    return [folder / file for file in files]


def test_what_another_machine_measures_on_the_weights_stands_in_for_what_is_not_here(params, capsys):
    """A clone on another processor: it has the weights, and its last digits are others."""
    cell, names = params.cell("tiny", "pairs", 0), ("predictions.npz", "auxiliary.npz")
    for dataset in params.grid.datasets:
        controls.write(params, dataset)
    before = controls.read(params, load_cells(params))
    paths = made_elsewhere(params, cell.name, *names)
    measured = measure(params, cell)
    assert measured.remeasured == measured.other == paths
    (line,) = [line for line in lines(params, cell, measured) if "stored as measured here" in line]
    assert all(str(path) in line for path in paths)
    assert verify(params) == (6 + 4, 2)
    assert main(["--overlay", str(params.path("overlay.yaml")), "verify", "--cells"]) == 0
    assert "2 were measured again on the stored weights" in capsys.readouterr().out
    note = read_json(paths[0].with_name(remeasured.NOTE))
    assert note["files"] == {path.name: sha256_of(path) for path in paths}
    assert measure(params, cell).remeasured == []

    controls.write(params, "tiny")  # cell.json speaks of other predictions than the ones that were counted
    after = controls.read(params, load_cells(params))
    pd.testing.assert_frame_equal(after.drop(columns="networks"), before.drop(columns="networks"))
    assert run(params, cell)["hash"] == cell.hash  # it is whole: nothing is trained again
    paths[1].unlink()
    assert measure(params, cell).remeasured == paths[1:]
    assert verify(params) == (6 + 4, 2)


def replaced(params, name, file, change):
    """Let a file of a cell be measured again elsewhere, and have come out with other arrays; the cell's error is then theirs."""
    path, cell = params.path("checkpoints", name, file), params.cell("tiny", name.split("/")[1], 0)
    with np.load(path) as arrays:
        others = change(dict(arrays))
    path.write_bytes(npz_bytes(others))
    record = read_record(params.cell_paths(cell).record)
    path.with_name(remeasured.NOTE).write_bytes(remeasured.note_bytes(record, {file: sha256_of(path)}))
    if file == "predictions.npz":
        logits, label, told = others["logits"], others["label"], others.get("told")
        tested = measures.when_told(logits, told).argmax(axis=1)
        change_record(params, name, test_error=100 * (tested != label).mean())


@pytest.mark.parametrize(
    ("name", "file", "change", "recounted"),
    [
        # every hint gives what another gave; another class is predicted; every score is another
        ("tiny/pairs/seed0", "predictions.npz", lambda a: a | {"logits": a["logits"][:, ::-1]}, (True, True)),
        (
            "tiny/baseline/seed0",
            "predictions.npz",
            lambda a: a | {"logits": a["logits"][..., ::-1]},
            (True, True),
        ),
        ("tiny/pairs/seed0", "auxiliary.npz", lambda a: a | {"u_test": 2 * a["u_test"]}, (True, False)),
    ],
)
def test_what_was_counted_first_stands_before_what_is_measured_again(params, name, file, change, recounted):
    """One image that another processor decides otherwise changes no number that was published."""
    tables = [(of.TABLE.path(params, "tiny"), of.write) for of in (controls, crossed)]
    for _, write in tables:
        write(params, "tiny")
    before = {path: path.read_bytes() for path, _ in tables}
    replaced(params, name, file, change)
    assert verify(params).remeasured == 1
    for (path, write), other in zip(tables, recounted, strict=True):
        write(params, "tiny")
        assert path.read_bytes() == before[path]
        path.unlink()
        write(params, "tiny")  # where nothing was counted before, it counts
        assert (path.read_bytes() != before[path]) == other


def test_a_control_whose_own_files_are_those_recorded_is_counted_anew(params):
    """Where the baseline alone was measured again, only what is told its predictions keeps an older number."""
    path = controls.write(params, "tiny")
    right = path.read_text()
    row = "tiny,pairs,0,pairs,0 1 | 2 3,{},"
    for control in ("flips", "no_oracle_baseline"):
        published = path.read_text().replace(row.format(control), f"{row.format(control)}9")
        sums.write({path: published}, path.with_suffix(".sha256"))
    replaced(
        params,
        "tiny/baseline/seed0",
        "predictions.npz",
        lambda arrays: arrays | {"logits": arrays["logits"] + 1},
    )
    controls.write(params, "tiny")
    assert path.read_text() == right.replace(
        row.format("no_oracle_baseline"), f"{row.format('no_oracle_baseline')}9"
    )


def test_only_what_is_measured_on_weights_can_be_vouched_for_again(params):
    paths = params.cell_paths(params.cell("tiny", "pairs", 0))
    record = read_record(paths.record)
    for path in (paths.curves, paths.scores, paths.weights):
        path.write_bytes(path.read_bytes() + b" ")
        note = remeasured.note_bytes(record, {path.name: sha256_of(path)})
        path.with_name(remeasured.NOTE).write_bytes(note)
        with pytest.raises(UserError, match="not the file that"):
            check_sum(path, record)


def test_where_another_image_is_wrong_nothing_is_stored(params):
    (path,) = made_elsewhere(params, "tiny/pairs/seed0", "predictions.npz")
    record = read_record(params.path("results/tiny/pairs/seed0/cell.json"))
    change_record(params, "tiny/pairs/seed0", test_error=record["test_error"] + 0.01)
    measured = measure(params, params.cell("tiny", "pairs", 0))
    assert (measured.other, measured.remeasured, measured.differs) == ([path], [], False)
    assert not path.exists()
    assert not path.with_name(remeasured.NOTE).exists()
    said = lines(params, params.cell("tiny", "pairs", 0), measured)
    assert f"  not here: {path} (another number of images is wrong here, so it is not stored)" in said


def test_scores_with_other_digits_are_not_stored_and_it_is_said_what_brings_them_back(params):
    cell = params.cell("tiny", "pairs", 0)
    paths = params.cell_paths(cell)
    change_record(params, cell.name, files=read_record(paths.record)["files"] | {"scores.npz": "0" * 64})
    paths.scores.unlink()
    said = lines(params, cell, measure(params, cell))
    assert (
        f"  not here: {paths.scores} (stored only with the recorded bytes; git or `dvc pull` may bring it back)"
        in said
    )
    assert not paths.scores.exists()


def test_nothing_is_stored_while_the_cell_is_trained_or_after_it_was(params, monkeypatch):
    cell = params.cell("tiny", "pairs", 0)
    (path,) = made_elsewhere(params, cell.name, "predictions.npz")
    lock = locks.acquire(params.cell_paths(cell).lock)
    with pytest.raises(UserError, match="tiny/pairs/seed0: is being trained here; nothing was stored"):
        measure(params, cell)
    lock.release()
    measured = stored.measured_files

    def trained_meanwhile(*arguments):
        change_record(params, cell.name, peak_memory_bytes=1)
        return measured(*arguments)

    monkeypatch.setattr(stored, "measured_files", trained_meanwhile)
    with pytest.raises(UserError, match="tiny/pairs/seed0: was trained again meanwhile; nothing was stored"):
        measure(params, cell)
    assert not path.exists()


def test_where_the_recorded_bytes_come_out_they_take_the_place_of_what_was_measured_again(params):
    path = params.path("checkpoints/tiny/pairs/seed0/predictions.npz")
    exact, record = path.read_bytes(), read_record(params.path("results/tiny/pairs/seed0/cell.json"))
    path.write_bytes(b"as another processor measured it")
    path.with_name(remeasured.NOTE).write_bytes(remeasured.note_bytes(record, {path.name: sha256_of(path)}))
    assert verify(params).remeasured == 1
    measured = measure(params, params.cell("tiny", "pairs", 0))
    assert measured.restored == [path]
    assert path.read_bytes() == exact
    assert verify(params).remeasured == 0


@pytest.mark.parametrize("fault", ["no note", "half of it", "a folder"])
def test_what_nothing_vouches_for_is_vouched_for_again_or_said(params, tmp_path, capsys, fault):
    """Where `git pull` brought other weights, or a note was lost: no circle of advice."""
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    (path,) = made_elsewhere(params, "tiny/pairs/seed0", "predictions.npz")
    assert main([*overlay, "evaluate", "tiny", "pairs"]) == 0
    content = path.read_bytes()
    path.with_name(remeasured.NOTE).unlink()
    if fault == "half of it":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "a folder":
        path.unlink()
        path.mkdir()
    assert main([*overlay, "evaluate", "tiny", "pairs"]) == (fault != "no note")
    said = capsys.readouterr().err
    assert (f"{path}: is neither what was written" in said) == (fault != "no note")
    if fault != "no note":
        assert main([*overlay, "controls"]) == 0
        path.rmdir() if fault == "a folder" else path.unlink()
        assert main([*overlay, "evaluate", "tiny", "pairs"]) == 0
    assert path.read_bytes() == content
    assert verify(params).remeasured == 1


@pytest.mark.parametrize("fault", ["changed", "of other weights", "no mapping", "nothing"])
def test_a_file_that_nothing_vouches_for_is_refused(params, fault):
    (path,) = made_elsewhere(params, "tiny/pairs/seed0", "predictions.npz")
    measure(params, params.cell("tiny", "pairs", 0))
    note = path.with_name(remeasured.NOTE)
    content = read_json(note)
    if fault == "changed":
        path.write_bytes(path.read_bytes() + b"?")
    elif fault == "nothing":
        note.unlink()
    else:
        content |= {"weights": "0" * 64} if fault == "of other weights" else {"files": "all of them"}
        note.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"pairs/seed0/predictions\.npz: not what was written"):
        verify(params)
    controls.write(params, "tiny")
    table = controls.read(params, load_cells(params)).query("case == 'pairs' and seed == 0")
    assert table["missing"].str.contains("not the file that cell.json speaks of").all()


def test_weights_that_were_changed_or_are_not_there_are_refused(params):
    weights = params.path("checkpoints", "tiny", "pairs", "seed0", "weights.safetensors")
    of_another = params.path("checkpoints", "tiny", "baseline", "seed0", "weights.safetensors").read_bytes()
    weights.write_bytes(of_another)
    with pytest.raises(
        UserError, match=r"pairs/seed0/weights\.safetensors: not the file that cell\.json speaks of"
    ):
        measure(params, params.cell("tiny", "pairs", 0))
    weights.unlink()
    with pytest.raises(UserError, match=r"pairs/seed0/weights\.safetensors: no such file"):
        measure(params, params.cell("tiny", "pairs", 0))


def test_only_a_finished_cell_of_these_settings_and_data_is_measured(params, tmp_path):
    with pytest.raises(UserError, match=r"`hal train tiny pairs 1`"):
        measure(params, params.cell("tiny", "pairs", 1))
    with pytest.raises(UserError, match=r"the grid's seeds are 0, 1; `hal train tiny pairs 7`"):
        measure(params, params.cell("tiny", "pairs", 7))
    longer = tiny_params(tmp_path, epochs=4)
    with pytest.raises(UserError, match="of other settings"):
        measure(longer, longer.cell("tiny", "pairs", 0))


def test_those_among_the_named_cells_are_taken_whose_weights_are_here(params):
    def names(*words):
        cells, left_out = chosen(params, *words)
        assert left_out == []
        return [cell.name for cell in cells]

    assert names(None, None, []) == ["tiny/baseline/seed0", "tiny/pairs/seed0"]
    assert names("tiny", "pairs", []) == ["tiny/pairs/seed0"]
    assert names("tiny", "pairs", [1]) == [
        "tiny/pairs/seed1"
    ]  # named itself: measuring it says what is missing
    params.path("checkpoints", "tiny", "baseline", "seed0", "weights.safetensors").unlink()
    assert names(None, None, []) == ["tiny/pairs/seed0"]
    with pytest.raises(UserError, match="no cell among those named has its weights here"):
        names("tiny", "threes", [])
    with pytest.raises(UserError, match="data set 'mnist': the grid has tiny"):
        names("mnist", None, [])


def test_the_command_says_the_error_and_what_a_mask_gives_and_fails_where_the_error_is_another(
    params, tmp_path, capsys
):
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    assert main([*overlay, "evaluate"]) == 0
    said = capsys.readouterr().out
    assert "tiny/baseline/seed0: test error" in said
    assert "of 33 images), as recorded" in said
    assert "masked with the superclasses of threes:" in said
    assert "flips" in said
    recorded = measure(params, params.cell("tiny", "pairs", 0)).recorded
    change_record(params, "tiny/pairs/seed0", test_error=(recorded + 50) % 100)
    assert main([*overlay, "evaluate", "tiny", "pairs"]) == 1
    assert "tiny/pairs/seed0: the stored weights do not give the recorded error" in capsys.readouterr().err


@pytest.mark.parametrize("elsewhere", [False, True])
def test_of_a_cell_that_diverged_the_predictions_come_back_and_no_error_is_said(
    params, tmp_path, capsys, elsewhere
):
    """Without them Snakemake would train it again."""
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    path = params.path("checkpoints/tiny/baseline/seed0/predictions.npz")
    diverged = {"status": "diverged", "diverged_at_step": 8724, "test_error": None}
    if elsewhere:
        made_elsewhere(params, "tiny/baseline/seed0", path.name, **diverged)
    else:
        change_record(params, "tiny/baseline/seed0", **diverged)
        path.unlink()
    assert main([*overlay, "evaluate"]) == 0
    said = capsys.readouterr().out
    assert "tiny/baseline/seed0: diverged at step 8,724; there is no error to measure" in said
    assert "tiny/baseline/seed0: test error" not in said
    assert "tiny/pairs/seed0: test error" in said
    assert verify(params) == (4 + 6, elsewhere)


def test_where_files_come_out_otherwise_both_machines_are_named(params):
    cell = params.cell("tiny", "pairs", 0)
    made = read_record(params.cell_paths(cell).record)["provenance"]
    files = read_record(params.cell_paths(cell).record)["files"] | {"predictions.npz": "0" * 64}
    change_record(params, cell.name, files=files, provenance=made | {"device": "an H100"})
    (line,) = [line for line in lines(params, cell, measure(params, cell)) if "not byte for byte" in line]
    assert "recorded on an H100 in float32, computed here on " in line
    change_record(params, cell.name, files=files, provenance=made)
    (line,) = [line for line in lines(params, cell, measure(params, cell)) if "not byte for byte" in line]
    assert "another processor of that name, or another version of a library," in line


@pytest.mark.slow
@pytest.mark.real_data
def test_a_network_of_the_repository_gives_its_number_again_and_obeys_what_is_said_of_a_hint(tmp_path):
    """A stranger's minute: the weights in git, the real MNIST, no training; and docs/hint.md on a network of real images."""
    mirror = Path(os.environ.get("HAL_DATA_MIRROR", "nowhere"), "mnist")
    if not mirror.is_dir():
        pytest.skip("HAL_DATA_MIRROR names no folder with mnist/ in it")
    published = ROOT / "runs/cpu-mnist"
    weights = sorted(published.glob("checkpoints/mnist/case*/seed*/weights.safetensors"))[0]
    name = weights.parent.relative_to(published / "checkpoints")
    for folder in ("results", "checkpoints"):
        shutil.copytree(published / folder / name, tmp_path / folder / name)
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"root: {tmp_path}\n")
    params = load(ROOT / "params.yaml", [ROOT / "configs/cpu-mnist.yaml", overlay])
    prepare(params, "mnist")
    cell = params.cell("mnist", name.parts[1], int(name.parts[2].removeprefix("seed")))

    measured = measure(params, cell)
    assert abs(measured.error - measured.recorded) <= 0.02  # two images, on another kind of processor

    logits = measured.predictions["logits"].astype(float)
    label = measured.predictions["label"]
    stored = load_file(weights)
    b = stored["output.bias"].numpy().astype(float)
    line = logits - b  # a(s) W_o y: for every image on one line through the origin
    a = np.linalg.norm(line, axis=2)
    direction = line / np.maximum(a, 1e-9)[..., None]
    far = (a > 1e-2).all(axis=1)
    assert far.mean() > 0.99
    assert np.allclose(direction[far], direction[far][:, :1], atol=1e-3)
    without_bias = line[far].argmax(axis=2)
    assert (without_bias == without_bias[:, :1]).all()  # without the bias no hint changes the class
    owner = measures.owners(cell.superclasses, 10)
    told = measures.as_tested(logits, label, owner[label], owner, cell.loss)
    masked = measures.masked(logits, label, owner[label], owner)
    assert (masked[told == label] == label[told == label]).all()


@pytest.mark.parametrize(
    ("error", "of"),
    [(torch.OutOfMemoryError("CUDA out of memory"), "the GPU"), (MemoryError(), "this machine")],
)
def test_memory_that_is_not_enough_is_said_in_a_line(params, monkeypatch, error, of):
    """`hal evaluate` beside a grid that fills the GPU ended in a traceback, and left out the cells after it."""
    monkeypatch.setattr(stored, "measured_files", lambda *_: (_ for _ in ()).throw(error))
    said = f"tiny/pairs/seed0: the memory of {of} is not enough; nothing was measured"
    with pytest.raises(UserError, match=said):
        measure(params, params.cell("tiny", "pairs", 0))


def test_one_cell_that_cannot_be_measured_keeps_no_other(params, tmp_path, capsys):
    weights = params.path("checkpoints", "tiny", "baseline", "seed0", "weights.safetensors")
    weights.write_bytes(weights.read_bytes() + b"more")
    overlay = ["--params", str(ROOT / "params.yaml"), "--overlay", str(tmp_path / "overlay.yaml")]
    assert main([*overlay, "evaluate"]) == 1
    said = capsys.readouterr()
    assert "tiny/pairs/seed0: test error" in said.out
    assert said.err.startswith(f"hal: {weights}: not the file that cell.json speaks of")
