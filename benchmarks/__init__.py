"""How fast Charter is: `python -m benchmarks` (or `make bench`)."""
