"""Stand-in for the Power BI REST API: refreshes of one dataset."""

from include.standin.power_bi.urls import AUDIENCE, create

__all__ = ["AUDIENCE", "create"]
