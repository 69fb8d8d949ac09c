"""The rows of the benchmarks, a module for each piece of work."""
