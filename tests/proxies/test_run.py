"""Runs of any network: when they validate, where they stand; parts of corpora are learned from like whole ones."""

from dataclasses import asdict

import numpy as np
import pytest

from synthproxy.corpus.parts import Split, rows_of_parts
from synthproxy.proxies.checkpoint import FORMAT, save_checkpoint
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.recipe import CorpusChoice
from synthproxy.proxies.streaming import StreamedExamples
from synthproxy.proxies.training import open_corpora
from synthproxy.proxies.zoo import make_proxy
from synthproxy.training.folder import Counters
from synthproxy.training.run import Plan
from synthproxy.training.tensors import checkpoint_form


def test_only_every_so_many_epochs_have_validations(make_recipe):
    options = {"batch_size": 10, "learning_rate": 1, "epochs": 6, "epochs_per_validation": 3}
    plan = Plan.of(make_recipe(training={**options, "validations_per_epoch": 2}), 100)
    assert [step for step in range(1, 61) if plan.validates_after(step)] == [25, 30, 55, 60]


def test_recipes_from_before_there_were_splits_are_the_same_runs(make_recipe):
    about = make_recipe().identity()
    assert set(about["corpus"]) == {"train", "validation"}
    assert not {"epochs_per_validation", "gradient_clip", "ranking"} & about["training"].keys()
    more = {"batch_size": 16, "epochs": 3, "learning_rate": 4e-3, "epochs_per_validation": 2}
    assert make_recipe(training=more).identity()["training"]["epochs_per_validation"] == 2
    assert make_recipe(training={**more, "gradient_clip": 1.0}).identity()["training"]["gradient_clip"] == 1
    assert make_recipe(training={**more, "ranking": 0.01}).identity()["training"]["ranking"] == 0.01


def test_counters_of_earlier_versions_are_read():
    early = {"step": 7, "seconds": 2.5, "loss_sum": 0.5, "loss_steps": 3}
    counters = Counters.from_dict({**early, "best_l1": 0.25, "best_mrr": None, "l1": [0.5, 0.25]})
    assert counters == Counters(**early, best={"l1": 0.25}, watched=[0.5, 0.25])
    assert Counters.from_dict(asdict(counters)) == counters


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, small_space, make_examples, store_examples):
    """Shards of hand-crafted presets, some of them silent."""
    folder = tmp_path_factory.mktemp("parts")
    return store_examples(folder / "corpus", make_examples(small_space, 1_300, 4, 1), silent=range(0, 1_300, 9))


def test_parts_are_learned_from_in_memory_and_in_blocks(corpus):
    split = Split(together="preset")
    rows = rows_of_parts(corpus, split)
    whole = Examples.from_corpus(corpus)
    expected = whole.embeddings[rows["train"][corpus.counting()]]
    in_memory, validation = open_corpora(CorpusChoice(train=corpus.path, split=split))
    streamed, other = open_corpora(CorpusChoice(train=corpus.path, split=split, block=500))
    assert isinstance(streamed, StreamedExamples)
    np.testing.assert_array_equal(in_memory.embeddings, expected)
    np.testing.assert_array_equal(validation.presets, other.presets)
    assert len(in_memory) == len(streamed) == len(expected)
    seen = []
    with streamed.batches(50, 3) as batches:
        for place in range(len(streamed) // 50):
            seen += [row.tobytes() for row in batches.batch(0, place)[1]]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= {row.tobytes() for row in expected}
    assert not {row.tobytes() for row in validation.embeddings} & {row.tobytes() for row in expected}


def test_a_checkpoint_says_what_it_is(tmp_path, small_space, make_examples):
    examples = make_examples(small_space, 4, 3, 1)
    save_checkpoint(tmp_path / "p.safetensors", make_proxy("mlp-oh", small_space, 3, width=4), examples.setting)
    assert checkpoint_form(tmp_path / "p.safetensors") == FORMAT
