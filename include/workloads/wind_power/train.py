"""The power of a healthy turbine: its density-corrected power curve with trees on top, and the plain curve that this has to beat."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found]  # comes with scikit-learn

if TYPE_CHECKING:
    import pandas as pd

STOPPED_ABOVE_MS = 5.0
"""Wind (m/s) in which a turbine that gives no power is stopped rather than becalmed; the MM82 cuts in at 3.5 m/s."""
BIN_MS = 0.5
"""Width of the power curve's wind speed bins (IEC 61400-12-1)."""
FEWEST_IN_BIN = 5
"""Rows that make a bin's mean; IEC 61400-12-1 asks for half an hour."""
FASTEST_MS = 25.0
"""Last knot of the curves; the MM82 cuts out at 22 m/s."""
ICING_BELOW_C = 2.0
"""Where icing sets in on instruments and blades in humid air (IEC 61400-12-1 filters such rows for the same reason)."""
NORMAL_K, ZERO_CELSIUS_K = 288.15, 273.15
"""Temperature of the standard atmosphere at the ground, to which power curves are normalised."""
ANOMALY_SHARE = 0.005
"""The threshold lies where this share of healthy hold-out rows would be called anomalies."""


def healthy(frame: "pd.DataFrame") -> "np.ndarray":
    """Mask of the rows that show a running turbine.

    A turbine that stands still in good wind was stopped, by a fault or by its owner. A model that learns from such rows expects less of a
    healthy turbine than it gives, and no longer sees the very thing it is for.
    """
    stopped = (frame["power_kw"] <= 0) & (frame["wind_speed_ms"] > STOPPED_ABOVE_MS)
    return ~stopped.to_numpy(dtype=bool)


@dataclass(frozen=True)
class PowerModel:
    """A turbine's own power curve over the wind's equivalent at normal air density, and trees that correct it.

    `features` is float32 [n, 4]: turbine (its index), wind speed, temperature, wind direction.
    """

    speeds: "np.ndarray"
    """Knots of the curves, m/s."""
    powers: "np.ndarray"
    """kW [turbines, knots]; straight lines between them, level beyond."""
    mean_temperature: float
    """degC; stands for a temperature that is not given."""
    trees: HistGradientBoostingRegressor

    def predict(self, features: "np.ndarray") -> "np.ndarray":
        """Power (kW) of each row."""
        return _along(self.speeds, self.powers, features, self.mean_temperature) + self.trees.predict(features)

    def front(self, features: str, curve: str) -> "Graph":
        """The curves as ONNX: `curve` [n, 1] from `features`; no node divides rows into cases, so nothing can take another branch."""
        steps = np.diff(self.powers, axis=1) / np.diff(self.speeds)
        bends = np.diff(steps, axis=1, prepend=0.0, append=0.0)  # a straight line more from each knot on
        values: dict[str, Any] = {
            "turbines": np.arange(len(self.powers))[None, :],
            "mean_temperature": self.mean_temperature,
            "zero_celsius": ZERO_CELSIUS_K,
            "normal": NORMAL_K,
            "third": 1 / 3,
            "knots": self.speeds[None, :],
            "bends": bends,
            "first": self.powers[:, :1],
            "ones": np.ones((len(self.speeds), 1)),
        }
        given = {name: np.asarray(value, np.float32) for name, value in values.items()}
        given |= {name: np.array([place], np.int64) for place, name in enumerate(("at_turbine", "at_speed", "at_temperature"))}
        return _nodes(features, curve), given


Graph = tuple[list[tuple[str, list[str], str, dict[str, int]]], "dict[str, np.ndarray]"]
"""Nodes (operator, inputs, output, attributes) and constants of a piece of an ONNX graph."""


def _nodes(features: str, curve: str) -> list[tuple[str, list[str], str, dict[str, int]]]:
    return [
        ("Gather", [features, "at_turbine"], "turbine", {"axis": 1}),
        ("Gather", [features, "at_speed"], "speed", {"axis": 1}),
        ("Gather", [features, "at_temperature"], "measured_temperature", {"axis": 1}),
        ("IsNaN", ["measured_temperature"], "no_temperature", {}),
        ("Where", ["no_temperature", "mean_temperature", "measured_temperature"], "temperature", {}),
        ("Add", ["temperature", "zero_celsius"], "kelvin", {}),
        ("Div", ["normal", "kelvin"], "density", {}),
        ("Pow", ["density", "third"], "factor", {}),
        ("Mul", ["speed", "factor"], "equivalent", {}),
        ("Sub", ["equivalent", "knots"], "beyond", {}),
        ("Relu", ["beyond"], "lengths", {}),
        ("Equal", ["turbine", "turbines"], "is_turbine", {}),
        ("Cast", ["is_turbine"], "chosen", {"to": 1}),
        ("MatMul", ["chosen", "bends"], "own_bends", {}),
        ("Mul", ["lengths", "own_bends"], "rises", {}),
        ("MatMul", ["rises", "ones"], "risen", {}),
        ("MatMul", ["chosen", "first"], "from", {}),
        ("Add", ["risen", "from"], curve, {}),
    ]


def _along(speeds: "np.ndarray", powers: "np.ndarray", features: "np.ndarray", mean_temperature: float) -> "np.ndarray":
    """Each row's point on its turbine's curve, kW."""
    wind, found = equivalent_speed(features, mean_temperature), np.full(len(features), np.nan)
    for turbine, own in enumerate(powers):
        rows = features[:, 0] == turbine
        found[rows] = np.interp(wind[rows], speeds, own)
    return found


def equivalent_speed(features: "np.ndarray", mean_temperature: float) -> "np.ndarray":
    """Wind speed (m/s) that carries as much energy at normal density: the density correction of IEC 61400-12-1, by temperature alone."""
    temperature = features[:, 2].astype(float)
    kelvin = np.where(np.isnan(temperature), mean_temperature, temperature) + ZERO_CELSIUS_K
    return features[:, 1].astype(float) * (NORMAL_K / kelvin) ** (1 / 3)


def fit(features: "np.ndarray", power_kw: "np.ndarray", weight: "np.ndarray") -> PowerModel:
    """The model. Same input, same model.

    The trees see no row in which the anemometer may be iced: it then shows less wind than there is, and a model that learns from it
    expects too much of a turbine in good air. Large leaves keep noise out, three weeks of one turbine at least.
    """
    mean_temperature = float(np.nanmean(features[:, 2])) if np.isfinite(features[:, 2]).any() else NORMAL_K - ZERO_CELSIUS_K
    speeds = np.arange(0.0, FASTEST_MS + BIN_MS, BIN_MS)
    wind = equivalent_speed(features, mean_temperature)
    turbines = range(int(features[:, 0].max()) + 1)
    powers = np.array([_curve(wind[rows], power_kw[rows], weight[rows], speeds) for rows in (features[:, 0] == n for n in turbines)])
    rest = power_kw - _along(speeds, powers, features, mean_temperature)
    trees = HistGradientBoostingRegressor(
        max_iter=60, learning_rate=0.05, max_leaf_nodes=12, min_samples_leaf=3000, early_stopping=False, random_state=0
    )
    warm = ~(features[:, 2] <= ICING_BELOW_C)
    warm = warm if warm.any() else ~warm
    with threadpool_limits(limits=1):  # sums in one order; on few cores it is also the fastest
        trees.fit(features[warm], rest[warm], sample_weight=weight[warm])
    return PowerModel(speeds, powers, mean_temperature, trees)


def _curve(wind: "np.ndarray", power_kw: "np.ndarray", weight: "np.ndarray", speeds: "np.ndarray") -> "np.ndarray":
    """Mean power (kW) around each knot, never falling with the wind; a bin with few rows gets the line between its neighbours."""
    bins = np.clip(np.round(wind / BIN_MS).astype(int), 0, len(speeds) - 1)
    rows = np.bincount(bins, minlength=len(speeds))
    means = np.bincount(bins, weight * power_kw, len(speeds)) / np.maximum(np.bincount(bins, weight, len(speeds)), 1e-9)
    enough = rows >= min(FEWEST_IN_BIN, rows.max())
    return np.interp(speeds, speeds[enough], np.maximum.accumulate(means[enough]))


def threshold(residuals: "np.ndarray") -> float:
    """The residual (kW) under which a row is an anomaly, from the residuals of healthy rows that the model never saw."""
    return float(np.round(np.quantile(residuals, ANOMALY_SHARE), 1))


@dataclass(frozen=True)
class PowerCurve:
    """Mean power of each wind speed bin, straight lines between them."""

    name = "binned power curve"
    speeds: "np.ndarray"
    powers: "np.ndarray"

    @classmethod
    def fit(cls, frame: "pd.DataFrame") -> "PowerCurve":
        """From rows with `wind_speed_ms` and `power_kw`."""
        means = frame["power_kw"].groupby((frame["wind_speed_ms"] / BIN_MS).round()).mean()
        return cls(means.index.to_numpy() * BIN_MS, means.to_numpy())

    def predict(self, frame: "pd.DataFrame") -> "np.ndarray":
        """Power (kW) of each row."""
        return np.interp(frame["wind_speed_ms"], self.speeds, self.powers)
