"""Generators, baselines and a corpus to everything that the report says of them, stage by stage."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from numerical.corpus.sampling import sample_conductor
from numerical.report import Plot
from surrogate.data import Corpus, MuapCache
from surrogate.evaluation import pictures
from surrogate.evaluation.assembly import assembly_rate, can_assemble, numerical_assembly
from surrogate.evaluation.baselines import (
    SAMPLES,
    Decode,
    component_network,
    mean_muap,
    muaps_of,
    nearest_sample,
    some_of,
)
from surrogate.evaluation.cost import BATCH, Cost, generator_cost, rate, size
from surrogate.evaluation.features import described
from surrogate.evaluation.measures import MEASURES, MUAP, all_errors, deciles, nrmse, statistics
from surrogate.evaluation.prior import held_out_halves, largest_values, prior_scores, sampled
from surrogate.evaluation.scores import (
    Errors,
    by_conditions,
    decoded,
    expected_unit,
    morphed,
    paired,
    partners,
    sample_errors,
)
from surrogate.evaluation.sweeps import (
    PLACE,
    SolvedConductor,
    Sweep,
    compact_values,
    conductor_conditions,
    conductor_sweep,
    exact_sweep,
    placed_sweep,
    some_units,
    swept_by_source,
)
from surrogate.evaluation.two_samples import FEWEST
from surrogate.generators import Generator
from surrogate.losses import relative_l2

BaselineName = Literal["mean_muap", "nearest_sample", "principal_components", "numerical_assembly"]
BASELINES: dict[str, str] = {
    "mean_muap": "mean MUAP",
    "nearest_sample": "nearest sample",
    "principal_components": "components + MLP",
    "numerical_assembly": "numerical assembly",
}
BY_DECILE = ("nrmse", "relative_l2")
MORPH = " (morph)"


class EvaluationSettings(BaseModel):
    """How much of a corpus is scored, and what beside the errors is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(2000, ge=1, description="scored of each split, at most")
    assembled: int = Field(200, ge=1, description="of them assembled numerically, at most")
    baselines: tuple[BaselineName, ...] = Field(
        ("mean_muap", "nearest_sample", "principal_components", "numerical_assembly"),
        description="that stand in the table",
    )
    baseline_seconds: float = Field(
        180.0, gt=0, description="of processor time that the baseline's network is trained, s"
    )
    sweeps: Literal["none", "exact", "all"] = Field(
        "exact", description="of conditions: those that need no solving, or those that take minutes of it too"
    )
    sweep_units: int = Field(8, ge=1, description="motor units that are swept")
    sweep_points: int = Field(15, ge=2, description="of a sweep")
    conductor_points: int = Field(5, ge=2, description="of a sweep of a conductor, solved at each")
    prior_samples: int = Field(4000, ge=0, description="motor units the prior is compared on, none if 0")
    classifier_epochs: int = Field(20, ge=1, description="of the convolutional classifier")
    seed: int = Field(0, ge=0, description="of what is scored, drawn and trained")
    memory: float = Field(1e9, gt=0, description="of MUAPs that are held at a time, bytes")


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found: `scores`, which JSON can hold, and pictures by the name of their file.

    Scores are, with errors as parts of one and SI units: `splits`, by split, then by what is compared, then
    by measure: mean, median, percentile_95, and n; `deciles`, by split, what is compared and condition: n,
    middle and errors of each decile; `sweeps`, by condition: values, and by generator the errors along them;
    `prior`, by generator, see `prior.prior_scores`; `cost`, see `cost.Cost`; `left_out`, and why.
    """

    scores: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Plot] = field(default_factory=dict)


class Stage(NamedTuple):
    """A step of the evaluation, and what it is called."""

    title: str
    run: Callable[[], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is compared on what. Its stages, run in order, fill the findings.

    generators: by name. training: the corpus whose training split the baselines come from, if there is one.
    """

    generators: Mapping[str, Generator]
    corpus: Corpus
    splits: tuple[str, ...]
    training: Corpus | None
    settings: EvaluationSettings
    findings: Findings = field(default_factory=Findings)
    _decoders: dict[str, Callable[[Tensor], MUAP]] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the generators are."""
        return next(iter(self.generators.values())).device

    @property
    def baselines(self) -> tuple[str, ...]:
        """The baselines that can be had."""
        return tuple(
            name
            for name in self.settings.baselines
            if (can_assemble(self.corpus) if name == "numerical_assembly" else self.training is not None)
        )

    @property
    def known_ranges(self) -> tuple[str, ...]:
        """The splits on which the prior is compared: those within the ranges of the training data."""
        return tuple(split for split in self.splits if split != "held_out_corner") or self.splits

    @cached_property
    def left_out(self) -> dict[str, str]:
        """What was asked for and cannot be had, and why."""
        out = {}
        if not can_assemble(self.corpus):
            out["numerical assembly, sweeps of the source"] = "the corpus keeps no lead fields that they need"
        if self.training is None and set(self.settings.baselines) - {"numerical_assembly"}:
            out["trained baselines"] = "there is no training split; see --training-corpus"
        samples = torch.cat([self.corpus.samples_of(split) for split in self.known_ranges])
        units = min(len(self.corpus.motor_unit[samples].unique()), self.settings.prior_samples)
        if self.settings.prior_samples and units < 2 * FEWEST:
            out["prior"] = f"{units} motor units; it is compared on {2 * FEWEST} or more"
        return out

    def stages(self) -> Iterator[Stage]:
        """Yield the stages, in order."""
        scores = self.findings.scores
        scores |= {"splits": {}, "deciles": {}, "cost": {}, "sweeps": {}, "prior": {}}
        scores["left_out"] = self.left_out
        yield Stage("speed and memory", self._cost)
        for name in self.baselines:
            yield Stage(f"baseline: {BASELINES[name]}", partial(self._baseline, name))
        for split in self.splits:
            yield Stage(f"errors: {split.replace('_', ' ')}", partial(self._errors, split))
        yield from self._sweep_stages()
        if self.settings.prior_samples and "prior" not in self.left_out:
            yield Stage("prior: distributions, classifiers, coverage", self._prior)

    def _cost(self) -> None:
        for name, generator in self.generators.items():
            self._decoders[name] = expected_unit(generator)
            self.findings.scores["cost"][name] = generator_cost(generator, self.corpus)._asdict()

    def _baseline(self, name: str) -> None:
        if name == "numerical_assembly":
            sample = int(self.corpus.samples_of(self.splits[0])[0])
            cost = Cost(muaps_per_second_one_core=assembly_rate(self.corpus, sample))
        else:
            decode, sizes = self._trained_baseline(name)
            table = self.corpus.conditions[torch.arange(BATCH) % len(self.corpus)]
            cost = Cost(muaps_per_second=rate(lambda: decode(table), len(table)), **sizes)
            self._decoders[BASELINES[name]] = decode
        self.findings.scores["cost"][BASELINES[name]] = cost._asdict()

    def _trained_baseline(self, name: str) -> tuple[Decode, dict[str, Any]]:
        """Return what decodes conditions, and the size of the network that does, if there is one."""
        training, conditions = self.training, next(iter(self.generators.values())).conditions
        if training is None:
            raise ValueError(f"baseline {name}: there is no training split")
        if name == "nearest_sample":
            return nearest_sample(conditions, training, training.samples_of("train")), {}
        some = some_of(training, "train", SAMPLES, self.settings.seed)
        if name == "mean_muap":
            return mean_muap(muaps_of(training, some)), {}
        decode, network = component_network(
            conditions,
            training,
            some,
            seconds=self.settings.baseline_seconds,
            memory=self.settings.memory,
            seed=self.settings.seed,
            device=str(self.device),
        )
        return decode, size(network)

    def _errors(self, split: str) -> None:
        corpus, settings = self.corpus, self.settings
        every = some_of(corpus, split)
        samples = some_of(corpus, split, settings.samples, settings.seed)
        partner, cache = partners(corpus, every), MuapCache(corpus, settings.memory)
        measure = partial(all_errors, sampling_rate=corpus.geometry.sampling_rate)
        predictors = {
            name: by_conditions(decode, corpus.conditions) for name, decode in self._decoders.items()
        }
        for name, generator in self.generators.items():
            predictors[name + MORPH] = morphed(generator, corpus, partner, cache)
        errors = sample_errors(predictors, samples, cache, measure)
        by_decile = {name: found for name, found in errors.items() if not name.endswith(MORPH)}
        self._deciles(split, samples, by_decile)
        for name in self.generators:
            errors[name + MORPH] = paired(errors[name + MORPH], samples, partner)
        if "numerical_assembly" in self.baselines:
            fewer = samples[:: -(-len(samples) // settings.assembled)]
            name = BASELINES["numerical_assembly"]
            errors |= sample_errors({name: numerical_assembly(corpus)}, fewer, cache, measure)
        order = [n + ending for n in self.generators for ending in ("", MORPH)]
        order += [title for title in BASELINES.values() if title in errors]
        self.findings.scores["splits"][split] = {
            name: {"n": len(errors[name]["nrmse"])} | statistics(errors[name])
            for name in order
            if len(errors[name]["nrmse"])
        }

    def _deciles(self, split: str, samples: Int[Tensor, " n"], errors: Mapping[str, Errors]) -> None:
        found = {
            name: {
                condition: deciles(
                    self.corpus.conditions[samples, place], {key: of[key] for key in BY_DECILE}
                )
                for place, condition in enumerate(self.corpus.names)
            }
            for name, of in errors.items()
        }
        self.findings.scores["deciles"][split] = found
        for measure in BY_DECILE:
            name = f"deciles_{split}_{measure}.png"
            caption = f"{MEASURES[measure].title} by condition: {split.replace('_', ' ')}"
            self.findings.figures[name] = Plot(pictures.decile_figure(found, measure), caption)

    def _sweep_stages(self) -> Iterator[Stage]:
        if self.settings.sweeps == "none":
            return
        sweeps: list[Sweep] = []
        generated: dict[str, dict[str, Tensor]] = {name: {} for name in self.generators}
        keep = partial(self._keep_sweep, sweeps, generated)
        points = self.settings.sweep_points
        split = "held_out_conductors" if "held_out_conductors" in self.splits else self.splits[0]
        samples = some_units(
            self.corpus, self.corpus.samples_of(split), self.settings.sweep_units, self.settings.seed
        )
        for condition in swept_by_source(self.corpus.settings):
            yield _sweep_stage(condition, keep, partial(exact_sweep, self.corpus, samples, condition, points))
        if self.settings.sweeps == "all":
            yield from self._solved_stages(keep, self._deep_enough(samples))
        yield Stage("sweeps: picture", partial(self._draw_sweeps, sweeps, generated))

    def _deep_enough(self, samples: Int[Tensor, " unit"]) -> int:
        """Return the sample at the median depth of those that are swept: most sweeps fit around it."""
        depth = self.corpus.conditions[samples, self.corpus.names.index("depth")]
        return int(samples[depth.argsort()[len(samples) // 2]])

    def _solved_stages(self, keep: Callable[[Sweep], None], sample: int) -> Iterator[Stage]:
        corpus, points, device = self.corpus, self.settings.sweep_points, str(self.device)
        own = sample_conductor(corpus.settings, int(corpus.conductor[corpus.motor_unit[sample]]))
        values = compact_values(corpus, sample)
        # Solved when the first of these stages runs, and once.
        solved = lru_cache(partial(SolvedConductor.of, corpus.settings, own, device))
        for condition in PLACE:
            yield _sweep_stage(condition, keep, partial(_placed, corpus, solved, values, condition, points))
        several = self.settings.conductor_points
        for condition in conductor_conditions(corpus):
            yield _sweep_stage(
                condition, keep, partial(conductor_sweep, corpus, own, values, condition, several, device)
            )

    @torch.inference_mode()
    def _keep_sweep(self, sweeps: list[Sweep], generated: dict[str, dict[str, Tensor]], sweep: Sweep) -> None:
        sweeps.append(sweep)
        units, points = sweep.values.shape
        scores: dict[str, Any] = {"values": sweep.values.tolist(), "units": units, "points": points}
        for name, generator in self.generators.items():
            table = sweep.conditions.flatten(0, 1)
            latent = torch.zeros(len(table), generator.latent_size)
            muap = decoded(generator, latent, table).unflatten(0, (units, points))
            generated[name][sweep.condition] = muap
            scores[name] = {
                key: along(pictures.over_points(of, muap, sweep.muap))
                for key, of in (("nrmse", nrmse), ("relative_l2", relative_l2))
            }
        self.findings.scores["sweeps"][sweep.condition] = scores

    def _draw_sweeps(self, sweeps: list[Sweep], generated: dict[str, dict[str, Tensor]]) -> None:
        if sweeps:
            caption = "errors of every motor unit along each sweep, and amplitudes of three of them"
            self.findings.figures["sweeps.png"] = Plot(pictures.sweep_figure(sweeps, generated), caption)

    def _prior(self) -> None:
        corpus, settings = self.corpus, self.settings
        halves = held_out_halves(corpus, settings.prior_samples, settings.seed, self.known_ranges)
        amplitudes = largest_values(corpus)
        score = partial(
            prior_scores,
            halves,
            amplitudes=amplitudes,
            epochs=settings.classifier_epochs,
            seed=settings.seed,
        )
        scores = {"two halves of the corpus": score(halves.counterpart)}
        numbers = {"corpus": described(halves.real, corpus.geometry)}
        gallery = {"corpus": (halves.counterpart, halves.angle)}
        for name, generator in self.generators.items():
            muap = sampled(generator, halves, settings.seed)
            scores[name] = score(muap)
            numbers[name] = described(muap, corpus.geometry)
            gallery[name] = (muap, halves.angle)
        self.findings.scores["prior"] = scores
        if all(one.isfinite().all() for found in numbers.values() for one in found.values()):
            caption = "MUAPs sampled from the prior, and of other motor units of the corpus"
            self.findings.figures["prior_distributions.png"] = Plot(
                pictures.distribution_figure(numbers), caption
            )
        caption = (
            "MUAPs of the corpus, and sampled from the prior for the same conditions: all rows at the unit"
        )
        figure = pictures.gallery_figure(gallery, corpus.geometry.sampling_rate)
        self.findings.figures["prior_samples.png"] = Plot(figure, caption)


def _placed(
    corpus: Corpus,
    solve: Callable[[], SolvedConductor],
    values: dict[str, float],
    condition: str,
    points: int,
) -> Sweep:
    return placed_sweep(corpus, solve(), values, condition, points)


def _sweep_stage(condition: str, keep: Callable[[Sweep], None], sweep: Callable[..., Sweep]) -> Stage:
    return Stage(f"sweep: {condition.replace('_', ' ')}", lambda: keep(sweep()))


def along(errors: Float[Tensor, "unit point"]) -> dict[str, Any]:
    """Return the mean and worst error of a sweep, and the mean over units at each of its points."""
    there = errors[~errors.isnan()]
    return {
        "mean": float(there.mean()) if len(there) else None,
        "worst": float(there.max()) if len(there) else None,
        "n": len(there),
        "at_points": [None if value != value else value for value in errors.nanmean(0).tolist()],
    }
