"""Environments are built once, whole or not at all."""

import threading
from pathlib import Path

import pytest

from include.standin.machine_learning import environments
from include.standin.machine_learning.environments import Requirements, build, main
from include.standin.machine_learning.exceptions import EnvironmentNotBuilt

CONDA = "name: t\ndependencies:\n- python=3.11\n- pip\n- pip:\n  - numpy==2.4.6\n  - pandas==3.1.1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGELOOP_ENVIRONMENTS", str(tmp_path))
    return tmp_path


def test_a_conda_file_and_a_requirements_file_name_the_same_environment() -> None:
    text = "# pins\npandas==3.1.1   # tables\n\nnumpy==2.4.6\n"
    assert Requirements.of_conda(CONDA) == Requirements.of_text(text)
    assert Requirements.of_conda(CONDA).digest == Requirements.of_text(text).digest
    assert Requirements.of_text("numpy==2.4.5\npandas==3.1.1").digest != Requirements.of_text(text).digest


@pytest.mark.parametrize(
    ("conda", "reason"),
    [
        ("dependencies: [python=3.8]", "it asks for Python 3.8"),
        ("dependencies: [cudatoolkit=11]", "conda package 'cudatoolkit=11'"),
        ("dependencies: [", "cannot be read"),
        ("[]", "cannot be read"),
    ],
)
def test_what_cannot_be_had_says_why(conda: str, reason: str) -> None:
    with pytest.raises(EnvironmentNotBuilt, match=reason):
        build(Requirements.of_conda(conda))


def test_an_environment_is_built_once_also_by_two_at_once(folder: Path) -> None:
    (folder / f"{Requirements(()).digest}.building").mkdir()  # what a killed build left
    found: list[Path] = []
    builders = [threading.Thread(target=lambda: found.append(build(Requirements(())))) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert len(set(found)) == 1
    assert (found[0] / "bin" / "python").exists()
    assert [path.name for path in folder.iterdir() if path.is_dir()] == [Requirements(()).digest]


def test_a_build_that_fails_leaves_no_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    wanted = Requirements.of_text("no-such-package-of-edgeloop==1")
    with pytest.raises(EnvironmentNotBuilt, match=r"(?s)uv pip failed: .*no-such-package-of-edgeloop"):
        build(wanted)
    assert not (folder / wanted.digest).exists()


def test_the_command_builds_what_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "requirements.txt").write_text("# none\n")
    assert main([str(tmp_path / "requirements.txt")]) == 0
    assert str(environments.folder() / Requirements(()).digest) in capsys.readouterr().out
