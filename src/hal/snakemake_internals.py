"""The few things that Snakemake has no public way for, in one place (tested with 9.27; pyproject.toml pins < 10)."""

from collections.abc import Iterable
from typing import Any, NamedTuple

_FORCED: set[str] = set()  # by us, and not by whoever typed the command


def force(workflow: Any, file: str) -> None:
    """Have a file made again, as `--forcerun` would, from within an input function: before its job is planned."""
    if file not in workflow.dag.forcefiles:
        _FORCED.add(file)
        workflow.dag.forcefiles.add(file)


def marked_incomplete(workflow: Any, files: Iterable[str]) -> set[str]:
    """Those of the files whose jobs Snakemake started and did not see end, and will therefore start again."""
    return set(workflow.persistence._filter_incomplete_keys(list(files)))


def is_planned(workflow: Any) -> bool:
    """Whether Snakemake has come so far that it knows its jobs."""
    return workflow._dag is not None


class Job(NamedTuple):
    """A job that is about to run: its rule's name, its wildcards, and whether it was asked for (--force, -R, an interrupted job)."""

    rule: str
    wildcards: dict[str, str]
    asked: bool


def to_run(workflow: Any) -> list[Job]:
    """The jobs that are about to run."""
    dag = workflow.dag
    return [
        Job(
            job.rule.name,
            dict(job.wildcards.items()),
            job.rule in dag.forcerules or not dag.forcefiles.difference(_FORCED).isdisjoint(job.output),
        )
        for job in dag.needrun_jobs(exclude_finished=False)  # after a dry run all are
    ]


def limit_of(workflow: Any, name: str) -> int | None:
    """How much of a global resource there is; None where it has no limit."""
    limit: int | None = workflow.global_resources.get(name).value
    return limit


def multiply_resource(workflow: Any, name: str, factor: int) -> None:
    """Let a global resource that is limited count for `factor` times as much."""
    limit = limit_of(workflow, name)
    if limit:
        workflow.register_resource(name, limit * factor)
