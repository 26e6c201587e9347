"""Bring a source's raw files into a folder, from the first mirror that has them, and check every byte.

A mirror is a folder or a URL that holds MIRROR/<source>/<file>, or a root of torchvision's. A user and a password in
its URL are used and never shown.
"""

import contextlib
import dataclasses
import glob
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from hal import locks
from hal.data.download import FileRefusedError, MirrorDownError, download, say
from hal.data.sources import RawFile, Source
from hal.errors import NO_ROOM, UserError, sentence, without_secrets
from hal.files import sha256_of

VARIABLE = "HAL_DATA_MIRROR"


@dataclasses.dataclass(frozen=True)
class _Mirror:
    """A mirror's name for people, and where each file lies in it: paths and URLs."""

    name: str
    locations: Mapping[str, str]


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
        For each file of the form: the mirror it came from, without credentials, or the folder above `folder` if it was
        there.

    Raises:
        UserError: no form could be completed; says what each mirror answered.
    """
    servers: list[_Mirror] = []
    try:
        # All there: nothing is written, not even a lock, so that a folder may be somebody else's.
        origin = {file: str(folder.parent) for file in _whole(source, folder)}
        if form := _complete(source, origin):
            return {file: origin[file] for file in form}
        with _locked(folder):
            origin = _in_place(source, folder)
            answers = _fetch_from(source, folder, _mirrors(source, mirrors), origin)
            if not _complete(source, origin):
                servers, trouble = _official(source)
                answers += trouble + _fetch_from(source, folder, servers, origin)
    except OSError as error:
        named = OSError(
            error.errno, error.strerror, error.filename or str(folder)
        )  # a full disk names no file
        raise UserError(f"{folder}: cannot take in the files of {source.name}: {sentence(named)}") from None
    form = _complete(source, origin)
    if form is None:
        raise UserError(_nothing_worked(source, origin, answers, servers))
    return {file: origin[file] for file in form}


def answering(source: Source, mirrors: Sequence[str], timeout_s: float) -> str | None:
    """The first mirror, or official server, that has a form of the source, without fetching it; None if none answers.

    A folder has a form if all its files lie there; of a server its first file is asked for.

    Args:
        source: the files.
        mirrors: folders or URLs, as `fetch` takes them.
        timeout_s: how long to wait for each.
    """
    # The official addresses are torchvision's, whose import takes seconds.
    return _holder(source, _mirrors(source, mirrors), timeout_s) or _holder(
        source, _official(source)[0], timeout_s
    )


def _holder(source: Source, mirrors: Sequence[_Mirror], timeout_s: float) -> str | None:
    for mirror in mirrors:
        for form in source.forms:
            places = [mirror.locations[file] for file in form if file in mirror.locations]
            if len(places) == len(form) and _has(places, timeout_s):
                return mirror.name
    return None


def _has(places: Sequence[str], timeout_s: float) -> bool:
    if "://" not in places[0]:
        return all(Path(place).expanduser().is_file() for place in places)
    with contextlib.suppress(requests.RequestException, ValueError):
        return requests.head(places[0], timeout=timeout_s, allow_redirects=True).ok
    return False


def _locked(folder: Path) -> contextlib.AbstractContextManager[bool]:
    folder.mkdir(parents=True, exist_ok=True)
    return locks.held(folder / ".lock", lambda: say(f"{folder}: another process is fetching; waiting for it"))


def _files(source: Source) -> dict[str, RawFile]:
    return {name: file for form in source.forms for name, file in form.items()}


def _whole(source: Source, folder: Path) -> list[str]:
    return [name for name, file in _files(source).items() if _is_right(folder / name, file)]


def _is_right(path: Path, file: RawFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and sha256_of(path) == file.sha256


def _in_place(source: Source, folder: Path) -> dict[str, str]:
    """The good files already there; wrong ones are renamed."""
    origin = dict.fromkeys(_whole(source, folder), str(folder.parent))
    for name, file in _files(source).items():
        path = folder / name
        if name not in origin and os.path.lexists(path):
            aside, count = folder / f"{name}.wrong", 1
            while os.path.lexists(aside):
                count += 1
                aside = folder / f"{name}.wrong{count}"
            path.rename(aside)
            say(f"{path}: not the file with SHA-256 {file.sha256}; set aside as {aside.name}")
    return origin


def _complete(source: Source, origin: Mapping[str, str]) -> Mapping[str, RawFile] | None:
    return next((form for form in source.forms if form.keys() <= origin.keys()), None)


def _mirrors(source: Source, mirrors: Sequence[str]) -> list[_Mirror]:
    first = os.environ.get(VARIABLE)
    places = []
    for mirror in [first, *mirrors] if first else mirrors:
        place = mirror.replace(" ", "%20") if "://" in mirror else mirror
        locations = {file: _location(source, place.rstrip("/"), file) for file in _files(source)}
        places.append(_Mirror(without_secrets(place), locations))
    return places


def _location(source: Source, mirror: str, file: str) -> str:
    """Where a mirror has, or would have, the file."""
    if mirror.startswith("file://"):
        mirror = url2pathname(urlsplit(mirror).path)
    usual = f"{mirror}/{source.name}/{file}"
    if "://" in mirror:
        return usual
    folders = [Path(usual), Path(mirror, source.torchvision, file)]
    return str(next((path for path in folders if path.expanduser().is_file()), usual))


def _official(source: Source) -> tuple[list[_Mirror], list[str]]:
    """The official servers, or else why they are not known."""
    try:
        return [_Mirror(next(iter(urls.values())).rpartition("/")[0], urls) for urls in source.official()], []
    except UserError as error:
        return [], [f"official servers: {error}"]


def _fetch_from(
    source: Source, folder: Path, mirrors: Sequence[_Mirror], origin: dict[str, str]
) -> list[str]:
    """Take what is missing from one mirror after another, noted in `origin`, until a form is complete.

    Returns:
        What the mirrors answered that did not give a file.
    """
    answers: list[str] = []
    for mirror in mirrors:
        try:
            for form in source.forms:
                if _complete(source, origin):
                    return answers
                for file in [file for file in form if file in mirror.locations and file not in origin]:
                    try:
                        _take(mirror.locations[file], folder / file, form[file])
                        origin[file] = mirror.name
                    except FileRefusedError as error:
                        answers.append(f"{mirror.name}: {error}")
        except MirrorDownError as error:
            answers.append(f"{mirror.name}: {error}")
    return answers


def _take(location: str, target: Path, file: RawFile) -> None:
    """Bring one file from one location; it gets its name only when its sum is right."""
    # A partial file per location: a wrong beginning from one never meets a right end from another.
    place = hashlib.sha256(without_secrets(location).encode()).hexdigest()[:8]
    part = target.with_name(f"{target.name}.{place}.part")
    if "://" in location:
        if not location.startswith(("http://", "https://")):
            raise MirrorDownError("neither a folder nor a URL that begins with file://, http:// or https://")
        resumed = part.exists()
        download(location, part, file.size)
        if resumed and sha256_of(part) != file.sha256:
            say(f"{target.name}: what an earlier transfer from {location} left is wrong; starting over")
            part.unlink()
            download(location, part, file.size)
    else:
        _copy(Path(location).expanduser(), part, file.size)
    actual = sha256_of(part)
    if actual != file.sha256:
        part.unlink()
        say(f"{target.name}: {location} has SHA-256 {actual} instead of {file.sha256}; not used")
        raise FileRefusedError(f"{target.name} has SHA-256 {actual} instead of {file.sha256}")
    os.replace(part, target)
    for left_over in target.parent.glob(f"{glob.escape(target.name)}.*.part"):
        left_over.unlink()


def _copy(path: Path, part: Path, size: int) -> None:
    if not path.parent.is_dir():
        raise MirrorDownError(f"no folder {path.parent}")
    if not path.is_file():
        raise FileRefusedError(f"no {path.name}")
    if path.stat().st_size != size:
        say(f"{path}: has {path.stat().st_size:,} bytes instead of {size:,}; not used")
        raise FileRefusedError(f"{path.name} has {path.stat().st_size:,} bytes instead of {size:,}")
    say(f"{path.name}: from {path.parent}")
    try:
        shutil.copyfile(path, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno in NO_ROOM:
            raise  # no mirror helps
        raise FileRefusedError(f"{path.name}: {error.strerror}") from None


def _nothing_worked(
    source: Source, origin: Mapping[str, str], answers: Sequence[str], servers: Sequence[_Mirror]
) -> str:
    missing = [[file for file in form if file not in origin] for form in source.forms]
    urls = [server.locations[file] for server in servers[:1] for file in missing[0]]
    return (
        f"{source.name}: could not get {', or else '.join(', '.join(files) for files in missing)} "
        f"({'; '.join(answers) or 'no mirror is named'}). Put what is missing into FOLDER/{source.name}/"
        f"{' (from ' + ' '.join(urls) + ')' if urls else ''} and set {VARIABLE}=FOLDER"
    )
