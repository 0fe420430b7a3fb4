"""The Dexed (DX7) engine, played natively through ``dexed-py``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from dexed._dexed import DexedSynth as _Engine
from numpy.typing import ArrayLike, NDArray

from synthproxy.synths import dx7_scaling
from synthproxy.synths.base import NamedPreset, Note
from synthproxy.synths.definition import definition_path, read_definition
from synthproxy.synths.dx7_algorithms import ALGORITHMS, OPERATORS, change, wiring
from synthproxy.synths.dx7_canonical import canonical
from synthproxy.synths.dx7_loudness import rms_bound
from synthproxy.synths.dx7_parts import part_in_words
from synthproxy.synths.dx7_voice import MAXIMA, PARAMETERS, Voice, read_voices, unpack_parameters, write_voices
from synthproxy.synths.packed_voices import read_packed_voices
from synthproxy.synths.space import Floats, Kind, PresetSpace

PLUGIN_LEVEL = 0.132
"""Output level of the Dexed plug-in, as a factor of the engine's."""

_OPERATOR_FIELDS = (
    *(f"eg_rate_{i}" for i in range(1, 5)),
    *(f"eg_level_{i}" for i in range(1, 5)),
    *("break_point", "left_depth", "right_depth", "left_curve", "right_curve", "rate_scaling"),
    *("amp_mod_sensitivity", "velocity_sensitivity", "output_level", "mode", "f_coarse", "f_fine", "detune"),
)
VOICE_ORDER = (
    *(f"op{op}_{field}" for op in range(6, 0, -1) for field in _OPERATOR_FIELDS),
    *(f"pitch_eg_rate_{i}" for i in range(1, 5)),
    *(f"pitch_eg_level_{i}" for i in range(1, 5)),
    *("algorithm", "feedback", "osc_key_sync", "lfo_speed", "lfo_delay", "lfo_pitch_mod_depth", "lfo_amp_mod_depth"),
    *("lfo_key_sync", "lfo_wave", "pitch_mod_sensitivity", "transpose"),
)
"""Parameter names in the order of an unpacked voice."""


class Dexed:
    """A DX7 as Dexed plays it. Repeats to the bit.

    Args:
        name: which preset space: ``dexed`` (all that is heard of one note) or ``dexed-paper`` (the published one).
        gain: output level as a factor of the plug-in's.
        folds: when voices are read for a note, fold what its key and velocity do to held levels and rates into the free
            ones, so that the preset sounds like the voice; otherwise held parameters fall back to their defaults.
    """

    suffix = ".syx"
    starts_at_once: Literal[True] = True

    def __init__(self, name: str = "dexed", *, gain: float = 1.0, folds: bool = True) -> None:
        self._set_up(name, read_definition(definition_path(name)).space, gain, folds)

    def _set_up(self, name: str, space: PresetSpace, gain: float, folds: bool) -> None:
        self.name, self.space, self.gain, self.folds = name, space, gain, folds
        position = {p.name: i for i, p in enumerate(space.parameters)}
        self._order = np.asarray([position[n] for n in VOICE_ORDER])
        is_category = np.asarray([space.parameters[i].kind is Kind.CATEGORICAL for i in self._order])
        self._scale = np.where(is_category, 1, MAXIMA).astype(np.float64)
        self._engines = threading.local()
        self._rewiring = _rewiring(space)

    def with_space(self, space: PresetSpace) -> Dexed:
        """The same synth with other parameters held."""
        other = Dexed.__new__(Dexed)
        other._set_up(self.name, space, self.gain, self.folds)
        return other

    # Presets and voices

    def parts(self, preset: ArrayLike) -> list[str]:
        """What each free parameter does, in words; see :class:`~synthproxy.synths.base.NamesParts`."""
        values = dict(zip((p.name for p in self.space.parameters), self.space.decode(preset).tolist(), strict=True))
        carriers = dict(enumerate(wiring().heard[round(values["algorithm"])].tolist(), 1))
        return [part_in_words(p.name, values, carriers) for p in self.space.free]

    def voices(self, presets: ArrayLike) -> NDArray[np.uint8]:
        """Parameter bytes of preset vectors: (n, free) to (n, 145)."""
        values = self.space.decode(presets)[..., self._order]
        return np.clip(np.rint(values * self._scale), 0, MAXIMA).astype(np.uint8)

    def presets(self, voices: ArrayLike, note: Note | None = None) -> Floats:
        """Preset vectors of parameter bytes, (n, 145) to (n, free), snapped to intervals and grids.

        Args:
            note: the note that the presets are to sound alike for, where the synth folds; None never folds.
        """
        parameters = np.asarray(voices)
        if self.folds and note is not None:
            parameters = self._fold(parameters, note)
        everything = np.empty((*parameters.shape[:-1], PARAMETERS))
        everything[..., self._order] = parameters / self._scale
        return self.space.snap(self.space.encode(everything))

    def _fold(self, voices: ArrayLike, note: Note) -> NDArray[np.int64]:
        """Voices whose scaling by key and velocity is zero and that sound alike when this note is played."""
        folded = np.asarray(voices, dtype=np.int64).copy()
        operators = folded[..., :126].reshape(*folded.shape[:-1], 6, 21)
        pitch = dx7_scaling.sounding_pitch(note.pitch, folded[..., 144, None])
        level = dx7_scaling.output_level(operators, pitch, note.velocity)
        operators[..., 16] = dx7_scaling.level_of((level + 16) >> 5)
        faster = dx7_scaling.rate_offset(pitch, operators[..., 13])[..., None]
        quick = np.minimum((operators[..., 0:4] * 41 >> 6) + faster, 63)
        # The smallest rate that is as quick; unscaled rates stay as they are.
        operators[..., 0:4] = np.where(faster > 0, -(-quick * 64 // 41), operators[..., 0:4])
        operators[..., [9, 10, 13, 15]] = 0
        folded[..., :126] = operators.reshape(*folded.shape[:-1], 126)
        return folded

    def read_presets(self, path: Path, note: Note | None = None, *, ignore_checksum: bool = False) -> list[NamedPreset]:
        """Presets of a ``.syx`` file, or of an ``.npz`` with packed voices (``packed``, (n, 128), and ``source``)."""
        if path.suffix == ".npz":
            return self._read_packed(path, note)
        found = read_voices(path, ignore_checksum=ignore_checksum)
        vectors = self.presets(np.stack([v.parameters for v in found]), note)
        return [NamedPreset(x, v.name, v.origin) for x, v in zip(vectors, found, strict=True)]

    def _read_packed(self, path: Path, note: Note | None) -> list[NamedPreset]:
        packed, sources = read_packed_voices(path)
        vectors = self.presets(unpack_parameters(packed), note)
        names = (Voice(row.tobytes()).name for row in packed)
        return [
            NamedPreset(x, name, f"{source}:{i}")
            for i, (x, name, source) in enumerate(zip(vectors, names, sources, strict=True))
        ]

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        """Write one voice, or banks of 32, as ``.syx``."""
        voices = [Voice.from_parameters(self.voices(p.vector), p.name) for p in presets]
        write_voices(path, voices)

    # Sound

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float32]:
        """Play one note; see :meth:`Synth.render <synthproxy.synths.base.Synth.render>`."""
        engine = self._engine(sample_rate)
        engine.load_sysex(self.voices(preset).tobytes() + _UNNAMED)
        # In whole samples: of half a sample the engine makes another number than round() does.
        whole = round(seconds * sample_rate) / sample_rate
        audio = engine.render(note.pitch, note.velocity, note.duration, whole)
        audio *= np.float32(PLUGIN_LEVEL * self.gain)
        return np.asarray(audio)

    def rewired(self, preset: Floats, generator: np.random.Generator) -> Floats:
        """The preset, (free,), with another algorithm, drawn rather from those that are like its own."""
        if self._rewiring is None:
            return preset
        algorithm, operators = self._rewiring
        now = int(preset[algorithm])
        others = [change(now, other) for other in range(ALGORITHMS)]
        likely = np.exp([-_LIKENESS * other.connections for other in others])
        likely[now] = 0.0
        new = int(generator.choice(len(others), p=likely / likely.sum()))
        order = generator.choice(others[new].orders)
        moved = preset.copy()
        moved[operators] = preset[operators[order]]
        moved[algorithm] = new
        return moved

    def canonical(self, presets: Floats) -> Floats:
        """One preset of those that sound like each; the same one where the space cannot say that, by what it holds."""
        wanted = canonical(self.voices(presets))
        found = self.presets(wanted)
        said = (canonical(self.voices(found)) == wanted).all(axis=1, keepdims=True)
        return np.where(said, found, presets)

    def _engine(self, sample_rate: int) -> Any:
        """This thread's engine: loading and playing are two calls, so threads must not share one."""
        engines: dict[int, Any] = self._engines.__dict__.setdefault("by_rate", {})
        if sample_rate not in engines:
            engines[sample_rate] = _Engine(sample_rate, 0)
        return engines[sample_rate]

    def loudness_bound(self, presets: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float64]:
        """Upper bound of the RMS of each rendered clip, (n,)."""
        bound = rms_bound(self.voices(presets), note.pitch, note.velocity, note.duration, seconds, sample_rate)
        return bound * PLUGIN_LEVEL * self.gain


def _rewiring(space: PresetSpace) -> tuple[int, NDArray[np.int64]] | None:
    """Columns of the algorithm and of each operator, (6, parameters), where all of an operator can go elsewhere."""
    column = {p.name: i for i, p in enumerate(space.free)}
    names = [[n for n in column if n.startswith(f"op{k + 1}_")] for k in range(OPERATORS)]
    if "algorithm" not in column or len({tuple(n[len("op1_") :] for n in own) for own in names}) > 1:
        return None
    return column["algorithm"], np.asarray([[column[n] for n in own] for own in names])


_LIKENESS = 0.7
"""How much less likely an algorithm is for each connection that is other: by a factor of e^0.7."""

_UNNAMED = b" " * 10 + b"\x3f"
"""Name, and all six operators switched on: what the engine wants after the parameters."""
