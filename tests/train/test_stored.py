"""Stored weights give the recorded error again, and the files that were measured on them."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from hal.cell_files import read_record
from hal.cli import main
from hal.data.prepare import prepare
from hal.errors import UserError
from hal.files import sha256_of
from hal.params import load
from hal.present.evaluated import lines
from hal.study import measures
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


def test_a_file_that_comes_out_otherwise_is_said_and_not_written(params):
    """As on another processor, whose sums round otherwise."""
    path = params.path("checkpoints", "tiny", "pairs", "seed0", "predictions.npz")
    path.unlink()
    sums = {
        "weights.safetensors": sha256_of(path.with_name("weights.safetensors")),
        "predictions.npz": "0" * 64,
    }
    change_record(params, "tiny/pairs/seed0", files=sums)
    measured = measure(params, params.cell("tiny", "pairs", 0))
    assert path in measured.other
    assert not path.exists()


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
    params = tiny_params(tmp_path)
    change_record(params, "tiny/baseline/seed0", status="diverged", diverged_at_step=7)
    with pytest.raises(UserError, match="diverged at step 7"):
        measure(params, params.cell("tiny", "baseline", 0))


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


def test_a_cell_that_diverged_is_left_out_with_a_word_unless_it_is_named(params, tmp_path, capsys):
    overlay = ["--overlay", str(tmp_path / "overlay.yaml")]
    change_record(params, "tiny/baseline/seed0", status="diverged", diverged_at_step=8724)
    assert main([*overlay, "evaluate"]) == 0
    said = capsys.readouterr().out
    assert "left out: tiny/baseline/seed0: diverged at step 8,724; there is no error to measure" in said
    assert "tiny/pairs/seed0: test error" in said
    for named in (["tiny", "baseline", "0"], ["tiny", "baseline"]):
        assert main([*overlay, "evaluate", *named]) == 1
        assert "diverged at step 8,724" in capsys.readouterr().err


def test_where_files_come_out_otherwise_both_machines_are_named(params):
    cell = params.cell("tiny", "pairs", 0)
    made = read_record(params.cell_paths(cell).record)["provenance"]
    sums = {"predictions.npz": "0" * 64}
    change_record(params, cell.name, files=sums, provenance=made | {"device": "an H100"})
    (line,) = [line for line in lines(params, cell, measure(params, cell)) if "not byte for byte" in line]
    assert "recorded on an H100 in float32, computed here on " in line
    change_record(params, cell.name, files=sums, provenance=made)
    (line,) = [line for line in lines(params, cell, measure(params, cell)) if "not byte for byte" in line]
    assert "another version of a library" in line


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


def test_one_cell_that_cannot_be_measured_keeps_no_other(params, tmp_path, capsys):
    weights = params.path("checkpoints", "tiny", "baseline", "seed0", "weights.safetensors")
    weights.write_bytes(weights.read_bytes() + b"more")
    overlay = ["--params", str(ROOT / "params.yaml"), "--overlay", str(tmp_path / "overlay.yaml")]
    assert main([*overlay, "evaluate"]) == 1
    said = capsys.readouterr()
    assert "tiny/pairs/seed0: test error" in said.out
    assert said.err.startswith(f"hal: {weights}: not the file that cell.json speaks of")
