"""What the paper leaves open, one assumption at a time: what each is worth to the baseline and to every case."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hal.files import write_text
from hal.params import Params
from hal.study.grid import CellResult, load_grid, select
from hal.titles import dataset_title

UNVARIED = "as set"


def families(params: Params) -> dict[str, list[str]]:
    """Each data set of the grid that has variants, with the data sets made from it, itself first."""
    found: dict[str, list[str]] = {}
    for name in params.grid.datasets:
        if (base := params.datasets[name].variant_of) is not None:
            found.setdefault(base, [base]).append(name)
    return found


def variant_title(params: Params, dataset: str) -> str:
    """What is different about a variant."""
    return params.datasets[dataset].variant_title or UNVARIED


def sensitivity(params: Params, results: Sequence[CellResult]) -> pd.DataFrame:
    """One row for every variant and case; errors in percent, differences in percentage points.

    Columns: dataset (the one varied), variant, case; planned cells, n (that count), diverged; mean and sd (sample) of
    the final test errors; change (mean minus that of the same case unvaried); gain (baseline's mean minus this one's,
    within the variant).
    """
    rows = []
    for base, members in families(params).items():
        means: dict[tuple[str, str], float] = {}
        for dataset in members:
            for case in params.cases(dataset):
                cells = select(results, dataset, case)
                errors = pd.Series([r.record["test_error"] for r in cells if r.ok], dtype=float)
                means[dataset, case] = errors.mean()
                rows.append(
                    {
                        "dataset": base,
                        "variant": variant_title(params, dataset),
                        "case": case,
                        "planned": len(cells),
                        "n": len(errors),
                        "diverged": sum(r.state == "diverged" for r in cells),
                        "mean": errors.mean(),
                        "sd": errors.std(ddof=1),
                        "change": errors.mean() - means[base, case],
                        "gain": means[dataset, "baseline"] - errors.mean(),
                    }
                )
    return pd.DataFrame(rows)


def to_markdown(params: Params, table: pd.DataFrame) -> str:
    """A table a data set: a row a variant, a column a case; mean ± sd (n), and how many diverged."""
    parts = []
    for base, rows in table.groupby("dataset", sort=False):
        cases = params.cases(base)
        lines = [
            "| " + " | ".join([dataset_title(params, base), *cases]) + " |",
            "|---|" + "--:|" * len(cases),
        ]
        for variant, of_variant in rows.groupby("variant", sort=False):
            lines.append(f"| {variant} | " + " | ".join(entry(row) for row in of_variant.itertuples()) + " |")
        parts.append("\n".join(lines))
    caption = (
        "Test error in percent after the last epoch: mean ± sample standard deviation (n seeds that count)."
    )
    return "\n\n".join([*parts, caption]) + "\n"


def entry(row: Any) -> str:
    """One entry as text, such as `2.61 ± 0.85 (4), 1 diverged`."""
    text = "–" if row.n == 0 else f"{row.mean:.2f}" + (f" ± {row.sd:.2f}" if row.n > 1 else "")
    others = row.planned - row.n - row.diverged
    remarks = [f"{row.diverged} diverged"] * bool(row.diverged) + [f"{others} missing"] * bool(others)
    return ", ".join([f"{text} ({row.n})", *remarks])


def write(params: Params) -> list[Path]:
    """Write results/sensitivity.csv and .md, if anything is varied; return their paths."""
    if not families(params):
        return []
    table = sensitivity(params, load_grid(params))
    texts = {".csv": table.to_csv(index=False, float_format="%.6g"), ".md": to_markdown(params, table)}
    for suffix, text in texts.items():
        write_text(params.path("results", f"sensitivity{suffix}"), text)
    return [params.path("results", f"sensitivity{suffix}") for suffix in texts]
