"""What the documentation's pages get when they are built: parts of other files, tables, an API, MathML.

A line `<!-- KIND: ARGUMENT -->` of a page stands for what the function of that kind in `KINDS` returns.
"""

import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from numerical.conditions import CONDITIONS
from surrogate.recording import VARIABLES

ROOT = Path(__file__).parents[1]
PACKAGES = ("numerical", "surrogate")
LINE = re.compile(r"^<!-- (\w+)(?:: (.*))? -->$", re.MULTILINE)
LINK = re.compile(r"(?<=\]\()[^)#\s]+")
FORMULA = re.compile(r'<(div|span) class="arithmatex">(?:\\\(|\\\[)(.*?)(?:\\\)|\\\])</\1>', re.DOTALL)
SOURCE_LINK = re.compile(r'(?<=href=")[^":#]+\.(?:md|py)(?=")')
# Pages that hold a file of the repository as it is.
PAGES = {"numerical/corpus/FORMAT.md": "corpus_format.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for every module where the navigation says `api`; tell Jupyter where its settings are."""
    os.environ["JUPYTER_CONFIG_PATH"] = str(ROOT / "docs")
    packages = [{name: _branch(ROOT / name)} for name in PACKAGES]
    for section in config.nav or []:
        for title, entries in section.items():
            if isinstance(entries, list):
                section[title] = [{"API": packages} if e == {"API": "api"} else e for e in entries]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of all modules."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__main__.py" and (path.parent / "__init__.py").exists():
                text = f"---\ntitle: {_module(path)}\n---\n\n::: {_module(path)}\n"
                files.append(File.generated(config, _page(path), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is generated."""
    return LINE.sub(lambda found: KINDS[found[1]](found[2]), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers draw without a script; let links of tutorials find pages."""
    if page.file.src_uri.endswith(".py"):
        return SOURCE_LINK.sub(lambda link: _to_page(link[0], page, files), html)
    return FORMULA.sub(_mathml, html)


def _branch(folder: Path) -> list[str | dict[str, object]]:
    """Return the navigation of a package: its own page, its packages and modules in order."""
    found: list[str | dict[str, object]] = [_page(folder / "__init__.py")]
    for path in sorted(folder.iterdir()):
        if (path / "__init__.py").exists():
            found.append({path.name: _branch(path)})
        elif path.suffix == ".py" and not path.name.startswith("__"):
            found.append({path.stem: _page(path)})
    return found


def _module(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(relative.parent.parts if relative.name == "__init__" else relative.parts)


def _page(path: Path) -> str:
    relative = path.relative_to(ROOT).as_posix()
    return "api/" + relative.replace("__init__.py", "index.md").replace(".py", ".md")


def include(argument: str) -> str:
    """Return a file of the repository, or what stands in it between `<!-- start: NAME -->` and its end."""
    name, _, part = argument.partition(" ")
    text = (ROOT / name).read_text(encoding="utf-8")
    if part:
        text = text.split(f"<!-- start: {part} -->\n")[1].split(f"<!-- end: {part} -->")[0]
    text = text.replace(" %", "\N{NO-BREAK SPACE}%")
    return LINK.sub(lambda link: _from_pages(link[0], posixpath.dirname(name)), text)


def _from_pages(link: str, folder: str) -> str:
    """Return a link of a file in a folder of the repository as one of a page of the documentation."""
    if ":" in link:
        return link
    target = posixpath.normpath(posixpath.join(folder, link))
    return PAGES.get(target) or posixpath.relpath(target, "docs")


def recording(argument: None) -> str:
    """Return the table of a recording's variables."""
    described = {name: (dims, unit, text) for name, (dims, unit, text) in VARIABLES.items()}
    for name, condition in CONDITIONS.items():
        described[f"motor_unit_{name}"] = (("motor_unit",), condition.unit, condition.description)
    rows = (
        f"| `{name}` | {', '.join(dims)} | {unit} | {text} |"
        for name, (dims, unit, text) in described.items()
    )
    return "\n".join(["| variable | dimensions | unit | |", "|---|---|---|---|", *rows])


def conditions(argument: None) -> str:
    """Return the table of the conditions of MUAPs."""
    rows = (
        f"| `{item.name}` | {item.level.replace('_', ' ')} | {item.unit} | {item.description} |"
        for item in CONDITIONS.values()
    )
    return "\n".join(["| condition | of a | unit | |", "|---|---|---|---|", *rows])


def references(argument: None) -> str:
    """Return the list of the papers that CITATION.cff names."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    return "\n".join(f"- {_reference(paper)}" for paper in cited)


def _reference(paper: dict[str, Any]) -> str:
    """Return a paper as lists of references have it."""
    names = ", ".join(f"{author['given-names']} {author['family-names']}" for author in paper["authors"])
    place = [paper.get("journal"), str(paper["volume"]) if "volume" in paper else None]
    parts = [f"{names} ({paper['year']}): {paper['title']}", ", ".join(filter(None, place))]
    parts += [f"[doi:{paper['doi']}](https://doi.org/{paper['doi']})" if "doi" in paper else ""]
    return ". ".join([*filter(None, parts), paper.get("notes", "")]).rstrip(". ") + "."


def programs(argument: None) -> str:
    """Return the help of all programs."""
    asked = [sys.executable, str(ROOT / "docs/program_help.py")]
    return subprocess.run(asked, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


KINDS: dict[str, Callable[..., str]] = {
    "include": include,
    "recording": recording,
    "conditions": conditions,
    "references": references,
    "programs": programs,
}


def _to_page(link: str, page: Page, files: Files) -> str:
    """Return the address of the page that a tutorial names by its source."""
    source = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), link))
    target = files.get_file_from_path(source)
    if target is None:
        raise PluginError(f"{page.file.src_uri}: links to {link}, which is not there")
    return target.url_relative_to(page.file)


def _mathml(found: re.Match[str]) -> str:
    formula = found[2].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return convert(formula, display="block" if found[1] == "div" else "inline")
