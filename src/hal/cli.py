"""The command line: one command a step of the pipeline. Heavy imports wait until a command needs them."""

import argparse
import contextlib
import gc
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hal import __version__
from hal.errors import UserError, sentence, with_overlays
from hal.params import Params, load

if TYPE_CHECKING:
    from hal.departures import Run


def main(argv: list[str] | None = None) -> int:
    """Run one command; a user's mistake ends in one line on stderr and exit status 1."""
    arguments = parser().parse_args(argv)
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # a terminal that lacks a character shows its code, as stderr does
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments.run(load(arguments.params, arguments.overlays), arguments)
        sys.stdout.flush()  # here, where a full disk behind it is said
    except UserError as error:
        print(f"hal: {with_overlays(str(error), arguments.overlays)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # somebody's `| head` has seen enough
        sys.stderr.close()
        return 141
    except OSError as error:
        print(f"hal: {sentence(error)}; what was finished is kept", file=sys.stderr)
        return 1
    except MemoryError:
        print("hal: the memory of this machine is not enough; what was finished is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "hal: interrupted; what was finished is kept, run the same command again to go on",
            file=sys.stderr,
        )
        return 130
    return 0


def process() -> int:
    """A process that runs one command: what its imports made stays until it ends, so garbage is hardly looked for in it.

    A third of the time that a command needs to start and to end.
    """
    gc.set_threshold(20_000)
    status = main()
    gc.freeze()
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and of overlays where they stand."""
        if re.search(r"--overlay|--configfile|\.ya?ml'", message):
            message += " (--overlay FILE stands before the command, once for each file)"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments; each sets `run`, a function of the parameters and the arguments."""
    parser = _Parser(prog="hal", description="Reproduce Hierarchical Auxiliary Learning, step by step.")
    parser.add_argument("--version", action="version", version=f"hal {__version__}")
    parser.add_argument(
        "--params", default="params.yaml", metavar="FILE", help="the experiment (default: params.yaml)"
    )
    parser.add_argument(
        "--overlay",
        dest="overlays",
        action="append",
        default=[],
        metavar="FILE",
        help="laid over it; repeatable",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, says: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.")

    command = add("data", "fetch, check and decode a data set")
    command.add_argument("dataset", help="one of params.yaml or of an overlay")
    command.set_defaults(run=_data)

    command = add("train", "train a cell, or go on with it; several seeds one after another")
    command.add_argument("dataset", help="one of params.yaml or of an overlay")
    command.add_argument("case", help="baseline or a superclass grouping of the data set")
    command.add_argument("seeds", type=int, nargs="+", metavar="SEED", help="of its random numbers")
    command.add_argument("--force", action="store_true", help="train it again though it is finished")
    command.add_argument(
        "--keep-state", action="store_true", help="leave the last epoch's state (for Snakemake)"
    )
    command.set_defaults(run=_train)

    command = add(
        "evaluate",
        "test finished cells again from their stored weights, training nothing; brings back predictions that are missing",
    )
    command.add_argument("dataset", nargs="?", help="none: all of the grid")
    command.add_argument("case", nargs="?", help="none: all of the data set")
    command.add_argument("seeds", type=int, nargs="*", metavar="SEED", help="none: all of the grid")
    command.set_defaults(run=_evaluate)

    command = add("status", "show which cells are done, and the time left")
    command.add_argument("--watch", action="store_true", help="show it anew until all are done")
    command.set_defaults(run=_status)

    command = add(
        "plan",
        "what the grid will cost on this machine, by a few measured steps; which cells come first, and what they decide",
    )
    command.add_argument("--hours", type=float, metavar="H", help="what can be done in that time")
    command.set_defaults(run=_plan)

    command = add("doctor", "look whether this machine has what a run needs: a line each, ok or what to do")
    command.set_defaults(run=_doctor)

    command = add(
        "verify",
        "check that no file of a finished cell is damaged, and that tables, figures and pages are drawn from the cells there are",
    )
    command.add_argument("--cells", action="store_true", help="only these, not what was drawn from them")
    command.set_defaults(run=_verify)

    command = add(
        "audit",
        "train a few finished cells again, which nobody chooses, and compare; what is stored is only read",
    )
    command.add_argument(
        "--cells", type=int, default=2, metavar="N", help="how many are trained again (default: 2)"
    )
    command.set_defaults(run=_audit)

    command = add("compare", "two runs beside each other: cell by cell, network by network, claim by claim")
    run_is = "a run's folder, which holds its results/, or a git revision: REV, or REV:FOLDER"
    command.add_argument("a", metavar="A", help=run_is)
    command.add_argument("b", metavar="B", help="the other one")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="write CSVs and a page there, too")
    command.set_defaults(run=_compare)

    command = add("merge", "bring cells trained elsewhere into this grid; nothing is replaced")
    command.add_argument("others", nargs="+", type=Path, metavar="FOLDER", help="the root of another run")
    command.set_defaults(run=_merge)

    command = add("controls", "measure what the hint is worth, from the cells there are")
    command.add_argument("datasets", nargs="*", metavar="DATASET", help="none: all of the grid")
    command.set_defaults(run=_controls)

    command = add("study", "compute all tables of results/ from the cells and controls there are")
    command.set_defaults(run=_study)

    command = add("tables", "write the main tables for people, in Markdown and LaTeX")
    command.set_defaults(run=_tables)

    command = add("figure", "draw one figure, or all, from the cells there are")
    command.add_argument("names", nargs="*", metavar="NAME", help="none: all of them")
    command.set_defaults(run=_figure)

    command = add("report", "write the HTML and LaTeX report from the tables and figures there are")
    command.set_defaults(run=_report)

    command = add("pdf", "make a PDF of the LaTeX report; needs latexmk")
    command.add_argument(
        "--note", type=Path, metavar="FILE", help="write what became of it here, and never fail"
    )
    command.set_defaults(run=_pdf)

    command = add("crate", "pack a finished run as a Workflow Run RO-Crate, for an archive")
    command.set_defaults(run=_crate)

    command = add(
        "draw",
        "all of this from the cells there are, training nothing: controls, study, tables, figures, report, PDF",
    )
    command.set_defaults(run=_draw)

    command = add("stamp", "note from which cells and settings everything was drawn (for Snakemake)")
    command.set_defaults(run=_stamp)
    command = add(
        "schema", "write the JSON Schemas of params.yaml and of its overlays, by which editors help"
    )
    command.set_defaults(run=_schema)
    return parser


def _data(params: Params, arguments: argparse.Namespace) -> None:
    from hal.data.prepare import prepare

    prepare(params, arguments.dataset)


@contextlib.contextmanager
def _noted(faults: dict[str, None]) -> Iterator[None]:
    """Note what is wrong with one cell, or with its data set, so that the others are gone through; the same once."""
    try:
        yield
    except UserError as error:
        faults[str(error)] = None


def _train(params: Params, arguments: argparse.Namespace) -> None:
    cells = [params.cell(arguments.dataset, arguments.case, seed) for seed in arguments.seeds]
    from hal.current import other_experiment
    from hal.train.cell import run

    others = "" if arguments.force else other_experiment(params, arguments.overlays)

    faults: dict[str, None] = {}
    for cell in cells:
        if cell.seed not in params.grid.seeds or cell.dataset not in params.grid.datasets:
            print(f"{cell.name}: is not in the grid, so it counts in no table", flush=True)
        with _noted(faults):
            record = run(params, cell, arguments.force, arguments.keep_state, others)
            if record["status"] == "ok":
                after = f"{record['epochs']} epoch{'s' * (record['epochs'] != 1)}"
                print(f"{cell.name}: test error {record['test_error']:.2f} % after {after}")
        gc.collect()  # a trainer refers to itself: its data and its graph would wait for the next collection
    if faults:
        raise UserError("\n".join(faults))


def _evaluate(params: Params, arguments: argparse.Namespace) -> None:
    from hal.present.evaluated import lines, unread
    from hal.train.stored import chosen, measure

    differ = []
    cells, left_out = chosen(params, arguments.dataset, arguments.case, arguments.seeds)
    for line in left_out:
        print(f"left out: {line}", flush=True)
    faults: dict[str, None] = {}
    for cell in cells:
        with _noted(faults):
            measured = measure(params, cell)
            print("\n".join(lines(params, cell, measured)), flush=True)
            differ += [cell.name] if measured.differs else []
            faults |= dict.fromkeys(unread(measured))
    if differ:
        said = "the stored weights do not give the recorded error; `hal verify` compares the files"
        faults[f"{', '.join(differ)}: {said}"] = None
    if faults:
        raise UserError("\n".join(faults))


def _status(params: Params, arguments: argparse.Namespace) -> None:
    from hal.present import grid_status
    from hal.study.grid import load_grid

    if arguments.watch:
        with contextlib.suppress(KeyboardInterrupt):  # enough was seen; nothing is interrupted by that
            grid_status.watch(lambda: load_grid(params))
    else:
        print(grid_status.report(load_grid(params)))


def _plan(params: Params, arguments: argparse.Namespace) -> None:
    from hal.plan import lines
    from hal.study.grid import load_grid

    for line in lines(params, load_grid(params), arguments.hours):
        print(line, flush=True)


def _doctor(params: Params, arguments: argparse.Namespace) -> None:
    from hal.doctor import checks

    wrong = []
    for check in checks(params):
        says = with_overlays(check.says, arguments.overlays)
        print(f"{check.state:5}  {check.subject}: {says}", flush=True)
        wrong += [check.subject] if check.state == "wrong" else []
    if wrong:
        raise UserError(f"to be put right before a run: {', '.join(wrong)}")


def _verify(params: Params, arguments: argparse.Namespace) -> None:
    from hal.study.check_sums import verify, verify_drawn

    compared, remeasured = verify(params)
    print(f"{compared - remeasured} files of cells are what was written")
    if remeasured:
        print(f"{remeasured} were measured again on the stored weights, by a machine that rounds otherwise")
    if not arguments.cells:
        from hal.dag import drawn_files

        drawn = verify_drawn(params, _run_of(params, arguments), map(Path, drawn_files(params)))
        print(
            f"{drawn} tables, figures and pages are what was drawn from them"
            if drawn
            else with_overlays(
                "of tables, figures and pages nothing is noted yet: `hal draw` does", arguments.overlays
            )
        )


def _audit(params: Params, arguments: argparse.Namespace) -> None:
    from hal import audit

    draw, differ = audit.drawn(params, arguments.cells), []
    print(audit.announced(draw), flush=True)
    for finding in audit.audit(params, draw):
        print(f"{finding.name}: {finding.says}", flush=True)
        differ += [] if finding.agrees else [finding.name]
    print(audit.summary(draw))
    if differ:
        raise UserError(f"{', '.join(differ)}: not what training gives")


def _compare(params: Params, arguments: argparse.Namespace) -> None:
    from hal.present import comparison
    from hal.revisions import run_folder

    with run_folder(arguments.a) as a, run_folder(arguments.b) as b:
        tables, document = comparison.build(a, b, (arguments.a, arguments.b))
        if arguments.out:
            comparison.check_folder(arguments.out)
        print(comparison.text(tables, (arguments.a, arguments.b)))
        for path in comparison.write(arguments.out, tables, document) if arguments.out else []:
            print(path)


def _merge(params: Params, arguments: argparse.Namespace) -> None:
    from hal.merge import lacking_data, merge

    taken, refused = merge(params, arguments.others)
    lines = [*taken, *(f"not taken: {line}" for line in refused)]
    count = "1 cell was" if len(taken) == 1 else f"{len(taken)} cells were"
    lines.append(f"{count} brought together with those here; `hal status` shows the grid")
    if lacking := lacking_data(params):
        commands = ", ".join(f"`hal data {dataset}`" for dataset in lacking)
        lines.append(
            f"before Snakemake: {commands}; without its data it holds a finished cell for one to be trained, and refuses"
        )
    print(with_overlays("\n".join(lines), arguments.overlays))


def _controls(params: Params, arguments: argparse.Namespace) -> None:
    from hal.current import drawing
    from hal.standing import check_own
    from hal.study import controls, crossed

    for dataset in arguments.datasets or params.grid.datasets:
        check_own(params, arguments.overlays, [dataset])
        with drawing(params, [f"controls/{dataset}"]):
            print(controls.write(params, dataset))
            print(crossed.write(params, dataset))


def _study(params: Params, arguments: argparse.Namespace) -> None:
    from hal.current import drawing
    from hal.study import all_tables

    with drawing(params, ["study"]):
        for path in all_tables.write(params):
            print(path)


def _tables(params: Params, arguments: argparse.Namespace) -> None:
    from hal.present import write_tables

    for path in write_tables.write(params, _run_of(params, arguments)):
        print(path)


def _figure(params: Params, arguments: argparse.Namespace) -> None:
    from hal.outputs import figure_names
    from hal.present import figures

    run = _run_of(params, arguments)
    for name in arguments.names or figure_names(params):
        for path in figures.draw(params, run, name):
            print(path)


def _report(params: Params, arguments: argparse.Namespace) -> None:
    from hal.present.render import render

    for path in render(params, _run_of(params, arguments)):
        print(path)


def _pdf(params: Params, arguments: argparse.Namespace) -> None:
    from hal.present.pdf import write_pdf

    print(write_pdf(params, arguments.note))


def _crate(params: Params, arguments: argparse.Namespace) -> None:
    from hal import crate

    print(crate.write(params, _run_of(params, arguments)))


def _run_of(params: Params, arguments: argparse.Namespace) -> "Run":
    from hal.departures import describe

    return describe(params, arguments.overlays, Path(arguments.params))


def _draw(params: Params, arguments: argparse.Namespace) -> None:
    from hal import draw
    from hal.current import drawing
    from hal.study.check_sums import verify

    try:
        verify(params)
    except UserError as error:  # such a cell counts nowhere, and tables and report say so where it is missed
        print(f"hal: {with_overlays(str(error), arguments.overlays)}", file=sys.stderr)
    computed = [*(f"controls/{dataset}" for dataset in params.grid.datasets), "study"]
    with drawing(params, computed):
        for line in draw.draw(params, _run_of(params, arguments)):
            if line == draw.CHANGED:
                print(f"hal: {line}", file=sys.stderr)
            else:
                print(line)


def _stamp(params: Params, arguments: argparse.Namespace) -> None:
    from hal.draw import stamp

    print(stamp(params, _run_of(params, arguments)))


def _schema(params: Params, arguments: argparse.Namespace) -> None:
    from hal import json_schema

    for path in json_schema.write(Path(arguments.params)):
        print(path)
