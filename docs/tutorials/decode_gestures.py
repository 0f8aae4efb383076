# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Decode gestures
#
# A hand of MuJoCo performs gestures in a Gymnasium environment; a bracelet of eight
# electrodes listens; a linear discriminant learns which gesture it was. As everything
# is simulated, it is known what each muscle did, and the experiment can be repeated
# with other electrodes, other noise or another subject. Needs the extra `gym`.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

from surrogate.movement.electrodes import bracelet, recorded
from surrogate.movement.environment import EMGEnvironment
from surrogate.plots import COLOURS

# %% [markdown]
# ## Gestures
#
# A gesture is a set of muscles and how much of their maximum they are excited. Each
# performance of it varies: every muscle's excitation by 30 % (standard deviation), and
# all discharges.

# %%
GESTURES = {
    "rest": {},
    "wrist flexion": {"FCR": 0.4, "FCU": 0.4},
    "wrist extension": {"ECRL": 0.35, "ECRB": 0.35, "ECU": 0.35},
    "ulnar deviation": {"FCU": 0.4, "ECU": 0.4},
    "fist": {f"{muscle}{digit}": 0.35 for muscle in ("FDS", "FDP") for digit in "2345"}
    | {"FPL": 0.3},
}
environment = EMGEnvironment("hand", seconds=1.0, seed=0)
array = environment.stream.generator.geometry
print(
    f"{len(environment.muscles)} muscles, {len(environment.recorded)} of them recorded"
)

# %% [markdown]
# One step of the environment is 62.5 ms. The EMG of the whole array comes out, in mV;
# `recorded` is what a bracelet of eight electrodes around its middle sees of it. The
# amplifier adds 10 µV of noise.

# %%
rng = np.random.default_rng(0)
ring = bracelet(8)


def perform(gesture, steps=10):
    """Return the EMG [window, sample, channel] in mV of one performance.

    The first three windows, in which the hand gets going, are left out.
    """
    excitation = np.zeros(len(environment.muscles), np.float32)
    for muscle, level in gesture.items():
        excitation[environment.muscles.index(muscle)] = np.clip(
            level * (1 + 0.3 * rng.normal()), 0, 1
        )
    environment.reset(seed=int(rng.integers(2**31)))
    windows = [
        recorded(environment.step(excitation)[0]["emg"], ring, array)
        for _ in range(steps)
    ]
    return np.stack(windows[3:]) + 1e-2 * rng.normal(
        size=(steps - 3, *windows[0].shape)
    )


trials = 4
performed = {
    name: [perform(gesture) for _ in range(trials)]
    for name, gesture in GESTURES.items()
}

# %%
figure, panels = plt.subplots(
    1, len(GESTURES), figsize=(10, 3.4), sharey=True, layout="constrained"
)
for axes, (name, emg) in zip(panels, performed.items(), strict=True):
    shown = emg[0][:4].reshape(-1, 8)
    time = np.arange(len(shown)) / array.sampling_rate
    axes.plot(time, 1e3 * shown + 200 * np.arange(8), color=COLOURS[0], linewidth=0.5)
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("time (s)")
panels[0].set_ylabel("EMG (µV), channels 200 µV apart")
plt.show()

# %% [markdown]
# ## A decoder
#
# The logarithm of the RMS of each channel in each window is what the decoder sees. The
# first half of the trials is learned from, the other half decoded, so that no window is
# judged by its neighbours. With one covariance for all gestures, the likeliest gesture
# is found by a linear rule (Fisher 1936).


# %%
def features(trial):
    """Return the logarithm of the RMS of every channel [window, channel]."""
    return np.log(np.sqrt(np.square(trial).mean(1)) + 1e-3)


def examples(chosen):
    """Return the features and the gesture of all windows of some trials."""
    rows = [features(emg[trial]) for emg in performed.values() for trial in chosen]
    gesture = np.repeat(np.arange(len(GESTURES)), len(rows[0]) * len(chosen))
    return np.concatenate(rows), gesture


seen, learned = examples(range(trials // 2))
means = np.stack([seen[learned == gesture].mean(0) for gesture in range(len(GESTURES))])
residual = seen - means[learned]
covariance = residual.T @ residual / len(residual) + 0.01 * np.eye(8)
weights = np.linalg.solve(covariance, means.T)
offset = -0.5 * (means * weights.T).sum(1)

unseen, true = examples(range(trials // 2, trials))
decoded = (unseen @ weights + offset).argmax(1)
accuracy, chance = np.mean(decoded == true), 1 / len(GESTURES)
print(f"{accuracy:.1%} of {len(true)} windows of 62.5 ms; chance is {chance:.0%}")

# %%
confusion = np.zeros((len(GESTURES), len(GESTURES)), int)
np.add.at(confusion, (true, decoded), 1)
figure, axes = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
image = axes.imshow(confusion, cmap="cividis")
axes.set_xticks(range(len(GESTURES)), list(GESTURES), rotation=35, ha="right")
axes.set_yticks(range(len(GESTURES)), list(GESTURES))
axes.set(xlabel="decoded", ylabel="performed")
for row, column in zip(*np.nonzero(confusion), strict=True):
    dark = confusion[row, column] < 0.6 * confusion.max()
    axes.text(
        column,
        row,
        confusion[row, column],
        ha="center",
        va="center",
        color="w" if dark else "k",
    )
figure.colorbar(image, label="windows")
plt.show()

# %% [markdown]
# ## Fewer electrodes
#
# What would a cheaper bracelet do? The same decoder, learned from some of the eight
# channels:

# %%
for channels in ([0, 4], [0, 2, 4, 6], list(range(8))):
    part = np.ix_(channels, channels)
    weights = np.linalg.solve(covariance[part], means[:, channels].T)
    offset = -0.5 * (means[:, channels] * weights.T).sum(1)
    right = (unseen[:, channels] @ weights + offset).argmax(1) == true
    print(f"{len(channels)} electrodes: {right.mean():.1%}")

# %% [markdown]
# `scripts/decode_gestures.py` does this with eight gestures, more trials, and
# electrodes and noise as options.
