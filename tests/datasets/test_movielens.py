"""fetch_movielens against a local server: nothing here leaves the machine."""

import hashlib
import io
import re
import socket
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sklearn_unlearn.datasets import _movielens, fetch_movielens

RATINGS = {
    "ml-latest-small": (
        "ratings.csv",
        "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n7,10,4.0,851866703\n",
    ),
    "ml-100k": ("u.data", "1\t31\t2.5\t1260759144\n7\t10\t4.0\t851866703\n"),
    "ml-1m": ("ratings.dat", "1::31::2.5::1260759144\n7::10::4.0::851866703\n"),
}


def make_archive(member, text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, text)
    return buffer.getvalue()


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of the folder tmp_path/web; ``requests`` lists what was asked for."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SKLEARN_UNLEARN_DATA", raising=False)
    monkeypatch.delenv("SKLEARN_UNLEARN_MOVIELENS_URL", raising=False)
    folder = tmp_path / "web"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as http:
        http.folder, http.requests = folder, []
        http.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home" / "not-there-yet"


@pytest.mark.parametrize("name", RATINGS)
@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_download_once_then_read_from_disk(name, algorithm, server, home):
    member, text = RATINGS[name]
    data = make_archive(f"{name}/{member}", text)
    (server.folder / f"{name}.zip").write_bytes(data)
    digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    for _ in range(2):
        events = fetch_movielens(
            name, data_home=home, base_url=server.url + "/", known_hash=digest, progress=False
        )
        assert events.user.tolist() == [1, 7]
        assert events.item.tolist() == [31, 10]
        assert events.value.tolist() == [2.5, 4.0]
        assert events.timestamp.tolist() == [1260759144, 851866703]
    assert server.requests == [f"/{name}.zip"]
    assert [path.name for path in home.iterdir()] == [f"{name}.zip"]  # nothing is unpacked
    offline = fetch_movielens(name, data_home=home, download_if_missing=False, known_hash=digest)
    assert offline.user.tolist() == [1, 7]


def test_environment_names_the_folders(server, home, monkeypatch):
    data = make_archive("ml-100k/u.data", RATINGS["ml-100k"][1])
    (server.folder / "ml-100k.zip").write_bytes(data)
    monkeypatch.setenv("SKLEARN_UNLEARN_DATA", str(home))
    monkeypatch.setenv("SKLEARN_UNLEARN_MOVIELENS_URL", server.url)
    assert len(fetch_movielens("ml-100k", known_hash=sha256(data), progress=True)) == 2
    assert (home / "ml-100k.zip").read_bytes() == data


def test_another_digest_is_refused_and_nothing_is_left(server, home):
    data = make_archive("ml-1m/ratings.dat", RATINGS["ml-1m"][1])
    (server.folder / "ml-1m.zip").write_bytes(data)
    with pytest.raises(
        ValueError, match=r"does not have the digest sha256:a68.*; expected.*try ag"
    ):
        fetch_movielens("ml-1m", data_home=home, base_url=server.url, progress=False)
    assert list(home.iterdir()) == []


def test_a_damaged_file_is_fetched_again(server, home):
    data = make_archive("ml-100k/u.data", RATINGS["ml-100k"][1])
    (server.folder / "ml-100k.zip").write_bytes(data)
    home.mkdir(parents=True)
    (home / "ml-100k.zip").write_bytes(data[:-5])
    arguments = {"data_home": home, "base_url": server.url, "known_hash": sha256(data)}
    with pytest.raises(FileNotFoundError, match="has another digest than expected"):
        fetch_movielens("ml-100k", **arguments, download_if_missing=False)
    assert len(fetch_movielens("ml-100k", **arguments, progress=False)) == 2
    assert (home / "ml-100k.zip").read_bytes() == data


def test_not_found_on_the_server(server, home):
    with pytest.raises(
        ConnectionError, match=rf"{server.url}/ml-100k\.zip \(HTTP status 404\).*by hand.*{home}"
    ):
        fetch_movielens("ml-100k", data_home=home, base_url=server.url, progress=False)


def test_offline_says_what_to_do(home, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:  # bound, never listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ConnectionError) as error:
            fetch_movielens(data_home=home, base_url=url, progress=False)
    text = str(error.value)
    assert f"Could not download {url}/ml-latest-small.zip (ConnectionError); expected" in text
    assert f"download the archive by hand to '{home / 'ml-latest-small.zip'}'" in text
    assert list(home.glob("*")) == []


def test_no_download_if_not_allowed(server, home):
    with pytest.raises(FileNotFoundError, match=r"does not exist.*; expected it there\. Download"):
        fetch_movielens(data_home=home, base_url=server.url, download_if_missing=False)
    assert server.requests == []
    assert not home.exists()


@pytest.mark.parametrize("data", [make_archive("else/where.csv", "1"), b"no archive at all"])
def test_an_archive_without_ratings(data, home):
    home.mkdir(parents=True)
    (home / "ml-100k.zip").write_bytes(data)
    with pytest.raises(ValueError, match=r"does not hold 'ml-100k/u.data'.*; expected .*Delete"):
        fetch_movielens(
            "ml-100k", data_home=home, known_hash=sha256(data), download_if_missing=False
        )


def test_unknown_names_and_the_pinned_digests():
    with pytest.raises(ValueError, match=r"Got name='ml-9'; expected one of .*ml-1m.*load_inter"):
        fetch_movielens("ml-9")
    for release in _movielens._RELEASES.values():
        assert re.fullmatch("[0-9a-f]{64}", release.sha256)
