import numpy as np
import pandas as pd
import pytest

from hal.errors import UserError
from hal.params import load
from hal.study import controls, crossed, measures
from hal.study.grid import load_cells
from tests.made_up import ROOT, change_record, made_up_params, make_up_cell, make_up_grid

# Four classes, two superclasses: {0, 1} and {2, 3}; three images of classes 0, 2 and 3.
OWNER = np.array([0, 0, 1, 1])
LABEL = np.array([0, 2, 3])


@pytest.fixture
def params(tmp_path):
    params = made_up_params(tmp_path, "grid: {datasets: [mnist], seeds: [0, 1]}\ntrain: {epochs: 2}")
    make_up_grid(params, images=500)
    return params


def computed(params):
    """The rows of results/controls/mnist.csv, computed now."""
    controls.write(params, "mnist")
    return controls.read(params, load_cells(params))


def predictions_path(params, name):
    return params.path("checkpoints", name, "predictions.npz")


def test_the_mask_keeps_the_best_class_of_the_true_superclass():
    logits = np.array([[1.0, 2.0, 9.0, 0.0], [9.0, 9.0, 1.0, 0.5], [0.0, 0.0, 7.0, 8.0]])
    # image 0: 2 is masked, 1 beats 0: wrong; image 1: 0 and 1 are masked: right; image 2: right
    assert list(measures.oracle_mask(logits, LABEL, OWNER)) == [1, 2, 3]
    found = measures.of_untold(logits[:, None], LABEL, [[0, 1], [2, 3]])
    assert found["oracle_mask"][:3] == (1, 3, 3)


def test_a_mask_never_makes_a_right_prediction_wrong():
    random = np.random.default_rng(0)
    logits, label = random.standard_normal((500, 4)), random.integers(4, size=500)
    right = logits.argmax(axis=1) == label
    assert (measures.oracle_mask(logits, label, OWNER)[right] == label[right]).all()


def test_a_network_is_judged_by_the_logits_of_the_superclass_that_it_is_told():
    logits = np.zeros((3, 2, 4))
    logits[0, 0, 0] = logits[1, 1, 2] = logits[2, 1, 2] = 1  # right, right, wrong
    logits[:, :, 1] += 0.5
    assert list(measures.as_tested(logits, LABEL, OWNER[LABEL], OWNER, "softmax")) == [0, 2, 2]
    logits[2, 1, 0] = 2  # of the other superclass
    assert list(measures.as_tested(logits, LABEL, OWNER[LABEL], OWNER, "softmax")) == [0, 2, 0]
    assert list(measures.as_tested(logits, LABEL, OWNER[LABEL], OWNER, "masked")) == [0, 2, 2]


def test_without_a_hint_the_most_probable_pair_is_taken_whatever_the_scale_of_the_logits():
    # told 0, it doubts between 0 and 1 on a large scale; told 1, it is sure of 2 on a small one
    logits = np.array([[[100.0, 100.0, 0.0, 0.0], [0.0, 0.0, 6.0, 0.0]]])
    assert list(measures.no_oracle(logits, OWNER)) == [2]


def test_without_a_hint_a_class_outside_the_superclass_told_does_not_count():
    # told 0, it is sure of 3: that contradicts what it was told; of the consistent pairs (1, 2) is the best
    logits = np.array([[[0.0, 0.0, 0.0, 9.0], [0.0, 0.0, 2.0, 0.0]]])
    assert list(measures.no_oracle(logits, OWNER)) == [2]


def test_wrong_hints_mean_and_worst_are_those_worked_by_hand():
    # three superclasses of one class each, two images of class 0; hints 1 and 2 are wrong
    logits = np.zeros((2, 3, 3))
    logits[0, :, 0] = 1  # image 0 is right whatever it is told
    logits[1, 0, 0] = logits[1, 1, 0] = logits[1, 2, 2] = 1  # image 1 is misled by hint 2 only
    found = measures.of_told(logits, np.array([0, 0]), np.array([0, 0]), [[0], [1], [2]])
    assert found["wrong_hint_mean"][:3] == (1, 4, 3)
    assert found["wrong_hint_worst"][:3] == (1, 2, 1)
    assert found["flips"][:2] == (1, 2)
    assert found["best_hint"][:2] == (0, 2)
    assert found["worst_hint"][:2] == (1, 2)


def test_without_a_hint_the_mixture_weighs_every_superclass_by_its_classes():
    # told 0 (three of four classes) it says 1 with 0.6, told 1 it says 3 with 0.9: 0.45 for 1 against 0.225 + 0.3
    p = np.array([[[0.1, 0.6, 0.0, 0.3], [0.1, 0.0, 0.0, 0.9]]])
    with np.errstate(divide="ignore"):
        logits = np.log(p)
    assert list(measures.mixture(logits, np.array([0, 0, 0, 1]))) == [1]
    assert list(measures.mixture(logits, np.array([0, 0, 1, 1]))) == [3]


def test_without_a_hint_the_baselines_prediction_may_choose_it():
    logits = np.zeros((2, 2, 4))
    logits[:, 0, 0] = logits[:, 1, 2] = 1  # it says what it is told
    told = np.array([0, 2]), np.array([0, 1]), [[0, 1], [2, 3]]
    found = measures.of_told(logits, *told, of_baseline=np.array([1, 1]))
    assert found["no_oracle_baseline"][:3] == (1, 2, 1)
    assert "no_oracle_baseline" not in measures.of_told(logits, *told)


def test_a_network_with_the_masked_loss_is_measured_masked_as_it_is_tested():
    """Of images 0 and 2 no logit outside their superclass was ever trained; within it image 2 listens."""
    logits = np.zeros((2, 2, 4))
    logits[0, :, 0], logits[0, 0, 2], logits[0, 1, 3] = 1, 9, 9
    logits[1, 0, 3], logits[1, 1, 2], logits[1, :, 0] = 1, 1, 9
    of = np.array([0, 2]), np.array([0, 1]), [[0, 1], [2, 3]]
    masked, plain = measures.of_told(logits, *of, "masked"), measures.of_told(logits, *of)
    assert (masked["flips"].count, masked["best_hint"].count, masked["worst_hint"].count) == (1, 0, 1)
    assert masked["wrong_hint_mean"][:3] == (1, 2, 2)
    assert (plain["flips"].count, plain["best_hint"].count) == (1, 2)
    assert masked["no_oracle"] == plain["no_oracle"]  # nobody tells the superclass: nobody can mask


def test_what_a_random_hint_leaves_unused_is_of_the_logits_that_were_tested():
    """Told the truth it is right within the superclass, told what it was told it is not."""
    logits = np.zeros((1, 2, 4))
    logits[0, 0, 0] = logits[0, 1, 1] = 1
    found = measures.of_told(logits, np.array([0]), np.array([1]), [[0, 1], [2, 3]])
    assert found["oracle_mask"].count == 1
    assert measures.of_told(logits, np.array([0]), np.array([0]), [[0, 1], [2, 3]])["oracle_mask"].count == 0


def test_scores_under_every_hint_and_who_is_blind_to_it_are_those_worked_by_hand():
    """a(s) - a(s') = h(u_s) - h(u_s'), h(u) = 1 below 0, 1 - 2u between, -1 above 1."""
    u = np.array([[-1.0, -2.0], [0.25, 0.75], [2.0, 0.0], [3.0, 1.0]])
    a = measures.score_under_every_hint(u)
    assert a.tolist() == [[4, 4], [1.5, 0.5], [1, 3], [3, 3]]
    found = measures.of_scored(u, u, np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 0, 1, 1]))
    assert found["blind"][:2] == (2, 4)  # both below 0, both above 1
    assert found["score_change"].value == (0 + 1 + 2 + 0) / 4
    assert found["own_hint_auc"].value == 1
    # told 0: 4, 1.5 | 1, 3; told 1: 4, 0.5 | 3, 3
    assert found["same_hint_auc"].value == np.mean([3 / 4, 1 / 2])


@pytest.mark.parametrize(
    ("superclasses", "said"),
    [
        ([[0, 1], [2]], "class 3 is in no superclass"),
        ([[0, 1], [1, 2, 3]], "class 1 is already in superclass 0"),
        ([[0, 1], [2, 3, 4]], "labels run from 0 to 3"),
    ],
)
def test_a_grouping_that_does_not_cover_the_classes_is_refused(superclasses, said):
    with pytest.raises(UserError, match=said):
        measures.of_untold(np.zeros((3, 1, 4)), LABEL, superclasses)


def test_every_cell_has_its_rows_and_the_baseline_one_for_each_grouping(params):
    table = computed(params)
    assert len(table) == 2 * (4 * 2 + 4 * 14)
    baseline = table[table["case"] == "baseline"]
    assert set(baseline["grouping"]) == {"case1", "case2", "case3", "case4"}
    assert (baseline[baseline["control"] == "oracle_mask"]["superclass_accuracy"] == 100).all()
    assert (table["missing"] == "").all()
    tested = table[table["control"] == "as_tested"].set_index(["case", "seed"])["error"]
    for result in load_cells(params)["result"]:
        errors = np.atleast_1d(tested[(result.cell.case, result.cell.seed)])
        assert errors == pytest.approx(result.record["test_error"], abs=1e-3)


def test_a_new_grouping_needs_no_new_baseline(params):
    controls.write(params, "mnist")
    overlay = params.path("overlay.yaml")
    mine = "\ndatasets: {mnist: {cases: {mine: {superclasses: [[0], [1, 2, 3, 4, 5, 6, 7, 8, 9]]}}}}"
    overlay.write_text(overlay.read_text() + mine)
    changed = load(ROOT / "params.yaml", [overlay])
    before = controls.read(changed, load_cells(changed)).query("grouping == 'mine'").set_index("case")
    assert before.loc["baseline", "missing"].str.contains("hal controls mnist").all()
    controls.write(changed, "mnist")
    after = controls.read(changed, load_cells(changed)).query("grouping == 'mine'").set_index("case")
    assert after.loc["baseline", "error"].notna().all()
    assert set(after.loc["mine", "missing"]) == {"missing"}


def test_a_grouping_changed_under_its_old_name_keeps_no_old_row(params):
    controls.write(params, "mnist")
    overlay = params.path("overlay.yaml")
    moved = "\ndatasets: {mnist: {cases: {case1: {superclasses: [[5, 6, 7, 8], [0, 1, 2, 3, 4, 9]]}}}}"
    overlay.write_text(overlay.read_text() + moved)
    changed = load(ROOT / "params.yaml", [overlay])
    table = controls.read(changed, load_cells(changed)).query("case == 'baseline'")
    assert set(table[table["error"].isna()]["grouping"]) == {"case1"}


def test_without_predictions_the_rows_of_the_same_cell_stay(params):
    before = controls.write(params, "mnist").read_bytes()
    for cell in params.cells():
        predictions_path(params, cell.name).unlink()
    assert controls.write(params, "mnist").read_bytes() == before


def test_a_cell_without_predictions_and_without_rows_says_what_is_missing(params):
    predictions_path(params, "mnist/case1/seed0").unlink()
    table = computed(params)
    lacking = table[table["missing"] != ""]
    assert set(zip(lacking["case"], lacking["seed"], strict=True)) == {("case1", 0)}
    assert lacking["missing"].str.endswith("mnist/case1/seed0/predictions.npz: no such file").all()


@pytest.mark.parametrize("fault", ["nan", "bytes", "shape", "other"])
def test_broken_predictions_cost_their_own_cell_only_and_are_named(params, fault):
    path = predictions_path(params, "mnist/case2/seed1")
    with np.load(path) as stored:
        logits, label, told = stored["logits"].copy(), stored["label"], stored["told"]
    if fault == "nan":
        logits[3, 0, 2] = np.nan
    if fault == "shape":
        logits = logits[:, :1]
    if fault == "other":
        logits = -logits
    np.savez(path, logits=logits, label=label, told=told)
    if fault == "bytes":
        path.write_bytes(path.read_bytes()[:100])
    said = {
        "nan": "1 logits are not finite",
        "bytes": "broken",
        "shape": "are not case2's",
        "other": "its error is",
    }
    table = computed(params)
    lacking = table[table["missing"] != ""]
    assert set(zip(lacking["case"], lacking["seed"], strict=True)) == {("case2", 1)}
    assert lacking["missing"].str.contains(said[fault]).all()
    assert (table[table["error"].notna()]["missing"] == "").all()


def test_broken_predictions_cost_no_number_that_was_counted_on_them(params):
    before = controls.write(params, "mnist").read_bytes()
    for cell in params.cells():
        predictions_path(params, cell.name).write_bytes(b"broken")
        assert controls.write(params, "mnist").read_bytes() == before


@pytest.mark.parametrize("state", ["missing", "unfinished", "diverged", "stale", "broken"])
def test_only_cells_that_are_ok_have_controls(params, state):
    make_up_cell(params, params.cell("mnist", "case1", 0), state, images=500)
    table = computed(params)
    lacking = table[table["missing"] != ""]
    assert set(zip(lacking["case"], lacking["seed"], strict=True)) == {("case1", 0)}
    assert lacking["missing"].str.startswith(state).all()


@pytest.mark.parametrize("again", ["case1", "baseline"])
def test_numbers_of_a_cell_trained_again_are_not_kept(params, again):
    """However near its error is to the old one: another network of the same settings may listen where the first did not."""
    controls.write(params, "mnist")
    predictions_path(params, f"mnist/{again}/seed0").unlink()
    change_record(params, f"mnist/{again}/seed0", files={"predictions.npz": "those of another training"})
    for read in (
        controls.read,
        lambda params, cells: controls.write(params, "mnist") and controls.read(params, cells),
    ):
        rows = read(params, load_cells(params)).query("seed == 0")
        told_by_it = rows[rows["control"] == "no_oracle_baseline"] if again == "baseline" else rows[:0]
        lost = pd.concat([rows[rows["case"] == again], told_by_it[told_by_it["case"] != again]])
        assert len(lost) > len(told_by_it)
        assert lost["count"].isna().all()
        kept = rows.drop(lost.index)
        assert kept[kept["control"].isin(["as_tested", "flips"])]["count"].notna().all()


def test_a_reason_that_holds_no_more_is_not_kept(params):
    controls.write(params, "mnist")
    for name in ("mnist/baseline/seed0", "mnist/case1/seed0"):
        predictions_path(params, name).rename(predictions_path(params, name).with_suffix(".away"))
    params.path("results/controls/mnist.csv").unlink()
    controls.write(params, "mnist")
    away = predictions_path(params, "mnist/case1/seed0")
    away.with_suffix(".away").rename(away)
    controls.write(params, "mnist")
    rows = controls.read(params, load_cells(params)).query("case == 'case1' and seed == 0")
    (reason,) = rows[rows["control"] == "no_oracle_baseline"]["missing"]
    assert reason == "the predictions of the baseline of that seed are not here"


def test_why_a_number_is_missing_is_what_holds_now(params):
    """A row never counted kept its first reason: predictions that were damaged, then moved away, were damaged for ever."""
    path = predictions_path(params, "mnist/case1/seed0")
    path.write_bytes(b"damaged")
    controls.write(params, "mnist")
    crossed.write(params, "mnist")
    path.unlink()
    rows = computed(params).query("case == 'case1' and seed == 0")
    assert rows["missing"].str.endswith("predictions.npz: no such file").all()
    crossed.write(params, "mnist")
    rows = crossed.read(params, load_cells(params))
    lacking = rows[(rows["case"] == "case1") & (rows["quantity"] != "masked")]["missing"]
    assert lacking.str.endswith("predictions.npz: no such file").all()


def test_a_network_that_is_told_zeros_has_no_score_under_another_superclass(tmp_path):
    """Its scores were computed as if it were told what it never is: no image blind, though no prediction could change."""
    kinds = "{told: {superclasses: &s [[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]]}, zeros: {superclasses: *s, hint: zero}, chance: {superclasses: *s, hint: random}}"
    params = made_up_params(
        tmp_path, f"grid: {{datasets: [mnist], seeds: [0]}}\ndatasets: {{mnist: {{cases: {kinds}}}}}"
    )
    of_case = {
        case: set(controls.controls_of(params.cell("mnist", case, 0))) for case in params.cases("mnist")
    }
    assert of_case["told"] == of_case["chance"] == {*measures.TOLD, *measures.SCORED}
    assert of_case["zeros"] == set(measures.TOLD)
    make_up_grid(params, images=500)
    params.path("checkpoints/mnist/zeros/seed0/auxiliary.npz").write_bytes(b"damaged")
    rows = computed(params).query("case == 'zeros'")
    assert (rows["missing"] == "").all()  # its scores are not read
    assert rows["count"].notna().all()


def test_where_a_cells_predictions_and_its_baselines_are_gone_the_masks_reason_is_the_baselines(params):
    for name in ("mnist/baseline/seed0", "mnist/case1/seed0"):
        predictions_path(params, name).unlink()
    rows = computed(params).query("case == 'case1' and seed == 0").set_index("control")["missing"]
    assert rows["no_oracle_baseline"] == "the predictions of the baseline of that seed are not here"
    assert rows.drop("no_oracle_baseline").str.endswith("case1/seed0/predictions.npz: no such file").all()


def test_what_needs_a_baseline_stays_where_its_predictions_are_gone(params):
    controls.write(params, "mnist")
    before = controls.read(params, load_cells(params))
    predictions_path(params, "mnist/baseline/seed0").unlink()
    controls.write(params, "mnist")
    pd.testing.assert_frame_equal(controls.read(params, load_cells(params)), before)


def test_a_broken_file_of_controls_says_how_to_make_it_anew(params):
    path = controls.write(params, "mnist")
    path.write_text("nonsense")
    table = controls.read(params, load_cells(params))
    assert table["error"].isna().all()
    assert table["missing"].str.contains("hal controls mnist").all()


def test_a_data_set_that_is_not_in_the_grid_is_refused(params):
    with pytest.raises(UserError, match="'svhn': the grid has mnist"):
        controls.write(params, "svhn")


def test_no_flipped_bit_of_the_file_becomes_a_number(params):
    path = controls.write(params, "mnist")
    whole, before = path.read_bytes(), controls.read(params, load_cells(params))
    random = np.random.default_rng(0)
    for at, bit in zip(random.integers(len(whole), size=20), random.integers(8, size=20), strict=True):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        table = controls.read(params, load_cells(params))
        assert table["count"].isna().all()
        assert table["missing"].str.contains("hal controls mnist").all()
    path.write_bytes(whole)
    pd.testing.assert_frame_equal(controls.read(params, load_cells(params)), before)


@pytest.mark.parametrize("block", ["auxiliary", "none"])
def test_a_network_of_the_masked_loss_is_tested_as_it_was_told_and_within_the_true_superclass(
    tmp_path, block
):
    told_by = "hint: random, " if block == "auxiliary" else ""
    params = made_up_params(
        tmp_path,
        "grid: {datasets: [mnist], seeds: [0]}\ndatasets: {mnist: {cases: {mine: {superclasses: "
        f"[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], block: {block}, {told_by}loss: masked}}}}}}}}",
    )
    make_up_grid(params, images=500)
    label, told = np.array([0, 7, 3, 9], dtype=np.uint8), np.array([1, 0, 0, 1], dtype=np.uint8)
    logits = np.zeros((4, 2, 10), dtype=np.float32)
    logits[0, 1, [7, 0]] = 9, 1  # 7 is outside the true superclass: 0, right
    logits[1, 0, [8, 7]] = 2, 1  # 8, wrong
    logits[2, 0, 3] = 1  # right
    logits[3, 1, [2, 9]] = 5, 1  # 2 is outside: 9, right
    logits[[0, 1, 2, 3], [0, 1, 1, 0], [3, 7, 4, 6]] = (
        1  # what it was not told would be wrong, right, wrong, wrong
    )
    arrays = {"logits": logits, "label": label, "told": told}
    if block == "none":  # one set of logits, and nothing told
        arrays = {"logits": logits[np.arange(4), told][:, None], "label": label}
    np.savez(predictions_path(params, "mnist/mine/seed0"), **arrays)
    change_record(params, "mnist/mine/seed0", test_error=25.0)
    (row,) = computed(params).query("case == 'mine' and control == 'as_tested'").to_dict("records")
    assert (row["missing"], row["count"], row["images"], row["right_superclass"]) == ("", 1, 4, 4)
    change_record(params, "mnist/mine/seed0", test_error=25.2)
    said = computed(params).query("case == 'mine'")["missing"].unique()
    assert [text.split("predictions.npz: ")[1] for text in said] == [
        "its error is 25.00 %, but cell.json's 25.20 %"
    ]


def test_without_a_hint_every_consistent_pair_can_be_the_best_and_no_other():
    # one image a class: it is said best by the superclass of that class, and louder by the other one
    logits = np.zeros((4, 2, 4))
    for label, superclass in enumerate(OWNER):
        logits[label, superclass, label] = 3
        logits[label, 1 - superclass, label] = 9
    assert list(measures.no_oracle(logits, OWNER)) == [0, 1, 2, 3]
