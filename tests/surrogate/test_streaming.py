"""Streams of MUAPs: the same samples from a store and from the simulator, each once an epoch."""

import pickle
import shutil
import weakref
from itertools import chain

import numpy as np
import pytest
import torch
import zarr
from torch.utils.data import DataLoader

from numerical.anatomy.segment import LimbResolution
from numerical.corpus import CorpusSettings, prepare_store, write_conductor
from numerical.corpus.sampling import SPLITS, splits
from surrogate.data import read_corpus
from surrogate.epochs import Epoch, PairedEpoch
from surrogate.streaming import SimulatedMUAPs, StoredMUAPs
from tests.surrogate.conftest import PLAN, STORED, write_store

SAMPLE_BYTES = 4 * 4 * 8 * 48
TINY = CorpusSettings.model_validate(
    {
        "conductors": 2,
        "units": 4,
        "draws": 3,
        "motor_unit": {"number_of_fibres": {"log_uniform": [5, 30]}},
        "array": {"rows": 2, "columns": 4},
        "samples": 32,
        "resolution": LimbResolution(
            angles=40, muscle_rings=7, skin_rings=1, slice_spacing=0.005, coarsening=1.3, half_span=0.045
        ),
    }
)


def samples_of(batches):
    return list(chain.from_iterable(batch.sample.tolist() for batch in batches))


def of_split(settings, split, stored):
    unit = np.flatnonzero(splits(settings)[:stored].ravel() == SPLITS.index(split))
    return (unit[:, None] * settings.draws + np.arange(settings.draws)).ravel().tolist()


@pytest.fixture(scope="module")
def stream(corpus_path):
    return StoredMUAPs(corpus_path, "all", seed=5)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A store of 96 blocks in 12 conductors, whose MUAPs say which sample they are, one stored."""
    settings = CorpusSettings.model_validate(
        PLAN.model_dump() | {"conductors": 12, "units": 8, "draws": 16, "contents": {"lead_fields": "none"}}
    )

    def arrays(conductor):
        sample = np.arange(conductor * 128, (conductor + 1) * 128)
        return {
            "conditions": np.tile(sample[:, None], len(settings.condition_names)),
            "muap": np.broadcast_to(sample[:, None, None, None], (128, 4, 8, 48)),
        }

    path = tmp_path_factory.mktemp("large") / "corpus.zarr"
    return write_store(path, settings, (arrays(conductor) for conductor in range(12)))


@pytest.mark.parametrize("muaps", ["float32", "float16"])
def test_store_and_simulation_give_the_same_samples(tmp_path, muaps):
    settings = TINY.model_copy(update={"contents": TINY.contents.model_copy(update={"muaps": muaps})})
    prepare_store(tmp_path / "corpus.zarr", settings)
    write_conductor(tmp_path / "corpus.zarr", settings, 1)
    stored, simulated = StoredMUAPs(tmp_path / "corpus.zarr", "all"), SimulatedMUAPs(settings, "all")
    [batch] = Epoch(stored, 0)
    assert batch.sample.sort().values.tolist() == list(range(12, 24))
    for row, sample in enumerate(batch.sample.tolist()):
        for field, streamed, one in zip(batch._fields, batch, simulated[sample], strict=True):
            assert streamed.dtype == one.dtype, field
            assert torch.equal(streamed[row], one), field


def test_epochs_of_a_simulation_are_those_of_a_store(tmp_path):
    settings = TINY.model_copy(update={"conductors": 1, "draws": 4})
    prepare_store(tmp_path / "corpus.zarr", settings)
    write_conductor(tmp_path / "corpus.zarr", settings, 0)
    stored = StoredMUAPs(tmp_path / "corpus.zarr", "all", seed=1)
    simulated = SimulatedMUAPs(settings, "all", seed=1)
    assert stored.block_size == simulated.block_size  # so that their orders are the same, too
    for one, other in zip(PairedEpoch(stored, 2, 7), PairedEpoch(simulated, 2, 7), strict=True):
        for streamed, made in zip(one.samples + one.others, other.samples + other.others, strict=True):
            assert torch.equal(streamed, made)


def test_samples_are_those_of_the_corpus(stream, corpus):
    for index in (0, 17, 71):
        one = stream[index]
        assert (int(one.sample), int(one.motor_unit), int(one.conductor)) == (index, index // 2, index // 12)
        assert one.conditions.dtype == one.muap.dtype == torch.float32
        assert torch.equal(one.conditions, corpus.conditions[index])
        assert torch.equal(one.muap, corpus.muap(torch.tensor([index]))[0])
    for batch in Epoch(stream, 0, 10):
        assert torch.equal(batch.conditions, corpus.conditions[batch.sample])
        assert torch.equal(batch.muap, corpus.muap(batch.sample))
        assert torch.equal(batch.motor_unit, corpus.motor_unit[batch.sample])
        assert torch.equal(batch.conductor, corpus.conductor[batch.motor_unit])


def test_half_precision_streams_as_volts(halved_path, stream):
    halved = StoredMUAPs(halved_path, "all")
    for index in (3, 40):
        muap, exact = halved[index].muap, stream[index].muap
        assert muap.dtype == torch.float32
        # float16 rounds to half of 2^-10 of a value, and the largest that it holds is 1, the MUAP's peak.
        assert float((muap - exact).abs().max()) <= 2**-11 * float(exact.abs().max())
        assert torch.equal(muap, read_corpus(halved_path).muap(torch.tensor([index]))[0])


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("memory", [1, 20 * SAMPLE_BYTES, 1e9])
def test_an_epoch_shows_every_sample_of_its_split_once(corpus_path, split, memory):
    stream = StoredMUAPs(corpus_path, split)
    expected = of_split(PLAN, split, STORED)
    assert stream.samples == len(expected)
    batches = list(Epoch(stream, 0, 5, memory=memory))
    assert sorted(samples_of(batches)) == expected
    assert [len(batch.sample) for batch in batches[:-1]] == [5] * (len(batches) - 1)


@pytest.mark.parametrize(("ranks", "workers"), [(1, 2), (2, 1), (3, 2), (5, 3), (200, 1)])
def test_ranks_and_workers_share_every_sample_evenly(large, ranks, workers):
    stream = StoredMUAPs(large)
    seen = [
        np.concatenate([*Epoch(stream, 0, rank=rank, world_size=ranks).indices(worker, workers), []])
        for rank in range(ranks)
        for worker in range(workers)
    ]
    counts = [len(part) for part in seen]
    assert max(counts) - min(counts) <= 1
    assert np.sort(np.concatenate(seen)).tolist() == of_split(stream.settings, "train", 12)
    per_rank = [sum(counts[rank * workers : (rank + 1) * workers]) for rank in range(ranks)]
    assert max(per_rank) - min(per_rank) <= 1


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_loader_with_workers_gives_what_their_shards_hold_in_turn(large, context):
    stream = StoredMUAPs(large, seed=2)
    epoch = Epoch(stream, 1, 100)
    loaded = list(DataLoader(epoch, batch_size=None, num_workers=2, multiprocessing_context=context))
    assert sorted(samples_of(loaded)) == of_split(stream.settings, "train", 12)
    first, second = (np.concatenate(list(epoch.indices(worker, 2))) for worker in range(2))
    assert samples_of(loaded[0::2][:2]) == first[:200].tolist()
    assert samples_of(loaded[1::2][:2]) == second[:200].tolist()
    assert [len(loaded)] == [sum(epoch.batches(2))]
    for batch in loaded:
        assert torch.equal(batch.muap[:, 1, 2, 3], batch.sample.float())
        assert torch.equal(batch.conditions[:, 4], batch.sample.float())


def test_an_order_belongs_to_its_seed_and_epoch(large):
    orders = {
        (seed, number): tuple(np.concatenate(list(Epoch(StoredMUAPs(large, seed=seed), number).indices())))
        for seed in (0, 1)
        for number in (0, 1)
    }
    assert len(set(orders.values())) == 4
    again = Epoch(StoredMUAPs(large, seed=1), 1)
    assert samples_of(again) == samples_of(again) == list(orders[1, 1])


def test_batches_mix_blocks_and_conductors(large):
    batch = next(iter(Epoch(StoredMUAPs(large, "all"), 0, 256)))
    # 256 of 1536 samples in 96 blocks: a block is missed with probability (5/6)^16, about one in twenty.
    assert len((batch.sample // 16).unique()) > 80
    assert len(batch.conductor.unique()) == 12
    assert (batch.sample.diff() > 0).float().mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_where_it_stopped(large, workers):
    stream = StoredMUAPs(large)
    whole = [
        batch.sample.tolist()
        for batch in DataLoader(Epoch(stream, 4, 30, memory=2e6), batch_size=None, num_workers=workers)
    ]
    for position in (1, 8, len(whole) - 1, len(whole)):
        rest = DataLoader(Epoch(stream, 4, 30, position, memory=2e6), batch_size=None, num_workers=workers)
        assert [batch.sample.tolist() for batch in rest] == whole[position:]


class Counted:
    """A source that counts which blocks are read, and how many of them are alive."""

    def __init__(self, source):
        self.source, self.read_blocks, self.alive, self.most = source, [], 0, 0

    def __getattr__(self, name):
        return getattr(self.source, name)

    def read(self, block):
        self.read_blocks.append(block)
        samples = self.source.read(block)
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(samples.muap, self._gone)
        return samples

    def _gone(self):
        self.alive -= 1


def test_memory_is_bounded_and_blocks_are_read_once_as_they_are_needed(large):
    counted = Counted(StoredMUAPs(large, "all"))
    epoch = Epoch(counted, 0, 64, memory=24 * counted.block_bytes)
    read = [len(counted.read_blocks) for _ in epoch]
    assert sorted(counted.read_blocks) == list(range(96))
    assert 12 < counted.most <= 24
    # Batches of 64 samples are four blocks' worth; a window of twelve blocks is read before the first.
    assert np.diff([0, *read]).max() <= 12 + 4
    assert all(ahead <= 4 * (given + 1) + 12 + 1 for given, ahead in enumerate(read))


def test_going_on_reads_nothing_that_is_not_needed(large):
    counted = Counted(StoredMUAPs(large, "all"))
    epoch = Epoch(counted, 0, 64, position=22, memory=24 * counted.block_bytes)
    assert len(list(epoch)) == 2
    assert len(counted.read_blocks) == 12


@pytest.mark.parametrize("draws", [2, 3, 5, 40])
def test_pairs_are_different_draws_of_one_unit(tmp_path, draws):
    settings = CorpusSettings.model_validate(PLAN.model_dump() | {"conductors": 3, "draws": draws})

    def arrays(conductor):
        sample = np.arange(conductor * 6 * draws, (conductor + 1) * 6 * draws)
        return {
            "conditions": np.tile(sample[:, None], len(settings.condition_names)),
            "muap": np.broadcast_to(sample[:, None, None, None], (6 * draws, 4, 8, 48)),
        }

    path = write_store(tmp_path / "corpus.zarr", settings, [arrays(conductor) for conductor in range(3)])
    stream = StoredMUAPs(path, "all")
    pairs = list(PairedEpoch(stream, 0, 7, memory=1))
    for samples, others in pairs:
        assert torch.equal(samples.motor_unit, others.motor_unit)
        assert (samples.sample != others.sample).all()
        assert torch.equal(others.muap[:, 0, 0, 0], others.sample.float())
    for part in ([pair.samples for pair in pairs], [pair.others for pair in pairs]):
        assert sorted(samples_of(part)) == list(range(18 * draws))


def test_the_index_of_ten_million_samples_is_arithmetic():
    settings = CorpusSettings(conductors=9766, units=64, draws=16)
    stream = SimulatedMUAPs(settings)
    window = next(Epoch(stream, 3).indices())
    unit = splits(settings).ravel()[window // 16]
    assert (unit == SPLITS.index("train")).all()
    assert stream.samples == 16 * int((splits(settings) == 0).sum())


def test_a_stream_survives_pickling(stream):
    again = pickle.loads(pickle.dumps(stream))
    assert torch.equal(again[5].muap, stream[5].muap)


def test_what_cannot_be_is_refused_in_one_line(corpus_path, tmp_path):
    stream = StoredMUAPs(corpus_path)
    other = next(i for i in range(12 * STORED) if i not in of_split(PLAN, "train", STORED))
    single = SimulatedMUAPs(PLAN.model_copy(update={"draws": 1}))
    for make, refused in (
        (lambda: StoredMUAPs(tmp_path / "nowhere.zarr"), "no such corpus"),
        (lambda: StoredMUAPs(corpus_path, "test"), "split 'test'; allowed: train, .*, all"),
        (lambda: SimulatedMUAPs(TINY, "held_out_corner"), "split held_out_corner has no samples"),
        (lambda: stream[other], f"sample {other}: not in split train, or not stored"),
        (lambda: Epoch(stream, 0, rank=2, world_size=2), "rank 2 of 2"),
        (lambda: Epoch(stream, 0, batch_size=0), "batch_size 0"),
        (lambda: PairedEpoch(single, 0), "pairs need 2 draws"),
    ):
        with pytest.raises(ValueError, match=f"^.*{refused}[^\\n]*$"):
            make()
    with pytest.raises(IndexError, match="sample 84: the plan has 84 samples"):
        stream[84]


def test_stores_that_hold_nothing_to_stream_are_refused(corpus_path, tmp_path):
    contents = PLAN.contents.model_copy(update={"muaps": "none"})
    write_store(tmp_path / "fields.zarr", PLAN.model_copy(update={"contents": contents}), [])
    with pytest.raises(ValueError, match=r"holds no muaps, for contents\.muaps was none; [^\n]*$"):
        StoredMUAPs(tmp_path / "fields.zarr")
    with pytest.raises(ValueError, match=r"empty\.zarr: split all has no samples \(0 conductors"):
        StoredMUAPs(write_store(tmp_path / "empty.zarr", PLAN, []), "all")


def test_damage_is_named_when_it_is_met(corpus_path, tmp_path):
    broken = shutil.copytree(corpus_path, tmp_path / "broken.zarr")
    shard = broken / "muap" / "c" / "2" / "0" / "0" / "0"
    shard.write_bytes(shard.read_bytes()[:-1])
    zarr.open_group(broken, mode="r+")["conditions"][40] = np.nan
    stream = StoredMUAPs(broken, "all")
    assert stream[0].muap.any()
    with pytest.raises(ValueError, match=r"broken\.zarr: conductor 2 cannot be read \(\w+\)$"):
        stream[25]
    with pytest.raises(ValueError, match=r"broken\.zarr: conductor 3 has conditions that are not finite$"):
        stream[41]
