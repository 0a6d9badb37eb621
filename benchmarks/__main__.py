"""`make bench`: every measurement, side by side in one run, as a table and a plot under benchmarks/out/."""

import importlib
import sys
from pathlib import Path

from benchmarks.report import Row, plot, table

BENCHES = ("parse",)


def main(names: list[str]) -> int:
    rows: list[Row] = []
    for name in names or BENCHES:
        print(f"{name} ...", flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").measure()
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    text = table(rows)
    (out / "results.md").write_text(text, encoding="utf-8")
    plot(rows, out / "results.svg")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
