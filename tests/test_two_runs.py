"""Two runs compared, and cells of several sites brought together."""

import json
import shutil
import subprocess

import pandas as pd
import pytest

from hal import locks, remeasured
from hal.cell_files import check_sum, read_record
from hal.cli import main
from hal.errors import UserError
from hal.files import sha256_of
from hal.merge import merge
from hal.present import comparison
from hal.revisions import run_folder
from hal.study import all_tables, controls, two_runs
from hal.study.grid import load_grid
from tests.made_up import change_curves, change_record, made_up_params, make_up_cell, make_up_grid

GRID = "grid: {datasets: [mnist], seeds: [0, 1, 2]}\ntrain: {epochs: 4}"


@pytest.fixture
def two(tmp_path):
    """The same made-up run twice."""
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(made_up_params(tmp_path / name, GRID))
    make_up_grid(made[0], images=100)
    with_sums(made[0])
    shutil.copytree(
        tmp_path / "a", tmp_path / "b", dirs_exist_ok=True, ignore=shutil.ignore_patterns("overlay.yaml")
    )
    return made


def roots(two):
    return [params.path() for params in two]


def with_sums(params):
    """Made-up cells have no sums of their files."""
    for cell in params.cells():
        folders = (params.path("results", cell.name), params.path("checkpoints", cell.name))
        files = [file for folder in folders for file in sorted(folder.iterdir()) if file.name != "cell.json"]
        change_record(params, cell.name, files={file.name: sha256_of(file) for file in files})


def test_the_same_run_is_the_same(two):
    cells = two_runs.cells(*roots(two))
    assert len(cells) == 15
    assert set(cells["agreement"]) == {"same bytes"}
    assert (cells["difference"] == 0).all()
    networks = two_runs.networks(cells)
    assert (networks[["a_n", "b_n"]] == 3).all(axis=None)
    assert (networks["difference"] == 0).all()


def test_each_kind_of_difference_is_named(two):
    a, b = two
    change_record(b, "mnist/case1/seed0", files={"curves.csv": "other"}, test_error=7.0)
    made = json.loads(b.path("results/mnist/case1/seed0/cell.json").read_text())["provenance"]
    change_record(b, "mnist/case1/seed0", provenance=made | {"device": "another card"})
    settings = json.loads(b.path("results/mnist/case2/seed0/cell.json").read_text())["settings"]
    settings["train"]["epochs"] = 8
    change_record(b, "mnist/case2/seed0", settings=settings, hash="0" * 16)
    change_record(b, "mnist/case3/seed1", status="diverged", diverged_at_step=3, files={})
    shutil.rmtree(a.path("results/mnist/baseline/seed2"))
    shutil.rmtree(b.path("results/mnist/case4/seed2"))
    cells = two_runs.cells(*roots(two)).set_index(["case", "seed"])
    assert tuple(cells.loc[("case1", 0), ["agreement", "b_error"]]) == ("other bytes", 7.0)
    assert cells.loc[("case1", 0), "notes"].startswith("device another card, not ")
    assert tuple(cells.loc[("case2", 0), ["agreement", "settings", "notes"]]) == (
        "other settings",
        "train.epochs is 8, not 4",
        "",
    )
    assert "diverged in B" in cells.loc[("case3", 1), "notes"]
    assert cells.loc[("baseline", 2), "agreement"] == "only in B"
    assert cells.loc[("case4", 2), "agreement"] == "only in A"
    networks = two_runs.networks(two_runs.cells(*roots(two))).set_index("case")
    assert tuple(networks.loc["case3", ["a_n", "b_n"]]) == (3, 2)
    assert tuple(networks.loc["baseline", ["a_n", "b_n"]]) == (2, 3)


def test_a_difference_of_networks_has_welchs_interval(two):
    """Errors 1, 2, 3 against 4, 5, 6: a difference of 3, t(0.975, 4) sqrt(2/3) = 2.267, p = 0.0213, times five for Holm."""
    a, b = two
    for params, first in ((a, 1.0), (b, 4.0)):
        for seed in range(3):
            change_record(params, f"mnist/case1/seed{seed}", test_error=first + seed)
    networks = two_runs.networks(two_runs.cells(*roots(two))).set_index("case")
    row = networks.loc["case1"]
    assert row["difference"] == pytest.approx(3)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((3 - 2.267, 3 + 2.267), abs=1e-3)
    assert row["p"] == pytest.approx(0.02131, abs=1e-5)
    assert row["p_holm"] == pytest.approx(5 * 0.02131, abs=1e-4)


def test_the_command_says_it_and_writes_it_where_it_is_asked_to(two, tmp_path, capsys):
    for params in two:
        controls.write(params, "mnist")
        all_tables.write(params)
    words = [*map(str, roots(two)), "--out", str(tmp_path / "out")]
    assert main(["compare", *words]) == 0
    said = capsys.readouterr().out
    assert "15 cells: 15 same bytes." in said
    assert "No difference can be tested: no network" in said  # made-up seeds all err alike
    assert "None of 32 verdicts differs." in said
    assert "None of 32 indications differs." in said
    assert "| Cell |" not in said  # all are the same
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cells.csv",
        "claims.csv",
        "compare.html",
        "networks.csv",
    ]
    page = (tmp_path / "out/compare.html").read_text()
    assert "Two runs compared" in page
    assert "mnist/case4/seed2" in page


def test_a_comparison_is_written_among_nothing_else(two, tmp_path, capsys):
    a, b = map(str, roots(two))
    table = two[0].path("results", "networks.csv")
    table.write_text("a table of the run's own")
    assert main(["compare", a, b, "--out", str(table.parent)]) == 1
    assert "name a folder of its own" in capsys.readouterr().err
    assert table.read_text() == "a table of the run's own"
    assert main(["compare", a, b, "--out", str(table)]) == 1
    assert "is no folder" in capsys.readouterr().err
    for _ in range(2):
        assert main(["compare", a, b, "--out", str(tmp_path / "out")]) == 0


def test_what_another_wrote_is_no_formula_in_a_spreadsheet(two, tmp_path):
    path = two[1].path("results", "mnist/case1/seed0", "cell.json")
    settings = json.loads(path.read_text())["settings"] | {"=HYPERLINK(0)": 1}
    change_record(two[1], "mnist/case1/seed0", settings=settings, hash="0" * 16)
    tables, document = comparison.build(*roots(two), ("a", "b"))
    comparison.write(tmp_path / "compared", tables, document)
    written = pd.read_csv(tmp_path / "compared/cells.csv", keep_default_na=False)
    assert set(written["settings"]) == {"", "'=HYPERLINK(0) is 1, not null"}
    assert (written["difference"].astype(float) == 0).all()


def test_a_verdict_that_differs_shows_both_with_their_numbers(two):
    _, b = two
    for case in b.cases("mnist")[1:]:
        for seed in range(3):  # every case errs more than the baseline
            change_record(b, f"mnist/{case}/seed{seed}", test_error=50.0 + seed)
            curves = pd.read_csv(b.path(f"results/mnist/{case}/seed{seed}/curves.csv"))
            curves.loc[curves.index[-1], "test_error"] = 50.0 + seed
            change_curves(b, f"mnist/{case}/seed{seed}", curves)
    for params in two:
        for file in params.path("results").glob("mnist/*/*/cell.json"):
            change_record(params, str(file.parent.relative_to(params.path("results"))), files={})
        controls.write(params, "mnist")
        all_tables.write(params)
    row = two_runs.claims(*roots(two)).query("indication_differs").iloc[0]
    assert row["a_why"] != row["b_why"]
    tables, document = comparison.build(*roots(two), ("a", "b"))
    assert row["b_why"] in str(document.blocks)
    assert row["says"] in comparison.text(tables, ("a", "b"))


def test_settings_are_said_once_whatever_diverged_and_single_seeds_are_not_tested(two):
    a, b = two
    for cell in b.cells():
        settings = json.loads(b.path("results", cell.name, "cell.json").read_text())["settings"]
        settings["train"]["epochs"] = 8
        change_record(b, cell.name, settings=settings, hash="0" * 16)
        if cell.seed:
            lose(a, cell.name)
    change_record(b, "mnist/case3/seed0", status="diverged", diverged_at_step=3)
    tables, document = comparison.build(*roots(two), ("a", "b"))
    said = comparison.summary(tables, ("a", "b"))
    assert [line for line in said if line.startswith("Settings")] == [
        "Settings of B beside A's: train.epochs is 8, not 4."
    ]
    assert "No difference can be tested: no network has several seeds in both whose errors vary." in said
    assert "train.epochs is 8, not 4; diverged in B" in str(document.blocks)


def test_without_verdicts_the_rest_is_compared(two):
    tables, document = comparison.build(*roots(two), ("a", "b"))
    assert tables["claims"].empty
    assert "`hal study` computes them" in str(document.blocks)


def test_a_run_of_a_git_revision_is_taken_out_of_git(two, tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", "a")
    git("commit", "-qm", "a run")
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "a")
    with run_folder("HEAD:a") as then, run_folder("b") as now:
        assert set(two_runs.cells(then, now)["agreement"]) == {"same bytes"}
    with (
        pytest.raises(UserError, match="nowhere: no folder with results/, and no git revision"),
        run_folder("nowhere"),
    ):
        pass


def test_a_folder_without_cells_is_named(two, tmp_path):
    (tmp_path / "empty/results").mkdir(parents=True)
    with pytest.raises(UserError, match="empty: no finished cell"):
        two_runs.cells(tmp_path / "empty", two[0].path())


def lose(params, *names):
    for name in names:
        for folder in ("results", "checkpoints"):
            shutil.rmtree(params.path(folder, name))


def test_cells_of_two_sites_become_one_grid_and_keep_where_they_were_made(two):
    a, b = two
    lose(a, "mnist/case1/seed0", "mnist/case1/seed1")
    lose(b, "mnist/case2/seed0", "mnist/case1/seed1")
    made = json.loads(b.path("results/mnist/case1/seed0/cell.json").read_text())["provenance"] | {
        "device": "their card"
    }
    change_record(b, "mnist/case1/seed0", provenance=made)
    taken, refused = merge(a, [b.path()])
    assert [line.split(":")[0] for line in taken] == ["mnist/case1/seed0"]
    assert "made on their card" in taken[0]
    assert refused == []
    states = {r.cell.name: r for r in load_grid(a)}
    assert states["mnist/case1/seed0"].ok
    assert states["mnist/case1/seed0"].record["provenance"]["device"] == "their card"
    assert states["mnist/case1/seed1"].state == "missing"
    assert merge(a, [b.path()]) == ([], [])


def test_what_is_finished_here_is_never_replaced_and_a_conflict_copies_nothing(two):
    a, b = two
    lose(a, "mnist/case1/seed0")
    change_record(b, "mnist/baseline/seed0", files={"curves.csv": "0" * 64})
    before = a.path("results/mnist/baseline/seed0/cell.json").read_bytes()
    with pytest.raises(
        UserError, match=r"mnist/baseline/seed0: finished in .* with other bytes; nothing was copied"
    ):
        merge(a, [b.path()])
    assert a.path("results/mnist/baseline/seed0/cell.json").read_bytes() == before
    assert not a.path("results/mnist/case1/seed0").exists()


def test_a_stale_or_broken_cell_is_left_alone_and_named(two):
    a, b = two
    settings = json.loads(a.path("results/mnist/case1/seed0/cell.json").read_text())["settings"]
    settings["train"]["epochs"] = 8
    change_record(a, "mnist/case1/seed0", settings=settings, hash="0" * 16)
    a.path("results/mnist/case1/seed1/cell.json").write_text("{")
    before = {path: path.read_bytes() for path in a.path("results").rglob("*.json")}
    taken, refused = merge(a, [b.path()])
    assert taken == []
    assert [line.split(":")[0] for line in refused] == ["mnist/case1/seed0", "mnist/case1/seed1"]
    assert "is stale (train.epochs is 8, not 4); move it away to take that of" in refused[0]
    assert "is broken" in refused[1]
    assert {path: path.read_bytes() for path in a.path("results").rglob("*.json")} == before


def test_a_finished_cell_of_other_settings_is_not_replaced_because_a_new_one_is_under_way(two):
    """It is called unfinished then, and is finished all the same."""
    a, b = two
    make_up_cell(a, a.cell("mnist", "case1", 0), "stale", images=300)
    make_up_cell(a, a.cell("mnist", "case1", 1), "stale", images=300)
    resume = a.cell_paths(a.cell("mnist", "case1", 0)).resume
    resume.mkdir(parents=True)
    (resume / "progress.json").write_text('{"epoch": 1, "epochs": 4}')
    before = {path: path.read_bytes() for path in a.path("results").rglob("*.json")}
    taken, refused = merge(a, [b.path()])
    assert taken == []
    assert [line.split(":")[0] for line in refused] == ["mnist/case1/seed0", "mnist/case1/seed1"]
    assert {path: path.read_bytes() for path in a.path("results").rglob("*.json")} == before


def test_a_cell_that_finishes_while_others_are_copied_is_not_replaced(two, monkeypatch):
    a, b = two
    lose(a, "mnist/case1/seed0")
    cell = a.cell("mnist", "case1", 0)
    acquire = locks.acquire

    def finish_first(path):
        if path == a.cell_paths(cell).lock:
            make_up_cell(a, cell, images=200)
        return acquire(path)

    monkeypatch.setattr("hal.merge.locks.acquire", finish_first)
    assert merge(a, [b.path()])[0] == []
    assert (a.path("results", cell.name) / "cell.json").read_bytes() != (
        b.path("results", cell.name) / "cell.json"
    ).read_bytes()


def test_a_cell_under_way_is_not_taken_from_under_its_trainer(two):
    a, b = two
    lose(a, "mnist/case1/seed0")
    lock = locks.acquire(a.cell_paths(a.cell("mnist", "case1", 0)).lock)
    said = "mnist/case1/seed0: is being trained here, or was while others were copied"
    assert merge(a, [b.path()]) == ([], [said])
    lock.release()
    assert len(merge(a, [b.path()])[0]) == 1


def test_weights_that_stayed_elsewhere_are_named(two):
    a, b = two
    lose(a, "mnist/case1/seed0")
    b.path("checkpoints/mnist/case1/seed0/predictions.npz").unlink()
    ((said,), _) = merge(a, [b.path()])
    assert "without predictions.npz, which Snakemake will ask for" in said


def test_what_was_measured_again_elsewhere_is_taken_with_what_vouches_for_it(two):
    a, b = two
    lose(a, "mnist/case1/seed0")
    predictions = b.path("checkpoints/mnist/case1/seed0/predictions.npz")
    record_path = b.path("results/mnist/case1/seed0/cell.json")
    files = read_record(record_path)["files"] | {remeasured.WEIGHTS: "1" * 64, "predictions.npz": "2" * 64}
    change_record(b, "mnist/case1/seed0", files=files)
    with pytest.raises(UserError, match=r"predictions\.npz: not the file that cell\.json speaks of"):
        merge(a, [b.path()])
    note = remeasured.note_bytes(read_record(record_path), {"predictions.npz": sha256_of(predictions)})
    predictions.with_name(remeasured.NOTE).write_bytes(note)
    ((said,), _) = merge(a, [b.path()])
    assert "; predictions.npz measured again on another machine" in said
    taken = a.path("checkpoints/mnist/case1/seed0/predictions.npz")
    check_sum(taken, read_record(a.path("results/mnist/case1/seed0/cell.json")))
    assert taken.read_bytes() == predictions.read_bytes()


def test_a_folder_that_is_no_other_run_is_refused(two, tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no folder with results/; name the root of a run"):
        merge(two[0], [tmp_path / "nowhere"])
    with pytest.raises(UserError, match="is the grid that cells shall go into"):
        merge(two[0], [two[0].path()])


def test_the_command_names_what_was_not_taken_and_the_data_that_snakemake_would_want(two, tmp_path, capsys):
    a, b = two
    lose(a, "mnist/case1/seed0")
    change_record(b, "mnist/case2/seed0", hash="0" * 16)
    words = ["--overlay", str(tmp_path / "a/overlay.yaml"), "merge", str(b.path())]
    assert main(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("mnist/case1/seed0: from ")
    assert said[1].startswith("not taken: mnist/case2/seed0: that of ")
    hal = " ".join(["hal", *words[:2]])
    assert said[2] == f"1 cell was brought together with those here; `{hal} status` shows the grid"
    assert said[3].startswith(f"before Snakemake: `{hal} data mnist`; ")
    a.path("data/mnist.npz").touch()
    assert main(words) == 0
    assert "before Snakemake" not in capsys.readouterr().out


def test_two_sites_of_other_bytes_and_of_other_data_than_here_copy_nothing(two, tmp_path):
    a, b = two
    lose(a, "mnist/case1/seed0")
    shutil.copytree(b.path(), tmp_path / "c")
    change_record(b, "mnist/case1/seed0", files={"curves.csv": "0" * 64})
    with pytest.raises(UserError, match="under the same settings, with other bytes"):
        merge(a, [tmp_path / "c", b.path()])
    shutil.rmtree(a.path("results"))
    described = json.loads(a.path("data/mnist.json").read_text())
    a.path("data/mnist.json").write_text(json.dumps(described | {"arrays_sha256": "1" * 64}))
    with pytest.raises(UserError, match=r"trained on other data than .*mnist\.json speaks of"):
        merge(a, [tmp_path / "c"])
    assert not a.path("results").exists()


def test_a_damaged_record_there_of_a_cell_that_is_finished_here_keeps_no_other_cell(two):
    a, b = two
    lose(a, "mnist/case1/seed0")
    b.path("results/mnist/case1/seed1/cell.json").write_text("{}")
    taken, refused = merge(a, [b.path()])
    assert [line.split(":")[0] for line in taken] == ["mnist/case1/seed0"]
    assert len(refused) == 1
    assert refused[0].endswith("the cell is finished here")
    lose(a, "mnist/case1/seed1")
    with pytest.raises(UserError, match="nothing was copied"):
        merge(a, [b.path()])


def test_a_cell_of_other_settings_data_or_a_damaged_one_is_not_taken(two, tmp_path):
    a, b = two
    (tmp_path / "c").mkdir()
    longer = made_up_params(tmp_path / "c", GRID.replace("epochs: 4", "epochs: 5"))
    taken, refused = merge(longer, [b.path()])
    assert taken == []
    assert len(refused) == 15
    assert refused[0].endswith("is of other settings (train.epochs is 4, not 5)")
    lose(a, "mnist/case1/seed0")
    change_record(b, "mnist/case1/seed0", files={"curves.csv": "0" * 64, "scores.npz": "0" * 64})
    with pytest.raises(UserError, match=r"curves\.csv: not the file that cell\.json speaks of"):
        merge(a, [b.path()])
    shutil.copytree(
        a.path("results/mnist/case1/seed1"), b.path("results/mnist/case1/seed0"), dirs_exist_ok=True
    )
    make_up_grid(b, images=100)
    with_sums(b)
    made = json.loads(b.path("results/mnist/case1/seed0/cell.json").read_text())["provenance"]
    change_record(b, "mnist/case1/seed0", provenance=made | {"data_sha256": "0" * 64})
    with pytest.raises(UserError, match=r"trained on other data than .* speaks of; nothing was copied"):
        merge(a, [b.path()])
