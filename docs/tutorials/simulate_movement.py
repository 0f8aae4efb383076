# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Simulate a movement
#
# From joint angles to the EMG of an electrode array around the forearm, and a look at
# what is in a recording: what the muscles did, when each motor unit discharged, what
# its action potential looks like, where on the skin the EMG is.

# %%
# %matplotlib inline
import numpy as np

import surrogate
from surrogate import plots
from surrogate.movement.poses import pose_trajectory
from surrogate.movement.simulation import simulate

# %% [markdown]
# ## A movement
#
# A movement is a `Trajectory`: joint angles over time. Files of many kinds can be read
# (`read_trajectory`); here named poses are enough. The hand rests for 0.3 s, flexes the
# wrist in 0.5 s, holds that for 0.4 s, makes a fist, and rests.

# %%
movement = pose_trajectory(
    "rest:0.3, wrist_flexion:0.4@0.5, fist:0.5@0.5, rest:0.3@0.5", 100.0
)
print(f"{len(movement.joints)} joints, {movement.time[-1]:.2f} s")

# %% [markdown]
# ## EMG
#
# The generator knows one limb, here the forearm, under an array of ten rings of 32
# electrodes. Six muscles are enough to see what happens; without `muscles` all 28 are
# simulated.

# %%
generator = surrogate.load("forearm")
muscles = ("FCR", "FCU", "ECRB", "ECU", "FDS3", "EDC3")
result = simulate(movement, generator, muscles=muscles, seed=1)
recording = result.dataset
for stage, seconds in result.seconds.items():
    print(f"{stage:12s} {seconds:5.1f} s")

# %% [markdown]
# The result is an xarray Dataset. The page on the [format of a
# recording](../recording_format.md) says what each variable is; every one carries its
# unit and a description too. Some of them:

# %%
some = "emg joint_angle activation discharge_time motor_unit_depth muap"
for name in some.split():
    variable = recording[name]
    sizes = ", ".join(f"{size} {what}" for what, size in variable.sizes.items())
    print(f"{name:17s} {variable.units:4s} [{sizes}]")

# %% [markdown]
# What the movement did to muscles and EMG, over time:

# %%
plots.overview(recording)

# %% [markdown]
# Nobody said what the muscles should do: inverse dynamics and static optimisation found
# the activations that explain the movement. What no muscle explains, and other doubts,
# would stand in the warnings.

# %%
print(*result.warnings or ["no warnings"], sep="\n")

# %% [markdown]
# ## Motor units
#
# Each muscle has a pool of motor units, recruited by size: small ones first, at low
# activation. Their discharges are the ground truth that a decomposition of this EMG
# should find.

# %%
plots.discharge_figure(recording, ["FCR", "FDS3"])

# %% [markdown]
# Later units have more fibres and so larger action potentials. The number of fibres and
# every other condition of each unit is in the recording.

# %%
of_fcr = np.flatnonzero(recording.motor_unit_muscle.values == "FCR")
discharges = np.bincount(
    recording.discharge_motor_unit.values, minlength=recording.sizes["motor_unit"]
)
largest = 1e6 * np.ptp(recording.muap.values, axis=2).max(axis=1)
print("unit  discharges  fibres  depth, mm  largest MUAP, µV peak to peak")
for unit in of_fcr[::10]:
    fibres, depth = (
        float(recording[f"motor_unit_{name}"][unit])
        for name in ("number_of_fibres", "depth")
    )
    row = f"{unit:4d} {discharges[unit]:11d} {fibres:7.0f} {1e3 * depth:10.1f}"
    print(f"{row} {largest[unit]:13.1f}")

# %% [markdown]
# The action potential of one of them on the array. Columns run around the limb, rows
# along it: the potential starts under the innervation zone and travels to both sides at
# the conduction velocity.

# %%
unit = int(of_fcr[np.argmax(discharges[of_fcr])])
plots.muap_figure(plots.ArrayMuap.of_recording(recording, unit))

# %% [markdown]
# ## Where on the skin
#
# RMS of the EMG over the array, at moments that differ most. The whole limb is
# unrolled: in these maps volar is at 0° and dorsal at 180°.

# %%
plots.rms_figure(recording, maps=4)

# %% [markdown]
# ## What the length of fibres does
#
# When a muscle shortens its fibres lie deeper and conduct faster. The recording says
# how far this went, and every discharge was given the action potential of its moment.

# %%
for muscle in muscles:
    length = recording.fibre_length.sel(muscle=muscle).values
    print(f"{muscle:5s} {length.min():.2f} to {length.max():.2f} optimal fibre lengths")
worst = float(recording.motor_unit_interpolation_error.max())
print(f"interpolation between states costs at most {worst:.2%} nRMSE of a MUAP")

# %% [markdown]
# ## On to disk
#
# `write_recording` keeps it all, `open_recording` opens it again. The tutorial [Export
# a recording](export_recording.py) writes other formats.
