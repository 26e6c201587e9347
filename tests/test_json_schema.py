"""What editors are told of params.yaml is what `hal` accepts."""

import json
from pathlib import Path

import jsonschema
import pytest

from hal.errors import UserError
from hal.json_schema import NAMES, schemas
from hal.params import load
from hal.yaml12 import read_yaml

ROOT = Path(__file__).parent.parent
PARAMS = ROOT / "params.yaml"


@pytest.fixture(scope="module")
def validators():
    found = [
        jsonschema.Draft7Validator(json.loads((ROOT / name).read_text(encoding="utf-8"))) for name in NAMES
    ]
    for validator in found:
        validator.check_schema(validator.schema)
    return found


def test_the_committed_schemas_are_current():
    for name, schema in schemas(PARAMS).items():
        committed = json.loads((ROOT / name).read_text(encoding="utf-8"))
        assert committed == schema, (
            f"{name} is older than src/hal/settings.py or params.yaml: run `hal schema`"
        )


def test_params_yaml_and_every_overlay_name_their_schema_and_keep_it(validators):
    of_params, of_overlay = validators
    assert PARAMS.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={NAMES[0]}\n")
    of_params.validate(read_yaml(PARAMS))
    for overlay in (ROOT / "configs").glob("*.yaml"):
        text = overlay.read_text(encoding="utf-8")
        assert text.startswith(f"# yaml-language-server: $schema=../{NAMES[1]}\n"), overlay
        of_overlay.validate(read_yaml(overlay))


def test_every_setting_has_a_description_and_an_assumption_its_reason(validators):
    def walk(node):
        if isinstance(node, dict):
            for setting in node.get("properties", {}).values():
                assert len(setting["description"]) > 5
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for validator in validators:
        walk(validator.schema)
    momentum = validators[0].schema["properties"]["train"]["properties"]["momentum"]["description"]
    assert momentum.startswith("Of stochastic gradient descent. Assumed: The paper names no momentum")


VALID = (
    "train: {epochs: 3, max_lr: 1e-05}",
    "train: {max_lr: 1}",
    "augment: {flip: false, crop: batch}",
    "datasets: {mnist: {cases: {case1: null}}}",
    "datasets: {mnist: {cases: {case1: {hint: zero}}}}",
    "datasets: {mnist: {sha256: null, train: {epochs: 7}}}",
    "datasets: {mnist: {title: ''}}",
    "datasets: {digits: {title: '≥ 5, 漢字 👩‍🔬 {x} <1> a=b'}}",
    "variants: {slow: {title: slower, train: {max_lr: 0.1}}}",
    "runtime: {device: cpu}",
    "data: {mirrors: [elsewhere, 'https://example.org/mirror']}",
    "grid: {seeds: [4294967295]}",
)
INVALID = (
    "train: {epoch: 3}",
    "train: {epochs: -3}",
    "train: {epochs: 2.5}",
    "train: {epochs: true}",
    "train: {epochs: null}",
    "train: {epochs: 1000001}",
    "train: {max_lr: 0}",
    "train: {momentum: 1.5}",
    "train: {precision: half}",
    "train: 3",
    "train: {weight_decay: 1:30}",
    "augment: {flip: 1}",
    "augment: {flip: yes}",
    "grid: {seeds: [1, 1]}",
    "grid: {seeds: []}",
    "grid: {seeds: [4294967296]}",
    "grid: {datasets: [Mnist]}",
    "grid: null",
    "datasets: {mnist: {source: emnist}}",
    "datasets: {mnist: null}",
    "datasets: {mnist: {layers: 1}}",
    "datasets: {mnist: {classes: [a]}}",
    "datasets: {mnist: {sha256: abc}}",
    "datasets: {mnist: {variant_of: svhn}}",
    "datasets: {mnist: {train: {epoch: 7}}}",
    "datasets: {mnist: {train: {epochs: 0}}}",
    "datasets: {mnist: {cases: {a b: {superclasses: [[0], [1, 2, 3, 4, 5, 6, 7, 8, 9]]}}}}",
    "datasets: {mnist: {cases: {baseline: {superclasses: [[0], [1, 2, 3, 4, 5, 6, 7, 8, 9]]}}}}",
    "datasets: {mnist: {cases: {case1: {superclasses: [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]}}}}",
    "datasets: {mnist: {cases: {case1: {superclasses: [[], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]}}}}",
    "datasets: {mnist: {cases: {case1: {superclasses: [[a], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]}}}}",
    "datasets: {mnist: {cases: {case1: {hint: some}}}}",
    "datasets: {mnist: {title: '=1+1'}}",
    "datasets: {mnist: {title: ' a'}}",
    'datasets: {mnist: {title: "a\\tb"}}',
    'datasets: {mnist: {title: "a\\ufeff"}}',
    "datasets: {Mnist: {title: a}}",
    "model: {widths: [16, 32]}",
    "model: {widths: [16, 32, 64, 128]}",
    "model: {widths: 16}",
    "variants: {slow: {train: {max_lr: -1}, title: a}}",
    "variants: {slow: {title: ''}}",
    "runtime: {cpu_threads: 0}",
    "imports: {}",
    "root: a b",
)


@pytest.mark.parametrize(
    ("text", "valid"), [*((text, True) for text in VALID), *((text, False) for text in INVALID)]
)
def test_schema_and_validator_agree(tmp_path, validators, text, valid):
    path = tmp_path / "overlay.yaml"
    path.write_text(text if text.startswith("root") else f"root: runs/mine\n{text}", encoding="utf-8")
    assert validators[1].is_valid(read_yaml(path)) is valid
    if valid:
        load(PARAMS, [path])
    else:
        with pytest.raises(UserError):
            load(PARAMS, [path])


@pytest.mark.parametrize(
    "section", ["root", "grid", "datasets", "model", "train", "augment", "data", "runtime"]
)
def test_both_want_the_same_sections(tmp_path, validators, section):
    content = read_yaml(PARAMS)
    del content[section]
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    optional = section in ("data", "runtime")
    assert validators[0].is_valid(content) is optional
    if optional:
        load(path)
    else:
        with pytest.raises(UserError, match=f"{section}: missing"):
            load(path)
