"""ftbench: a reproducible benchmark of ways to fine-tune language models."""
