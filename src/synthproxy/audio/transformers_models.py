"""Audio models whose networks the package ``transformers`` builds: CLAP, DAC, EnCodec, MERT and HuBERT.

Here is what can be said of them without that package, and how their weight files are read. A weight file is the one of
its repository on the Hugging Face Hub, kept in a folder of the repository's name; it is read as data, strictly, and
nothing else of the repository is looked at: configurations are in the table, no code is run. How each family hears is
told in :mod:`~synthproxy.audio.clap`, :mod:`~synthproxy.audio.neural_codecs` and :mod:`~synthproxy.audio.hubert`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from synthproxy.audio.published import (
    Hearing,
    PublishedFrames,
    PublishedModel,
    WeightFile,
    check_fit,
    read_weight_file,
    require_package,
)
from synthproxy.errors import InvalidInputError, UnavailableError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["MODELS", "TransformersModel", "build"]

HUB: Final = "https://huggingface.co"
FILE_NAMES: Final = ("model.safetensors", "pytorch_model.bin")
REVISION: Final = 1
"""Part of every identity; raise it when a change here or in a family's module moves frames by more than rounding."""

OLD_WEIGHT_NORM: Final = {
    ".weight_g": ".parametrizations.weight.original0",
    ".weight_v": ".parametrizations.weight.original1",
}
"""Names that PyTorch gave to normalised weights before version 2, and those it gives now."""


@dataclass(frozen=True, kw_only=True)
class TransformersModel(PublishedModel):
    """A network on the Hugging Face Hub, of a family and with the configuration from which it is built.

    ``file_name`` holds the name of the repository, which is that of the folder, and the published file in it.
    """

    family: Literal["clap", "dac", "encodec", "hubert"]
    configuration: Mapping[str, object] = field(default_factory=dict, hash=False)
    reduction: str = "mean"
    package: str = "transformers"

    @property
    def folder(self) -> str:
        """Name of the folder that holds the weight file."""
        return self.file_name.split("/")[0]

    @property
    def file_names(self) -> tuple[str, ...]:
        """Paths that its weight file may have within a folder of weights: in either of the Hub's formats."""
        return tuple(f"{self.folder}/{name}" for name in FILE_NAMES)


HTSAT_BASE: Final = {
    "patch_embeds_hidden_size": 128,
    "hidden_size": 1024,
    "depths": (2, 2, 12, 2),
    "num_attention_heads": (4, 8, 16, 32),
}
MERT_LARGE: Final = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "do_stable_layer_norm": True,
}
ENCODEC_STEREO: Final = {
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "normalize": True,
    "norm_type": "time_group_norm",
    "use_causal_conv": False,
}

LAION_LICENCE: Final = "Apache-2.0 (LAION-CLAP, Wu et al.)"
ENCODEC_LICENCE: Final = "MIT (EnCodec, Défossez et al.; not said of the weights)"
MERT_LICENCE: Final = "CC-BY-NC-4.0, not for commercial use (MERT, Li et al.)"

MODELS: Final = (
    TransformersModel(
        name="clap-ms",
        family="clap",
        file_name="larger_clap_music_and_speech/pytorch_model.bin",
        url=f"{HUB}/laion/larger_clap_music_and_speech/resolve/main/pytorch_model.bin",
        sample_rate=48_000,
        channels=512,
        frames=1,
        parameters=68_611_864,
        licence=LAION_LICENCE,
        configuration=HTSAT_BASE,
    ),
    TransformersModel(
        name="clap-msa",
        family="clap",
        file_name="larger_clap_general/pytorch_model.bin",
        url=f"{HUB}/laion/larger_clap_general/resolve/main/pytorch_model.bin",
        sample_rate=48_000,
        channels=512,
        frames=1,
        parameters=68_611_864,
        licence=LAION_LICENCE,
        configuration=HTSAT_BASE,
    ),
    TransformersModel(
        name="dac",
        family="dac",
        file_name="dac_44khz/model.safetensors",
        url=f"{HUB}/descript/dac_44khz/resolve/main/model.safetensors",
        sample_rate=44_100,
        channels=72,
        frames=431,
        parameters=22_529_672,
        licence="MIT (Descript Audio Codec, Kumar et al.)",
        configuration={"sampling_rate": 44_100},
    ),
    TransformersModel(
        name="encodec24",
        family="encodec",
        file_name="encodec_24khz/model.safetensors",
        url=f"{HUB}/facebook/encodec_24khz/resolve/main/model.safetensors",
        sample_rate=24_000,
        channels=128,
        frames=375,
        parameters=7_425_792,
        licence=ENCODEC_LICENCE,
    ),
    TransformersModel(
        name="encodec48",
        family="encodec",
        file_name="encodec_48khz/model.safetensors",
        url=f"{HUB}/facebook/encodec_48khz/resolve/main/model.safetensors",
        sample_rate=48_000,
        channels=128,
        frames=750,
        parameters=7_428_336,
        licence=ENCODEC_LICENCE,
        configuration=ENCODEC_STEREO,
    ),
    TransformersModel(
        name="mert95",
        family="hubert",
        file_name="MERT-v1-95M/pytorch_model.bin",
        url=f"{HUB}/m-a-p/MERT-v1-95M/resolve/main/pytorch_model.bin",
        sample_rate=24_000,
        channels=768,
        frames=374,
        parameters=94_370_944,
        licence=MERT_LICENCE,
        sha256="a2b8b747f72c06e0595aeae41ae5473f4364938c6b39b2c58be38c48e6bd3fcd",
    ),
    TransformersModel(
        name="mert330",
        family="hubert",
        file_name="MERT-v1-330M/pytorch_model.bin",
        url=f"{HUB}/m-a-p/MERT-v1-330M/resolve/main/pytorch_model.bin",
        sample_rate=24_000,
        channels=1024,
        frames=374,
        parameters=315_427_968,
        licence=MERT_LICENCE,
        configuration=MERT_LARGE,
    ),
    TransformersModel(
        name="hubert",
        family="hubert",
        file_name="hubert-base-ls960/pytorch_model.bin",
        url=f"{HUB}/facebook/hubert-base-ls960/resolve/main/pytorch_model.bin",
        sample_rate=16_000,
        channels=768,
        frames=249,
        parameters=94_370_944,
        licence="Apache-2.0 (HuBERT, Hsu et al.)",
    ),
)


def build(model: TransformersModel, path: Path) -> PublishedFrames:
    """Build a model from its weight file.

    Args:
        model: a row of the table.
        path: the weight file, the folder of its repository, or a folder of such folders.

    Raises:
        UnavailableError: transformers is not installed, or too old.
        InvalidInputError: the file is missing, damaged or of another network.
    """
    require_package(model)
    if path.is_dir():
        candidates = [path / name for name in (*FILE_NAMES, *model.file_names)]
        path = next((file for file in candidates if file.is_file()), path / model.file_name)
    if not path.is_file():
        raise InvalidInputError(f"no weights at {path}: give the path of {model.file_name} or of its folder")
    hearing = _hearing(model)
    file = _read(_as_in(path, model), path, {name for name, _ in hearing.network.named_children()})
    _fill(hearing.network, model, file)
    return PublishedFrames(model, file.digest, hearing.hear, shortest=hearing.shortest, revision=REVISION)


def _as_in(path: Path, model: TransformersModel) -> TransformersModel:
    """The row of a model whose weights lie in another file than the published one, of which the digest is known."""
    file_name = f"{model.folder}/{path.name}"
    return model if file_name == model.file_name else replace(model, file_name=file_name, sha256="")


def _hearing(model: TransformersModel) -> Hearing:
    import torch

    try:
        match model.family:
            case "clap":
                from synthproxy.audio.clap import clap as family
            case "dac":
                from synthproxy.audio.neural_codecs import dac as family
            case "encodec":
                from synthproxy.audio.neural_codecs import encodec as family
            case "hubert":
                from synthproxy.audio.hubert import hubert as family
    except ImportError as error:
        raise UnavailableError(
            f"{model.name} cannot use the transformers that is installed ({error}): "
            "pip install --upgrade 'synthproxy[transformers]'"
        ) from error
    # A new network draws weights, which the file then replaces; the caller's random numbers do not notice.
    with torch.random.fork_rng(devices=[]):
        return family(model.configuration)


def _read(model: TransformersModel, path: Path, parts: Set[str]) -> WeightFile:
    """What a file holds of the named parts of a network; a text tower, a decoder, a head are left where they are.

    Whole numbers, such as the positions of an attention table, are left out: they follow from the configuration.
    """
    file = _read_safetensors(model, path, parts) if path.suffix == ".safetensors" else read_weight_file(model, path)
    tensors = {
        name: tensor for name, tensor in file.tensors.items() if _part(name) in parts and tensor.is_floating_point()
    }
    return replace(file, tensors=tensors)


def _read_safetensors(model: TransformersModel, path: Path, parts: Set[str]) -> WeightFile:
    from safetensors import safe_open

    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        with safe_open(path, "pt") as content:
            names = [name for name in content.offset_keys() if _part(name) in parts]
            # Copies: what safetensors gives is a view of the file, which can change or end under it.
            tensors = {name: _copied(content.get_tensor(name)) for name in names}
    except OSError as error:
        raise InvalidInputError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged file ends in one of several types
        raise InvalidInputError(
            f"{path} is damaged or not a safetensors file ({type(error).__name__}): delete it and fetch it again"
        ) from error
    if model.sha256 and digest != model.sha256:
        raise InvalidInputError(
            f"{path} is not the published {model.file_name}: its SHA-256 is {digest[:16]}…, not "
            f"{model.sha256[:16]}…; delete it and fetch it again"
        )
    return WeightFile(path, digest, tensors)


def _copied(tensor: Tensor) -> Tensor:
    return tensor.float().clone() if tensor.is_floating_point() else tensor.clone()


def _part(name: str) -> str:
    return name.split(".", 1)[0]


def _fill(network: nn.Module, model: TransformersModel, file: WeightFile) -> None:
    """Make the tensors of a file the frozen weights of a network, and multiply weight normalisation out.

    Raises:
        InvalidInputError: the tensors are those of another network, or are not all numbers.
    """
    from torch.nn.utils import parametrize

    given = {_present_name(name): tensor for name, tensor in file.tensors.items()}
    check_fit(model, file.path, _floating_point(network), given)
    network.load_state_dict(given, strict=False, assign=True)
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    for name, tensor in _floating_point(network).items():
        if not tensor.isfinite().all():
            raise InvalidInputError(f"{file.path} is damaged, {name} holds values that are not numbers: fetch it again")
    network.eval().requires_grad_(False)


def _floating_point(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


def _present_name(name: str) -> str:
    for old, present in OLD_WEIGHT_NORM.items():
        if name.endswith(old):
            return name.removesuffix(old) + present
    return name
