"""Answers of the API server, by subject."""
