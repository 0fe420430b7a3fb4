"""Fixtures that several rooms' tests share."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from synthproxy.cli import main
from synthproxy.synths import Parameter, PresetSpace, get_synth
from synthproxy.synths.base import Repeatability
from synthproxy.synths.definition import Definition, PluginSettings
from synthproxy.synths.plugin import PluginSynth

SHARED_VARIABLE = "SYNTHPROXY_SHARED"


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Processes inherit that Ctrl-C is ignored, as it is where the tests run in the background; ours must not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Folder with real weights, reference values and sounds that are too large for the repository.

    ``$SYNTHPROXY_SHARED``, or ``../shared`` beside the checkout; without either the test is skipped.
    """
    named = os.environ.get(SHARED_VARIABLE)
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip(f"no shared folder at {folder}: set {SHARED_VARIABLE} to the folder that holds weights/ and data/")
    return folder


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Outcome]:
    """Run a command line, as it is typed after ``synthproxy``, in this process."""

    def run(line: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main(shlex.split(line))
        out, err = capsys.readouterr()
        return Outcome(int(ending.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def start_process() -> Callable[..., "subprocess.Popen[str]"]:
    """Start a command line in a process of its own, in a folder, with additions to the environment."""

    def start(line: str, folder: Path, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "synthproxy.cli", *shlex.split(line)],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def process(start_process: Callable[..., "subprocess.Popen[str]"]) -> Callable[..., Outcome]:
    """Run a command line in a process of its own to its end."""

    def run(line: str, folder: Path, environment: Mapping[str, str] | None = None) -> Outcome:
        with start_process(line, folder, environment) as running:
            out, err = running.communicate(timeout=120)
        return Outcome(running.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Install an example package of docs/ by pip, from a copy, so that nothing is left beside its source; say where."""
    if not (find_spec("pip") and find_spec("setuptools")):
        pytest.skip("the example is installed by pip and setuptools: python -m ensurepip && pip install setuptools")

    def install(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        shutil.copytree(Path(__file__).parent.parent / "docs" / name, folder / "source")
        options = "--quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --target"
        command = [sys.executable, "-m", "pip", "install", *options.split(), folder / "site", folder / "source"]
        subprocess.run(command, check=True)
        return folder / "site"

    return install


AMSYNTH = Path("/usr/lib/vst/amsynth_vst.so")
AMSYNTH_BANKS = Path("/usr/share/amsynth/banks")


@pytest.fixture(scope="session")
def dawdreamer() -> None:
    """Skips without the package that plays plug-ins."""
    if find_spec("dawdreamer") is None:
        pytest.skip("DawDreamer is not installed: pip install 'synthproxy[plugins]'")


@pytest.fixture(scope="session")
def amsynth(dawdreamer: None) -> PluginSynth:  # noqa: ARG001
    """Debian's amsynth, a real plug-in."""
    if not AMSYNTH.exists():
        pytest.skip(f"amsynth is not installed at {AMSYNTH}: apt-get install amsynth")
    synth = get_synth("amsynth")
    assert isinstance(synth, PluginSynth)
    return synth


@pytest.fixture(scope="session")
def amsynth_banks(amsynth: PluginSynth) -> Path:  # noqa: ARG001
    """The folder of the banks that amsynth comes with."""
    return AMSYNTH_BANKS


@pytest.fixture(scope="session")
def moody_home(tmp_path_factory: pytest.TempPathFactory, dawdreamer: None) -> Path:  # noqa: ARG001
    """A home folder with Moody, compiled, among its LV2 plug-ins."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to build the misbehaving plug-in with: apt-get install gcc")
    source = Path(__file__).parent / "moody"
    home = tmp_path_factory.mktemp("home")
    bundle = home / ".lv2" / "moody.lv2"
    bundle.mkdir(parents=True)
    for file in source.glob("*.ttl"):
        shutil.copy(file, bundle)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(bundle / "moody.so"), str(source / "moody.c"), "-lm"]
    subprocess.run(command, check=True)
    return home


@pytest.fixture
def moody(moody_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of Moody, which is at home now."""
    monkeypatch.setenv("HOME", str(moody_home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(moody_home / "cache"))
    return "http://synthproxy.test/moody"


@pytest.fixture
def moody_synth(moody: str) -> Callable[..., PluginSynth]:
    """Make a synth of Moody: all of its range free, and an isolation that need not be measured."""

    def make(seconds: float = 5.0, isolation: str = "reuse") -> PluginSynth:
        space = PresetSpace("moody", (Parameter("mood"), Parameter("level", default=0.5)))
        repeatability = Repeatability("exact", isolation, 0.0)
        return PluginSynth(
            Definition(space, (0, 1), PluginSettings((moody,), seconds=seconds)), repeatability=repeatability
        )

    return make
