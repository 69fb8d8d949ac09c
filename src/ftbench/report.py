"""The report: a pure function of files that git keeps, written as Markdown, as one HTML page, as figures, and as the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftbench import (
    curves,
    files,
    ledger,
    params,
    report_budgets,
    report_cases,
    report_coverage,
    report_effects,
    report_kinds,
    report_learning,
    report_numbers,
    report_pairs,
    report_pareto,
    report_provenance,
    report_questions,
    report_sweeps,
    tables,
    usage,
)
from ftbench.evidence import CONTRADICTED, HOLDS, UNDECIDED, VERDICTS, Evidence
from ftbench.report_data import Study, answer
from ftbench.report_html import TITLE, Card, html_page
from ftbench.tables import Block, Figure, Heading, Links, Paragraph, Quote, Table

UNFINISHED = "unfinished.json"  # only beside a partial report
READ = ("metrics.json", "comparison.json", "cost.json")  # of every study


@dataclass(frozen=True)
class Inputs:
    """Everything the report is made of. `absent` names the studies of params.yaml that have no results."""

    scale: str
    designs: Mapping[str, Any]
    studies: Mapping[str, Study]
    absent: Sequence[str]
    accounting: Mapping[str, Any]
    coverage: Mapping[str, Any] = field(default_factory=dict)
    unfinished: Mapping[str, str] = field(default_factory=dict)  # of each stage that did not finish, why: a partial report has some

    def evidence(self) -> Evidence:
        """The same, as the ledger's rules read it."""
        kept = self.studies.items()
        return Evidence(
            comparison={name: one.comparison for name, one in kept},
            cost={name: one.cost for name, one in kept},
            curves={name: one.curves for name, one in kept},
            answers={name: one.answers for name, one in kept if one.answers is not None},
            accounting=self.accounting,
            metrics={name: one.metrics for name, one in kept},
        )

    def elsewhere(self, name: str) -> Study | None:
        """Another study of the same base model and data set, for one that has nothing to compare itself with."""
        design = self.designs[name]
        for other, found in self.studies.items():
            same = all(self.designs[other][key] == design[key] for key in ("model", "dataset"))
            if other != name and same and found.comparison["reference"]:
                return found
        return None


def read(out: Path, raw: Mapping[str, Any]) -> Inputs:
    """The files of every study of params.yaml under `out`. Raises UserError for one that is broken, or of a study that is half there."""
    designs = params.find(raw, "studies")
    kept = ("accounting.json", "coverage.json", UNFINISHED)
    accounting, coverage, unfinished = (files.read_json(out / name) if (out / name).exists() else {} for name in kept)
    studies = {name: _read_study(out / name, name, accounting) for name in designs if (out / name / "metrics.json").exists()}
    absent = [name for name in designs if name not in studies]
    return Inputs(str(params.find(raw, "scale")), designs, studies, absent, accounting, coverage, unfinished.get("stages", {}))


def _read_study(folder: Path, name: str, accounting: Mapping[str, Any]) -> Study:
    comparison = files.read_json(folder / "comparison.json")
    arms = [arm for arm, entry in comparison["entries"].items() if entry["trained"]]
    return Study(
        name=name,
        metrics=files.read_json(folder / "metrics.json"),
        comparison=comparison,
        cost=files.read_json(folder / "cost.json"),
        curves={arm: curves.read(folder / "curves" / f"{arm}.csv") for arm in arms},
        usage={arm: usage.read(folder / "usage" / f"{arm}.csv") for arm in arms},
        answers=files.read_json(folder / "answers.json") if (folder / "answers.json").exists() else None,
        full_size=accounting.get("scales", {}).get(ledger.FULL_SIZE_SCALE, {}).get(name, {}),
        sweeps=_read_sweeps(folder / "sweeps", comparison["scale"]),
        digests={f"{name}/{one}": _digest(folder / one) for one in (*READ, "answers.json") if (folder / one).exists()},
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _read_sweeps(folder: Path, scale: str) -> dict[str, Any]:
    found = {path.stem: files.read_json(path) for path in sorted(folder.glob("*.json"))}
    return {name: one for name, one in found.items() if one["scale"] == scale}


def write(out: Path, inputs: Inputs) -> None:
    """Write the ledger, the figures, a Markdown page per study, the front page and the HTML page."""
    book, stated = ledger.build(inputs.scale, inputs.evidence()), ledger.claims()
    files.write_json(out / "ledger.json", book)
    sections: list[tuple[str, str, list[Block]]] = []
    overview = report_numbers.overview(list(inputs.studies.values()), inputs.scale)
    with files.directory_written_atomically(out / "figures") as folder:
        files.write_text(folder / Path(overview.path).name, overview.svg)
    first: list[Block] = [Paragraph(_introduction(inputs, book)), overview]
    for name, study in inputs.studies.items():
        drawn = report_numbers.drawings(study)
        if "calibration" in study.comparison:
            drawn["reliability"] = report_pairs.reliability(study)
        if pareto := report_pareto.figure(study):
            drawn["pareto"] = pareto
        with files.directory_written_atomically(out / name / "figures") as folder:
            for figure in drawn.values():
                files.write_text(folder / Path(figure.path).name, figure.svg)
        blocks = page(study, drawn, inputs.elsewhere(name), stated)
        files.write_text(out / name / "README.md", tables.markdown([Heading(f"Study {name}", 1), *blocks]))
        sections.append((name, f"Study {name}", blocks))
        scores = drawn["scores"]
        first += [
            Heading(name, 2),
            Quote(study.comparison["question"]),
            Paragraph(answer(study, inputs.elsewhere(name))),
            Figure(f"{name}/{scores.path}", scores.alt, scores.svg),
            Links([(f"all of {name}", f"{name}/README.md")]),
        ]
    claims: list[Block] = ledger_blocks(book)
    absent: list[Block] = absent_blocks(inputs)
    trust: list[Block] = report_coverage.trust(inputs.coverage)
    last = [Heading("What the studies claimed", 2), *claims, *trust, *absent]
    files.write_text(out / "README.md", tables.markdown([Heading(TITLE, 1), *first, *last]))
    cards = [Card(name, study.comparison["question"], answer(study, inputs.elsewhere(name))) for name, study in inputs.studies.items()]
    pages = [("answers", "Answers", first[:2]), *sections, ("ledger", "What the studies claimed", claims)]
    appended = [("trust", report_coverage.TITLE, trust[1:]), ("absent", "What did not run", absent[1:])]
    files.write_text(out / "index.html", html_page([*pages, *(one for one in appended if one[2])], cards))


def page(study: Study, drawn: Mapping[str, Figure], elsewhere: Study | None, claims: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Everything about a study but its title; `claims` as `ledger.claims` reads them."""
    blocks: list[Block] = [Quote(study.comparison["question"]), Paragraph(answer(study, elsewhere)), drawn["scores"]]
    if absent := study.comparison.get("absent"):
        blocks.insert(1, Paragraph(f"Partial: without {', '.join(f'`{name}`' for name in absent)}, which did not finish."))
    blocks += [
        *report_numbers.results(study),
        *report_numbers.tests(study),
        *report_effects.effects(study),
        *report_numbers.controls(study),
        *report_numbers.costs(study),
        *report_budgets.budgets(study, drawn),
        *report_pareto.pareto(study, drawn),
        *report_learning.learning(study, drawn, claims),
        *report_sweeps.sweeps(study.sweeps),
    ]
    if "confusion" in study.comparison:
        blocks += [*report_cases.confusion(study), *report_pairs.shifts(study), *report_pairs.calibration(study, drawn)]
        blocks += [*report_cases.groups(study), *report_pairs.transfer(study), *report_pairs.written(study), *report_pairs.probes(study)]
    else:
        blocks += report_kinds.kinds(study)
    return [*blocks, *report_cases.failures(study), *report_questions.questions(study), *report_provenance.provenance(study)]


def _introduction(inputs: Inputs, book: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{book['verdicts'][verdict]} {verdict}" for verdict in VERDICTS)
    miniature = (
        " At this scale the base models are miniatures of the same architectures: their figures are not the studies'."
        if inputs.scale != ledger.FULL_SIZE_SCALE
        else ""
    )
    if inputs.unfinished:
        miniature += f" This report is partial: {len(inputs.unfinished)} stages did not finish; the last section names them."
    return f"Scale `{inputs.scale}`.{miniature} Of {len(book['claims'])} claims of the studies: {counts}."


def absent_blocks(inputs: Inputs) -> list[Block]:
    """What did not run, by name."""
    if not inputs.absent and not inputs.unfinished:
        return []
    blocks: list[Block] = [Heading("What did not run", 2)]
    if inputs.unfinished:
        stages = [[name, why] for name, why in inputs.unfinished.items()]
        blocks.append(Table(f"Stages that did not finish. Scale {inputs.scale}.", ["stage", "why"], stages, frozenset({0, 1})))
    if inputs.absent:
        rows = [[name, str(inputs.designs[name].get("question", ""))] for name in inputs.absent]
        blocks.append(Table(f"Studies without results. Scale {inputs.scale}.", ["study", "question"], rows))
    return blocks


def ledger_blocks(book: Mapping[str, Any]) -> list[Block]:
    """Every claim with what the study stated, what we found, and the verdict, study by study."""
    by_study: dict[str, list[tuple[str, Any]]] = {}
    for name, entry in book["claims"].items():
        by_study.setdefault(entry["study"], []).append((name, entry))
    order = [HOLDS, CONTRADICTED, UNDECIDED]
    blocks: list[Block] = []
    for study, entries in by_study.items():
        entries.sort(key=lambda item: (order.index(item[1]["verdict"]) if item[1]["verdict"] in order else len(order), item[0]))
        rows = []
        for name, entry in entries:
            stated = "" if entry["stated"] is None else f"{entry['stated']:,} {_plain(entry['unit'])}"
            rows.append(
                [
                    name,
                    entry["says"],
                    stated,
                    _ours(entry),
                    entry["verdict"],
                    entry["because"].replace("`", ""),
                    entry["rule"],
                    entry["scale"],
                ]
            )
        headers = [
            "claim",
            "the study says",
            "its figure",
            "ours (95 % interval, or low to high)",
            "verdict",
            "because",
            "rule",
            "scale",
        ]
        blocks.append(Heading(f"Claims about {study}", 3))
        blocks.append(
            Table(f"Claims about {study}. Scale {book['scale']}, unless the last column says full size.", headers, rows, frozenset({0, 6}))
        )
    return blocks


def _plain(unit: str | None) -> str:
    return (unit or "").replace("_", " ")


def _ours(entry: Mapping[str, Any]) -> str:
    if entry.get("miniature"):
        return f"the miniature's {_value(entry['miniature'])} decides nothing"
    return "" if entry["ours"] is None else _value(entry)


def _value(found: Mapping[str, Any]) -> str:
    if isinstance(found["ours"], str):
        return found["ours"]
    if found["low"] is None or found["low"] == found["high"]:
        return _number(found["ours"])
    return f"{_number(found['ours'])} ({_number(found['low'])} to {_number(found['high'])})"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
