"""The public clients on the stand-in, over TLS with a login: crane and cosign, from the folder EDGELOOP_TEST_TOOLS."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from include.oci import bundle, predicates
from include.oci.append import append
from include.oci.client import Registry
from include.oci.layer import layer
from include.oci.manifest import Manifest
from include.oci.reference import Reference, digest
from include.oci.sign import attest, sign
from include.oci.tag import tag
from include.standin import container_registry
from include.standin.home import Home
from include.standin.serving import Background, create_app

TOOLS = Path(os.environ.get("EDGELOOP_TEST_TOOLS", "/nowhere"))
pytestmark = [
    pytest.mark.registry,
    pytest.mark.skipif(
        not all((TOOLS / name).exists() for name in ("crane", "cosign")), reason="EDGELOOP_TEST_TOOLS has no crane and cosign"
    ),
]
Run = Callable[..., subprocess.CompletedProcess[str]]
MODEL = "edgeloop/wind-power"


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    with Background(create_app(home, container_registry.create(home, "releases")), home, home.port("releases")) as found:
        yield found


@pytest.fixture(scope="module")
def host(url: str) -> str:
    return url.removeprefix("https://")


@pytest.fixture(scope="module")
def registry(home: Home, url: str) -> Iterator[Registry]:
    with Registry(url, home.identity.registry_user, home.identity.registry_password, home.ca) as found:
        yield found


@pytest.fixture(scope="module")
def run(home: Home, host: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("docker")
    environment = {"HOME": str(folder), "DOCKER_CONFIG": str(folder), "SSL_CERT_FILE": str(home.ca), "PATH": os.environ["PATH"]}
    environment |= {"NO_PROXY": "localhost,127.0.0.1"}

    def ran(name: str, *arguments: str, ok: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(TOOLS / name), *arguments], env=environment, capture_output=True, text=True, timeout=60, cwd=folder, input=stdin
        )
        assert (done.returncode == 0) is ok, f"{name} {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    ran("crane", "auth", "login", host, "-u", home.identity.registry_user, "--password-stdin", stdin=home.identity.registry_password)
    return ran


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def image(registry: Registry, home: Home, key: ec.EllipticCurvePrivateKey) -> Manifest:
    """A model image on the base that the stand-in brings, signed and attested."""
    base = Reference.parse((home.folder("container_registry") / "rollout_image").read_text())
    made = append(registry, base, registry, MODEL, layer({"/model/model.onnx": b"onnx"}), {"edgeloop.workload": "wind_power"}, "model")
    sign(registry, MODEL, made.digest, key)
    build = predicates.Build("wind_power", digest(b"snapshot"), "job-1", "2014", ())
    attest(registry, MODEL, made.digest, key, bundle.PROVENANCE, predicates.provenance(build))
    attest(registry, MODEL, made.digest, key, bundle.SBOM, predicates.sbom("wind-power", digest(b"onnx"), {"numpy": "2.4.6"}))
    tag(registry, MODEL, "v-1", made.digest)
    return made


def pem(folder: Path, key: ec.EllipticCurvePrivateKey) -> str:
    file = folder / "key.pub"
    file.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(file)


def test_crane_accepts_the_images(run: Run, host: str, home: Home, image: Manifest) -> None:
    base = (home.folder("container_registry") / "rollout_image").read_text()
    run("crane", "validate", "--remote", f"{host}/{base}")
    run("crane", "validate", "--remote", f"{host}/{MODEL}@{image.digest}")
    assert run("crane", "digest", f"{host}/{MODEL}:v-1").stdout.strip() == image.digest
    assert run("crane", "ls", f"{host}/{MODEL}").stdout.split() == ["v-1"]
    labels = json.loads(run("crane", "config", f"{host}/{MODEL}:v-1").stdout)["config"]["Labels"]
    assert labels == {"edgeloop.runtime": "1", "edgeloop.workload": "wind_power"}


def test_crane_pushes_and_mounts(run: Run, host: str, image: Manifest) -> None:
    run("crane", "copy", f"{host}/{MODEL}:v-1", f"{host}/edgeloop/copied:v-1")
    assert run("crane", "digest", f"{host}/edgeloop/copied:v-1").stdout.strip() == image.digest


def test_crane_cannot_move_a_tag(run: Run, host: str, image: Manifest) -> None:
    refused = run("crane", "mutate", f"{host}/{MODEL}:v-1", "--label", "other=1", "-t", f"{host}/{MODEL}:v-1", ok=False)
    assert "DENIED" in refused.stderr


def test_crane_cannot_delete(run: Run, host: str, image: Manifest) -> None:
    assert "UNSUPPORTED" in run("crane", "delete", f"{host}/{MODEL}@{image.digest}", ok=False).stderr


def test_cosign_accepts_our_key(run: Run, host: str, image: Manifest, key: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    public, name = pem(tmp_path, key), f"{host}/{MODEL}@{image.digest}"
    run("cosign", "verify", "--key", public, "--insecure-ignore-tlog", name)
    run("cosign", "verify-attestation", "--key", public, "--insecure-ignore-tlog", "--type", "slsaprovenance1", name)
    run("cosign", "verify-attestation", "--key", public, "--insecure-ignore-tlog", "--type", "cyclonedx", name)


def test_cosign_refuses_another_key(run: Run, host: str, image: Manifest, tmp_path: Path) -> None:
    public = pem(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    run("cosign", "verify", "--key", public, "--insecure-ignore-tlog", f"{host}/{MODEL}@{image.digest}", ok=False)


def test_cosign_refuses_another_image(
    run: Run, host: str, registry: Registry, image: Manifest, key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    base = Reference("", MODEL, "v-1")
    changed = append(registry, base, registry, MODEL, layer({"/model/model.onnx": b"evil"}), {}, "evil")
    run("cosign", "verify", "--key", pem(tmp_path, key), "--insecure-ignore-tlog", f"{host}/{MODEL}@{changed.digest}", ok=False)
