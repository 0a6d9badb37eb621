"""One module a stage: what its tasks do. They fetch facts, ask the domain, carry out its decision, and give back ids and counts."""
