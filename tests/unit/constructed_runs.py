"""Evidence of constructed runs for the ledger's rules, and the verdict on one claim."""

from ftbench import ledger
from ftbench.evidence import Evidence

CLAIMS = {claim["id"]: claim for claim in ledger.claims()}


def verdict(claim, evidence, scale="offline"):
    return ledger.judge(CLAIMS[claim], scale, evidence)["verdict"]


def with_tests(study, *rows):
    """Evidence of seed-aware tests, each (a, b, difference, half the interval's width): told apart where the interval leaves out 0."""
    found = [
        {"a": a, "b": b, "difference": d, "low": d - half, "high": d + half, "p_holm": 0.01 if abs(d) > half else 0.5}
        for a, b, d, half in rows
    ]
    return {study: {"tests": found}}


def curve(name, values, per_epoch=10, seeds=(0, 1, 2), jitter=0.001):
    """A curve that logs `name` at steps 1, 2, ..., a little higher at each seed."""
    empty = dict.fromkeys(("loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy"))
    return [
        {**empty, "seed": float(seed), "step": float(step), "epoch": step / per_epoch, name: value + jitter * seed * (step / len(values))}
        for seed in seeds
        for step, value in enumerate(values, 1)
    ]


def minutes(**by_arm):
    """Costs of arms whose trainings took so many minutes, by seed."""
    by_arm = {arm: [60 * value for value in values] for arm, values in by_arm.items()}
    entries = {arm.replace("_own", "-own"): {"by_seed": {"train_seconds_without_evaluation": values}} for arm, values in by_arm.items()}
    return {"multinli": {"entries": entries}}


def evaluated(base, ours):
    """Costs of the base of `qkv-nf4` and of that arm, whose evaluations took so many seconds, by seed."""
    entries = {"zero_shot": {"by_seed": {"evaluate_seconds": base}}, "qkv-nf4": {"by_seed": {"evaluate_seconds": ours}}}
    return {"snli": {"entries": entries}}


def full_size(study, **bytes_by_arm):
    arms = {arm: {"memory_bytes": {"total": total}, "base": total} for arm, total in bytes_by_arm.items()}
    return {"scales": {"paper": {study: arms}}}


def of_counts(llama, bloom, falcon):
    counts = {"open_llama_3b-study": llama, "bloom_3b-study": bloom, "falcon_rw_1b-study": falcon, "bloom_3b-equal": 13}
    return Evidence(answers={"alpaca": {"num_passed": counts, "num_scored": 13}})
