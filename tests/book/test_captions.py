"""Every figure of every notebook has a caption, a name, alt text, and a place that cites it."""

import json
import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.prose

ROOT = Path(__file__).parents[2]
PUBLISHED = sorted({page["notebook"] for page in yaml.safe_load((ROOT / "workflow/pages.yaml").read_text()).values()})
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
OPENED_IN_JUPYTERLAB = "notebooks/lab.ipynb"  # which knows no roles: there a picture is announced in words
NAMED_IN_PAGES = re.findall(r"^:name: (fig-\S+)", "\n".join(PAGES.values()), re.MULTILINE)
DRAWS = re.compile(r"^\s*(?:figure\b[^=\n]*= |figure, |plt\.(?:figure|subplots))", re.MULTILINE)
GLUED = re.compile(r"\{glue:text\}`(\w+):[^`]*`")


def cells_of(notebook):
    return json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]


def figures_of(cells):
    """The code cells that draw a figure, with what their metadata say of it: alt text and figure."""
    drawing = [cell for cell in cells if cell["cell_type"] == "code" and DRAWS.search("".join(cell["source"]))]
    told = [cell["metadata"].get("mystnb", {}) for cell in drawing]
    return [(says.get("image", {}).get("alt", ""), says.get("figure", {})) for says in told]


def faults(notebook, cells):
    """What is missing or wrong about the captions of a notebook's figures."""
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    known = set(re.findall(r'\bglue\("(\w+)"', code))
    if "for key, value in parameters:\n    glue(key, value" in code:
        known |= set(re.findall(r"^    (\w+): ", code, re.MULTILINE))  # fields of Parameters
    for keys in re.findall(r"for key in \(([^)]*)\):\n    glue\(key", code):
        known |= set(re.findall(r'"(\w+)"', keys))
    prefix = f"fig-{Path(notebook).stem.replace('_', '-')}-"
    for alt, figure in figures_of(cells):
        name, caption = figure.get("name", ""), figure.get("caption", "")
        if len(alt.split()) < 6:
            yield f"{name}: alt text {alt!r}"
        if not re.fullmatch(rf"{prefix}[a-z-]+", name):
            yield f"name {name!r}, expected {prefix}…"
        if not re.fullmatch(r"(?s)([A-Z$]|\{glue:).{20,}[.)]", caption):
            yield f"{name}: caption {caption!r}"
        if "\n\n" in caption:
            yield f"{name}: a caption is one paragraph"
        citation = "The next picture shows" if notebook == OPENED_IN_JUPYTERLAB else f"{{numref}}`{name}`"
        if citation not in prose:
            yield f"{name}: not cited"
        yield from (f"{name}: {key} is not glued" for key in GLUED.findall(caption) if key not in known)


@pytest.mark.parametrize("notebook", PUBLISHED)
def test_figures_have_captions_names_and_citations(notebook):
    assert list(faults(notebook, cells_of(notebook))) == []


@pytest.mark.parametrize("notebook", PUBLISHED)
def test_what_has_a_caption_is_drawn(notebook):
    cells = cells_of(notebook)
    told = [cell["metadata"]["mystnb"] for cell in cells if "mystnb" in cell["metadata"]]
    assert len(told) == len(figures_of(cells))


def test_names_of_figures_are_unique():
    names = [figure["name"] for notebook in PUBLISHED for _, figure in figures_of(cells_of(notebook))]
    names += re.findall(
        r"^:name: (fig-\S+)", "\n".join(p.read_text() for p in (ROOT / "book").glob("*.md")), re.MULTILINE
    )
    assert sorted(names) == sorted(set(names))
    assert len(names) > 20


def test_every_citation_of_a_figure_has_one():
    names = {figure["name"] for notebook in PUBLISHED for _, figure in figures_of(cells_of(notebook))}
    names |= set(NAMED_IN_PAGES)
    texts = PAGES | {notebook: json.dumps(cells_of(notebook)) for notebook in PUBLISHED}
    cited = {(where, name) for where, text in texts.items() for name in re.findall(r"\{numref\}`([^`]*)`", text)}
    assert {(where, name) for where, name in cited if name not in names} == set()


GOOD = {"caption": "Errors of each exit ({glue:text}`seeds:s`).", "name": "fig-some-page-errors"}


@pytest.mark.parametrize(
    ("alt", "figure", "fault"),
    [
        ("Errors fall with the cost, and so on.", GOOD, None),
        ("", GOOD, "alt text"),
        ("Errors fall with the cost, and so on.", {}, "name ''"),
        ("Errors fall with the cost, and so on.", GOOD | {"name": "fig-other-errors"}, "expected fig-some-page-"),
        ("Errors fall with the cost, and so on.", GOOD | {"name": "fig-some-page-losses"}, "not cited"),
        ("Errors fall with the cost, and so on.", GOOD | {"caption": "errors"}, "caption 'errors'"),
        ("Errors fall with the cost, and so on.", GOOD | {"caption": GOOD["caption"] + "\n\nMore."}, "one paragraph"),
        ("Errors fall with the cost, and so on.", GOOD | {"caption": "Errors of {glue:text}`runs:d` runs."}, "runs"),
    ],
)
def test_faults_are_found(alt, figure, fault):
    draws = 'glue("seeds", "5 seeds", display=False)\nfigure = dots(table)\n'
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["See {numref}`fig-some-page-errors`."]},
        {"cell_type": "code", "metadata": {"mystnb": {"image": {"alt": alt}, "figure": figure}}, "source": [draws]},
    ]
    found = list(faults("notebooks/some_page.ipynb", cells))
    assert (any(fault in each for each in found)) if fault else found == []
