"""A crate is whole, says what its profile asks for, and leads from a claim to the data."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from hal import crate as crate_module
from hal.crate import PROFILES

pytestmark = pytest.mark.slow


def pack(project: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "hal", "--overlay", "configs/tiny.yaml", "crate"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


@pytest.fixture
def crate(finished, tmp_path) -> ROCrate:
    done = pack(finished)
    assert (done.returncode, done.stdout) == (0, "runs/tiny/report/crate.zip\n"), done.stderr
    with zipfile.ZipFile(finished / "runs/tiny/report/crate.zip") as archive:
        archive.extractall(tmp_path / "crate")
    return ROCrate(tmp_path / "crate")


def test_settings_from_elsewhere_have_a_place_of_their_own_inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "out").symlink_to(tmp_path.parent)
    places = {
        "params.yaml": "params.yaml",
        "configs/a.yaml": "configs/a.yaml",
        "../a.yaml": "settings/7-a.yaml",
    }
    places |= {"/elsewhere/a.yaml": "settings/7-a.yaml", "out/a.yaml": "settings/7-a.yaml"}
    assert {file: str(crate_module._place(7, Path(file))) for file in places} == places


def test_it_has_what_the_workflow_run_profile_requires(crate):
    root, workflow = crate.root_dataset, crate.mainEntity
    assert {entity.id for entity in root["conformsTo"]} == set(PROFILES)
    assert all("CreativeWork" in entity.type for entity in root["conformsTo"])
    assert {"name", "description", "license", "datePublished"} <= root.properties().keys()
    assert set(workflow.type) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert workflow["programmingLanguage"]["name"] == "Snakemake"
    runs = [action for action in crate.get_by_type("CreateAction") if action["instrument"] is workflow]
    assert len(runs) == 1
    for action in crate.get_by_type("CreateAction"):
        assert action in root["mentions"]
        assert action["instrument"] is workflow or action["instrument"].type == "SoftwareApplication"
        assert action["object"]
        assert action["result"]


def test_what_is_inside_is_what_it_says_and_the_rest_is_named_by_its_bytes(crate, finished, tmp_path):
    inside = [file for file in crate.get_by_type("File") if not file.id.startswith("ni:")]
    elsewhere = [file for file in crate.get_by_type("File") if file.id.startswith("ni:")]
    for file in inside:
        content = (tmp_path / "crate" / file.id).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert len(content) == int(file["contentSize"])
    assert len(inside) > 30
    weights = [file for file in elsewhere if file["name"].endswith("weights.safetensors")]
    assert {file["name"]: file["sha256"] for file in weights} == {
        f"checkpoints/{path.parent.relative_to(finished / 'runs/tiny/checkpoints')}/{path.name}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in finished.glob("runs/tiny/checkpoints/*/*/*/weights.safetensors")
    }
    assert len(weights) == 4


def test_a_claim_leads_to_verdict_tables_networks_code_and_data(crate, finished):
    review = crate.get("#verdict/mnist-split")
    assert review["name"] == "Verdict on mnist-split: not yet run"
    assert review["itemReviewed"]["appearance"]["name"] == "Hierarchical Auxiliary Learning"
    tables = review["isBasedOn"]
    assert {"results/verdicts.csv", "results/table2.csv"} <= {table.id for table in tables}

    def made_by(file):
        return [
            action
            for action in crate.get_by_type("CreateAction")
            if file in action["result"] and action.id != "#run"
        ]

    (drawing,) = made_by(tables[0])
    records = [file for file in drawing["object"] if file.id.endswith("cell.json")]
    assert len(records) == 4
    for file in records:
        (training,) = made_by(file)
        record = json.loads((finished / "runs/tiny" / file.id).read_text())
        assert training["instrument"]["softwareVersion"] == record["provenance"]["code"]
        assert any(made["name"].endswith("weights.safetensors") for made in training["result"])
        (data,) = [given for given in training["object"] if given["name"] == "data/tiny.npz"]
        assert data["sha256"] == record["provenance"]["data_sha256"]


def test_no_checkpoints_are_needed(finished):
    shutil.rmtree(finished / "runs/tiny/checkpoints")
    shutil.rmtree(finished / ".snakemake")
    assert pack(finished).returncode == 0


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("results/tiny/pairs/seed1/cell.json", ": missing; a crate is of a whole run: run snakemake first"),
        ("results/table2.csv", "is missing or not drawn from the cells there are; run snakemake first"),
    ],
)
def test_half_a_run_is_refused(finished, file, says):
    (finished / "runs/tiny" / file).unlink()
    done = pack(finished)
    assert done.returncode == 1
    assert file in done.stderr
    assert says in done.stderr
    assert not (finished / "runs/tiny/report/crate.zip").exists()


def test_cells_of_other_data_than_the_description_are_refused(finished):
    description = finished / "runs/tiny/data/tiny.json"
    stored = json.loads(description.read_text())
    description.write_text(json.dumps(stored | {"arrays_sha256": "0" * 64}))
    done = pack(finished)
    assert done.returncode == 1
    assert "cell.json: stale (" in done.stderr
    assert "a crate is of a whole run: run snakemake first" in done.stderr


def test_a_changed_file_of_a_cell_is_refused(finished):
    curves = finished / "runs/tiny/results/tiny/pairs/seed1/curves.csv"
    curves.write_text(curves.read_text().replace("1", "2"))
    done = pack(finished)
    assert done.returncode == 1
    assert "curves.csv: is not what was written" in done.stderr
