"""Whether this machine has what a run needs: a line each, ok or what to do."""

import dataclasses
import importlib.metadata
import math
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from hal import locks
from hal.commands import output
from hal.data.fetch import VARIABLE, answering
from hal.data.sizes import size_of
from hal.data.sources import SOURCES
from hal.data.wanted import fault
from hal.errors import UserError
from hal.files import sha256_of
from hal.gpu import hidden
from hal.params import Cell, Params
from hal.study.grid import CellResult, load_grid

LOCK_FILE = Path("requirements.lock")
_TIMEOUT_S = 3
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)
_PER_IMAGE = 20  # bytes of a cell's predictions, u and scores, compressed (measured on MNIST's case 4: 18.8)
_OWN_IMAGES = 100_000  # of a data set of one's own: a guess
_WEIGHTS = 1_500_000  # bytes of the larger network's
_WARM_UP = 100  # steps: with so many no auxiliary network of the digits diverged (docs/sensitivity.md)

State = Literal["ok", "note", "wrong"]


@dataclasses.dataclass(frozen=True)
class Check:
    """One line: `wrong` keeps a run from ending well, a `note` is worth knowing."""

    state: State
    subject: str
    says: str


def checks(params: Params) -> Iterator[Check]:
    """Look at everything, the slowest last."""
    yield _python()
    yield _packages()
    yield from _devices(params)
    yield _disk(params)
    yield _locks(params)
    yield _tex()
    yield _dvc()
    yield _slurm()
    for dataset in params.grid.datasets:
        yield _data(params, dataset)
        yield from _steps(params, dataset)


def _python() -> Check:
    version = platform.python_version()
    if tuple(map(int, version.split(".")[:2])) < (3, 11):
        return Check("wrong", "Python", f"{version}; 3.11 or newer is needed")
    return Check("ok", "Python", version)


def _packages() -> Check:
    """Whether the packages here are those of requirements.lock; a package for other systems alone is not missed."""
    if not LOCK_FILE.exists():
        return Check("note", "packages", f"no {LOCK_FILE} here to compare with")
    pinned: dict[str, set[str]] = {}  # several versions of a package, each for other versions of Python
    for name, version in _PINNED.findall(LOCK_FILE.read_text(encoding="utf-8")):
        pinned.setdefault(name, set()).add(version)
    others, lacking = [], []
    for name, versions in pinned.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(name)
            continue
        if installed.partition("+")[0] not in versions:
            others.append(f"{name} {installed} (pinned: {', '.join(sorted(versions))})")
    needed = {"torch", "numpy", "pandas", "scipy", "matplotlib", "snakemake"} & set(lacking)
    if needed:
        return Check("wrong", "packages", f"{', '.join(sorted(needed))} missing; `make install` brings all")
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        return Check("note", "packages", f"other than in {LOCK_FILE}: {', '.join(others[:5])}{more}")
    return Check("ok", "packages", f"as {LOCK_FILE} pins them")


def _devices(params: Params) -> Iterator[Check]:
    import torch

    from hal.train.device import cpu_cores

    built = f"PyTorch {torch.__version__}"
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    for i, gpu in enumerate(gpus):
        driver = output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "-i", str(i))
        yield Check(
            "ok",
            "GPU",
            f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, driver {driver or 'unknown'}; {built}",
        )
    if gpus:
        return
    seen = output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    if params.runtime.device == "cpu":
        yield Check("ok", "GPU", f"none is asked for: runtime.device is cpu, {cpu_cores()} cores ({built})")
    elif seen and not hidden():
        yield Check(
            "wrong",
            "GPU",
            f"{seen} is there, but {built} finds none: another driver or another build of PyTorch",
        )
    elif params.runtime.device == "cuda":
        yield Check("wrong", "GPU", f"runtime.device is cuda, but there is none ({built})")
    elif too_long := _too_long_for_a_cpu(params):
        yield Check("wrong", "GPU", too_long)
    else:
        yield Check(
            "note",
            "GPU",
            f"{'hidden by CUDA_VISIBLE_DEVICES' if seen else 'none'}: this run trains on {cpu_cores()} CPU cores ({built}); "
            "`hal plan` says for how long",
        )


def _too_long_for_a_cpu(params: Params) -> str:
    """Why training would be refused here for its length, or nothing."""
    from hal.train.device import check_wanted

    for dataset in params.grid.datasets:
        cell = params.cell(dataset, params.cases(dataset)[0], params.grid.seeds[0])
        images = _images(params, dataset)[0]
        try:
            check_wanted(params.runtime, dataset, cell.train.epochs * cell.train.steps(images))
        except UserError as error:
            return str(error)
    return ""


def _disk(params: Params) -> Check:
    root = _existing_root(params)
    free = shutil.disk_usage(root).free
    results = load_grid(params)
    finished = [result for result in results if result.ok]
    to_come = [result.cell for result in results if not result.finished]
    need = sum(_bytes(params, cell, finished) for cell in to_come)
    raw = (SOURCES[params.datasets[name].source] for name in _unprepared(params))
    need += sum(2 * file.size for source in raw for form in source.forms[:1] for file in form.values())
    space = (
        f"{_size(free)} free in {root}, about {_size(need)} needed by data and {len(to_come)} cells to come"
    )
    return Check("wrong" if free < need else "ok", "disk", space)


def _size(n: float) -> str:
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.0f} MiB"


def _existing_root(params: Params) -> Path:
    """Where the run will be, or the folder that its root will be made in."""
    root = params.path().resolve()
    return next(folder for folder in (root, *root.parents) if folder.exists())


def _unprepared(params: Params) -> list[str]:
    """The data sets of the grid whose raw files are still to be fetched."""
    return [
        name
        for name in params.grid.datasets
        if params.datasets[name].source != "npz" and not params.data_paths(name).arrays.exists()
    ]


def _bytes(params: Params, cell: Cell, finished: Sequence[CellResult]) -> float:
    """Of a cell's files, as those of its data set take where there are any."""
    paths = [params.cell_paths(r.cell) for r in finished if r.cell.dataset == cell.dataset]
    if paths:
        files = [f for path in paths for folder in (path.results, path.checkpoints) for f in folder.glob("*")]
        return sum(file.stat().st_size for file in files) / len(paths)
    return sum(_images(params, cell.dataset)) * _PER_IMAGE + _WEIGHTS


def _images(params: Params, dataset: str) -> tuple[int, int]:
    """Training and test images; a guess where they are not known, as of a damaged data set, which `_data` names."""
    try:
        size = size_of(params, dataset)
    except UserError:
        size = None
    return (size.train, size.test) if size else (_OWN_IMAGES, 0)


def _locks(params: Params) -> Check:
    path = _existing_root(params) / ".doctor.lock"
    try:
        lock = locks.acquire(path)
    except UserError as error:
        return Check("wrong", "locks", str(error))
    if lock is None:
        return Check("note", "locks", f"{path} is held by another process")
    kernels = Path(lock.lock_file) == path
    lock.release()
    for left in (path, Path(lock.lock_file)):
        left.unlink(missing_ok=True)
    if kernels:
        return Check("ok", "locks", "the file system has the kernel's locks")
    return Check(
        "note",
        "locks",
        "the file system has no kernel locks: files that name their process stand in for them",
    )


def _tex() -> Check:
    if shutil.which("latexmk"):
        return Check("ok", "TeX", "latexmk is there")
    return Check(
        "note",
        "TeX",
        "no latexmk: the report is HTML and .tex, without a PDF (Debian: latexmk texlive-latex-extra)",
    )


def _dvc() -> Check:
    remotes = output("dvc", "remote", "list")
    if remotes is None:
        return Check("note", "DVC", "no dvc, or no DVC repository here; only `dvc` commands need it")
    name, _, where = " ".join(remotes.split()[:2]).partition(" ")
    if where and "://" not in where and not Path(where).exists():
        return Check("note", "DVC", f"the remote {name} is {where}, which `dvc push` will make")
    return Check("ok", "DVC", f"remote {name or 'none'} {where}".rstrip())


def _slurm() -> Check:
    if shutil.which("sbatch"):
        answer = output("scontrol", "ping")
        if answer and "UP" in answer:
            return Check("ok", "Slurm", answer)
        return Check(
            "note",
            "Slurm",
            "sbatch is there, but no controller answers (`scontrol ping`); only profiles/slurm needs one",
        )
    return Check("ok", "Slurm", "none, and none is needed on one machine")


def _steps(params: Params, dataset: str) -> Iterator[Check]:
    """Whether a data set has the images for a step, and its schedule a warm-up that its auxiliary networks survive."""
    try:
        size = size_of(params, dataset)
    except UserError:  # a damaged description, which `_data` names
        return
    if size is None:
        return
    train = params.settings_of("train", dataset)
    steps = train.steps(size.train)
    if not steps:
        text = f"a batch of {train.batch_size}, and only {size.train} training images: set its `batch_size` lower"
        yield Check("wrong", f"{dataset}'s steps", text)
        return
    warmup = min(train.warmup_epochs, train.epochs) * steps
    if warmup < _WARM_UP and train.highest_lr > 0.5:
        enough = math.ceil(_WARM_UP / steps)
        advice = (
            f"raise its `warmup_epochs` to {enough}"
            if enough < train.epochs
            else "train for more epochs, or with a lower `max_lr`"
        )
        text = f"{warmup:.0f} of warm-up, to a rate of {train.highest_lr:g}: auxiliary networks diverge where they are few; {advice}"
        yield Check("note", f"{dataset}'s steps", text)


def _data(params: Params, dataset: str) -> Check:
    entry = params.datasets[dataset]
    if params.data_paths(dataset).arrays.exists():
        if wrong := fault(params, dataset):
            return Check("wrong", dataset, wrong)
        return Check("ok", dataset, "is prepared")
    if entry.source == "npz":
        path = Path(str(entry.path))
        if not path.is_file():
            return Check("wrong", dataset, f"{path}: no such file")
        try:
            sha256 = sha256_of(path)
        except OSError as error:
            return Check("wrong", dataset, f"{path}: cannot be read ({error.strerror})")
        if sha256 != entry.sha256:
            return Check("wrong", dataset, f"{path}: its SHA-256 is not datasets.{dataset}.sha256")
        return Check("ok", dataset, str(path))
    source = SOURCES[entry.source]
    if not source.forms:
        return Check("ok", dataset, "needs no file")
    mirror = answering(source, [*map(str, [params.path("data", "raw")]), *params.data.mirrors], _TIMEOUT_S)
    if mirror is None:
        return Check(
            "wrong",
            dataset,
            f"no mirror and no official server answers; put its files into FOLDER/{source.name}/ and set {VARIABLE}=FOLDER",
        )
    return Check("ok", dataset, f"to be had from {mirror}")
