"""Pages of the site that are not written by hand, and links that lead out of docs/ (a hook of mkdocs)."""

import argparse
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from hal import cli

ROOT = Path(__file__).parent.parent

# Files of the repository that are pages of the site too.
COPIES = {
    "readme.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/RESULTS.md",
}
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in COPIES.items()}
    made |= {"command-line.md": command_line()}
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links between files of the repository lead to pages; those to code become the file's name."""
    source = PurePosixPath(COPIES.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    pages = {path: name for name, path in COPIES.items()} | {
        f"docs/{file.src_uri}": file.src_uri for file in files.documentation_pages()
    }

    def rewrite(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        path = os.path.normpath(source.parent / target)
        if path in pages:
            return f"[{text}]({pages[path]}{anchor})"
        return text if (ROOT / path).exists() else link[0]  # what is nowhere is left for mkdocs to refuse

    return _LINK.sub(rewrite, markdown)


def command_line() -> str:
    """The reference of `hal`, from its parser."""
    os.environ["COLUMNS"] = "100"  # argparse's width, however wide the terminal of the build is
    parser = cli.parser()
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    said = {choice.dest: choice.help for choice in commands._choices_actions}
    sections = [
        f"## hal {name}\n\n{_sentence(said[name])}\n\n{_help(one)}" for name, one in commands.choices.items()
    ]
    return "\n\n".join(["# The command line", _sentence(parser.description), _help(parser), *sections])


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help().rstrip()}\n```"


def _sentence(text: Any) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
