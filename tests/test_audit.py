"""A referee's audit: the same bytes, or what one more seed may give; and what it would not notice."""

import dataclasses
import json
import math
import shutil

import pytest

from hal.audit import announced, audit, compared, draw, drawn, summary, unnoticed
from hal.cell_files import curves_bytes
from hal.cli import main
from hal.errors import UserError
from hal.files import sha256_of
from hal.study.grid import load_grid
from hal.train.cell import run
from tests.made_up import change_record
from tests.tiny import tiny_params

CELLS = (("baseline", 0), ("baseline", 1), ("pairs", 0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three trained cells, of which every test takes a copy."""
    params = tiny_params(tmp_path_factory.mktemp("trained"))
    for case, seed in CELLS:
        run(params, params.cell("tiny", case, seed))
    return params.path()


@pytest.fixture
def params(trained, tmp_path):
    params = tiny_params(tmp_path)
    shutil.copytree(trained / "results", tmp_path / "results")
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    return params


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def audited(params, tmp_path, capsys):
    """What the command prints for all three cells, its error, and its exit status."""
    status = main(["--overlay", str(tmp_path / "overlay.yaml"), "audit", "--cells", "3"])
    out, error = capsys.readouterr()
    return out, error, status


def test_cells_that_training_gives_again_agree_and_nothing_stored_is_touched(params, tmp_path, capsys):
    before = contents(tmp_path)
    out, _, status = audited(params, tmp_path, capsys)
    assert status == 0
    assert out.startswith("drawn from 3 finished cells by the seed ")
    assert "tiny/baseline/seed0: the same bytes in all 3 files" in out
    assert "tiny/pairs/seed0: the same bytes in all 5 files" in out
    assert out.endswith("3 of 3 finished cells were trained again: none could have gone unnoticed\n")
    assert contents(tmp_path) == before
    assert not (tmp_path / ".audit").exists()


def test_other_weights_are_found_and_what_was_trained_stays_for_whoever_asks_why(params, tmp_path, capsys):
    """A cell of seed 1 in the place of seed 0, with a cell.json to match."""
    stored = tmp_path / "results/tiny/baseline"
    record = json.loads((stored / "seed1/cell.json").read_text())
    kept = {key: record[key] for key in ("files", "test_error", "test_loss", "train_error", "train_loss")}
    for folder in ("results", "checkpoints"):
        for file in (tmp_path / folder / "tiny/baseline/seed1").iterdir():
            if file.name != "cell.json":
                (tmp_path / folder / "tiny/baseline/seed0" / file.name).write_bytes(file.read_bytes())
    change_record(params, "tiny/baseline/seed0", **kept)
    out, error, status = audited(params, tmp_path, capsys)
    assert status == 1
    assert "tiny/baseline/seed0: other weights.safetensors, predictions.npz, curves.csv, " in out
    assert "on the same kind of machine; test error " in out
    assert "the curves part at epoch 1; see " in out
    assert "tiny/baseline/seed1: the same bytes" in out
    assert error == "hal: tiny/baseline/seed0: not what training gives\n"
    (kept_file,) = (tmp_path / ".audit").glob("*/results/tiny/baseline/seed0/cell.json")
    before = kept_file.stat().st_mtime_ns
    assert audited(params, tmp_path, capsys)[2] == 1
    assert kept_file.stat().st_mtime_ns > before  # the same audit once more trains once more


def test_a_number_that_only_cell_json_says_is_found(params, tmp_path, capsys):
    change_record(params, "tiny/baseline/seed1", parameters=1)
    out, _, status = audited(params, tmp_path, capsys)
    assert status == 1
    assert "tiny/baseline/seed1: other parameters on the same kind of machine" in out
    change_record(params, "tiny/baseline/seed1", test_error=0.0)
    out, _, status = audited(params, tmp_path, capsys)
    assert status == 1
    assert "curves.csv: its last epoch is not the one that cell.json reports" in out


def test_a_stored_file_that_cell_json_does_not_speak_of_is_found_before_its_cell_is_trained(
    params, tmp_path, capsys, monkeypatch
):
    trained_again = []
    monkeypatch.setattr(
        "hal.audit.training.run", lambda params, cell: trained_again.append(cell.name) or run(params, cell)
    )
    (tmp_path / "checkpoints/tiny/pairs/seed0/weights.safetensors").write_bytes(b"other")
    out, _, status = audited(params, tmp_path, capsys)
    assert status == 1
    assert "weights.safetensors: not the file that cell.json speaks of" in out
    assert trained_again == ["tiny/baseline/seed0", "tiny/baseline/seed1"]


def test_an_interrupted_audit_goes_on(params, tmp_path):
    first = next(audit(params, drawn(params, 3)))
    assert first.agrees
    (kept_file,) = (tmp_path / ".audit").glob("*/results/tiny/*/seed*/cell.json")
    before = kept_file.stat().st_mtime_ns
    findings = audit(params, drawn(params, 3))
    assert next(findings).agrees
    assert kept_file.stat().st_mtime_ns == before
    assert len(list(findings)) == 2
    assert not (tmp_path / ".audit").exists()


def test_the_name_of_a_case_is_nobodys_result(params, tmp_path, capsys):
    change_record(params, "tiny/baseline/seed1", case="the old name")
    assert audited(params, tmp_path, capsys)[2] == 0


def test_a_curve_that_was_touched_says_where(params, tmp_path, capsys):
    path = tmp_path / "results/tiny/baseline/seed1/curves.csv"
    lines = path.read_text().splitlines()
    rows = [
        dict(zip(lines[0].split(","), map(float, line.split(",")), strict=True)) | {"epoch": i}
        for i, line in enumerate(lines[1:], 1)
    ]
    rows[1]["test_error"] += 1
    path.write_bytes(curves_bytes(rows))
    sums = json.loads((path.parent / "cell.json").read_text())["files"]
    change_record(params, "tiny/baseline/seed1", files=sums | {"curves.csv": sha256_of(path)})
    assert "the curves part at epoch 2" in audited(params, tmp_path, capsys)[0]


def elsewhere(result, **changes):
    """A result as another machine would give it."""
    record = result.record | {"provenance": result.record["provenance"] | {"device": "another card"}}
    return dataclasses.replace(result, record=record | {"files": {"curves.csv": "another"}} | changes)


def test_on_another_machine_both_errors_are_held_against_the_other_seeds(params):
    """Of seeds with 3.0 and 4.0 %: 3.5 ± t(0.9875, 1) 0.7071 sqrt(1/2 + 1) = 3.5 ± 22.0, so up to 25.54, for two errors together."""
    first, *_ = (r for r in load_grid(params) if r.ok)

    def like(seed, error):
        cell = dataclasses.replace(first.cell, seed=seed)
        return dataclasses.replace(first, cell=cell, record=first.record | {"test_error": error})

    siblings = [like(1, 3.0), like(2, 4.0)]
    for error, agrees, said in ((25.0, True, "both in"), (26.0, False, "the new one outside")):
        again = elsewhere(first, test_error=error)
        stored = first.record["test_error"]
        found = compared(first, again, [first, *siblings], 1)
        if stored > 25.54:  # an error of chance, as three epochs on noise give it
            agrees, said = (
                False,
                said.replace("both in", "the stored one outside").replace(
                    "the new", "the stored and the new"
                ),
            )
        assert found.agrees is agrees
        assert f"{said} the prediction interval [0.00, 25.54] of the other 2 seeds" in found.says
        assert "another kind of machine (device another card in place of" in found.says
    alone = compared(first, elsewhere(first), [first], 1)
    assert "decides nothing: too few other seeds (0)" in alone.says
    alike = compared(first, elsewhere(first), [first, like(1, 3.0), like(2, 3.0)], 1)
    assert "decides nothing: all 2 other seeds are alike" in alike.says


@pytest.mark.parametrize("side", ["stored", "again"])
def test_a_network_that_was_begun_on_another_machine_owes_nobody_the_same_bytes(params, side):
    first, *_ = (r for r in load_grid(params) if r.ok)
    made = first.record["provenance"]
    mixed = first.record | {"provenance": made | {"before": [made | {"device": "an old card"}]}}
    plain = first.record | {"files": {"curves.csv": "another"}}
    stored, again = (mixed, plain) if side == "stored" else (plain, mixed)
    found = compared(*(dataclasses.replace(first, record=record) for record in (stored, again)), [first], 1)
    assert f"{made['device']} and an old card" in found.says


def test_kernels_that_are_not_deterministic_owe_nobody_the_same_bytes(params):
    first, *_ = (r for r in load_grid(params) if r.ok)
    free = first.record["provenance"] | {"deterministic": False}
    stored = dataclasses.replace(first, record=first.record | {"provenance": free})
    again = dataclasses.replace(stored, record=stored.record | {"files": {"curves.csv": "another"}})
    found = compared(stored, again, [stored], 1)
    assert "another kind of machine (runtime.deterministic is false)" in found.says


def test_diverged_on_one_machine_only_is_a_difference(params):
    first, *_ = (r for r in load_grid(params) if r.ok)
    diverged = dataclasses.replace(elsewhere(first, status="diverged"), state="diverged")
    found = compared(first, diverged, [first], 1)
    assert not found.agrees
    assert "% stored, diverged now, of which there is no interval" in found.says


def test_the_draw_is_the_commits_and_the_results(params):
    results = load_grid(params)
    names = {commit: draw(results, 1, commit).cells[0].cell.name for commit in map(str, range(30))}
    assert len(set(names.values())) == 3
    assert draw(results, 1, "5") == draw(results, 1, "5")
    with pytest.raises(UserError, match="--cells 4: only 3 finished cells"):
        draw(results, 4, "5")
    with pytest.raises(UserError, match="--cells 0: give at least 1"):
        draw(results, 0, "5")
    change_record(params, "tiny/pairs/seed0", time={"wall_s": 61.0})
    assert draw(load_grid(params), 1, "5").seed != draw(results, 1, "5").seed


def test_a_diverged_cell_may_be_drawn_too(params):
    change_record(params, "tiny/pairs/seed0", status="diverged", diverged_at_step=3)
    assert [r.cell.name for r in draw(load_grid(params), 3, "5").cells][-1] == "tiny/pairs/seed0"


def test_an_audit_without_data_says_what_makes_them(params, tmp_path):
    found = drawn(params, 1)
    (tmp_path / "data/tiny.npz").unlink()
    with pytest.raises(UserError, match=r"tiny\.npz: no such file; `hal data tiny` makes it"):
        list(audit(params, found))


def test_what_would_have_gone_unnoticed(params):
    """2 of 75: C(74, 2) / C(75, 2) = 73/75 for one wrong cell; of five, C(70, 2) / C(75, 2) = 2415/2775."""
    assert unnoticed(75, 2, 1) == pytest.approx(73 / 75)
    assert unnoticed(75, 2, 5) == pytest.approx(2415 / 2775)
    assert math.isnan(unnoticed(3, 1, 4))
    one = drawn(params, 1)
    assert summary(one).endswith("with a probability of 67 % if 1 of the 3 is wrong, 33 % if 2 are")
    change_record(params, one.cells[0].cell.name, time={"wall_s": 61.0})
    assert announced(drawn(params, 3)).count("tiny/") == 3
