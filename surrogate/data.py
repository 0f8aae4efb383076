"""A corpus of simulated MUAPs to what training and evaluation take: tables, batches, components."""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import xarray
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numerical.anatomy.mesh import lagrange
from numerical.corpus import CorpusSettings, open_corpus, stored_conductors
from numerical.corpus.sampling import SPLITS, splits
from numerical.electrodes import row_positions
from surrogate.generators import ArrayGeometry
from surrogate.generators.features import muscle_conductivity, turned
from surrogate.generators.mean_source import derivative_fit

EVEN_SPACING = 2e-3  # m, at which lead fields are differentiated along the limb
CONTENTS = {"muap": "muaps", "lead_field": "lead_fields"}  # what the settings call an array of the store


@dataclass(frozen=True)
class Corpus:
    """The samples of a corpus's stored conductors; MUAPs and lead fields stay in the store.

    names: the conditions, in order. conditions: [sample, condition], SI units.
    split: [sample], index into SPLITS. motor_unit: [sample], and conductor: [motor_unit], as in the store.
    store_index: [sample], place in the store.
    """

    path: Path | str
    dataset: xarray.Dataset
    settings: CorpusSettings
    geometry: ArrayGeometry
    names: tuple[str, ...]
    conditions: Float[Tensor, "sample condition"]
    split: Int[Tensor, " sample"]
    motor_unit: Int[Tensor, " sample"]
    conductor: Int[Tensor, " motor_unit"]
    store_index: Int[Tensor, " sample"]

    def __len__(self) -> int:
        return len(self.store_index)

    @property
    def provenance(self) -> dict:
        """Where the data came from: settings, seed, versions and size, for cards."""
        attributes = self.dataset.attrs
        return {
            **{k: attributes.get(k) for k in ("settings", "seed", "versions", "muscles")},
            "samples": len(self),
            "motor_units": len(self.motor_unit.unique()),
            "conductors": len(self.conductor[self.motor_unit].unique()),
        }

    def samples_of(self, split: str) -> Int[Tensor, " n"]:
        """Return the samples of a split, or of `all`."""
        if split == "all":
            return torch.arange(len(self))
        return torch.nonzero(self.split == SPLITS.index(split)).flatten()

    def require(self, *arrays: Literal["muap", "lead_field"]) -> None:
        """Raise ValueError, in one line, where the corpus was generated without one of these arrays."""
        for name in arrays:
            require_kept(self.path, self.settings, name)

    def muap(self, samples: Int[Tensor, " n"]) -> Float[Tensor, "n row column time"]:
        """Read MUAPs [V] from the store; ValueError where it keeps none."""
        self.require("muap")
        places, inverse = self.store_index[samples].unique(return_inverse=True)
        contiguous = len(places) > 0 and int(places[-1] - places[0]) == len(places) - 1
        wanted = slice(int(places[0]), int(places[-1]) + 1) if contiguous else places.numpy()
        read = torch.from_numpy(np.asarray(self.dataset["muap"].isel(sample=wanted), np.float32))
        if "muap_scale" in self.dataset:
            scale = np.asarray(self.dataset["muap_scale"].isel(sample=wanted), np.float32)
            read *= torch.from_numpy(scale)[:, None, None, None]
        return read[inverse]


def require_kept(location: str | Path, settings: CorpusSettings, array: str) -> None:
    """Raise ValueError, in one line, where a corpus of such settings keeps no array of CONTENTS."""
    contents = CONTENTS[array]
    if getattr(settings.contents, contents) == "none":
        raise ValueError(
            f"{location}: holds no {contents.replace('_', ' ')}, for contents.{contents} was none; "
            "generate a corpus that keeps them"
        )


def read_corpus(path: str | Path) -> Corpus:
    """Open a corpus for learning.

    Raises ValueError if it is missing, foreign, cut short, or without a stored conductor.
    """
    dataset = open_corpus(path)
    settings = CorpusSettings.model_validate(dataset.attrs["settings"])
    conductor = torch.arange(settings.conductors * settings.units) // settings.units
    sample_unit = torch.arange(len(conductor) * settings.draws) // settings.draws
    stored = torch.from_numpy(stored_conductors(path)[: settings.conductors])
    kept = torch.nonzero(stored[conductor[sample_unit]]).flatten()
    if len(kept) == 0:
        raise ValueError(f"{path}: no conductor of this corpus is stored yet")
    names = settings.condition_names
    conditions = torch.from_numpy(dataset["conditions"].values.astype(np.float32))
    whole = conditions[:, names.index("fibre_centre")].abs() + conditions[:, names.index("fibre_length")] / 2
    kept = kept[
        ~(whole[kept] > settings.half_span)
    ]  # MUAPs of fibres that leave the kept lead fields are cut
    unit, conditions = sample_unit[kept], conditions[kept]
    if not conditions.isfinite().all():
        name = names[int((~conditions.isfinite()).any(0).nonzero()[0])]
        raise ValueError(f"{path}: condition {name} is not finite for some samples")
    geometry = ArrayGeometry(
        row_position=tuple(round(float(z), 9) for z in row_positions(settings.array)),
        columns=settings.array.columns,
        samples=settings.samples,
        sampling_rate=settings.sampling_rate,
        limb=settings.limb,
        half_span=settings.half_span,
    )
    return Corpus(
        path=path,
        dataset=dataset,
        settings=settings,
        geometry=geometry,
        names=names,
        conditions=conditions,
        split=torch.from_numpy(splits(settings).ravel())[unit].long(),
        motor_unit=unit,
        conductor=conductor,
        store_index=kept,
    )


class MuapCache:
    """MUAPs by sample, whole conductors at a time, the least recently used dropped when full."""

    def __init__(self, corpus: Corpus, memory: float):
        """memory: bytes to hold at most (one batch's conductors are held whatever they need)."""
        self.corpus, self.memory = corpus, memory
        self.conductor = corpus.conductor[corpus.motor_unit]
        self.held: OrderedDict[int, tuple[Tensor, Tensor]] = OrderedDict()

    def take(self, samples: Int[Tensor, " n"]) -> Float[Tensor, "n row column time"]:
        """Return the MUAPs [V] of samples, in order."""
        muap = torch.empty(len(samples), *self.corpus.geometry.shape)
        conductors = self.conductor[samples]
        for conductor in conductors.unique().tolist():
            if conductor not in self.held:
                members = torch.nonzero(self.conductor == conductor).flatten()
                self.held[conductor] = (members, self.corpus.muap(members))
            self.held.move_to_end(conductor)
            members, stored = self.held[conductor]
            mine = torch.nonzero(conductors == conductor).flatten()
            muap[mine] = stored[torch.searchsorted(members, samples[mine])]
        while len(self.held) > 1 and self._bytes() > self.memory:
            self.held.popitem(last=False)
        return muap

    def _bytes(self) -> int:
        return sum(stored.nbytes for _, stored in self.held.values())


def epoch_batches(
    corpus: Corpus,
    samples: Int[Tensor, " n"],
    batch_size: int,
    memory: float,
    generator: torch.Generator,
) -> list[Int[Tensor, " batch"]]:
    """Return one epoch's batches, in random order.

    Where all MUAPs fit in memory [bytes], samples mix freely; otherwise groups of conductors that
    fit follow one another, so that each is read once.
    """
    conductor = corpus.conductor[corpus.motor_unit[samples]]
    conductors = conductor.unique()
    conductors = conductors[torch.randperm(len(conductors), generator=generator)]
    per_conductor = len(samples) / len(conductors) * 4 * int(np.prod(corpus.geometry.shape))
    group = max(1, min(len(conductors), int(memory / per_conductor)))
    batches: list[Tensor] = []
    for chosen in conductors.split(group):
        members = samples[torch.isin(conductor, chosen)]
        members = members[torch.randperm(len(members), generator=generator)]
        batches += members.split(batch_size)
    return batches


def other_draws(corpus: Corpus, samples: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return, for each of some samples, another sample of the same motor unit among them.

    Units go round: each draw is paired with the unit's next one, the last with the first, and a
    draw without company with itself.
    """
    unit = corpus.motor_unit[samples]
    order = torch.argsort(unit, stable=True)
    _, count = unit[order].unique_consecutive(return_counts=True)
    start = (count.cumsum(0) - count).repeat_interleave(count)
    size = count.repeat_interleave(count)
    following = start + (torch.arange(len(unit)) - start + 1) % size
    partner = torch.empty_like(order)
    partner[order] = order[following]
    return samples[partner]


@dataclass(frozen=True)
class LeadFieldTable:
    """Every motor unit's lead field as weights of principal components.

    basis: [component, row x column x node], orthonormal in the metric of `root`, as all norms are.
    components: [unit, component], of the lead field divided by its norm. residual: mean part of a held-out
    field's energy that the basis leaves over. log_norm: of the lead field times the muscle's conductivity.
    """

    basis: Float[Tensor, "component size"]
    components: Float[Tensor, "unit component"]
    log_norm: Float[Tensor, " unit"]
    conditions: Float[Tensor, "unit condition"]
    train: Bool[Tensor, " unit"]
    validation: Bool[Tensor, " unit"]
    residual: Float[Tensor, ""]


def lead_field_table(
    corpus: Corpus,
    nodes: Float[Tensor, " node"],
    root: Float[Tensor, "node node"],
    components: int,
    memory: float,
    generator: torch.Generator,
) -> LeadFieldTable:
    """Compute the principal components of the training units' lead fields, columns turned to the
    unit, and every unit's weights.

    nodes: B-spline nodes [m]. root: the length of a lead field phi' at an electrode is |phi' root|; with that
    of `source_metric`, it is that of the MUAPs it makes. memory: bytes for the fields that the components are
    taken from.

    Raises ValueError if the corpus keeps no lead fields, or has too few units to train on.
    """
    corpus.require("lead_field")
    units, first = _first_samples(corpus)
    conditions = corpus.conditions[first]
    split = corpus.split[first]
    train = torch.nonzero(split == SPLITS.index("train")).flatten()
    if len(train) < 2:
        raise ValueError(f"{corpus.path}: fewer than two motor units to train on")
    size = corpus.geometry.rows * corpus.geometry.columns * len(nodes)
    chosen = train[torch.randperm(len(train), generator=generator)[: int(memory / (4 * size))]]
    slot = torch.full((len(units),), -1)
    slot[chosen] = torch.arange(len(chosen))
    fields = torch.empty(len(chosen), size)
    for members, field in _lead_fields(corpus, units, conditions, nodes, root):
        wanted = slot[members] >= 0
        rows = field[wanted]
        fields[slot[members][wanted]] = rows / rows.norm(dim=1, keepdim=True)
    basis = principal_components(fields, components, generator)
    del fields
    weights = torch.empty(len(units), len(basis))
    norm = torch.empty(len(units))
    for members, field in _lead_fields(corpus, units, conditions, nodes, root):
        norm[members] = field.norm(dim=1)
        weights[members] = field @ basis.T / norm[members, None]
    validation = split == SPLITS.index("validation")
    unseen = weights[validation] if validation.any() else weights
    return LeadFieldTable(
        basis=(basis.unflatten(1, (-1, len(nodes))) @ torch.linalg.inv(root)).flatten(1),
        components=weights,
        log_norm=(norm * muscle_conductivity(conditions, corpus.names)).log(),
        conditions=conditions,
        train=split == SPLITS.index("train"),
        validation=validation,
        residual=1 - unseen.square().sum(1).mean(),
    )


def principal_components(
    fields: Float[Tensor, "unit size"], components: int, generator: torch.Generator
) -> Float[Tensor, "component size"]:
    """Return the leading right singular vectors, by subspace iteration (Halko et al. 2011)."""
    rank = min(components, *fields.shape)
    width = min(rank + 32, *fields.shape)
    sketch = torch.randn(width, len(fields), generator=generator) @ fields
    for _ in range(3):
        sketch = torch.linalg.qr(((sketch @ fields.T) @ fields).T)[0].T
    _, _, axes = torch.linalg.svd(fields @ sketch.T, full_matrices=False)
    return (axes @ sketch)[:rank].contiguous()


def slope_fit(
    position: Float[np.ndarray, " position"], nodes: Float[Tensor, " node"]
) -> Float[Tensor, "node position"]:
    """Return the matrix from a potential at uneven positions [m] to its derivative as B-spline weights.

    By way of an even grid, so that the fit weighs every stretch of the limb alike; cubics between the
    positions err less than the mesh that the potential was solved on.
    """
    reach = math.floor(min(-position[0], position[-1]) / EVEN_SPACING + 1e-9)
    even = EVEN_SPACING * np.arange(-reach, reach + 1)
    index, weight = lagrange(position, even, 3)
    interpolation = torch.zeros(len(even), len(position), dtype=torch.float64)
    interpolation.scatter_add_(1, torch.from_numpy(index), torch.from_numpy(weight))
    return (derivative_fit(torch.from_numpy(even), nodes).double() @ interpolation).float()


def _first_samples(corpus: Corpus) -> tuple[Int[Tensor, " unit"], Int[Tensor, " unit"]]:
    """Return the motor units that the corpus has samples of, and the first sample of each."""
    units, place = corpus.motor_unit.unique(return_inverse=True)
    first = torch.full((len(units),), len(place)).scatter_reduce(0, place, torch.arange(len(place)), "amin")
    return units, first


def _lead_fields(
    corpus: Corpus, units: Tensor, conditions: Tensor, nodes: Tensor, root: Tensor
) -> Iterator[tuple[Int[Tensor, " unit"], Float[Tensor, "unit size"]]]:
    """Yield, conductor by conductor, phi' root, columns turned to the unit, phi' as B-spline weights."""
    fit = root @ slope_fit(corpus.dataset["position"].values, nodes)
    angle = conditions[:, corpus.names.index("angle")]
    conductor = corpus.conductor[units]
    for one in conductor.unique():
        members = torch.nonzero(conductor == one).flatten()
        mean = corpus.dataset["lead_field"].isel(motor_unit=units[members].numpy(), component=0)
        field = torch.from_numpy(np.asarray(mean, np.float32)) @ fit.T
        yield members, rearrange(turned(field, angle[members]), "u r c n -> u (r c n)")
