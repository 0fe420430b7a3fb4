"""Any VST2, VST3 or LV2 instrument as a synth: a definition, and instances in processes of their own.

A plug-in that crashes, hangs or makes a sound that is not finite costs one preset. As many instances run as threads
ask for sounds at once; each is replaced after many renders, against leaks.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synthproxy.errors import FailedRenderError, IncompatibleError, InvalidInputError, UnavailableError
from synthproxy.synths.amsynth_banks import AmsynthBank
from synthproxy.synths.base import Mode, NamedPreset, Note, Repeatability
from synthproxy.synths.definition import Definition, PluginSettings, comparable_name
from synthproxy.synths.h2p import H2p
from synthproxy.synths.live_presets import Fxp, VstPreset, write_live
from synthproxy.synths.parameter_dumps import ParameterDump
from synthproxy.synths.plugin_files import find_plugin
from synthproxy.synths.plugin_process import PluginFailedError, PluginProcess, start_plugin
from synthproxy.synths.preset_files import PresetFormat, StoredPreset
from synthproxy.synths.repeatability import known_repeatability
from synthproxy.synths.space import Floats, PresetSpace

_FORMATS: dict[str, PresetFormat | Fxp | VstPreset] = {
    "amsynth-bank": AmsynthBank(),
    "fxp": Fxp(),
    "h2p": H2p(),
    "parameter-dump": ParameterDump(),
    "vstpreset": VstPreset(),
}
LIVE = (Fxp, VstPreset)

_ATTEMPTS = 3  # A process may be killed from outside; a preset that kills it three times is to blame itself.
_STARTS, _FIRST_STARTS = 20, 3
_MOST_IDLE = 64
_STATE_RATE = 44_100


class PluginSynth:
    """A plug-in played by its definition.

    Args:
        definition: what the plug-in is and how its parameters are reached.
        mode: ``exact`` repeats, as far as the plug-in lets itself be made to; ``fast`` plays as quickly as it can.
        plugin: path or LV2 URI; by default it is looked for where plug-ins are installed.
        repeatability: how its renders are kept apart, if it is known; by default it is measured on first use.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        mode: Mode = "exact",
        plugin: str | None = None,
        repeatability: Repeatability | None = None,
    ) -> None:
        if definition.plugin is None:
            raise InvalidInputError(f"the definition of {definition.name!r} has no [plugin] table")
        self.definition, self.mode = definition, mode
        self.settings: PluginSettings = definition.plugin
        self._given = plugin
        self._lock = threading.Lock()
        self._idle: list[PluginProcess] = []
        self._indices: list[int] = []
        self._repeatability = repeatability

    @property
    def name(self) -> str:
        """Registered name."""
        return self.definition.name

    @property
    def space(self) -> PresetSpace:
        """Its parameters."""
        return self.definition.space

    @property
    def suffix(self) -> str:
        """Ending of the preset files it writes if nothing else is asked for."""
        return self.suffixes[0]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of all preset files it reads and writes; that of readable ones if it has none of its own."""
        return tuple(form.suffix for form in self._forms) or (".json",)

    @property
    def plugin(self) -> str:
        """Path or URI of the plug-in; raises :class:`UnavailableError` where it is not installed."""
        return self._given or find_plugin(self.name, self.settings.files)

    @property
    def missing(self) -> str:
        """What is missing to play it here; empty if nothing is."""
        try:
            _ = self.plugin
        except UnavailableError as error:
            return str(error)
        return "" if find_spec("dawdreamer") else "DawDreamer: pip install 'synthproxy[plugins]'"

    # Sound

    def render(self, preset: Floats, note: Note, seconds: float, sample_rate: int) -> NDArray[np.float32]:
        """Play one note; see :meth:`Synth.render <synthproxy.synths.base.Synth.render>`.

        Raises:
            FailedRenderError: the plug-in crashed, hung, or made a sound that is not finite.
        """
        values = self.definition.to_plugin(preset)
        isolation = self.repeatability.isolation
        reasons = []
        for _ in range(_ATTEMPTS):
            process = self._take(sample_rate)
            try:
                audio = process.play(self._indices, values, note, seconds, isolation)
            except PluginFailedError as error:
                process.close()
                reasons.append(str(error))
                continue
            self._give_back(process)
            return audio
        raise FailedRenderError(f"{self.name}: {reasons[-1]} with the preset {self.space.to_names(preset)}")

    @property
    def repeatability(self) -> Repeatability:
        """How its renders are kept apart, and how well it repeats then; measured on first use and remembered."""
        with self._lock:
            if self._repeatability is None:
                self._repeatability = known_repeatability(self, self.mode)
            return self._repeatability

    def start(self, sample_rate: int) -> PluginProcess:
        """A new instance, which the caller has to close.

        Raises:
            UnavailableError: the plug-in does not load.
            IncompatibleError: it has not the parameters of the definition.
        """
        process = start_plugin(self.plugin, sample_rate, self.settings.seconds, needs_display=self.settings.display)
        try:
            self._indices = resolve(self.definition, process.names)
        except IncompatibleError:
            process.close()
            raise
        return process

    @property
    def indices(self) -> list[int]:
        """Place of every parameter on the plug-in at hand; known once an instance has been started."""
        return self._indices

    def close(self) -> None:
        """End all instances that are not playing."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def _take(self, sample_rate: int) -> PluginProcess:
        with self._lock:
            fitting = [p for p in self._idle if p.sample_rate == sample_rate]
            if fitting:
                self._idle.remove(fitting[-1])
                return fitting[-1]
        # If it has loaded before, an instance that dies while it loads was killed.
        for _ in range((_STARTS if self._indices else _FIRST_STARTS) - 1):
            with suppress(UnavailableError):
                return self.start(sample_rate)
        return self.start(sample_rate)

    def _give_back(self, process: PluginProcess) -> None:
        with self._lock:
            keep = process.renders < self.settings.restart_after and len(self._idle) < _MOST_IDLE
            if keep:
                self._idle.append(process)
        if not keep:
            process.close()

    # Preset files

    def read_presets(self, path: Path, note: Note | None = None) -> list[NamedPreset]:  # noqa: ARG002
        """The presets of a file of any form that the definition names; they are the same for every note."""
        form = self._format_of(path)
        if not isinstance(form, LIVE):
            return [NamedPreset(self.vector(p.values), p.name, p.origin) for p in form.read(path, self.definition)]
        with closing(self.start(_STATE_RATE)) as process:
            name, values = form.read(path, process, self.settings)
        return [NamedPreset(self.definition.from_plugin([values[i] for i in self._indices]), name, path.name)]

    def write_presets(self, path: Path, presets: Sequence[NamedPreset]) -> None:
        """Write presets in the form that the ending of ``path`` asks for."""
        form = self._format_of(path)
        if not isinstance(form, LIVE):
            form.write(path, self.definition, [StoredPreset(p.name, self.values(p.vector), p.origin) for p in presets])
            return
        named = [(p.name, self.definition.to_plugin(p.vector)) for p in presets]
        with closing(self.start(_STATE_RATE)) as process:
            write_live(form, path, process, self._indices, named, self.settings)

    def vector(self, values: Mapping[str, float]) -> Floats:
        """The preset vector of plug-in values by parameter name; what is not named is at its default."""
        everything = self.definition.to_plugin(self.space.encode(self.space.defaults))
        for i, parameter in enumerate(self.space.parameters):
            if parameter.name in values:
                everything[i] = values[parameter.name]
        return self.definition.from_plugin(everything)

    def values(self, preset: Floats) -> dict[str, float]:
        """What the plug-in is set to for a preset, by parameter name."""
        return {
            p.name: float(value)
            for p, value in zip(self.space.parameters, self.definition.to_plugin(preset), strict=True)
        }

    @cached_property
    def _forms(self) -> tuple[PresetFormat | Fxp | VstPreset, ...]:
        """Those of the definition that the plug-in at hand can have."""
        try:
            plugin = self.plugin
        except UnavailableError:
            plugin = ""
        impossible = {"fxp"} if plugin.lower().endswith(".vst3") else {"vstpreset"} if plugin else set()
        return tuple(_FORMATS[name] for name in self.settings.presets if name not in impossible)

    def _format_of(self, path: Path) -> PresetFormat | Fxp | VstPreset:
        for form in self._forms:
            if path.name.lower().endswith(form.suffix):
                return form
        raise InvalidInputError(f"{path}: {self.name} has no such preset files; give {' or '.join(self.suffixes)}")


def resolve(definition: Definition, names: Sequence[str]) -> list[int]:
    """Places of a definition's parameters among a plug-in's, by name; by index where several have the same name.

    A VST3 host may not say which module a parameter is of: "Attack" at the index of "env1:attack" is that one.

    Raises:
        IncompatibleError: a parameter is not there.
    """
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        by_name.setdefault(comparable_name(name), []).append(i)
    found, absent = [], []
    for parameter, index in zip(definition.space.parameters, definition.indices, strict=True):
        places = by_name.get(comparable_name(parameter.name), [])
        bare = comparable_name(parameter.name.rpartition(":")[2])
        if index in places or (index < len(names) and comparable_name(names[index]) == bare):
            found.append(index)
        elif places:
            found.append(places[0])
        else:
            absent.append(parameter.name)
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise IncompatibleError(
            f"{definition.name}: the plug-in has no parameter called {absent[0]!r}{more}; "
            "'synthproxy inspect --check' lists the differences"
        )
    return found
