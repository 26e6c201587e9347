"""How probable it is that a repetition of the paper is called reproduced if the paper's numbers are the truth.

Errors are drawn around Table 2's means (see `evidence.Drawn`) and judged by the very rules, many times. Only claims that
rest on printed errors can be drawn; of losses, scores and images the paper prints no numbers.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hal.paper import Claim, load_paper
from hal.study.claims.evidence import Drawn, Untestable
from hal.study.claims.judges import NOT_REPRODUCED, REPRODUCED, RULES

DRAWS = 300  # a share of them is known to 6 points (95 %)
SCALES = (1.0, 2.0)

_SEED = 0


def power(n: int, scales: Sequence[float] = SCALES, draws: int = DRAWS) -> pd.DataFrame:
    """One row for each claim and scale.

    Columns: id, n (seeds), scale (seeds scatter by so many times the printed deviation), draws, reproduced and
    not_reproduced (shares of the draws; NaN where nothing can be drawn).
    """
    return _power(n, tuple(scales), draws).copy()


@functools.cache  # it depends on no cell, and one process may ask for several runs
def _power(n: int, scales: tuple[float, ...], draws: int) -> pd.DataFrame:
    rows = []
    for claim in load_paper().claims:
        for scale in scales:
            shares = _shares(claim, n, scale, draws)
            rows.append({"id": claim.id, "n": n, "scale": scale, "draws": draws, **shares})
    return pd.DataFrame(rows)


def _shares(claim: Claim, n: int, scale: float, draws: int) -> dict[str, float]:
    random, judge = np.random.default_rng(_SEED), RULES[claim.test].judge
    try:
        verdicts = Counter(judge(claim, Drawn(random, n, scale)).verdict for _ in range(draws))
    except Untestable:
        return {"reproduced": math.nan, "not_reproduced": math.nan}
    return {"reproduced": verdicts[REPRODUCED] / draws, "not_reproduced": verdicts[NOT_REPRODUCED] / draws}
