"""What a person who waits for a run is told."""

import datetime
import os
import time

import pytest

from hal import locks
from hal.cell_files import record_bytes
from hal.present import grid_status
from hal.study.grid import load_grid
from tests.made_up import change_record
from tests.tiny import tiny_params


@pytest.fixture(autouse=True)
def held(monkeypatch):
    """Some process holds every cell."""
    monkeypatch.setattr(grid_status.locks, "is_held", lambda path: True)


def write(params, case: str, seed: int, state: str, wall_s: float = 100.0) -> None:
    """A cell of which only what `status` reads is there."""
    cell = params.cell("tiny", case, seed)
    paths = params.cell_paths(cell)
    if state == "unfinished":
        paths.resume.mkdir(parents=True)
        (paths.resume / "progress.json").write_text('{"epoch": 1, "epochs": 3}')
        return
    record = {
        "hash": cell.hash,
        "settings": cell.settings,
        "status": state,
        "provenance": {},
        "epochs": 3,
        "files": {},
    }
    record |= {
        "time": {"started": "", "wall_s": wall_s},
        "diverged_at_step": 7 if state == "diverged" else None,
    }
    record |= dict.fromkeys(("test_error", "test_loss", "train_error", "train_loss"), 1.0)
    paths.results.mkdir(parents=True, exist_ok=True)
    (paths.results / "cell.json").write_bytes(record_bytes(record))


def test_every_case_shows_its_seeds_and_the_time_left_follows_from_the_finished_cells(tmp_path):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()  # the made-up cells name no data
    write(params, "baseline", 0, "ok", 90.0)
    write(params, "baseline", 1, "ok", 110.0)
    write(params, "pairs", 0, "diverged")
    write(params, "pairs", 1, "unfinished")
    write(params, "threes", 0, "unfinished")
    lines = grid_status.report(load_grid(params)).splitlines()
    assert lines[:3] == ["tiny/baseline  ●●", "tiny/pairs     ✕◐", "tiny/threes    ◐○"]
    assert "tiny/pairs/seed0: diverged at step 7" in lines
    # three cells of 3 epochs to come, two of them after the first: 7 epochs of 33.3 s, two at once
    assert lines[-1] == (
        "3 of 6 cells done; about 0:01:57 left, 2 at once; running: tiny/pairs/seed1 1/3, tiny/threes/seed0 1/3"
    )


def test_before_the_first_cell_is_done_no_time_is_guessed(tmp_path):
    assert grid_status.report(load_grid(tiny_params(tmp_path))).splitlines()[-1] == "0 of 6 cells done"


def test_before_the_first_cell_is_done_its_epochs_tell_the_time(tmp_path):
    """One epoch of 40 s is over: 2 + 5 × 3 epochs are left."""
    params = tiny_params(tmp_path)
    write(params, "pairs", 1, "unfinished")
    state = params.cell_paths(params.cell("tiny", "pairs", 1)).resume / "progress.json"
    state.write_text('{"epoch": 1, "epochs": 3, "wall_s": 40.0, "test_error": 12.5}')
    lines = grid_status.report(load_grid(params)).splitlines()
    assert "tiny/pairs/seed1: running, after epoch 1 of 3, test error 12.50 %" in lines
    assert (
        lines[-1] == "0 of 6 cells done; about 0:11:20 left, 1 at once; running: tiny/pairs/seed1 1/3 12.50 %"
    )


@pytest.mark.parametrize("of_it", ['"wall_s": null', '"wall_s": "long", "test_error": []', '"epoch": "one"'])
def test_a_state_whose_numbers_are_none_stops_nothing(of_it, tmp_path):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    write(params, "baseline", 0, "ok", 90.0)
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=95)
    change_record(params, "tiny/baseline/seed0", time={"started": started.isoformat(), "wall_s": 90.0})
    write(params, "pairs", 0, "unfinished")
    state = params.cell_paths(params.cell("tiny", "pairs", 0)).resume / "progress.json"
    state.write_text(f'{{"epoch": 1, "epochs": 3, {of_it}}}')
    lines = grid_status.report(load_grid(params)).splitlines()
    assert any(line.startswith("tiny/pairs/seed0: ") for line in lines)
    assert lines[-1].startswith("1 of 6 cells done; about ")


def test_what_a_gpu_took_says_nothing_of_a_machine_without_one(tmp_path, monkeypatch):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    for case in ("baseline", "pairs"):
        write(params, case, 0, "ok", 3.0)
    for case in ("baseline", "pairs"):
        change_record(params, f"tiny/{case}/seed0", provenance={"cuda": "13.0"})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert grid_status.report(load_grid(params)).splitlines()[-1] == "2 of 6 cells done"
    change_record(params, "tiny/pairs/seed0", provenance={"cuda": None}, time={"wall_s": 30.0})
    assert "about 0:02:00 left" in grid_status.report(load_grid(params)).splitlines()[-1]
    monkeypatch.setattr(grid_status.gpu, "absent", lambda: False)
    assert "about 0:01:06 left" in grid_status.report(load_grid(params)).splitlines()[-1]


def test_a_cell_that_has_saved_nothing_for_long_has_stopped_and_does_not_shorten_the_time_left(tmp_path):
    """An epoch takes 40 s: two minutes and one more without a saved epoch are enough."""
    params = tiny_params(tmp_path)
    for case, age_s in (("pairs", 90), ("threes", 190)):
        write(params, case, 0, "unfinished")
        path = params.cell_paths(params.cell("tiny", case, 0)).resume / "progress.json"
        path.write_text('{"epoch": 1, "epochs": 3, "wall_s": 40.0, "test_error": 12.5}')
        os.utime(path, (time.time() - age_s,) * 2)
    lines = grid_status.report(load_grid(params)).splitlines()
    assert "tiny/pairs/seed0: running, after epoch 1 of 3, test error 12.50 %" in lines
    assert "tiny/threes/seed0: stopped after epoch 1 of 3, test error 12.50 %" in lines
    # 2 + 2 epochs of these and 4 × 3 of the others, one at once
    assert "about 0:10:40 left, 1 at once; running: tiny/pairs/seed0" in lines[-1]


def test_a_cell_whose_process_is_gone_has_stopped_however_lately_it_saved_an_epoch(tmp_path, monkeypatch):
    monkeypatch.undo()
    params = tiny_params(tmp_path)
    write(params, "pairs", 0, "unfinished")
    assert "tiny/pairs/seed0: stopped after epoch 1 of 3" in grid_status.report(load_grid(params))
    lock = locks.acquire(params.cell_paths(params.cell("tiny", "pairs", 0)).lock)
    assert "tiny/pairs/seed0: running, after epoch 1 of 3" in grid_status.report(load_grid(params))
    lock.release()
    assert "running:" not in grid_status.in_a_line(load_grid(params))


def test_between_two_cells_as_many_count_as_were_at_work_a_moment_ago(tmp_path):
    """Two of 90 s ended now, side by side; their successors have saved no epoch yet: 4 cells of 90 s, two at once."""
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    for ago_s, left in ((95, "0:03:00 left, 2 at once"), (400, "0:06:00 left, 1 at once")):
        started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago_s)
        for seed in (0, 1):
            write(params, "pairs", seed, "ok", 90.0)
            change_record(
                params,
                f"tiny/pairs/seed{seed}",
                time={"wall_s": 90.0, "started": started.isoformat(timespec="seconds")},
            )
        assert grid_status.in_a_line(load_grid(params)) == f"2 of 6 cells done; about {left}"


def test_many_running_cells_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_status, "_NAMED", 2)
    params = tiny_params(tmp_path)
    for case in ("baseline", "pairs", "threes"):
        write(params, case, 0, "unfinished")
    said = grid_status.in_a_line(load_grid(params))
    assert said.endswith("; running: tiny/baseline/seed0 1/3, tiny/pairs/seed0 1/3, 1 more")


def test_what_does_not_fit_a_window_is_cut_at_the_top_and_at_the_right():
    assert grid_status.fitted("a\nb\nc", 80, 24) == "a\nb\nc"
    assert grid_status.fitted("a\nb\nc\nd", 80, 4) == "…\nc\nd"
    assert grid_status.fitted("abcdef\nabcd", 4, 24) == "abc…\nabcd"


def test_on_a_terminal_the_report_stays_in_its_place(tmp_path, monkeypatch, capsys):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    looks = []

    def load():
        looks.append(1)
        assert len(looks) < 9
        if len(looks) == 2:
            for case in ("baseline", "pairs", "threes"):
                for seed in (0, 1):
                    write(params, case, seed, "ok")
        return load_grid(params)

    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    grid_status.watch(load, every_s=0)
    out = capsys.readouterr().out
    assert out.count("\x1b[5F\x1b[J") == 1  # three cases, the signs and the last line, once over each other
    assert out.endswith("6 of 6 cells done\n")


def test_watching_ends_with_the_last_cell_and_says_a_line_where_something_changes(tmp_path, capsys):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    looks = []

    def load():
        looks.append(len(looks))
        assert len(looks) < 9  # an endless watch would hang the tests
        if len(looks) == 3:
            for case in ("baseline", "pairs", "threes"):
                for seed in (0, 1):
                    write(params, case, seed, "ok")
        return load_grid(params)

    grid_status.watch(load, every_s=0)
    assert capsys.readouterr().out.splitlines() == ["0 of 6 cells done", "6 of 6 cells done"]
    assert len(looks) == 3


def test_a_cell_that_trains_again_over_one_of_other_settings_is_shown_as_under_way(tmp_path):
    before = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    write(before, "pairs", 0, "ok")
    (tmp_path / "data/tiny.npz").unlink()
    after = tiny_params(tmp_path, epochs=4)
    states = {r.cell.name: r.state for r in load_grid(after)}
    assert states["tiny/pairs/seed0"] == "stale"
    write(after, "pairs", 0, "unfinished")
    result = next(r for r in load_grid(after) if r.cell.name == "tiny/pairs/seed0")
    assert result.state == "unfinished"
    assert result.reason == "after epoch 1 of 3 (over one of other settings: train.epochs is 3, not 4)"


def test_the_line_goes_when_there_is_nothing_to_wait_for(tmp_path):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    assert grid_status.while_training(load_grid(params)) == "0 of 6 cells done"
    for case in ("baseline", "pairs", "threes"):
        for seed in (0, 1):
            write(params, case, seed, "diverged")
    assert grid_status.while_training(load_grid(params)) == ""
