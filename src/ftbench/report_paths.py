"""The outlines of a drawing in few characters: rounded positions, each said as the step from the one before."""

from __future__ import annotations

import re

COMMANDS = {"M": 1, "L": 1, "Q": 2, "C": 3, "z": 0}  # of matplotlib's paths, with their points
TOKEN = re.compile(r"[A-Za-z]|-?\d*\.?\d+(?:e[+-]?\d+)?")


def steps(data: str, digits: int) -> str:
    """Matplotlib's path data (absolute, M L Q C z) rounded and written as steps: `M 1 2 L 3 2` is `M1 2h2`. No error adds up."""
    tokens = TOKEN.findall(data)
    if {one for one in tokens if one.isalpha()} - set(COMMANDS):
        return data
    out, here, start, place, last = [], (0, 0), (0, 0), 0, ""
    while place < len(tokens):
        command = tokens[place]
        num = 2 * COMMANDS[command]
        flat = [round(float(one) * 10**digits) for one in tokens[place + 1 : place + 1 + num]]
        points = list(zip(flat[::2], flat[1::2], strict=True))
        place += 1 + num
        if command == "z":
            out.append("z")
            here, last = start, "z"
            continue
        if command == "M":
            start, word, moves = points[0], "M", flat
        else:
            moves = [value - here[axis] for point in points for axis, value in enumerate(point)]
            word = command.lower()
            if command == "L" and 0 in moves and last != "l":
                word, moves = ("h", moves[:1]) if moves[1] == 0 else ("v", moves[1:])
        here = points[-1]
        text = " ".join(number(one, digits) for one in moves).replace(" -", "-")
        out.append(
            text if word == last and word != "M" and text.startswith("-") else f" {text}" if word == last and word != "M" else word + text
        )
        last = word
    return "".join(out)


def number(scaled: int, digits: int) -> str:
    """A number of so many decimals, given without its point, in the fewest characters: 50 with two is `.5`."""
    text = f"{scaled / 10**digits:.{digits}f}".rstrip("0").rstrip(".")
    return re.sub(r"^(-?)0\.", r"\1.", text)
