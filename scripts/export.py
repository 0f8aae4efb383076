"""Write a generator as an ONNX model: `python scripts/export.py --checkpoint C --output C.onnx`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

import surrogate
from surrogate.export import to_onnx


@dataclass(frozen=True)
class Options:
    """Write a generator as an ONNX model, which other languages and run-times open.

    Inputs are `latent` [batch, latent size] (zeros for the units to be expected) and `conditions`
    [batch, condition] in SI units, in the order that the file's metadata lists with units and ranges; the
    output is `muap` [batch, row, column, time] in V. Conditions are not checked there.
    """

    checkpoint: str
    """Name of a shipped checkpoint, or path to either of its files."""
    output: Path
    """File to write."""


def main(options: Options) -> None:
    print(f"wrote {to_onnx(surrogate.load(options.checkpoint), options.output)}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except (ValueError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        sys.exit(2)
