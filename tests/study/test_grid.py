import json

import pytest

from hal.cell_files import FINAL
from hal.data.described import described
from hal.errors import UserError
from hal.study.grid import curves, differences, load_cells, load_grid, scores, select, summary
from tests.made_up import change_record, made_up_params, make_up_cell, make_up_grid

SMALL = "grid: {datasets: [mnist], seeds: [0, 1]}\ntrain: {epochs: 4}"


@pytest.fixture
def params(tmp_path):
    params = made_up_params(tmp_path, SMALL)
    make_up_grid(params, images=300)
    return params


def look(params, name):
    """The result of the cell of that name."""
    return next(r for r in load_grid(params) if r.cell.name == name)


def test_the_grid_holds_every_planned_cell_in_order_and_nothing_that_lies_around(params):
    make_up_cell(params, params.cell("mnist", "case1", 7), images=300)
    assert [r.cell.name for r in load_grid(params)] == [cell.name for cell in params.cells()]
    assert all(r.ok and not r.reason for r in load_grid(params))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("missing", "missing"),
        ("unfinished", "unfinished after epoch 1 of 4"),
        ("diverged", "diverged at step 2"),
        ("stale", "stale (train.epochs is 5, not 4)"),
    ],
)
def test_a_cell_that_does_not_count_says_why(params, state, said):
    cell = params.cell("mnist", "case1", 1)
    make_up_cell(params, cell, state, images=300)
    result = look(params, cell.name)
    assert (result.state, result.ok) == (state, False)
    assert summary([result]) == f"seed 1 {said}"


def test_a_cell_trained_on_other_data_is_stale(params):
    path = params.path("data", "mnist.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"arrays_sha256": "0" * 64}))
    assert {r.state for r in load_grid(params)} == {"stale"}
    assert "other data" in load_grid(params)[0].reason


def test_data_are_known_by_their_sum_whatever_else_a_description_says(params):
    path = params.path("data", "mnist.json")
    told = json.loads(path.read_text()) | {"arrays_sha256": "0" * 64, "test": {"images": float("inf")}}
    path.write_text(json.dumps(told))
    assert {r.state for r in load_grid(params)} == {"stale"}
    with pytest.raises(UserError, match="cannot be read"):
        described(params, "mnist")


def test_a_data_description_that_cannot_be_read_costs_no_cell_but_is_said(params):
    params.path("data", "mnist.json").write_text("{")
    result = load_grid(params)[0]
    assert result.ok
    assert "mnist.json: cannot be read" in result.reason


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"hash": 3}', "\xff"])
def test_a_cell_json_that_is_none_is_broken_and_named(params, content):
    path = params.path("results", "mnist/case2/seed0/cell.json")
    path.write_bytes(content.encode("latin-1"))
    result = look(params, "mnist/case2/seed0")
    assert result.state == "broken"
    assert str(path) in result.reason
    assert look(params, "mnist/case2/seed1").ok


@pytest.mark.parametrize("error", [None, float("nan"), float("inf"), -1, 101, "2", True])
def test_an_error_that_is_no_percentage_never_counts(params, error):
    change_record(params, "mnist/case1/seed0", test_error=error)
    result = look(params, "mnist/case1/seed0")
    assert result.state == "broken"
    assert "test_error" in result.reason


def test_without_a_description_cells_of_different_data_enter_no_mean(params):
    """As in a clone that lacks data/mnist.json: which of them are right cannot be told."""
    path = params.path("data", "mnist.json")
    path.unlink()
    assert look(params, "mnist/case1/seed0").ok  # all are of the same data
    made = look(params, "mnist/case1/seed1").record["provenance"]
    change_record(params, "mnist/case1/seed1", provenance=made | {"data_sha256": "0" * 64})
    for r in load_grid(params):
        if r.cell.dataset == "mnist":
            assert r.state == "stale"
            assert f"trained on 2 different data, and no {path} says on which" in r.reason
        else:
            assert r.ok
    (alone,) = load_grid(params, [params.cell("mnist", "case1", 0)])  # the others decide on it, too
    assert alone.state == "stale"


def test_some_cells_are_looked_at_without_the_others(params):
    make_up_cell(params, params.cell("mnist", "case1", 1), "stale", images=300)
    some = [cell for cell in params.cells() if cell.case == "case1"]
    assert load_grid(params, some) == [r for r in load_grid(params) if r.cell in some]


def test_an_unknown_status_is_broken(params):
    change_record(params, "mnist/case1/seed0", status="fine")
    assert "status is fine" in look(params, "mnist/case1/seed0").reason


def test_differences_name_every_key_that_differs():
    recorded = {"a": 1, "b": {"c": 2, "d": [1, 2]}, "old": 0}
    expected = {"a": 1, "b": {"c": 3, "d": [1, 3]}, "new": None}
    assert differences(recorded, expected) == [
        "b.c is 2, not 3",
        "b.d is [1, 2], not [1, 3]",
        "old is 0, not null",
    ]


def test_seeds_with_the_same_fate_are_said_together(params):
    for seed in (0, 1):
        make_up_cell(params, params.cell("mnist", "case1", seed), "missing")
    assert summary([r for r in load_grid(params) if r.cell.case == "case1"]) == "seeds 0, 1 missing"


def test_curves_and_scores_come_back_as_they_were_written(params):
    result = look(params, "mnist/case3/seed0")
    assert list(curves(result)["epoch"]) == [1, 2, 3, 4]
    table = scores(result)
    assert len(table) == 300
    assert set(table["label"][table["superclass"] == 0]) == {2, 3, 5, 7}


@pytest.mark.parametrize("content", [b"", b"epoch\n1\n", b"\xff\xfe\x00", b"epoch,lr,train_loss\n1,2,3\n"])
def test_broken_curves_are_named_and_the_cell_still_counts(params, content):
    result = look(params, "mnist/case3/seed0")
    (result.paths.curves).write_bytes(content)
    with pytest.raises(UserError, match=r"case3/seed0/curves\.csv: broken"):
        curves(result)
    assert look(params, "mnist/case3/seed0").ok


def test_curves_with_an_epoch_too_few_are_refused(params):
    path = look(params, "mnist/case3/seed0").paths.curves
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="holds 3 rows where epochs 1 to 4"):
        curves(look(params, "mnist/case3/seed0"))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no zip", lambda b: b""])
def test_broken_scores_are_named(params, damage):
    result = look(params, "mnist/case3/seed0")
    path = result.paths.scores
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"case3/seed0/scores\.npz: broken"):
        scores(result)


def test_scores_of_another_grouping_are_refused(params):
    result = look(params, "mnist/case3/seed0")
    (params.path("results", "mnist/case1/seed0/scores.npz")).rename(result.paths.scores)
    with pytest.raises(UserError, match="superclasses are not those of case3"):
        scores(result)


def test_missing_curves_and_scores_are_named(params):
    result = look(params, "mnist/case3/seed0")
    for name, read in (("curves.csv", curves), ("scores.npz", scores)):
        (result.paths.results / name).unlink()
        with pytest.raises(UserError, match=f"{name}: no such file"):
            read(result)


def test_the_frame_has_a_row_a_planned_cell_and_numbers_of_those_alone_that_count(params):
    change_record(params, "mnist/case1/seed0", test_error=2.5)
    make_up_cell(params, params.cell("mnist", "case1", 1), "diverged")
    make_up_cell(params, params.cell("mnist", "case2", 0), "stale")
    cells = load_cells(params)
    assert [result.cell.name for result in cells["result"]] == [cell.name for cell in params.cells()]
    case1 = select(cells, dataset="mnist", case="case1").set_index("seed")
    assert case1["state"].to_dict() == {0: "ok", 1: "diverged"}
    assert case1.loc[0, "test_error"] == 2.5
    counted = cells["state"] == "ok"
    assert counted.sum() == len(cells) - 2
    assert cells[counted][list(FINAL)].notna().all(axis=None)
    assert (
        cells[~counted][list(FINAL)].isna().all(axis=None)
    )  # even the stale one's, whose cell.json has them
