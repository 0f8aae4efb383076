"""What the documentation refers to is there, what it shows can be read; `make docs` builds and runs it."""

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from numerical.corpus import CorpusSettings
from surrogate.movement.electrodes import Electrodes

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.py"))
TEXTS = [*(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")), *PAGES, *TUTORIALS]
PICTURES = sorted(path for suffix in ("png", "jpg", "gif", "svg") for path in DOCS.rglob(f"*.{suffix}"))
LARGEST_PICTURE = 500_000  # bytes

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INCLUDE = re.compile(r"^<!-- include: (\S+)(?: (\S+))? -->$", re.MULTILINE)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def links(path):
    """The files that a text links to or shows, as it names them."""
    prose = FENCED.sub("", path.read_text(encoding="utf-8"))
    found = (unquote(link.partition("#")[0]) for link in LINK.findall(prose))
    return [link for link in found if link and "://" not in link]


def blocks(path, language):
    """The blocks of a language in a page, as they stand."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def leaves(entries):
    """The pages of a part of the navigation."""
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from leaves(value) if isinstance(value, list) else [value]


@pytest.mark.parametrize("text", TEXTS, ids=name_of)
def test_links_and_pictures_are_there(text):
    missing = [link for link in links(text) if not (text.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("text", TEXTS, ids=name_of)
def test_programs_that_are_named_are_there(text):
    named = set(re.findall(r"scripts/(\w+\.py)", text.read_text(encoding="utf-8")))
    assert not named - {path.name for path in (ROOT / "scripts").glob("*.py")}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_pages_include_is_there(page):
    for name, part in INCLUDE.findall(page.read_text(encoding="utf-8")):
        text = (ROOT / name).read_text(encoding="utf-8")
        if part:
            assert text.count(f"<!-- start: {part} -->") == text.count(f"<!-- end: {part} -->") == 1
            assert text.index(f"<!-- start: {part} -->") < text.index(f"<!-- end: {part} -->")


def test_every_page_is_in_the_navigation_once():
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = [page for page in leaves(navigation) if page != "api"]
    assert sorted(pages) == sorted(path.relative_to(DOCS).as_posix() for path in [*PAGES, *TUTORIALS])


@pytest.mark.parametrize("picture", PICTURES, ids=name_of)
def test_pictures_are_used_and_small(picture):
    shown = {(text.parent / link).resolve() for text in TEXTS for link in links(text)}
    assert picture.resolve() in shown
    assert picture.stat().st_size < LARGEST_PICTURE


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_python_in_pages_compiles(page):
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=name_of)
def test_tutorials_compile_and_begin_with_a_title(tutorial):
    text = tutorial.read_text(encoding="utf-8")
    compile(text, tutorial.name, "exec")
    cells = text.split("\n# %%")
    assert cells[1].startswith(" [markdown]\n# # ")
    assert any(not cell.startswith(" [markdown]") for cell in cells[1:])


def test_settings_shown_can_be_used():
    [electrodes] = blocks(DOCS / "simulate.md", "yaml")
    assert Electrodes.model_validate(yaml.safe_load(electrodes)).channels().matrix.shape == (2, 4)
    [corpus] = blocks(DOCS / "corpus.md", "yaml")
    assert CorpusSettings.model_validate(yaml.safe_load(corpus)).draws == 16


def test_the_citation_has_the_fields_of_its_schema():
    """Of the Citation File Format 1.2.0: what is required, and nothing that it does not know."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {"cff-version", "message", "title", "authors"}
    optional = {"abstract", "type", "version", "date-released", "license", "keywords", "references"}
    assert required <= set(cited) <= required | optional
    assert cited["cff-version"] == "1.2.0"
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["authors"] == project["authors"]
    known = {"type", "title", "authors", "journal", "year", "volume", "issue", "start", "end", "doi", "notes"}
    for paper in cited["references"]:
        assert {"type", "title", "authors", "year"} <= set(paper) <= known
        assert all(set(author) == {"family-names", "given-names"} for author in paper["authors"])
        assert re.fullmatch(r"10\.\d{4,9}/\S+", paper.get("doi", "10.0000/none"))


def test_the_changelog_begins_with_this_version():
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert versions[0] == project["version"]
