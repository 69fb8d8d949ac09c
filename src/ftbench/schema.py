"""What params.yaml may hold: strict models, one per kind of block. Unknown keys, wrong types and impossible values are refused.

A model here only says what one block may be. `grid` says which block goes where and whether the blocks fit together.
"""

from __future__ import annotations

import string
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$", max_length=64)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$", max_length=200)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
SplitName = Literal["train", "validation", "test", "test_matched", "test_mismatched"]
Task = Literal["nli", "instructions", "pretraining"]


class Strict(BaseModel):
    """Only known keys, no conversion of types, no NaN or infinity, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def placeholders(template: str) -> set[str]:
    """What stands in braces in a template: names, with a conversion or format where one has it. Raises ValueError for a stray brace."""
    found = set()
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is not None:
            found.add(name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else ""))
    return found


def _holds(template: str, *names: str) -> None:
    found = placeholders(template)
    if found != set(names):
        wanted = ", ".join(f"{{{name}}}" for name in names)
        raise ValueError(f"a template with exactly {wanted}; a brace that is text is written twice")


# What arms can be compared by, example by example; macro-F1, calibration and perplexity belong to a whole test, and are printed beside.
PAIRED_METRICS = {"nli": ("accuracy", "nll", "brier"), "instructions": ("bits_per_byte", "nll", "exact_match", "token_f1")}


# ---------------------------------------------------------------------------------------------------------------- studies
class Study(Strict):
    """One question. `model` is null where a factor `model` names it; `method` names the train script where no factor does.

    `three_shot` names the base models that are also scored with solved examples in front, as further baselines.
    """

    question: Line
    model: Name | None
    dataset: Name
    method: Name | None = None
    factors: Annotated[dict[Name, Annotated[list[Name], Field(min_length=1)]], Field(min_length=1)]
    baselines: list[Name]
    three_shot: list[Name] = []
    seeds: Annotated[list[Seed], Field(min_length=1)]
    primary_metric: Literal["accuracy", "nll", "brier", "bits_per_byte", "exact_match", "token_f1"]
    reference: str | None

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        levels = [level for factor in self.factors.values() for level in factor]
        listed = {"level": levels, "baseline": self.baselines, "model": self.three_shot, "seed": [str(seed) for seed in self.seeds]}
        for what, names in listed.items():
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"each {what} once in a study (twice here: {', '.join(twice)})")
        return self


# ---------------------------------------------------------------------------------------------------- what a study shares
class Labels(Strict):
    """The word that a decoder writes for each label."""

    entailment: Line
    neutral: Line
    contradiction: Line

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({self.entailment, self.neutral, self.contradiction}) != 3:
            raise ValueError("three different words")
        return self

    def words(self) -> list[str]:
        """The three words in the order of the labels 0, 1, 2."""
        return [self.entailment, self.neutral, self.contradiction]


class InstructionTemplate(Strict):
    """Alpaca's two prompts: for an instruction with an input, and for one without."""

    with_input: Line
    without_input: Line

    @model_validator(mode="after")
    def _hold_their_fields(self) -> Self:
        _holds(self.with_input, "instruction", "input")
        _holds(self.without_input, "instruction")
        return self


class Text(Strict):
    """How an example becomes tokens: the longest input in tokens; for decoders also the prompt and, for NLI, the label words."""

    max_length: Annotated[int, Field(ge=8, le=8192)]
    template: str | InstructionTemplate | None = None
    labels: Labels | None = None

    @model_validator(mode="after")
    def _prompt_fits(self) -> Self:
        if isinstance(self.template, str):
            _holds(self.template, "premise", "hypothesis")
        if (self.labels is not None) != isinstance(self.template, str):
            raise ValueError("labels where template is one prompt for a pair, and nowhere else")
        return self


class Evaluation(Strict):
    """How every arm of a study is evaluated. `max_new_tokens` only where answers are generated."""

    per_device_eval_batch_size: Count
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] | None = None


class Prompts(Strict):
    """The wordings of a prompted baseline. `num_examples` solved pairs, drawn from train by `seed`, stand first, worded alike."""

    templates: Annotated[list[Line], Field(min_length=1)]
    num_examples: Annotated[int, Field(ge=0, le=64)] = 0
    seed: Seed = 0

    @model_validator(mode="after")
    def _prompts_fit(self) -> Self:
        for template in self.templates:
            _holds(template, "premise", "hypothesis")
        if len(set(self.templates)) != len(self.templates):
            raise ValueError("each wording once")
        return self


class ThreeShot(Strict):
    """The base models with `num_examples` solved instructions in front, drawn from train by `seed`, the same for all models and rows.

    `max_length`, in tokens, holds the prompt with its examples and the answer.
    """

    num_examples: Annotated[int, Field(ge=1, le=64)]
    seed: Seed
    max_length: Annotated[int, Field(ge=8, le=8192)]


# ------------------------------------------------------------------------------------------------------------------- arms
class LoraAdapter(Strict):
    """LoRA on the named linear layers."""

    r: Annotated[int, Field(ge=1, le=4096)]
    lora_alpha: Annotated[float, Field(gt=0, le=8192)]
    lora_dropout: Annotated[float, Field(ge=0, lt=1)]
    target_modules: Annotated[list[Line], Field(min_length=1)]


class PromptAdapter(Strict):
    """P-tuning: virtual tokens that an encoder computes."""

    num_virtual_tokens: Annotated[int, Field(ge=1, le=1024)]
    encoder_reparameterization_type: Literal["MLP", "LSTM"]
    encoder_hidden_size: Count
    encoder_num_layers: Annotated[int, Field(ge=1, le=8)] = 2
    encoder_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TopLayers(Strict):
    """Only the last layers and the head are trained."""

    num_top_layers: Annotated[int, Field(ge=1, le=1000)]


class StudyLayer(Strict):
    """The study's own layers: after each block the hidden state h becomes h + up(down(h)), of rank r."""

    r: Annotated[int, Field(ge=1, le=4096)]


Adapter = LoraAdapter | PromptAdapter | TopLayers | StudyLayer
ADAPTERS: tuple[type[Strict], ...] = (TopLayers, PromptAdapter, StudyLayer, LoraAdapter)


class Quantization(Strict):
    """4-bit weights by bitsandbytes, in its words."""

    bnb_4bit_quant_type: Literal["nf4", "fp4"]
    bnb_4bit_use_double_quant: bool
    bnb_4bit_compute_dtype: Literal["float32", "float16", "bfloat16"]


Optimiser = Literal[
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_bnb_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "adafactor",
    "sgd",
    "rmsprop",
    "adagrad",
]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"]


class Training(Strict):
    """The Trainer's settings, by the Trainer's names. The length is given once: `num_train_epochs` or `max_steps`.

    `report_to` changes no result, so it is left out of a dump: it names no arm, and is not recorded with one.
    """

    num_train_epochs: Annotated[float, Field(gt=0, le=1000)] = 3.0
    max_steps: Annotated[int, Field(ge=1, le=100_000_000)] = -1
    per_device_train_batch_size: Annotated[int, Field(ge=1, le=65536)]
    per_device_eval_batch_size: Annotated[int, Field(ge=1, le=65536)] = 8
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=65536)] = 1
    weight_decay: Share = 0.0
    warmup_steps: Annotated[float, Field(ge=0, le=100_000_000)] = 0.0
    lr_scheduler_type: Scheduler = "linear"
    optim: Optimiser = "adamw_torch"
    max_grad_norm: Annotated[float, Field(ge=0, le=1_000_000)] = 1.0
    eval_strategy: Literal["no", "epoch", "steps"] = "no"
    eval_steps: Count | None = None
    logging_steps: Count = 10
    bf16: bool = False
    fp16: bool = False
    gradient_checkpointing: bool = False
    full_determinism: bool = True
    train_sampling_strategy: Literal["random", "sequential", "group_by_length"] = "random"
    report_to: Annotated[Literal["none", "tensorboard", "wandb"], Field(exclude=True)] = "none"

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if len({"num_train_epochs", "max_steps"} & self.model_fields_set) != 1:
            raise ValueError("either num_train_epochs or max_steps (with both, the Trainer would ignore the first)")
        if (self.eval_strategy == "steps") != (self.eval_steps is not None):
            raise ValueError("eval_steps where eval_strategy is steps, and nowhere else")
        if self.bf16 and self.fp16:
            raise ValueError("at most one of bf16 and fp16")
        return self

    @model_serializer(mode="wrap")
    def _length_once(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # so that a dump is what was given, but for report_to: it reads back, and can be handed to the Trainer as it is
        unset = {"num_train_epochs", "max_steps"} - self.model_fields_set
        return {name: value for name, value in dump(self).items() if name not in unset}


class Launch(Strict):
    """On how many devices an arm is trained, a process for each: with a whole model in each, or with the weights in pieces (FSDP)."""

    num_processes: Annotated[int, Field(ge=1, le=1024)] = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"

    @model_validator(mode="after")
    def _has_pieces(self) -> Self:
        if self.strategy == "fsdp" and self.num_processes == 1:
            raise ValueError("fsdp where num_processes is 2 or more")
        return self


class Arm(Strict):
    """One way to train, with every setting that makes it: what its levels' blocks come to."""

    adapter: Adapter | None = None
    training: Training
    learning_rate: Rate
    quantization: Quantization | None = None
    token: Literal["first", "last"] | None = None
    pretrained: bool = True
    only: Literal["premise", "hypothesis"] | None = None
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2"] | None = None
    launch: Launch | None = None

    @property
    def num_processes(self) -> int:
        """How many processes train the arm together; its batch is theirs together."""
        return self.launch.num_processes if self.launch else 1

    @model_serializer(mode="wrap")
    def _launch_of_several(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # one process is one process, however that was said
        return {name: value for name, value in dump(self).items() if name != "launch" or self.num_processes > 1}
