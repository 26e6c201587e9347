"""A disk that is full from any write on, and a process that dies before any rename or delete, for every command that writes."""

import builtins
import contextlib
import errno
import functools
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.cell_files import read_record, record_bytes
from hal.cli import main
from hal.data.prepare import prepare
from hal.files import sha256_of
from tests.checkout import OVERLAY
from tests.data.raw_files import make_source, put, small_mnist
from tests.test_reliability import DAMAGES
from tests.tiny import ROOT, save_npz

RAW = """
  raw:
    source: mnist
    layers: 10
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    cases: {}
"""
# In the order in which each finds what it reads. The cells of seed 0, and the other run, are trained before.
COMMANDS = (
    "data tiny",
    "data raw",
    "train tiny baseline 1",
    "train tiny pairs 1",
    "evaluate tiny pairs 0",
    "merge other",
    "controls",
    "study",
    "tables",
    "figure listens",
    "report",
    "compare runs/tiny other --out runs/tiny/compared",
)
PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g id="figure_1"></g></svg>'
TIMES = {"time", "peak_memory_bytes", "sha256"}
TEMPORARY = re.compile(r"^\.(.*)\.\d+\.tmp$|^(.*)\.[0-9a-f]{8}\.part$")


class Death(BaseException):
    """What no program catches; nothing is written, renamed or deleted after it."""


class Disk:
    """Counts what is done to files below the working directory, and refuses it from the n-th on.

    The n-th new file or folder finds no room: a file when it is made, in the middle of its writing, or when it is flushed,
    in turn. A process that dies does so before the n-th rename or delete of what is there: a temporary file that was renamed is
    deleted once more, which changes nothing.
    """

    def __init__(self, fault: str, n: int, number: int = errno.ENOSPC) -> None:
        self.fault, self.left, self.way, self.number = fault, n, n % 3, number
        self.refused: Path | None = None
        self.here = Path.cwd()
        self.failing: int | None = None  # the descriptor of the file whose writing fails

    def ours(self, path) -> bool:
        return not isinstance(path, int) and Path(os.path.abspath(os.fspath(path))).is_relative_to(self.here)

    def step(self, path, fault: str) -> bool:
        """Whether this is the one that fails; raises where nothing can be done any more."""
        if self.refused is not None:
            self.refuse(path)
        if fault == self.fault:
            self.left -= 1
        if self.left >= 0:
            return False
        self.refused = Path(path)
        return True

    def refuse(self, path) -> None:
        if self.fault == "death":
            raise Death
        raise OSError(self.number, os.strerror(self.number), str(path))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for module in (builtins, io):
                patch.setattr(module, "open", functools.partial(self.open, io.open))
            patch.setattr(os, "open", functools.partial(self.os_open, os.open))
            patch.setattr(os, "mkdir", functools.partial(self.making, os.mkdir))
            patch.setattr(os, "fsync", functools.partial(self.fsync, os.fsync))
            for name in ("replace", "rename", "unlink", "remove", "rmdir"):
                patch.setattr(os, name, functools.partial(self.moving, getattr(os, name)))
            yield

    def open(self, real, path, mode="r", *arguments, **options):
        if mode not in ("wb", "ab") or not self.ours(path):
            return real(path, mode, *arguments, **options)
        if not self.step(path, "full"):
            return real(path, mode, *arguments, **options)
        if self.way == 0:
            self.refuse(path)
        raw = HalfWritten(path, mode) if self.way == 1 else io.FileIO(path, mode)
        self.failing = raw.fileno()
        return io.BufferedWriter(raw)

    def os_open(self, real, path, flags, *arguments, **options):
        new = flags & os.O_CREAT and self.ours(path) and not os.path.exists(path)
        if new and self.step(path, "full"):
            self.refuse(path)
        return real(path, flags, *arguments, **options)

    def making(self, real, path, *arguments, **options):
        if self.ours(path) and not os.path.exists(path) and self.step(path, "full"):
            self.refuse(path)
        return real(path, *arguments, **options)

    def fsync(self, real, descriptor):
        if descriptor == self.failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor)

    def moving(self, real, path, *arguments, **options):
        """Renames and deletes, which take no room."""
        of_rmtree = options.get("dir_fd") is not None  # what it deletes is there, and has no path of its own
        changes = of_rmtree or (self.ours(path) and os.path.lexists(path))
        if self.fault == "death" and changes and self.step(path, "death"):
            raise Death
        return real(path, *arguments, **options)


class HalfWritten(io.FileIO):
    """Takes half of what is written, then nothing."""

    def write(self, content) -> int:
        super().write(bytes(content)[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def hal(command: str) -> int:
    return main(["--params", str(ROOT / "params.yaml"), "--overlay", "tiny.yaml", *command.split()])


def write_overlay(epochs: int) -> None:
    overlay = OVERLAY.format(sha256=sha256_of(Path("tiny-source.npz"))).replace(
        "epochs: 2", f"epochs: {epochs}"
    )
    mirrors = "data: {mirrors: [mirror]}\n"
    Path("tiny.yaml").write_text(mirrors + overlay.replace("\nmodel:", f"{RAW}model:"), encoding="utf-8")


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """For each command a folder as it finds it, with whole files of other settings in the place of its own, and one as it leaves it."""
    found = tmp_path_factory.mktemp("found")
    with pytest.MonkeyPatch.context() as patch:
        use_small_inputs(patch)
        patch.chdir(found)
        save_npz(Path("tiny-source.npz"))
        put(Path("mirror/mnist"), small_mnist())
        write_overlay(epochs=1)
        for command in COMMANDS[:-1]:
            if "merge" not in command and "evaluate" not in command:
                assert hal(command) == 0
        write_overlay(epochs=2)
        for case in ("baseline", "pairs"):
            assert hal(f"train tiny {case} 0") == 0
        Path(
            "runs/tiny/checkpoints/tiny/pairs/seed0/auxiliary.npz"
        ).unlink()  # to be measured with other digits
        record = Path("runs/tiny/results/tiny/pairs/seed0/cell.json")
        content = read_record(record)
        content["files"]["auxiliary.npz"] = "0" * 64
        record.write_bytes(record_bytes(content))
        shutil.copytree("runs/tiny", "other")
        shutil.rmtree("runs/tiny/results/tiny/baseline/seed0")  # to be merged
        Path("runs/tiny/checkpoints/tiny/pairs/seed0/predictions.npz").unlink()  # to be measured again
        shutil.rmtree("runs/tiny/data")
        made = {}
        for i, command in enumerate(COMMANDS):
            left = found.parent / f"stage{i}"
            shutil.copytree(found if i == 0 else made[COMMANDS[i - 1]][1], left)
            patch.chdir(left)
            assert hal(command) == 0
            made[command] = found if i == 0 else made[COMMANDS[i - 1]][1], left
    return made


def use_small_inputs(patch: pytest.MonkeyPatch) -> None:
    """A small MNIST, and of each figure a picture that takes no time: what is tried here is how files are written."""
    small = {"mnist": make_source("mnist", small_mnist())}
    patch.setattr("hal.data.prepare.prepare", functools.partial(prepare, sources=small))
    patch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **how: file.write(PICTURE))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the run but locks and the states of unfinished cells, without what may differ from run to run."""
    files = {str(path.relative_to(folder)): path for path in (folder / "runs").rglob("*") if path.is_file()}
    return {
        name: _lasting(path)
        for name, path in files.items()
        if ".resume/" not in name and path.name != ".lock"
    }


def _lasting(path: Path) -> bytes:
    if path.name == "cell.json":  # which is whole, or this raises
        record = read_record(path)
        record["provenance"].pop("code", None)  # somebody may edit it meanwhile
        return repr({name: value for name, value in record.items() if name not in TIMES}).encode()
    if path.name == "raw.json":  # of the second of two runs some files lay there already
        return path.read_bytes().replace(b'"runs/tiny/data/raw"', b'"mirror"')
    return path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["full", "death"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_fault_leaves_half_a_file_and_the_same_command_mends_it(
    stages, tmp_path, monkeypatch, capsys, command, fault
):
    """Every file is the old one or the new one, whichever write or rename comes to nothing; the next run ends as if it never had."""
    found, left = stages[command]
    before, after = contents(found), contents(left)
    use_small_inputs(monkeypatch)
    monkeypatch.setattr("hal.train.loop.SAVE_EVERY_S", 0)
    for n in range(1000):
        folder = tmp_path / str(n)
        shutil.copytree(found, folder)
        monkeypatch.chdir(folder)
        disk, status = Disk(fault, n), None
        capsys.readouterr()
        with disk.in_place(), contextlib.suppress(Death):
            status = hal(command)
        said = capsys.readouterr().err
        if disk.refused is None:
            assert status == 0
            # as if it had died after the last rename or delete: the same command finds all done
            assert contents(folder) == after
            assert hal(command) == 0
            assert contents(folder) == after
            break
        now = contents(folder)
        temporary = {name for name in now if TEMPORARY.match(Path(name).name)}
        for name in now.keys() - temporary:
            assert now[name] in (before.get(name), after.get(name)), (n, name)
        if fault == "full":
            assert status == 1
            assert not temporary
            assert "No space left on device" in said
            assert "make room" in said, said
            assert "Traceback" not in said
            name = TEMPORARY.sub(r"\1\2", disk.refused.name)
            assert name in said, (disk.refused, said)
        assert hal(command) == 0
        mended = contents(folder)
        assert {name: mended[name] for name in mended.keys() - temporary} == after, n
        shutil.rmtree(folder)
    assert n > 0


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_folders_that_cannot_be_written_are_named_and_nothing_changes(
    stages, tmp_path, monkeypatch, capsys, command
):
    found, left = stages[command]
    use_small_inputs(monkeypatch)
    shutil.copytree(found, tmp_path / "read-only")
    monkeypatch.chdir(tmp_path / "read-only")
    capsys.readouterr()
    with Disk("full", 0, errno.EACCES).in_place():
        assert hal(command) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"hal: (runs/tiny/|.* runs/tiny/).*Permission denied", said)
    assert contents(Path.cwd()) == contents(found)
    assert hal(command) == 0
    assert contents(Path.cwd()) == contents(left)


# Of every kind of file that is no cell's: another one of its kind, the command that reads it, and the one that makes it.
KINDS = {
    "data/tiny.npz": ("data/raw.npz", "train tiny pairs 1", "data tiny"),
    "data/tiny.json": ("data/raw.json", "train tiny pairs 1", "data tiny"),
    "results/controls/tiny.csv": ("results/crossed/tiny.csv", "study", "controls"),
    "results/controls/tiny.sha256": ("results/crossed/tiny.sha256", "study", "controls"),
    "results/crossed/tiny.csv": ("results/controls/tiny.csv", "study", "controls"),
    "results/table2.csv": ("results/table2b.csv", "report", "study"),
    "results/study.sha256": ("results/controls/tiny.sha256", "tables", "study"),
    "results/loss.csv": ("results/table2.csv", None, "study"),
    "results/table2.md": ("results/verdicts.md", None, "tables"),
    "figures/listens.svg": ("figures/listens-column.svg", "report", "figure listens"),
    "figures/listens.sha256": ("results/study.sha256", "report", "figure listens"),
    "report/report.html": ("report/report.tex", None, "report"),
}


@pytest.mark.slow
@pytest.mark.parametrize("file", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_any_kind_gives_no_number_and_is_made_again(
    stages, tmp_path, monkeypatch, capsys, file, damage
):
    whole = stages[COMMANDS[-1]][1]
    other, reader, maker = KINDS[file]
    path = Path("runs/tiny", file)
    use_small_inputs(monkeypatch)

    def damaged(folder: str) -> None:
        shutil.copytree(whole, tmp_path / folder)
        monkeypatch.chdir(tmp_path / folder)
        DAMAGES[damage](path, Path("runs/tiny", other))
        capsys.readouterr()

    if reader:
        damaged("read")
        status, said = hal(reader), capsys.readouterr().err
        if status:
            assert re.fullmatch(rf"hal: .*{path.stem}.*\n", said)
        else:
            assert_no_other_number(whole, Path.cwd())
    damaged("made")
    status, said = hal(maker), capsys.readouterr().err
    if damage == "a folder":
        assert said.splitlines()[-1].startswith(f"hal: {path}: Is a directory; ")
    else:
        assert status == 0
        assert contents(Path.cwd()) == contents(whole)


def assert_no_other_number(before: Path, after: Path) -> None:
    """Every number of every table, but counts, was there before."""
    for table in sorted(before.glob("runs/tiny/results/*.csv")):
        old, new = (
            re.findall(r"\d+\.\d+", path.read_text()) for path in (table, after / table.relative_to(before))
        )
        assert set(new) <= {*old, "0.0"}, table
