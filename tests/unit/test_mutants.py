"""Hostile and broken input: a small version of `soak/mutants.py`, properties of the check of params.yaml, and the judge itself."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import judging
import mutated_data
import mutated_models
import mutated_params
import pytest
import settings_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judging import ACCEPTED, HANG, NAMED, NEEDLESS, REFUSED, TRACEBACK, UNREADABLE, WRONGLY, Case, WronglyAcceptedError

from ftbench import params
from ftbench.errors import Problem, UserError

SEED = 8
calmly = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutants")


def faults(verdicts: list[judging.Verdict]) -> list[str]:
    return [f"{one.outcome}: {one.case.kind}: {one.case.name}: {one.said[-800:]}" for one in judging.faults(verdicts)]


# ---- a small version of the soak ---------------------------------------------------------------------------------------------------------


def test_mutants_of_params_are_let_in_with_their_meaning_or_refused_in_words(folder: Path) -> None:
    verdicts = [judging.judge(case) for case in mutated_params.cases(5 * len(mutated_params.KINDS), SEED, folder)]
    assert not faults(verdicts)
    assert len(judging.counts(verdicts)) == 11
    assert {REFUSED, ACCEPTED} == {one.outcome for one in verdicts}


def test_mutants_of_data_files_are_refused_or_their_rows_are_named_and_counted(folder: Path) -> None:
    verdicts = [judging.judge(case) for case in mutated_data.cases(SEED, folder, only=9)]
    assert not faults(verdicts)
    assert {REFUSED, ACCEPTED, NAMED} == {one.outcome for one in verdicts}
    assert len(judging.counts(verdicts)) == 10


def test_mutants_of_model_folders_are_refused_or_loaded_to_the_bit(folder: Path) -> None:
    verdicts = [judging.judge(case) for case in mutated_models.cases(SEED, folder, architectures=("llama",), only=8)]
    assert not faults(verdicts)
    assert {REFUSED, ACCEPTED} == {one.outcome for one in verdicts}
    assert set(judging.counts(verdicts)) == {f"model: {kind}" for kind in mutated_models.SPOILT}


def test_the_same_seed_makes_the_same_mutants(folder: Path) -> None:
    names = [[case.name for case in mutated_params.cases(44, seed, folder)] for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]


def test_what_is_spoilt_is_good_before_it_is_spoilt(folder: Path) -> None:
    good = mutated_params.base()
    mutated_params.checked(mutated_params.text(good).encode(), folder / "params.yaml")
    assert params.read(folder / "params.yaml") == good


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("offline", "snli", "qkv", "learning_rate"), float("nan")),
        (("offline", "snli", "text", "max_length"), True),
        (("studies", "snli", "seeds", 0), -1),
        (("offline", "models", "phi_2", "pretraining", "max_steps"), 10**12),
        (("offline", "datasets", "snli", "licence"), " "),
        (("offline", "datasets", "snli", "genres"), []),
        (("offline", "models", "phi_2", "new"), 1),
    ],
)
def test_the_rules_find_what_cannot_be_meant_without_the_schema(path: tuple[Any, ...], value: object) -> None:
    assert not mutated_params.meaningless(mutated_params.base())
    assert len(mutated_params.meaningless(mutated_params.changed(mutated_params.base(), path, value))) == 1


# ---- properties of the check ---------------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6
)


def ends_well(content: bytes, folder: Path) -> None:
    """Fails for anything but a file that means what it says, or a readable refusal."""
    case = Case("property", repr(content[:80]), lambda: mutated_params.checked(content, folder / "params.yaml"))
    assert not faults([judging.judge(case)])


@calmly
@given(place=st.integers(0, 10**6), value=VALUES)
def test_any_value_at_any_place_is_let_in_with_its_meaning_or_refused(folder: Path, place: int, value: object) -> None:
    raw = copy.deepcopy(mutated_params.base())
    places = list(mutated_params.paths(raw))
    ends_well(mutated_params.text(mutated_params.changed(raw, places[place % len(places)], value)).encode("utf-8", "surrogatepass"), folder)


@calmly
@given(place=st.integers(0, 10**6), text=st.text(max_size=30))
def test_any_text_anywhere_in_the_file_is_let_in_with_its_meaning_or_refused(folder: Path, place: int, text: str) -> None:
    whole = mutated_params.text(mutated_params.base())
    cut = place % len(whole)
    ends_well((whole[:cut] + text + whole[cut:]).encode("utf-8", "surrogatepass"), folder)


@calmly
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(folder: Path, content: bytes) -> None:
    ends_well(content, folder)


@calmly
@given(VALUES.filter(lambda value: isinstance(value, dict)))
def test_what_is_written_is_read_back(folder: Path, value: dict[str, Any]) -> None:
    """Of the writer that mutants are made with: a mutant is what its name says."""
    (folder / "params.yaml").write_bytes((mutated_params.text(value) if value else "{}").encode("utf-8", "surrogatepass"))
    try:
        found = params.read(folder / "params.yaml")
    except UserError:
        return
    assert json.dumps(found) == json.dumps(value)


# ---- the judge -------------------------------------------------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[[], str | None]:
    def act() -> str | None:
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (lambda: None, ACCEPTED),
        (lambda: NAMED, NAMED),
        (raising(UserError(Problem("file:1", "a"))), REFUSED),
        (raising(ValueError("a")), TRACEBACK),
        (raising(SystemExit(1)), TRACEBACK),
        (raising(RecursionError()), TRACEBACK),
        (raising(UserError([])), UNREADABLE),
        (raising(UserError(Problem("", "a"))), UNREADABLE),
        (raising(UserError(Problem("file:1", "x" * 5000))), UNREADABLE),
        (raising(UserError(Problem("file:1", "Traceback (most recent call last):"))), UNREADABLE),
        (raising(UserError(Problem("elsewhere", "a"))), UNREADABLE),
        (raising(WronglyAcceptedError("nan")), WRONGLY),
        (lambda: time.sleep(30), HANG),
    ],
)
def test_the_judge_tells_a_refusal_from_every_fault(act: Callable[[], str | None], outcome: str) -> None:
    verdict = judging.judge(Case("k", "n", act, frozenset({ACCEPTED, REFUSED, NAMED}), ("file",)), seconds=0.2)
    assert verdict.outcome == outcome


def test_a_hang_inside_of_what_catches_every_exception_is_found() -> None:
    def act() -> None:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(30)

    assert judging.judge(Case("k", "n", act), seconds=0.2).outcome == HANG


def test_what_should_be_refused_and_is_not_is_a_fault_and_the_other_way_round() -> None:
    refusing = raising(UserError(Problem("file", "a")))
    verdicts = [
        judging.judge(Case("k", "n", lambda: None, frozenset({REFUSED}))),
        judging.judge(Case("k", "n", refusing, frozenset({ACCEPTED}))),
        judging.judge(Case("k", "n", lambda: NAMED, frozenset({ACCEPTED}))),
        judging.judge(Case("k", "n", refusing)),
    ]
    assert [one.outcome for one in verdicts] == [WRONGLY, NEEDLESS, WRONGLY, REFUSED]
    assert len(judging.faults(verdicts)) == 3
    assert judging.counts(verdicts) == {"k": {REFUSED: 1, WRONGLY: 2, NEEDLESS: 1}}


def test_a_problem_shows_what_a_terminal_would_obey_as_escapes() -> None:
    said = str(UserError(Problem("params.yaml: a\x1b[31m", "\x9b31m, \u202e and \ud800", "two\nlines é", "\x07")))
    assert said.splitlines() == [
        "params.yaml: a\\x1b[31m",
        "  found:   \\x9b31m, \\u202e and \\ud800",
        "  allowed: two",
        "lines é",
        "  mend:    \\x07",
    ]
    said.encode()
    assert params.at("a\nb", 1, "c") == "params.yaml: a\\nb[1].c"


def test_numbers_stay_numbers_when_a_mutant_is_written() -> None:
    assert settings_file.written({"a": math.nan, "b": [1e-5, math.inf]}) == ["a: .nan", "b:", "  - 1e-05", "  - .inf"]
    assert settings_file.written({"a": settings_file.Literal("0x10")}) == ["a: 0x10"]
