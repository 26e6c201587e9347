"""A referee's audit: the same bytes, or what one more seed may give; and what it would not notice."""

import dataclasses
import math

import pytest

from hal.audit import audit, compared, draw, summary, unnoticed
from hal.cli import main
from hal.errors import UserError
from hal.study.grid import load_grid
from hal.train.cell import run
from tests.made_up import change_record
from tests.tiny import tiny_params


@pytest.fixture
def params(tmp_path):
    params = tiny_params(tmp_path)
    for case, seed in (("baseline", 0), ("baseline", 1), ("pairs", 0)):
        run(params, params.cell("tiny", case, seed))
    return params


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_cells_that_training_gives_again_agree_and_nothing_stored_is_touched(params, tmp_path):
    before = contents(tmp_path)
    findings = list(audit(params, 3))
    assert [finding.agrees for finding in findings] == [True] * 3
    assert findings[0].says == "the same bytes in all 3 files"
    assert contents(tmp_path) == before


def test_a_made_up_number_is_found(params, tmp_path, capsys):
    sums = {"curves.csv": "0" * 64, "weights.safetensors": "0" * 64, "predictions.npz": "0" * 64}
    change_record(params, "tiny/baseline/seed1", test_error=0.0, files=sums)
    assert main(["--overlay", str(tmp_path / "overlay.yaml"), "audit", "--cells", "3"]) == 1
    out, error = capsys.readouterr()
    assert "tiny/baseline/seed1: other bytes on the same kind of machine in curves.csv" in out
    assert "test error 0.00 % stored" in out
    assert "tiny/baseline/seed1: not what training gives" in error


def made(result, **changes):
    """A result's record with another provenance."""
    return result.record | {"provenance": result.record["provenance"] | changes, "files": {}}


def test_on_another_machine_the_error_is_held_against_the_other_seeds(params):
    """Of seeds with 3.0 and 4.0 %: 3.5 ± t(0.975, 1) 0.7071 sqrt(1/2 + 1) = 3.5 ± 11.0."""
    results = load_grid(params)
    first = next(r for r in results if r.ok)

    def like(seed, error):
        cell = dataclasses.replace(first.cell, seed=seed)
        return dataclasses.replace(first, cell=cell, record=first.record | {"test_error": error})

    siblings = [like(1, 3.0), like(2, 4.0)]
    elsewhere = made(first, device="another card")
    near = compared(first, elsewhere | {"test_error": 14.0}, [first, *siblings])
    far = compared(first, elsewhere | {"test_error": 15.0}, [first, *siblings])
    assert near.agrees
    assert "another kind of machine (device another card in place of" in near.says
    assert "[0.00, 14.50] of the other 2 seeds" in near.says
    assert not far.agrees
    alone = compared(first, elsewhere, [first])
    assert "too few other seeds" in alone.says


def test_the_draw_is_the_commits_and_the_results(params):
    results = load_grid(params)
    names = {commit: tuple(r.cell.name for r in draw(results, 1, commit)) for commit in map(str, range(30))}
    assert len(set(names.values())) == 3
    assert draw(results, 1, "5") == draw(results, 1, "5")
    with pytest.raises(UserError, match="--cells 4: 3 finished cells"):
        draw(results, 4, "5")


def test_what_would_have_gone_unnoticed(params):
    """2 of 75: C(74, 2) / C(75, 2) = 73/75 for one wrong cell; of five, C(70, 2) / C(75, 2) = 2415/2775."""
    assert unnoticed(75, 2, 1) == pytest.approx(73 / 75)
    assert unnoticed(75, 2, 5) == pytest.approx(2415 / 2775)
    assert math.isnan(unnoticed(3, 1, 4))
    assert "67 % if 1 were wrong, 33 % if 2 were wrong" in summary(params, 1)
