"""What data sets, cases and superclasses are called where people read."""

from hal.params import Params
from hal.settings import BASELINE


def dataset_title(params: Params, dataset: str) -> str:
    """The data set's title, or its name where it has none or params do not define it; with its epochs beside variants of others."""
    if dataset not in params.datasets:
        return dataset
    return f"{family_title(params, dataset)}{beside_variants(params, dataset)}"


def family_title(params: Params, dataset: str) -> str:
    """The data set's title, or its name where it has none: what it has in common with its variants."""
    return params.datasets[dataset].title or dataset


def beside_variants(params: Params, dataset: str) -> str:
    """Such as `, 20 epochs`, of a data set whose variants have others; else nothing."""
    variants = [name for name in params.grid.datasets if params.datasets[name].variant_of == dataset]
    epochs = params.epochs(dataset)
    return "" if {params.epochs(name) for name in variants} <= {epochs} else f", {epochs} epochs"


def case_title(params: Params, dataset: str, case: str) -> str:
    """Such as `case1: ≥ 5`, or only the case's name where it has no title."""
    title = "" if case == BASELINE else params.datasets[dataset].cases[case].title
    return f"{case}: {title}" if title else case


def network_title(params: Params, dataset: str, case: str) -> str:
    """What kind of network a case is, whatever its grouping: the baseline, the paper's, or what is changed in an ablation."""
    if case == BASELINE:
        return BASELINE
    entry = params.datasets[dataset].cases[case]
    hint = {"superclass": "", "zero": "no hint (x* = 0)", "random": "a random hint"}[entry.hint]
    block = {"auxiliary": "", "concat": "hint beside the features", "none": "no block"}[entry.block]
    loss = {"softmax": "", "masked": "masked loss"}[entry.loss]
    return ", ".join(filter(None, (hint, block, loss))) or "the paper's network"


def superclass_names(params: Params, dataset: str, case: str) -> list[str]:
    """The case's names for its superclasses, or their numbers."""
    entry = params.datasets[dataset].cases[case]
    return list(entry.names) or [f"superclass {j}" for j in range(len(entry.superclasses))]
