"""Judging proxies on the command line: hand-crafted presets, pictures of embeddings, and reports of training runs."""

import contextlib
import csv
import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from synthproxy.cli import main
from synthproxy.corpus import Corpus
from synthproxy.report import projection
from synthproxy.report.plots import bar_comparison
from synthproxy.synths import NamedPreset, get_synth

DOCUMENT = Path(__file__).parent.parent / "docs" / "evaluation.md"
SMALL = """
[proxy]
name = "hn-oh"
sizes = { width = 16, blocks = 2 }
[corpus]
train = "corpora/training"
validation = "corpora/validation"
[training]
batch_size = 32
epochs = 3
learning_rate = 4e-3
[schedule]
kind = "cosine"
[machine]
threads = 1
"""
JUDGE = "evaluate runs/small/best_mrr.safetensors --corpus corpora/validation"
needs_umap = pytest.mark.skipif(
    find_spec("umap") is None, reason="umap-learn is not installed: pip install 'synthproxy[plots]'"
)


def run(line: str) -> None:
    """Run a command line that must succeed."""
    with pytest.raises(SystemExit) as ending:
        main(line.split())
    assert not ending.value.code


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Corpora, a folder of voices, and two training runs."""
    folder = tmp_path_factory.mktemp("made")
    with contextlib.chdir(folder):
        for name, seed in (("training", 1), ("validation", 2), ("people", 5)):
            run(f"generate --synth dexed-paper --audio-model mel --size 64 --seed {seed} --out corpora/{name}")
        presets = Corpus.open(Path("corpora/people")).presets()
        Path("voices").mkdir()
        get_synth("dexed-paper").write_presets(
            Path("voices/bank.syx"), [NamedPreset(preset, f"VOICE {i}", "") for i, preset in enumerate(presets[:32])]
        )
        run("import voices --synth dexed-paper --audio-model mel --out corpora/hand-crafted")
        Path("small.toml").write_text(SMALL, encoding="utf8")
        run("train small.toml --out runs/small")
        run("train small.toml --set proxy.sizes.width=24 --out runs/wide")
    return folder


@pytest.fixture(autouse=True)
def _among_copies(made, tmp_path, monkeypatch):
    """Each test has the material for itself."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


def read_json(outcome) -> dict:
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def assert_one_clear_line(outcome, *words: str) -> None:
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("synthproxy: ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


# Hand-crafted presets


def test_hand_crafted_presets_are_contrasted_in_every_form(command):
    found = read_json(command(f"{JUDGE} --hand-crafted corpora/hand-crafted --out scores --json"))
    measures = found["hand_crafted"]["measures"]
    assert (found["hand_crafted"]["gallery"], found["hand_crafted"]["hand_crafted"]["presets"]) == (32, 32)
    for measure in measures.values():
        one, other = measure["synthetic"]["value"], measure["hand_crafted"]["value"]
        if measure["difference"]:
            assert measure["difference"]["value"] == pytest.approx((other - one) / one)
    with Path("scores/hand-crafted.csv").open(encoding="utf8") as file:
        rows = {row[""]: row for row in csv.DictReader(file)}
    assert set(rows) == {"MRR", "recall@1", "recall@5", "recall@10", "L1", "L1 of the mean embedding"}
    assert float(rows["L1"]["hand-crafted"]) == measures["l1"]["hand_crafted"]["value"]
    assert float(rows["L1"]["difference, %"]) == pytest.approx(100 * measures["l1"]["difference"]["value"])
    assert "32 hand-crafted" in Path("scores/hand-crafted.md").read_text(encoding="utf8")
    assert r"\toprule" in Path("scores/hand-crafted.tex").read_text(encoding="utf8")
    saved = json.loads(Path("scores/scores.json").read_text(encoding="utf8"))
    assert {key: saved[key] for key in found} == found
    assert saved["checkpoint"] == "runs/small/best_mrr.safetensors"


def test_both_tables_are_printed(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = command(f"{JUDGE} --hand-crafted corpora/hand-crafted").out
    assert "Scores" in shown
    assert "Synthetic and hand-crafted presets" in shown
    assert not Path("scores").exists()


def test_how_well_predictions_are_told_apart_is_written_everywhere(command):
    found = read_json(command(f"{JUDGE} --out scores --json"))
    assert 0 <= found["separability"]["accuracy"] <= 1
    assert found["separability"]["presets"] == 64
    assert found["hand_crafted"] is None
    shown = f"in {100 * found['separability']['accuracy']:.1f} % of cases"
    assert shown in Path("scores/directions.md").read_text(encoding="utf8")
    assert not Path("scores/hand-crafted.md").exists()


# Pictures of embeddings


@needs_umap
def test_embeddings_are_drawn_by_kind_and_by_parameter(command):
    line = f"{JUDGE} --hand-crafted corpora/hand-crafted --umap --label algorithm --out scores"
    assert command(line).code == 0
    kinds = {f"umap-{name}{ending}.png" for name in ("kind", "algorithm") for ending in ("", "-dark")}
    assert {path.name for path in Path("scores").glob("*.png")} == kinds


@needs_umap
def test_one_kind_is_drawn_by_parameter_alone(command):
    assert command(f"{JUDGE} --umap --label lfo_wave --out scores").code == 0
    assert {path.name for path in Path("scores").glob("umap-*.png")} == {"umap-lfo_wave.png", "umap-lfo_wave-dark.png"}


BAD = [
    ("--umap --out made", ["--umap", "--hand-crafted", "--label"]),
    ("--umap --label algorithm", ["--umap", "--out"]),
    ("--label algorithm --out made", ["--label algorithm", "--umap"]),
    ("--umap --label algoritm --out made", ["'algoritm'", "there are: algorithm"]),
    ("--umap --label feedback --out made", ["'feedback'", "there are: algorithm"]),
    ("--hand-crafted corpora/training --out made", ["corpora/training", "synthetic corpus", "`import`"]),
    ("--hand-crafted no-corpus --out made", ["no-corpus", "no corpus"]),
]


@pytest.mark.parametrize(("options", "words"), BAD)
def test_mistakes_end_in_one_clear_line_before_any_work(options, words, command):
    if "--umap" in options and find_spec("umap") is None:
        pytest.skip("umap-learn is not installed: pip install 'synthproxy[plots]'")
    assert_one_clear_line(command(f"{JUDGE} {options}"), *words)
    assert not Path("made").exists()


def test_without_the_package_pictures_are_refused(command, monkeypatch):
    monkeypatch.setattr(projection, "find_spec", lambda _name: None)
    outcome = command(f"{JUDGE} --umap --label algorithm --out made")
    assert_one_clear_line(outcome, "umap-learn", "pip install 'synthproxy[plots]'")
    assert not Path("made").exists()


def test_a_corpus_of_people_cannot_stand_for_a_synthetic_one(command):
    line = "evaluate runs/small/best_mrr.safetensors --corpus corpora/hand-crafted --hand-crafted corpora/hand-crafted"
    assert_one_clear_line(command(line), "hand-crafted corpus, expected a synthetic one")


# Reports


def test_a_report_needs_nothing_but_the_folders_of_the_runs(command):
    shutil.rmtree("corpora")
    found = read_json(command("report runs/small runs/wide --out report --json"))
    metrics = [json.loads(line) for line in Path("runs/small/metrics.jsonl").read_text().splitlines()]
    small, wide = found["runs"]
    assert (small["run"], wide["run"]) == ("small", "wide")
    assert (small["proxy"], small["synth"], small["audio_model"]) == ("hn-oh", "dexed-paper", "mel")
    assert (small["presets_seen"], small["best_mrr"]) == (192, max(row["mrr"] for row in metrics))
    assert small["best_l1"] == min(row["l1"] for row in metrics)
    assert (small["last_mrr"], small["last_l1"]) == (metrics[-1]["mrr"], metrics[-1]["l1"])
    assert 0 < small["parameters"] < wide["parameters"]
    assert found["scores"] == found["hand_crafted"] == []
    names = {path.name for path in Path("report").iterdir()}
    assert names == {
        *("index.html", "learning-curves.png", "learning-curves-dark.png", "runs.md", "runs.csv", "runs.tex"),
    }
    with Path("report/runs.csv").open(encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["small", "wide"]
    assert float(rows[0]["best MRR"]) == small["best_mrr"]


def test_scores_in_the_folders_of_runs_are_reported(command):
    for name in ("small", "wide"):
        line = JUDGE.replace("small", name)
        assert command(f"{line} --hand-crafted corpora/hand-crafted --out runs/{name}/scores").code == 0
    found = read_json(command("report runs/small runs/wide --out report --json"))
    saved = json.loads(Path("runs/wide/scores/scores.json").read_text(encoding="utf8"))
    assert [(row["run"], row["checkpoint"]) for row in found["scores"]] == [("small", "best_mrr"), ("wide", "best_mrr")]
    assert found["scores"][1]["mrr"] == saved["score"]["validation"]["mrr"]
    assert found["scores"][1]["recall@10"] == saved["score"]["one_against_all"]["recall_at"]["10"]
    assert found["scores"][1]["told_apart"] == saved["separability"]["accuracy"]
    rows = [row for row in found["hand_crafted"] if row["measure"] == "l1"]
    assert [row["run"] for row in rows] == ["small", "wide"]
    assert rows[1]["hand_crafted"] == saved["hand_crafted"]["measures"]["l1"]["hand_crafted"]
    with Path("report/test-scores.csv").open(encoding="utf8") as file:
        assert [row["run"] for row in csv.DictReader(file)] == ["small", "wide", "mean", "chance"]
    for name in ("hand-crafted-mrr", "hand-crafted-recall-1", "hand-crafted-l1"):
        with Path(f"report/{name}.csv").open(encoding="utf8") as file:
            assert [row["run"] for row in csv.DictReader(file)] == ["small", "wide"]
    page = Path("report/index.html").read_text(encoding="utf8")
    assert all(heading in page for heading in ("Training", "Test", "Synthetic and hand-crafted"))


def test_several_evaluations_of_a_run_are_told_apart_and_other_files_of_that_name_left_alone(command):
    for name in ("once", "again"):
        assert command(f"{JUDGE} --out runs/small/{name}").code == 0
    Path("runs/small/ranking").mkdir()
    Path("runs/small/ranking/scores.json").write_text('{"scores": []}', encoding="utf8")
    shown = read_json(command("report runs/small --out report --json"))["scores"]
    assert [row["run"] for row in shown] == ["small, again", "small, once"]


def test_pictures_beside_scores_are_shown_once(command):
    for name in ("small", "wide"):
        assert command(f"{JUDGE.replace('small', name)} --out runs/{name}/scores").code == 0
        for ending in ("", "-dark"):
            Path(f"runs/{name}/scores/umap-kind{ending}.png").write_bytes(bar_comparison(["a"], [1.0]))
    assert command("report runs/small runs/wide --out report").code == 0
    assert Path("report/index.html").read_text(encoding="utf8").count("True embeddings, by kind</h3>") == 1


def test_runs_of_one_name_are_called_by_their_paths_and_each_counts_once(command):
    shutil.copytree("runs/wide", "more/small")
    found = read_json(command("report runs/small more/small runs/../runs/small --out report --json"))
    assert [row["run"] for row in found["runs"]] == ["runs/../runs/small", "more/small"]


def test_best_values_are_marked_only_where_runs_compare(command):
    assert command("report runs/small runs/wide --out report").code == 0
    assert "**" in Path("report/runs.md").read_text(encoding="utf8").split("\n\n")[1]
    recipe = json.loads(Path("runs/wide/recipe.json").read_text())
    recipe["corpora"]["validation"]["size"] = 65
    Path("runs/wide/recipe.json").write_text(json.dumps(recipe))
    assert command("report runs/small runs/wide --out report").code == 0
    text = Path("report/runs.md").read_text(encoding="utf8")
    assert "**" not in text.split("\n\n")[1]
    assert "do not compare" in text


def test_a_run_that_has_just_begun_is_a_row_with_gaps(command):
    for file in Path("runs/wide").iterdir():
        if file.name != "recipe.json":
            file.unlink()
    row = read_json(command("report runs/wide --out report --json"))["runs"][0]
    assert (row["proxy"], row["parameters"], row["best_mrr"], row["minutes"]) == ("hn-oh", None, None, None)
    assert not Path("report/learning-curves.png").exists()
    assert "| wide | hn-oh |" in Path("report/runs.md").read_text(encoding="utf8")


NO_RUNS = [
    ("report runs/small corpora --out made", ["corpora", "not the folder of a training run", "`synthproxy train`"]),
    ("report no-such-run --out made", ["no-such-run", "not the folder of a training run"]),
    ("report small.toml --out made", ["small.toml", "not the folder of a training run"]),
    ("report --out made", ["--runs", "requires an argument"]),
    ("report runs/small", ["--out"]),
]


@pytest.mark.parametrize(("line", "words"), NO_RUNS)
def test_folders_that_are_no_runs_are_named(line, words, command):
    assert_one_clear_line(command(line), *words)
    assert not Path("made").exists()


def test_damaged_scores_are_named(command):
    Path("runs/small/scores.json").write_text('{"score": {"one_against_all": {}}}', encoding="utf8")
    assert_one_clear_line(command("report runs/small --out made"), "runs/small/scores.json", "`synthproxy evaluate`")
    assert not Path("made").exists()


def test_report_is_a_command_that_explains_itself(command):
    assert "report" in command("--help").out
    assert "Folders of training" in command("report --help").out


# The documentation


@needs_umap
def test_what_the_page_on_evaluation_shows_runs_from_top_to_bottom(command):
    for language, text in re.findall(r"```(\w+)\n(.*?)```", DOCUMENT.read_text(encoding="utf8"), re.DOTALL):
        if language == "python":
            exec(compile(text, str(DOCUMENT), "exec"), {})
            continue
        for line in text.strip().splitlines():
            outcome = command(line.removeprefix("synthproxy "))
            assert outcome.code == 0, outcome.err
            assert outcome.out
    assert Path("pictures/umap-name.png").exists()
    for name in ("scores", "directions", "hand-crafted", "galleries", "worst"):
        assert Path(f"runs/small/scores/{name}.md").exists()
    assert "True embeddings, by algorithm" in Path("report/index.html").read_text(encoding="utf8")
