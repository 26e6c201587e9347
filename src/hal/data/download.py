"""Download one URL into a partial file, as often as it takes, and show how far it is."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

from hal.errors import without_secrets

TIMEOUT = (10, 30)  # seconds: to connect; without a byte
RETRIES = 3  # in a row that bring nothing new
PAUSE = 1.0  # seconds before the first retry; it doubles each time
LOG_EVERY = 30.0  # seconds between progress lines where there is no terminal
CHUNK = 1 << 16


class FileRefusedError(Exception):
    """A mirror does not give this file; says why."""


class MirrorDownError(Exception):
    """A mirror gives no file at all; says why."""


class _CutError(Exception):
    """A transfer stopped early and may be taken up again."""


def say(text: str) -> None:
    """Print a line, without credentials, for whoever watches."""
    print(without_secrets(text), file=sys.stderr, flush=True)


def download(url: str, part: Path, size: int) -> None:
    """Stream `url`, `size` bytes, into `part`, from where `part` ends, again and again while that brings something new.

    What has come stays in `part` whatever happens, and is never more than `size` bytes. The caller checks the content:
    after an interrupted transfer it need not be right.

    Raises:
        FileRefusedError: the server refuses the file or has one of another size, or the transfer keeps stopping at the same
            place.
        MirrorDownError: the server cannot be reached.
    """
    name = url.rpartition("/")[2]
    if _size(part) > size:
        part.unlink()
    furthest, failures = _size(part), 0
    while _size(part) < size:
        try:
            _stream(url, part, name, size)
            continue
        except _CutError as error:
            answer = str(error)
        except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
            answer = f"no answer for {TIMEOUT[1]} s"
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if _unreachable(error):
                raise MirrorDownError(f"no connection ({_cause(error)})") from None
            answer = "connection cut"
        failures = 1 if _size(part) > furthest else failures + 1
        furthest = max(furthest, _size(part))
        if failures > RETRIES:
            raise FileRefusedError(f"{name}: {answer}, {failures} times in a row")
        pause = PAUSE * 2 ** (failures - 1)
        say(f"{name}: {answer} after {_size(part):,} bytes; again in {pause:g} s")
        time.sleep(pause)


def _stream(url: str, part: Path, name: str, size: int) -> None:
    """Make one request and append to `part` what comes."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        status = response.status_code
        if status == 416 and have:
            raise FileRefusedError(f"{name} has less than {size:,} bytes")
        if status == 429 or status >= 500:
            raise _CutError(f"{status} {response.reason}")
        if status not in (200, 206):
            raise FileRefusedError(f"{name}: {status} {response.reason}")
        if status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _CutError("another range than asked for")
        if status == 200:
            have = 0  # the server ignores ranges
        length = response.raw.length_remaining
        if length is not None and have + length != size:
            raise FileRefusedError(f"{name} has {have + length:,} bytes instead of {size:,}")
        say(f"{name}: from {url.removesuffix('/' + name)}" + (f", from byte {have:,} on" if have else ""))
        with (
            open(part, "ab" if have else "wb") as file,
            _progress(name, have, size) as advance,
        ):
            # Undecoded, because some servers declare the compression of a .gz file as one of the transfer.
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                have += len(chunk)
                if have > size:
                    part.unlink()
                    raise FileRefusedError(f"{name} has more than {size:,} bytes")
                file.write(chunk)
                advance(len(chunk))
    if have < size:
        raise _CutError("ended early")


@contextlib.contextmanager
def _progress(name: str, have: int, size: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, now and then a line in a log; yields the function that counts bytes."""
    if sys.stderr.isatty():
        with tqdm(desc=name, total=size, initial=have, unit="B", unit_scale=True) as bar:
            yield bar.update
        return
    n, started = have, time.monotonic()
    logged = started

    def advance(more: int) -> None:
        nonlocal n, logged
        n, now = n + more, time.monotonic()
        if now - logged >= LOG_EVERY:
            logged = now
            line = "{desc}: {n_fmt}B of {total_fmt}B, {rate_fmt}, {remaining} left"
            meter = tqdm.format_meter(
                n, size, now - started, prefix=name, unit="B", unit_scale=True, initial=have, bar_format=line
            )
            say(str(meter))

    yield advance


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _unreachable(error: Exception) -> bool:
    """Whether asking again is in vain: no connection came about, or the URL is none."""
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return bool(error.args) and isinstance(error.args[0], urllib3.exceptions.MaxRetryError)
    return isinstance(error, requests.RequestException)


def _cause(error: Exception) -> str:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return type(reason or error).__name__
