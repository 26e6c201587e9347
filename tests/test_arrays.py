"""Whatever bytes an .npz file holds: its arrays as they were written, or a ValueError."""

import io
import warnings
import zipfile

import numpy as np
import pytest

from hal.arrays import read_arrays

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def npy(array: np.ndarray = ARRAY) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(descr: str = "'|u1'", shape: str = "(3, 4)") -> bytes:
    """A .npy file with that header and the bytes of `ARRAY`."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00v\x00" + text.ljust(117).encode() + b"\n" + ARRAY.tobytes()


def put(path, content: bytes, method: int = zipfile.ZIP_STORED) -> None:
    """An archive whose own sums are right, whatever `content` is."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.npy", content)


def test_what_numpy_wrote_is_read(tmp_path):
    arrays = {
        "a": ARRAY,
        "b": np.asfortranarray(ARRAY),
        "c": np.zeros((0, 3)),
        "d": np.float64(2),
        "e": ARRAY > 3,
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        for name, array in read_arrays(tmp_path / "x.npz", arrays).items():
            np.testing.assert_array_equal(array, arrays[name])
            assert array.dtype == arrays[name].dtype
            assert array.flags.writeable


def test_no_bit_of_a_header_ends_in_a_traceback(tmp_path):
    """The header is damaged, and the archive was made from it: no sum of the archive tells."""
    path, whole = tmp_path / "x.npz", npy()
    assert npy() == header()
    refused = 0
    for position in range(128):
        for bit in range(8):
            changed = bytearray(whole)
            changed[position] ^= 1 << bit
            put(path, bytes(changed))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numpy takes some for headers that Python 2 wrote
                try:
                    read_arrays(path, ["a"])
                except ValueError:
                    refused += 1
    assert refused > 500


def test_no_bit_of_the_archive_changes_a_number(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=ARRAY)
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = read_arrays(path, ["a"])["a"]
        except (ValueError, KeyError):
            refused += 1
        else:
            np.testing.assert_array_equal(found, ARRAY)
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (header(shape="(3, 40000000000000)"), "promises 120000000000000 bytes, but 12 are there"),
        (header(shape="(3, -4)"), "promises -12 bytes"),
        (header(descr="'<f8'"), "promises 96 bytes"),
        (header(shape="(3, (4)"), "."),  # a TokenError of Python's
        (header(shape="3"), "shape is not valid"),
        (header(descr="'|O'"), "Object arrays cannot be loaded"),
        (header(descr="[('a', '|u1'), ('a', '|u1')]"), "."),
        (header().replace(b"\x01\x00v", b"\x09\x00v"), r"version \(9, 0\)"),
        (b"", "."),
        (b"\x93NUMPY\x01\x00\xff\xff{", "."),
        (b"\x93NUMPY\x01\x00\x40\x1f" + b"[" * 8000, "."),
    ],
)
def test_a_made_up_header_is_refused(tmp_path, content, why):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        put(tmp_path / "x.npz", content, method)
        with pytest.raises(ValueError, match=why) as caught:
            read_arrays(tmp_path / "x.npz", ["a"])
        assert "\n" not in str(caught.value)


def test_an_array_that_is_not_there_and_a_file_that_is_not_there(tmp_path):
    np.savez(tmp_path / "x.npz", a=ARRAY)
    with pytest.raises(KeyError, match="b"):
        read_arrays(tmp_path / "x.npz", ["a", "b"])
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "y.npz", ["a"])
