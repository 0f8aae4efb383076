"""A small recording of two muscles, real but for its generator; and what a reader sees of a figure."""

import numpy as np
import pytest
from matplotlib.text import Text

from numerical.motor_units import PoolSettings
from surrogate.movement.electrodes import read_electrodes
from surrogate.movement.excitation import Activation
from surrogate.movement.population import Subject
from surrogate.movement.settings import SimulationSettings
from surrogate.movement.simulation import simulate
from surrogate.movement.trajectory import Trajectory

TIME = np.linspace(3.0, 4.5, 40)  # a recording need not begin at zero


def made(generator, *, electrodes=None, side="right", **levels):
    activation = Activation(
        TIME[[0, -1]], tuple(levels), np.tile(list(levels.values()), (2, 1)).astype(float)
    )
    settings = SimulationSettings(
        subject=Subject(pool=PoolSettings(motor_units=8)), frame_rate_hz=50, tolerance=0.01
    )
    angle = 0.5 * np.sin(2 * np.pi * (TIME - 3) / 1.5)
    bend = Trajectory(TIME, ("flexion",), angle[:, None], "bend")
    return simulate(
        bend, generator, activation=activation, electrodes=electrodes, settings=settings, seed=5, side=side
    ).dataset


@pytest.fixture(scope="session")
def recording(untrained):
    """A recording of FCU and ECRL, 8 motor units each, 10 x 32 channels, 1.5 s. Not to be changed."""
    return made(untrained, FCU=0.5, ECRL=0.3)


@pytest.fixture(scope="session")
def bracelet(untrained):
    """A recording of FCU of 8 motor units by two rings of 8 electrodes."""
    return made(untrained, electrodes=read_electrodes("2x8"), FCU=0.5)


@pytest.fixture(scope="session")
def silent(untrained):
    return made(untrained, FCU=0.0)


def seen_texts(figure):
    """The texts of a figure that a reader sees, with their boxes in pixels."""
    figure.draw_without_rendering()
    hidden = set()
    for axes in every_axes(figure):
        if not axes.axison:
            hidden |= {id(text) for axis in (axes.xaxis, axes.yaxis) for text in axis.findobj(Text)}
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if not low - margin <= tick.get_loc() <= high + margin:
                    hidden |= {id(tick.label1), id(tick.label2)}
    shown = [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden
    ]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def every_axes(figure):
    """The axes of a figure, those of its scales of colours and of insets too."""
    return [axes for top in figure.axes for axes in (top, *top.child_axes)]
