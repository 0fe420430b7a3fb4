"""Readers of .syx survive damaged files: each is read, or refused with the one error that says so.

python benchmarks/mutated_voices.py [count]
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from synthproxy.errors import InvalidInputError
from synthproxy.synths.dx7_voice import INITIAL_VOICE, read_voices, write_voices

COUNT = 100_000


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change bytes, cut, repeat or insert, up to eight times."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0 if out:
                out[min(place, len(out) - 1)] = chance.randrange(256)
            case 1:
                del out[place:]
            case 2:
                out[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 40)))
            case 3:
                del out[place : place + chance.randint(1, 40)]
            case _:
                out += out[:place]
    return bytes(out)


def main() -> None:
    """Read many mutated files and count how they end."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    chance = random.Random(5)
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voices.syx"
        originals = []
        for voices, headerless in ((1, False), (32, False), (32, True)):
            write_voices(path, [INITIAL_VOICE] * voices, headerless=headerless)
            originals.append(path.read_bytes())
        for number in range(count):
            path.write_bytes(mutate(originals[number % len(originals)], chance))
            try:
                found = read_voices(path, ignore_checksum=number % 2 == 0)
            except InvalidInputError as error:
                ends["refused" if "\n" not in str(error) else "refused in several lines"] += 1
                continue
            assert found
            for voice in found:
                assert voice.parameters.shape == (145,)
                assert len(voice.packed) == 128
                assert voice.name.isprintable()
            ends["read"] += 1
    assert set(ends) <= {"read", "refused"}
    print(f"{count:,} mutated files: {ends['read']:,} read, {ends['refused']:,} refused in one line, none crashed")


if __name__ == "__main__":
    main()
