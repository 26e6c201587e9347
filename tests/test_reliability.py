"""docs/reliability.md: what a user sees of every damage to every file of a finished run, and of every other fault that is tested.

Each row of the first table is seen here as it is written there. `python -m tests.test_reliability` writes the page anew.
"""

import ast
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from hal.errors import UserError
from hal.params import Params
from hal.present import grid_status, write_tables
from hal.study import all_tables, check_sums, controls, crossed
from hal.study.grid import load_grid
from hal.train import cell as training
from tests.made_up import described
from tests.tiny import ROOT, tiny_params

PAGE = ROOT / "docs/reliability.md"
CELL, OTHER = ("tiny", "pairs", 0), ("tiny", "pairs", 1)

# Tables that say of which cells their numbers are, with the column where they say it.
NOTES = {"table2": "notes", "table2b": "notes", "separability": "note", "convergence": "notes"}
CELL_FILES = (
    *("results/{}/cell.json", "results/{}/curves.csv", "results/{}/scores.npz"),
    *("checkpoints/{}/predictions.npz", "checkpoints/{}/auxiliary.npz", "checkpoints/{}/weights.safetensors"),
)
HEAD = """# What can go wrong, and what you then see

Written by the tests (`python -m tests.test_reliability`): each row was made to happen.

Of a finished network every file was damaged in each of the ways below. No wrong number was ever shown: a damaged file is found by its SHA-256 in `cell.json`, which carries one of its own.
Figures, tables and pages have their sums, too: what is damaged, missing or drawn from other cells is drawn again by the next `snakemake`.
"""
MIDDLE = """
`weights.safetensors` is read by `hal evaluate`, which refuses damaged ones. Controls that were counted before stay where predictions, `auxiliary.npz` or scores are damaged; the separability of damaged scores does not. To mend: move the file away; git or `dvc pull` may bring it back, `hal evaluate` measures `predictions.npz` and `auxiliary.npz` on whole weights, and training again makes all.

Other faults, each injected by a test:
"""
FAULTS = [
    ("`kill -9` of a training process, in any epoch", "the same command goes on from the last saved epoch and ends with the same bytes", "tests/train/test_cell.py::test_a_process_killed_with_sigkill_goes_on_bit_for_bit"),
    ("a process dies before any rename or delete while it writes a cell", "the old cell, or none: never files of two runs", "tests/train/test_cell.py::test_a_run_killed_before_any_rename_or_delete_leaves_no_cell_of_two_runs"),
    ("`kill -9` of Snakemake and of what it started", "no lock to remove; the same command goes on, same bytes", "tests/test_workflow.py::test_a_killed_snakemake_goes_on_and_ends_with_the_same_bytes"),
    ("`kill -9` of Snakemake alone, while a network trains on", "the network finishes, and is not trained again", "tests/test_workflow.py::test_a_cell_that_finishes_while_snakemake_is_stopped_is_not_trained_again"),
    ("Ctrl-C, once and twice", "a last line says what is kept and how to go on", "tests/test_workflow.py::test_after_ctrl_c_the_last_line_says_what_is_kept_and_nothing_drowns_it"),
    ("`kill -9` of `dvc repro`", "the same command goes on", "tests/test_dvc.py::test_a_killed_dvc_repro_goes_on"),
    ("a process dies before any rename or delete of `hal data`, `train`, `evaluate`, `merge`, `controls`, `study`, `tables`, `figure`, `report` or `compare`", "every file is the old one or the new one; the same command ends with the same bytes", "tests/test_faults.py::test_no_fault_leaves_half_a_file_and_the_same_command_mends_it"),
    ("a disk that is full from any new file or folder of those commands on, or in the middle of it", "file and reason are named; every file is the old one or the new one, and none is left over; the same command ends with the same bytes", "tests/test_faults.py::test_no_fault_leaves_half_a_file_and_the_same_command_mends_it"),
    ("a full disk while a cell is trained again", "the finished cell stays as it was", "tests/train/test_cell.py::test_a_full_disk_leaves_the_finished_cell_as_it_was"),
    ("a full disk in the middle of a download", "is said; the same command goes on where it stopped", "tests/data/test_fetch.py::test_a_disk_that_is_full_in_the_middle_of_a_download_is_said_and_the_download_goes_on_later"),
    ("a full disk on which a job's log has no room to say so", "Snakemake says it at its end", "tests/test_workflow.py::test_a_disk_without_room_for_a_log_is_said_by_snakemake"),
    ("a full disk behind the output", "is said in a line", "tests/test_cli.py::test_a_full_disk_behind_the_output_is_one_line"),
    ("a folder that cannot be written to", "is said before anything is trained", "tests/train/test_cell.py::test_a_folder_that_cannot_be_written_is_noticed_before_anything_is_trained"),
    ("a training state that is damaged in any file", "is set aside and said; the cell starts again", "tests/train/test_cell.py::test_a_broken_state_is_set_aside_and_the_cell_starts_again"),
    ("a folder in which nothing new can be written, for any of the commands above", "file and reason are named; nothing changes", "tests/test_faults.py::test_folders_that_cannot_be_written_are_named_and_nothing_changes"),
    ("half of a data set, a table, a figure, a page or a file of sums, one bit flipped, another of its kind, a login page, a folder or nothing in its place", "what reads it names it, or shows its numbers as missing, and never another number; the command that makes it makes it again, but for a folder in its place, which it names", "tests/test_faults.py::test_a_damaged_file_of_any_kind_gives_no_number_and_is_made_again"),
    ("a training state of another cell", "is not taken", "tests/train/test_cell.py::test_the_state_of_another_cell_is_not_taken"),
    ("a clock that goes backwards: files dated in the future", "nothing is trained or fetched again", "tests/test_workflow.py::test_a_data_set_dated_a_day_ahead_costs_nothing"),
    ("two processes on one cell", "the second waits and takes what the first made", "tests/train/test_cell.py::test_a_second_process_waits_for_the_first_and_takes_what_it_made"),
    ("two Snakemakes on one root", "the second says so in a line and ends", "tests/test_workflow.py::test_a_second_snakemake_on_one_root_says_so_in_a_line"),
    ("a process that holds a place on a GPU is killed", "its place is free at once", "tests/train/test_device.py::test_a_killed_process_frees_its_slot"),
    ("a seed, a case, a grouping or a setting changed between two runs", "just the cells that it touches train again", "tests/test_workflow.py::test_changes_rerun_just_what_they_touch"),
    ("a seed, a case, a grouping or a setting changed half way through a cell", "the changed cell starts anew; changed back, the first goes on where it was", "tests/train/test_cell.py::test_what_is_changed_half_way_starts_anew_and_changed_back_goes_on"),
    ("a cell that fails", "holds up no other; its log is shown", "tests/test_workflow.py::test_a_cell_that_fails_does_not_hold_up_the_others"),
    ("too little memory in epoch 3", "a sentence with what to lower; the same command goes on after epoch 2", "tests/train/test_cell.py::test_memory_that_is_not_enough_is_said_in_a_line"),
    ("a loss that is not finite", "the cell stops, is kept as “diverged at step …”, and enters no mean", "tests/train/test_cell.py::test_a_loss_that_is_not_finite_stops_the_cell_and_is_a_result"),
    ("a loss that is NaN in epoch 3", "the curves keep the epochs before; the cell is “diverged”", "tests/train/test_cell.py::test_a_loss_that_is_nan_in_epoch_3_keeps_the_first_two_and_enters_no_mean"),
    ("a mirror that sends a login page", "size and mirror are named; the next mirror is asked", "tests/data/test_fetch.py::test_a_login_page_is_no_file_and_the_next_mirror_is_asked"),
    ("a mirror that sends other bytes of the right size", "file, both sums and mirror are named; the next mirror is asked", "tests/data/test_fetch.py::test_wrong_bytes_name_file_sums_and_mirror_and_the_next_mirror_is_asked"),
    ("a download that breaks off", "is taken up where it stopped", "tests/data/test_fetch.py::test_a_cut_connection_is_taken_up_where_it_stopped"),
    ("a data set that is missing or damaged", "a sentence that names it", "tests/train/test_cell.py::test_a_missing_and_a_damaged_data_set_are_said"),
    ("a damaged table", "is refused by whatever would show it", "tests/study/test_table2.py::test_a_damaged_table_is_refused_by_whatever_would_show_it"),
    ("a damaged figure", "is not taken into the report", "tests/present/test_report.py::test_a_damaged_figure_is_not_taken_into_the_report"),
    ("whatever is drawn damaged, missing or of other cells, in a clone without `.snakemake/`", "is drawn again, and nothing is trained", "tests/test_workflow.py::test_what_it_calls_finished_is_whole_and_current_also_in_a_copy_without_memory"),
    ("a finished network of which a file is not here, as in a clone without checkpoints", "is not trained again unasked; what brings the file back is said", "tests/test_workflow.py::test_a_finished_network_whose_checkpoint_is_not_here_is_not_replaced_unasked"),
    ("a damaged object in DVC's cache or remote", "is said, and never taken for good", "tests/test_dvc.py::test_a_corrupted_object_of_the_remote_is_never_taken_for_good"),
    ("a remote that fails half way", "costs nothing", "tests/test_dvc.py::test_a_remote_that_fails_half_way_costs_nothing"),
    ("names with blanks, quotes, HTML, TeX", "are shown as they are", "tests/present/test_report.py::test_weird_names_and_missing_figures_compile_to_a_pdf"),
    ("names with control characters, or that begin as a formula does (`=`, `+`, `-`, `@`)", "are refused before anything runs, the key and the character named", "tests/test_params.py::test_a_name_that_breaks_a_format_is_refused_before_anything_runs"),
    ("formulas in another's cells", "stand behind an apostrophe in the CSVs of `hal compare`", "tests/test_two_runs.py::test_what_another_wrote_is_no_formula_in_a_spreadsheet"),
]  # fmt: skip


def _truncated(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flipped(path: Path, other: Path) -> None:
    """In a number's last digit: another number, and no reader stumbles over it."""
    content = bytearray(path.read_bytes())
    digit = re.compile(rb"\d(?!\d)").search(content, len(content) // 2)
    content[digit.start() if digit else -1] ^= 1
    path.write_bytes(content)


def _another(path: Path, other: Path) -> None:
    shutil.copyfile(other, path)


def _html(path: Path, other: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>Please log in</body></html>\n")


def _folder(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def _missing(path: Path, other: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "half of it": _truncated,
    "one bit flipped": _flipped,
    "another cell's": _another,
    "a login page": _html,
    "a folder": _folder,
    "missing": _missing,
}


def finished_run(root: Path) -> Params:
    """Two networks of two seeds each, trained, with their controls and tables."""
    params = tiny_params(root)
    for case in ("baseline", "pairs"):
        for seed in (0, 1):
            training.run(params, params.cell("tiny", case, seed))
    draw(params)
    return params


def draw(params: Params) -> None:
    controls.write(params, "tiny")
    crossed.write(params, "tiny")
    all_tables.write(params)


def path_of(params: Params, pattern: str, cell: tuple[str, str, int] = CELL) -> Path:
    return params.path(*pattern.format(params.cell(*cell).name).split("/"))


def verified(params: Params, path: Path) -> str:
    """What `hal verify` says of the cells."""
    try:
        check_sums.verify(params)
    except UserError as error:
        named, _ = str(error).split(": not what was written")
        more = re.search(r" and (\d+) more$", named)
        files = named.count(",") + 1 + (int(more[1]) if more else 0)
        return (
            "names it" if named == str(path) else f"speaks of {files} files that are not of this `cell.json`"
        )
    return "nothing (`dvc pull` or training again brings it back)"


def shown(params: Params, path: Path, before: dict[str, pd.DataFrame]) -> str:
    """What the tables say of the cell after everything is drawn again; every number in them is right or absent."""
    draw(params)
    write_tables.write(params, described(params))
    assert "tiny/pairs" in grid_status.report(load_grid(params))
    notes = []
    for name, column in NOTES.items():
        table = tables_of(params)[name]
        mine = table[(table["case"] == "pairs") & (table[column] != "")]
        notes += [text for text in mine[column] if text not in set(before[name][column])]
    if not notes:
        numbers = [name for name in NOTES if not tables_of(params)[name].equals(before[name])]
        return "as before, every number" if not numbers else f"other numbers in {', '.join(numbers)}"
    said = notes[0].replace(str(path), f"…/{path.name}")
    said = re.sub(
        r"(cell.json cannot be read:) (?!its content|\[Errno).*", r"\1 …)", said
    )  # where JSON breaks off
    return f"“{re.sub(r'^(pairs )?seed 0:? ', '', ' '.join(said.split()))}”"


def tables_of(params: Params) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(params.path("results", f"{name}.csv"), keep_default_na=False) for name in NOTES}


def rows(whole: Path, root: Path) -> Iterator[tuple[str, str, str, str]]:
    """File, damage, what `hal verify` says, and what the tables say once they are drawn again."""
    before = tables_of(tiny_params(whole))
    for pattern in CELL_FILES:
        for damage, apply in DAMAGES.items():
            shutil.copytree(whole, root)
            params = tiny_params(root)
            path = path_of(params, pattern)
            apply(path, path_of(params, pattern, OTHER))
            yield path.name, damage, verified(params, path), shown(params, path, before)
            shutil.rmtree(root)


def page(seen: Iterable[tuple[str, str, str, str]]) -> str:
    """The page: the damages, those of which the same is said in one row, and the other faults."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for name, damage, verify, tables in seen:
        alike.setdefault((name, verify, tables), []).append(damage)
    damages = [
        f"| `{name}` | {', '.join(kinds)} | {verify} | {tables} |"
        for (name, verify, tables), kinds in alike.items()
    ]
    faults = [f"| {fault} | {said} | `{test}` |" for fault, said, test in FAULTS]
    return "\n".join(
        [
            *HEAD.splitlines(),
            "",
            "| file of a cell | damage | `hal verify` | tables and report, drawn again |",
            "|---|---|---|---|",
            *damages,
            *MIDDLE.splitlines(),
            "",
            "| fault | what becomes of it, and what is said | seen in |",
            "|---|---|---|",
            *faults,
            "",
        ]
    )


def written(folder: Path) -> str:
    """The page as these files and faults give it."""
    whole = folder / "whole"
    whole.mkdir()
    finished_run(whole)
    return page(rows(whole, folder / "run"))


@pytest.mark.slow
def test_the_page_says_what_is_seen(tmp_path):
    assert written(tmp_path) == PAGE.read_text(encoding="utf-8"), (
        "python -m tests.test_reliability writes it anew"
    )


@pytest.mark.parametrize("test", sorted({test for *_, test in FAULTS}))
def test_what_the_page_names_is_tested(test):
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(written(Path(folder)), encoding="utf-8")
