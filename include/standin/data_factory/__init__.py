"""Stand-in for Azure Data Factory: runs the pipelines' JSON for real, on the embedded cloud's storage."""

from include.standin.data_factory.urls import create

__all__ = ["create"]
