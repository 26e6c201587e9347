"""What a person who waits for a run is told."""

from hal.cell_files import record_bytes
from hal.present import grid_status
from hal.study.grid import load_grid
from tests.tiny import tiny_params


def write(params, case: str, seed: int, state: str, wall_s: float = 100.0) -> None:
    """A cell of which only what `status` reads is there."""
    cell = params.cell("tiny", case, seed)
    paths = params.cell_paths(cell)
    if state == "unfinished":
        paths.resume.mkdir(parents=True)
        (paths.resume / "progress.json").write_text('{"epoch": 1, "epochs": 3}')
        return
    record = {"hash": cell.hash, "settings": cell.settings, "status": state, "provenance": {}, "epochs": 3}
    record |= {"time": {"wall_s": wall_s}, "diverged_at_step": 7 if state == "diverged" else None}
    record |= dict.fromkeys(("test_error", "test_loss", "train_error", "train_loss"), 1.0)
    paths.results.mkdir(parents=True)
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
    assert lines[-1] == "3 of 6 cells done; about 0:01:57 left, 2 at once"


def test_before_the_first_cell_is_done_no_time_is_guessed(tmp_path):
    assert grid_status.report(load_grid(tiny_params(tmp_path))).splitlines()[-1] == "0 of 6 cells done"


def test_before_the_first_cell_is_done_its_epochs_tell_the_time(tmp_path):
    """One epoch of 40 s is over: 2 + 5 × 3 epochs are left."""
    params = tiny_params(tmp_path)
    write(params, "pairs", 1, "unfinished")
    state = params.cell_paths(params.cell("tiny", "pairs", 1)).resume / "progress.json"
    state.write_text('{"epoch": 1, "epochs": 3, "wall_s": 40.0, "test_error": 12.5}')
    lines = grid_status.report(load_grid(params)).splitlines()
    assert "tiny/pairs/seed1: unfinished after epoch 1 of 3, test error 12.50 %" in lines
    assert lines[-1] == "0 of 6 cells done; about 0:11:20 left, 1 at once"


def test_watching_ends_with_the_last_cell_and_says_a_line_where_something_changes(tmp_path, capsys):
    params = tiny_params(tmp_path)
    (tmp_path / "data/tiny.json").unlink()
    looks = []

    def load():
        looks.append(len(looks))
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
