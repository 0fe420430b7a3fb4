"""Synths by name, and packages that add one: installed for real, in a folder of their own."""

from pathlib import Path
from textwrap import dedent

import pytest

from synthproxy.errors import InvalidInputError, UnavailableError
from synthproxy.synths import Synth, describe_synths, get_synth, synth_names

WORKING = """
    from synthproxy.synths.dexed import Dexed

    class Quiet(Dexed):
        def __init__(self):
            super().__init__("dexed", gain=0.5)
            self.name = "quiet"
"""
UNAVAILABLE = """
    from synthproxy.errors import UnavailableError

    def make():
        raise UnavailableError("the plug-in Serum is not installed; get it from its maker")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package whose one module has this source, with this entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(module: str, source: str, point: str) -> None:
        (tmp_path / f"{module}.py").write_text(dedent(source), encoding="utf8")
        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf8")
        (folder / "entry_points.txt").write_text(f"[synthproxy.synths]\n{point}\n", encoding="utf8")
        monkeypatch.syspath_prepend(tmp_path)  # Forgets what the import system had cached.

    return put


def test_built_in_synths_answer_to_their_name() -> None:
    assert {"dexed", "dexed-paper"} <= set(synth_names())
    for name in ("dexed", "dexed-paper"):
        synth = get_synth(name)
        assert isinstance(synth, Synth)
        assert synth.name == synth.space.name == name


@pytest.mark.parametrize(("typed", "meant"), [("dexd", "dexed"), ("dexed_paper", "dexed-paper"), ("Dexed", "dexed")])
def test_unknown_name_suggests_the_closest(typed: str, meant: str) -> None:
    with pytest.raises(InvalidInputError, match=f"unknown synth '{typed}'; did you mean {meant}\\?"):
        get_synth(typed)


def test_name_like_no_other_lists_what_there_is() -> None:
    with pytest.raises(InvalidInputError) as caught:
        get_synth("zzz")
    assert "did you mean" not in str(caught.value)
    assert "dexed, dexed-paper" in str(caught.value)


def test_description_counts_the_free_parameters() -> None:
    found = {info.name: info for info in describe_synths()}
    assert found["dexed-paper"].available
    paper = found["dexed-paper"]
    assert (paper.free, paper.numerical, paper.binary, paper.categorical, paper.one_hot_width) == (100, 92, 0, 8, 141)
    own = found["dexed"]
    assert (own.free, own.numerical, own.binary, own.categorical, own.one_hot_width) == (102, 93, 1, 8, 144)


def test_package_adds_a_synth(install) -> None:
    install("quiet_synth_for_tests", WORKING, "quiet = quiet_synth_for_tests:Quiet")
    assert "quiet" in synth_names()
    assert get_synth("quiet").name == "quiet"
    assert {info.name: info.free for info in describe_synths()}["quiet"] == 102


def test_package_cannot_take_a_built_in_name(install) -> None:
    install("thief_for_tests", "def make():\n    return None\n", "dexed = thief_for_tests:make")
    assert get_synth("dexed").name == "dexed"
    assert synth_names().count("dexed") == 1


@pytest.mark.parametrize(
    ("module", "source", "point", "said"),
    [
        ("raising_for_tests", "def make():\n    raise OSError('no such library')\n", "make", "no such library"),
        ("unimportable_for_tests", "import a_module_that_is_nowhere\n", "make", "a_module_that_is_nowhere"),
        ("nameless_for_tests", "other = 1\n", "make", "make"),
        ("uncallable_for_tests", "make = 42\n", "make", "not callable"),
        ("synthless_for_tests", "def make():\n    return 42\n", "make", "made no synth but a int"),
        ("syntax_for_tests", "def make(:\n", "make", "syntax"),
        ("absent_for_tests", UNAVAILABLE, "make", "Serum is not installed"),
    ],
)
def test_broken_package_is_unavailable_with_the_cause_and_spoils_no_list(
    install, module: str, source: str, point: str, said: str
) -> None:
    install(module, source, f"broken = {module}:{point}")
    with pytest.raises(UnavailableError, match=said):
        get_synth("broken")
    found = {info.name: info for info in describe_synths()}
    assert found["dexed"].available
    assert not found["broken"].available
    assert said in found["broken"].missing
