import pytest

from include.oci.exceptions import ReferenceInvalid
from include.oci.reference import Reference, digest, short

D = digest(b"")


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "found"),
    [
        ("edgeloop/rollout:1", "", "edgeloop/rollout", "1", None),
        ("localhost:18403/edgeloop/wind-power", "localhost:18403", "edgeloop/wind-power", None, None),
        ("localhost/a/b:c", "localhost", "a/b", "c", None),
        ("acr.azurecr.io/a:v-1", "acr.azurecr.io", "a", "v-1", None),
        (f"registry:5000/a/b:t@{D}", "registry:5000", "a/b", "t", D),
        (f"a@{D}", "", "a", None, D),
        ("[::1]:5000/a:1", "[::1]:5000", "a", "1", None),
    ],
)
def test_parts_are_found_and_written_back(text: str, registry: str, repository: str, tag: str | None, found: str | None) -> None:
    read = Reference.parse(text)
    assert read == Reference(registry, repository, tag, found)
    assert str(read) == text


@pytest.mark.parametrize(
    "text", ["", "A/b:1", "a:", "a@", "a@sha256:12", "a/../b:1", "a//b", "/a", "a:b c", f"a@{D.upper()}", "a:" + "x" * 129]
)
def test_what_no_registry_takes(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match=r"is not a|ends where"):
        Reference.parse(text)


def test_there_is_no_default_tag() -> None:
    with pytest.raises(ReferenceInvalid, match="no default tag"):
        _ = Reference.parse("a/b").target
    assert Reference.parse(f"a:1@{D}").target == D
    assert str(Reference.parse("h:1/a:1").at(D)) == f"h:1/a@{D}"


def test_short_names() -> None:
    assert short(D) == "e3b0c44298fc"
