"""Experiments over seeds and grids of adaptations: run, summed up, compared.

Not part of the package: `benchmarks/repeat.py`, `benchmarks/adapt_grid.py`,
`benchmarks/adapt_compare.py` and `benchmarks/demo.py` are its commands.
"""
