"""Pages of the site that are not written by hand, and links that lead out of docs/ (a hook of mkdocs)."""

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from hal import cli
from hal.json_schema import schemas
from hal.yaml12 import read_yaml

ROOT = Path(__file__).parent.parent

# Files of the repository that are pages of the site too.
COPIES = {
    "readme.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "benchmarks.md": "benchmarks/RESULTS.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here, and the pictures of all pages that lie elsewhere in the repository."""
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in COPIES.items()}
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    for source, text in (texts | {COPIES[page]: text for page, text in made.items()}).items():
        for picture, _, target, _ in _LINK.findall(text):
            path = _path(source, target)
            if picture and not path.startswith("docs/") and (ROOT / path).exists():
                made[_picture(path)] = (ROOT / path).read_text(encoding="utf-8")
    made |= {"command-line.md": command_line(), "params.md": settings()}
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links between files of the repository lead to pages; those to code become the file's name."""
    source = COPIES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    pages = {path: name for name, path in COPIES.items()} | {
        f"docs/{file.src_uri}": file.src_uri for file in files.documentation_pages()
    }

    def rewrite(link: re.Match[str]) -> str:
        picture, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        path = _path(source, target)
        if picture and (ROOT / path).exists():
            return f"![{text}]({_picture(path)})"
        if path in pages:
            return f"[{text}]({pages[path]}{anchor})"
        return text if (ROOT / path).exists() else link[0]  # what is nowhere is left for mkdocs to refuse

    return _LINK.sub(rewrite, markdown)


def _path(source: str, target: str) -> str:
    """A link's target in a file of the repository, both as paths in it."""
    return os.path.normpath(PurePosixPath(source).parent / target)


def _picture(path: str) -> str:
    """What a picture of the repository is called on the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else path.replace("/", "-")


def command_line() -> str:
    """The reference of `hal`, from its parser."""
    os.environ["COLUMNS"] = "100"  # argparse's width, however wide the terminal of the build is
    parser = cli.parser()
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    sections = [f"## hal {name}\n\n{_help(one)}" for name, one in commands.choices.items()]
    return "\n\n".join(["# The command line", _help(parser), *sections])


def settings() -> str:
    """The reference of params.yaml, from the schema that editors use and the values in force."""
    schema, values = schemas(ROOT / "params.yaml")["params.schema.json"], read_yaml(ROOT / "params.yaml")
    sections = [
        f"## {name}\n\n{one['description']}\n\n" + _table(name, one, values.get(name))
        for name, one in schema["properties"].items()
    ]
    intro = (
        "What [`params.yaml`](../params.yaml) and the overlays in `configs/` may hold; an overlay names what differs. "
        "Editors know the same from `params.schema.json` and `overlay.schema.json`. The paper's experiment has the "
        "values in the third column; where the paper is silent, the reason follows `Assumed`."
    )
    return "\n\n".join(["# The settings", intro, *sections])


def _table(name: str, schema: dict[str, Any], value: Any) -> str:
    head = "| key | what | value | may be |\n|---|---|---|---|\n"
    return head + "\n".join(_rows(name, schema, value)) if "type" in schema else ""


def _rows(path: str, schema: dict[str, Any], value: Any) -> Iterator[str]:
    """A row a setting; those of a mapping by the names of its own choice stand below `<name>`."""
    section = path.rsplit(".", 1)[-1]
    if "<name>" in path and section in ("model", "train", "augment"):
        yield f"| `{path}` | {_cell(schema['description'])} |  | keys of [{section}](#{section}) |"
    elif "properties" in schema:
        for key, one in schema["properties"].items():
            yield from _rows(f"{path}.{key}", one, value.get(key) if isinstance(value, dict) else None)
    elif "properties" in (entry := schema.get("additionalProperties") or {}):
        yield from _rows(f"{path}.<name>", entry, None)
    else:
        shown = "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"
        yield (
            "| "
            + " | ".join([f"`{path}`", _cell(schema.get("description", "")), shown, _cell(_may_be(schema))])
            + " |"
        )


def _may_be(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_may_be(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    least, most = schema.get("minItems"), schema.get("maxItems")
    if schema.get("type") == "array":
        many = "" if least is None else f" (exactly {least})" if least == most else f" (at least {least})"
        return f"list{many} of: {_may_be(schema['items'])}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
    limits = [f"{sign} {schema[key]:,}" for key, sign in bounds.items() if key in schema]
    return " ".join(
        [{"string": "text"}.get(schema.get("type", ""), schema.get("type", "anything")), ", ".join(limits)]
    ).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help().rstrip()}\n```"
