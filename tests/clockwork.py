"""Rows of the benchmarks whose work is made up, and a clock that only such work moves."""

from __future__ import annotations


class Machine:
    """A clock that stands still but for what a piece of work takes, and a note of what ran."""

    def __init__(self, **seconds):
        self.seconds = {side: list(values) for side, values in seconds.items()}
        self.now, self.ran = 100.0, []

    def clock(self):
        return self.now

    def work(self, side, output="same"):
        def run():
            self.ran.append(side)
            self.now += self.seconds[side].pop(0)
            return output

        return lambda: run


def row(timing, machine, **changed):
    plain = {
        "work": "some work", "against": "another way", "bar": 2.0, "sizes": {"num_rows": 3},
        "ours": machine.work("ours"), "alternative": machine.work("alternative"),
        "difference": lambda ours, other: "" if ours == other else f"{ours} is not {other}",
    }  # fmt: skip
    return timing.Row(**{**plain, **changed})
