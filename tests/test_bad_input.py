"""Every kind of bad input ends in one clear line on standard error, exit code 2, and no file made, changed or lost."""

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from synthproxy.audio.io import write_audio
from synthproxy.cli import main
from synthproxy.corpus import Corpus, CorpusInfo
from synthproxy.corpus.store import Shard
from synthproxy.proxies.checkpoint import save_checkpoint
from synthproxy.proxies.examples import Examples
from synthproxy.proxies.zoo import make_proxy
from synthproxy.synths import Parameter, PresetSpace
from synthproxy.synths.dx7_voice import INITIAL_VOICE, write_voices

RATE = 32_000
CLIP = "--seconds 0.5 --duration 0.3"


def tone(seconds: float = 0.3, rate: int = RATE) -> np.ndarray:
    """A decaying tone, (samples,)."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 330 * time) * np.exp(-4 * time)).astype(np.float32)


@pytest.fixture(scope="module")
def materials(tmp_path_factory) -> Path:
    """A folder with good and bad files of every kind; no test may leave a trace in it."""
    folder = tmp_path_factory.mktemp("materials")
    with contextlib.chdir(folder):
        _make_sounds()
        _make_presets()
        _make_corpora()
        _make_checkpoints()
        _make_recipes()
    return folder


@pytest.fixture(autouse=True)
def _among_the_materials(materials, monkeypatch):
    monkeypatch.chdir(materials)
    yield
    for made in materials.glob("made*"):
        # Only a failing test leaves something; the next one starts afresh.
        shutil.rmtree(made) if made.is_dir() else made.unlink()


def _make_sounds() -> None:
    good = tone()
    write_audio("tone.wav", good, RATE)
    Path("folder").mkdir()
    Path("other-things").mkdir()
    Path("other-things", "notes.txt").write_text("Not for synthproxy.\n")
    Path("text.wav").write_text("This is not a sound.\n")
    Path("empty.wav").touch()
    soundfile.write("no-samples.wav", np.zeros(0, dtype=np.float32), RATE)
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        broken = good.copy()
        broken[1000] = value
        soundfile.write(f"{name}.wav", broken, RATE, subtype="FLOAT")
    write_audio("one-sample.wav", good[1000:1001], RATE)
    write_audio("silent.wav", np.zeros(RATE, dtype=np.float32), RATE)
    soundfile.write("ten-minutes.wav", np.tile(tone(1.0, 8000), 600), 8000, subtype="PCM_U8")
    Path("cut-header.wav").write_bytes(Path("tone.wav").read_bytes()[:30])


def _make_presets() -> None:
    write_voices(Path("voice.syx"), [INITIAL_VOICE])
    good = Path("voice.syx").read_bytes()
    write_voices(Path("bank.syx"), [INITIAL_VOICE] * 32)
    Path("text.syx").write_text("This is no bank.\n")
    Path("empty.syx").touch()
    Path("cut.syx").write_bytes(good[:100])
    Path("checksum.syx").write_bytes(good[:-2] + bytes([(good[-2] + 1) & 0x7F]) + good[-1:])


def _make_corpora() -> None:
    def make(arguments: str) -> None:
        with pytest.raises(SystemExit) as ending:
            main(arguments.split())
        assert not ending.value.code

    make(f"generate --size 64 {CLIP} --out corpus")
    make(f"generate --size 64 {CLIP} --first 1024 --out far-part")
    make(f"generate --size 64 {CLIP} --audio-model mfcc40 --out mfcc40-corpus")
    whole = Corpus.open(Path("corpus"))
    about = whole.info.to_dict()
    Corpus.create(Path("unfinished"), CorpusInfo.from_dict({**about, "size": 1024}))
    space = PresetSpace("whistle", (Parameter("breath"), Parameter("hole")))
    other = CorpusInfo.from_dict({**about, "synth": "whistle", "space": space.to_dict()})
    presets = np.full((64, 2), 0.5, dtype=np.float32)
    Corpus.create(Path("whistle-corpus"), other).write_shard(0, Shard(presets, whole.embeddings(), whole.attempts()))


def _make_checkpoints() -> None:
    setting = Examples.from_corpus(Corpus.open(Path("corpus"))).setting
    torch.manual_seed(0)
    save_checkpoint(Path("good.safetensors"), make_proxy("mlp-oh", setting.space, 256, width=16), setting)
    Path("text.safetensors").write_text("This is no checkpoint.\n")
    Path("cut.safetensors").write_bytes(Path("good.safetensors").read_bytes()[:5000])
    Path("text.pt").write_text("These are no weights.\n")


RECIPE = """
[proxy]
name = "{name}"
[corpus]
train = "{train}"
validation = "corpus"
[training]
batch_size = 32
epochs = 30
learning_rate = {learning_rate}
{more}
"""


def _make_recipes() -> None:
    good = {"name": "hn-oh", "train": "corpus", "learning_rate": "1e-3", "more": ""}
    Path("good.toml").write_text(RECIPE.format(**good))
    Path("three-mistakes.toml").write_text(
        RECIPE.format(**{**good, "name": "hn-ho", "train": "no-corpus", "learning_rate": "-1"})
    )
    Path("unknown-key.toml").write_text(RECIPE.format(**{**good, "more": "weight_decai = 0.1"}))
    Path("other-corpora.toml").write_text(RECIPE.format(**{**good, "train": "mfcc40-corpus"}))
    Path("text.toml").write_text("This is no recipe.\n")


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, hidden files included, with sizes and times of change."""
    found = {}
    for path in folder.rglob("*"):
        facts = path.lstat()
        found[str(path.relative_to(folder))] = (facts.st_size if path.is_file() else 0, facts.st_mtime_ns)
    return found


def assert_one_clear_line(outcome, *words: str) -> None:
    """Exit code 2, nothing on standard output, one line on standard error that says all of ``words``."""
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("synthproxy: ")
    assert "Traceback" not in outcome.err
    assert "Errno" not in outcome.err, "an error number is not for people"
    for word in words:
        assert word in lines[0], lines[0]


MATCH = "--renders 40 --out made"
UNREADABLE = [
    ("there is no file", "no-such.wav", ["no-such.wav", "check the path"]),
    ("folder", "folder", ["folder is a folder", "one file"]),
    ("text", "text.wav", ["text.wav", "WAV, FLAC"]),
    ("no bytes", "empty.wav", ["empty.wav", "WAV, FLAC"]),
    ("no samples", "no-samples.wav", ["no-samples.wav", "no samples"]),
    ("NaN", "nan.wav", ["nan.wav", "NaN", "export the sound again"]),
    ("infinite", "infinite.wav", ["infinite.wav", "infinite", "export the sound again"]),
    ("header cut off", "cut-header.wav", ["cut-header.wav", "WAV, FLAC"]),
]
CASES = [
    *((f"match: {what}", f"match {file} {MATCH}", words) for what, file, words in UNREADABLE),
    *((f"embed: {what}", f"embed tone.wav {file} -o made.npz", words) for what, file, words in UNREADABLE),
    *((f"distance: {what}", f"distance tone.wav {file} --json", words) for what, file, words in UNREADABLE),
    # A target that cannot be matched, or not like this.
    ("match: silent target", f"match silent.wav {MATCH}", ["silent.wav is silent", "with sound in it"]),
    ("match: too short", f"match one-sample.wav {MATCH}", ["one-sample.wav", "0.0 ms", "longer"]),
    ("match: too long", f"match ten-minutes.wav {MATCH}", ["ten-minutes.wav", "600 s", "cut it"]),
    ("match: two budgets", "match tone.wav --seconds 5 --renders 40 --out made", ["either", "--seconds", "--renders"]),
    ("match: no time", "match tone.wav --seconds 0 --out made", ["above 0", "above 0", "0"]),
    ("match: negative time", "match tone.wav --seconds -1 --out made", ["above 0", "above 0", "-1"]),
    ("match: time is no number", "match tone.wav --seconds nan --out made", ["above 0", "nan"]),
    ("match: endless", "match tone.wav --seconds inf --out made", ["above 0", "inf"]),
    ("match: no renders", "match tone.wav --renders 0 --out made", ["above 0", "0"]),
    ("match: renders in words", "match tone.wav --renders many --out made", ["--renders", "many"]),
    ("match: no results wanted", f"match tone.wav {MATCH} --top 0", ["--top", "0"]),
    ("match: negative seed", f"match tone.wav {MATCH} --seed -1", ["--seed", "-1"]),
    ("match: pitch", f"match tone.wav {MATCH} --pitch 200", ["pitch", "0..127", "200"]),
    ("match: velocity", f"match tone.wav {MATCH} --velocity 0", ["velocity", "1..127", "0"]),
    ("match: note of no length", f"match tone.wav {MATCH} --duration 0", ["note lasts", "0"]),
    ("match: note of NaN length", f"match tone.wav {MATCH} --duration nan", ["note lasts", "nan"]),
    ("match: unknown synth", f"match tone.wav {MATCH} --synth dexde", ["'dexde'", "did you mean dexed?"]),
    ("match: no corpus there", f"match tone.wav {MATCH} --corpus no-corpus", ["no-corpus", "no corpus"]),
    ("match: folder as corpus", f"match tone.wav {MATCH} --corpus folder", ["folder", "no corpus"]),
    ("match: file as corpus", f"match tone.wav {MATCH} --corpus tone.wav", ["tone.wav"]),
    ("match: unfinished corpus", f"match tone.wav {MATCH} --corpus unfinished", ["unfinished", "2 of 2", "again"]),
    ("match: corpus of other synth", f"match tone.wav {MATCH} --corpus whistle-corpus", ["whistle", "dexed"]),
    ("match: no checkpoint", f"match tone.wav {MATCH} --proxy no.safetensors", ["no.safetensors", "no such file"]),
    ("match: checkpoint of text", f"match tone.wav {MATCH} --proxy text.safetensors", ["text.safetensors", "whole"]),
    ("match: checkpoint cut off", f"match tone.wav {MATCH} --proxy cut.safetensors", ["cut.safetensors", "whole"]),
    # Where nothing can be written.
    ("match: below a file", "match tone.wav --renders 40 --out tone.wav/made", ["tone.wav/made", "cannot be made"]),
    ("match: into a file", "match tone.wav --renders 40 --out tone.wav", ["tone.wav", "cannot be made"]),
    ("match: impossible name", f"match tone.wav --renders 40 --out {'n' * 300}", ["cannot be made", "too long"]),
    ("embed: below a file", "embed tone.wav -o tone.wav/made.npz", ["tone.wav/made.npz", "cannot be written"]),
    ("embed: no such folder", "embed tone.wav -o no/made.npz", ["no/made.npz", "cannot be written"]),
    ("embed: onto a folder", "embed tone.wav -o folder", ["folder", "cannot be written", "folder"]),
    ("embed: onto this folder", "embed tone.wav -o .", ["cannot be written", "folder"]),
    ("render: below a file", "render voice.syx -o tone.wav/made.wav", ["tone.wav/made.wav", "folder"]),
    ("render: no such folder", "render voice.syx -o no/made.wav", ["no/made.wav", "does not exist"]),
    ("generate: onto a file", "generate --size 64 --out tone.wav", ["tone.wav"]),
    ("generate: below a file", "generate --size 64 --out tone.wav/made", ["tone.wav"]),
    ("train: into a file", "train good.toml --out tone.wav", ["tone.wav"]),
    # Presets.
    ("render: no such file", "render no.syx -o made.wav", ["no.syx", "cannot be read"]),
    ("render: folder", "render folder -o made.wav", ["folder", "cannot be read"]),
    ("render: no bytes", "render empty.syx -o made.wav", ["empty.syx", "empty", ".syx"]),
    ("render: text", "render text.syx -o made.wav", ["text.syx", "not a DX7 file"]),
    ("render: cut off", "render cut.syx -o made.wav", ["cut.syx", "cut short"]),
    ("render: checksum", "render checksum.syx -o made.wav", ["checksum.syx", "wrong checksum", "--ignore-checksum"]),
    ("render: number 0", "render bank.syx --number 0 -o made.wav", ["bank.syx", "32 presets", "number 0"]),
    ("render: number 33", "render bank.syx --number 33 -o made.wav", ["bank.syx", "32 presets", "number 33"]),
    ("render: velocity 0", "render voice.syx --velocity 0 -o made.wav", ["velocity", "1..127", "0"]),
    ("render: no length", "render voice.syx --seconds 0 -o made.wav", ["--seconds"]),
    ("render: rate", "render voice.syx --sample-rate 1 -o made.wav", ["--sample-rate", "8000"]),
    ("render: unknown synth", "render voice.syx --synth dx -o made.wav", ["'dx'", "dexed"]),
    # Audio models and their weights.
    ("embed: unknown model", "embed tone.wav --audio-model mn4 -o made.npz", ["'mn4'", "did you mean", "mn04"]),
    (
        "embed: no weights",
        "embed tone.wav --audio-model mn04 --weights no.pt -o made.npz",
        ["no.pt", "mn04_as_mAP_432"],
    ),
    ("embed: other weights", "embed tone.wav --audio-model mn04 --weights text.pt -o made.npz", ["text.pt", "SHA-256"]),
    (
        "embed: text as weights",
        "embed tone.wav --audio-model mn05 --weights text.pt -o made.npz",
        ["text.pt", "damaged"],
    ),
    ("embed: weights for none", "embed tone.wav --weights text.pt -o made.npz", ["mel takes no weights", "leave"]),
    ("proxies: unknown model", "proxies --audio-model mn4 --json", ["'mn4'", "mn04"]),
    ("proxies: unknown synth", "proxies --synth dexed-papre --json", ["'dexed-papre'", "did you mean dexed-paper"]),
    # Corpora.
    ("generate: size 0", "generate --size 0 --out made", ["size of 0", "at least one"]),
    ("generate: odd first", "generate --size 64 --first 100 --out made", ["multiple of 512", "100"]),
    ("generate: negative seed", "generate --size 64 --seed -1 --out made", ["seed", "-1"]),
    ("generate: no workers", "generate --size 64 --workers -1 --out made", ["worker", "-1"]),
    ("generate: endless clip", "generate --size 64 --seconds inf --out made", ["clip lasts", "inf"]),
    ("generate: other settings", f"generate --size 64 {CLIP} --seed 1 --out corpus", ["corpus", "another seed"]),
    ("generate: other things there", "generate --size 64 --out other-things", ["other-things", "corpus"]),
    ("import: nothing there", "import no-folder --out made", ["no-folder", "cannot be read"]),
    ("import: empty folder", "import folder --out made", ["folder", "no .syx file"]),
    ("import: text", "import text.syx --out made", ["text.syx", "not a DX7 file"]),
    ("merge: gap", "merge corpus far-part --out made", ["far-part", "item 1024", "expected 64"]),
    ("merge: of other models", "merge corpus mfcc40-corpus --out made", ["mfcc40-corpus", "audio_model"]),
    ("merge: unfinished", "merge corpus unfinished --out made", ["unfinished", "2 of 2"]),
    # Recipes and checkpoints.
    (
        "train: three mistakes",
        "train three-mistakes.toml --out made",
        [
            "three-mistakes.toml",
            "proxy.name",
            "did you mean hn-oh",
            "corpus.train",
            "no-corpus",
            "training.learning_rate",
        ],
    ),
    ("train: no recipe", "train no.toml --out made", ["no.toml", "cannot be read"]),
    ("train: text", "train text.toml --out made", ["text.toml", "not TOML"]),
    ("train: unknown key", "train unknown-key.toml --out made", ["weight_decai", "did you mean weight_decay?"]),
    ("train: unknown override", "train good.toml --set proxi.name=tfm --out made", ["proxi", "proxy"]),
    ("train: no override", "train good.toml --set tfm --out made", ["'tfm'", "section.key=value"]),
    ("train: corpora that differ", "train other-corpora.toml --out made", ["audio model differs"]),
    ("evaluate: other model", "evaluate good.safetensors --corpus mfcc40-corpus", ["good.safetensors", "audio model"]),
    (
        "evaluate: other space",
        "evaluate good.safetensors --corpus whistle-corpus",
        ["good.safetensors", "spaces differ"],
    ),
    ("evaluate: no checkpoint", "evaluate no.safetensors --corpus corpus", ["no.safetensors", "no such file"]),
    ("evaluate: cut off", "evaluate cut.safetensors --corpus corpus", ["cut.safetensors", "whole"]),
    ("evaluate: no corpus", "evaluate good.safetensors --corpus no-corpus", ["no-corpus", "no corpus"]),
    # The command line itself.
    ("unknown command", "mach tone.wav", ["mach", "match"]),
    ("unknown option", "synths --jsn", ["--jsn", "--json"]),
    ("no target", "match --out made", ["target"]),
    ("no folder", "match tone.wav", ["--out"]),
    ("one word too many", "synths dexed", ["dexed"]),
]


@pytest.mark.parametrize(("line", "words"), [pytest.param(line, words, id=name) for name, line, words in CASES])
def test_bad_input_ends_in_one_clear_line_and_leaves_nothing(line, words, command, materials):
    before = tree(materials)
    assert_one_clear_line(command(line), *words)
    assert tree(materials) == before


def test_python_process_prints_one_line_and_no_traceback(process, materials):
    before = tree(materials)
    assert_one_clear_line(process("distance no-such.wav tone.wav", materials), "no-such.wav")
    assert_one_clear_line(process("render checksum.syx -o made.wav", materials), "--ignore-checksum")
    assert_one_clear_line(process("mach tone.wav", materials), "mach")
    assert tree(materials) == before


def test_missing_weights_without_a_network_are_asked_for(process, materials, tmp_path):
    """The message says which file is missing, where it is and where to put it; nothing waits for the network."""
    offline = {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "SYNTHPROXY_SHARED": "",
        **dict.fromkeys(("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9"),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), ""),
    }
    before = tree(materials)
    outcome = process("embed tone.wav --audio-model mn04 -o made.npz", materials, offline)
    place = tmp_path / "cache" / "synthproxy" / "weights"
    assert_one_clear_line(outcome, "mn04_as_mAP_432.pt", "download https://", str(place), "SYNTHPROXY_SHARED")
    assert tree(materials) == before
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_wrong_checksum_can_be_ignored(command, tmp_path):
    assert command(f"render checksum.syx --ignore-checksum --seconds 0.5 -o {tmp_path / 'a.wav'}").code == 0
    assert command(f"render voice.syx --seconds 0.5 -o {tmp_path / 'b.wav'}").code == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_a_failed_match_keeps_the_results_that_were_there(command, tmp_path):
    before = command(f"match tone.wav --renders 40 --top 1 --out {tmp_path}")
    assert before.code == 0
    contents = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    with largest_file(20_000):  # Enough for best.syx, too little for best.wav.
        outcome = command(f"match tone.wav --renders 40 --seed 1 --top 1 --out {tmp_path}")
    assert_one_clear_line(outcome, str(tmp_path), "best.wav")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == contents


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let every write beyond so many bytes of a file fail, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


WRITING = [
    "render voice.syx -o {disk}/made.wav",
    f"generate --size 64 {CLIP} --out {{disk}}/made",
    "match tone.wav --renders 40 --top 1 --out {disk}/made",
    "embed tone.wav -o {disk}/made.npz",
]


@pytest.mark.parametrize("line", WRITING[:2])
def test_failed_write_leaves_no_half_file(line, command, tmp_path):
    with largest_file(2000):
        outcome = command(line.format(disk=tmp_path))
    assert_one_clear_line(outcome, str(tmp_path), "File too large")
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".wav", ".part")]


@pytest.fixture
def full_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own without a free byte."""
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small disk can be mounted: run as root with the right to mount, to see what a full disk does")
    try:
        with contextlib.suppress(OSError), (tmp_path / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.parametrize("line", WRITING)
def test_full_disk_is_named_and_nothing_half_written_stays(line, command, full_disk):
    before = tree(full_disk)
    outcome = command(line.format(disk=full_disk))
    assert_one_clear_line(outcome, str(full_disk), "No space left")
    assert tree(full_disk) == before
