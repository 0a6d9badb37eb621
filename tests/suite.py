"""Runs the suite: the end-to-end tests beside all others, since both wait more than they compute. Arguments go to one pytest instead."""

import subprocess
import sys
import tempfile

PYTEST = [sys.executable, "-m", "pytest"]


def main(arguments: list[str]) -> int:
    if arguments:
        return subprocess.call([*PYTEST, *arguments])
    with tempfile.TemporaryFile("w+") as said:
        loop = subprocess.Popen([*PYTEST, "tests/e2e"], stdout=said, stderr=subprocess.STDOUT)
        try:
            rest = subprocess.call([*PYTEST, "--ignore=tests/e2e"])
            whole = loop.wait()
        finally:
            loop.kill()
        said.seek(0)
        print(said.read())
    return rest or whole


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
