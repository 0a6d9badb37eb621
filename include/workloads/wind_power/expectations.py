"""What the data of a wind farm must be, beside its schema."""

from typing import TYPE_CHECKING

from include.domain.validation import Reason
from include.domain.workload import Workload
from include.workloads.schema import DAY, expectations, reason

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite

GRID_SECONDS = 600
"""The historian averages over ten minutes, from the full hour (IEC 61400-12-1)."""


def derive(rows: "pd.DataFrame") -> None:
    """Add the columns that the suite looks at beside the schema's own."""
    rows["seconds_off_grid"] = (rows["time"].dt.minute * 60 + rows["time"].dt.second) % GRID_SECONDS


def suite(workload: Workload, site: str) -> "ExpectationSuite":
    """The suite for the rows of one site.

    A machine has one row for each ten minutes. Where one time comes twice, with two powers, neither is believed: the historian repeats an
    hour around the changes of daylight-saving time. A row filed under a wrong day is that day's fault and leaves the right one alone.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe

    own = [
        gxe.ExpectColumnValuesToBeInSet(
            column=workload.entity, value_set=list(workload.extra["turbines"][site]), meta=reason(Reason.UNKNOWN, workload.entity)
        ),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=[workload.entity, "time", DAY], ignore_row_if="any_value_is_missing", meta=reason(Reason.DUPLICATE)
        ),
        gxe.ExpectColumnValuesToBeInSet(column="seconds_off_grid", value_set=[0], meta=reason(Reason.OFF_GRID, "time")),
    ]
    return gx.ExpectationSuite(name=f"{workload.name}.{site}", expectations=[*expectations(workload), *own])
