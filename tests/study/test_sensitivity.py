"""What an assumption is worth: hand-made errors of a data set and one variant."""

import pytest

from hal.cell_files import record_bytes
from hal.outputs import families, study_names
from hal.params import load
from hal.present import tables
from hal.study import sensitivity
from hal.study.grid import load_cells
from tests.tiny import ROOT

OVERLAY = """
root: {root}
grid: {{datasets: [digits], seeds: [0, 1]}}
variants:
  slow: {{title: a tenth of the rate, train: {{max_lr: 0.1}}}}
"""


@pytest.fixture
def params(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(OVERLAY.format(root=tmp_path), encoding="utf-8")
    return load(ROOT / "params.yaml", [overlay])


def write(params, dataset: str, case: str, errors: list[float | None]) -> None:
    """A cell a seed with that test error; None has diverged."""
    for seed, error in enumerate(errors):
        cell = params.cell(dataset, case, seed)
        record = {
            "hash": cell.hash,
            "settings": cell.settings,
            "provenance": {},
            "epochs": 3,
            "time": {"wall_s": 1.0},
            "files": {},
        }
        record |= {
            "status": "diverged" if error is None else "ok",
            "diverged_at_step": 5 if error is None else None,
        }
        record |= dict.fromkeys(("test_loss", "train_error", "train_loss"), 1.0) | {"test_error": error}
        folder = params.cell_paths(cell).results
        folder.mkdir(parents=True)
        (folder / "cell.json").write_bytes(record_bytes(record))


def test_every_variant_and_case_has_its_errors_and_says_how_many_count(params):
    write(params, "digits", "baseline", [4.0, 6.0])
    write(params, "digits", "case1", [3.0, 3.0])
    write(params, "digits-slow", "baseline", [8.0, 8.0])
    write(params, "digits-slow", "case1", [2.0, None])
    table = sensitivity.sensitivity(params, load_cells(params)).set_index(["variant", "case"])

    unvaried, slow = table.loc["as set"], table.loc["a tenth of the rate"]
    assert unvaried.loc["baseline", "mean"] == 5.0
    assert unvaried.loc["baseline", "sd"] == pytest.approx(2**0.5)
    assert unvaried.loc["case1", "mean"] == 3.0
    assert slow.loc["case1", "mean"] == 2.0
    assert (slow.loc["case1", "n"], slow.loc["case1", "diverged"]) == (1, 1)

    (shown,) = tables.sensitivity(params, table.reset_index())
    rows = {row[0]: row[1:] for _, rows in shown.groups for row in rows}
    assert rows["as set"][:3] == ("5.00 ± 1.41 (2)", "3.00 ± 0.00 (2)", "– (0), 2 without a result")
    assert rows["a tenth of the rate"][:2] == ("8.00 ± 0.00 (2)", "2.00 (1), 1 diverged")


def test_what_is_as_set_says_its_epochs_beside_variants_of_others_and_the_heading_names_none(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        OVERLAY.format(root=tmp_path) + "  short: {title: 3 epochs, train: {epochs: 3}}\n", encoding="utf-8"
    )
    params = load(ROOT / "params.yaml", [overlay])
    for dataset in params.grid.datasets:
        write(params, dataset, "baseline", [4.0, 6.0])
    (shown,) = tables.sensitivity(params, sensitivity.sensitivity(params, load_cells(params)))
    ((heading, rows),) = shown.groups
    assert heading == "Digits (8×8)"
    assert [row[0] for row in rows] == ["as set, 250 epochs", "a tenth of the rate", "3 epochs"]


def test_a_run_without_variants_has_no_such_table():
    params = load(ROOT / "params.yaml")
    assert families(params) == {}
    assert "sensitivity" not in study_names(params)
