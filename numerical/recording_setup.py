"""Settings of everything that records at once, as a file holds them, turned into one set of electrodes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from numerical.electrodes import (
    ArraySettings,
    Electrodes,
    ListSettings,
    RectangleSettings,
    RingSettings,
    electrode_array,
    listed,
    rectangular_array,
    rings,
    together,
)
from numerical.intramuscular import (
    ConcentricNeedleSettings,
    MonopolarNeedleSettings,
    WireSettings,
    concentric_needle,
    monopolar_needle,
    wire,
)
from numerical.skin import Skin

OnSkin = ArraySettings | RectangleSettings | RingSettings | ListSettings
Intramuscular = WireSettings | ConcentricNeedleSettings | MonopolarNeedleSettings
ElectrodeSettings = Annotated[OnSkin | Intramuscular, Field(discriminator="kind")]


class RecordingSettings(BaseModel):
    """Groups of electrodes by name, each of any kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: dict[str, ElectrodeSettings] = Field(min_length=1, description="settings of every group")


def recording_electrodes(settings: RecordingSettings, skin: Skin) -> Electrodes:
    """Return the electrodes of all groups, in their order; a name is that of the group and its electrode's.

    Raises ValueError, which says in which group, as `electrodes.on_skin` and `intramuscular.inside` do.
    """
    groups = []
    for name, group in settings.groups.items():
        try:
            its = electrodes_of(group, skin)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        names = tuple(f"{name} {electrode}" for electrode in its.names)
        groups.append(Electrodes(names, its.centre, its.points, its.weight, its.area))
    return together(*groups)


def electrodes_of(settings: OnSkin | Intramuscular, skin: Skin) -> Electrodes:
    """Return the electrodes of settings of any kind; errors as in the function of their kind."""
    match settings:
        case ArraySettings():
            return electrode_array(settings, skin)
        case RectangleSettings():
            return rectangular_array(settings, skin)
        case RingSettings():
            return rings(settings, skin)
        case ListSettings():
            return listed(settings, skin)
        case WireSettings():
            return wire(settings, skin)
        case ConcentricNeedleSettings():
            return concentric_needle(settings, skin)
        case MonopolarNeedleSettings():
            return monopolar_needle(settings, skin)
