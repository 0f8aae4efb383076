"""A corpus turned into what its card tells: counts, ranges, sizes and cost, and a few samples of it.

However large the corpus, no more is read of it than the tables of a few conductors, a few MUAPs, and
what every conductor recorded of itself.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray
import zarr
from jaxtyping import Bool
from numpy.typing import NDArray

from numerical.conditions import CONDITIONS
from numerical.corpus.distributions import Distribution
from numerical.corpus.layout import FORMAT_VERSION
from numerical.corpus.sampling import SPLITS
from numerical.corpus.settings import CorpusSettings
from numerical.corpus.store import (
    Location,
    address,
    failures,
    open_corpus,
    stored_conductors,
    stored_settings,
)

MOST_CONDUCTORS, MOST_SAMPLES = 64, 2**16  # that are looked at; more where one conductor alone holds more
MOST_EXAMPLES = 8

# What is drawn relative to the muscle, though a corpus keeps it in metres.
RELATIVE = {
    "fibre_centre": "m from the muscle's",
    "end_plate_spread": "of the muscle's fibre length",
    "fibre_end_spread": "of the muscle's fibre length",
    "fibre_length": "of the muscle's fibre length",
}


@dataclass(frozen=True)
class StoredArray:
    """An array of the store, with its bytes on disk."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    unit: str
    description: str
    bytes: int


@dataclass(frozen=True, eq=False)
class Example:
    """A motor unit to show: a MUAP [V] over time [s] or, where none is kept, a lead field [V/A] over z [m].

    values: [row, column, along]. conditions: of the sample by name.
    """

    muscle: str
    conditions: dict[str, float]
    values: NDArray[np.float64]
    along: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Facts:
    """What a card tells of a corpus.

    file: the store's name without its folder. stored: which conductors are there.
    failures: why others are not, by conductor. split_units: stored motor units by split.
    looked_at: conductors whose samples were read; samples: a row each, with every condition, `split`,
    `muscle`, `motor_unit` and `conductor`. seconds: of one core for each conductor looked at.
    digest: SHA-256 of all stored conductors' checksums, unsigned 64-bit little-endian, in their order.
    """

    file: str
    settings: CorpusSettings
    versions: dict[str, str]
    arrays: tuple[StoredArray, ...]
    stored: Bool[NDArray[np.bool_], " conductor"]
    failures: dict[int, str]
    split_units: dict[str, int]
    looked_at: tuple[int, ...]
    samples: pd.DataFrame
    seconds: float
    digest: str
    examples: tuple[Example, ...]

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return self.file.removesuffix(".zarr")

    @property
    def conductors(self) -> int:
        """Number of stored conductors."""
        return int(self.stored.sum())

    @property
    def whole(self) -> bool:
        """Whether all conductors of the plan are stored."""
        return bool(self.stored.all())

    @property
    def sample_count(self) -> int:
        """Number of stored samples."""
        return self.conductors * self.settings.units * self.settings.draws

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(array.bytes for array in self.arrays)

    @property
    def version(self) -> str:
        """Version of the data: its format's, then one that grows as conductors are added."""
        return f"{FORMAT_VERSION}.{self.conductors}.0"

    def once(self, level: str) -> pd.DataFrame:
        """Return the samples looked at, once for each `sample`, `motor_unit` or `conductor`.

        A conductor that is trained on counts as such, though some of its units are held out.
        """
        if level == "sample":
            return self.samples
        held_out_last = self.samples["split"].eq("held_out_units").sort_values(kind="stable").index
        return self.samples.loc[held_out_last].drop_duplicates(level)


def facts(location: Location) -> Facts:
    """Return what the card of a corpus tells; ValueError where there is no corpus that can be opened."""
    dataset = open_corpus(location)
    group = zarr.open_group(address(location), mode="r")
    settings, stored = stored_settings(group, location), stored_conductors(location)
    units = dataset["split"].values.reshape(settings.conductors, -1)[stored].ravel()
    looked_at = _evenly(np.flatnonzero(stored), settings)
    samples = _samples(dataset, settings, looked_at)
    return Facts(
        file=str(location).replace("\\", "/").rstrip("/").split("/")[-1],
        settings=settings,
        versions=dict(dataset.attrs["versions"]),
        arrays=tuple(_described(array) for _, array in sorted(group.arrays())),
        stored=stored,
        failures={c: why for c, why in failures(location).items() if why and not stored[c]},
        split_units={name: int((units == index).sum()) for index, name in enumerate(SPLITS)},
        looked_at=looked_at,
        samples=samples,
        seconds=float(np.mean([dataset["seconds"][c].item() for c in looked_at])) if looked_at else 0.0,
        digest=hashlib.sha256(dataset["checksum"].values[stored].astype("<u8").tobytes()).hexdigest(),
        examples=tuple(_example(dataset, samples, sample) for sample in _typical(samples)),
    )


def distribution(settings: CorpusSettings, name: str) -> Distribution | None:
    """Return how a plan draws a condition, None for one that follows from others."""
    for part in (settings.conductor, settings.motor_unit, settings.draw):
        if name in type(part).model_fields:
            return getattr(part, name)
    return None


def mean(values: pd.Series) -> float:
    """Return the mean of a condition, for an angle around the limb that of its directions."""
    if values.name != "angle":
        return float(values.mean())
    return float(np.angle(np.exp(1j * values).mean()) % (2 * np.pi))


def varying(found: Facts) -> list[str]:
    """Return the conditions that have more than one value among the samples looked at."""
    names = list(found.settings.condition_names)
    return [name for name in names if len(found.samples) and found.samples[name].nunique() > 1]


def _evenly(stored: NDArray[np.int64], settings: CorpusSettings) -> tuple[int, ...]:
    """Return conductors evenly chosen among those stored."""
    each = settings.units * settings.draws
    count = min(len(stored), MOST_CONDUCTORS, max(1, MOST_SAMPLES // each))
    return tuple(stored[np.linspace(0, len(stored) - 1, count).round().astype(int)].tolist())


def _samples(dataset: xarray.Dataset, settings: CorpusSettings, conductors: tuple[int, ...]) -> pd.DataFrame:
    """Return the table of the samples of some conductors."""
    names, units, draws = list(settings.condition_names), settings.units, settings.draws
    parts = []
    for conductor in conductors:
        of_units = slice(conductor * units, (conductor + 1) * units)
        of_samples = slice(of_units.start * draws, of_units.stop * draws)
        part = pd.DataFrame(dataset["conditions"][of_samples].values, columns=names)
        part.index = pd.RangeIndex(of_samples.start, of_samples.stop, name="sample")
        part["conductor"] = conductor
        part["motor_unit"] = np.repeat(np.arange(of_units.start, of_units.stop), draws)
        for name, words in (("split", SPLITS), ("muscle", settings.muscles)):
            part[name] = np.repeat(np.array(words)[dataset[name][of_units].values], draws)
        parts.append(part)
    columns = [*names, "conductor", "motor_unit", "split", "muscle"]
    return pd.concat(parts) if parts else pd.DataFrame(columns=columns)


def _typical(samples: pd.DataFrame) -> list[int]:
    """Return a sample of the unit of median depth of each of a few muscles."""
    muscles = sorted(samples["muscle"].unique())
    count = min(MOST_EXAMPLES, len(muscles))
    chosen = [muscles[i] for i in np.linspace(0, len(muscles) - 1, count).round().astype(int)]
    by_depth = [samples[samples["muscle"] == muscle].sort_values("depth", kind="stable") for muscle in chosen]
    return [int(table.index[len(table) // 2]) for table in by_depth]


def _example(dataset: xarray.Dataset, samples: pd.DataFrame, sample: int) -> Example:
    [row] = samples.loc[[sample]].to_dict("records")
    conditions = {name: float(row[name]) for name in CONDITIONS if name in row}
    if "muap" in dataset:
        along, values = dataset["time"], dataset["muap"][sample].astype(float)
    else:
        along, values = dataset["position"], dataset["lead_field"][row["motor_unit"], 0].astype(float)
    if "muap_scale" in dataset:
        values = values * dataset["muap_scale"][sample]
    return Example(row["muscle"], conditions, values.values, along.values)


def _described(array: zarr.Array) -> StoredArray:
    dtype = str(array.dtype)
    return StoredArray(
        array.basename,
        tuple(str(dim) for dim in array.metadata.dimension_names or ()),  # type: ignore[union-attr]
        array.shape,
        "text" if dtype.startswith("StringDType") else dtype,
        str(array.attrs.get("units", "")),
        str(array.attrs.get("description", "")),
        array.nbytes_stored(),
    )
