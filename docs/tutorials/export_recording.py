# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Export a recording
#
# One simulated recording, written as NWB, as a BIDS dataset and as EDF+, and read back
# with the library of each format. [Formats](../formats.md) lists them all;
# `scripts/convert.py` does the same on the command line. Needs the extra `formats`.

# %%
import json
import tempfile
from pathlib import Path

import edfio
import mne
import numpy as np
import pandas
from pynwb import NWBHDF5IO

import surrogate
from surrogate import formats
from surrogate.formats import objects
from surrogate.movement.electrodes import bracelet
from surrogate.movement.poses import pose_trajectory
from surrogate.movement.simulation import simulate

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
movement = pose_trajectory("rest:0.2, fist:0.5@0.4, rest:0.2@0.4", 100.0)
recording = simulate(
    movement,
    surrogate.load("forearm"),
    muscles=("FDS3", "EDC3"),
    electrodes=bracelet(8),
    seed=3,
).dataset
print(
    {
        name: recording.sizes[name]
        for name in ("channel", "time", "motor_unit", "discharge")
    }
)

# %% [markdown]
# ## NWB
#
# EMG, electrodes, motor units with their spike times and waveforms, joint angles and
# the state of the muscles: everything in one file.

# %%
path = formats.write(recording, folder / "recording.nwb", "nwb")
with NWBHDF5IO(path, "r") as file:
    nwb = file.read()
    emg = nwb.acquisition["EMG"]
    print(f"{emg.data.shape} samples and channels in {emg.unit} at {emg.rate:g} Hz")
    print("units:", ", ".join(nwb.units.colnames[:6]), "...")
    print("behaviour:", ", ".join(nwb.processing["behavior"].data_interfaces))
    spikes, samples = nwb.units["spike_times"][0], emg.data[:].T

# %% [markdown]
# Samples came back to the bit, and so did discharges, here those of the first motor
# unit:

# %%
first = recording.discharge_time.values[recording.discharge_motor_unit.values == 0]
print(np.round(spikes, 4), "s")
print("samples the same:", np.array_equal(samples, recording.emg.values))
print("discharges the same:", np.array_equal(spikes, first))

# %% [markdown]
# ## BIDS
#
# A dataset with EMG as BDF+, electrodes and their coordinate system, events, and joint
# angles as motion data. The ground truth is a derivative beside them.

# %%
root = formats.write(recording, folder / "study", "bids")
for file in sorted(root.rglob("*")):
    if file.is_file():
        print(file.relative_to(root))

# %%
[sidecar] = root.glob("sub-01/emg/*_emg.json")
told = json.loads(sidecar.read_text())
print({name: told[name] for name in ("SamplingFrequency", "EMGReference")})
[channels] = root.glob("sub-01/emg/*_channels.tsv")
pandas.read_csv(channels, sep="\t").head(3)

# %% [markdown]
# MNE reads the EMG, and mne-bids the dataset as a whole.

# %%
[data] = root.glob("sub-01/emg/*_emg.bdf")
raw = mne.io.read_raw_bdf(data, verbose="error")
print(raw)
for note in raw.annotations:
    print(
        f"{note['description']} at {note['onset']:.2f} s for {note['duration']:.2f} s"
    )

# %% [markdown]
# BDF keeps 24 bits of each channel's largest amplitude: no sample is off by more than
# half a step.

# %%
read = raw.get_data()[:, : recording.sizes["time"]]
step = np.abs(recording.emg.values).max(axis=1, keepdims=True) / 8388607
error = np.max(np.abs(read - recording.emg.values) / step)
print(f"largest error: {error:.2f} steps of BDF")

# %% [markdown]
# ## EDF+
#
# The same with 16 bits, for programs that read nothing else.

# %%
path = formats.write(recording, folder / "recording.edf", "edf")
edf = edfio.read_edf(path)
for signal in edf.signals[:3]:
    largest, unit = signal.physical_max, signal.physical_dimension
    print(
        f"{signal.label}: {signal.sampling_frequency:g} Hz, up to {largest:.4g} {unit}"
    )

# %% [markdown]
# ## Objects
#
# Without a file in between, a recording becomes an object of MNE, Neo or pandas.

# %%
block = objects.to_neo(recording)
trains = block.segments[0].spiketrains
print(
    f"{len(trains)} spike trains of {', '.join(group.name for group in block.groups)}"
)
objects.to_pandas(recording)["discharges"].head()
