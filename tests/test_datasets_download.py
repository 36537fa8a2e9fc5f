"""Where files are looked for, and downloads that resume and are verified; a local server only."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import sys
import threading

import numpy as np
import pytest

from fastconv.datasets import _download, _idx_sets, _locate, fashion_mnist, mnist
from fastconv.datasets._download import download
from fastconv.datasets._idx_sets import IdxSet
from fastconv.errors import DatasetError

BODY = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``cut`` ends each answer early; ``ranges`` False ignores Range headers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cut, self.ranges, self.requests, self.length = {}, None, True, [], True
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append((self.path, wanted))
        body = server.files.get(self.path.strip("/"))
        start = int(wanted[6:-1]) if wanted and server.ranges else 0
        if body is None or (start and start >= len(body)):
            self.send_error(404 if body is None else 416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if server.length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    instance = Server()
    thread = threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield instance
    instance.shutdown()
    instance.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Only folders of this test are searched."""
    for name in ("FASTCONV_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path / "cache"))
    return tmp_path


def verify_body(path):
    if path.read_bytes() != BODY:
        raise DatasetError("wrong bytes")


def names(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_download(server, tmp_path, capsys):
    server.files["f"] = BODY
    target = tmp_path / "new" / "f"
    download([f"{server.url}/f"], target, verify_body, 1 << 20)
    assert target.read_bytes() == BODY and names(target.parent) == ["f"]
    assert server.url in capsys.readouterr().err
    download(["http://127.0.0.1:9/never-asked"], target, verify_body, 1 << 20)


def test_broken_connections_are_continued(server, tmp_path):
    server.files["f"], server.cut = BODY, 100_000
    download([f"{server.url}/f"], tmp_path / "f", verify_body, 1 << 20)
    assert [r for _, r in server.requests] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_later_call_continues_the_part(server, tmp_path):
    server.files["f"], server.cut = BODY, 1000
    with pytest.raises(DatasetError, match=r"connection broke 5 times"):
        download([f"{server.url}/f"], tmp_path / "f", verify_body, 1 << 20)
    assert names(tmp_path) == ["f.part"] and (tmp_path / "f.part").stat().st_size == 5000
    server.cut = None
    download([f"{server.url}/f"], tmp_path / "f", verify_body, 1 << 20)
    assert server.requests[-1][1] == "bytes=5000-" and names(tmp_path) == ["f"]


@pytest.mark.parametrize("part", [b"rubbish", BODY[:-1] + b"?", BODY + b"too long", BODY])
def test_parts_of_any_kind_end_in_the_right_file(server, tmp_path, part):
    server.files["f"] = BODY
    (tmp_path / "f.part").write_bytes(part)
    download([f"{server.url}/f"], tmp_path / "f", verify_body, 1 << 20)
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize("length", [True, False])
def test_server_without_ranges(server, tmp_path, length):
    server.files["f"], server.ranges, server.length = BODY, False, length
    (tmp_path / "f.part").write_bytes(BODY[:1000])
    download([f"{server.url}/f"], tmp_path / "f", verify_body, 1 << 20)
    assert (tmp_path / "f").read_bytes() == BODY


def test_mirrors_in_turn(server, tmp_path):
    server.files.update(wrong=BODY[::-1], right=BODY)
    urls = [
        "http://127.0.0.1:9/refused",
        f"{server.url}/absent",
        f"{server.url}/wrong",
        f"{server.url}/right",
    ]
    download(urls, tmp_path / "f", verify_body, 1 << 20)
    assert (tmp_path / "f").read_bytes() == BODY
    with pytest.raises(DatasetError, match=r"(?s)refused.*HTTP 404.*wrong bytes"):
        download(urls[:-1], tmp_path / "g", verify_body, 1 << 20)
    assert names(tmp_path) == ["f"]


def test_endless_answers_are_cut(server, tmp_path):
    server.files["f"] = BODY
    with pytest.raises(DatasetError, match="more than the 1000 bytes"):
        download([f"{server.url}/f"], tmp_path / "f", verify_body, 1000)
    assert names(tmp_path) == []


def test_two_at_once(server, tmp_path):
    server.files["f"] = BODY
    errors = []

    def fetch():
        try:
            download([f"{server.url}/f"], tmp_path / "f", verify_body, 1 << 20)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(server.requests) == 1 and (tmp_path / "f").read_bytes() == BODY


# -- a small data set in four IDX files --


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


FILES = dict(zip(_idx_sets._FILES, [idx(np.full((3, 2, 2), i, np.uint8)) for i in range(4)], strict=True))
DIGESTS = [hashlib.sha256(data).hexdigest() for data in FILES.values()]


def small(*mirrors):
    return IdxSet("tiny", DIGESTS, mirrors, aliases=("Tiny/raw",))


def fill(folder, pack=bytes, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in FILES.items():
        (folder / (name + suffix)).write_bytes(pack(data))


def right(parts):
    return [a[0, 0, 0] for part in parts for a in part] == [0, 1, 2, 3]


def test_download_of_a_set_and_its_cache(server, places):
    server.files.update({f"{name}.gz": gzip.compress(data) for name, data in FILES.items()})
    assert right(small(server.url).load()) and len(server.requests) == 4
    assert right(small().load())
    assert names(places / "cache" / "tiny") == sorted(f"{name}.gz" for name in FILES)


def test_wrong_bytes_from_the_server(server, places):
    server.files.update({f"{name}.gz": gzip.compress(data[:-1] + b"?") for name, data in FILES.items()})
    with pytest.raises(DatasetError, match="SHA-256"):
        small(server.url).load()
    assert names(places / "cache" / "tiny") == []


@pytest.mark.parametrize("place", ["tiny", "Tiny/raw", "."])
@pytest.mark.parametrize("pack, suffix", [(bytes, ""), (gzip.compress, ".gz")])
def test_FASTCONV_DATA(places, monkeypatch, place, pack, suffix):
    fill(places / "data" / place, pack, suffix)
    monkeypatch.setenv("FASTCONV_DATA", str(places / "data"))
    assert right(small().load())
    assert right(small().load(places / "data" / place))


def test_order_of_folders(places, monkeypatch):
    monkeypatch.setenv("FASTCONV_DATA", str(places))
    found = _locate.folders("tiny", ("Tiny/raw",), [places / "system"])
    assert found == [places / p for p in ("tiny", "Tiny/raw", ".", "system", "cache/tiny")]
    monkeypatch.setenv("FASTCONV_DATA", "")
    monkeypatch.delenv("FASTCONV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert [str(p) for p in _locate.folders("tiny")] == ["/x/fastconv/tiny"]
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/h")
    assert [str(p) for p in _locate.folders("tiny")] == ["/h/.cache/fastconv/tiny"]
    system = [str(p) for p in fashion_mnist._SET.system]
    assert system[0] == "/usr/share/datasets/fashion-mnist" and system[-1].startswith((sys.prefix, "/usr"))


def test_damaged_local_file_is_an_error_not_a_download(places, monkeypatch):
    fill(places / "tiny")
    (places / "tiny" / "t10k-labels-idx1-ubyte").write_bytes(FILES["train-labels-idx1-ubyte"])
    monkeypatch.setenv("FASTCONV_DATA", str(places))
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte is not the published file"):
        small("http://127.0.0.1:9").load()


def test_no_network_says_what_to_put_where(places, monkeypatch):
    with pytest.raises(DatasetError) as caught:
        small("http://127.0.0.1:9").load()
    message = str(caught.value)
    assert message.startswith("[tiny.load_data] data files are missing") and "refused" in message
    assert all(f"{name}.gz" in message for name in FILES)
    assert str(places / "cache" / "tiny") in message and "set FASTCONV_DATA=FOLDER" in message
    monkeypatch.setenv("FASTCONV_DATA", str(places / "nowhere"))
    with pytest.raises(DatasetError, match="FASTCONV_DATA must name a folder"):
        small().load()


def test_path_is_searched_alone(places):
    fill(places / "cache" / "tiny")
    (places / "empty").mkdir()
    with pytest.raises(DatasetError, match="missing"):
        small("http://127.0.0.1:9").load(places / "empty")
    for bad, error in ((3, TypeError), ("", ValueError), (b"x", TypeError)):
        with pytest.raises(error, match="path"):
            small().load(bad)


def test_unwritable_cache(places, monkeypatch):
    (places / "file").write_text("")
    monkeypatch.setenv("FASTCONV_CACHE", str(places / "file"))
    with pytest.raises(DatasetError, match="download failed"):
        small("http://127.0.0.1:9").load()


def test_npz_in_keras_layout_must_have_its_shapes(places):
    np.savez(places / "mnist.npz", x_train=np.zeros((2, 2)), y_train=[0, 1], x_test=np.zeros((1, 2)), y_test=[0])
    with pytest.raises(DatasetError, match="60000 images"):
        mnist.load_data(places / "mnist.npz")


def test_timeouts_are_finite():
    assert 0 < _download._TIMEOUT <= 60
