"""What each question's rubric lets pass and what it does not, and how the checks read an answer."""

from __future__ import annotations

import pytest

from ftbench import questions, rubrics
from ftbench.questions import QUESTIONS
from ftbench.rubrics import Open, affirmed, does_not_say, passed, says, says_some, verdicts

RUBRICS = {question.id: question.rubric for question in QUESTIONS}
OPEN = {"machine_learning", "future_of_ai"}

ADD = "def add(a, b):\n    return [x + y for x, y in zip(a, b)]"
GOOD = {
    "australia": [
        "Canberra",
        "The capital city of Australia is Canberra.",
        "The capital is not Sydney but Canberra.",
        "Sydney is the capital of New South Wales, and Melbourne the capital of Victoria. Australia's capital is Canberra.",
        "Canberra, which is not in New South Wales, is the capital. It lies in the Australian Capital Territory.",
        "It is Canberra rather than Sydney. It lies between Sydney in New South Wales and Melbourne in Victoria.",
        "Many people think Sydney is the capital, but it is Canberra.",
        "Sydney is the largest city, Canberra is the capital.",
        "I think that it's Canberra, though Sydney is often mistaken for it.",
        "**Canberra** lies in the Australian Capital Territory, an enclave in New South Wales.",
    ],
    "relativity": [
        "Einstein found that space and time are one, and that moving clocks run slow.",
        "It means that time and space depend on how fast you move.",
        "Nothing is faster than light, and gravity bends space. It does not rest on Euclidean geometry, but on a curved one.",
    ],
    "sum_vectors": [
        ADD,
        f"You can use this:\n\n```python\n{ADD}\n\nprint(add([1, 2], [3, 4]))\n```\n\nIt adds pair by pair (that is all).",
        "Here:\ndef add(v, w):\n    s = []\n\n    for i in range(len(v)):\n        s.append(v[i] + w[i])\n    return s\nIt adds.",
        "import numpy as np\n\ndef sum_vectors(a, b):\n    return np.add(a, b)",
        "def sum_vectors(a: list, b: list, *, strict=True) -> list: return list(map(sum, zip(a, b)))",
        "add = lambda a, b: [x + y for x, y in zip(a, b)]",
        "def add(\n    a,\n    b,\n):\n    return a + b\nThat is all.",
        "Use `def add(a, b): return a + b`",
    ],
    "mockingbird": ["Harper Lee", "It was written by Nelle Harper Lee.", "Not Truman Capote but Harper Lee wrote it."],
    "table_salt": ["NaCl", "The formula is **NaCl** (sodium chloride).", "Na⁺Cl⁻", "Na₁Cl₁, that is, NaCl.", "$\\text{NaCl}$"],
    "circle": [
        "πr²",
        "A = π × r²",
        "Area = pi * r ** 2",
        "`math.pi * radius**2`",
        "The area of a circle is pi r squared, where r is the radius.",
        "It is pi times the radius squared.",
        "Multiply pi (about 3.14) by the square of the radius.",
        "Square the radius and multiply it by pi.",
        "3.14 × r × r",
        "$A = \\pi r^{2}$",
        "The circumference is 2πr; the area is r^2 * π.",
        "πr2",
        "Multiply the radius by itself and then by pi.",
        "return math.pi * math.pow(radius, 2)",
        "A = π * (radius)²",
        "To calculate the area, use the formula A = πr², where π (pi) is approximately 3.14159 and r is the radius.",
        "Area = 3.14159 * radius^2",
        "Area = π × (radius × radius)",
    ],
    "moon": [
        "Neil Armstrong",
        "The first was Neil Armstrong, in 1969; Buzz Aldrin was the second.",
        "Yuri Gagarin was the first human in space, Neil Armstrong the first on the moon.",
        "It wasn't Buzz Aldrin, it was Neil Armstrong.",
    ],
    "cybersecurity": [
        "Phishing, malware and ransomware.",
        "1. Denial-of-service attacks\n2. SQL injection\n3. Weak passwords",
        "- Social engineering\n- Man-in-the-middle attacks\n- Zero-day exploits",
    ],
    "bird_in_the_hand": [
        "It means that what you have is better than what you only hope for.",
        "It is better to hold on to something certain than to risk it for something better.",
        "Be content with what you already have; you may lose it by chasing more.",
        "It's better to have a sure thing now than the possibility of something better later.",
    ],
    "sustainable_development": [
        "It means that people meet their needs today without harm to the people of tomorrow.",
        "Development that balances economic growth and the environment.",
        "Using resources so that future generations have some too.",
    ],
    "starry_night": ["Vincent van Gogh", "It was painted by Van Gogh in 1889.", "Vincent Van Gogh, and not Claude Monet."],
    "photosynthesis": [
        "Plants use sunlight, water and carbon dioxide to make glucose and oxygen.",
        "A plant takes CO₂ from the air and, with the energy of the sun, makes its food.",
        "Light splits H2O, and O2 leaves the leaf.",
    ],
    "equation": [
        "x = 4",
        "Take 5 from both sides: 3x = 12. Divide by 3: x = 4.",
        "3x + 5 = 17\n3x = 17 - 5\n3x = 12\nx = 12 / 3\nx = 4",
        "x = (17 - 5) / 3 = 4",
        "3 * x = 12, so x is 4.",
        "- 3x = 12\n- x = 4",
        "The answer is 4.",
        "4",
        "\\[x = \\frac{12}{3} = 4\\]",
        "x is not 12, but x = 4.",
        "So 4 = x.",
        "To solve the equation, subtract 5 from both sides: 3x = 12. Then divide both sides by 3 and get x = 4. Check: 3(4) + 5 = 17.",
        "3x + 5 = 17 → 3x = 12 → x = 4",
        "x equals four.",
        "**x = 4**",
    ],
}
BAD = {
    "australia": [
        "The capital is Sydney.",
        "It is not Canberra.",
        "Canberra is in the state of Victoria.",  # as the study's Bloom
        "The capital city of Australia is Canberra. It is located in Victoria, on the banks of the Yarra.",
        "The capital of Australia is Canberra, Victoria.",
        "Canberra is the capital of New South Wales, on the River Burar.",  # as the study's Falcon
        "Canberra is a town. The capital is Sydney.",
        "Sydney is the capital city; Canberra is not.",
        "Canberra is not the capital.",
        "Sydney is the capital, Canberra a town.",
        "Many people think that it is Canberra.",
        "The capital of Austria is Vienna.",
    ],
    "relativity": [
        "It rests on Euclidean geometry, in which space and time are moved by gravity.",  # as the study's LLaMA
        "It means that things with mass pull at each other.",
        "Everything is relative.",
    ],
    "sum_vectors": [
        "def add(a, b):\n    return [x + y for x, y in zip(a, b)",
        "def add(a):\n    return sum(a)",
        "def subtract(a, b): return [x - y for x, y in zip(a, b)]",
        'def sum_list(a, b): return sum(a)" can sum a + b',
        f"```python\n{ADD}\n" + "print(add([1, 2], [3, 4]))\n" * 9 + "```",  # one of the study's loops print
        f"{ADD}\n" + "".join(f"print({number})\n" for number in range(40)),
        "You add the vectors, a + b.",
        "def add(*vectors): return sum(vectors)",
        "def add(a, b, c): return a + b + c",
        "def add(a, b, *, c): return a + b + c",
    ],
    "mockingbird": ["It was written by Homer.", "Not Harper Lee but Truman Capote.", "Harper and a Mockingbird"],
    "table_salt": ["CO2", "nacl", "NaCl2", "Na2Cl", "NaClO", "Its formula isn't NaCl.", "sodium chloride"],
    "circle": [
        "2πr",
        "The area is 2 × π × r².",
        "pi times the radius",
        "The area of a square is s squared, where s is the side.",
        "πr³",
        "The area is 2 pi r, and the circumference pi r^2.",
        "radius squared",
    ],
    "moon": [
        "Buzz Aldrin",
        "Armstrong",
        "It was not Neil Armstrong.",
        "Buzz Aldrin was the first, and Neil Armstrong the second.",
        "The first person on the moon was Yuri Gagarin, with Neil Armstrong.",
    ],
    "cybersecurity": [
        "Phishing, phishing emails and phishing.",
        "Malware and phishing.",
        "Three sports are football, tennis and hockey.",
    ],
    "bird_in_the_hand": [
        "A bird in the hand is worth two in the bush.",
        "It means that a bird is an animal that can fly.",
        "The first was Neil Armstrong.",
    ],
    "sustainable_development": [
        "It means that the people choose who leads them.",
        "The currency of Poland is the zloty.",
        "It is sustainable.",
    ],
    "starry_night": ["It was painted by Claude Monet.", "It wasn't van Gogh.", "Vincent"],
    "photosynthesis": [
        "Plants breathe oxygen and drink water.",
        "It means that things with mass pull at each other.",
        "Plants turn light into leaves.",
    ],
    "equation": [
        "x = 12",
        "x = 4.5",
        "x = 40",
        "x = -4",
        "3x = 4",
        "x = 4x",
        "x = 4/3",
        "x = 4, so x = 5.",
        "x is not 4.",
        "3x + 5 = 17",
        "14",
    ],
}
SCORED = [question.id for question in QUESTIONS if not isinstance(question.rubric, Open)]


def test_each_of_the_fifteen_has_a_rubric_or_a_reason_and_each_rubric_good_and_bad_answers() -> None:
    assert len(QUESTIONS[:15]) == len({question.id for question in QUESTIONS[:15]}) == 15
    assert {question.id for question in QUESTIONS[:15] if isinstance(question.rubric, Open)} == OPEN
    assert len(GOOD) == len(BAD) == 13
    assert set(GOOD) == set(BAD) == {question.id for question in QUESTIONS[:15]} - OPEN
    assert min(len(answers) for answers in (*GOOD.values(), *BAD.values())) >= 2
    for question in QUESTIONS:
        words = rubrics.described(question.rubric)
        assert bool(words["checks"]) != bool(words["open"])
        assert all(sentence and sentence[0].islower() and not sentence.endswith(".") for sentence in words["checks"]), question.id
        assert len(set(words["checks"])) == len(words["checks"])


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in GOOD.items() for answer in answers])
def test_a_good_answer_passes(name: str, answer: str) -> None:
    assert rubrics.remark(RUBRICS[name], answer) == "passed"
    assert passed(RUBRICS[name], answer) is True


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in BAD.items() for answer in answers])
def test_a_bad_answer_does_not_pass(name: str, answer: str) -> None:
    assert passed(RUBRICS[name], answer) is False
    assert rubrics.remark(RUBRICS[name], answer).startswith('failed on "')


@pytest.mark.parametrize("name", SCORED)
def test_neither_an_empty_answer_nor_the_question_itself_passes(name: str) -> None:
    for answer in ("", " \n\t", "...", "```\n```"):
        assert verdicts(RUBRICS[name], answer) == [False] * len(RUBRICS[name])
    assert passed(RUBRICS[name], next(question.text for question in QUESTIONS if question.id == name)) is False


def test_the_studys_mistakes_fail_on_the_check_that_names_them() -> None:
    assert rubrics.remark(RUBRICS["australia"], "Canberra, in Victoria.") == 'failed on "does not place it in Victoria or New South Wales"'
    assert rubrics.remark(RUBRICS["australia"], "Canberra is the capital of New South Wales.") == (
        'failed on "does not call it the capital of either"'
    )
    assert "Euclidean" in rubrics.remark(RUBRICS["relativity"], BAD["relativity"][0])
    assert "prints" in rubrics.remark(RUBRICS["sum_vectors"], BAD["sum_vectors"][4])


def test_an_open_question_is_not_scored_and_says_why() -> None:
    question = Open("it asks for an opinion")
    assert (passed(question, "I think so."), verdicts(question, "I think so.")) == (None, [])
    assert rubrics.remark(question, "") == "not scored, an open question: it asks for an opinion"
    assert rubrics.described(question) == {"checks": [], "open": "it asks for an opinion"}


def test_what_is_denied_is_not_said() -> None:
    assert affirmed("It is not A, but B. It's C rather than D; it isn't E (never F).\nNot only G – H and not I") == "but B\nIt's C ,\nG - H"
    assert affirmed("") == ""


def test_wordings_are_found_in_any_case_and_spelling_and_the_different_ones_counted() -> None:
    assert says("a", "one", "pi r").holds("Ｐｉ   **R**")
    assert not says("a", "Na", exact_case=True).holds("na")
    assert does_not_say("a", "one").holds("not one")
    assert not does_not_say("a", "one").holds("one")
    two = says_some(2, "at least two", {"ones": "ones?", "twos": "twos?"})
    assert two.sentence == "at least two: ones, twos"
    assert [two.holds(answer) for answer in ("one, one, ones", "one and two", "one and not two")] == [False, True, False]


def test_a_share_counts_the_scored_questions_of_all_seeds() -> None:
    rubric = (says("says yes", "yes"),)
    assert rubrics.share_passed([rubric, Open("open"), rubric], [["yes", "yes", "no"], ["yes", "", "yes"]]) == 0.75
    assert rubrics.share_passed([Open("open")], [["yes"]]) is None


def test_a_question_is_found_by_its_text() -> None:
    assert questions.asked("What is the capital city of Australia?") is QUESTIONS[0]
    assert questions.asked("What?").rubric == Open("it is no longer among the questions")
