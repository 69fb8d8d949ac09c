import pytest

from ftbench import accounting, printed, schema
from ftbench.counting import Counts
from ftbench.printed import Range

NF4 = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False, bnb_4bit_compute_dtype="float16")
NF4_TWICE = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="float16")


# ---- The size of the data, from printed figures


def test_the_printed_epoch_gives_the_number_of_training_pairs():
    # 3 × 3,272 / 3,273 = 2.999083409715857: 3,273 batches of 12, of which the last holds 1 to 12 pairs
    assert printed.solve_train_examples("2.999083409715857", 3, 12, 2) == Range(3272 * 12 + 1, 3273 * 12) == Range(39_265, 39_276)


def test_another_batch_size_gives_another_number_of_training_pairs():
    assert printed.solve_train_examples("2.999083409715857", 3, 8, 2) == Range(26_177, 26_184)


def test_another_epoch_gives_another_number_of_training_pairs():
    # 11 batches, accumulation 4: 8 of them seen in each of 2 epochs: 16 / 11
    assert printed.solve_train_examples("1.4545454545454546", 2, 5, 4) == Range(51, 55)


def test_another_accumulation_gives_another_number_of_training_pairs():
    # short by one batch in 3 at accumulation 2, short by two batches in 6 at accumulation 4
    assert printed.solve_train_examples("0.6666666666666666", 1, 10, 2, max_batches=3) == Range(21, 30)
    assert printed.solve_train_examples("0.6666666666666666", 1, 10, 4, max_batches=6) == Range(51, 60)


def test_an_epoch_printed_with_fewer_digits_leaves_a_wider_range():
    exact, rounded = (printed.solve_train_examples(text, 3, 12, 2) for text in ("2.999083409715857", "2.99908"))
    assert rounded.low < exact.low
    assert rounded.high > exact.high


@pytest.mark.parametrize("epoch", ["3.0", "3.5", "2.9999999999"])
def test_an_epoch_that_tells_nothing_is_refused(epoch):
    with pytest.raises(ValueError, match="does not tell the number of batches"):
        printed.solve_train_examples(epoch, 3, 12, 2)


@pytest.mark.parametrize(("rate", "seconds"), [("142.808", "68.7286"), ("167.32", "58.6601")])
def test_rate_times_seconds_gives_all_of_matched_validation(rate, seconds):
    assert printed.solve_evaluated_examples(rate, seconds) == Range(9815, 9815)


def test_another_rate_gives_another_number_of_evaluated_pairs():
    assert printed.solve_evaluated_examples("10.0", "5.0") == Range(50, 50)  # 9.95 × 4.95 = 49.25 to 10.05 × 5.05 = 50.75
    assert printed.solve_evaluated_examples("10", "5") == Range(43, 57)  # 9.5 × 4.5 = 42.75 to 10.5 × 5.5 = 57.75


def test_figures_that_no_whole_number_fits_are_refused():
    with pytest.raises(ValueError, match="no whole number"):
        printed.solve_evaluated_examples("0.501", "1.000")


def test_what_is_solved_moves_with_the_printed_figures():
    run = {"epoch": "1.4545454545454546", "num_epochs": 2, "batch_size": 5, "gradient_accumulation_steps": 4}
    moved = printed.sizes(run, {"samples_per_second": "20.00", "seconds": "5.000"})
    assert (moved["mnli_train_examples"]["low"], moved["mnli_train_examples"]["high"]) == (51, 55)
    assert (moved["mnli_matched_examples"]["low"], moved["mnli_matched_examples"]["high"]) == (100, 100)
    assert printed.sizes()["mnli_train_examples"]["low"] == 39_265


# ---- Memory


PHI_2_QKV = Counts(
    total=2_779_683_840 + 31_457_280, adapter=31_457_280, trained=31_457_280, trained_adapter=31_457_280, saved=31_457_280,
    num_4bit_weights=2_516_582_400, num_4bit_layers=192, num_4bit_bytes=1_258_291_200, num_4bit_blocks=2_516_582_400 // 64,
)  # fmt: skip


def test_phi_2_with_adapters_on_q_k_v_needs_the_bytes_that_the_study_saw():
    parts = accounting.memory_bytes(PHI_2_QKV, NF4, "adamw_torch", bytes_per_frozen_weight=2)
    assert parts == {
        "weights": 1_258_291_200 + 2 * 263_101_440,  # 4-bit layers, and embeddings, head and norms in 16 bits
        "quantisation_constants": 4 * 39_321_600,
        "adapter": 4 * 31_457_280,
        "gradients": 4 * 31_457_280,
        "optimiser": 8 * 31_457_280,
        "total": 2_445_096_960,
    }
    assert parts["total"] == pytest.approx(2.47e9, rel=0.02)


def test_double_quantisation_shrinks_the_constants_alone():
    once, twice = (accounting.memory_bytes(PHI_2_QKV, quantization, "adamw_torch", 2) for quantization in (NF4, NF4_TWICE))
    assert twice["quantisation_constants"] == 39_321_600 + 4 * 153_600
    assert twice["total"] == 2_327_746_560
    assert {name for name in once if once[name] != twice[name]} == {"quantisation_constants", "total"}


def test_all_weights_in_training_take_sixteen_bytes_each():
    counts = Counts(total=1000, adapter=0, trained=1000, trained_adapter=0, saved=1000)
    parts = accounting.memory_bytes(counts, None, "adamw_torch")
    assert parts == {
        "weights": 4000, "quantisation_constants": 0, "adapter": 0, "gradients": 4000, "optimiser": 8000, "total": 16_000,
    }  # fmt: skip


def test_a_trained_part_of_the_base_stays_in_fp32_beside_frozen_16_bit_weights():
    counts = Counts(total=1100, adapter=100, trained=300, trained_adapter=100, saved=300)
    parts = accounting.memory_bytes(counts, None, "sgd", bytes_per_frozen_weight=2)
    assert parts["weights"] == 2 * 800 + 4 * 200
    assert parts["adapter"] == 400
    assert parts["gradients"] == 1200
    assert parts["optimiser"] == 0


@pytest.mark.parametrize(
    ("optim", "expected"),
    [
        ("adamw_torch", 8),
        ("adamw_torch_fused", 8),
        ("paged_adamw_32bit", 8),
        ("adamw_bnb_8bit", 2.03125),
        ("paged_adamw_8bit", 2.03125),
        ("rmsprop", 4),
        ("adagrad", 4),
        ("sgd", 0),
        ("adafactor", 0),
    ],
)
def test_an_optimiser_keeps_so_many_bytes_for_a_trained_parameter(optim, expected):
    assert accounting.optimizer_bytes_per_parameter(optim) == expected


def test_a_packed_count_takes_two_4_bit_weights_for_one():
    assert PHI_2_QKV.packed == 1_552_849_920
    assert accounting.share_percent(31_457_280, PHI_2_QKV.packed) == 2.025777223854318
