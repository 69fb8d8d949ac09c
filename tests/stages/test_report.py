import hashlib
import json
import re
import resource
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import fabricated
import pages
import pytest

from ftbench import files

REPOSITORY = Path(__file__).parents[2]


def run(root, script, *arguments, **options):
    command = [sys.executable, REPOSITORY / "stages" / script, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    fabricated.write(root)
    for study in ("snli", "alpaca"):
        done = run(root, "compare.py", "--study", study, "--out", f"reports/{study}")
        assert done.returncode == 0, done.stderr
    files.write_json(root / "reports/accounting.json", fabricated.accounting())
    shutil.copy(REPOSITORY / "reports/coverage.json", root / "reports")
    for folder in ("data", "reports/snli/predictions", "reports/snli/scores", "reports/snli/costs", "reports/snli/learning"):
        shutil.rmtree(root / folder)  # git keeps none of it
    return root


@pytest.fixture(scope="module")
def reported(compared, tmp_path_factory):
    root = tmp_path_factory.mktemp("reported")
    shutil.copytree(compared, root, dirs_exist_ok=True)
    started = time.monotonic()
    done = run(root, "report.py", "--out", "reports")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 20
    return root / "reports"


@pytest.fixture
def root(compared, tmp_path):
    shutil.copytree(compared, tmp_path, dirs_exist_ok=True)
    return tmp_path


def text_of(path):
    return path.read_text(encoding="utf-8")


def test_the_first_page_and_the_readme_show_one_figure_of_all_studies(reported):
    assert "](figures/overview.svg)" in text_of(reported / "README.md")
    assert "](reports/figures/overview.svg)" in text_of(REPOSITORY / "README.md")
    drawing = text_of(reported / "figures/overview.svg")
    ElementTree.fromstring(drawing)  # noqa: S314  our own file
    for name in ("snli", "alpaca", "qkv-nf4", "open_llama_3b-study", "majority"):
        assert f">{name}<" in drawing


def test_the_first_page_has_each_studys_question_answer_and_figure(reported):
    page = text_of(reported / "README.md")
    metrics = json.loads(text_of(reported / "snli/metrics.json"))["qkv-nf4"]
    assert "> Which of two models answers best?" in page
    assert f"`qkv-nf4` does best: {100 * metrics['accuracy']:.1f} %" in page
    assert "](snli/figures/scores.svg)" in page
    assert page.index("## snli") < page.index("## alpaca") < page.index("## What the studies claimed")


def test_links_and_figures_lead_to_files(reported):
    for page in reported.rglob("README.md"):
        for target in re.findall(r"\]\(([^)]+)\)", text_of(page)):
            assert (page.parent / target).is_file(), f"{page}: {target}"


def test_every_table_names_its_scale(reported):
    for page in reported.rglob("README.md"):
        lines = text_of(page).splitlines()
        headers = [index for index, line in enumerate(lines) if re.fullmatch(r"\|[:|-]+\|", line)]
        assert headers
        for index in headers:
            assert "Scale " in lines[index - 3], f"{page}: {lines[index - 3]}"


def test_tables_keep_their_columns_whatever_the_data_holds(reported):
    for page in reported.rglob("README.md"):
        assert pages.torn_rows(text_of(page)) == []


def test_hostile_text_comes_out_inert(reported):
    pages = [*reported.rglob("README.md"), *reported.rglob("*.html"), *reported.rglob("*.svg")]
    for page in pages:
        text = text_of(page)
        assert text.lower().count("<script") == (page.name == "index.html"), page  # ours
        assert "<b>" not in text, page
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text), page
    assert "alert(1)" in text_of(reported / "alpaca/README.md")  # shown, not run


def test_the_html_page_is_whole_and_fetches_nothing(reported):
    checker = pages.Checker()
    page = text_of(reported / "index.html")
    checker.feed(page)
    assert checker.open == []
    assert checker.fetched == []
    assert checker.scripts == 1  # ours, which the page's policy names by its hash
    assert len(checker.ids) == len(set(checker.ids))
    assert "prefers-color-scheme: dark" in page
    # one of all studies in front; in each one's own section scores, cost, losses, learning rates, gradient norms and usage; the reliability
    # and the confusions of pairs, and arm by arm the curves of a study of several models
    assert page.count("<svg ") == 1 + 2 * 6 + 2 + 1
    assert "url(#" not in re.sub(r"url\(#(" + "|".join(map(re.escape, checker.ids)) + r")\)", "", page)


def test_figures_are_svg_without_a_date_and_with_their_labels_as_text(reported):
    for path in reported.rglob("*.svg"):
        ElementTree.parse(path)  # noqa: S314  our own files
        assert "dc:date" not in text_of(path)
    assert "qkv-unquantised" in text_of(reported / "snli/figures/scores.svg")


def test_the_same_files_give_the_same_bytes(reported, root):
    assert run(root, "report.py", "--out", "reports").returncode == 0
    written = [path for path in reported.rglob("*") if path.is_file()]
    assert len(written) > 15
    for path in written:
        assert path.read_bytes() == (root / "reports" / path.relative_to(reported)).read_bytes(), path


def test_the_ledger_has_an_entry_for_every_claim_and_the_page_shows_it(reported):
    book = json.loads(text_of(reported / "ledger.json"))
    page = text_of(reported / "README.md")
    assert len(book["claims"]) == 85
    assert book["claims"]["adapter_qkv_share"]["verdict"] == "holds"
    assert book["claims"]["adapter_qkv_trainable"]["verdict"] == "contradicted"
    assert book["claims"]["qlora_lifts_accuracy"]["verdict"] == "holds"
    assert book["claims"]["qlora_lifts_accuracy"]["evidence"] == ["reports/snli/comparison.json#tests"]
    assert all(f"`{name}`" in page for name in book["claims"])
    assert f"{book['verdicts']['holds']} holds" in page


def test_the_first_page_shows_how_far_its_intervals_can_be_trusted_where_that_was_simulated(reported, root):
    title = "How far the intervals can be trusted"
    page = text_of(reported / "README.md")
    assert page.index("## What the studies claimed") < page.index(f"## {title}")
    assert '<section id="trust"' in text_of(reported / "index.html")
    (root / "reports/coverage.json").unlink()
    assert run(root, "report.py", "--out", "reports").returncode == 0
    for name in ("README.md", "index.html"):
        assert title in text_of(reported / name)
        assert title not in text_of(root / "reports" / name)


def test_a_studys_page_shows_what_the_studies_lacked(reported):
    page = text_of(reported / "snli/README.md")
    for heading in (
        "Results",
        "Differences",
        "Shallow controls",
        "Cost",
        "Budgets",
        "Learning curves",
        "Confusion",
        "Genres",
        "Failure cases",
        "Provenance",
    ):
        assert f"# {heading}" in page
    assert "Cannot be told apart: `qkv-nf4` and `qkv-unquantised`." in page
    answers = text_of(reported / "alpaca/README.md")
    assert "1. What is the capital city of Australia?" in answers
    assert answers.count("| `bloom_3b-study` ") >= 3
    assert "A defect: fewer than 95 % of the answers to held-out instructions end by themselves in `open_llama_3b-study`" in answers
    for heading in ("## Stopping, loops and length", "## Kinds of instruction", "### bloom_3b-study"):
        assert f"\n{heading}\n" in answers
    assert "| knowledge, pooled" in answers


def test_a_studys_page_names_every_file_that_it_was_made_from_by_its_digest(reported):
    page = text_of(reported / "snli/README.md")
    groups = [["accounting.json"], *[[f"snli/{name}.json"] for name in ("metrics", "comparison", "cost")]]
    groups += [
        sorted(path.relative_to(reported).as_posix() for path in (reported / "snli" / name).iterdir()) for name in ("curves", "usage")
    ]
    for group in groups:
        content = b"".join((reported / name).read_bytes() for name in group)
        assert f"| `{hashlib.sha256(content).hexdigest()[:16]}` " in page, group
    assert "| snli/curves/ " in page
    assert hashlib.sha256((reported / "coverage.json").read_bytes()).hexdigest()[:16] in text_of(reported / "README.md")


def test_what_another_scale_would_run_is_named(reported):
    page = text_of(reported / "README.md")
    last = page[page.index("## What did not run") :]
    counted = json.loads(text_of(reported / "accounting.json"))["scales"]
    assert {"paper"} <= set(counted)
    for arm in counted["paper"]["snli"]:
        assert arm in last


def test_a_study_that_did_not_run_is_named(root):
    shutil.rmtree(root / "reports/alpaca")
    assert run(root, "report.py", "--out", "reports").returncode == 0
    page = text_of(root / "reports/README.md")
    assert "## What did not run" in page
    assert "`alpaca`" in page[page.index("## What did not run") :]


def test_a_broken_file_stops_the_report_with_its_name_and_leaves_no_page(root):
    (root / "reports/snli/comparison.json").write_text("{", encoding="utf-8")
    done = run(root, "report.py", "--out", "reports")
    assert done.returncode == 2
    assert "reports/snli/comparison.json" in done.stderr
    assert not (root / "reports/README.md").exists()


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def filled_disk(reported, root, again):
    """A run for which the disk is full at the last page, over an earlier report or not: what it said, and the files before and after."""
    before, whole = files_of(root / "reports"), files_of(reported)
    assert max(whole, key=lambda name: len(whole[name])) == "index.html"  # and it is written last
    limit = len(whole["index.html"]) - 1
    if again:
        shutil.copytree(reported, root / "reports", dirs_exist_ok=True)
    done = run(root, "report.py", "--out", "reports", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    return done, before, files_of(root / "reports")


@pytest.mark.parametrize("again", [False, True])
def test_a_disk_that_fills_is_the_machines_fault_and_leaves_no_page_half_written(reported, root, again):
    done, before, left = filled_disk(reported, root, again)
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    whole = files_of(reported)
    assert {name: content for name, content in left.items() if whole.get(name) != content} == {}
    assert not {"README.md", "index.html", "ledger.json", "figures/overview.svg"} & set(left)
    assert set(before) <= set(left)


@pytest.mark.parametrize("again", [False, True])
def test_a_disk_that_fills_leaves_no_page_of_a_study_beside_the_missing_front_page(reported, root, again):
    _, before, left = filled_disk(reported, root, again)
    assert set(left) == set(before)


def test_the_report_starts_without_torch_and_needs_only_two_keys_of_params(root):
    script = (
        "import runpy, sys\n"
        "sys.argv = ['report.py', '--out', 'reports']\n"
        f"runpy.run_path({str(REPOSITORY / 'stages/report.py')!r}, run_name='__main__')\n"
        "slow = {'torch', 'transformers', 'datasets', 'evaluate', 'sklearn', 'pandas'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & slow))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_a_partial_report_says_so_first_and_names_the_stages_that_did_not_finish(root):
    stages = {"train_snli@qkv-nf4-0": "failed, exit code 1", "compare@snli": "not run: needs evaluate_snli@qkv-nf4-0"}
    files.write_json(root / "reports/unfinished.json", {"stages": stages})
    comparison = json.loads(text_of(root / "reports/snli/comparison.json"))
    files.write_json(root / "reports/snli/comparison.json", {**comparison, "absent": ["qkv-unquantised"]})
    done = run(root, "report.py", "--out", "reports")
    assert done.returncode == 0, done.stderr
    front, page = text_of(root / "reports/README.md"), text_of(root / "reports/index.html")
    for text in (front, page):
        assert "This report is partial: 2 stages did not finish" in text
        assert "failed, exit code 1" in text
    assert re.search(r"train_snli(@|&#64;)qkv-nf4-0", front)
    assert "Partial: without `qkv-unquantised`, which did not finish." in text_of(root / "reports/snli/README.md")
