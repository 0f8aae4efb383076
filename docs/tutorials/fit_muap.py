# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Fit recorded MUAPs
#
# A decomposition of EMG gives motor units and their action potentials on the array.
# Where do these units lie, how fast do their fibres conduct, how thick is the fat above
# them? A generator is differentiable, so that the conditions under which it gives a
# recorded MUAP can be searched for, with an uncertainty for each.

# %%
# %matplotlib inline
import numpy as np
import torch

import surrogate
from surrogate import plots
from surrogate.fitting import FitSettings, fit
from surrogate.fitting.pictures import condition_figure, muap_figure

generator = surrogate.load("forearm")

# %% [markdown]
# ## Recordings to fit
#
# Three motor units of one limb, made up here so that the truth is known, under noise 20
# dB below the mean power of each MUAP. `fit` takes any array `[unit, row, column,
# time]` in V on the generator's electrodes and time axis.

# %%
limb = {
    "limb_radius": 0.041,
    "fat_thickness": 0.0035,
    "skin_thickness": 0.0013,
    "bone_scale": 1.0,
    "muscle_longitudinal_conductivity": 0.5,
    "muscle_transverse_conductivity": 0.1,
    "fat_conductivity": 0.05,
    "skin_conductivity": 0.17,
    "bone_conductivity": 0.03,
}
middle = {
    item.name: (item.minimum + item.maximum) / 2 for item in generator.conditions.items
}
truth = middle | limb
truth |= {
    "depth": np.array([0.009, 0.012, 0.016]),
    "angle": np.array([0.6, 1.9, 4.4]),
    "conduction_velocity": np.array([3.7, 4.1, 4.4]),
    "innervation_zone": np.array([0.45, 0.5, 0.56]),
    "fibre_length": np.array([0.075, 0.065, 0.060]),
    "number_of_fibres": np.array([150.0, 250.0, 400.0]),
    "fibre_centre": np.array([0.004, -0.006, 0.0]),
}
clean = np.asarray(generator.sample(truth))
power = np.square(clean).mean((1, 2, 3), keepdims=True)
rng = np.random.default_rng(0)
muaps = clean + 0.1 * np.sqrt(power) * rng.normal(size=clean.shape)
plots.muap_figure(
    plots.ArrayMuap.of_array(muaps[0], generator.geometry, "unit 0, as recorded")
)

# %% [markdown]
# ## The fit
#
# The limb was measured, say by ultrasound, and its tissues are taken from the
# literature: those conditions are known. Everything else is searched for, from many
# beginnings. Fewer of these than usual, and no latents, keep this short.

# %%
settings = FitSettings(
    candidates=1024, restarts=4, finalists=2, iterations=15, latent=False
)
found = fit(generator, muaps, known=limb, settings=settings)
print(
    "left over:",
    *(f"{part:.1%}" for part in found.relative_residual.tolist()),
    "of the MUAPs' norms",
)

# %% [markdown]
# Noise of a tenth of the RMS leaves a tenth of the norm, which no model should explain.

# %%
rate = generator.geometry.sampling_rate
muap_figure(torch.as_tensor(muaps[0]), found.muap[0], rate, "unit 0")

# %% [markdown]
# ## What was found
#
# Each condition with its standard deviation, from the curvature of the likelihood and
# from the restarts that agree.

# %%
shown = {
    "depth": (1e3, "mm"),
    "angle": (180 / np.pi, "degrees"),
    "conduction_velocity": (1.0, "m/s"),
    "fibre_length": (1e3, "mm"),
    "number_of_fibres": (1.0, ""),
}
for name, (factor, unit) in shown.items():
    column = found.names.index(name)
    print(f"{name} {unit}".strip())
    for number, true in enumerate(factor * truth[name]):
        value = factor * float(found.conditions[number, column])
        deviation = factor * float(found.deviation[number, column])
        print(f"    {value:7.2f} ± {deviation:.2f}, in truth {true:.2f}")

# %% [markdown]
# Three conditions together say where along the limb the end-plates are:

# %%
part = truth["innervation_zone"] - 0.5
for number, true in enumerate(truth["fibre_centre"] + part * truth["fibre_length"]):
    value, deviation = found.end_plate[number], found.end_plate_deviation[number]
    print(
        f"{1e3 * value:6.2f} ± {1e3 * deviation:.2f} mm, in truth {1e3 * true:.2f} mm"
    )

# %% [markdown]
# All conditions that were fitted, with two deviations to either side, within the range
# that the generator knows. Most are found exactly. How the fibres lie about the unit's
# centre, their spreads and correlation, is less certain, the more so the deeper the
# unit lies: from afar it looks like a point.

# %%
condition_figure(found, generator.conditions)

# %% [markdown]
# `scripts/fit.py MUAPS.npy --output fits` does this for a file, and `scripts/fit.py
# --corpus corpus.zarr` measures how well conditions of simulated MUAPs are found again.
