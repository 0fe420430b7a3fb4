"""Vital, played natively through the package ``vita``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.synths.base import NamedPreset, Note
from synthproxy.synths.definition import definition_path, read_definition
from synthproxy.synths.space import Floats, Kind, Parameter, PresetSpace
from synthproxy.synths.vital_file import Connection, VitalFile, read_collection, read_vital, write_vital

SOURCES = ("env_2", "env_2", "env_3", "env_3", "lfo_1", "lfo_1", "lfo_2", "lfo_2")
"""What moves in each of the modulations that have parameters."""

COLLECTION_SUFFIXES = (".json", ".json.gz")

SETTLING_SECONDS = 0.5
"""Time for controls to glide from their defaults to a preset's before its note begins."""


class Vital:
    """Vital with one wavetable, from saw to sine, in every oscillator. Repeats to the bit.

    Every render has an engine of its own, because one that has played keeps the phase of its reverb and the state of
    its delay. Stereo is mixed to mono.
    """

    name = "vital"
    suffix = ".vital"

    def __init__(self) -> None:
        self.space: PresetSpace = read_definition(definition_path(self.name)).space
        by_name = {p.name: p for p in self.space.parameters}
        self._destinations = [by_name[f"modulation_{slot}_destination"] for slot in range(1, len(SOURCES) + 1)]

    @property
    def missing(self) -> str:
        """What is missing to play it, and how to get it; empty if nothing is."""
        try:
            _vita()
        except UnavailableError as error:
            return str(error)
        return ""

    @cached_property
    def _controls(self) -> dict[str, _Control]:
        engine = _vita().Synth()
        details = {name: engine.get_control_details(name) for name in engine.get_controls()}
        return {k: _Control(d.min, d.max - d.min, d.default_value, d.is_discrete) for k, d in details.items()}

    @cached_property
    def _defaults(self) -> dict[str, float]:
        return {name: control.default for name, control in self._controls.items()}

    # Presets and files

    def settings(self, preset: ArrayLike) -> dict[str, float]:
        """What Vital is set to for a preset: every setting by its name, in its unit."""
        settings = dict(self._defaults)
        for parameter, value in zip(self.space.parameters, self.space.decode(preset), strict=True):
            if parameter.name in settings:
                settings[parameter.name] = self._controls[parameter.name].setting(parameter, value)
        return settings

    def file(self, preset: ArrayLike, name: str = "") -> VitalFile:
        """A preset as a file."""
        named = self.space.to_names(preset)
        moved = [str(named[p.name]) for p in self._destinations]
        connections = [
            Connection(source, destination) if destination != p.labels[0] else Connection()
            for p, source, destination in zip(self._destinations, SOURCES, moved, strict=True)
        ]
        return VitalFile.initial(self.settings(preset), connections, name)

    def preset(self, file: VitalFile, note: Note) -> Floats:
        """The preset, (free,), that is nearest to a file as it sounds with this note.

        What is constant during a note is folded into what it moves: macros, key and velocity. Tempos become rates,
        and LFOs swing about the middle. Wavetables, samples, LFO shapes, curves of modulations and random ones are
        lost, and what the space has no parameter for.
        """
        controls = self._controls
        settings = {name: controls[name].within(value) for name, value in file.settings(self._defaults).items()}
        connections = [
            Connection() if settings[f"modulation_{slot}_bypass"] else connection
            for slot, connection in enumerate(file.connections, 1)
        ]
        _fold_tempo(settings, note)
        _fold_key(settings, note)
        _fold_constants(settings, connections, note, {name: control.span for name, control in controls.items()})
        settings |= self._modulations(settings, connections)
        everything = [
            controls[p.name].value(p, settings[p.name]) if p.name in controls else settings[p.name]
            for p in self.space.parameters
        ]
        return self.space.snap(self.space.encode(everything))

    def _modulations(self, settings: Mapping[str, float], connections: Sequence[Connection]) -> dict[str, float]:
        """Destination, as a category, and amount of the modulations that have parameters."""
        chosen = _choose([c if c.destination in self._destinations[0].labels else Connection() for c in connections])
        found: dict[str, float] = {}
        for slot, parameter in enumerate(self._destinations):
            index = chosen.get(slot, slot)
            playing = slot in chosen
            # An amount that moves nothing is kept, unless it belongs to something that has no parameter.
            foreign = not playing and slot < len(connections) and bool(connections[slot])
            found[parameter.name] = parameter.labels.index(connections[index].destination) if playing else 0
            found[f"modulation_{slot + 1}_amount"] = 0.0 if foreign else settings[f"modulation_{index + 1}_amount"]
        return found

    def read_presets(self, path: Path, note: Note) -> list[NamedPreset]:
        """The preset of a ``.vital`` file, or those of a collection in JSON (``.json``, ``.json.gz``).

        See :meth:`preset` for what is lost, and :func:`~synthproxy.synths.vital_file.read_collection` for the form.
        """
        if path.name.lower().endswith(COLLECTION_SUFFIXES):
            return [NamedPreset(self.preset(file, note), file.name, file.origin) for file in read_collection(path)]
        file = read_vital(path)
        return [NamedPreset(self.preset(file, note), file.name or path.stem, path.name)]

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        """Write each preset as a ``.vital`` file: the first at ``path``, others beside it with -2, -3 and so on."""
        if not presets:
            raise InvalidInputError(f"{path}: no presets to write")
        if path.suffix.lower() != self.suffix:
            raise InvalidInputError(f"{path}: {self.name} has no such preset files; give {self.suffix}")
        for number, preset in enumerate(presets, 1):
            place = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
            write_vital(place, self.file(preset.vector, preset.name))

    # Sound

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float32]:
        """Play one note; see :meth:`Synth.render <synthproxy.synths.base.Synth.render>`."""
        engine = _vita().Synth()
        engine.set_sample_rate(sample_rate)
        if not engine.load_json(self.file(preset).lighter().to_json()):
            raise UnavailableError("vita does not read presets of Vital 1.0.7; pip install --upgrade vita")
        return play(engine, note, seconds, sample_rate)


def _vita() -> Any:
    """The package, imported when it is needed."""
    try:
        return import_module("vita")
    except ImportError as error:
        raise UnavailableError("vital needs the package vita: pip install 'synthproxy[vital]'") from error


_END = 264
"""Samples that are rendered and cut off, because the engine fades out its last 200, from the start of a block of 64."""


def play(engine: Any, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """Play one note on a ``vita.Synth`` that has loaded a preset: mono, round(seconds × sample_rate) samples."""
    samples = round(seconds * sample_rate)
    # Shorter than a sample, a note would never end.
    held = max(note.duration, 2 / sample_rate)

    def render() -> NDArray[np.float32]:
        _settle(engine, note)
        stereo = engine.render(note.pitch, note.velocity / 127, held, (samples + _END) / sample_rate)
        return np.asarray(stereo[:, :samples].mean(axis=0))

    # The engine leaves its thread without subnormal numbers, which would change what is computed there afterwards.
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(render).result()


def _settle(engine: Any, note: Note) -> None:
    """Let controls reach the preset's settings while nothing is heard: vita begins a note as soon as it is loaded."""
    controls = engine.get_controls()
    delay, release = controls["env_1_delay"], controls["env_1_release"]
    before = delay.value(), release.value()
    delay.set(2**0.5)
    release.set(0.0)
    engine.render(note.pitch, note.velocity / 127, SETTLING_SECONDS / 2, SETTLING_SECONDS)
    delay.set(before[0])
    release.set(before[1])


# Settings


@dataclass(frozen=True)
class _Control:
    """One of Vital's settings: its range, its default, and whether it takes only whole numbers.

    Values in presets are places in the range. (``set_normalized`` of vita 0.1 cannot reach all settings.)
    """

    low: float
    span: float
    default: float
    whole: bool

    def within(self, setting: float) -> float:
        """The nearest setting in the range."""
        return min(max(setting, self.low), self.low + self.span)

    def setting(self, parameter: Parameter, value: float) -> float:
        """The setting for the value of a parameter."""
        if parameter.kind is Kind.CATEGORICAL:
            return float(parameter.values[round(value)] if parameter.values else round(value))
        setting = self.low + float(value) * self.span
        return float(round(setting)) if self.whole else setting

    def value(self, parameter: Parameter, setting: float) -> float:
        """The nearest value of a parameter for a setting."""
        if parameter.kind is Kind.CATEGORICAL:
            possible = np.asarray(parameter.values or range(parameter.cardinality))
            return float(np.abs(possible - setting).argmin())
        return (self.within(setting) - self.low) / self.span


def _choose(connections: Sequence[Connection]) -> dict[int, int]:
    """Which connection plays in which slot with parameters, both from 0: its own where possible, else the next."""
    chosen = {i: i for i, source in enumerate(SOURCES[: len(connections)]) if connections[i].source == source}
    for i, connection in enumerate(connections):
        free = [slot for slot, source in enumerate(SOURCES) if source == connection.source and slot not in chosen]
        if free and chosen.get(i) != i:
            chosen[free[0]] = i
    return chosen


_RATES = ("lfo_1", "lfo_2", "chorus", "delay", "flanger", "phaser")
_TEMPOS = {1: 1.0, 2: 2 / 3, 3: 3 / 2}
_KEY = 4
_ONE_PER_BEAT = 8


def _fold_tempo(settings: dict[str, float], note: Note) -> None:
    """Set rates in hertz where they follow the tempo or the key."""
    for name in _RATES:
        sync = round(settings[f"{name}_sync"])
        if sync in _TEMPOS:
            tempo = round(settings[f"{name}_tempo"])
            hertz = _TEMPOS[sync] * settings["beats_per_minute"] * (2.0 ** (tempo - _ONE_PER_BEAT) if tempo else 0.0)
        elif sync == _KEY:
            pitch = note.pitch + settings[f"{name}_keytrack_transpose"] + settings[f"{name}_keytrack_tune"]
            hertz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
        else:
            continue
        settings[f"{name}_frequency"] = log2(max(hertz, 1e-6))


_PITCH_WITHOUT_KEY = 48
_CENTRE_OF_KEYTRACK = 60


def _fold_key(settings: dict[str, float], note: Note) -> None:
    """Set pitches and cutoffs to what they are with this key."""
    for oscillator in ("osc_1", "osc_2", "osc_3"):
        if not round(settings[f"{oscillator}_midi_track"]):
            settings[f"{oscillator}_transpose"] += _PITCH_WITHOUT_KEY - note.pitch
    for filters in ("filter_1", "filter_2"):
        settings[f"{filters}_cutoff"] += settings[f"{filters}_keytrack"] * (note.pitch - _CENTRE_OF_KEYTRACK)


_CONSTANT = ("macro_control_1", "macro_control_2", "macro_control_3", "macro_control_4", "mod_wheel")


def _fold_constants(
    settings: dict[str, float], connections: Sequence[Connection], note: Note, spans: Mapping[str, float]
) -> None:
    """Add what modulations amount to when envelopes rise from zero and LFOs swing about it."""
    means = {"note": note.pitch / 127, "velocity": note.velocity / 127, **{name: settings[name] for name in _CONSTANT}}
    # Amounts of modulations before what they are amounts of.
    for slot, c in sorted(enumerate(connections, 1), key=lambda item: not item[1].destination.startswith("modulation")):
        if c.destination in spans:
            mean = means.get(c.source, 0.5 if c.source.startswith(("lfo", "random")) else 0.0)
            offset = mean - settings[f"modulation_{slot}_bipolar"] / 2
            settings[c.destination] += offset * settings[f"modulation_{slot}_amount"] * spans[c.destination]
