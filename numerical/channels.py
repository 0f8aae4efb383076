"""Settings of montages, one for each group of electrodes, turned into one map from electrodes to channels."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import block_diag

from numerical import montage
from numerical.electrodes import ArraySettings, RectangleSettings, RingSettings
from numerical.montage import Montage
from numerical.recording_setup import Intramuscular, OnSkin

GRIDS = (ArraySettings, RectangleSettings, RingSettings)


class Plain(BaseModel):
    """A montage that needs no more than the electrodes of its group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal[
        "monopolar", "average_reference", "single_differential", "double_differential", "laplacian"
    ] = Field("monopolar", description="the last three need a grid, and work along its rows or around each")


class Bipolar(BaseModel):
    """Electrodes of a group against each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bipolar"] = "bipolar"
    pairs: tuple[tuple[str, str], ...] = Field(min_length=1, description="names of electrodes, + before -")


class Remote(BaseModel):
    """All electrodes of a group against one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["remote_reference"] = "remote_reference"
    reference: str = Field(description="name of the electrode")


MontageSettings = Annotated[Plain | Bipolar | Remote, Field(discriminator="kind")]


def channels(
    groups: Mapping[str, OnSkin | Intramuscular],
    names: tuple[str, ...],
    montages: Mapping[str, Plain | Bipolar | Remote],
) -> Montage:
    """Return the channels of groups of electrodes, group after group; monopolar ones unless stated.

    groups: settings of the electrodes by name of the group. names: of all electrodes, as
    `recording_setup.recording_electrodes` gives them. montages: by name of the group.

    Raises ValueError for a montage of a group there is not, and, which says of which group, for one that
    its electrodes cannot have.
    """
    unknown = sorted(set(montages) - set(groups))
    if unknown:
        raise ValueError(f"montages: no group {unknown[0]!r} of electrodes; there are {', '.join(groups)}")
    electrodes: dict[str, list[str]] = {name: [] for name in groups}
    for name in names:
        group = max((group for group in groups if name.startswith(f"{group} ")), key=len)
        electrodes[group].append(name.removeprefix(f"{group} "))
    parts = []
    for name, settings in groups.items():
        try:
            parts.append(_of_group(montages.get(name, Plain()), settings, tuple(electrodes[name])))
        except ValueError as error:
            raise ValueError(f"montages: {name}: {error}") from error
    labels = (f"{name} {label}" for name, part in zip(groups, parts, strict=True) for label in part.channels)
    return Montage(tuple(labels), names, np.asarray(block_diag(*(part.matrix for part in parts))))


def _of_group(
    settings: Plain | Bipolar | Remote, group: OnSkin | Intramuscular, electrodes: tuple[str, ...]
) -> Montage:
    match settings:
        case Bipolar():
            return montage.bipolar(electrodes, settings.pairs)
        case Remote():
            return montage.remote_reference(electrodes, settings.reference)
        case Plain(kind="monopolar"):
            return montage.monopolar(electrodes)
        case Plain(kind="average_reference"):
            return montage.average_reference(electrodes)
    if not isinstance(group, GRIDS):
        raise ValueError(
            f"{settings.kind} needs a grid, a rectangle or rings of electrodes, not {group.kind}"
        )
    if isinstance(group, RingSettings):
        rows, columns = len(group.z), group.electrodes
    else:
        rows, columns = group.rows, group.columns
    match settings.kind:
        case "single_differential":
            return montage.single_differential(rows, columns)
        case "double_differential":
            return montage.double_differential(rows, columns)
        case _ if isinstance(group, RectangleSettings):
            return montage.laplacian(rows, columns)
        case _:
            return montage.laplacian_around(rows, columns)
