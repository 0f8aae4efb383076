"""Training corpora: what to sample, how to simulate it on many machines, how it lies on disk."""

from numerical.corpus.settings import CorpusSettings
from numerical.corpus.store import open_corpus, prepare_store, stored_conductors, write_conductor

__all__ = ["CorpusSettings", "open_corpus", "prepare_store", "stored_conductors", "write_conductor"]
