"""The help of every program in scripts/, as Markdown on standard output."""

import io
import os
import re
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND_LINE = re.compile(r"^(?:import|from) tyro", re.MULTILINE)
SUBCOMMAND = re.compile(r"^ *• ([\w-]+) ", re.MULTILINE)


def help_of(program: Path, *subcommand: str) -> str:
    """Return what a program prints when it is asked for help."""
    sys.argv = [str(program), *subcommand, "--help"]
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            runpy.run_path(str(program), run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def section(program: Path) -> str:
    """Return a program's help, and that of its subcommands."""
    texts = {"": help_of(program)}
    texts |= {name: help_of(program, name) for name in SUBCOMMAND.findall(texts[""])}
    blocks = [f"## {program.stem}"]
    for name, text in texts.items():
        blocks += [f"### {program.stem} {name}"] if name else []
        blocks += [f"```{{ .text .help }}\n{text}\n```"]
    return "\n\n".join(blocks)


def main() -> None:
    """Print the help of all scripts that have a command line."""
    os.chdir(ROOT)
    os.environ["COLUMNS"] = "88"  # what a page holds
    scripts = Path("scripts")
    sys.path.insert(0, str(scripts))
    programs = [path for path in sorted(scripts.glob("*.py")) if COMMAND_LINE.search(path.read_text())]
    print("\n\n".join(section(program) for program in programs))


if __name__ == "__main__":
    main()
