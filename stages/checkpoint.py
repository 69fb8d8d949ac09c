"""Make a base model: build and pretrain a miniature, or find a real checkpoint, verify it and write a manifest.

Reads data/pretraining and the test splits (a pretraining text that holds a test example is refused); a real checkpoint reads the hub's
cache or a local folder instead. Writes models/base/<model>: manifest.json, and for a miniature its weights, tokenizer and pretraining.json.
Parameters: <scale>.models.<model>.
Example:
  python stages/checkpoint.py --model phi_2 --data data/pretraining --tests data/snli data/multinli data/alpaca --out models/base/phi_2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ftbench import files, grid, overlap, params, stage
from ftbench.errors import Problem, UserError, nearest
from ftbench.schema_models import FileModel, HubModel, MiniatureModel

SHOWN = 5  # shared examples named in the message


def texts(data: Path, split: str, kinds: list[str]) -> tuple[list[str], list[str | None]]:
    """The texts and genres of a pretraining split, of these kinds alone. Raises UserError for a kind that it does not hold."""
    path = data / f"{split}.parquet"
    rows = files.read_parquet(path, columns=["text", "kind", "genre"]).to_pylist()
    held = {row["kind"] for row in rows}
    if split == "train" and (missing := [kind for kind in kinds if kind not in held]):
        allowed = ", ".join(sorted(map(str, held)))
        where = f"{path}: kind"
        raise UserError([Problem(where, f"no text of kind {kind}", allowed=allowed, mend=nearest(kind, held)) for kind in missing])
    chosen = [row for row in rows if row["kind"] in kinds]
    if not chosen:
        mend = "ask for more rows in params.yaml"
        raise UserError(Problem(str(path), "no text of any of these kinds", allowed=", ".join(kinds), mend=mend))
    return [row["text"] for row in chosen], [row["genre"] for row in chosen]


def refuse_overlap(documents: list[str], tests: list[Path], data: Path) -> int:
    """The number of test examples looked for. Raises UserError if a pretraining text holds one."""
    examples = dict(example for folder in tests for example in overlap.test_examples(folder))
    if shared := overlap.shared(documents, examples):
        # both as `repr`: an id too is a publisher's text, and a terminal would obey its escapes
        named = "; ".join(f"{name!r:.120} in document {number}: {documents[number]!r:.120}" for name, number in shared[:SHOWN])
        raise UserError(
            Problem(
                str(data / "train.parquet"),
                f"{len(shared)} test examples stand whole in a pretraining text, first {named}",
                allowed="none",
                mend="take these texts out of the pretraining data, or change its seed",
            )
        )
    return len(examples)


def miniature_stage(name: str, settings: MiniatureModel, arguments: argparse.Namespace) -> None:
    """Build, pretrain and write a miniature."""
    train, genres = texts(arguments.data, "train", settings.pretraining.kinds)
    held_out, held_out_genres = texts(arguments.data, "validation", settings.pretraining.kinds)
    num_examples = refuse_overlap(train, arguments.tests, arguments.data)

    from ftbench import bases, pretraining

    how = settings.pretraining
    dimensions = settings.dimensions.model_dump(exclude_none=True)
    model, tokenizer = bases.new_miniature(
        settings.architecture, dimensions, settings.tokenizer.vocab_size, train, how.seed, block_size=how.block_size
    )
    warmup = round(how.warmup_steps if how.warmup_steps >= 1 else how.warmup_steps * how.max_steps)
    schedule = pretraining.Schedule(how.max_steps, how.per_device_train_batch_size, how.learning_rate, warmup, how.weight_decay)
    detection = pretraining.Detection(**how.detection.model_dump()) if how.detection else None
    corpora = pretraining.Corpus(train, genres), pretraining.Corpus(held_out, held_out_genres)
    record = pretraining.pretrain(model, tokenizer, *corpora, how.objective, schedule, how.block_size, how.seed, detection)
    with files.directory_written_atomically(arguments.out) as folder:
        files.write_json(folder / "pretraining.json", {"model": name, "num_test_examples_looked_for": num_examples, **record})
        bases.save_miniature(folder, name, settings.architecture, model, tokenizer, {"dimensions": dimensions, "licence": settings.licence})
    held = record["held_out"]
    print(f"{name}: held-out perplexity {held['perplexity']:.1f}, unigram {held['unigram_perplexity']:.1f}")


def real_stage(name: str, settings: HubModel | FileModel, arguments: argparse.Namespace) -> None:
    """Find and verify a real checkpoint, and write its manifest."""
    from ftbench import bases, checkpoints

    repository: str | None = None
    revision: str | None = None
    if isinstance(settings, HubModel):
        repository, revision = settings.repository, settings.revision
        published_as = repository
        key = f"{repository.replace('/', '--')}-{revision}"
        found = checkpoints.from_hub(name, settings)
    else:
        published_as = Path(settings.path).resolve().name
        key = files.sha256_text(*(part for file in settings.files for part in (file.path, file.sha256)))
        found = checkpoints.from_folder(name, settings)
    folder = checkpoints.with_safetensors(found, key)
    facts = checkpoints.verify(name, settings.architecture, folder)
    with files.directory_written_atomically(arguments.out) as out:
        bases.write_manifest(
            out,
            {
                "model": name,
                "architecture": settings.architecture,
                "source": settings.source,
                "repository": repository,
                "revision": revision,
                "published_as": published_as,
                "folder": None if repository and folder == found else str(folder),
                "converted_from_pytorch": folder != found,
                "licence": settings.licence,
                **facts,
            },
        )
    print(f"{name}: {facts['num_parameters']} parameters in {len(facts['files'])} files, verified")


def main(arguments: argparse.Namespace) -> None:
    """Make one base model."""
    settings = grid.model(params.read(), arguments.model)
    make = miniature_stage if isinstance(settings, MiniatureModel) else real_stage
    make(arguments.model, settings, arguments)  # type: ignore[arg-type]


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--model", required=True, help="a name in <scale>.models")
    parser.add_argument("--data", type=Path, required=True, help="the pretraining corpus, data/pretraining")
    parser.add_argument("--tests", type=Path, nargs="+", required=True, help="data sets whose test splits must not be pretrained on")
    parser.add_argument("--out", type=Path, required=True, help="models/base/<model>")
    arguments = parser.parse_args()
    stage.run(main, arguments, outs=[arguments.out])
