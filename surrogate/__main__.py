"""The programs of `scripts/` by name, wherever myomime is installed: `myomime simulate ...`."""

import ast
import runpy
import sys
from pathlib import Path

from surrogate.shipped import shipped

# In the order of use; what only serves this repository is not among them.
PROGRAMS = (
    *("simulate", "plot", "view", "convert", "decode_gestures"),
    *("generate_corpus", "train", "evaluate", "export", "fit"),
    *("simulate_muscles", "import_limb", "validate", "benchmark"),
)


def main() -> int:
    """Run the program that the first argument names with the arguments after it."""
    given = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if given in ("-h", "--help"):
        print(_help())
        return 0
    name = given.replace("-", "_")
    if name not in PROGRAMS:
        allowed = ", ".join(program.replace("_", "-") for program in PROGRAMS)
        print(f"myomime: no program {given!r}; there are {allowed}", file=sys.stderr)
        return 2
    path = _path(name)
    sys.argv = [f"myomime {given}", *sys.argv[2:]]
    sys.path.insert(0, str(path.parent))  # as `python scripts/NAME.py` does
    runpy.run_path(str(path), run_name="__main__")
    return 0


def _help() -> str:
    lines = ["usage: myomime PROGRAM [--help] ...", "", "programs:"]
    for name in PROGRAMS:
        description = ast.get_docstring(ast.parse(_path(name).read_text(encoding="utf-8"))) or ""
        summary = description.splitlines()[0].split(": `")[0].rstrip(".")
        lines.append(f"  {name.replace('_', '-'):17s} {summary}")
    return "\n".join(lines)


def _path(name: str) -> Path:
    return shipped("scripts") / f"{name}.py"


if __name__ == "__main__":
    sys.exit(main())
