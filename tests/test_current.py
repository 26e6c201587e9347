"""What tables, figures and report were drawn from, and when they no longer are."""

import dataclasses
import json
import shutil
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from hal.current import (
    basis,
    check_root,
    drawing,
    other_experiment,
    outdated,
    settings_sum,
    study_basis,
    write_stamp,
)
from hal.departures import describe
from hal.errors import UserError
from hal.params import load
from tests.made_up import ROOT

OVERLAY = "grid: {datasets: [mnist], seeds: [0]}\ntrain: {momentum: 0.5}\n"


@pytest.fixture
def stamped(tmp_path, monkeypatch):
    """A folder with params.yaml, an overlay and a page that was drawn; looks whether the page still stands."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "overlay.yaml").write_text(f"root: runs/mine\n{OVERLAY}")
    run = tmp_path / "runs" / "mine"
    (run / "data").mkdir(parents=True)
    (run / "data" / "mnist.json").write_text('{"arrays_sha256": "da7a"}')
    (run / "page").write_text("drawn")
    monkeypatch.chdir(tmp_path)

    def described():
        files = Path("params.yaml"), ["overlay.yaml"]
        params = load(*files)
        return params, describe(params, files[1], files[0])

    page = Path("runs/mine/page")
    write_stamp(*described(), [page])
    return tmp_path, lambda: not outdated(*described(), [page])


def test_what_was_drawn_stands_while_nothing_changes(stamped):
    folder, stands = stamped
    assert stands()
    (folder / "runs" / "mine" / "page").write_text("another")
    assert not stands()


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("params.yaml", "the paper names no momentum", "the paper is silent on momentum"),  # the report says why
        ("params.yaml", "momentum: 0.0", "momentum: 0.9"),  # the overlay replaces it: every caption names both
        ("params.yaml", "title: MNIST", "title: Digits"),
        ("runs/mine/data/mnist.json", "da7a", "beef"),
    ],
)  # fmt: skip
def test_whatever_shows_makes_it_outdated(stamped, file, before, after):
    folder, stands = stamped
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))
    assert not stands()


def test_a_file_that_was_not_here_to_be_drawn_from_is_missed_when_it_is_back(stamped):
    """A report of two networks, drawn while the losses of one were away, says so of itself."""
    folder, _ = stamped
    params = load(folder / "params.yaml", [folder / "overlay.yaml"])
    run = describe(params, ["overlay.yaml"], Path("params.yaml"))
    paths = params.cell_paths(params.cells()[0])
    paths.results.mkdir(parents=True)
    paths.record.write_text("{}")
    paths.curves.write_text("epoch\n")
    whole = basis(params, run)
    paths.curves.unlink()
    assert basis(params, run) != whole
    paths.curves.write_text("epoch\n")
    assert basis(params, run) == whole


def test_tables_are_computed_by_one_process_at_a_time(tmp_path, capsys):
    params = dataclasses.replace(load(ROOT / "params.yaml"), root=str(tmp_path))
    computed = []

    def study() -> None:
        with drawing(params, ["study"]):
            computed.append("study")

    with drawing(params, ["controls/mnist", "study"]):
        beside = threading.Thread(target=study)
        beside.start()
        beside.join(1)
        assert not computed
        computed.append("draw")
    beside.join()
    assert computed == ["draw", "study"]
    assert "another process computes these tables; waiting for it" in capsys.readouterr().out


def test_a_data_set_that_the_grid_has_not_changes_nothing(stamped):
    folder, stands = stamped
    before = study_basis(load(folder / "params.yaml", [folder / "overlay.yaml"]))
    (folder / "overlay.yaml").write_text(
        f"root: runs/mine\n{OVERLAY}datasets: {{cifar100: {{title: Other}}}}\n"
    )
    assert stands()
    assert study_basis(load(folder / "params.yaml", [folder / "overlay.yaml"])) == before


def test_how_a_cell_is_run_shows_nowhere(tmp_path):
    def of(text: str) -> str:
        path = tmp_path / "overlay.yaml"
        path.write_text(f"root: runs/mine\n{text}", encoding="utf-8")
        return settings_sum(load(ROOT / "params.yaml", [path]))

    assert of("runtime: {cpu_threads: 7}") == of("")
    assert of("datasets: {mnist: {title: Digits}}") != of("")


def test_whose_root_it_is_is_known_from_what_was_drawn_last(stamped):
    folder, _ = stamped
    params = load(folder / "params.yaml", [folder / "overlay.yaml"])
    assert other_experiment(params, ["overlay.yaml"]) == other_experiment(params, ["./overlay.yaml"]) == ""
    assert other_experiment(params, ["copied.yaml"]) == "overlay.yaml"
    assert other_experiment(params, []) == "overlay.yaml"
    stamp = folder / "runs/mine/report/drawn.json"
    drawn = json.loads(stamp.read_text())
    ours = params.cells()[0].name
    stamp.write_text(
        json.dumps(drawn | {"from": drawn["from"] | {"cells": {"pets/fur/seed0": "5f2d", ours: None}}})
    )
    check_root(params, ["mine.yaml"])  # nothing of the other is left
    for name, refused in (("pets/fur/seed0", True), (ours, False)):
        record = params.path("results", name, "cell.json")
        record.parent.mkdir(parents=True)
        record.touch()
        said = r"is the run of overlay\.yaml, of whose networks \(pets/fur/seed0\) this experiment has none"
        with pytest.raises(UserError, match=said) if refused else nullcontext():
            check_root(params, ["mine.yaml"])
        check_root(params, ["overlay.yaml"])
    stamp.unlink()
    check_root(params, ["mine.yaml"])
    assert other_experiment(params, []) == ""
