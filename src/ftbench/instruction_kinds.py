"""The kinds of the generated instructions, apart from what generates them: what only reads results need not depend on that."""

from __future__ import annotations

WEIGHTS = {  # rows of each kind in about a hundred; the last in the test split alone
    "facts": 36,
    "definitions": 9,
    "formulas": 6,
    "classification": 10,
    "arithmetic": 8,
    "equations": 7,
    "unit_conversion": 6,
    "text_operations": 8,
    "lists": 3,
    "explanations": 5,
    "code": 2,
    "facts_pretraining_only": 4,
}
KINDS = tuple(WEIGHTS)
KNOWLEDGE_KINDS = ("facts", "definitions", "formulas", "classification")  # known from training in other words
