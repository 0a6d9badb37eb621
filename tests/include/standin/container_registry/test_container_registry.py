"""The stand-in registry by plain HTTP: what the specification says, and what must survive."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from include.oci.layer import layer
from include.oci.manifest import OCI_CONFIG, OCI_MANIFEST, Descriptor, Manifest, compact
from include.oci.reference import digest
from include.standin import container_registry
from include.standin.container_registry import base_images
from include.standin.container_registry.models import Store
from include.standin.home import Home, free_port_base
from include.standin.serving import Background, create_app


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home.create(tmp_path_factory.mktemp("registry-home"), free_port_base(2))


@pytest.fixture(scope="module")
def url(place: Home) -> Iterator[str]:
    with Background(create_app(place, container_registry.create(place, "releases")), place, place.port("releases")) as found:
        yield found


@pytest.fixture
def http(place: Home, url: str) -> Iterator[httpx.Client]:
    login = (place.identity.registry_user, place.identity.registry_password)
    with httpx.Client(verify=ssl.create_default_context(cafile=place.ca), base_url=url, auth=login) as found:
        yield found


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


def push(http: httpx.Client, name: str, data: bytes) -> str:
    place = http.post(f"/v2/{name}/blobs/uploads/").headers["Location"]
    assert http.put(place, params={"digest": digest(data)}, content=data).status_code == 201
    return digest(data)


def an_image(http: httpx.Client, name: str, said: bytes) -> Manifest:
    content = layer({"/a": said})
    config = compact({"rootfs": {"type": "layers", "diff_ids": [content.diff_id]}})
    push(http, name, config)
    push(http, name, content.data)
    parts = {"config": Descriptor(OCI_CONFIG, digest(config), len(config)).to_json(), "layers": [content.descriptor.to_json()]}
    return Manifest(compact({"schemaVersion": 2, "mediaType": OCI_MANIFEST, **parts}), OCI_MANIFEST)


def put(http: httpx.Client, name: str, reference: str, manifest: Manifest) -> httpx.Response:
    return http.put(f"/v2/{name}/manifests/{reference}", content=manifest.content, headers={"Content-Type": manifest.media_type})


def test_the_challenge_names_scope_and_token_service(place: Home, http: httpx.Client, url: str) -> None:
    http.auth = None
    answer = http.get("/v2/edgeloop/a/tags/list")
    assert error(answer) == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == f'Bearer realm="{url}/token",service="releases",scope="repository:edgeloop/a:pull"'
    assert error(http.get("/token")) == (401, "UNAUTHORIZED")


def test_a_token_covers_what_it_was_asked_for(place: Home, http: httpx.Client) -> None:
    push(http, "edgeloop/scoped", b"1")
    token = http.get("/token", params={"scope": "repository:edgeloop/scoped:pull"}).json()["token"]
    http.auth, http.headers["Authorization"] = None, f"Bearer {token}"
    assert http.get(f"/v2/edgeloop/scoped/blobs/{digest(b'1')}").status_code == 200
    assert error(http.post("/v2/edgeloop/scoped/blobs/uploads/")) == (401, "UNAUTHORIZED")
    assert error(http.get("/v2/edgeloop/other/tags/list")) == (401, "UNAUTHORIZED")
    http.headers["Authorization"] = f"Bearer {token[:-1]}{'1' if token[-1] == '0' else '0'}"
    assert error(http.get("/v2/")) == (401, "UNAUTHORIZED")


def test_a_token_ends(place: Home, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.standin.container_registry import tokens

    monkeypatch.setattr(tokens, "LIFETIME", -1)
    token = http.get("/token").json()["token"]
    http.auth, http.headers["Authorization"] = None, f"Bearer {token}"
    assert error(http.get("/v2/")) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/UPPER/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/a/..%2f..%2fb/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/nothing/tags/list", 404, "NAME_UNKNOWN"),
        ("GET", "/v2/nothing/manifests/v1", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/nothing/manifests/..%2f..%2fx", 404, None),
        ("GET", "/v2/nothing/blobs/sha256:12", 400, "DIGEST_INVALID"),
        ("GET", f"/v2/nothing/blobs/{digest(b'')}", 404, "BLOB_UNKNOWN"),
        ("PATCH", "/v2/nothing/blobs/uploads/..", 404, None),
        ("PATCH", "/v2/nothing/blobs/uploads/zz", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("DELETE", "/v2/nothing/manifests/v1", 405, "UNSUPPORTED"),
        ("DELETE", f"/v2/nothing/blobs/{digest(b'')}", 405, "UNSUPPORTED"),
        ("PUT", "/v2/nothing/manifests/v1", 400, "MANIFEST_INVALID"),
    ],
)
def test_errors_carry_the_codes_of_the_specification(http: httpx.Client, method: str, path: str, status: int, code: str | None) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    if code:
        assert error(answer) == (status, code)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"mediaType": "text/plain"}', b'{"config": 1}', b'{"subject": "x"}', b"\xff"])
def test_manifests_that_are_none(http: httpx.Client, body: bytes) -> None:
    assert error(put(http, "edgeloop/a", "v1", Manifest(body, OCI_MANIFEST))) == (400, "MANIFEST_INVALID")


def test_tags_are_immutable_but_lists_of_signatures_grow(http: httpx.Client) -> None:
    name = "edgeloop/tags"
    first, second = an_image(http, name, b"1"), an_image(http, name, b"2")
    assert put(http, name, "v1", first).status_code == 201
    assert put(http, name, "v1", first).status_code == 201
    refused = put(http, name, "v1", second)
    assert error(refused) == (409, "DENIED")
    assert first.digest in refused.text
    assert second.digest in refused.text
    assert http.get(f"/v2/{name}/manifests/v1").content == first.content
    listed = f"sha256-{'0' * 64}.sig"
    assert [put(http, name, listed, one).status_code for one in (first, second)] == [201, 201]


def test_tags_come_in_pages(http: httpx.Client) -> None:
    name = "edgeloop/pages"
    image = an_image(http, name, b"1")
    for tag in ("a", "b", "c"):
        put(http, name, tag, image)
    first = http.get(f"/v2/{name}/tags/list", params={"n": 2})
    assert first.json()["tags"] == ["a", "b"]
    assert http.get(first.headers["Link"].partition("<")[2].partition(">")[0]).json()["tags"] == ["c"]


def test_what_arrived_of_a_cut_chunk_counts(place: Home, http: httpx.Client) -> None:
    """The connection dies in the middle of a chunk: the client asks, and goes on."""
    data = b"a" * 5000 + b"b" * 5000
    session = http.post("/v2/edgeloop/cut/blobs/uploads/").headers["Location"]
    context = ssl.create_default_context(cafile=place.ca)
    with (
        socket.create_connection(("localhost", place.port("releases"))) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as line,
    ):
        login = httpx.BasicAuth(place.identity.registry_user, place.identity.registry_password)._auth_header
        head = f"PATCH {session} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {login}\r\nContent-Length: {len(data)}\r\n\r\n"
        line.sendall(head.encode() + data[:5000])
        line.unwrap()
    file = place.folder("container_registry") / "releases" / "uploads" / session.rpartition("/")[2]
    for _ in range(200):
        if file.stat().st_size:
            break
        http.get("/_health")
    stands = http.get(session)
    assert (stands.status_code, stands.headers["Range"]) == (204, "0-4999")
    assert http.patch(session, content=data[6000:], headers={"Content-Range": "6000-9999"}).status_code == 416
    assert http.patch(session, content=data[5000:], headers={"Content-Range": "5000-9999"}).status_code == 202
    assert http.put(session, params={"digest": digest(data)}).status_code == 201
    assert http.get(f"/v2/edgeloop/cut/blobs/{digest(data)}").content == data


def test_a_wrong_digest_leaves_nothing(place: Home, http: httpx.Client) -> None:
    session = http.post("/v2/edgeloop/wrong/blobs/uploads/").headers["Location"]
    assert error(http.put(session, params={"digest": digest(b"asked")}, content=b"sent")) == (400, "DIGEST_INVALID")
    assert http.get(session).status_code == 404
    assert not (place.folder("container_registry") / "releases" / "blobs" / digest(b"asked")[7:]).exists()


def test_a_mount_needs_the_source(http: httpx.Client) -> None:
    name = push(http, "edgeloop/source", b"mounted")
    assert http.get(f"/v2/edgeloop/target/blobs/{name}").status_code == 404
    answer = http.post("/v2/edgeloop/target/blobs/uploads/", params={"mount": name, "from": "edgeloop/source"})
    assert answer.status_code == 201
    assert http.get(f"/v2/edgeloop/target/blobs/{name}").content == b"mounted"
    assert http.post("/v2/edgeloop/target/blobs/uploads/", params={"mount": digest(b"?"), "from": "edgeloop/source"}).status_code == 202


def test_a_full_disk_is_an_error_and_not_half_a_blob(place: Home, http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    session = http.post("/v2/edgeloop/full/blobs/uploads/").headers["Location"]
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", full)
        assert error(http.put(session, params={"digest": digest(b"data")}, content=b"data")) == (500, "UNKNOWN")
    assert http.head(f"/v2/edgeloop/full/blobs/{digest(b'data')}").status_code == 404
    assert http.put(session, params={"digest": digest(b"data")}).status_code == 201, "what arrived is still there"


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    home = Home.create(tmp_path, free_port_base(2))
    login = (home.identity.registry_user, home.identity.registry_password)
    context = ssl.create_default_context(cafile=home.ca)

    def served() -> Background:
        return Background(create_app(home, container_registry.create(home, "releases")), home, home.port("releases"))

    with served() as url, httpx.Client(verify=context, base_url=url, auth=login) as http:
        image = an_image(http, "edgeloop/a", b"1")
        put(http, "edgeloop/a", "v1", image)
        session = http.post("/v2/edgeloop/a/blobs/uploads/").headers["Location"]
        http.patch(session, content=b"half")
        base = (home.folder("container_registry") / "rollout_image").read_text()
    with served() as url, httpx.Client(verify=context, base_url=url, auth=login) as http:
        assert http.get("/v2/edgeloop/a/manifests/v1").content == image.content
        assert http.get(session).headers["Range"] == "0-3"
        assert (home.folder("container_registry") / "rollout_image").read_text() == base
        assert http.get("/v2/edgeloop/rollout/tags/list").json()["tags"] == [base.partition(":")[2]]


@pytest.mark.parametrize("image", [base_images.SCORING, base_images.ROLLOUT])
def test_base_images_hold_the_code_and_name_the_runtime(image: base_images.BaseImage, tmp_path: Path) -> None:
    import gzip
    import io
    import tarfile

    store = Store(tmp_path / "store")
    named = base_images.push(store, image, tmp_path)
    assert named == base_images.push(store, image, tmp_path) == base_images.name(image)
    repository = store.repository(image.repository)
    manifest = repository.manifest(named.partition(":")[2])
    config = json.loads(repository.blob(manifest.config.digest))
    assert config["config"]["Entrypoint"] == ["python", "-m", image.program]
    assert config["config"]["Labels"] == {"edgeloop.runtime": "1"}
    assert "PYTHONPATH=/app" in config["config"]["Env"]
    tars = [gzip.decompress(repository.blob(one.digest)) for one in manifest.layers]
    assert [digest(one) for one in tars] == config["rootfs"]["diff_ids"]
    with tarfile.open(fileobj=io.BytesIO(tars[0])) as tar:
        runtime = json.loads(tar.extractfile("runtime.json").read())  # type: ignore[union-attr]
    assert {"python", "packages"} == runtime.keys()
    assert runtime["packages"]
    with tarfile.open(fileobj=io.BytesIO(tars[1])) as tar:
        names = tar.getnames()
    assert "app/include/__init__.py" in names
    assert f"app/{image.program.replace('.', '/')}/__main__.py" in names
    assert not any("__pycache__" in name or "standin" in name for name in names)


def test_a_damaged_base_is_pushed_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    named = base_images.push(store, base_images.ROLLOUT, tmp_path)
    manifest = store.repository(base_images.ROLLOUT.repository).manifest(named.partition(":")[2])
    store.content(manifest.layers[0].digest).write_bytes(b"damaged")
    base_images.push(store, base_images.ROLLOUT, tmp_path)
    assert store.read(manifest.layers[0].digest)
