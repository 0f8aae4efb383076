"""Measure speed: name, device, cores and results, medians of repeats; JSON when piped or with --json.

    python scripts/benchmark.py forward     settings of a forearm to lead fields, at growing sizes
    python scripts/benchmark.py muap        lead fields to fibres' responses and MUAPs
    python scripts/benchmark.py emg         MUAPs and excitation to discharges and EMG
    python scripts/benchmark.py corpus      settings to a corpus on disk
    python scripts/benchmark.py stream      a corpus on disk to shuffled batches, beside what training takes
    python scripts/benchmark.py generator   conditions to MUAPs with a trained generator
    python scripts/benchmark.py movement    a trajectory to EMG, in all and in chunks as it goes
    python scripts/benchmark.py explorer    a slider that moves to the picture that has changed, in Chromium

Every result is {metric, value, unit, size}. The published case that the first three reproduce is that of
Maksymenko et al. 2022: 2.1 million vertices, 32 electrodes, one muscle of 50 000 fibres in 200 motor units,
60 s at 2000 Hz and 100 % excitation. `forward` also times NGSolve's multigrid CG where that is installed.
"""

import sys

from benchmarks import explorer, learning, movement, simulator
from tyro.extras import SubcommandApp

app = SubcommandApp()
app.command(simulator.forward)
app.command(simulator.assembly, name="muap")
app.command(simulator.emg)
app.command(learning.corpus)
app.command(learning.stream)
app.command(learning.generator)
app.command(movement.movement)
app.command(explorer.explorer)

if __name__ == "__main__":
    try:
        app.cli(description=__doc__)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
