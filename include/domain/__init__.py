"""Decisions: pure functions on plain dataclasses, standard library only."""
