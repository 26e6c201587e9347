"""One reading of YAML: that of version 1.2 (ruamel.yaml, which DVC uses), or a refusal."""

import math
import random

import pytest
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hal.errors import UserError
from hal.yaml12 import Loader, read_comments, read_yaml

SCALARS = (
    *(
        "0",
        "-0",
        "+1",
        "12",
        "-3",
        "0x1F",
        "0xZ",
        "1.",
        ".5",
        "+.5",
        "-1.5",
        "1e-05",
        "1E5",
        "1e+5",
        "1.5e",
        "1.e3",
    ),
    *(
        "~",
        "null",
        "Null",
        "NULL",
        "nUll",
        "true",
        "True",
        "TRUE",
        "tRue",
        "false",
        "no",
        "yes",
        "On",
        "off",
        "y",
        "n",
    ),
    *(
        ".inf",
        "-.INF",
        "+.Inf",
        ".nan",
        ".NaN",
        "nan",
        "inf",
        "1:30",
        "190:20:30",
        "1,000",
        "٣",
        "½",
        "≥ 5",
        "a b",
    ),
    *(
        "010",
        "0100",
        "-010",
        "08",
        "0o10",
        "0b11",
        "1_000",
        "1__0",
        "0_8",
        "1_0.5",
        "_1",
        "1_",
        "+0x1F",
        "0x_1",
    ),
    *(
        "2001-01-01",
        "2001-1-1 10:00:00",
        "1e5_0",
        "0b12",
        "0o9",
        "00",
        "0_0",
        "00.5",
        "007.5",
        "0e1",
        "-0b1",
        "0B1",
    ),
)


def made_up(n: int) -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choices("0012789__-+..eExob:", k=rng.randint(1, 7))) for _ in range(n)]


def read_or_refused(text: str) -> object:
    try:
        return yaml.load(text, Loader=Loader)["k"]
    except yaml.constructor.ConstructorError:
        return "refused"


@pytest.mark.parametrize("scalars", [SCALARS, made_up(4000)], ids=["chosen", "made up"])
def test_a_scalar_is_read_as_dvc_reads_it_or_refused(scalars):
    for scalar in scalars:
        text = f"k: {scalar}\n"
        try:
            theirs = YAML(typ="safe").load(text)["k"]
        except (YAMLError, ValueError):  # not YAML, or ruamel.yaml itself trips over it
            continue
        ours = read_or_refused(text)
        if ours == "refused":
            continue
        assert type(ours) is type(theirs), scalar
        assert ours == theirs or (math.isnan(ours) and math.isnan(theirs)), scalar


def test_no_number_is_another_to_yaml_1_1():
    """What is read as a number here is that number, or text, to a reader of version 1.1."""
    for scalar in (*SCALARS, *made_up(4000)):
        try:
            ours = yaml.load(f"k: {scalar}\n", Loader=Loader)["k"]
            theirs = yaml.safe_load(f"k: {scalar}\n")["k"]
        except (yaml.YAMLError, ValueError):
            continue
        if isinstance(ours, int | float) and not isinstance(theirs, str):
            assert ours == theirs or (math.isnan(ours) and math.isnan(theirs)), scalar


@pytest.mark.parametrize(
    ("scalar", "instead"),
    [
        ("010", '10 for a number, "010" for text'),
        ("0100", "100 for a number"),
        ("-08", "-8 for a number"),
        ("0o17", "15 for a number"),
        ("0b11", "3 for a number"),
        ("1_000", "1000 for a number"),
        ("1_0.5", "10.5 for a number"),
        ("2001-01-01", '"2001-01-01" for text'),
    ],
)
def test_a_refusal_says_where_and_what_to_write(tmp_path, scalar, instead):
    path = tmp_path / "overlay.yaml"
    path.write_text(f"grid:\n  seeds: [1, {scalar}]\n")
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(
        f"{path}:2:14: {scalar} is read differently by different versions of YAML"
    )
    assert instead in str(caught.value)
    path.write_text(f'k: "{scalar}"\n')
    assert read_yaml(path) == {"k": scalar}


def test_what_dvc_writes_is_read(tmp_path):
    """`dvc exp run -S` takes quotes off what YAML 1.2 reads as text, and writes 0.00001 as 1e-05."""
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML().dump({"eps": 1e-05, "names": ["yes", "no", "1:30", "010", "1e5", "2001-01-01"]}, file)
    assert "'yes'" not in path.read_text()
    assert read_yaml(path) == {"eps": 1e-05, "names": ["yes", "no", "1:30", "010", "1e5", "2001-01-01"]}


def test_a_key_that_a_merge_replaces_does_not_appear_twice(tmp_path):
    path = tmp_path / "overlay.yaml"
    path.write_text("a: &a {x: 1}\nouter: {b: &b {<<: *a, x: 2}}\nc: {<<: *b}\n")
    assert read_yaml(path) == {"a": {"x": 1}, "outer": {"b": {"x": 2}}, "c": {"x": 2}}


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "x: &x {a: 1}\ny: {<<: *x, <<: *x}\n"])
def test_a_repeated_key_is_refused(tmp_path, text):
    path = tmp_path / "overlay.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="appears twice"):
        read_yaml(path)


@pytest.mark.parametrize(
    "text",
    [
        "k: !!int abc\n",
        "k: !!int '010'\n",
        "k: !!bool ''\n",
        "k: !!timestamp a\n",
        "k: !!python/name:os.system\n",
        "[" * 5000,
        "k: \x07",
        "a: b: c",
    ],
)
def test_what_is_no_yaml_is_one_line(tmp_path, text):
    path = tmp_path / "overlay.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"overlay\.yaml") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_an_empty_file_has_no_comments(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing but this\n", encoding="utf-8")
    assert read_comments(path) == {}
