"""Work on all cores is that of `map`, each item on one core, and leaves torch's threads as they were."""

import pytest
import torch

from numerical.threads import on_all_cores, one_thread


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_results_come_in_order_each_from_one_core(count, two_threads):
    def work(one, other):
        return one + other, torch.get_num_threads()

    done = list(on_all_cores(work, range(count), iter(range(10, 10 + count))))
    assert done == [(2 * item + 10, 1) for item in range(count)]
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [1, 3])
def test_what_goes_wrong_is_told_and_threads_come_back(count, two_threads):
    with pytest.raises(ZeroDivisionError):
        list(on_all_cores(lambda item: 1 // item, [0] * count))
    assert torch.get_num_threads() == 2


def test_within_one_core_work_stays_on_it(two_threads):
    with one_thread():
        assert list(on_all_cores(lambda _: torch.get_num_threads(), range(3))) == [1, 1, 1]
    assert torch.get_num_threads() == 2
