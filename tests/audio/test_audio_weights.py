"""Weight files: where they are looked for, how they are fetched, and that nothing wrong is loaded."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from synthproxy.audio.mobilenet import MobileNet
from synthproxy.audio.sizes import SIZES, EfficientATSize
from synthproxy.audio.weights import WeightLocations, find_weights, load_network, obtain_weights, weight_locations
from synthproxy.errors import InvalidInputError, UnavailableError

MN05 = SIZES[1]
CLOSED_PORT = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def published_like(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the authors publish it, with random weights and a classifier."""
    path = tmp_path_factory.mktemp("weights") / MN05.file_name
    state = dict(MobileNet(MN05.width).state_dict())
    torch.save(state | {"classifier.2.weight": torch.zeros(3, 3)}, path)
    return path


@pytest.fixture
def locations(tmp_path: Path) -> WeightLocations:
    return WeightLocations(tmp_path / "cache", tmp_path / "shared", CLOSED_PORT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and folder of a web server on this machine."""
    root = tmp_path / "served"
    root.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(root))  # type: ignore[arg-type]

        def log_message(self, *_arguments: object) -> None:
            pass

        def send_header(self, keyword: str, value: str) -> None:
            # A name with "broken" in it promises more bytes than come.
            if keyword == "Content-Length" and "broken" in self.path:
                value = str(int(value) + 1)
            super().send_header(keyword, value)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", root
        running.shutdown()
        thread.join()


def refusal(size: EfficientATSize, path: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        load_network(size, path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_environment_names_the_folders() -> None:
    found = weight_locations({"XDG_CACHE_HOME": "/c", "SYNTHPROXY_SHARED": "/s", "HOME": "/h"})
    assert found.folders == (Path("/c/synthproxy/weights"), Path("/s/weights"))
    assert weight_locations({"HOME": "/h"}).folders == (Path("/h/.cache/synthproxy/weights"),)


def test_explicit_path_comes_before_cache_and_cache_before_shared(locations: WeightLocations, tmp_path: Path) -> None:
    assert find_weights(MN05, locations) is None
    assert locations.shared is not None
    for folder in (locations.shared, locations.cache, tmp_path / "mine"):
        folder.mkdir()
        (folder / MN05.file_name).write_bytes(b"x")
        explicit = folder if folder.name == "mine" else None
        assert find_weights(MN05, locations, explicit) == folder / MN05.file_name
    assert find_weights(MN05, locations, tmp_path / "mine" / MN05.file_name) == tmp_path / "mine" / MN05.file_name


def test_explicit_path_that_is_not_there_is_not_replaced_by_another(locations: WeightLocations, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no weights at"):
        obtain_weights(MN05, locations, tmp_path / "nothing.pt")
    with pytest.raises(InvalidInputError, match=MN05.file_name):
        obtain_weights(MN05, locations, tmp_path)


def test_offline_is_one_sentence_that_says_what_to_do(locations: WeightLocations) -> None:
    with pytest.raises(UnavailableError) as caught:
        obtain_weights(MN05, locations)
    message = str(caught.value)
    for part in (MN05.file_name, str(locations.cache), "SYNTHPROXY_SHARED", CLOSED_PORT):
        assert part in message
    assert "\n" not in message
    assert list(locations.cache.iterdir()) == []


def test_missing_weights_are_fetched_once_into_the_cache(
    locations: WeightLocations, server: tuple[str, Path], published_like: Path
) -> None:
    url, root = server
    (root / MN05.file_name).write_bytes(published_like.read_bytes())
    served = WeightLocations(locations.cache, None, url)
    path = obtain_weights(MN05, served)
    assert path == locations.cache / MN05.file_name
    assert [entry.name for entry in locations.cache.iterdir()] == [MN05.file_name]
    assert load_network(MN05, path)[1] == hashlib.sha256(published_like.read_bytes()).hexdigest()
    assert obtain_weights(MN05, locations) == path


@pytest.mark.parametrize("trouble", ["absent", "other", "broken"])
def test_failed_download_leaves_nothing_behind(
    locations: WeightLocations, server: tuple[str, Path], trouble: str
) -> None:
    url, root = server
    size = EfficientATSize("mn04", 0.4, f"{trouble}.pt", 1, sha256="0" * 64 if trouble == "other" else "")
    if trouble != "absent":
        (root / size.file_name).write_bytes(b"some bytes")
    with pytest.raises(UnavailableError, match=r"could not be fetched \(\S+"):
        obtain_weights(size, WeightLocations(locations.cache, None, url))
    assert list(locations.cache.iterdir()) == []


def test_cache_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="could not be fetched"):
        obtain_weights(MN05, WeightLocations(tmp_path / "file" / "cache", None, CLOSED_PORT))


def test_published_file_loads_without_its_classifier(published_like: Path) -> None:
    network, _ = load_network(MN05, published_like)
    given = torch.load(published_like, weights_only=True)
    assert all(torch.equal(tensor, given[name]) for name, tensor in network.state_dict().items())
    assert not network.training


def test_real_weights_are_the_published_ones(shared_folder: Path) -> None:
    assert load_network(SIZES[0], shared_folder / "weights" / SIZES[0].file_name)[1] == SIZES[0].sha256


def test_known_digest_is_checked(published_like: Path) -> None:
    assert "is not the published mn04" in refusal(SIZES[0], published_like)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_file_is_refused(tmp_path: Path, published_like: Path, damage: str) -> None:
    content = {"truncated": published_like.read_bytes()[:-5000], "text": b"hello", "empty": b""}[damage]
    path = tmp_path / MN05.file_name
    path.write_bytes(content)
    assert "damaged" in refusal(MN05, path)


def test_pickled_code_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "sprung"),)

    path = tmp_path / MN05.file_name
    torch.save({"features.0.0.weight": Trap()}, path)
    refusal(MN05, path)
    assert not (tmp_path / "sprung").exists()


def test_file_of_another_network_is_refused(tmp_path: Path, published_like: Path) -> None:
    assert "has shape" in refusal(SIZES[2], published_like)
    for name, content, reason in (
        ("list.pt", [torch.zeros(1)], "dictionary of tensors"),
        ("few.pt", {"a": torch.zeros(1)}, "missing"),
        ("more.pt", torch.load(published_like, weights_only=True) | {"z": torch.zeros(1)}, "unknown"),
        ("half.pt", {k: v.half() for k, v in torch.load(published_like, weights_only=True).items()}, "holds"),
    ):
        torch.save(content, tmp_path / name)
        assert reason in refusal(MN05, tmp_path / name)
