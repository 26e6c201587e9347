"""What stored weights give, for a person who checks a number."""

from typing import TYPE_CHECKING

from hal import remeasured
from hal.params import Cell, Params
from hal.settings import BASELINE
from hal.study import measures

if TYPE_CHECKING:
    from hal.train.stored import Retested

_NAMES = {
    "oracle_mask": "masked",
    "no_oracle": "told nothing",
    "wrong_hint_mean": "told a wrong superclass",
    "flips": "flips",
}


def lines(params: Params, cell: Cell, measured: "Retested") -> list[str]:
    """The cell's error beside the recorded one, its controls, and what became of its files."""
    if measured.diverged_at_step is None:
        printed = _error_and_controls(params, cell, measured)
    else:
        step = f"{measured.diverged_at_step:,}"
        printed = [f"{cell.name}: diverged at step {step}; there is no error to measure"]
    if measured.other:
        names = ", ".join(path.name for path in measured.other)
        why = (
            "another processor of that name, or another version of a library, does that"
            if measured.made == measured.here
            else f"recorded on {measured.made}, computed here on {measured.here}"
        )
        printed.append(f"  not byte for byte as recorded ({why}): {names}")
    if measured.same:
        printed.append(f"  byte for byte as recorded: {', '.join(path.name for path in measured.same)}")
    if measured.restored:
        printed.append(f"  brought back: {', '.join(map(str, measured.restored))}")
    if measured.remeasured:
        printed.append(f"  stored as measured here: {', '.join(map(str, measured.remeasured))}")
    for path in measured.other:
        if not path.exists():
            known = "another number of images is wrong here, so it is not stored"
            if path.name not in remeasured.FILES:
                known = "stored only with the recorded bytes; git or `dvc pull` may bring it back"
            printed.append(f"  not here: {path} ({known})")
    return printed


def unread(measured: "Retested") -> list[str]:
    """A sentence for each file that is here and that nobody reads."""
    said = []
    for path in measured.unread:
        again = path in measured.storable
        back = "`hal evaluate` measures it again" if again else "git or `dvc pull` may bring it back"
        said.append(
            f"{path}: is neither what was written with cell.json nor measured on its weights, so nobody reads it; move it away: {back}"
        )
    return said


def _error_and_controls(params: Params, cell: Cell, measured: "Retested") -> list[str]:
    label = measured.predictions["label"]
    wrong = round(measured.error * len(label) / 100)
    recorded = (
        "as recorded" if measured.error == measured.recorded else f"recorded: {measured.recorded:.2f} %"
    )
    printed = [
        f"{cell.name}: test error {measured.error:.2f} % ({wrong:,} of {len(label):,} images), {recorded}"
    ]
    logits, told = measured.predictions["logits"], measured.predictions.get("told")
    cases = params.datasets[cell.dataset].cases
    if told is None:
        for case in cases if cell.case == BASELINE else [cell.case]:
            masked = measures.of_network(logits, label, told, cases[case].superclasses, cell.loss)[
                "oracle_mask"
            ]
            printed.append(
                f"  masked with the superclasses of {case}: {100 * masked.count / masked.images:.2f} %"
            )
    else:
        controls = measures.of_network(logits, label, told, cell.superclasses, cell.loss)
        shares = (
            f"{name} {100 * controls[key].count / controls[key].images:.2f} %" for key, name in _NAMES.items()
        )
        printed.append(f"  {', '.join(shares)}")
    return printed
