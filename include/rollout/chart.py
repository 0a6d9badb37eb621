"""The charts, rendered offline by Helm's own engine."""

from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parent / "charts"


class ChartError(ValueError):
    """Values that a chart does not take; the message names them."""


def render(chart: str, namespace: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's objects. ChartError when the values do not fit its schema."""
    import helm_python  # 80 MB of shared library: only when needed

    try:
        with helm_python.Chart.load(CHARTS / chart) as loaded:
            files = loaded.render(values, name=chart, namespace=namespace)
    except (helm_python.HelmValuesError, helm_python.HelmRenderError) as error:
        raise ChartError(f"chart {chart} does not take these values (helm-values/scoring and the site's file): {error}") from error
    return [manifest for name in sorted(files) for manifest in yaml.safe_load_all(files[name]) if manifest]
