"""The benchmark against other systems: plan, run, tables. Only with_*.py see a peer, run by its own Python."""
