r"""The questions that are put to every model of instructions: first the fifteen of the Alpaca study, word for word, each with its rubric.

One entry here is all that a question takes: it is asked, written to answers.json, scored, shown in the report and put by `ftbench chat`.
A rubric follows from its question alone, whatever models say; `ftbench.rubrics` says how it reads an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from ftbench.rubrics import Open, Rubric, does_not_say, says, says_some
from ftbench.rubrics_code import defines_function, does_not_loop


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `kind` is the kind of instruction it resembles, `rubric` what its answer must say, or why no rule can tell."""

    id: str
    text: str
    kind: str
    rubric: Rubric


# ---- Wordings that several checks share -----------------------------------------------------------------------------------------

_CITY = r"(?:sydney|melbourne|brisbane|perth|adelaide|hobart|darwin|auckland|wellington)"
_CAPITAL = r"capital(?: city)?"
_STATE = r"(?:the )?(?:(?:australian )?state of )?(?:victoria|new south wales|nsw)\b"
# Canberra, or what a sentence about it begins with, and no other city nor its own territory up to where it is put
_IT = rf"(?:canberra|^(?:it|the city|(?:the )?{_CAPITAL}(?: of australia)?)\b)(?:(?!{_CITY}|between|territory|enclave)[^\n]){{0,80}}?"
_4 = r"(?:four\b|4(?:\.0+)?(?!\d|[.,]\d|[a-z]| ?[*/^÷] ?[\w(]| ?[-+] ?\d))"
_X = r"(?<![\w.^*/+-])(?<![\d^*/+-] )x ?(?:=|is|equals|is equal to|must be|to be|:) ?"
_PI, _R = r"(?:\bpi\b|\bpi(?=r ?\^|r2?\b)|\b3\.14\d*|\b22/7)", r"(?:r|(?:the |its )?radius(?: of the circle)?)"
_TIMES, _SQUARED = (
    r"\)? ?(?:\*|x |times |multiplied by |by )? ?\(? ?",
    r"\)?(?: ?\^ ?\(?2\b| ?squared\b| ?2\b| to the (?:power of |second power|2))",
)
_TWICE = rf"{_R} ?(?:\*|x|times|multiplied by) ?{_R}\b"
_NOT_FIRST = r"(?:buzz |yuri |john |alan |michael )?(?:aldrin|gagarin|glenn|shepard|collins)"

_CYBERSECURITY_THREATS = {
    "phishing": r"phish",
    "malware": r"malware|malicious software",
    "ransomware": r"ransomware",
    "viruses": r"\bvirus",
    "worms": r"\bworms?\b",
    "trojans": r"\btrojan",
    "spyware or keyloggers": r"spyware|key ?loggers?",
    "denial of service": r"denial[ -]of[ -]service|\bd?dos\b",
    "man in the middle": r"m[ai]n[ -]in[ -]the[ -]middle|eavesdropping",
    "injection of code": r"\binjections?\b",
    "cross-site scripting": r"cross[ -]site|\bxss\b",
    "attacks on passwords, or weak ones": r"\bpasswords?\b|brute[ -]force|credential",
    "social engineering": r"social engineering",
    "insiders": r"\binsiders?\b",
    "zero-day exploits or unpatched software": r"zero[ -]days?|unpatched|outdated software|exploits?\b",
    "data breaches or theft": r"data (?:breach|theft|leak)|theft of data",
    "identity theft or fraud": r"identity theft|\bfraud|\bscams?\b",
    "botnets": r"\bbotnets?\b",
    "hacking or unauthorised access": r"\bhack(?:ing|ers?|s)?\b|unauthori[sz]ed access",
    "spam or spoofing": r"\bspam\b|spoofing",
    "attacks on the supply chain": r"supply[ -]chain",
    "cryptojacking": r"crypto-?jacking",
}
_RELATIVITY = {
    "time or space": r"\b(?:space-?time|time|space)\b",
    "motion or observers": r"\b(?:motion|mov(?:e|es|ed|ing|ement)|observers?|speeds?|velocity|fast(?:er)?|frames? of reference)\b",
    "light": r"\blight\b",
    "gravity": r"\bgravit",
    "mass and energy": r"\bmass\b[^\n]{0,60}\benergy\b|\benergy\b[^\n]{0,60}\bmass\b|\be ?= ?m ?\*? ?c",
}
_SUSTAINABILITY = {
    "the future or those who come after us": r"\bfuture\b|\btomorrow\b|generations|long[ -]term|come after",
    "needs, people or society": r"\bneeds?\b|\bpeople\b|\bsociet|\bsocial",
    "the environment or resources": r"environment|\bnatur(?:e|al)\b|\bresources?\b|planet|ecolog|ecosystem",
    "the economy or growth": r"\beconom|\bgrowth\b",
}

QUESTIONS: tuple[Question, ...] = (
    Question(
        "australia",
        "What is the capital city of Australia?",
        "facts",
        (
            says("names Canberra", r"\bcanberra\b"),
            does_not_say(
                "does not place it in Victoria or New South Wales",
                rf"{_IT}\b(?:in|within|inside) (?:the )?(?:[\w-]+ ){{0,3}}?{_STATE}",
                r"canberra ?[,(] ?(?:in )?(?:victoria|new south wales|nsw)\b",
            ),
            does_not_say(
                "does not call it the capital of either",
                rf"{_IT}\b{_CAPITAL} (?:of|in|for) {_STATE}",
                rf"{_CAPITAL} (?:of|in) {_STATE} is (?:called )?canberra",
            ),
            does_not_say(
                "does not call another city Australia's capital",
                rf"{_CAPITAL}(?: (?:of|in) australia)?(?: is|:) (?:called |named )?{_CITY}\b",
                rf"\b{_CITY} is (?:the|australia's) (?:national )?{_CAPITAL}(?! (?:city )?of (?!australia))",
            ),
        ),
    ),
    Question(
        "relativity",
        "Can you explain the theory of relativity in simple terms?",
        "explanations",
        (
            says_some(2, "speaks of at least two of these", _RELATIVITY),
            does_not_say("does not rest it on Euclidean geometry", r"(?<!non-)(?<!non )\beuclid"),
        ),
    ),
    Question(
        "sum_vectors",
        "How would you code a function in Python to sum two vectors?",
        "code",
        (
            defines_function("holds Python that parses and defines a function of two arguments", 2),
            defines_function(
                "adds in that function: with a +, or with sum or add", 2, adding=True, calling=("sum", "add", "__add__", "nansum")
            ),
            does_not_loop("has no line more than three times, and no more than ten prints"),
        ),
    ),
    Question(
        "mockingbird",
        'Who wrote the novel "To Kill a Mockingbird"?',
        "facts",
        (says("names Harper Lee", r"\bharper lee\b", r"\blee, (?:nelle )?harper\b"),),
    ),
    Question(
        "table_salt",
        "What is the chemical formula for table salt?",
        "facts",
        (says("gives NaCl, its letters in this case", r"\bNa1?\+? ?Cl1?-?(?!\w)", exact_case=True),),
    ),
    Question(
        "circle",
        "How would you calculate the area of a circle given its radius?",
        "formulas",
        (
            says(
                "gives pi times the radius squared, in signs or in words",
                rf"(?<!2)(?<!2 )(?<!2\*)(?<!2 \* ){_PI}{_TIMES}(?:{_TWICE}|{_R}{_SQUARED}|(?:the )?(?:square of {_R}\b|squared? radius))",
                rf"\b(?:{_TWICE}|{_R}{_SQUARED}\)?){_TIMES}(?:by )?{_PI}",
                rf"\b(?:square of|square|squaring) {_R}\b[^\n]{{0,60}}{_PI}",
                rf"\bradius by itself\b[^\n]{{0,60}}{_PI}",
                rf"{_PI} ?\* ?(?:math\.)?pow\({_R}, ?2\)",
            ),
            does_not_say(
                "does not call 2 pi r the area",
                rf"\barea\b[^\n]{{0,40}}?(?:=|\bis|\bequals) ?(?:equal to )?(?:2|two|twice) ?\*? ?(?:times )?{_PI}",
            ),
        ),
    ),
    Question(
        "moon",
        "Who was the first person to walk on the moon?",
        "facts",
        (
            says("names Neil Armstrong", r"\bneil (?:a\. |alden )?armstrong\b"),
            does_not_say(
                "does not call another the first",
                rf"\b{_NOT_FIRST} (?:was|is|became) the first\b(?![^\n]{{0,40}}\b(?:space|orbit))",
                rf"\bfirst\b(?:(?!space|orbit|second)[^\n]){{0,60}} (?:was|is) {_NOT_FIRST}\b",
            ),
        ),
    ),
    Question(
        "cybersecurity",
        "Can you name three common cybersecurity threats?",
        "lists",
        (says_some(3, "names at least three different ones of these", _CYBERSECURITY_THREATS),),
    ),
    Question(
        "bird_in_the_hand",
        'What is the meaning of the phrase "a bird in the hand is worth two in the bush"?',
        "explanations",
        (
            says(
                "speaks of what one has or is sure of",
                r"\b(?:you|we|one|they|people) (?:already |currently |now )?(?:have|has|own|possess|hold)\b",
                r"\bhaving\b|\bto have\b",
                r"\b(?:certain|sure|guaranteed|secure|already|current|small|smaller|content|satisfied|hold on|keep)\b",
            ),
            says(
                "speaks of what one may get, hopes for or risks",
                r"\b(?:hop(?:e|es|ing)|risk\w*|chance|gambl\w+|uncertain\w*|potential\w*|possib\w+|may|might|could|promise\w*|greed\w*)\b",
                r"\b(?:larger|bigger|greater|more) (?:\w+ )?(?:one|later|reward|gain|advantage)",
            ),
        ),
    ),
    Question(
        "sustainable_development",
        "How would you explain the concept of sustainable development?",
        "explanations",
        (says_some(2, "speaks of at least two of these", _SUSTAINABILITY),),
    ),
    Question(
        "starry_night",
        'Who painted the famous artwork "The Starry Night"?',
        "facts",
        (says("names Vincent van Gogh", r"\bvan gogh\b"),),
    ),
    Question(
        "photosynthesis",
        "Can you describe the process of photosynthesis in plants?",
        "explanations",
        (
            says("names light", r"\b(?:sun)?light\b", r"\bsolar energy\b", r"\benergy (?:of|from) the sun\b"),
            says("names carbon dioxide or water", r"\bcarbon dioxide\b", r"\bco ?2\b", r"\bwater\b", r"\bh2o\b"),
            says("names sugar, food or oxygen", r"\b(?:sugars?|glucose|carbohydrates?|starch|food|oxygen|o2|c6h12o6)\b"),
        ),
    ),
    Question(
        "equation",
        "How would you solve the following equation: 3x + 5 = 17?",
        "equations",
        (
            says(
                "gives x = 4",
                rf"{_X}(?:[\d ()+*/÷.-]{{1,60}}= ?)?{_4}",
                rf"\b(?:answer|solution|result|value of x|value for x)(?: of x)?(?: is|:| =) ?{_4}",
                r"(?<![\w.^*/+=-])(?<![\d^*/+=-] )4 ?= ?x\b",
                rf"\A\s*{_4}\s*\Z",
            ),
            does_not_say("does not give x another value", rf"{_X}-? ?(?!{_4})\d++(?:\.\d++)?(?! ?[-+*/÷^(=]|[a-z(]| divided| over)"),
        ),
    ),
    Question(
        "machine_learning",
        "How would you explain the concept of machine learning to someone with no technical background?",
        "explanations",
        Open("a good picture for a layman may use any words, so that no list of words tells it from a bad one"),
    ),
    Question(
        "future_of_ai", "What do you think about the future of the artificial intelligence?", "explanations", Open("it asks for an opinion")
    ),
)


def asked(text: str) -> Question:
    """The question of that text; one that stands here no longer is an open one."""
    gone = Question("", text, "", Open("it is no longer among the questions"))
    return next((question for question in QUESTIONS if question.text == text), gone)
