"""The whole paper as one DAG: data -> cells -> table, analysis, figures -> report.

    snakemake --cores 8 --resources gpu=2               the paper's run
    snakemake --configfile configs/demo.yaml            another experiment, under a root of its own
    snakemake results/svhn/case4/seed3 [--force]        one cell (again)
    snakemake train_svhn                                all cells of one data set

Every rule calls `python -m hal ...`; all computation is there. docs/files.md says what is in each file.
"""

import atexit
import functools
import sys
from pathlib import Path

SOURCE = str(Path(workflow.basedir, "src"))  # beside this file, whatever is installed
sys.path.insert(0, SOURCE)

from hal import current, dag, params, refusals, session
from hal.departures import describe
from hal.errors import UserError, hal_command, with_overlays
from hal.interruption import Interruption
from hal.outputs import figure_names
from hal.present import grid_status
from hal.standing import standing
from hal.staying_line import StayingLine
from hal.study.grid import load_grid

try:
    OVERLAYS = session.overlays(workflow.overwrite_configfiles, workflow.config_settings.config, sys.argv)
    P = params.load("params.yaml", OVERLAYS)
    RUN = describe(P, OVERLAYS)
    refusals.check_targets(sys.argv[1:], P)
except UserError as error:
    sys.exit(f"hal: {error}")
session.mend_times(P)
ROOT = dag.prefix(P)  # nothing for the paper's run, else such as runs/demo/
OUTDATED = {str(path) for path in current.outdated(P, RUN, map(Path, dag.drawn_files(P)))}

shell.prefix(session.shell_function(sys.executable, SOURCE, OVERLAYS))  # `hal` below


report: "docs/captions/workflow.rst"


wildcard_constraints:
    dataset="|".join(P.datasets),
    seed="0|[1-9][0-9]*",
    figure="|".join(figure_names(P)),


HELD = []  # the lock, for as long as this process lives
INTERRUPTION = Interruption()
LINE = StayingLine(lambda: grid_status.while_training(load_grid(P)))


atexit.register(
    refusals.say_what_is_refused, workflow, P, OVERLAYS
)  # Snakemake calls nothing after a dry run


onstart:
    try:
        HELD.append(session.lock(P))
        refusals.check_finished(workflow, P, OVERLAYS)
        refusals.check_gpu(workflow, P)
        session.forget_states(workflow, P)
    except UserError as error:
        sys.exit(f"hal: {with_overlays(str(error), OVERLAYS)}")
    session.say_limit(workflow, P)
    if workflow.local_exec:
        session.start_mps(workflow, P)
    LINE.start()


def end():
    LINE.stop()
    session.stop_mps(P)
    session.forget_states(workflow, P)


onsuccess:
    end()


onerror:
    end()
    session.say_full_disk(P)
    if INTERRUPTION.happened:
        print(
            f"Interrupted. Finished networks are kept, and those under way go on from their last saved epoch with: {session.same_command()}"
        )
    else:
        print(
            f"Tables, figures and report of the networks there are, training nothing: {hal_command(OVERLAYS, 'draw')}"
        )


def drawn(rule):
    """An input function without files that has the rule's outputs drawn again if they are not what they should be."""

    def check(wildcards):
        name = "/".join([rule, *wildcards])
        return session.force_if_outdated(workflow, OUTDATED, dag.drawn_by(P, name))

    return check


@functools.cache
def share_gpus():
    """Once, while the jobs are planned: only then does Snakemake know whether they will run on this machine."""
    session.share_gpus(workflow, P)


def cell_of(wildcards):
    dataset, case = Path(wildcards.network).parts
    return P.cell(dataset, case, int(wildcards.seed))


@functools.cache
def found(cell):
    """What is there of a cell when the jobs are planned: looked at once."""
    return standing(P, cell)


def data_of(wildcards):
    """A finished cell's hash holds what its data are, so when they were written does not matter.

    Of any other it must: Snakemake looks at no job behind ancient files that are there and are made again.
    """
    dataset = Path(wildcards.network).parts[0]
    paths = P.data_paths(dataset)
    files = [str(paths.arrays), str(paths.description)]
    finished = found(cell_of(wildcards)) == "finished"
    return [ancient(file) for file in files] if finished else files


rule all:
    """Every cell, whole and of the settings in force, and all that is drawn from them: Snakemake would not miss a file between."""
    input:
        [dag.all_cell_files(P, dataset) for dataset in P.grid.datasets],
        dag.drawn_files(P),
        str(current.stamp_path(P)),
    localrule: True
    message:
        f"finished: open {ROOT}report/report.html"


for DATASET in P.grid.datasets:

    rule:
        name:
            f"train_{DATASET}"
        input:
            dag.all_cell_files(P, DATASET),
        localrule: True
        message:
            "all cells of the data set are there"


rule data:
    """Fetch, check and decode one data set."""
    input:
        lambda w: session.force_if_other_data(workflow, P, w.dataset),
    output:
        update(str(P.data_paths("{dataset}").arrays)),
        update(str(P.data_paths("{dataset}").description)),  # a committed one stays as it is where only the mirror is another
    log:
        f"{ROOT}logs/data/{{dataset}}.log",
    benchmark:
        f"{ROOT}logs/benchmarks/data/{{dataset}}.tsv"
    localrule: True
    message:
        "{wildcards.dataset}: fetch, check and decode (log: {log})"
    shell:
        "hal data {wildcards.dataset} > {log} 2>&1"


rule cell_scored:
    """Train one network: with an auxiliary block, and so scores, or (cell_unscored) without."""
    input:
        data_of,
        lambda w: share_gpus() or session.force_if_stale(workflow, P, cell_of(w), found(cell_of(w))),
    output:
        directory(f"{ROOT}results/{{network}}/seed{{seed}}"),
        directory(f"{ROOT}checkpoints/{{network}}/seed{{seed}}"),
        dag.cell_outputs(P, scored=True),
    log:
        f"{ROOT}logs/train/{{network}}/seed{{seed}}.log",
    benchmark:
        f"{ROOT}logs/benchmarks/train/{{network}}/seed{{seed}}.tsv"
    wildcard_constraints:
        network=dag.networks(P, scored=True),
    threads: P.runtime.cpu_threads
    resources:
        gpu=lambda w: session.gpus(workflow, P),
        mem_mb=lambda w, attempt: 6000 * attempt,
        runtime=lambda w, attempt: dag.minutes(P, w.network) * attempt,
    params:
        cell=lambda w: [*Path(w.network).parts, w.seed],
    message:
        "{wildcards.network}/seed{wildcards.seed}: train (log: {log})"
    shell:
        "hal train {params.cell} --keep-state > {log} 2>&1"


use rule cell_scored as cell_unscored with:
    output:
        directory(f"{ROOT}results/{{network}}/seed{{seed}}"),
        directory(f"{ROOT}checkpoints/{{network}}/seed{{seed}}"),
        dag.cell_outputs(P, scored=False),
    wildcard_constraints:
        network=dag.networks(P, scored=False),


rule controls:
    """What the hint is worth: the test logits of a data set's networks under every superclass."""
    input:
        lambda w: dag.control_inputs(P, w.dataset),
        ancient(dag.descriptions(P)),
        drawn("controls"),
    output:
        # what is counted of a network stays as it was counted first (see hal.study.kept)
        [update(file) for file in dag.control_files(P, "{dataset}")],
    log:
        f"{ROOT}logs/controls/{{dataset}}.log",
    benchmark:
        f"{ROOT}logs/benchmarks/controls/{{dataset}}.tsv"
    localrule: True
    params:
        settings=current.settings_sum(P),
    message:
        "{wildcards.dataset}: controls"
    shell:
        "hal controls {wildcards.dataset} > {log} 2>&1"


rule study:
    """Every table of results/: errors, statistics, separability, convergence, what the hint is worth, the verdicts."""
    input:
        dag.study_inputs(P),
        ancient(dag.descriptions(P)),
        drawn("study"),
    output:
        dag.drawn_by(P, "study"),
    log:
        f"{ROOT}logs/study.log",
    benchmark:
        f"{ROOT}logs/benchmarks/study.tsv"
    localrule: True
    params:
        settings=current.settings_sum(P),
    message:
        "tables, statistics and verdicts"
    shell:
        "hal study > {log} 2>&1"


rule tables:
    """The main tables for people."""
    input:
        dag.drawn_by(P, "study"),
        drawn("tables"),
    output:
        dag.drawn_by(P, "tables"),
    log:
        f"{ROOT}logs/tables.log",
    benchmark:
        f"{ROOT}logs/benchmarks/tables.tsv"
    localrule: True
    params:
        settings=current.settings_sum(P),
    message:
        "tables for people"
    shell:
        "hal tables > {log} 2>&1"


rule figure:
    """One of Figures 2-7, a data set's of your own, or one of all data sets; wide, and for one column."""
    input:
        lambda w: dag.figure_inputs(P, w.figure),
        ancient(dag.descriptions(P)),
        drawn("figure"),
    output:
        multiext(f"{ROOT}figures/{{figure}}", ".pdf", ".png", ".sha256"),
        multiext(f"{ROOT}figures/{{figure}}-column", ".svg", ".pdf", ".png"),
        report(
            f"{ROOT}figures/{{figure}}.svg",
            caption="docs/captions/figure.rst",
            category="Figures",
            labels=lambda w: dag.figure_labels(P, w.figure),
        ),
    log:
        f"{ROOT}logs/figures/{{figure}}.log",
    benchmark:
        f"{ROOT}logs/benchmarks/figures/{{figure}}.tsv"
    localrule: True
    params:
        settings=current.settings_sum(P),
        caption=lambda w: dag.figure_caption(P, w.figure),
    message:
        "figure {wildcards.figure}"
    shell:
        "hal figure {wildcards.figure} > {log} 2>&1"


rule report:
    """The report as HTML and as LaTeX."""
    input:
        dag.report_inputs(P),
        ancient(dag.descriptions(P)),
        drawn("report"),
    output:
        report(
            dag.drawn_by(P, "report")[0],
            caption="docs/captions/report.rst",
            category="Report",
            labels={"Page": "all tables and figures"},
        ),
        dag.drawn_by(P, "report")[1:],
    log:
        f"{ROOT}logs/report.log",
    benchmark:
        f"{ROOT}logs/benchmarks/report.tsv"
    localrule: True
    params:
        settings=current.settings_sum(P),
    message:
        "report (open {output[0]})"
    shell:
        "hal report > {log} 2>&1"


rule pdf:
    """The report as PDF, where there is a TeX that can make it; if not, a line that says why."""
    input:
        f"{ROOT}report/report.tex",
        rules.report.output,
        lambda w: session.force_if_outdated(workflow, session.pdf_outdated(P), dag.drawn_by(P, "pdf")),
    output:
        dag.drawn_by(P, "pdf"),
    log:
        f"{ROOT}logs/pdf.log",
    benchmark:
        f"{ROOT}logs/benchmarks/pdf.tsv"
    localrule: True
    message:
        "report as PDF (see {output})"
    shell:
        "hal pdf --note {output} > {log} 2>&1 && cat {output}"


rule drawn:
    """Note from what everything was drawn, so that a later run can tell whether it still stands."""
    input:
        dag.drawn_files(P),
        dag.cell_records(P),
    output:
        str(current.stamp_path(P)),
    log:
        f"{ROOT}logs/drawn.log",
    benchmark:
        f"{ROOT}logs/benchmarks/drawn.tsv"
    localrule: True
    params:
        settings=current.settings_sum(P),
    message:
        "all is drawn"
    shell:
        "hal stamp > {log} 2>&1"
