"""What a generator must beat: means and neighbours are what they say, components close in on their MUAPs."""

import pytest
import torch

from surrogate.data import MuapCache
from surrogate.evaluation.baselines import (
    MuapComponents,
    component_network,
    mean_muap,
    nearest_sample,
    some_of,
    turned,
    turned_back,
)
from surrogate.evaluation.measures import shape_errors
from surrogate.evaluation.scores import by_conditions, sample_errors
from surrogate.losses import relative_l2


@pytest.fixture
def training(corpus):
    samples = corpus.samples_of("train")
    angle = corpus.conditions[samples, corpus.names.index("angle")]
    return samples, corpus.muap(samples), angle


def test_some_samples_are_a_part_that_the_seed_decides(corpus):
    every = corpus.samples_of("train")
    some = some_of(corpus, "train", 8, seed=1)
    assert len(some.unique()) == 8
    assert torch.isin(some, every).all()
    assert torch.equal(some, some_of(corpus, "train", 8, seed=1))
    assert not torch.equal(some, some_of(corpus, "train", 8, seed=2))
    assert torch.equal(some_of(corpus, "train", 10_000), every)


def test_the_mean_is_nearer_to_its_muaps_than_any_other(training, corpus):
    samples, muap, _ = training
    mean = mean_muap(muap)(corpus.conditions[samples])
    squared = (mean - muap).square().sum()
    for other in (0 * mean, 1.01 * mean, muap[:1].expand_as(mean)):
        assert squared < (other - muap).square().sum()


def test_the_nearest_of_known_samples_is_itself(training, corpus, conditions):
    samples, muap, _ = training
    assert torch.equal(nearest_sample(conditions, corpus, samples)(corpus.conditions[samples]), muap)


def test_turning_columns_to_the_unit_and_back_changes_nothing(training):
    _, muap, angle = training
    assert torch.equal(turned_back(turned(muap, angle), angle), muap)
    # Of these compact units far from the axis the column at the unit is the strongest.
    size = turned(muap, angle).square().sum((1, 3))
    assert (size.argmax(1) == 0).float().mean() > 0.9


def test_more_components_leave_less_over(training):
    _, muap, angle = training
    rest = []
    for count in (1, 4, 16, len(muap)):
        components = MuapComponents.of(muap, angle, count, torch.Generator().manual_seed(0))
        again = components.synthesise(*components.analyse(muap, angle), angle)
        rest.append(float(relative_l2(again, muap).mean()))
    assert rest == sorted(rest, reverse=True)
    assert rest[-1] < 1e-4  # as many as there are MUAPs span them all, in single precision


def test_the_network_learns_its_components(training, corpus, conditions):
    samples = training[0]
    fitted = {"seconds": 1.5, "memory": 1e9, "seed": 0}
    decode, _ = component_network(conditions, corpus, samples, **fitted)
    unlearnt, _ = component_network(conditions, corpus, samples, **(fitted | {"seconds": 1e-9}))
    predictors = {
        name: by_conditions(one, corpus.conditions)
        for name, one in {"learnt": decode, "not": unlearnt, "mean": mean_muap(training[1])}.items()
    }
    errors = sample_errors(predictors, samples, MuapCache(corpus, 1e9), shape_errors)
    learnt, without, mean = (float(errors[name]["relative_l2"].mean()) for name in predictors)
    # It memorises a few tens of samples in seconds; without training it gives the mean components.
    assert learnt < 0.6 * without
    assert learnt < 0.6 * mean
