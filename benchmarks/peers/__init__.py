"""The benchmark against other systems: plan -> run -> tables. Only with_*.py, run by the peers' own Pythons, see a peer."""
