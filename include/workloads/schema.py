"""What a workload's schema alone demands of its data, as Great Expectations. A workload's expectations.py adds its own rules.

Each expectation carries in its `meta` the `reason` that a row gets when it fails (include/domain/validation.py).
"""

from typing import TYPE_CHECKING

from include.domain.validation import Reason
from include.domain.workload import Column, Workload

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation

DAY = "partition_day"
"""Column that the check adds: the day of the partition that holds the row, `yyyy-mm-dd`."""
TIME_DAY = "time_day"
"""Column that the check adds: the day of the row's own time."""


def reason(code: Reason, column: str | None = None) -> dict[str, str]:
    """The `meta` of an expectation whose failing rows get this reason."""
    return {"reason": code.of(column)}


def expectations(workload: Workload) -> "list[Expectation]":
    """Required values are there, numbers lie in their ranges, times lie in the partition's day."""
    import great_expectations.expectations as gxe

    found: list[Expectation] = []
    for column in workload.columns:
        if column.required:
            found.append(gxe.ExpectColumnValuesToNotBeNull(column=column.name, meta=reason(Reason.MISSING, column.name)))
        if column.minimum is not None or column.maximum is not None:
            found.append(_between(column))
        if column.type == "time":
            found.append(
                gxe.ExpectColumnPairValuesToBeEqual(
                    column_A=TIME_DAY,
                    column_B=DAY,
                    ignore_row_if="either_value_is_missing",
                    meta=reason(Reason.OTHER_DAY, column.name),
                )
            )
    return found


def _between(column: Column) -> "Expectation":
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(
        column=column.name, min_value=column.minimum, max_value=column.maximum, meta=reason(Reason.OUT_OF_RANGE, column.name)
    )
