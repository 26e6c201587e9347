"""Stored weights give the recorded error again, and the files that were measured on them."""

import pytest

from hal.cli import main
from hal.errors import UserError
from hal.files import sha256_of
from hal.study.controls import told_controls
from hal.train.cell import run
from hal.train.stored import chosen, measure
from tests.made_up import change_record
from tests.tiny import tiny_params

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
    controls = told_controls(measured.predictions["logits"], measured.predictions["label"], cell.superclasses)
    assert 100 * controls["as_tested"].count / controls["as_tested"].images == measured.error
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
    with pytest.raises(UserError, match="`hal train tiny pairs 1`"):
        measure(params, params.cell("tiny", "pairs", 1))
    longer = tiny_params(tmp_path, epochs=4)
    with pytest.raises(UserError, match="of other settings"):
        measure(longer, longer.cell("tiny", "pairs", 0))
    params = tiny_params(tmp_path)
    change_record(params, "tiny/baseline/seed0", status="diverged", diverged_at_step=7)
    with pytest.raises(UserError, match="diverged at step 7"):
        measure(params, params.cell("tiny", "baseline", 0))


def test_those_among_the_named_cells_are_taken_whose_weights_are_here(params):
    def names(*words):
        return [cell.name for cell in chosen(params, *words)]

    assert names(None, None, []) == ["tiny/baseline/seed0", "tiny/pairs/seed0"]
    assert names("tiny", "pairs", []) == ["tiny/pairs/seed0"]
    assert names("tiny", "pairs", [1]) == [
        "tiny/pairs/seed1"
    ]  # named itself: measuring it says what is missing
    params.path("checkpoints", "tiny", "baseline", "seed0", "weights.safetensors").unlink()
    assert names(None, None, []) == ["tiny/pairs/seed0"]
    with pytest.raises(UserError, match="no cell among those named has its weights here"):
        names("tiny", "threes", [])
    with pytest.raises(UserError, match="other"):
        names("other", None, [])


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
