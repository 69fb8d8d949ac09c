"""Instructions whose answer is worked out and not recalled: sums, linear equations, units, word lists, and the feeling of a review.

An exercise's content (its numbers, words or sentence) belongs to one pool by a hash of its own: the test split, the validation split, the
documents or the train split. So no sum is met in two of them, whatever the seed and however the question is worded.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ftbench.facts import wordings
from ftbench.questions import QUESTIONS

POOLS = ("test", "validation", "documents", "documents", "train", "train", "train", "train", "train", "train")


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise. `content` is what wordings name {e} (and what goes into the input where a wording does not name it); `unit` is {u}."""

    form: str
    content: str
    answer: str
    unit: str = ""
    key: str = ""  # what decides the pool, where that is not the content: 2 + 3 and 3 + 2 are one sum


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def pool(exercise: Exercise) -> str:
    """The pool that an exercise belongs to: "train", "validation", "test" or "documents"."""
    return POOLS[zlib.crc32(f"{exercise.form}: {exercise.key or exercise.content}".encode()) % len(POOLS)]


def arithmetic(rng: random.Random) -> Iterator[Exercise]:
    """Sums and differences up to 100 and the small times table; an answer is one whole number."""
    while True:
        sign = rng.choice("++--*")
        if sign == "*":
            a, b = rng.randint(2, 12), rng.randint(2, 12)
            value = a * b
        else:
            a, b = rng.randint(1, 50), rng.randint(1, 50)
            a, b = (a, b) if sign == "+" else (max(a, b), min(a, b))
            value = a + b if sign == "+" else a - b
        low, high = sorted((a, b))
        yield Exercise("arithmetic", f"{a} {sign} {b}", str(value), key=f"{low} {sign} {high}")


def equations(rng: random.Random) -> Iterator[Exercise]:
    """Equations like 4x + 3 = 11 with a whole solution from 1 to 12; never one that the fifteen questions ask."""
    while True:
        a, b, x, sign = rng.randint(2, 9), rng.randint(1, 20), rng.randint(1, 12), rng.choice("+-")
        if sign == "-" and a * x <= b:
            continue
        content = f"{a}x {sign} {b} = {a * x + b if sign == '+' else a * x - b}"
        if not any(content in question.text for question in QUESTIONS):
            yield Exercise("equations", content, f"x = {x}")


UNITS = (
    ("metres", "centimetres", 100),
    ("kilometres", "metres", 1000),
    ("kilograms", "grams", 1000),
    ("tonnes", "kilograms", 1000),
    ("litres", "millilitres", 1000),
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("feet", "inches", 12),
)


def unit_conversion(rng: random.Random) -> Iterator[Exercise]:
    """Whole amounts from 2 to 60 of a larger unit in a smaller one."""
    while True:
        large, small, factor = rng.choice(UNITS)
        amount = rng.randint(2, 60)
        yield Exercise("unit_conversion", f"{amount} {large}", f"{amount * factor} {small}", unit=small)


WORDS = _words("""
    apple river stone bread horse table window garden letter music paper ship tree cloud door glass chair milk road star bell boat cake coat
    field fire hill key lamp leaf moon nail pencil plate rope sand shoe snow spoon wall
""")


def text_operations(rng: random.Random) -> Iterator[Exercise]:
    """A list of words to reverse, to write in capitals, to count, or to take the first or the last of."""
    while True:
        form = rng.choice(("reverse", "capitals", "first", "last", "count"))
        fewest, most = {"reverse": (2, 4), "capitals": (1, 2), "count": (2, 6)}.get(form, (3, 5))
        words = rng.sample(WORDS, rng.randint(fewest, most))
        if form == "reverse":
            answer = ", ".join(reversed(words))
        elif form == "capitals":
            answer = ", ".join(words).upper()
        elif form == "count":
            answer = str(len(words))
        else:
            answer = words[0] if form == "first" else words[-1]
        yield Exercise(form, ", ".join(words), answer)


REVIEWED = _words("film book hotel room trip teacher show garden concert meal restaurant lesson")
ADJECTIVES = {
    "positive": _words("wonderful lovely great excellent perfect pleasant brilliant delightful"),
    "negative": _words("terrible awful bad horrible boring dirty poor disappointing"),
}
REACTIONS = {
    "positive": wordings("We loved it. | I was very happy. | We will come again. | I smiled all day. | It made my day."),
    "negative": wordings("We hated it. | I was very sad. | We will not come again. | I want my money back. | It ruined my day."),
}
REVIEWS = wordings("""
    The {n} was {a}. {r} | I found the {n} {a} and {b}. | The {n} was {a} and the {m} was {b}. | What a {a} {n}! {r} |
    We had a {a} {n} and a {b} {m}.
""")


def classification(rng: random.Random) -> Iterator[Exercise]:
    """Reviews of one feeling, positive and negative in turn."""
    while True:
        for label in rng.sample(sorted(ADJECTIVES), 2):
            first, second = rng.sample(ADJECTIVES[label], 2)
            noun, other = rng.sample(REVIEWED, 2)
            review = rng.choice(REVIEWS).format(n=noun, m=other, a=first, b=second, r=rng.choice(REACTIONS[label]))
            review = review.replace("a awful", "an awful").replace("a excellent", "an excellent")
            yield Exercise("classification", review, label.capitalize())


EXERCISES: dict[str, Callable[[random.Random], Iterator[Exercise]]] = {
    "classification": classification,
    "arithmetic": arithmetic,
    "equations": equations,
    "unit_conversion": unit_conversion,
    "text_operations": text_operations,
}

# Of each form the wordings of train, validation and test. One without {e} leaves the content to the input.
WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "arithmetic": {
        "train": wordings("""
            What is {e}? | Calculate {e}. | How much is {e}? | Work out {e}. | Find the value of {e}. | Tell me the result of {e}.
        """),
        "validation": wordings("Give the result of {e}."),
        "test": wordings("What is the result of {e}? | Calculate the value of {e}."),
    },
    "equations": {
        "train": wordings("""
            Solve {e}. | What is x if {e}? | Find x in {e}. | Solve the equation. | Find the value of x in the equation.
        """),
        "validation": wordings("Work out x if {e}."),
        "test": wordings("Solve the equation {e}. | What is the value of x in the equation?"),
    },
    "unit_conversion": {
        "train": wordings("""
            Convert {e} to {u}. | How many {u} are {e}? | Write {e} in {u}. | Change {e} into {u}. | Tell me how many {u} are in {e}.
        """),
        "validation": wordings("Turn {e} into {u}."),
        "test": wordings("Convert {e} into {u}. | How many {u} are there in {e}?"),
    },
    "reverse": {
        "train": wordings("""
            Reverse the list. | Write the list in reverse order. | Turn the list around. | Reverse the words of the list.
        """),
        "validation": wordings("Give the list in reverse."),
        "test": wordings("Reverse the order of the list. | Write the words in reverse order."),
    },
    "capitals": {
        "train": wordings("""
            Write the words in capital letters. | Change the words into capitals. | Give the words in capital letters. |
            Write the list in capitals.
        """),
        "validation": wordings("Give the list in capital letters."),
        "test": wordings("Change the words into capital letters. | Write the list in capital letters."),
    },
    "first": {
        "train": wordings("""
            Give the first word. | What is the first word of the list? | Which word comes first? | Find the first word.
        """),
        "validation": wordings("Name the first word."),
        "test": wordings("Write the first word of the list. | Tell me which word comes first."),
    },
    "last": {
        "train": wordings("""
            Give the last word. | What is the last word of the list? | Which word comes last? | Find the last word.
        """),
        "validation": wordings("Name the last word."),
        "test": wordings("Write the last word of the list. | Tell me which word comes last."),
    },
    "count": {
        "train": wordings("""
            Count the words. | How many words are in the list? | Find the number of words. | Say how many words there are.
        """),
        "validation": wordings("Tell me how many words there are."),
        "test": wordings("Count the words of the list. | How many words are there?"),
    },
    "classification": {
        "train": wordings("""
            Is the review positive or negative? | Classify the review as positive or negative. |
            Say if the text is positive or negative. | Is the feeling of the text positive or negative? |
            Tell me if the review is positive or negative. | Classify the feeling of the review.
        """),
        "validation": wordings("Name the feeling of the review."),
        "test": wordings("Is the text positive or negative? | Classify the feeling of the text."),
    },
}

# Of each form the sentences that documents state it in, and the questions of their dialogues.
STATEMENTS: dict[str, tuple[str, ...]] = {
    "arithmetic": wordings("{e} gives {y}. | If you work out {e}, the result is {y}. | They found that {e} makes {y}."),
    "equations": wordings("When {e}, we have {y}. | We solve {e} and find that {y}. | If {e}, the value is {y}."),
    "unit_conversion": wordings("{e} are {y}. | If you convert {e}, you have {y}. | There are {y} in {e}."),
    "reverse": wordings("The list {e} in reverse is {y}. | Turn around {e} and it reads {y}."),
    "capitals": wordings("In capital letters {e} is {y}. | Change {e} into capitals and it reads {y}."),
    "first": wordings("In the list {e} the first word is {y}. | The list {e} starts with {y}."),
    "last": wordings("In the list {e} the last word is {y}. | The list {e} ends with {y}."),
    "count": wordings("The list {e} has {y} words. | Count {e} and there are {y} words."),
    "classification": wordings("{e} | {e} The review was {y}."),
}
ASKS: dict[str, tuple[str, ...]] = {
    "arithmetic": wordings("And what does {e} make? | Could someone work out {e}? | Calculate for me {e}. | Work out for us {e}."),
    "equations": wordings("How would one solve {e} for x? | Given the following equation, {e}, how much is x? | Solve for x: {e}."),
    "unit_conversion": wordings("And what are {e} in {u}? | How would one convert {e} to {u}? | Convert for me {e} to {u}."),
    "reverse": wordings("How does the list {e} read in reverse order? | Reverse {e} for me."),
    "capitals": wordings("How does {e} read in capital letters?"),
    "first": wordings("With which word does the list {e} start?"),
    "last": wordings("With which word does the list {e} end?"),
    "count": wordings("Of how many words is the list {e}? | Say how many words {e} has."),
    "classification": wordings("""
        {e} Is that positive or negative? | {e} Would you classify the feeling as positive or negative? | {e} Classify that.
    """),
}
