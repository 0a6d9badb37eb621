"""What a workload file says, as typed values. Read by `include.workloads`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


class WorkloadError(ValueError):
    """A workload file that cannot be used; the message names the file's key."""


@dataclass(frozen=True)
class Column:
    """A column of the validated data."""

    name: str
    type: Literal["category", "number", "time", "text"]
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    feature: bool = False
    """Whether the model sees it."""
    sensitive: bool = False
    """Whether reports must not show its values."""


@dataclass(frozen=True)
class Gates:
    """When a challenger may become a release. Errors are in the target's unit."""

    largest_rmse: float
    """Without a champion: the largest root mean square error on the hold-out that a sound model can have."""
    smallest_baseline_gain: float
    """Without a champion: how much smaller its error must be than that of the workload's baseline on the same hold-out."""
    smallest_gain: float
    """With a champion: how much smaller its error must be."""
    largest_slice_loss: float
    """With a champion: how much worse any single slice (site, turbine, ...) may get."""
    parity_tolerance: float
    """Largest difference between ONNX and native model on a golden row."""
    label_flip_budget: int
    """How many golden rows may change between anomaly and normal."""
    smallest_holdout: int = 1000
    """Rows; fewer decide nothing."""


@dataclass(frozen=True)
class Retraining:
    """When a model is trained again."""

    schedule: str
    window_days: int
    """Length of the training window, which ends at the newest validated day."""
    holdout_days: int
    """The last days of the window, which the model never sees."""
    feedback_events: int
    """So many new answers of people start a training."""
    cool_down_hours: float


@dataclass(frozen=True)
class Workload:
    """One use case; see docs/architecture.md."""

    name: str
    title: str
    owner: str
    schedule: str
    sites: tuple[str, ...]
    columns: tuple[Column, ...]
    target: str
    entity: str
    """The column that names the machine that is scored."""
    freshness_hours: float
    largest_bad_share: float
    """A partition with a larger share of bad rows is withheld as a whole."""
    gates: Gates
    retraining: Retraining
    extra: Mapping[str, Any] = field(default_factory=dict)

    def column(self, name: str) -> Column:
        """The column of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise WorkloadError(f"workload {self.name} has no column {name!r}; it has {', '.join(c.name for c in self.columns)}")

    @property
    def features(self) -> tuple[Column, ...]:
        """What the model sees, in the order of the model's input tensor."""
        return tuple(c for c in self.columns if c.feature)

    @classmethod
    def read(cls, name: str, raw: Mapping[str, Any]) -> "Workload":
        """From the parsed workload.yaml; WorkloadError names what is missing or wrong."""
        try:
            known = dict(raw)
            columns = tuple(Column(name=column, **said) for column, said in known.pop("schema").items())
            workload = cls(
                name=name,
                sites=tuple(known.pop("sites")),
                columns=columns,
                gates=Gates(**known.pop("gates")),
                retraining=Retraining(**known.pop("retraining")),
                **{
                    key: known.pop(key)
                    for key in ("title", "owner", "schedule", "target", "entity", "freshness_hours", "largest_bad_share")
                },
                extra=known,
            )
        except KeyError as missing:
            raise WorkloadError(f"workload {name}: workload.yaml lacks {missing}") from missing
        except TypeError as wrong:
            raise WorkloadError(f"workload {name}: workload.yaml: {wrong}") from wrong
        workload.column(workload.target)
        workload.column(workload.entity)
        return workload
