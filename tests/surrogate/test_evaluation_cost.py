"""What generators cost: rates are calls by time, memory is that of the tensors that live together."""

import time

import pytest
import torch

from surrogate.evaluation.cost import generator_cost, peak_bytes, rate


def test_the_rate_is_that_of_the_work():
    def work():
        time.sleep(0.02)
        return torch.zeros(1, 1, 1, 1)

    # Sleeping takes at least as long as asked, and rarely twice as long.
    assert 250 < rate(work, count=10, repeats=3) <= 500


def test_memory_is_what_lives_at_once():
    megabyte = 250_000  # single-precision numbers

    def one_after_the_other():
        for _ in range(5):
            made = torch.zeros(megabyte)
            del made

    def together():
        return [torch.zeros(megabyte) for _ in range(5)]

    def views():
        made = torch.zeros(megabyte)
        return [made.view(500, 500), made[10:], made.view(-1)]

    assert peak_bytes(one_after_the_other) == pytest.approx(1e6)
    assert peak_bytes(together) == pytest.approx(5e6)
    assert peak_bytes(views) == pytest.approx(1e6)


def test_what_a_generator_costs(generator, corpus):
    cost = generator_cost(generator, corpus)
    numbers = sum(parameter.numel() for parameter in generator.parameters())
    assert cost.parameters == numbers
    assert cost.megabytes == pytest.approx(4e-6 * numbers)
    # A batch of 256 results of 4 x 8 x 48 alone takes 1.6 MB.
    assert cost.decode_megabytes > 256 * 4 * 8 * 48 * 4e-6
    assert cost.muaps_per_second > 0
