"""One list of versions: pyproject.toml, requirements.lock, environment.yml, Makefile and CI agree."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tiny import ROOT


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def locked() -> dict[str, set[str]]:
    """Package to its pinned versions; a universal lock may pin several, one a Python version."""
    pins: dict[str, set[str]] = {}
    for line in re.findall(r"^[A-Za-z0-9].*$", read("requirements.lock"), re.MULTILINE):
        requirement = Requirement(line.rstrip(" \\"))
        ((operator, version),) = [(s.operator, s.version) for s in requirement.specifier]
        assert operator == "=="
        pins.setdefault(canonicalize_name(requirement.name), set()).add(version)
    return pins


def test_every_dependency_is_pinned_at_a_version_that_pyproject_allows():
    project = tomllib.loads(read("pyproject.toml"))
    wanted = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["dev"]
    for requirement in map(Requirement, wanted):
        versions = locked().get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in requirements.lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    for requirement in map(Requirement, project["tool"]["uv"]["constraint-dependencies"]):
        assert locked()[requirement.name] == {next(iter(requirement.specifier)).version}


def test_every_pin_has_hashes_and_none_names_a_host():
    blocks = re.split(r"^(?=[A-Za-z0-9])", read("requirements.lock"), flags=re.MULTILINE)[1:]
    assert len(blocks) >= len(locked()) > 100
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", read("requirements.lock"))


def test_conda_users_get_python_from_conda_and_the_rest_from_the_lock():
    environment = yaml.safe_load(read("environment.yml"))
    *conda, pip = environment["dependencies"]
    assert [entry.split("=")[0] for entry in conda] == ["python", "pip"]
    assert pip == {"pip": ["--require-hashes", "-r requirements.lock"]}
    version = conda[0].split("=")[1]
    assert Requirement(
        "python" + tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    ).specifier.contains(version)


def test_make_installs_from_the_lock_and_ci_installs_with_make():
    assert "--require-hashes -r requirements.lock" in read("Makefile")
    assert not re.search(r"pip install(?!.*(requirements\.lock|--no-deps))", read("Makefile"))
    assert "make install" in read(".ci/run")
    assert "pip install" not in read(".ci/run")


def test_the_citation_names_the_version_of_the_package():
    assert (
        yaml.safe_load(read("CITATION.cff"))["version"]
        == tomllib.loads(read("pyproject.toml"))["project"]["version"]
    )
