"""Reductions over time: what each is, for every kind of audio model, and names such as mn04_mel@8."""

import numpy as np
import pytest
import torch

from synthproxy.audio.reductions import FrameModel, reduce_frames
from synthproxy.audio.registry import describe_audio_models, get_audio_model
from synthproxy.errors import InvalidInputError

MODELS = ["mel", "mel-matched", "mel128", "mfcc40", "mstft", "mn04", "mn04-clip", "mn04_mel", "mn04_mel-clip"]
SAME = 2e-4


@pytest.fixture(scope="module")
def sounds() -> torch.Tensor:
    """Two sounds of a second that change: (2, samples), at any rate."""
    generator = np.random.default_rng(0)
    fade = np.linspace(1, 0, 40_000) ** 3
    tone = np.sin(np.arange(40_000) * 0.05) * fade
    return torch.from_numpy(0.3 * np.stack([tone, generator.standard_normal(40_000) * fade[::-1]])).float()


def model_called(name: str, request: pytest.FixtureRequest) -> FrameModel:
    weights = request.getfixturevalue("shared_folder") / "weights" if name.startswith("mn04") else None
    model = get_audio_model(name, weights=weights)
    assert isinstance(model, FrameModel)
    return model


def test_each_reduction_is_what_its_name_says():
    frames = torch.arange(24.0).reshape(1, 6, 4)
    assert reduce_frames(frames, "mean").tolist() == [[10, 11, 12, 13]]
    assert reduce_frames(frames, "max").tolist() == [[20, 21, 22, 23]]
    assert reduce_frames(frames, "flatten").tolist() == [list(range(24))]
    assert reduce_frames(frames, "channel-mean").tolist() == [[1.5, 5.5, 9.5, 13.5, 17.5, 21.5]]
    assert reduce_frames(frames, "channel-max").tolist() == [[3, 7, 11, 15, 19, 23]]
    assert reduce_frames(frames, "2").tolist() == [[4, 5, 6, 7, 16, 17, 18, 19]]
    assert reduce_frames(frames, "1").tolist() == reduce_frames(frames, "mean").tolist()
    assert reduce_frames(frames[:, :1], "2").tolist() == [[0, 1, 2, 3, 0, 1, 2, 3]]
    assert reduce_frames(frames, "log1").tolist() == reduce_frames(frames, "mean").tolist()
    assert reduce_frames(frames, "log2").tolist() == [[4, 5, 6, 7, 16, 17, 18, 19]]


def test_growing_segments_are_each_a_third_longer_and_share_frames_where_there_are_few():
    numbers = torch.arange(313.0).reshape(1, 313, 1)
    means = reduce_frames(numbers, "log16")[0].numpy()
    assert means[0] == 0  # The first is one frame of 16 ms, the last a quarter of the clip.
    assert means[-1] == pytest.approx((234 + 312) / 2)
    growth = np.diff(means[4:]) / np.diff(means[4:]).min()
    assert np.all(np.diff(growth) > 0)
    assert growth[-1] / growth[-2] == pytest.approx(4 / 3, rel=0.03)
    assert reduce_frames(numbers[:, :2], "log4").tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("name", MODELS)
def test_mean_of_frames_is_the_embedding(name, sounds, request):
    model = model_called(name, request)
    frames = model.frames(sounds)
    assert frames.shape[0] == 2
    assert frames.shape[2] == model.channels
    assert frames.shape[1] > 1
    # Frames at another pace, and change that begins a frame later, weigh the ends a little differently.
    tolerance = SAME if name in ("mel128", "mfcc40", "mn04", "mn04_mel") else 0.05 * float(frames.std())
    torch.testing.assert_close(frames.mean(dim=1), model.embed(sounds), atol=tolerance, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_segments_tell_a_sound_from_its_reverse(name, sounds, request):
    model = model_called(name, request)
    backwards = sounds.flip(1)

    def apart(embed) -> float:
        return float((embed(sounds) - embed(backwards)).abs().mean())

    assert apart(lambda x: reduce_frames(model.frames(x), "8")) > 1.3 * apart(model.embed)


def test_reduced_model_is_an_audio_model_by_name(sounds):
    model = get_audio_model("mel128@4")
    assert (model.name, model.dimension, model.sample_rate) == ("mel128@4", 512, 44_100)
    assert model.embed(sounds).shape == (2, 512)
    assert model.identity != get_audio_model("mel128").identity
    torch.testing.assert_close(model.embed(sounds)[1], model.embed(sounds[1:])[0])
    assert get_audio_model("mel128@mean").identity == get_audio_model("mel128").identity
    (info,) = describe_audio_models("mel128@4")
    assert (info.name, info.dimension) == ("mel128@4", 512)
    assert get_audio_model("mfcc40@flatten").dimension == describe_audio_models("mfcc40@flatten")[0].dimension


@pytest.mark.parametrize("name", ["mel@0", "mel@65", "mel@median", "mel@", "mel@-1", "mel@8@4"])
def test_reduction_that_does_not_exist_is_refused(name):
    with pytest.raises(InvalidInputError, match=r"no reduction is called|no audio model|has no frames"):
        get_audio_model(name)
