import pytest

from include.oci.pins import packages


def test_names_and_versions() -> None:
    said = "# locked\n--index-url x\nb==2.0 \\\n    --hash=sha256:00\nA[extra]==1.0.post1  # via b\n\n"
    assert packages(said) == {"a": "1.0.post1", "b": "2.0"}


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy==2; sys_platform == 'win32'", "./local"])
def test_what_pins_nothing(line: str) -> None:
    with pytest.raises(ValueError, match="uv pip compile"):
        packages(line)
