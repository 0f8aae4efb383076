"""A subject's limb with electrodes on it, as a recording has it or as it usually is."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import NDArray

from numerical.anatomy.limb import Limb
from numerical.anatomy.segments import SEGMENTS
from numerical.electrodes import ArraySettings, electrode_array
from numerical.fibres import muscle_regions
from numerical.skin import LimbSkin
from surrogate.movement.population import Subject, choose_muscles
from surrogate.movement.settings import SimulationSettings
from surrogate.plots.array import limb_of
from surrogate.plots.spectra import channel_name

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Body:
    """A subject's limb with electrodes, or channels where they are, on its skin.

    name: of the limb's segment. electrodes: their places [m]. side: of the body; places are those of a right
    limb, whose mirror image a left one is.
    """

    name: str
    subject: Subject
    electrodes: Float[Array, "electrode xyz"]
    electrode_names: tuple[str, ...]
    side: str = "right"

    @classmethod
    def of_recording(cls, dataset: xr.Dataset) -> Self:
        """Return the limb that was recorded."""
        places = np.column_stack([dataset[f"electrode_{axis}"].values for axis in "xyz"])
        names = tuple(channel_name(dataset, channel) for channel in range(len(places)))
        subject = SimulationSettings.model_validate_json(dataset.attrs["settings"]).subject
        return cls(limb_of(dataset), subject, places, names, dataset.attrs.get("side", "right"))

    @classmethod
    def usual(cls, name: str) -> Self:
        """Return a limb, by its segment's name, of the usual size with the usual array."""
        limb = SEGMENTS[name].limb(Subject().size(name))
        array = electrode_array(ArraySettings(centre=SEGMENTS[name].array_centre), LimbSkin(limb))
        return cls(name, Subject(), array.centre, tuple(f"channel {name}" for name in array.names))

    @cached_property
    def limb(self) -> Limb:
        """The limb."""
        return SEGMENTS[self.name].limb(self.subject.size(self.name))

    @property
    def centre(self) -> float:
        """z of the array's middle [m]."""
        return SEGMENTS[self.name].centre_in(self.limb)

    def nearest(self, muscle: str) -> int:
        """Return the electrode nearest to the middle of a muscle under the array.

        Raises ValueError as `choose_muscles` does.
        """
        regions = muscle_regions(self.limb)
        (name,) = choose_muscles([muscle], regions.names)
        (x, y), _ = regions.extent(regions.names.index(name))
        place = self.limb.place(np.hypot(x, y), np.arctan2(y, x), np.array(self.centre))
        return int(np.linalg.norm(self.electrodes - place, axis=1).argmin())
