"""Becomes one of Airflow's components: `python -m include.preloaded scheduler`.

LocalExecutor forks each task from the scheduler's own processes. What tasks import is imported here once, before the first fork: on a
small machine imports are the larger part of a task, and what is shared is not held twice.
"""

import sys
from importlib import import_module

TASKS_IMPORT = (
    "airflow.providers.cncf.kubernetes.operators.pod",
    "airflow.providers.standard.operators.hitl",
    "azure.ai.ml",
    "azure.ai.ml.entities",
    "azure.mgmt.datafactory",
    "azure.storage.blob",
    "azure.storage.queue",
    "great_expectations",
    "jinja2",
    "onnxruntime",
    "pandas",
    "pyarrow.parquet",
)


def main(arguments: list[str]) -> None:
    """Run `airflow <arguments>` in this process."""
    if arguments[0] == "scheduler":
        for name in TASKS_IMPORT:
            import_module(name)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *arguments]
    airflow()


if __name__ == "__main__":
    main(sys.argv[1:])
