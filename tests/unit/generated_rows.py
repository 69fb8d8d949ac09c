"""Generated exercises, and the texts of rows in a form that can be compared."""

import itertools
import random
import re

from ftbench.exercises import EXERCISES
from ftbench.instructions import PREFIXES
from ftbench.topics import RELATIONS

RELATION = {relation.name: relation for relation in RELATIONS}


def exercises(form, count=500, seed=3):
    return list(itertools.islice(EXERCISES[form](random.Random(seed)), count))


def normalised(text):
    return re.sub(r"[^a-z0-9+=]+", " ", text.lower()).strip()


def words(*texts):
    return {word.removesuffix("'s") for text in texts for word in re.findall(r"[A-Za-z][A-Za-z0-9'-]*", text)}


def without_prefix(instruction):
    return instruction.removeprefix(next((prefix for prefix in PREFIXES if prefix and instruction.startswith(prefix)), ""))


def pairs(rows):
    return {(row["instruction"], row["input"]) for row in rows}
