"""The demo: the whole loop on one machine, on real data. `make demo`."""
