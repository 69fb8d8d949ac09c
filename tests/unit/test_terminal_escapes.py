"""What a terminal would obey goes from an answer, also from one that is shown while it grows."""

from __future__ import annotations

import pytest

from ftbench.asking import growing
from ftbench.terminal import Unfolding, plain

ESCAPES = "a\x1b[31mred\x1b[0m \x1b]0;title\x07b \x1b]8;;http://x\x1b\\link\x9b2Jc \x1b(Bd \x1bPq1\x1b\\e"
CLEAN = "ared b linkc d e"


def test_escapes_control_and_bidirectional_characters_go_and_line_breaks_stay() -> None:
    assert plain(ESCAPES) == CLEAN
    assert plain("one\r\ntwo\rthree\u2028four\tfive") == "one\ntwo\nthree\nfour\tfive"
    assert plain("a\x07\x08\x00\u202e\u2066\u200b\ufeff\ud800b") == "ab"
    assert plain("é 日本 🙂 ½ \ufffd") == "é 日本 🙂 ½ \ufffd"
    assert plain("x" * 5000) == "x" * 5000


def test_no_answer_hides_behind_an_escape_that_never_ends() -> None:
    assert plain("a\x1b]0;the rest") == "a0;the rest"
    assert plain("a\x1b]0;\nthe rest\x07") == "a0;\nthe rest"
    assert plain("a\x1b[31") == "a31"
    assert plain("a\x1b") == "a"


@pytest.mark.parametrize(("opener", "left"), [("\x9d", ""), ("\x1b]", ""), ("\x9d\x9b0", "0"), ("\x9b", ""), ("\x1b[", "")])
def test_a_megabyte_of_escapes_that_never_end_is_read_once(opener: str, left: str) -> None:
    # read again from each opener inside, this would take hours
    number = 2**20 // len(opener)
    for ended in (True, False):
        assert plain(opener * number + "é\n", ended) == left * number + "é\n"


def test_what_an_unended_escape_holds_is_kept_without_the_escapes_in_it() -> None:
    assert plain("\x9d0;a\x9b31mb\x9dc\nd") == "0;abc\nd"
    assert plain("\x1b]0;a\x9b31mb\n\x1b]title\x07d") == "0;ab\nd"
    assert plain("one\r\x9d\ntwo") == "one\n\ntwo"
    assert plain("a\x9d0;\x9b31", ended=False) == "a"


def test_an_escape_that_is_split_over_tokens_goes_wherever_it_is_split() -> None:
    for text, clean in ((ESCAPES, CLEAN), ("a\x1b]0;the rest", "a0;the rest"), ("\x1b[3é\r\n\x1b\x1b[mx", "3é\nx")):
        assert plain(text) == clean
        for size in (1, 2, 3, 7):
            shown: list[str] = []
            unfolding = Unfolding(shown.append)
            for end in range(size, len(text) + size, size):
                unfolding.grow(text[:end])
                assert clean.startswith("".join(shown))
                assert "\x1b" not in "".join(shown)
            unfolding.grow(text, ended=True)
            assert "".join(shown) == clean


def test_half_a_character_and_white_space_at_the_ends_wait() -> None:
    shown: list[str] = []
    unfolding = Unfolding(shown.append)
    for text in (" ", " A", " A ", " A b\ufffd\ufffd", " A bé", " A bé\n\n"):
        unfolding.grow(text)
    unfolding.grow("A bé", ended=True)
    assert [piece for piece in shown if piece] == ["A", " b", "é"]


def test_a_text_that_the_tokenizer_wrote_anew_is_shown_anew_at_its_end() -> None:
    shown: list[str] = []
    unfolding = Unfolding(shown.append)
    for text in ("do", "do n", "don't", "don't go"):
        unfolding.grow(text)
    unfolding.grow("don't go", ended=True)
    assert "".join(shown) == "do n\ndon't go"


def test_an_answer_that_grows_waits_for_a_run_of_bytes_to_end() -> None:
    class Letters:
        def convert_ids_to_tokens(self, token: int) -> str:
            return f"<0x{token:02X}>" if token > 127 else chr(token)

        def decode(self, tokens: list[int], skip_special_tokens: bool) -> str:
            return "".join(chr(token) for token in tokens)

    tokens = [65, 66, 195, 169, 67]
    assert [growing(Letters(), tokens[:end]) for end in range(1, 6)] == ["A", "AB", None, None, "ABÃ©C"]
