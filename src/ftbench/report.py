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
    report_absent,
    report_budgets,
    report_cases,
    report_coverage,
    report_effects,
    report_flags,
    report_kinds,
    report_learning,
    report_ledger,
    report_numbers,
    report_pairs,
    report_pareto,
    report_provenance,
    report_questions,
    report_sweeps,
    tables,
    usage,
)
from ftbench.evidence import VERDICTS, Evidence
from ftbench.report_data import Study, answer
from ftbench.report_html import TITLE, Card, html_page
from ftbench.tables import Block, Figure, Heading, Links, Paragraph, Quote

UNFINISHED = "unfinished.json"  # only beside a partial report
READ = ("metrics.json", "comparison.json", "cost.json")  # of every study


@dataclass(frozen=True)
class Inputs:
    """Everything the report is made of; a study of params.yaml that has no results is among the designs alone."""

    scale: str
    designs: Mapping[str, Any]
    studies: Mapping[str, Study]
    accounting: Mapping[str, Any]
    coverage: Mapping[str, Any] = field(default_factory=dict)
    coverage_digest: str = ""
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
    scale = str(params.find(raw, "scale"))
    digested = digest(*([out / "coverage.json"] if coverage else []))
    return Inputs(scale, designs, studies, accounting, coverage, digested, unfinished.get("stages", {}))


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
        digests=_digests(folder.parent, name, arms),
    )


def _digests(out: Path, name: str, arms: Sequence[str]) -> dict[str, str]:
    """The start of the SHA-256 of each file that is read of a study, by path from `out`; of a folder, of its files one after another."""
    folder = out / name
    found = {path: [out / path] for path in ("accounting.json", *(f"{name}/{one}" for one in (*READ, "answers.json")))}
    for group in ("curves", "usage"):
        found[f"{name}/{group}/"] = [folder / group / f"{arm}.csv" for arm in sorted(arms)]
    found[f"{name}/sweeps/"] = sorted((folder / "sweeps").glob("*.json"))
    there = {path: [one for one in read if one.exists()] for path, read in found.items()}
    return {path: digest(*read) for path, read in there.items() if read}


def digest(*paths: Path) -> str:
    """The start of the SHA-256 of the bytes of some files, one after another."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def _read_sweeps(folder: Path, scale: str) -> dict[str, Any]:
    found = {path.stem: files.read_json(path) for path in sorted(folder.glob("*.json"))}
    return {name: one for name, one in found.items() if one["scale"] == scale}


def write(out: Path, inputs: Inputs) -> None:
    """Write the ledger, the figures, a Markdown page per study, the front page and the HTML page."""
    book, stated = ledger.build(inputs.scale, inputs.evidence()), ledger.claims()
    files.write_json(out / "ledger.json", book)
    answers = {name: answer(study, inputs.elsewhere(name)) for name, study in inputs.studies.items()}
    overview = report_numbers.overview(list(inputs.studies.values()), inputs.scale)
    _write_figures(out / "figures", [overview])
    first: list[Block] = [Paragraph(_introduction(inputs, book)), overview]
    sections: list[tuple[str, str, list[Block]]] = []
    for name, study in inputs.studies.items():
        drawn = drawings(study, answers[name])
        _write_figures(out / name / "figures", list(drawn.values()))
        blocks = page(study, drawn, answers[name], stated)
        files.write_text(out / name / "README.md", tables.markdown([Heading(f"Study {name}", 1), *blocks]))
        sections.append((name, f"Study {name}", blocks))
        scores = drawn["scores"]
        first += [
            Heading(name, 2),
            Quote(study.comparison["question"]),
            Paragraph(answers[name]),
            Figure(f"{name}/{scores.path}", scores.alt, scores.svg),
            Links([(f"all of {name}", f"{name}/README.md")]),
        ]
    claims: list[Block] = report_ledger.claims(book)
    absent = report_absent.absent(inputs.scale, inputs.designs, inputs.studies, inputs.accounting.get("scales", {}), inputs.unfinished)
    trust: list[Block] = report_coverage.trust(inputs.coverage, inputs.coverage_digest)
    last = [Heading("What the studies claimed", 2), *claims, *trust, *absent]
    files.write_text(out / "README.md", tables.markdown([Heading(TITLE, 1), *first, *last]))
    cards = [Card(name, study.comparison["question"], answers[name]) for name, study in inputs.studies.items()]
    pages = [("answers", "Answers", first[:2]), *sections, ("ledger", "What the studies claimed", claims)]
    appended = [("trust", report_coverage.TITLE, trust[1:]), ("absent", report_absent.TITLE, absent[1:])]
    files.write_text(out / "index.html", html_page([*pages, *(one for one in appended if one[2])], cards))


def _write_figures(out: Path, drawn: Sequence[Figure]) -> None:
    with files.directory_written_atomically(out) as folder:
        for figure in drawn:
            files.write_text(folder / Path(figure.path).name, figure.svg)


def drawings(study: Study, said: str) -> dict[str, Figure]:
    """The study's figures by file name; `said` is its answer in one sentence."""
    drawn = report_numbers.drawings(study, said)
    if "calibration" in study.comparison:
        drawn |= {"confusion": report_cases.confusion_figure(study), "reliability": report_pairs.reliability(study)}
    if pareto := report_pareto.figure(study):
        drawn["pareto"] = pareto
    return drawn | report_sweeps.drawings(study)


def page(study: Study, drawn: Mapping[str, Figure], said: str, claims: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Everything about a study but its title; `said` is its answer in one sentence, `claims` as `ledger.claims` reads them."""
    blocks: list[Block] = [Quote(study.comparison["question"]), Paragraph(said), drawn["scores"]]
    if absent := study.comparison.get("absent"):
        blocks.insert(1, Paragraph(f"Partial: without {', '.join(f'`{name}`' for name in absent)}, which did not finish."))
    blocks += [
        *report_flags.flags(study),
        *report_numbers.results(study),
        *report_numbers.tests(study),
        *report_effects.effects(study),
        *report_numbers.controls(study),
        *report_numbers.costs(study),
        *report_budgets.budgets(study, drawn),
        *report_pareto.pareto(study, drawn),
        *report_learning.learning(study, drawn, claims),
        *report_sweeps.sweeps(study.sweeps, drawn),
    ]
    if "confusion" in study.comparison:
        blocks += [*report_cases.confusion(study, drawn), *report_pairs.shifts(study), *report_pairs.calibration(study, drawn)]
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
