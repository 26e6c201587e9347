"""What kind of run this is: the paper's, or how it departs from it, and what an overlay changed."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hal.paper import Paper, load_paper, other_order, same_grouping
from hal.params import Params, load
from hal.settings import Dataset
from hal.titles import dataset_title

PARAMS = Path("params.yaml")
_VARIANTS = "variants."


def settings(params: Params) -> dict[str, Any]:
    """Every value of params under its key path, such as `train.epochs`; lists are values."""

    def flat(node: Any, path: str) -> dict[str, Any]:
        if dataclasses.is_dataclass(node):
            node = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
        if not isinstance(node, dict):
            return {path: node}
        flattened: dict[str, Any] = {}
        for key, value in node.items():
            flattened |= flat(value, f"{path}.{key}" if path else str(key))
        return flattened

    return flat(params, "")


def changes(params: Params, base: Params) -> list[tuple[str, Any, Any]]:
    """Key path, value in `base` and value in `params` (None where it has none), for what differs and can matter.

    `root`, `data` and `runtime` only say where and how fast; data sets that neither grid trains say nothing.
    A data set that `base` lacks is one change, and so is a variant.
    """
    ours, theirs = settings(_without_variants(params)), settings(_without_variants(base))
    trained = {*params.grid.datasets, *base.grid.datasets}
    changes = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        top, name, *_ = [*key.split("."), ""]
        if top in ("root", "data", "runtime") or (
            top == "datasets" and name not in trained & base.datasets.keys()
        ):
            continue
        if theirs.get(key) != ours.get(key):
            changes.append((key, theirs.get(key), ours.get(key)))
    added = [name for name in params.own_datasets if name not in base.datasets]
    changes += [(f"datasets.{name}", None, "defined by the overlay") for name in added]
    varied = {name: title for name, title in _variants(params).items() if name not in _variants(base)}
    return changes + [(f"{_VARIANTS}{name}", None, title) for name, title in varied.items()]


def _without_variants(params: Params) -> Params:
    """Whose grid names the data sets alone that its own file names."""
    return dataclasses.replace(
        params, grid=dataclasses.replace(params.grid, datasets=tuple(params.own_datasets))
    )


def _variants(params: Params) -> dict[str, str]:
    """The titles of the grid's variants by their names."""
    entries = {name: params.datasets[name] for name in params.grid.datasets}
    return {
        name.removeprefix(f"{entry.variant_of}-"): entry.variant_title
        for name, entry in entries.items()
        if entry.variant_of
    }


def departures(params: Params, dataset: str | None = None) -> list[str]:
    """How the run, or one data set's part of it, falls short of or departs from what the paper states.

    Empty for the paper's run. What the paper leaves open is no departure; nor is a case, a data set or a seed more.
    """
    paper, phrases = load_paper(), of_settings(params, dataset)
    if dataset is not None:
        return phrases + _of_dataset(paper, params, dataset, alone=True)
    absent = [name for name in paper.datasets if name not in params.grid.datasets]
    if len(absent) == len(paper.datasets):
        return [*phrases, "none of the paper's data sets"]
    if absent:
        phrases.append(f"without {' and '.join(dataset_title(params, name) for name in absent)}")
    for name in params.grid.datasets:
        if name in paper.datasets:
            phrases += _of_dataset(paper, params, name)
    return phrases and [*phrases, *_of_variants(paper, params)]


def of_settings(params: Params, dataset: str | None = None) -> list[str]:
    """How one data set's settings, or those that all share, and the number of seeds depart from what the paper states.

    Where those that all share do, what variants have instead is named with it.
    """
    paper, phrases = load_paper(), []
    for key, stated in paper.settings.items():
        if dataset is None and _each_has_its_own(params, key):
            continue  # `_of_dataset` says what each has, `_of_variants` what their variants have
        common, *others = _values(params, key)
        value = own_settings(params.datasets[dataset]).get(key, common) if dataset else common
        if value != stated:
            phrases.append(_phrase(key, [value] if dataset else [value, *others], stated))
    seeds = len(params.grid.seeds)
    if seeds < paper.runs:
        phrases.append(f"{seeds} seed{'s' if seeds > 1 else ''} (paper: {paper.runs} runs)")
    return phrases


def _of_variants(paper: Paper, params: Params) -> list[str]:
    """What the paper states, the run's common settings keep, and variants have otherwise; a run of the paper's own may have such beside it."""
    phrases = []
    for key, stated in paper.settings.items():
        common, *others = _values(params, key)
        if _each_has_its_own(params, key):
            varied = [value for value in others if value != stated]
            phrases += [f"variants with {_phrase(key, varied, stated)}"] if varied else []
        elif common == stated and others:
            phrases.append(_phrase(key, [common, *others], stated))
    return phrases


def _each_has_its_own(params: Params, key: str) -> bool:
    """Whether every data set of the grid sets it, so that the value which all could share is no network's."""
    return all(key in own_settings(params.datasets[name]) for name in params.own_datasets)


def _values(params: Params, key: str) -> list[Any]:
    """The value of a setting that all data sets share, then those that variants have in place of their data set's."""
    section, name = key.split(".")
    common = getattr(getattr(params, section), name)
    in_force = {d: own_settings(entry).get(key, common) for d, entry in params.datasets.items()}
    bases = {name: entry.variant_of for name, entry in params.datasets.items() if entry.variant_of}
    return [
        common,
        *(in_force[variant] for variant, base in bases.items() if in_force[variant] != in_force[base]),
    ]


def _phrase(key: str, values: Sequence[Any], stated: Any) -> str:
    """Such as `max lr 1, 0.5 and 0.1 (paper: 1)`."""
    *first, last = dict.fromkeys(map(shown, values))
    named = f"{', '.join(first)} and {last}" if first else last
    return f"{key.partition('.')[2].replace('_', ' ')} {named} (paper: {shown(stated)})"


def label(params: Params) -> str:
    """The run's name, from its root: `demo` for runs/demo, empty for the base run."""
    return Path(params.root).resolve().name if Path(params.root) != Path(".") else ""


@dataclasses.dataclass(frozen=True)
class Run:
    """What kind of run this is.

    Attributes:
        path: params.yaml.
        overlays: the files laid over it.
        root: the folder that everything is written below.
        label: its name, empty for the base run.
        departures: how it departs from what the paper states; empty for the paper's experiment.
        changes: key path, value of params.yaml and value in force, for what the overlays changed.
        variants: the titles of the variants in the grid, which have other settings than the data sets they are made from.
    """

    path: Path
    overlays: tuple[str, ...]
    root: str
    label: str
    departures: tuple[str, ...]
    changes: tuple[tuple[str, Any, Any], ...]
    variants: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        """A few sentences on how this is not params.yaml's run of the paper's experiment; empty where it is."""
        run = f"The run “{self.label}”" if self.label else "This run"
        changes = self.left_open if self.departures else self.changes
        changed = "; ".join(
            dict.fromkeys(
                f"{_added(key)} added" if base is None else f"{key} {shown(value)} in place of {shown(base)}"
                for key, base, value in changes
                if not key.startswith(_VARIANTS)
            )
        )
        varied = f" Variants beside it: {'; '.join(self.variants)}." if self.variants else ""
        if self.departures:
            departures = f"{run} is not the paper's experiment: {'; '.join(self.departures)}."
            changed = f" Changed from params.yaml: {changed}." if changed else ""
            return f"{departures}{changed}{varied}"
        if changed:
            return f"{run} is a variation of params.yaml: {changed}.{varied}"
        return f"{run} is that of params.yaml.{varied}" if varied else ""

    @property
    def left_open(self) -> list[tuple[str, Any, Any]]:
        """The changed settings of the networks that are no departure, because the paper says nothing of them."""
        stated = load_paper().settings
        networks = ("model.", "train.", "augment.")
        return [
            change for change in self.changes if change[0].startswith(networks) and change[0] not in stated
        ]

    @property
    def suffix(self) -> str:
        """What a snakemake command needs behind its targets so that it means this run."""
        return f" --configfile {shlex.join(self.overlays)}" if self.overlays else ""


def _added(key: str) -> str:
    """What a key that params.yaml lacks belongs to: a case, such as `datasets.mnist.cases.mine`, or itself."""
    datasets, _, cases, *_ = [*key.split("."), "", ""]
    return ".".join(key.split(".")[:4]) if (datasets, cases) == ("datasets", "cases") else key


def describe(params: Params, overlays: Sequence[Path | str] = (), path: Path = PARAMS) -> Run:
    """What kind of run `params`, read from `path` with `overlays`, is."""
    changed = changes(params, load(path)) if overlays else []
    return Run(
        path,
        tuple(map(str, overlays)),
        params.root,
        label(params),
        tuple(departures(params)),
        tuple(changed),
        tuple(_variants(params).values()),
    )


def note(params: Params, run: Run, dataset: str | None = None) -> str:
    """A line for a figure of that data set, or of all, of the run that `params` describe; empty for the base run of the paper's experiment."""
    name = f"Run “{run.label}”" if run.label else "This run"
    phrases = departures(params, dataset)
    changed = "; ".join(
        f"{key.split('.')[-1].replace('_', ' ')} {shown(value)} (params.yaml: {shown(base)})"
        for key, base, value in run.left_open
        if dataset is None or key not in own_settings(params.datasets[dataset])
    )
    if phrases:
        return f"{name}, not the paper's experiment: {'; '.join(filter(None, [*phrases, changed]))}"
    if changed:
        return f"{name}, a variation of params.yaml: {changed}"
    return name if run.label else ""


def _of_dataset(paper: Paper, params: Params, name: str, alone: bool = False) -> list[str]:
    """How a data set, or the one that it is a variant of, departs from the paper's; alone, `of_settings` has said what the paper states."""
    entry = params.datasets[name]
    title = entry.title or name
    printed = paper.dataset(params, entry.variant_of or name)
    phrases = [] if printed else [f"{title} is no data set of the paper"]
    for key, value in own_settings(entry).items():
        section, setting = key.split(".")
        stated, common = paper.settings.get(key), getattr(getattr(params, section), setting)
        if value != (common if stated is None else stated) and not (alone and stated is not None):
            other = f"elsewhere: {shown(common)}" if stated is None else f"paper: {shown(stated)}"
            phrases.append(f"{title} with {setting.replace('_', ' ')} {shown(value)} ({other})")
    if printed is None:
        return phrases
    if entry.layers != printed.layers:
        phrases.append(f"{title} with {entry.layers} layers (paper: {printed.layers})")
    dropped = [case for case in printed.cases if case not in entry.cases]
    phrases += [f"{title} without {' and '.join(dropped)}"] if dropped else []
    phrases += [
        f"{title} {case} has Table 1's superclasses in another order"
        if other_order(printed, entry, case)
        else f"{title} {case} is not Table 1's grouping"
        for case in printed.cases
        if case in entry.cases and not same_grouping(printed, entry, case)
    ]
    return phrases


def own_settings(entry: Dataset) -> dict[str, Any]:
    """The data set's own settings by their key paths, such as `train.epochs`."""
    return {
        f"{s}.{key}": value for s in ("model", "train", "augment") for key, value in getattr(entry, s).items()
    }


def shown(value: Any) -> str:
    """A setting as a person would write it in YAML, in short."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return str(value)
