"""What was assumed where the paper is silent, and how it was read where it leaves something open."""

from pathlib import Path
from typing import Any

from hal.assumptions import read_assumptions
from hal.departures import own_settings, shown
from hal.paper import load_paper
from hal.params import Params
from hal.present.blocks import Block, Column, Heading, Prose, Table, Text, plain
from hal.settings import BASELINE
from hal.titles import dataset_title

ASSUMED = (
    "The paper does not say everything that a program must know. These settings are the artifact's own choice, each open to "
    "change in `params.yaml`."
)


def blocks(params: Params, path: Path) -> list[Block]:
    """Every assumption of params.yaml, which lies at `path`, with its value in this run; and the readings."""
    rows, rates = [], _rates(params)
    for a in read_assumptions(params, path):
        value = shown(a.value)
        if a.changed:
            value = Text(f"{value} (changed by this run; params.yaml has {shown(a.assumed)})", "partial")
        if others := _others(params, a.key, a.value):
            value = Text(f"{value}; {others}", "partial")
        rows.append(
            (f"`{a.key}`", value, f"{a.reason} {rates}" if a.key == "train.warmup_epochs" else a.reason)
        )
    settings = (Column("Setting", "name"), Column("Value", "text"), Column("Assumed", "text"))
    readings = (Column("Question", "name"), Column("Reading", "text"), Column("Why", "text"))
    paper = load_paper()
    return [
        Heading("assumptions", "What was assumed"),
        Prose(ASSUMED),
        Table(
            "assumptions-table",
            "",
            "Settings on which the paper is silent, and their values in this run.",
            settings,
            plain(rows),
        ),
        Heading("readings", "How the paper was read", 3),
        Table(
            "readings-table",
            "",
            "What the paper leaves open and no setting decides.",
            readings,
            plain([(x.topic, x.reading, x.why) for x in paper.readings]),
        ),
    ]


def _others(params: Params, key: str, common: Any) -> str:
    """The data sets of the grid, variants too, that have a value of their own, such as `0.9: MNIST, momentum`."""
    own: dict[str, list[str]] = {}
    for dataset in params.grid.datasets:
        value = own_settings(params.datasets[dataset]).get(key, common)
        if value != common:
            own.setdefault(shown(value), []).append(dataset_title(params, dataset))
    return "; ".join(f"{value}: {' and '.join(titles)}" for value, titles in own.items())


def _rates(params: Params) -> str:
    """The highest learning rate of the networks, by their data sets where it differs."""
    reached: dict[str, list[str]] = {}
    for dataset in params.grid.datasets:
        rate = params.cell(dataset, BASELINE, 0).train.highest_lr
        reached.setdefault(shown(rate), []).append(dataset_title(params, dataset))
    if len(reached) == 1:
        return f"The highest learning rate that this run's schedule reaches is {next(iter(reached))}."
    rates = "; ".join(f"{rate} ({', '.join(titles)})" for rate, titles in reached.items())
    return f"The highest learning rates that this run's schedules reach: {rates}."
