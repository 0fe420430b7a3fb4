"""The six published EfficientAT networks as a table: what can be said of them without torch and without weights."""

from dataclasses import dataclass
from typing import Final

TAPPED_BLOCK_CHANNELS: Final = (40, 112, 160, 160)
"""Output channels at width 1 of the blocks 5, 11, 13 and 15, whose averages make the embedding."""

N_MELS: Final = 128
SAMPLE_RATE: Final = 32_000


@dataclass(frozen=True)
class EfficientATSize:
    """One published network: its width, the file of its weights and, where known, that file's SHA-256.

    ``parameters`` counts the weights without the classifier.
    """

    name: str
    width: float
    file_name: str
    parameters: int
    sha256: str = ""

    def embedding_dimension(self, *, with_mel: bool) -> int:
        """Values per embedding, with or without the time-averaged mel bands."""
        channels = sum(scaled_channels(channels, self.width) for channels in TAPPED_BLOCK_CHANNELS)
        return channels + (N_MELS if with_mel else 0)

    def model_name(self, *, with_mel: bool, whole_clip: bool) -> str:
        """Registered name of the audio model, such as ``mn04_mel-clip``."""
        return self.name + ("_mel" if with_mel else "") + ("-clip" if whole_clip else "")


SIZES: Final = (
    EfficientATSize(
        "mn04",
        0.4,
        "mn04_as_mAP_432.pt",
        516_128,
        "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    ),
    EfficientATSize("mn05", 0.5, "mn05_as_mAP_443.pt", 785_592),
    EfficientATSize("mn10", 1.0, "mn10_as_mAP_471.pt", 2_971_664),
    EfficientATSize("mn20", 2.0, "mn20_as_mAP_478.pt", 11_641_880),
    EfficientATSize("mn30", 3.0, "mn30_as_mAP_482.pt", 25_999_120),
    EfficientATSize("mn40", 4.0, "mn40_as_mAP_484.pt", 46_062_616),
)


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of ``divisor``, at least one, and never more than 10 % below (Howard et al., MobileNetV3)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def scaled_channels(channels: int, width: float) -> int:
    """Channels of a layer that has ``channels`` at width 1."""
    return make_divisible(channels * width)
