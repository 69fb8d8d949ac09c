"""The project's metric modules: `evaluate.load("src/ftbench/metrics/classification.py")`, without a network."""
