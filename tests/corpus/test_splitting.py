"""What sounds nearly alike is never divided."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from synthproxy.corpus import splitting
from synthproxy.corpus.splitting import alike, near_pairs, split
from synthproxy.errors import InvalidInputError


@pytest.fixture(scope="module")
def sounds() -> np.ndarray:
    """Families of copies, each a little off, and loners."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(200, 96))
    rows = centres[generator.integers(0, 200, 700)] + generator.normal(scale=0.03, size=(700, 96))
    return rows.astype(np.float32)


def test_pairs_and_labels_are_those_of_scipy(sounds, monkeypatch):
    monkeypatch.setattr(splitting, "ROWS_PER_BLOCK", 97)
    monkeypatch.setattr(splitting, "PAIRS_PER_BLOCK", 50)
    for within in (0.03, 0.035, 0.5):
        distances = cdist(sounds, sounds, "cityblock") / 96
        expected = np.argwhere(np.triu(distances <= within, 1))
        found = near_pairs(sounds, within)
        assert found[np.lexsort(found.T[::-1])].tolist() == expected.tolist()
        graph = coo_array((np.ones(len(expected)), expected.T), shape=(700, 700))
        count, labels = connected_components(graph, directed=False)
        ours = alike(sounds, within)
        assert len(np.unique(ours)) == count
        assert len({*zip(labels.tolist(), ours.tolist(), strict=True)}) == count


def test_parts_divide_no_label_and_meet_their_shares(sounds):
    labels = alike(sounds, 0.05)
    parts = split(labels, (0.8, 0.1, 0.1), 3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(700))
    assert [len(part) for part in parts] == pytest.approx([560, 70, 70], abs=10)
    kinds = [set(labels[part].tolist()) for part in parts]
    assert not (kinds[0] & kinds[1])
    assert not (kinds[0] & kinds[2])
    assert not (kinds[1] & kinds[2])
    assert [p.tolist() for p in split(labels, (0.8, 0.1, 0.1), 3)] == [p.tolist() for p in parts]
    assert split(labels, (0.8, 0.1, 0.1), 4)[1].tolist() != parts[1].tolist()


@pytest.mark.parametrize("shares", [(), (0.5, 0.6), (1.0, 0.0), (0.5, 0.5, -0.1, 0.1)])
def test_shares_that_are_none(shares):
    with pytest.raises(InvalidInputError, match="shares"):
        split(np.arange(5), shares, 0)
