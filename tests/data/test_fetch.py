import base64
import dataclasses
import errno
import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from raw_files import make_source, put, sha256

from hal.data import download
from hal.data.fetch import answering, fetch
from hal.data.sources import SOURCES, Source
from hal.errors import UserError

BIG = bytes(range(256)) * 2000  # 512,000 bytes: several chunks
WRONG = b"\xff" * 1000
SAME_SIZE = b"\xff" * len(BIG)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "raw" / "toy"


@pytest.fixture
def toy():
    return make_source("toy", {"a.bin": BIG, "b.bin": b"small"})


@pytest.fixture
def one():
    return make_source("toy", {"a.bin": BIG})


def serve(server, **files):
    server.files = {f"/toy/{name}.bin": content for name, content in files.items()}


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_files_come_from_a_folder(toy, folder, tmp_path):
    put(tmp_path / "mirror" / "toy", {"a.bin": BIG, "b.bin": b"small"})
    assert fetch(toy, folder, [str(tmp_path / "mirror")]) == dict.fromkeys(
        ("a.bin", "b.bin"), str(tmp_path / "mirror")
    )
    assert (folder / "a.bin").read_bytes() == BIG
    assert left_in(folder) == ["a.bin", "b.bin"]


def test_a_relative_folder_counts_from_the_working_directory(one, folder, tmp_path, monkeypatch):
    put(tmp_path / "mirror" / "toy", {"a.bin": BIG})
    monkeypatch.chdir(tmp_path)
    assert fetch(one, folder, ["mirror/"]) == {"a.bin": "mirror/"}


def test_files_come_from_a_server(toy, folder, server):
    serve(server, a=BIG, b=b"small")
    assert fetch(toy, folder, [server.url]) == dict.fromkeys(("a.bin", "b.bin"), server.url)
    assert (folder / "a.bin").read_bytes() == BIG
    assert (folder / "b.bin").read_bytes() == b"small"
    assert left_in(folder) == ["a.bin", "b.bin"]


def test_each_file_comes_from_the_first_mirror_that_has_it(toy, folder, start_server):
    first, second = start_server(), start_server()
    serve(first, b=b"small")
    serve(second, a=BIG, b=b"small")
    assert fetch(toy, folder, [first.url, second.url]) == {"a.bin": second.url, "b.bin": first.url}


def test_the_official_servers_come_last_and_are_looked_up_only_then(toy, folder, server, tmp_path):
    serve(server, a=BIG)
    put(tmp_path / "toy", {"b.bin": b"small"})
    official = [{file: f"{server.url}/toy/{file}" for file in ("a.bin", "b.bin")}]
    source = Source("toy", toy.forms, official=lambda: official)
    assert fetch(source, folder, [str(tmp_path)]) == {"a.bin": f"{server.url}/toy", "b.bin": str(tmp_path)}
    never = Source("toy", toy.forms, official=lambda: pytest.fail("looked up"))
    assert fetch(never, folder) == dict.fromkeys(("a.bin", "b.bin"), str(folder.parent))


def test_the_environment_variable_comes_first(one, folder, tmp_path, monkeypatch):
    for name in ("named", "other"):
        put(tmp_path / name / "toy", {"a.bin": BIG})
    monkeypatch.setenv("HAL_DATA_MIRROR", str(tmp_path / "named"))
    assert fetch(one, folder, [str(tmp_path / "other")]) == {"a.bin": str(tmp_path / "named")}


def test_a_cut_connection_is_taken_up_where_it_stopped(one, folder, server):
    serve(server, a=BIG)
    server.cuts["/toy/a.bin"] = 2
    fetch(one, folder, [server.url])
    assert (folder / "a.bin").read_bytes() == BIG
    starts = [start for _, start in server.asked]
    assert len(starts) == 3
    assert 0 == starts[0] < starts[1] < starts[2]
    assert server.sent < len(BIG) + 3 * download.CHUNK


def test_a_transfer_that_ends_early_without_a_word_is_taken_up_where_it_stopped(one, folder, server):
    """A server that declares no length only closes the connection, whether all has come or not."""
    serve(server, a=BIG)
    server.unsaid = True
    server.cuts["/toy/a.bin"] = 1
    fetch(one, folder, [server.url])
    assert (folder / "a.bin").read_bytes() == BIG
    starts = [start for _, start in server.asked]
    assert len(starts) == 2
    assert starts[1] > 0


def test_a_silent_server_is_left_after_the_timeout_and_asked_again(one, folder, server):
    serve(server, a=BIG)
    server.stalls["/toy/a.bin"] = 1
    began = time.monotonic()
    fetch(one, folder, [server.url])
    assert time.monotonic() - began < 5
    assert server.asked[1][1] > 0


def test_what_an_earlier_call_left_is_taken_up(one, folder, server, monkeypatch):
    serve(server, a=BIG)
    server.cuts["/toy/a.bin"] = 1
    monkeypatch.setattr(download, "RETRIES", 0)
    with pytest.raises(UserError, match="connection cut"):
        fetch(one, folder, [server.url])
    assert [name.endswith(".part") for name in left_in(folder)] == [True]
    fetch(one, folder, [server.url])
    assert server.asked[1][1] > 0
    assert (folder / "a.bin").read_bytes() == BIG
    assert left_in(folder) == ["a.bin"]


def test_a_line_that_is_cut_many_times_but_gets_on_is_not_given_up(one, folder, server):
    serve(server, a=BIG)
    server.cuts["/toy/a.bin"] = download.RETRIES + 1
    fetch(one, folder, [server.url])
    assert len(server.asked) == download.RETRIES + 2


def test_a_server_that_ignores_ranges_starts_over_and_is_given_up_in_the_end(one, folder, server):
    serve(server, a=BIG)
    server.ranges = False
    server.cuts["/toy/a.bin"] = 2
    fetch(one, folder, [server.url])
    assert (folder / "a.bin").read_bytes() == BIG
    (folder / "a.bin").unlink()
    server.cuts["/toy/a.bin"] = 100
    with pytest.raises(UserError, match=f"connection cut, {download.RETRIES + 1} times in a row"):
        fetch(one, folder, [server.url])


def test_a_server_that_answers_another_range_is_asked_for_the_whole_file(one, folder, server):
    serve(server, a=BIG)
    server.misplaced = True
    server.cuts["/toy/a.bin"] = 1
    fetch(one, folder, [server.url])
    assert (folder / "a.bin").read_bytes() == BIG
    assert [start > 0 for _, start in server.asked] == [False, True, False]


@pytest.mark.parametrize(
    ("left", "requests"),
    [
        (BIG, 0),  # killed before the renaming
        (BIG + b"more", 1),
        (WRONG, 2),
        (b"\0" * len(BIG), 1),
        (BIG[:1000], 1),
    ],
)
def test_whatever_a_partial_file_holds_the_result_is_right(one, folder, server, left, requests):
    serve(server, a=BIG)
    server.ranges = False
    server.cuts["/toy/a.bin"] = 10
    with pytest.raises(UserError, match="connection cut"):
        fetch(one, folder, [server.url])
    [part] = left_in(folder)
    (folder / part).write_bytes(left)
    server.ranges = True
    server.cuts.clear()
    server.asked.clear()
    fetch(one, folder, [server.url])
    assert (folder / "a.bin").read_bytes() == BIG
    assert len(server.asked) == requests
    assert left_in(folder) == ["a.bin"]


def test_wrong_bytes_name_file_sums_and_mirror_and_the_next_mirror_is_asked(
    one, folder, start_server, tmp_path, capsys
):
    bad, good = start_server(), start_server()
    serve(bad, a=SAME_SIZE)
    serve(good, a=BIG)
    put(tmp_path / "toy", {"a.bin": SAME_SIZE})
    assert fetch(one, folder, [str(tmp_path), bad.url, good.url]) == {"a.bin": good.url}
    complaints = [line for line in capsys.readouterr().err.splitlines() if "SHA-256" in line]
    assert len(complaints) == 2
    for complaint, mirror in zip(complaints, (str(tmp_path), bad.url), strict=True):
        assert all(part in complaint for part in ("a.bin", sha256(SAME_SIZE), sha256(BIG), mirror))
    assert left_in(folder) == ["a.bin"]
    assert (tmp_path / "toy" / "a.bin").read_bytes() == SAME_SIZE


def test_a_login_page_is_no_file_and_the_next_mirror_is_asked(one, folder, start_server):
    portal, good = start_server(), start_server()
    serve(portal, a=b"<!DOCTYPE html><html><body>Please log in</body></html>")
    with pytest.raises(UserError, match=rf"{portal.url}: a\.bin has 54 bytes instead of 512,000"):
        fetch(one, folder, [portal.url])
    assert left_in(folder) == []
    serve(good, a=BIG)
    assert fetch(one, folder, [portal.url, good.url]) == {"a.bin": good.url}


def test_wrong_bytes_of_one_mirror_leave_the_partial_file_of_another(one, folder, start_server, monkeypatch):
    cut, bad = start_server(), start_server()
    serve(cut, a=BIG)
    serve(bad, a=SAME_SIZE)
    cut.cuts["/toy/a.bin"] = 1
    monkeypatch.setattr(download, "RETRIES", 0)
    with pytest.raises(UserError, match=r"connection cut.*has SHA-256"):
        fetch(one, folder, [cut.url, bad.url])
    assert len(left_in(folder)) == 1
    fetch(one, folder, [cut.url])
    assert cut.asked[1][1] > 0


def test_a_file_that_is_there_leaves_no_partial_file(one, folder, server, tmp_path, monkeypatch):
    serve(server, a=BIG)
    server.cuts["/toy/a.bin"] = 1
    put(tmp_path / "toy", {"a.bin": BIG})
    monkeypatch.setattr(download, "RETRIES", 0)
    assert fetch(one, folder, [server.url, str(tmp_path)]) == {"a.bin": str(tmp_path)}
    assert left_in(folder) == ["a.bin"]


def test_a_refusal_goes_to_the_next_mirror_and_a_passing_fault_is_asked_again(one, folder, start_server):
    absent, forbidden, busy = start_server(), start_server(), start_server()
    forbidden.errors["/toy/a.bin"] = [403]
    busy.errors["/toy/a.bin"] = [503, 429]
    serve(busy, a=BIG)
    assert fetch(one, folder, [absent.url, forbidden.url, busy.url]) == {"a.bin": busy.url}
    assert [len(server.asked) for server in (absent, forbidden, busy)] == [1, 1, 3]


def test_the_bytes_of_a_gz_file_are_kept_when_a_server_calls_them_an_encoding(folder, server):
    server.headers["Content-Encoding"] = "gzip"
    serve(server, a=BIG)
    fetch(make_source("toy", {"a.bin": BIG}), folder, [server.url])
    assert (folder / "a.bin").read_bytes() == BIG


def test_a_good_file_in_place_is_not_touched(toy, folder, server):
    serve(server, a=b"never asked for", b=b"small")
    put(folder, {"a.bin": BIG})
    os.utime(folder / "a.bin", (1, 1))
    assert fetch(toy, folder, [server.url]) == {"a.bin": str(folder.parent), "b.bin": server.url}
    assert (folder / "a.bin").stat().st_mtime == 1
    assert server.asked == [("/toy/b.bin", 0)]


def test_a_wrong_file_in_place_is_set_aside_and_said(one, folder, server, capsys):
    serve(server, a=BIG)
    for count, aside in enumerate(("a.bin.wrong", "a.bin.wrong2", "a.bin.wrong3")):
        put(folder, {"a.bin": WRONG + bytes([count])})
        fetch(one, folder, [server.url])
        assert (folder / "a.bin").read_bytes() == BIG
        assert (folder / aside).read_bytes() == WRONG + bytes([count])
        assert f"set aside as {aside}\n" in capsys.readouterr().err


def test_the_destination_as_a_mirror_is_harmless(toy, folder):
    put(folder, {"a.bin": BIG, "b.bin": WRONG})
    with pytest.raises(UserError, match=r"could not get b\.bin \("):
        fetch(toy, folder, [str(folder.parent)])
    assert left_in(folder) == ["a.bin", "b.bin.wrong"]
    assert (folder / "a.bin").read_bytes() == BIG


def test_where_nothing_works_one_line_says_what_was_tried_and_what_to_do(toy, folder, server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    official = [{file: f"{dead}/{file}" for file in ("a.bin", "b.bin")}]
    source = Source("toy", toy.forms, official=lambda: official)
    mirrors = [str(tmp_path / "nowhere"), server.url, "ftp://there", "http://no-such-host.invalid"]
    with pytest.raises(UserError) as caught:
        fetch(source, folder, mirrors)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "toy: could not get a.bin, b.bin (",
        f"{tmp_path / 'nowhere'}: no folder {tmp_path / 'nowhere' / 'toy'};",
        f"{server.url}: a.bin: 404 Not Found;",
        "ftp://there: neither a folder nor a URL that begins with file://, http:// or https://;",
        "http://no-such-host.invalid: no connection (NameResolutionError);",
        f"{dead}: no connection (NewConnectionError))",
        f"Put what is missing into FOLDER/toy/ (from {dead}/a.bin {dead}/b.bin)",
        "set HAL_DATA_MIRROR=FOLDER",
    ):
        assert part in message


def test_a_machine_without_torchvision_says_so(one, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    source = Source("toy", one.forms, official=SOURCES["mnist"].official)
    with pytest.raises(
        UserError, match=r"could not get a\.bin \(official servers: torchvision, .*HAL_DATA_MIRROR"
    ):
        fetch(source, folder)


def test_a_folder_that_cannot_be_made_is_named(one, folder):
    folder.parent.parent.mkdir(parents=True)
    folder.parent.write_text("a file")
    with pytest.raises(UserError, match=rf"{folder}: cannot take in the files of toy"):
        fetch(one, folder)


def test_a_full_disk_is_said_and_no_other_mirror_is_asked(one, folder, tmp_path, monkeypatch):
    put(tmp_path / "toy", {"a.bin": BIG})
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("shutil.copyfile", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(UserError, match=rf"{folder}: No space left on device; make room"):
        fetch(Source("toy", one.forms, official=lambda: pytest.fail("asked")), folder, [str(tmp_path)])
    assert left_in(folder) == []


def test_a_disk_that_is_full_in_the_middle_of_a_download_is_said_and_the_download_goes_on_later(
    one, folder, server, monkeypatch
):
    serve(server, a=BIG)

    class Full(io.FileIO):
        def write(self, content):
            if self.tell() > 100_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    with monkeypatch.context() as context:
        context.setattr("hal.data.download.open", Full, raising=False)
        with pytest.raises(UserError, match=rf"{folder}: No space left on device; make room"):
            fetch(one, folder, [server.url])
    assert all(name.endswith(".part") for name in left_in(folder))
    assert fetch(one, folder, [server.url]) == {"a.bin": server.url}
    assert server.asked[1][1] > 100_000


def test_any_one_form_is_enough_and_mirrors_are_asked_for_all_forms_in_turn(folder, start_server, tmp_path):
    source = make_source("toy", {"all.tar": BIG}, {"a.bin": b"1", "b.bin": b"2"})
    put(tmp_path / "toy", {"a.bin": b"1", "b.bin": b"2"})
    server = start_server()
    server.files = {"/toy/all.tar": BIG}
    assert fetch(source, folder, [str(tmp_path), server.url]) == dict.fromkeys(
        ("a.bin", "b.bin"), str(tmp_path)
    )
    assert server.asked == []
    (folder / "a.bin").unlink()
    assert fetch(source, folder, [server.url]) == {"all.tar": server.url}
    (folder / "all.tar").unlink()
    with pytest.raises(UserError, match=r"could not get all\.tar, or else a\.bin \("):
        fetch(source, folder)


def test_no_server_and_no_folder_fills_the_disk(one, folder, server, tmp_path):
    """Neither with more than the file has, said or not, nor with less."""
    for content in (BIG + b"more", BIG[:-1]):
        serve(server, a=content)
        put(tmp_path / "toy", {"a.bin": content})
        with pytest.raises(UserError) as caught:
            fetch(one, folder, [server.url, str(tmp_path)])
        assert str(caught.value).count(f"a.bin has {len(content):,} bytes instead of 512,000") == 2
        assert left_in(folder) == []
    server.endless.add("/toy/a.bin")
    with pytest.raises(UserError, match=r"a\.bin has more than 512,000 bytes"):
        fetch(one, folder, [server.url])
    assert left_in(folder) == []


def test_no_credential_is_shown_or_written(one, folder, server, capsys):
    serve(server, a=BIG)
    mirror = server.url.replace("http://", "http://me:p@ss%2Fword@")
    assert fetch(one, folder, [mirror]) == {"a.bin": server.url}
    assert server.authorization == {"Basic " + base64.b64encode(b"me:p@ss/word").decode()}
    (folder / "a.bin").unlink()
    serve(server, a=SAME_SIZE)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = f"http://me:secret@127.0.0.1:{unused.getsockname()[1]}/?sig=secret"
    with pytest.raises(UserError) as caught:
        fetch(
            one,
            folder,
            [mirror, dead, "ftp://me:secret@there", "http://me:sec/ret@there", "http://me:sec ret@[x"],
        )
    shown = str(caught.value) + capsys.readouterr().err
    assert server.url in shown
    for part in ("me:", "p@ss", "word", "secret", "ret@", "sig="):
        assert part not in shown
    assert left_in(folder) == []


def test_a_whole_folder_that_cannot_be_written_is_enough(toy, folder, monkeypatch):
    """Such as data/raw as a link to a share that is read-only: not even a lock is written."""
    put(folder, {"a.bin": BIG, "b.bin": b"small"})
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("written"))
    (folder / "never a lock").touch()
    assert fetch(toy, folder, ["nowhere"]) == dict.fromkeys(("a.bin", "b.bin"), str(folder.parent))
    assert sorted(path.name for path in folder.iterdir()) == ["a.bin", "b.bin", "never a lock"]


@pytest.mark.parametrize("place", ["toy", "TOY/raw"])
def test_the_folders_of_torchvision_and_a_file_url_are_mirrors(one, folder, tmp_path, place):
    source = dataclasses.replace(one, torchvision="TOY/raw")
    put(tmp_path / "a mirror" / place, {"a.bin": BIG})
    assert fetch(source, folder, [str(tmp_path / "a mirror")]) == {"a.bin": str(tmp_path / "a mirror")}
    (folder / "a.bin").unlink()
    url = (tmp_path / "a mirror").as_uri()
    assert fetch(source, folder, [url]) == {"a.bin": url}


FETCH = """
import sys
from pathlib import Path
from hal.data import download
from hal.data.fetch import fetch
from hal.data.sources import RawFile, Source
download.TIMEOUT = (2, 30)
url, folder, sha256, size = sys.argv[1:]
print(fetch(Source("toy", ({"a.bin": RawFile(sha256, int(size))},)), Path(folder), [url]))
"""


def fetching(server, folder) -> subprocess.Popen:
    arguments = [sys.executable, "-c", FETCH, server.url, str(folder), sha256(BIG), str(len(BIG))]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(what) -> None:
    limit = time.monotonic() + 20
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_two_processes_fetch_a_file_once(folder, server):
    serve(server, a=BIG)
    server.stalls["/toy/a.bin"] = 1  # the first holds the file up until the second has come
    first = fetching(server, folder)
    wait_for(lambda: server.sent)
    second = fetching(server, folder)
    assert "waiting for it" in second.stderr.readline()
    server.over.set()  # the stalled connection closes: cut
    assert first.wait(20) == second.wait(20) == 0
    assert server.url in first.stdout.read()
    assert str(folder.parent) in second.stdout.read()
    assert (folder / "a.bin").read_bytes() == BIG
    assert len(server.asked) == 2  # the first one's two


def test_a_killed_process_loses_nothing(one, folder, server):
    serve(server, a=BIG)
    server.stalls["/toy/a.bin"] = 1
    process = fetching(server, folder)
    wait_for(lambda: sum(part.stat().st_size for part in folder.glob("*.part")) > download.CHUNK)
    process.send_signal(signal.SIGKILL)
    process.wait()
    fetch(one, folder, [server.url])
    assert server.asked[1][1] > download.CHUNK
    assert (folder / "a.bin").read_bytes() == BIG


def test_a_log_gets_plain_lines_and_a_terminal_a_bar(one, folder, server, capsys, monkeypatch):
    serve(server, a=BIG)
    monkeypatch.setattr(download, "LOG_EVERY", 0)
    fetch(one, folder, [server.url])
    log = capsys.readouterr().err
    assert "\r" not in log
    assert f"a.bin: from {server.url}/toy\n" in log
    assert "a.bin: 512kB of 512kB, " in log
    assert "B/s, 00:00 left\n" in log
    (folder / "a.bin").unlink()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(one, folder, [server.url])
    assert "\ra.bin: 100%" in capsys.readouterr().err


def test_torchvision_knows_an_address_for_every_file_of_a_first_form():
    pytest.importorskip("torchvision", exc_type=ImportError)
    for name in ("mnist", "svhn", "cifar10", "cifar100"):
        servers = SOURCES[name].official()
        for urls in servers:
            assert urls.keys() == SOURCES[name].forms[0].keys()
            assert all(url.startswith("http") and url.endswith("/" + file) for file, url in urls.items())
    assert SOURCES["digits"].official() == []


def test_a_mirror_that_has_all_is_named_before_torchvision_is_asked(one, folder, tmp_path):
    put(tmp_path / "mirror" / "toy", {"a.bin": BIG})

    def fail():
        raise AssertionError("asked")

    asked = dataclasses.replace(one, official=fail)
    assert answering(asked, [str(tmp_path / "mirror")], 1) == str(tmp_path / "mirror")


def test_torchvision_and_torch_are_not_imported_before_an_address_is_needed():
    code = (
        "import sys, hal.data.prepare; print(sorted({'torch', 'torchvision', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
