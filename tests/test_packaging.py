"""One list of versions: pyproject.toml, requirements.lock, environment.yml, Makefile and CI agree."""

import dataclasses
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hal
from hal.paper import load_paper
from hal.params import Params
from hal.settings import TrainSettings
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


def test_what_the_cluster_profile_names_as_examples_can_be_uncommented():
    text = re.sub(r"^#(?=  - )", "", read("profiles/slurm/config.yaml"), flags=re.MULTILINE)
    resources = yaml.safe_load(text)["default-resources"]
    assert resources[2:] == ["slurm_partition=gpu", "slurm_account=my-group", "constraint=h100"]


def test_the_image_has_the_runs_that_are_in_git():
    kept = {
        ignored: set(re.findall(r"^!/?runs/([\w-]+)/?$", read(ignored), re.MULTILINE))
        for ignored in (".gitignore", ".dockerignore")
    }
    assert kept[".gitignore"] == kept[".dockerignore"] > {"cpu-mnist"}


@pytest.mark.parametrize(
    ("installed", "python", "anew"),
    [("here", sys.executable, False), ("/moved/away", sys.executable, True), ("here", "/no/python", True)],
)
def test_a_venv_of_another_place_or_of_a_python_that_is_gone_is_made_anew(tmp_path, installed, python, anew):
    """Make took it for installed, and every command then failed."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(python)
    stamp = tmp_path / ".venv/installed"
    stamp.write_text(f"{os.path.realpath(tmp_path) if installed == 'here' else installed}\n")
    os.utime(stamp, (2**32, 2**32))
    said = subprocess.run(["make", "-n", "install"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert ("rm -rf .venv" in said.stdout) == ("-m venv .venv" in said.stdout) == anew


def test_nobodys_own_hook_is_replaced(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    stamp = tmp_path / ".venv/installed"
    stamp.write_text(f"{os.path.realpath(tmp_path)}\n")
    os.utime(stamp, (2**32, 2**32))
    home = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "GIT_CEILING_DIRECTORIES": str(tmp_path.parent),
    }

    def make_hooks() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", "hooks"], cwd=tmp_path, env=home, capture_output=True, text=True)

    assert "not a git repository" in make_hooks().stderr  # it wrote to /pre-commit
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    hook = tmp_path / ".git/hooks/pre-commit"
    for _ in range(2):
        assert make_hooks().returncode == 0
        assert "pre-commit run" in hook.read_text()
    hook.write_text("mine")
    assert "hooks of your own are there" in make_hooks().stderr
    assert hook.read_text() == "mine"
    hook.unlink()
    subprocess.run(["git", "config", "core.hooksPath", "elsewhere"], cwd=tmp_path, check=True)
    assert make_hooks().returncode != 0
    assert not hook.exists()


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


def test_those_who_cite_or_archive_it_are_all_told_the_same():
    citation = yaml.safe_load(read("CITATION.cff"))
    codemeta, zenodo = json.loads(read("codemeta.json")), json.loads(read(".zenodo.json"))
    project = tomllib.loads(read("pyproject.toml"))["project"]
    titles = {citation["title"], codemeta["name"], zenodo["title"]}
    abstracts = {citation["abstract"], codemeta["description"], zenodo["description"]}
    licences = {
        citation["license"],
        codemeta["license"].rsplit("/", 1)[1],
        zenodo["license"],
        project["license"],
    }
    assert [len(said) for said in (titles, abstracts, licences)] == [1, 1, 1]
    assert read("LICENSE").startswith(f"{licences.pop()} License")
    authors = [author["name"] for author in citation["authors"]]
    assert authors == [author["name"] for author in codemeta["author"]]
    assert authors == [creator["name"] for creator in zenodo["creators"]]
    assert all(author in read("LICENSE") for author in authors)
    assert citation["keywords"] == codemeta["keywords"] == zenodo["keywords"]
    cited, published, paper = (
        citation["preferred-citation"],
        codemeta["referencePublication"],
        load_paper().citation,
    )
    assert (
        (cited["title"], str(cited["year"]), cited["url"])
        == (published["name"], published["datePublished"], published["url"])
        == (paper.title, str(paper.year), paper.url)
    )
    assert (
        [f"{author['given-names']} {author['family-names']}" for author in cited["authors"]]
        == [f"{author['givenName']} {author['familyName']}" for author in published["author"]]
        == list(paper.authors)
    )
    assert zenodo["related_identifiers"][0]["identifier"] == paper.published


def test_an_installed_package_has_every_file_that_is_no_module():
    patterns = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["package-data"]["hal"]
    package = ROOT / "src/hal"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    others = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert others == {path for path in packed if path.is_file()}


def test_the_version_stands_in_the_package_and_all_others_repeat_it():
    pyproject = tomllib.loads(read("pyproject.toml"))
    assert "version" in pyproject["project"]["dynamic"]
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "hal.__version__"}
    citation, codemeta = yaml.safe_load(read("CITATION.cff")), json.loads(read("codemeta.json"))
    assert {citation["version"], codemeta["version"], json.loads(read(".zenodo.json"))["version"]} == {
        hal.__version__
    }
    latest = re.findall(r"^## \[([^\]]+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert latest[:2] == ["Unreleased", hal.__version__]


def test_the_container_is_made_of_what_is_here_by_the_steps_of_make_install():
    dockerfile = read("Dockerfile")
    copied = re.findall(r"^COPY --chown=hal (\S+) ", dockerfile, re.MULTILINE)
    assert copied == ["requirements.lock", "."]
    assert all((ROOT / path).exists() for path in copied)
    assert not set(read(".dockerignore").split()) & {"src", "tests", "configs", "*", "requirements.lock"}
    (install,) = re.findall(r"\.venv/bin/pip install .*", dockerfile)
    assert "--require-hashes -r requirements.lock" in install
    assert re.search(r"^RUN make install$", dockerfile, re.MULTILINE)  # finds .venv there, adds this package
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    assert re.search(r'^CMD \["make", "(\w+)"\]$', dockerfile, re.MULTILINE)[1] in targets
    python = re.search(r"^FROM python:(\d\.\d+)-slim", dockerfile, re.MULTILINE)[1]
    assert python == yaml.safe_load(read("environment.yml"))["dependencies"][0].split("=")[1]
    container = json.loads(read(".devcontainer.json"))
    assert (ROOT / container["build"]["dockerfile"]).exists()
    assert container["remoteUser"] in re.findall(r"useradd .* (\w+) \\$", dockerfile, re.MULTILINE)
    assert set(container["postCreateCommand"].split()[1:]) <= set(targets)


def test_the_public_ci_and_the_other_one_say_nothing_that_make_does_not():
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    called = {
        word
        for run in steps
        for line in re.findall(r"^make (.*)$", run, re.MULTILINE)
        for word in line.split()
    }
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert {"lint", "docs", "demo", "workflow-report"} <= called
    assert {word for word in called if re.fullmatch("[a-z-]+", word)} <= targets
    assert not any(tool in run for run in steps for tool in ("pytest", "ruff", "pip", "snakemake"))
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons[0] == tomllib.loads(read("pyproject.toml"))["project"]["requires-python"].removeprefix(
        ">="
    )


def module_of_docs(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def measured(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return module_of_docs("measured")


def runs_in_git(measured: ModuleType) -> list[Params]:
    return [dataclasses.replace(params, root=str(ROOT / params.root)) for params in measured.runs()]


def test_the_figure_of_the_budget_is_that_of_the_results_in_git(measured, tmp_path):
    measured.budget.draw(measured.budget_runs(*runs_in_git(measured)[:2]), tmp_path / "budget.svg")
    assert (tmp_path / "budget.svg").read_text(encoding="utf-8") == read("docs/budget.svg")


@pytest.mark.parametrize("page", ["README.md", "docs/budget.md", "docs/ablations.md", "docs/sensitivity.md"])
def test_a_pages_measured_tables_are_those_of_the_results_in_git(measured, page):
    text, runs = read(page), runs_in_git(measured)
    assert text.count("<!-- measured: ") == text.count("<!-- end -->") > 0
    assert measured.written(text, *runs) == text, "python docs/measured.py"


@pytest.mark.parametrize(
    "page", ["docs/claims.md", "docs/ablations.md", "docs/dvc.md", "docs/sensitivity.md"]
)
def test_what_a_page_measured_on_embedded_digits_was_measured_on_todays_cells(measured, page):
    noted = re.findall(r"<!-- cells: (\S+) (\w+) -->", read(page))
    assert noted
    for overlay, cells in noted:
        assert measured.cells_sum(ROOT / overlay) == cells, f"run {overlay}, then write {page} anew"


def test_the_site_has_a_page_for_every_command_and_every_setting():
    pages = module_of_docs("pages")
    commands = re.findall(r"^## hal (\w+)$", pages.command_line(), re.MULTILINE)
    assert {"data", "train", "status", "report", "crate"} <= set(commands)
    rows = dict(re.findall(r"^\| `(\S+)` \| .* \| (.*) \| .* \|$", pages.settings(), re.MULTILINE))
    assert rows["train.epochs"] == "`250`"
    assert "Assumed" in next(line for line in pages.settings().splitlines() if "`train.momentum`" in line)
    assert {f"train.{field.name}" for field in dataclasses.fields(TrainSettings)} <= rows.keys()
    assert "datasets.<name>.cases.<name>.superclasses" in rows


def test_the_site_has_every_picture_of_its_pages(tmp_path):
    """Seven of ten were left out, and their words stood behind an exclamation mark."""
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "-q",
            "--strict",
            "-f",
            ROOT / "mkdocs.yml",
            "-d",
            tmp_path,
        ],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    shown = 0
    for page in tmp_path.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert ">!" not in html, page
        for source in re.findall(r'<img[^>]*src="([^":]+)"', html):
            assert (tmp_path / source).is_file(), (page, source)
            shown += 1
    assert shown >= 10


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "docs/checklist.md", "docs/index.md", "README.md", "CHANGELOG.md"]
)
def test_every_file_that_a_page_names_is_there_or_made(page):
    made = ("data/", "results/", "checkpoints/", "figures/", "report/", "runs/", "logs/", "site/", ".venv/")
    named = re.findall(
        r"`([\w.-]+/[\w./-]*\w|[A-Za-z][\w-]+\.(?:md|py|yaml|yml|json|cff|lock|toml))`", read(page)
    )
    inside = {path.name for path in (ROOT / "src").rglob("*.py")} | {"cell.json", "remeasured.json"}
    missing = [
        name
        for name in named
        if not name.startswith(made) and not (ROOT / name).exists() and name not in inside
    ]
    assert not missing
