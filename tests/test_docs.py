"""What README.md and docs/ show: texts are checked, commands are run, tables equal the code.

`python -m tests.test_docs` prints the tables of layers and units for docs/language.md.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.testing

from archspec.cli.main import app
from archspec.dump import dump_yaml
from archspec.layers import LAYERS
from archspec.load import parse_yaml
from archspec.units import shipped_units

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
#: commands that answer at once; searches belong to the tests of the search
CHEAP = ("check", "show", "cost", "diff", "scale", "zoo")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.yaml)\n")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of one language."""
    return [text for name, text in FENCE.findall(page.read_text("utf-8")) if name == language]


def whole_files(page: Path) -> dict[str, str]:
    """YAML blocks that name their file, by that name."""
    texts = ((FILE.match(text), text) for text in fenced(page, "yaml"))
    return {named[1]: text for named, text in texts if named}


def transcripts(page: Path) -> list[tuple[str, str]]:
    """Commands of console blocks, each with what is shown below it."""
    found = []
    for block in fenced(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the whole files of the page that the test is about."""
    monkeypatch.chdir(tmp_path)
    for name, text in whole_files(request.getfixturevalue("page")).items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def answer(command: str) -> str:
    """What the command line prints, standard error included, without rich's drawing."""
    words = shlex.split(command)
    assert words[0] == "archspec"
    return typer.testing.CliRunner().invoke(app, words[1:], prog_name="archspec").output


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_yaml_block_that_is_a_file_passes_check(page: Path, folder: Path) -> None:
    for name in whole_files(page):
        assert answer(f"archspec check {name}").startswith(f"ok {name}: ")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_yaml_block_reads(page: Path) -> None:
    for text in fenced(page, "yaml"):
        parse_yaml(text, named(page))


SHOWN = [(page, *shown) for page in PAGES for shown in transcripts(page)]


@pytest.mark.parametrize(("page", "command", "output"), SHOWN, ids=[shown[1] for shown in SHOWN])
def test_a_shown_command_prints_what_is_shown(
    page: Path, folder: Path, command: str, output: str
) -> None:
    """A line of three dots stands for any lines."""
    assert shlex.split(command)[1] in CHEAP
    pattern = re.escape(output).replace(re.escape("...\n"), "(?:.*\n)*")
    assert re.fullmatch(pattern, answer(command)), answer(command)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def layer_rows() -> list[str]:
    rows = []
    for name, layer in LAYERS.items():
        knobs = []
        for knob, field in layer.model_fields.items():
            shown = f"**{knob}**" if knob == layer.primary else knob
            knobs.append(shown if field.is_required() else f"{shown}: {value_text(field.default)}")
        knobs += [f"{knob}: [...]" for knob in layer.inner]
        rows.append(f"| `{name}` | {', '.join(knobs) or 'none'} | {first_lines(layer.__doc__)} |")
    return rows


def unit_rows() -> list[str]:
    rows = []
    for name, unit in sorted(shipped_units().items()):
        knobs = (f"{knob}: {value_text(text.default)}" for knob, text in unit.knobs.items())
        rows.append(f"| `{name}` | {', '.join(knobs)} | {first_lines(unit.text.doc)} |")
    return rows


def value_text(value: object) -> str:
    """As YAML writes it; a pair of equals is written as one."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    return dump_yaml({"": value}).rstrip().partition(": ")[2].strip('"')


def first_lines(doc: str | None) -> str:
    return " ".join((doc or "").split("\n\n")[0].split())


def test_the_tables_of_layers_and_units_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "language.md").read_text("utf-8")
    shown = [line for line in text.splitlines() if re.match(r"\| `\w+` \|", line)]
    wanted = [*layer_rows(), *unit_rows()]
    assert [row for row in wanted if row not in shown] == []


if __name__ == "__main__":
    print("\n".join([*layer_rows(), "", *unit_rows()]))
