"""A generative model of presets given a sound: it fills in what is unknown of a preset, a few parameters at a time.

Trained on presets of which a random part is hidden, it tells for every hidden parameter how likely each of its classes
is, given the sound, the note and the parameters that are known. So presets are drawn from nothing, as masked language
models write (Chang et al., MaskGIT, 2022; Austin et al., Structured Denoising Diffusion in Discrete State-Spaces,
2021), and some parameters may be given. Groups of parameters are tokens, as in :mod:`synthproxy.proxies.groups`, beside
tokens of what is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from synthproxy.errors import InvalidInputError
from synthproxy.matching.proposers.codes import Classes, PresetCode
from synthproxy.proxies.groups import Family, FamilyTokens, Messages, families
from synthproxy.proxies.layers import StandardisedInput
from synthproxy.proxies.tokens import INITIAL_DEVIATION, SoftLayout, to_soft
from synthproxy.proxies.transformer import EncoderLayer
from synthproxy.proxies.wiring import MARKS, WIRED_GROUPS, Wires
from synthproxy.synths.base import Note
from synthproxy.synths.space import Floats, PresetSpace

NOTE_VALUES = 3
READING_LAYERS = 3
LEAST = 1e-6
"""Probability of a class that is as good as impossible."""
NOTHING = -1e4
"""Logit of a class that a parameter does not have."""


@dataclass(frozen=True)
class Drawing:
    """How presets are drawn.

    Args:
        steps: passes of the network; in each, an equal share of the parameters becomes known.
        temperature: logits are divided by it; below 1 draws keep to what is likely.
    """

    steps: int = 8
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.temperature > 0:
            raise InvalidInputError(f"presets are drawn in steps, at a temperature above 0, got {self}")


@dataclass(frozen=True, eq=False)
class Given:
    """What is known of the presets that are to be drawn, the same of all, (free,), or of each, (count, free).

    Args:
        preset: its values; those that are not known say nothing.
        known: which of them are known.
    """

    preset: Floats
    known: NDArray[np.bool_]


def note_values(notes: list[Note]) -> Tensor:
    """Notes as numbers of about 0 to 1: (notes, NOTE_VALUES)."""
    rows = [[note.pitch / 127, note.velocity / 127, note.duration / 5] for note in notes]
    return torch.tensor(rows, dtype=torch.float32)


def require_parts(dimension: int, segments: int, tokens: int) -> None:
    """Raise :class:`InvalidInputError` unless embeddings have segments that tokens can share equally."""
    if dimension % segments or segments % tokens:
        raise InvalidInputError(
            f"{tokens} tokens of a sound must divide its {segments} segments, and these its {dimension} values"
        )


class Hearing(nn.Module):
    """Tokens of a sound and of the note it is.

    Args:
        dimension: values per embedding, those of ``segments`` equal parts of the clip one after the other.
        segments: parts of the clip.
        tokens: tokens of the sound, a divisor of the segments.
        width: length of a token.
    """

    def __init__(self, dimension: int, segments: int, tokens: int, width: int) -> None:
        super().__init__()
        require_parts(dimension, segments, tokens)
        self.channels, self.tokens = dimension // segments, tokens
        self.standardised = StandardisedInput(self.channels)
        self.sound = nn.Linear(dimension // tokens, width)
        self.whole = nn.Sequential(nn.Linear(dimension, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.note = nn.Sequential(nn.Linear(NOTE_VALUES, width), nn.ReLU(), nn.Linear(width, width))
        self.place = nn.Parameter(torch.empty(tokens + 2, width))
        nn.init.trunc_normal_(self.place, std=INITIAL_DEVIATION)

    def fit(self, sounds: Tensor) -> None:
        """Take mean and deviation of the channels from embeddings, (n, dimension)."""
        self.standardised.fit(sounds.reshape(-1, self.channels))

    def standard(self, sounds: Tensor) -> Tensor:
        """Embeddings, (batch, dimension), whose channels have mean 0 and deviation 1."""
        standard: Tensor = self.standardised(sounds.view(len(sounds), -1, self.channels))
        return standard.flatten(1)

    def forward(self, sounds: Tensor, notes: Tensor) -> Tensor:
        """Tokens (batch, tokens + 2, width) of embeddings (batch, dimension) and notes (batch, NOTE_VALUES)."""
        standard = self.standard(sounds)
        parts = self.sound(standard.view(len(sounds), self.tokens, -1))
        whole = self.whole(standard)[:, None]
        heard: Tensor = torch.cat([whole, parts, self.note(notes)[:, None]], dim=1)
        return heard + self.place


class Reading(nn.Module):
    """Logits of every parameter by the sound and its note alone, whatever is known of the preset.

    What an operator's frequency is can be heard before anything is known, and a network that has nothing else to do
    tells it better than the few tokens of :class:`Hearing`.

    Args:
        dimension: values per embedding.
        outputs: number of logits.
        width: of its layers.
    """

    def __init__(self, dimension: int, outputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(dimension + NOTE_VALUES, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(READING_LAYERS)
        )
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, sounds: Tensor, notes: Tensor) -> Tensor:
        """(batch, outputs) of standardised embeddings (batch, dimension) and notes (batch, NOTE_VALUES)."""
        told = self.first(torch.cat([sounds, notes], dim=1))
        for layer in self.layers:
            told = told + layer(told)
        logits: Tensor = self.last(self.norm(told))
        return logits


class Proposer(nn.Module):
    """Logits of the classes of every parameter, given a sound, a note and what is known of the preset.

    Args:
        space: the preset space.
        dimension: values per embedding of the audio model that hears, whose reduction keeps ``segments``.
        segments: see :class:`Hearing`.
        reading: width of a :class:`Reading`, or 0 for none.
    """

    def __init__(
        self,
        space: PresetSpace,
        dimension: int,
        segments: int,
        *,
        tokens: int = 8,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        feed_forward: int = 384,
        pieces: int = 16,
        hidden: int = 192,
        reading: int = 0,
    ) -> None:
        super().__init__()
        self.space, self.code = space, PresetCode(space)
        self.sizes = {
            "tokens": tokens,
            "width": width,
            "layers": layers,
            "heads": heads,
            "feed_forward": feed_forward,
            "pieces": pieces,
            "hidden": hidden,
            "reading": reading,
        }
        self.hearing = Hearing(dimension, segments, tokens, width)
        found = sorted(families(space), key=lambda family: family.names != WIRED_GROUPS)
        self.wires = Wires.of(space) if found[0].names == WIRED_GROUPS else None
        self.families = nn.ModuleList(
            _PartlyKnown(family, width, pieces, hidden, MARKS if self.wires and number == 0 else 0)
            for number, family in enumerate(found)
        )
        self.heads = nn.ModuleList(nn.Linear(width, len(family.columns[0]) * self.code.most) for family in found)
        for weight in self.heads.parameters():
            nn.init.zeros_(weight)
        self.reading = Reading(dimension, space.size * self.code.most, reading) if reading else None
        self.messages = nn.ModuleList(Messages(width) for _ in range(layers if self.wires else 0))
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feed_forward) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        columns = [column for family in found for group in family.columns for column in group]
        self.order: Tensor
        self.absent: Tensor
        self.targets: Tensor
        self.register_buffer("order", torch.tensor(np.argsort(columns)), persistent=False)
        self.register_buffer("absent", _absent(self.code), persistent=False)
        self.unsmear: Tensor
        self.register_buffer("targets", _targets(self.code), persistent=False)
        self.register_buffer("unsmear", _unsmear(self.targets, self.absent), persistent=False)
        self.usual: Tensor
        """Values that are drawn for each class, (free, classes, values)."""
        self.register_buffer("usual", torch.from_numpy(self.code.usual(np.empty((0, space.size), dtype=np.float32))))
        self.register_buffer("soft_of", _soft_columns(space), persistent=False)
        self.soft_of: Tensor

    def read(self, sounds: Tensor, notes: Tensor) -> Tensor | None:
        """What the reading, if there is one, adds to the logits of any preset: (batch, free, classes)."""
        if self.reading is None:
            return None
        logits: Tensor = self.reading(self.hearing.standard(sounds), notes)
        return logits.view(len(sounds), self.space.size, self.code.most)

    def forward(self, sounds: Tensor, notes: Tensor, soft: Tensor, known: Tensor, read: Tensor | None = None) -> Tensor:
        """Logits.

        Args:
            sounds: embeddings, (batch, dimension).
            notes: see :func:`note_values`, (batch, NOTE_VALUES).
            soft: soft presets, (batch, one_hot_width); what is not known of them is not looked at.
            known: which parameters are known, bool, (batch, free).
            read: what :meth:`read` says of these sounds, where that has been asked before.

        Returns:
            (batch, free, classes).
        """
        flags = known.index_select(1, self.soft_of).to(soft.dtype)
        soft = soft * flags
        ways, marks = (None, None) if self.wires is None else self.wires(soft)
        heard = self.hearing(sounds, notes)
        groups = [family(soft, flags, marks if n == 0 else None) for n, family in enumerate(self.families)]
        tokens = torch.cat([heard, *groups], dim=1)
        if ways is not None:
            before, after = heard.shape[1], tokens.shape[1] - heard.shape[1] - ways.shape[-1]
            ways = F.pad(ways, (before, after, before, after))
        for number, layer in enumerate(self.layers):
            if ways is not None:
                tokens = self.messages[number](tokens, ways)
            tokens = layer(tokens)
        filled = self.norm(tokens[:, heard.shape[1] :]).split([family.size for family in self.families], dim=1)
        logits = [
            head(part).reshape(len(part), -1, self.code.most) for head, part in zip(self.heads, filled, strict=True)
        ]
        in_order = torch.cat(logits, dim=1).index_select(1, self.order)
        read = self.read(sounds, notes) if read is None else read
        if read is not None:
            in_order = in_order + read
        return in_order.masked_fill(self.absent, NOTHING)

    def loss(self, sounds: Tensor, notes: Tensor, soft: Tensor, classes: Tensor, known: Tensor) -> Tensor:
        """Mean cross-entropy of the parameters that are not known; ``classes`` are the right ones, (batch, free)."""
        return self.mean_missed(self(sounds, notes, soft, known), classes, known)

    def mean_missed(self, logits: Tensor, classes: Tensor, known: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean of :meth:`missed` over the parameters that are not known, with a weight of each, (free,), if given."""
        unknown = (~known).to(logits.dtype)
        if weights is not None:
            unknown = unknown * weights
        return (self.missed(logits, classes) * unknown).sum() / unknown.sum().clamp(min=1.0)

    def unsmeared(self, logits: Tensor) -> Tensor:
        """Logits of how likely each class itself is, where the network has learned that those beside it count too.

        A frequency or a transposition beside the right one is not nearly right, and would be drawn one time in three.
        """
        likely = torch.einsum("bfc,fcd->bfd", logits.softmax(dim=2), self.unsmear)
        return likely.clamp(min=LEAST).log().masked_fill(self.absent, NOTHING)

    def missed(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropy of every parameter, (batch, free), of logits (batch, free, classes)."""
        wanted = self.targets[torch.arange(self.space.size, device=classes.device), classes]
        return -(wanted * logits.log_softmax(dim=2)).sum(dim=2)

    @torch.no_grad()
    def draw(
        self,
        sound: Tensor,
        note: Note | Sequence[Note],
        count: int,
        generator: np.random.Generator,
        drawing: Drawing | None = None,
        given: Given | None = None,
    ) -> Floats:
        """Draw presets for a sound, or one for each of several: (count, free).

        Args:
            sound: its embedding, (dimension,), or those of several, (count, dimension).
            note: the note it is taken for, or that of each.
            count: presets to draw, at once.
            generator: of the order in which parameters become known, and of their values.
            drawing: how.
            given: values that they are to have.

        Raises:
            InvalidInputError: the given preset is none of the space.
        """
        drawing, given = drawing or Drawing(), given or _nothing(self.space)
        self.space.validate(given.preset)
        classes = np.zeros((count, self.space.size), dtype=np.int64)
        known = np.broadcast_to(given.known, classes.shape)
        due = self._steps(generator, drawing.steps, known)
        notes = note_values([note] if isinstance(note, Note) else list(note)).expand(count, -1)
        sounds = sound.expand(count, -1)
        self.eval()
        alike = sound.ndim == 1 and isinstance(note, Note)
        read = self.read(sounds[:1], notes[:1]) if alike else self.read(sounds, notes)
        for step in range(drawing.steps):
            soft = to_soft(self.space, torch.from_numpy(self._with_given(classes, given)))
            told = self(sounds, notes, soft, torch.from_numpy(due < step), read)
            logits = self.unsmeared(told) / drawing.temperature
            # The largest of logits with Gumbel noise is a draw from their softmax.
            noise = -np.log(generator.exponential(size=logits.shape))
            drawn = (logits + torch.from_numpy(noise).to(logits.dtype)).argmax(dim=2).numpy()
            classes = np.where(due == step, drawn, classes)
        return self._with_given(classes, given, generator)

    def _with_given(self, classes: Classes, given: Given, generator: np.random.Generator | None = None) -> Floats:
        """Presets of classes, with the values that are given; with a generator, the others are drawn from the usual."""
        presets = self.code.draw(classes, self.usual.numpy(), generator) if generator else self.code.presets(classes)
        return np.where(given.known, given.preset, presets).astype(np.float32)

    def _steps(self, generator: np.random.Generator, steps: int, known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """In which step each parameter becomes known, (count, free); what wires groups does in the first.

        That is −1 where it is known already.
        """
        order = np.where(known, np.inf, generator.random(known.shape))
        rank = order.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        due = rank * steps // np.maximum((~known).sum(axis=1, keepdims=True), 1)
        if self.wires is not None:
            due[:, int(self.soft_of[self.wires.category.start])] = 0
        due[known] = -1
        return np.asarray(due)


def hide(space: PresetSpace, count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which parameters are known in training, (count, free): a random share, of the parameters or of whole groups.

    The share is more often small than large: what is drawn first, from nothing, decides what all else has to go with.
    """
    names = [parameter.group or parameter.name for parameter in space.free]
    groups = np.unique(names, return_inverse=True)[1]
    share = generator.random((count, 1)) ** 2
    of_parameters = generator.random((count, space.size)) < share
    of_groups = (generator.random((count, groups.max() + 1)) < share)[:, groups]
    return np.where(generator.random((count, 1)) < 0.5, of_parameters, of_groups)


def _nothing(space: PresetSpace) -> Given:
    """That nothing is known."""
    return Given(space.snap(np.zeros(space.size)), np.zeros(space.size, dtype=bool))


class _PartlyKnown(nn.Module):
    """Tokens of the groups of one family, told which of their parameters are known."""

    def __init__(self, family: Family, width: int, pieces: int, hidden: int, wired_marks: int) -> None:
        super().__init__()
        self.size = family.size
        self.columns: Tensor
        columns = [(*numbers, *others) for numbers, others in zip(family.numerical, family.others, strict=True)]
        self.register_buffer("columns", torch.tensor(columns), persistent=False)
        marks = len(columns[0]) + wired_marks
        self.tokens = FamilyTokens(family, width, pieces, hidden, marks=marks, placed=not wired_marks)

    def forward(self, soft: Tensor, flags: Tensor, marks: Tensor | None) -> Tensor:
        """(batch, groups, width), of soft presets and flags (batch, one_hot_width)."""
        told = flags[:, self.columns.flatten()].view(len(soft), *self.columns.shape)
        tokens: Tensor = self.tokens(soft, told if marks is None else torch.cat([told, marks], dim=2))
        return tokens


def _absent(code: PresetCode) -> Tensor:
    sizes = torch.tensor([parameter.size for parameter in code.parameters])
    return torch.arange(code.most) >= sizes[:, None]


def _targets(code: PresetCode) -> Tensor:
    targets = torch.zeros(len(code.parameters), code.most, code.most)
    for number, parameter in enumerate(code.parameters):
        targets[number, : parameter.size, : parameter.size] = torch.from_numpy(parameter.weights())
    return targets


def _unsmear(targets: Tensor, absent: Tensor) -> Tensor:
    """What takes mean targets back to how likely each class was, (free, classes, classes)."""
    inverse: Tensor = torch.linalg.inv(targets + torch.diag_embed(absent.to(targets.dtype)))
    return inverse


def _soft_columns(space: PresetSpace) -> Tensor:
    """Which parameter each column of a soft preset belongs to."""
    layout = SoftLayout.of(space)
    owners = list(layout.plain)
    for column, columns in zip(layout.categorical, layout.categories, strict=True):
        owners += [column] * (columns.stop - columns.start)
    return torch.tensor(owners)
