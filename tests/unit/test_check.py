"""`ftbench check`: what does not fit together in params.yaml is named with its key, before anything runs."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ftbench import checks, cli, fits, grid, params
from ftbench.errors import Problem, UserError

ROOT = Path(__file__).parents[2]
FTBENCH = Path(sys.executable).parent / "ftbench"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    return params.read(ROOT / "params.yaml")


@pytest.fixture
def raw(shipped: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(shipped)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scripts")
    (root / "stages").mkdir()
    for method in grid.METHODS:
        (root / "stages" / f"train_{method}.py").touch()
    return root


def mistakes(raw: dict[str, Any], root: Path) -> list[Problem]:
    with pytest.raises(UserError) as caught:
        checks.everything(raw, root)
    return caught.value.problems


def one(raw: dict[str, Any], root: Path) -> Problem:
    found = mistakes(raw, root)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_the_shipped_params_fit_together_at_both_scales(raw: dict[str, Any], root: Path) -> None:
    assert list(checks.everything(raw, root)) == list(raw["studies"])
    assert grid.scales(raw) == ["offline", "paper"]


def test_a_misspelt_level_is_reported_with_the_nearest(raw: dict[str, Any], root: Path) -> None:
    block = raw["offline"]["multinli"]
    block["top_layer"] = block.pop("top_layers")
    found = mistakes(raw, root)
    assert found[0] == Problem(
        "params.yaml: offline.multinli.top_layer", "an unknown level",
        "text, evaluation, full, top_layers, lora, p_tuning, p_tuning_with_backbone, shared, own", "did you mean 'top_layers'?",
    )  # fmt: skip


def test_a_misspelt_level_of_a_learning_rate_is_reported(raw: dict[str, Any], root: Path) -> None:
    rates = raw["paper"]["multinli"]["lora"]["learning_rate"]
    rates["onw"] = rates.pop("own")
    found = mistakes(raw, root)
    assert (
        Problem("params.yaml: paper.multinli.lora.learning_rate.onw", "an unknown level", found[0].allowed, "did you mean 'own'?") in found
    )


def test_arms_with_equal_settings_are_refused(raw: dict[str, Any], root: Path) -> None:
    rates = raw["offline"]["multinli"]["lora"]["learning_rate"]
    rates["own"] = rates["shared"]
    assert one(raw, root) == Problem(
        "params.yaml: offline.multinli", "the arms lora-shared and lora-own have equal settings", "arms that differ",
        "change a setting or remove one",
    )  # fmt: skip


def test_arms_that_differ_in_where_they_are_tracked_alone_are_equal(raw: dict[str, Any], root: Path) -> None:
    training = raw["offline"]["alpaca"]["bloom_3b"]["training"]
    training["study"] = {**training["equal"], "report_to": "wandb"}
    assert one(raw, root).found == "the arms bloom_3b-study and bloom_3b-equal have equal settings"


def test_mistakes_in_two_scales_and_a_study_are_reported_at_once(raw: dict[str, Any], root: Path) -> None:
    raw["studies"]["snli"]["primary_metric"] = "acuracy"
    raw["offline"]["multinli"]["full"]["learning_rate"]["own"] = -1
    raw["paper"]["models"]["phi_2"]["revision"] = "main"
    assert [problem.where for problem in mistakes(raw, root)] == [
        "params.yaml: studies.snli.primary_metric",
        "params.yaml: offline.multinli.full.learning_rate.own",
        "params.yaml: paper.models.phi_2.revision",
    ]


def edit(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(raw: dict[str, Any]) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        raw[keys[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        (edit("scale", value="papr"), "scale", "did you mean 'paper'?"),
        (edit("studies", "snli", "reference", value="qkv-nf5"), "studies.snli.reference", "did you mean 'qkv-nf4'?"),
        (edit("studies", "snli", "baselines", value=["majorty"]), "studies.snli.baselines", "did you mean 'majority'?"),
        (edit("studies", "alpaca", "baselines", value=["bloom"]), "studies.alpaca.baselines", "open_llama_3b, bloom_3b, falcon_rw_1b"),
        (edit("studies", "snli", "method", value="qlora_labl"), "studies.snli.method", "did you mean 'qlora_label'?"),
        (edit("studies", "snli", "method", value=None), "studies.snli.method", "a name, or a factor method"),
        (edit("studies", "alpaca", "model", value="bloom_3b"), "studies.alpaca.model", "a name, or a factor model"),
        (edit("studies", "snli", "seeds", value=[0, 0]), "studies.snli", "each seed once"),
        (edit("studies", "snli", "seeds", value=[]), "studies.snli.seeds", "at least one"),
        (edit("studies", "snli", "factors", "adapter", value=["q-kv"]), "studies.snli.factors.adapter[0]", "a-z, 0-9 and _"),
        (edit("studies", "snli", "dataset", value="snly"), "offline.datasets.snly", "did you mean 'snli'?"),
        (edit("studies", "snli", "model", value="phi_3"), "offline.models.phi_3", "did you mean 'phi_2'?"),
        (edit("studies", "multinli", "model", value="phi_2"), "offline.models.phi_2.architecture", "an encoder"),
        (edit("offline", "multinly", value={}), "offline.multinly", "did you mean 'multinli'?"),
        (edit("offline", "multinli", value=None), "offline.multinli", "a mapping"),
        (edit("offline", "multinli", "text", "max_length", value=512), "offline.multinli.text.max_length", "at most 128"),
        (edit("offline", "multinli", "top_layers", "adapter", "num_top_layers", value=9),
         "offline.multinli (arm top_layers-shared)", "at most 3"),
        (edit("offline", "models", "bloom_3b", "dimensions", "intermediate_size", value=512),
         "offline.models.bloom_3b.dimensions.intermediate_size", "an unknown dimension of bloom"),
        (edit("offline", "models", "phi_2", "dimensions", "num_attention_heads", value=3), "offline.models.phi_2.dimensions", "divides"),
        (edit("offline", "datasets", "snli", "task", value="instructions"), "offline.datasets.snli", "genres"),
        (edit("offline", "datasets", "multinli", "mismatched_genres", value=["fiction"]), "offline.datasets.multinli", "never sees"),
        (edit("offline", "evaluation", value={}), "offline.evaluation", "an unknown section"),
        (edit("offline", "snli", "evaluation", "max_new_tokens", value=5),
         "offline.snli.evaluation.max_new_tokens", "nothing is generated"),
        (edit("studies", "alpaca", "three_shot", value=["bloom"]), "studies.alpaca.three_shot", "open_llama_3b, bloom_3b, falcon_rw_1b"),
        (edit("studies", "snli", "three_shot", value=["phi_2"]), "studies.snli.three_shot", "none"),
        (edit("offline", "alpaca", "three_shot", "num_examples", value=65), "offline.alpaca.three_shot.num_examples", "64"),
        (edit("offline", "datasets", "alpaca", "splits", "train", value=2),
         "offline.alpaca.three_shot.num_examples", "at most 2, the rows of train"),
        (edit("offline", "alpaca", "three_shot", "max_length", value=48), "offline.alpaca.three_shot.max_length", "more than 48"),
        (edit("offline", "alpaca", "three_shot", "max_length", value=257), "offline.alpaca.three_shot.max_length", "at most 256"),
        (edit("offline", "prompting", "one_shot", "templates", value=["{premise}"]),
         "offline.prompting.one_shot", "{premise}, {hypothesis}"),
        (edit("offline", "snli", "text", "template", value="{premise!r} {hypothesis}"), "offline.snli.text", "{premise}, {hypothesis}"),
        (edit("offline", "snli", "text", "template", value="{premise:>9} {hypothesis}"), "offline.snli.text", "{premise}, {hypothesis}"),
        (edit("offline", "snli", "text", "template", value="{premise.x} {hypothesis}"), "offline.snli.text", "{premise}, {hypothesis}"),
        (edit("studies", "snli", "primary_metric", value="macro_f1"), "studies.snli.primary_metric", "accuracy, nll, brier"),
        (edit("studies", "snli", "primary_metric", value="bits_per_byte"), "studies.snli.primary_metric", "what each example has"),
        (edit("offline", "models", "falcon_rw_1b", "dimensions", "num_key_value_heads", value=1),
         "offline.models.falcon_rw_1b.dimensions.num_key_value_heads", "an unknown dimension of falcon"),
        (edit("offline", "models", "phi_2", "dimensions", "intermediate_size", value=None),
         "offline.models.phi_2.dimensions.intermediate_size", "a positive integer"),
        (edit("offline", "models", "phi_2", "dimensions", "partial_rotary_factor", value=0.1),
         "offline.models.phi_2.dimensions.partial_rotary_factor", "found:   positions turn 3 values of each head"),
        (edit("offline", "models", "open_llama_3b", "dimensions", "hidden_size", value=132),
         "offline.models.open_llama_3b.dimensions.hidden_size", "an even number"),
        (edit("offline", "models", "phi_2", "pretraining", "block_size", value=512),
         "offline.models.phi_2.pretraining.block_size", "at most 256"),
        (edit("offline", "models", value=None), "offline.models", "a mapping"),
        (edit("offline", "models", "phi_2", "source", value=[]), "offline.models.phi_2.source", "miniature, hub, file"),
        (edit("offline", "models", "phi_2", "pretraining", "kinds", value=["forms"]),
         "offline.models.phi_2.pretraining.kinds", "did you mean 'form'?"),
        (edit("offline", "datasets", "snli", "genres", value=["caption"]), "offline.datasets.snli.genres", "did you mean 'captions'?"),
        (edit("offline", "multinli", "lora", "adapter", "target_modules", value=["qeury"]),
         "offline.multinli (arm lora-shared)", "did you mean 'query'?"),
        (edit("paper", "snli", "qkv", "adapter", "target_modules", value=["embed_tokens"]),
         "paper.snli (arm qkv-nf4)", "q_proj, k_proj, v_proj"),
        (edit("offline", "multinli_llm", "last_token", value={"token": None}), "offline.multinli_llm", "has no token"),
        (edit("offline", "multinli", "lora", "launch", value={"num_processes": 0}),
         "offline.multinli.lora.launch.num_processes", "greater than or equal to 1"),
        (edit("offline", "multinli", "lora", "launch", value={"num_procs": 2}),
         "offline.multinli.lora.launch.num_procs", "did you mean 'num_processes'?"),
        (edit("offline", "multinli", "lora", "launch", value={"num_processes": 2.0}),
         "offline.multinli.lora.launch.num_processes", "a whole number"),
        (edit("paper", "snli", "qkv", "launch", value={"num_processes": 2, "strategy": "fdsp"}),
         "paper.snli.qkv.launch.strategy", "ddp, fsdp"),
        (edit("paper", "snli", "qkv", "launch", value={"strategy": "fsdp"}), "paper.snli.qkv.launch", "num_processes is 2 or more"),
        (edit("paper", "snli", "qkv", "launch", value=4), "paper.snli.qkv.launch", "a mapping"),
        (edit("third", value=[]), "third", "a mapping"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_key(
    raw: dict[str, Any], root: Path, change: Callable[[dict[str, Any]], None], where: str, says: str
) -> None:
    change(raw)
    found = {problem.where: str(problem) for problem in mistakes(raw, root)}
    assert f"params.yaml: {where}" in found
    assert says in found[f"params.yaml: {where}"]


@pytest.mark.parametrize("architecture", fits.LAYERS)
def test_the_layers_that_an_arm_may_name_are_linear_ones_which_is_what_training_looks_for(
    architecture: str, tiny_dimensions: dict[str, dict[str, Any]]
) -> None:
    from torch import nn

    from ftbench import miniature

    model = miniature.build(architecture, tiny_dimensions[architecture], 100, seed=0, device="meta")
    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert set(fits.LAYERS[architecture]) <= linear


def test_a_method_without_its_script_says_which_file_to_write(raw: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    raw["studies"] = {"snli": raw["studies"]["snli"]}
    assert "write stages/train_qlora_label.py" in str(mistakes(raw, tmp_path)[0])


def test_a_scale_without_a_studys_block_is_refused(raw: dict[str, Any], root: Path) -> None:
    del raw["paper"]["prompting"]
    assert one(raw, root).where == "params.yaml: paper.prompting"


def test_a_miniature_without_a_corpus_is_refused(raw: dict[str, Any], root: Path) -> None:
    del raw["offline"]["datasets"]["pretraining"]
    assert "no data set pretraining" in one(raw, root).found


def test_ftbench_check_answers_within_two_seconds_and_without_torch(root: Path) -> None:
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    start = time.perf_counter()
    done = subprocess.run([FTBENCH, "check"], cwd=root, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "multinli: 10 arms x 3 seeds, 3 baselines"
    assert seconds < 2 or sys.gettrace(), seconds
    program = "import sys; from ftbench import cli; cli.main(['check']); print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("torch", "transformers", "datasets", "numpy", "pandas", "huggingface_hub"):
        assert f"'{heavy}'" not in loaded


def test_ftbench_check_exits_with_2_and_one_block(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text())
    content["scale"] = "ofline"
    content["offline"]["multinli"]["lora"]["learning_rate"]["own"] = -5e-3
    path = tmp_path / "params.yaml"
    yaml.dump(content, path)
    (tmp_path / "stages").symlink_to(root / "stages")
    with pytest.raises(SystemExit) as caught:
        cli.main(["check", "--params", str(path)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "ftbench check: to mend:" in error
    assert "params.yaml: scale\n  found:   \"ofline\"\n  allowed: offline, paper\n  mend:    did you mean 'offline'?" in error
    assert "params.yaml: offline.multinli.lora.learning_rate.own\n  found:   -0.005\n  allowed: greater than 0" in error


@pytest.mark.parametrize("junk", [None, [], {}, "zzz", -1, {"a": {}}, [1]])
def test_junk_anywhere_in_the_grid_is_a_readable_mistake_and_never_a_crash(raw: dict[str, Any], root: Path, junk: Any) -> None:
    places = [("studies",), ("offline",), ("offline", "datasets"), ("offline", "models"), ("offline", "snli"), ("studies", "snli")]
    places += [("offline", "snli", "qkv"), ("offline", "models", "phi_2"), ("studies", "snli", "factors"), ("offline", "snli", "text")]
    places += [("offline", "snli", "qkv", "training"), ("offline", "datasets", "snli", "splits"), ("studies", "snli", "method")]
    for *keys, last in places:
        changed = copy.deepcopy(raw)
        block = changed
        for key in keys:
            block = block[key]
        block[last] = junk
        assert all(str(problem) for problem in mistakes(changed, root))


def test_a_column_that_the_task_does_not_have_is_refused_before_anything_runs(raw: dict[str, Any], root: Path) -> None:
    raw["paper"]["datasets"]["snli"]["columns"] = {"premise": "sentence1", "hypotesis": "sentence2"}
    with pytest.raises(UserError) as caught:
        checks.everything(raw, root)
    [problem] = caught.value.problems
    assert (problem.where, problem.found) == ("params.yaml: paper.datasets.snli.columns.hypotesis", "an unknown column of the task nli")
    assert problem.mend == "did you mean 'hypothesis'?"
