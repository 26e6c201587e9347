"""Bring a source's raw files into a folder, from the first mirror that has them, and check every byte.

A mirror is a folder or a URL that holds MIRROR/<source>/<file>.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hal.data.download import MirrorDownError, NotHadError, download, say
from hal.data.sources import Source
from hal.errors import UserError
from hal.files import sha256_of

VARIABLE = "HAL_DATA_MIRROR"

# For each mirror, in order: where each file lies in it.
_Places = Mapping[str, Mapping[str, str]]


def fetch(source: Source, folder: Path, mirrors: Sequence[str] = ()) -> dict[str, str]:
    """Make sure that one form of `source` lies complete and unbroken in `folder`.

    The environment variable HAL_DATA_MIRROR comes first, then `mirrors`, then the official servers. Good
    files stay as they are; a wrong one is set aside under another name. A transfer that stops is taken up
    again, now or by the next call. Of several processes, one works and the others wait.

    Args:
        source: the files and their sums.
        folder: where they go, `.../<source>`; made if it is missing.
        mirrors: folders (relative ones to the working directory) or URLs.

    Returns:
        For each file of the form: the mirror it came from, or the folder above `folder` if it was there.

    Raises:
        UserError: no form could be completed; says what each mirror answered.
    """
    servers: _Places = {}
    try:
        with _locked(folder):
            origin = _in_place(source, folder)
            answers = _draw(source, folder, _mirrors(source, mirrors), origin)
            if not _complete(source, origin):
                servers, trouble = _official(source)
                answers += trouble + _draw(source, folder, servers, origin)
    except OSError as error:
        raise UserError(f"{folder}: cannot take in the files of {source.name}: {error}") from None
    form = _complete(source, origin)
    if form is None:
        raise UserError(_nothing_worked(source, origin, answers, servers))
    return {file: origin[file] for file in form}


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder}: another process is fetching; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _in_place(source: Source, folder: Path) -> dict[str, str]:
    """The good files already there; wrong ones are renamed."""
    origin = {}
    for file, sha256 in ((file, form[file]) for form in source.forms for file in form):
        path = folder / file
        if path.is_file() and sha256_of(path) == sha256:
            origin[file] = str(folder.parent)
        elif os.path.lexists(path):
            aside, count = folder / f"{file}.wrong", 1
            while os.path.lexists(aside):
                count += 1
                aside = folder / f"{file}.wrong{count}"
            path.rename(aside)
            say(f"{path}: not the file with SHA-256 {sha256}; set aside as {aside.name}")
    return origin


def _complete(source: Source, origin: Mapping[str, str]) -> Mapping[str, str] | None:
    return next((form for form in source.forms if form.keys() <= origin.keys()), None)


def _mirrors(source: Source, mirrors: Sequence[str]) -> _Places:
    first = os.environ.get(VARIABLE)
    files = [file for form in source.forms for file in form]
    return {
        mirror: {file: f"{mirror.rstrip('/')}/{source.name}/{file}" for file in files}
        for mirror in ([first, *mirrors] if first else mirrors)
    }


def _official(source: Source) -> tuple[_Places, list[str]]:
    """The official servers, or else why they are not known."""
    try:
        return {next(iter(urls.values())).rpartition("/")[0]: urls for urls in source.official()}, []
    except UserError as error:
        return {}, [f"official servers: {error}"]


def _draw(source: Source, folder: Path, places: _Places, origin: dict[str, str]) -> list[str]:
    """Take what is missing from one mirror after another, noted in `origin`, until a form is complete.

    Returns:
        What the mirrors answered that did not give a file.
    """
    answers = []
    for mirror, locations in places.items():
        try:
            for form in source.forms:
                if _complete(source, origin):
                    return answers
                for file in [file for file in form if file in locations and file not in origin]:
                    try:
                        _take(locations[file], folder / file, form[file])
                        origin[file] = mirror
                    except NotHadError as error:
                        answers.append(f"{mirror}: {error}")
        except MirrorDownError as error:
            answers.append(f"{mirror}: {error}")
    return answers


def _take(location: str, target: Path, sha256: str) -> None:
    """Bring one file from one location; it gets its name only when its sum is right."""
    # A partial file per location: a wrong beginning from one never meets a right end from another.
    part = target.with_name(f"{target.name}.{hashlib.sha256(location.encode()).hexdigest()[:8]}.part")
    if "://" in location:
        resumed = part.exists()
        download(location, part)
        if resumed and sha256_of(part) != sha256:
            say(f"{target.name}: what an earlier transfer from {location} left is wrong; starting over")
            part.unlink()
            download(location, part)
    else:
        _copy(Path(location).expanduser(), part)
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        say(f"{target.name}: {location} has SHA-256 {found} instead of {sha256}; not used")
        raise NotHadError(f"{target.name} has SHA-256 {found} instead of {sha256}")
    os.replace(part, target)
    for left_over in target.parent.glob(f"{target.name}.*.part"):
        left_over.unlink()


def _copy(path: Path, part: Path) -> None:
    if not path.parent.is_dir():
        raise MirrorDownError(f"no folder {path.parent}")
    if not path.is_file():
        raise NotHadError(f"no {path.name}")
    say(f"{path.name}: from {path.parent}")
    try:
        shutil.copyfile(path, part)
    except OSError as error:
        raise NotHadError(f"{path.name}: {error.strerror}") from None


def _nothing_worked(
    source: Source, origin: Mapping[str, str], answers: Sequence[str], servers: _Places
) -> str:
    missing = [[file for file in form if file not in origin] for form in source.forms]
    urls = [urls[file] for urls in list(servers.values())[:1] for file in missing[0]]
    return (
        f"{source.name}: could not get {', or else '.join(', '.join(files) for files in missing)} "
        f"({'; '.join(answers) or 'no mirror is named'}). Put what is missing into FOLDER/{source.name}/"
        f"{' (from ' + ' '.join(urls) + ')' if urls else ''} and set {VARIABLE}=FOLDER"
    )
