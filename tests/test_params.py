"""params.yaml: the paper's experiment, what is refused and how, and what identifies a cell."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from hal.errors import UserError
from hal.params import load

ROOT = Path(__file__).parent.parent
PARAMS = ROOT / "params.yaml"


def overlaid(tmp_path, text: str):
    path = tmp_path / "overlay.yaml"
    path.write_text(text if text.startswith(("-", "root")) else f"root: runs/mine\n{text}", encoding="utf-8")
    return load(PARAMS, [path])


def test_the_grid_of_the_paper_has_75_cells():
    cells = load(PARAMS).cells()
    assert len(cells) == 75
    assert len({cell.hash for cell in cells}) == 75
    assert cells[0].name == "mnist/baseline/seed0"
    assert cells[-1].name == "cifar10/case4/seed4"


@pytest.mark.parametrize("overlay", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_overlay_is_valid_and_has_a_root_of_its_own(overlay):
    assert load(PARAMS, [overlay]).root == f"runs/{overlay.stem}"


def test_what_identifies_a_cell_is_pinned():
    """Networks of weeks are known by these: where this fails, every cell there is would be trained again."""
    params = load(PARAMS, [ROOT / "configs" / "cpu-mnist.yaml"])
    assert params.cell("mnist", "baseline", 0).hash == "2b33d86e6917c094"
    assert params.cell("mnist", "case1", 0).hash == "6b90250cba0aa703"
    assert json.dumps(params.cell("mnist", "case1", 0).settings) == (
        '{"seed": 0, "data": "mnist", "classes": 10, "superclasses": [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]], "block": '
        '"auxiliary", "hint": "superclass", "loss": "softmax", "layers": 10, "model": {"widths": [16, 32, 64], '
        '"batch_norm_momentum": 0.003, "batch_norm_eps": 1e-05, "linear_init": "he", "output_bias": true}, "train": '
        '{"epochs": 20, "batch_size": 128, "max_lr": 1.0, "cosine": "step", "warmup_epochs": 1.0, "momentum": 0.0, '
        '"weight_decay": 0.0, "precision": "float32"}, "augment": {"pad": 4, "crop": "image", "flip": true}, '
        '"mathematics": 2}'
    )


def test_the_settings_that_the_paper_states():
    params = load(PARAMS)
    assert (params.train.epochs, params.train.batch_size, params.train.max_lr) == (250, 128, 1.0)
    assert [params.datasets[name].layers for name in ("mnist", "svhn", "cifar10")] == [10, 28, 28]
    assert params.datasets["cifar10"].cases["case4"].superclasses == ((1, 9), (3, 5), (4, 7), (0, 8), (2, 6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epoch: 3}", r"train\.epoch: unknown key; .*did you mean epochs\?"),
        ("train: {epochs: -3}", r"train\.epochs = -3: must be at least 1"),
        ("train: {epochs: 2.5}", r"train\.epochs = 2\.5: must be a whole number"),
        ("train: {epochs: true}", r"train\.epochs = True: must be a whole number"),
        ("train: {epochs: }", r"train\.epochs = None: must be a whole number"),
        ("train: {max_lr: .nan}", r"train\.max_lr = nan: must be greater than 0"),
        ("train: {max_lr: .inf}", r"train\.max_lr = inf"),
        ("train: {weight_decay: 1:30}", r"train\.weight_decay = '1:30': must be a number"),
        ("augment: {flip: yes}", r"augment\.flip = 'yes': must be true or false"),
        ("grid: {seeds: [010, 011]}", r"overlay\.yaml:2:16: 010 is read differently .*write 10 for a number"),
        ("train: {epochs: 0100}", r"overlay\.yaml:2:17: 0100 is read differently .*write 100 for a number"),
        ("train: {precision: half}", r"train\.precision = 'half': must be one of float32, tf32, bfloat16"),
        ("augment: {flip: 1}", r"augment\.flip = 1: must be true or false"),
        ("train: 3", r"train = 3: must be a mapping"),
        ("grid: {datasets: [imagenet]}", r"grid\.datasets: 'imagenet' is not defined"),
        ("grid: {seeds: [1, 1]}", r"grid\.seeds = \[1, 1\]: .*none twice"),
        ("grid: {seeds: []}", r"grid\.seeds = \[\]"),
        ("grid: {seeds: [-1]}", r"grid\.seeds\[0\] = -1: must be at least 0"),
        ("datasets: {mnist: {source: emnist}}", r"datasets\.mnist\.source = 'emnist': must be one of"),
        ("datasets: {mnist: {layers: 12}}", r"datasets\.mnist\.layers = 12: must be 6 n \+ 4"),
        (
            "datasets: {mine: {source: npz, layers: 10, classes: [a, b], cases: {}}}",
            r"datasets\.mine: source npz needs",
        ),
        (
            "datasets: {mnist: {cases: {a b: {superclasses: [[0],[1]]}}}}",
            r"cases\.a b \(key\) = 'a b': must be a folder's",
        ),
        ("datasets: {mnist: {cases: {baseline: {superclasses: [[0],[1]]}}}}", r"cases\.baseline"),
        ("model: {widths: [16, 32]}", r"model\.widths = \[16, 32\]: must hold exactly 3 entries"),
        ("train: {epochs: 1, epochs: 2}", r"key 'epochs' appears twice"),
        ("train: [", r"overlay\.yaml:2:9: expected the node content"),
        ("- 1", r"top level must be a mapping"),
        (
            "root: .",
            r"root = '\.': an overlay is another experiment and needs a root of its own, such as `root: runs/overlay`",
        ),
        ("root: runs/a b", r"root = 'runs/a b': must be a path of letters"),
        (
            "datasets: {mnist: {model: {widths: [4, 4, 4, 4]}}}",
            r"model\.widths = \[4, 4, 4, 4\]: must hold exactly 3 entries",
        ),
        (
            f"train: {{max_lr: 1{'0' * 400}}}",
            r"train\.max_lr = 1000.*must be greater than 0 and at most 1e\+30",
        ),
        ("grid: {seeds: [-1]}", r"at least 0 and at most 4,294,967,295"),
        ("train: {epochs: 0}", r"at least 1 and at most 1,000,000"),
        ("grid: null\nvariants: {a: {title: a}}", r"grid = None: must be a mapping"),
        ("datasets: {mnist: null}\nvariants: {a: {title: a}}", r"datasets\.mnist = None: must be a mapping"),
        (
            "variants: {a: {title: same}, b: {title: same}}",
            r"data sets mnist-a and mnist-b: the same title, 'MNIST, same'",
        ),
        ("datasets: {svhn: {title: MNIST}}", r"data sets mnist and svhn: the same title, 'MNIST'"),
        (
            "datasets: {svhn-a: {source: svhn, layers: 10, classes: [a, b], cases: {}}}\nvariants: {a: {title: a}}",
            r"variants\.a: there is a data set svhn-a already",
        ),
        (
            "grid: {datasets: [digits, digits-slow]}\nvariants: {slow: {title: slow}}",
            r"grid\.datasets: 'digits-slow' is not defined under datasets",
        ),
        (
            "grid: {datasets: [digits, digits-slow]}\nvariants: {slow-late: {title: x}, late: {title: y}}\n"
            "datasets: {digits-slow: {source: digits, layers: 10, classes: [a, b], cases: {}}}",
            r"variants\.late: there is a data set digits-slow-late already",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        overlaid(tmp_path, text)


@pytest.mark.parametrize(
    ("superclasses", "message"),
    [
        ("[[0, 1, 2, 3, 4], [4, 5, 6, 7, 8, 9]]", r"superclasses\[1\]: class 4 is already in superclass 0"),
        ("[[0, 1, 2, 3, 4], [5, 6, 7, 8]]", r"superclasses: class 9 is in no superclass"),
        (
            "[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10]]",
            r"superclasses\[1\]: label 10 is out of range; labels run from 0 to 9",
        ),
        ("[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []]", r"superclasses\[1\] = \[\]: must hold at least 1 entry"),
        ("[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]", r"superclasses = .*: must hold at least 2 entries"),
        ("[[0, 1, 2, 3, 4], [5, 6, 7, 8, cat]]", r"superclasses\[1\]\[4\] = 'cat': must be a whole number"),
        ("{a: 1}", r"superclasses = .*: must be a list"),
    ],
)
def test_a_grouping_must_hold_every_class_once(tmp_path, superclasses, message):
    with pytest.raises(UserError, match=message):
        overlaid(tmp_path, f"datasets: {{svhn: {{cases: {{mine: {{superclasses: {superclasses}}}}}}}}}")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (r"a\x07b", r"U\+0007"),
        (r"a\nb", r"U\+000A"),
        (r"a\ud800", r"U\+D800"),
        (r"\ufeff", r"U\+FEFF"),
        (r"a\u202eb", r"U\+202E"),
        (r"a\uffff", r"U\+FFFF"),
        ("=1+1", "must not begin with ="),
        ("+1", r"must not begin with \+"),
        ("-1", "must not begin with -"),
        ("@A1", "must not begin with @"),
        (" a", "must begin and end"),
        (r"\u3000", "must begin and end"),
    ],
)
@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("datasets: {{digits: {{title: {}}}}}", r"digits\.title"),
        ("datasets: {{digits: {{classes: [{}, b]}}}}", r"digits\.classes\[0\]"),
        ("datasets: {{digits: {{cases: {{case1: {{title: {}}}}}}}}}", r"case1\.title"),
        ("datasets: {{digits: {{cases: {{case1: {{names: [a, {}]}}}}}}}}", r"names\[1\]"),
        ("variants: {{a: {{title: {}}}}}", r"variants\.a\.title"),
        ("data: {{mirrors: [{}]}}", r"data\.mirrors\[0\]"),
    ],
)
def test_a_name_that_breaks_a_format_is_refused_before_anything_runs(tmp_path, name, why, place, key):
    with pytest.raises(UserError, match=f"{key} = .*{why}") as caught:
        overlaid(tmp_path, place.format(f'"{name}"'))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("place", ["title: ''", "cases: {case1: {title: ''}}"])
def test_a_title_may_be_empty(tmp_path, place):
    assert overlaid(tmp_path, f"datasets: {{digits: {{{place}}}}}")


@pytest.mark.parametrize("name", ["a\nb.yaml", "a\udcff.yaml", "-a.yaml", " a.yaml", "\ufeffa.yaml"])
def test_nor_may_the_name_of_an_overlay_break_one(tmp_path, name):
    with pytest.raises(UserError, match="name of the file = ") as caught:
        load(PARAMS, [tmp_path / name])
    assert str(caught.value).isprintable()


def test_other_names_are_welcome(tmp_path):
    for name in ("≥ 5", "漢字", "é", "👩‍🔬", "a=b", "R&D <1>", "50 %", "{x}", 'say "so"', "yes", "1:30"):
        params = overlaid(
            tmp_path, f"datasets: {{digits: {{title: {json.dumps(name, ensure_ascii=False)}}}}}"
        )
        assert params.datasets["digits"].title == name


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that stands for a checkout, the working directory."""
    folder = tmp_path / "hal"
    (folder / "results").mkdir(parents=True)
    (folder / "runs").mkdir()
    (folder / "params.yaml").write_bytes(PARAMS.read_bytes())
    monkeypatch.chdir(folder)
    return folder


def with_root(root: str):
    Path("overlay.yaml").write_text(f"root: {root}\n")
    return load("params.yaml", ["overlay.yaml"])


ROOTS = (
    *(".", "./", "../hal", "runs/..", "runs/../../hal", "../hal/results", "..", "../..", "/"),
    *(
        "src",
        ".git",
        "data",
        "results",
        "data/raw",
        "runs",
        "./runs/",
        "Runs/a",
        "mine",
        "results/mnist",
        "configs",
    ),
)


@pytest.mark.parametrize("root", ROOTS)
def test_an_overlay_cannot_reach_the_run_of_params_yaml(checkout, root):
    with pytest.raises(UserError, match="needs a root of its own, such as `root: runs/overlay`"):
        with_root(root)
    with pytest.raises(UserError, match="needs a root of its own"):
        with_root(str((checkout / root).resolve()))


def test_nor_through_a_link(checkout):
    (checkout / "runs" / "all").symlink_to(checkout)
    (checkout / "runs" / "part").mkdir()
    (checkout / "runs" / "part" / "results").symlink_to(checkout / "results")
    (checkout.parent / "elsewhere").symlink_to(checkout / "results")
    for root in ("runs/all", "runs/part", "../elsewhere"):
        with pytest.raises(UserError, match="needs a root of its own"):
            with_root(root)


def test_nor_the_run_of_a_params_yaml_with_another_root(checkout):
    text = PARAMS.read_text(encoding="utf-8").replace("root: . ", "root: ../big")
    (checkout / "params.yaml").write_text(text, encoding="utf-8")
    for root in ("../big", "../big/results", "..", "src"):
        with pytest.raises(UserError, match="needs a root of its own"):
            with_root(root)
    assert with_root("runs/mine").root == "runs/mine"


def test_a_root_below_runs_or_outside_is_an_overlays_own(checkout):
    for root in ("runs/mine", "runs/a/b", "../mine", str(checkout.parent / "other"), "../hal2"):
        assert with_root(root).root == root


def test_an_overlay_drops_a_case_with_null(tmp_path):
    params = overlaid(tmp_path, "datasets: {mnist: {cases: {case1: null, case3: ~}}}")
    assert params.cases("mnist") == ["baseline", "case2", "case4"]
    assert params.cases("svhn") == ["baseline", "case1", "case2", "case3", "case4"]
    with pytest.raises(UserError, match=r"overlay\.yaml: datasets\.mnist\.cases\.case9: null drops a case"):
        overlaid(tmp_path, "datasets: {mnist: {cases: {case9: null}}}")


def test_cifar100_is_in_the_catalogue_and_its_null_is_random_groups_of_the_same_sizes():
    params = load(PARAMS, [ROOT / "configs" / "scalability.yaml"])
    entry = params.datasets["cifar100"]
    assert params.cases("cifar100") == ["baseline", "coarse", "random1", "random2"]
    assert "cifar100" not in load(PARAMS).grid.datasets
    groups = dict(zip(entry.cases["coarse"].names, entry.cases["coarse"].superclasses, strict=True))
    assert [entry.classes[label] for label in groups["trees"]] == [
        "maple tree", "oak tree", "palm tree", "pine tree", "willow tree"
    ]  # fmt: skip
    assert [len(group) for group in groups.values()] == [5] * 20
    for draw in (1, 2):
        drawn = np.random.default_rng(draw).permutation(100).reshape(20, 5)
        assert entry.cases[f"random{draw}"].superclasses == tuple(
            tuple(sorted(group)) for group in drawn.tolist()
        )


@pytest.mark.parametrize("dataset", ["mnist", "svhn", "cifar10", "digits"])
def test_what_dvc_sets_is_in_force_for_that_data_set_alone(tmp_path, dataset):
    """As `dvc exp run -S` does it. Groupings that data sets shared by an anchor kept their old names, silently."""
    path = tmp_path / "params.yaml"
    path.write_bytes(PARAMS.read_bytes())
    names = f'datasets.{dataset}.cases.case2.names=["yes","no"]'
    apply_overrides(str(path), [names, "model.batch_norm_eps=0.00001"])
    params, before = load(path), load(PARAMS)
    assert params.datasets[dataset].cases["case2"].names == ("yes", "no")
    assert "batch_norm_eps: 1e-05" in path.read_text(encoding="utf-8")
    assert params.model == before.model
    for other in before.datasets.keys() - {dataset}:
        assert params.datasets[other] == before.datasets[other]


def test_a_missing_file_and_a_missing_key_are_said(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "absent.yaml")
    content = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    del content["train"]["epochs"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.epochs: missing"):
        load(tmp_path / "params.yaml")


def test_a_cell_that_is_not_there_is_named():
    params = load(PARAMS)
    with pytest.raises(UserError, match="case 'case9': mnist has baseline, case1"):
        params.cell("mnist", "case9", 0)
    with pytest.raises(UserError, match="data set 'mnits'"):
        params.cell("mnits", "case1", 0)


CHANGES = [
    ("train: {epochs: 50}", {"mnist", "svhn", "cifar10"}),
    ("train: {precision: bfloat16}", {"mnist", "svhn", "cifar10"}),
    ("augment: {flip: false}", {"mnist", "svhn", "cifar10"}),
    ("datasets: {svhn: {layers: 22}}", {"svhn"}),
    ("datasets: {mnist: {cases: {case1: {superclasses: [[9,8,7,6,5], [0,1,2,3,4]], title: other}}}}", set()),
    ("datasets: {mnist: {title: Digits}}", set()),
    ("runtime: {device: cpu, cpu_threads: 4}", set()),
    ("grid: {seeds: [0, 1, 2, 3, 4, 5]}", set()),
    ("datasets: {mnist: {cases: {mine: {superclasses: [[0], [1,2,3,4,5,6,7,8,9]]}}}}", set()),
    ("data: {mirrors: [elsewhere]}", set()),
]


@pytest.mark.parametrize(("text", "retrained"), CHANGES, ids=[text for text, _ in CHANGES])
def test_a_setting_changes_the_identity_of_just_the_cells_it_touches(tmp_path, text, retrained):
    before = {cell.name: cell.hash for cell in load(PARAMS).cells()}
    after = {cell.name: cell.hash for cell in overlaid(tmp_path, text).cells()}
    assert {name.split("/")[0] for name in before if after[name] != before[name]} == retrained
    if retrained:  # and all of them
        assert sum(after[name] != before[name] for name in before) == 25 * len(retrained)


def test_a_regrouping_changes_only_its_own_case(tmp_path):
    before = load(PARAMS)
    after = overlaid(
        tmp_path, "datasets: {cifar10: {cases: {case1: {superclasses: [[0, 5, 6, 7, 8, 9], [1, 2, 3, 4]]}}}}"
    )
    changed = [c.name for c, d in zip(before.cells(), after.cells(), strict=True) if c.hash != d.hash]
    assert changed == [f"cifar10/case1/seed{seed}" for seed in range(5)]


def test_superclass_order_is_part_of_the_identity(tmp_path):
    """Superclass 0 gets the vector [1, 0]: swapping the two is another network from the same seed."""
    swapped = overlaid(
        tmp_path, "datasets: {mnist: {cases: {case1: {superclasses: [[0,1,2,3,4], [5,6,7,8,9]]}}}}"
    )
    assert swapped.cell("mnist", "case1", 0).hash != load(PARAMS).cell("mnist", "case1", 0).hash


def test_a_data_set_may_have_settings_of_its_own(tmp_path):
    before = {cell.name: cell for cell in load(PARAMS).cells()}
    params = overlaid(tmp_path, "datasets: {mnist: {train: {epochs: 7}}}")
    for cell in params.cells():
        assert cell.train.epochs == (7 if cell.dataset == "mnist" else 250)
        assert (cell.hash == before[cell.name].hash) == (cell.dataset != "mnist")
    with pytest.raises(UserError, match=r"datasets\.mnist\.train\.epoch: unknown key"):
        overlaid(tmp_path, "datasets: {mnist: {train: {epoch: 7}}}")


def test_variants_become_data_sets_that_differ_in_what_they_name(tmp_path):
    params = overlaid(
        tmp_path,
        "grid: {datasets: [mnist, svhn]}\n"
        "variants: {slow: {title: slower, train: {max_lr: 0.1}}, plain: {title: no flips, augment: {flip: false}}}",
    )
    assert params.grid.datasets == ("mnist", "svhn", "mnist-slow", "mnist-plain", "svhn-slow", "svhn-plain")
    slow, base = params.cell("svhn-slow", "case4", 3), params.cell("svhn", "case4", 3)
    assert (slow.train.max_lr, base.train.max_lr) == (0.1, 1.0)
    assert slow.superclasses == base.superclasses
    assert base.hash == load(PARAMS).cell("svhn", "case4", 3).hash
    assert params.datasets["svhn-slow"].variant_of == "svhn"
    assert params.datasets["svhn-slow"].variant_title == "slower"
    assert params.datasets["svhn-slow"].title == "SVHN, slower"
    own = overlaid(
        tmp_path,
        "datasets: {mnist: {train: {max_lr: 0.5}}}\nvariants: {short: {title: short, train: {epochs: 5}}}",
    )
    both = own.cell("mnist-short", "case1", 0).train
    assert (both.max_lr, both.epochs) == (0.5, 5)  # what the data set sets and what the variant sets
    with pytest.raises(UserError, match=r"train\.max_lr = -1.*must be greater than 0"):
        overlaid(tmp_path, "variants: {bad: {title: bad, train: {max_lr: -1}}}")
    with pytest.raises(UserError, match=r"variants\.bad\.trian: unknown key"):
        overlaid(tmp_path, "variants: {bad: {title: bad, trian: {max_lr: 1}}}")


def test_a_grouping_that_an_overlay_replaces_does_not_keep_its_name(tmp_path):
    """Case 1 with other superclasses is no "≥ 5"; the same superclasses are."""
    text = "datasets: {{mnist: {{cases: {{case1: {{superclasses: {}}}}}}}}}"
    other = (
        overlaid(tmp_path, text.format("[[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]]")).datasets["mnist"].cases["case1"]
    )
    assert (other.title, other.names) == ("", ())
    same = (
        overlaid(tmp_path, text.format("[[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]]")).datasets["mnist"].cases["case1"]
    )
    assert (same.title, same.names) == ("≥ 5", ("≥ 5", "< 5"))


def test_a_wrong_key_of_a_variant_is_named_where_it_is_written(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "root: runs/mine\ngrid: {datasets: [digits]}\nvariants: {m: {title: M, train: {momentm: 0.9}}}\n"
    )
    with pytest.raises(
        UserError, match=r"variants\.m\.train\.momentm: unknown key; .*; did you mean momentum\?"
    ):
        load(ROOT / "params.yaml", [overlay])


def test_an_overlay_that_changes_a_data_set_that_there_is_not_is_asked_what_it_meant(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    for text in ("{digit: {cases: {case2: null}}}", "{digit: {layers: 10}}"):
        overlay.write_text(f"root: runs/mine\ndatasets: {text}\n")
        with pytest.raises(
            UserError, match=r"overlay\.yaml: datasets\.digit: no such data set; did you mean digits\?"
        ):
            load(ROOT / "params.yaml", [overlay])
    overlay.write_text("root: runs/mine\ndatasets: {zzz: {layers: 10}}\n")
    with pytest.raises(
        UserError, match=r"datasets\.zzz: no such data set; there are mnist, .*\. A new one needs a `source`"
    ):
        load(ROOT / "params.yaml", [overlay])


def test_an_ablation_belongs_to_the_network_of_the_same_superclasses_in_any_order(tmp_path):
    """Written the other way round it lost the paper's network, and nothing said why."""
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "root: runs/mine\ndatasets: {mnist: {cases: {turned: {superclasses: [[4, 3, 2, 1, 0], [5, 6, 7, 8, 9]], block: concat}}}}\n"
    )
    assert load(ROOT / "params.yaml", [overlay]).ablations("mnist") == {"turned": "case1"}
