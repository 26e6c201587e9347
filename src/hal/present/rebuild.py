"""How everything is made again, and cited: the report's last section."""

from hal.departures import Run
from hal.outputs import study_names
from hal.paper import load_paper
from hal.params import Params
from hal.present.blocks import Block, Column, Command, Downloads, Figure, Heading, Prose, Table, plain

REBUILD = (
    "In the repository, with its environment active. Snakemake makes what is missing or out of date, and `--force` makes its "
    "target again."
)


def blocks(params: Params, run: Run, figures: dict[str, Figure]) -> list[Block]:
    """The command for each part, the tables to take along, and how to cite the paper."""
    files = [params.path("results", f"{name}.csv") for name in study_names(params)]
    return [
        Heading("rebuild", "Rebuild and cite"),
        Prose(REBUILD),
        _commands(params, run, figures),
        Downloads(tuple((file.name, file.read_bytes()) for file in files)),
        Prose("To cite the paper:"),
        Command(_bibtex()),
    ]


def _commands(params: Params, run: Run, figures: dict[str, Figure]) -> Table:
    cell = params.cells()[-1]
    targets = {
        "Everything that is missing or out of date": f"snakemake{run.suffix}",
        f"One network, such as {cell.name}": f"snakemake --force {params.path('results', cell.name)}{run.suffix}",
        "The controls of a data set": f"snakemake --force {params.path('results', 'controls', f'{params.grid.datasets[0]}.csv')}{run.suffix}",
        "Every computed table": f"snakemake --force {params.path('results', 'table2.csv')}{run.suffix}",
        **{f"Figure {figure.number}": figure.command for figure in figures.values()},
        "This report": f"snakemake --force {params.path('report', 'report.html')}{run.suffix}",
    }
    columns = (Column("Part", "name"), Column("Command", "code"))
    return Table("commands", "", "The command for each part.", columns, plain(list(targets.items())))


def _bibtex() -> str:
    citation = load_paper().citation
    entries = {
        "title": citation.title,
        "author": " and ".join(citation.authors),
        "year": str(citation.year),
        "howpublished": citation.published,
        "url": citation.url,
    }
    lines = ",\n".join(f"  {key} = {{{value}}}" for key, value in entries.items())
    return f"@misc{{hal{citation.year},\n{lines}\n}}"
