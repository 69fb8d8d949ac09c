"""Characters that act without being seen are gone, and every other one stays."""

from ftbench import terminal, unseen
from ftbench.report_svg import finished
from ftbench.tables import inert


def test_control_formatting_and_unassigned_characters_go_and_letters_of_every_script_stay():
    assert unseen.removed("a\x1b[0m\x7f\x85\u202eb\u2066\u200d\ufeff\ue000\uffff\U000e0041\tc\n") == "a[0mbc"
    kept = "Zürich 東京 עברית \U0001f600 e\u0301 – \u00a0"
    assert unseen.removed(kept) == kept


def test_what_is_asked_to_stay_stays():
    assert unseen.removed("a\n\tb\r\x00", kept="\n\t") == "a\n\tb"


def test_a_cell_a_drawing_and_a_terminal_lose_the_same():
    text = "a\u202e\u00ad\U000e0041b"
    assert inert(text) == finished(text) == terminal.plain(text) == "ab"
