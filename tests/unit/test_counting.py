"""Parameters of arms, counted on the meta device: hidden 8, MLP 16, 2 layers, vocabulary 50."""

import pytest

from ftbench import accounting, counting, schema
from ftbench.errors import UserError
from ftbench.schema_models import Dimensions, FileModel, HubModel, ModelFile

NF4 = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False, bnb_4bit_compute_dtype="float16")
NF4_TWICE = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="float16")


SIZES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
TRAINING = schema.Training(max_steps=1, per_device_train_batch_size=1)


def model(architecture, **more):
    dimensions = Dimensions(**SIZES, **more, vocab_size=50)
    return HubModel(
        source="hub", architecture=architecture, licence="none", gated=False, repository="a/b", revision="0" * 40, dimensions=dimensions
    )


PHI = model("phi", intermediate_size=16, max_position_embeddings=16)
ROBERTA = model("roberta", intermediate_size=16, max_position_embeddings=16)
FALCON = model("falcon", intermediate_size=16, max_position_embeddings=16)
PHI_LAYER = 4 * 8 * 8 + 2 * 8 * 16  # weights of the linear layers of one block
PHI_SIZE = 2 * 50 * 8 + 50 + 2 * (PHI_LAYER + 4 * 8 + 16 + 8 + 2 * 8) + 2 * 8  # embeddings, head; weights, biases and norm; last norm
PROMPT = schema.PromptAdapter(num_virtual_tokens=3, encoder_hidden_size=4, encoder_reparameterization_type="MLP")


def arm(adapter=None, quantization=None, token=None):
    return schema.Arm(adapter=adapter, quantization=quantization, token=token, training=TRAINING, learning_rate=1e-3)


def lora(r, *targets):
    return schema.LoraAdapter(r=r, lora_alpha=16.0, lora_dropout=0.0, target_modules=list(targets))


def test_lora_trains_and_saves_two_narrow_matrices_for_each_layer_it_sits_on():
    counts = counting.count(PHI, "qlora_label", arm(lora(3, "q_proj", "fc1")))
    added = 2 * (3 * (8 + 8) + 3 * (8 + 16))
    assert (counts.adapter, counts.trained, counts.saved) == (added, added, added)
    assert counts.total == counts.packed == PHI_SIZE + added
    assert counts.num_4bit_layers == 0


def test_a_packed_count_halves_the_linear_layers_and_not_the_head():
    counts = counting.count(PHI, "qlora_label", arm(lora(3, "q_proj"), NF4))
    assert counts.num_4bit_weights == 2 * PHI_LAYER
    assert counts.num_4bit_layers == 2 * 6
    assert counts.total == PHI_SIZE + 2 * 3 * 16
    assert counts.packed == counts.total - PHI_LAYER
    assert counts.num_4bit_blocks == 2 * (4 * 1 + 2 * 2)  # 64 weights are one block, 128 are two


def test_lora_on_the_head_leaves_the_embedding_out_of_what_is_saved():
    counts = counting.count(PHI, "qlora_label", arm(lora(2, "lm_head"), NF4))
    assert counts.trained == counts.saved == 2 * (8 + 50)
    assert counts.packed == counts.total - PHI_LAYER


def test_falcons_own_linear_layers_are_counted_in_4_bit():
    counts = counting.count(FALCON, "sft", arm(lora(2, "query_key_value"), NF4))
    assert counts.num_4bit_layers == 2 * 4
    assert counts.num_4bit_weights == 2 * (8 * 24 + 8 * 8 + 2 * 8 * 16)


def test_training_all_weights_saves_them_all():
    counts = counting.count(ROBERTA, "full", arm())
    assert counts.trained == counts.saved == counts.total
    assert counts.adapter == 0


def test_lora_on_an_encoder_trains_its_head_too():
    counts = counting.count(ROBERTA, "lora", arm(lora(2, "query", "value")))
    head = (8 * 8 + 8) + (3 * 8 + 3)
    assert counts.trained == counts.saved == 2 * 2 * 2 * (8 + 8) + head


def test_the_top_layer_is_one_block_and_the_head():
    counts = counting.count(ROBERTA, "top_layers", arm(schema.TopLayers(num_top_layers=1)))
    block = 4 * (8 * 8 + 8) + (8 * 16 + 16) + (16 * 8 + 8) + 2 * 2 * 8
    assert counts.trained == counts.saved == block + (8 * 8 + 8) + (3 * 8 + 3)
    assert counts.adapter == 0


def test_a_prompt_encoder_saves_its_prompts_and_not_itself():
    counts = counting.count(PHI, "soft_prompt", arm(PROMPT, NF4))
    mlp = (8 * 4 + 4) + (4 * 4 + 4) + (4 * 8 + 8)
    assert counts.trained == counts.adapter == 3 * 8 + mlp
    assert counts.saved == 3 * 8


def test_a_prompt_encoder_with_its_backbone_trains_the_whole_model():
    alone, together = (counting.count(ROBERTA, method, arm(PROMPT)) for method in ("p_tuning", "p_tuning_with_backbone"))
    head = (8 * 8 + 8) + (3 * 8 + 3)  # trained as a copy, beside the one it was copied from
    assert alone.trained < together.trained == together.total - head
    assert together.total == alone.total
    assert together.trained_adapter == alone.trained_adapter == alone.trained
    assert together.saved - alone.saved == together.trained - alone.trained


@pytest.mark.parametrize(("method", "adapter"), [("qlora_head", lora(2, "q_proj")), ("study_layer", schema.StudyLayer(r=2))])
def test_a_head_on_a_decoder_replaces_the_vocabularys(method, adapter):
    counts = counting.count(PHI, method, arm(adapter, NF4, "last"))
    assert counts.total - counts.adapter == PHI_SIZE - (50 * 8 + 50) + 3 * 8
    assert counts.trained == counts.saved == 2 * 2 * (8 + 8) + 3 * 8
    assert counts.num_4bit_layers == 2 * 6


def test_what_is_frozen_takes_the_bytes_of_the_precision_that_it_is_loaded_in():
    half = TRAINING.model_copy(update={"bf16": True})
    assert counting.bytes_per_frozen_weight("sft", arm(None, NF4)) == 2
    assert counting.bytes_per_frozen_weight("sft", arm()) == 4
    assert counting.bytes_per_frozen_weight("sft", arm().model_copy(update={"training": half})) == 2
    assert counting.bytes_per_frozen_weight("lora", arm().model_copy(update={"training": half})) == 4  # mixed precision keeps fp32 weights


def test_arms_that_differ_in_rates_alone_are_built_once():
    slow = arm(lora(5, "v_proj"))
    fast = slow.model_copy(update={"learning_rate": 0.1})
    assert counting.count(PHI, "qlora_label", slow) is counting.count(PHI, "qlora_label", fast)


def test_a_target_that_is_no_layer_is_refused_with_the_layers_there_are():
    with pytest.raises(UserError, match="q_proj"):
        counting.count(PHI, "qlora_label", arm(lora(2, "q_porj")))


def test_a_local_checkpoint_without_dimensions_and_without_a_folder_is_refused(tmp_path):
    there = FileModel(source="file", architecture="phi", licence="none", path=str(tmp_path), files=[ModelFile(path="a", sha256="0" * 64)])
    with pytest.raises(UserError, match=r"no config\.json"):
        counting.count(there, "qlora_label", arm(lora(2, "q_proj")))


def test_a_local_checkpoint_is_counted_from_its_own_config(tmp_path):
    counting.config(PHI, "models").save_pretrained(tmp_path)
    there = FileModel(source="file", architecture="phi", licence="none", path=str(tmp_path), files=[ModelFile(path="a", sha256="0" * 64)])
    expected = counting.count(PHI, "qlora_label", arm(lora(2, "q_proj")))
    assert counting.count(there, "qlora_label", arm(lora(2, "q_proj"))) == expected


BERT = model("bert", intermediate_size=16, max_position_embeddings=16)


def test_an_encoder_of_another_architecture_is_counted_from_its_dimensions():
    counts = counting.count(BERT, "lora", arm(lora(2, "query", "value")))
    block = 4 * (8 * 8 + 8) + (8 * 16 + 16) + (16 * 8 + 8) + 2 * 2 * 8
    embeddings = (50 + 16 + 2) * 8 + 2 * 8
    pooler, head = 8 * 8 + 8, 3 * 8 + 3
    assert counts.total - counts.adapter == embeddings + 2 * block + pooler + head
    assert counting.activations(BERT, "lora", arm(lora(2, "query", "value")), 16).kept > 0


def test_an_architecture_that_transformers_does_not_know_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"(?s)paper\.models\.x\.architecture.*bertt.*did you mean 'bert'"):
        counting.count(model("bertt"), "full", arm(), "paper.models.x")


def test_an_architecture_without_the_class_that_a_method_needs_is_refused():
    with pytest.raises(UserError, match=r"(?s)found: +vit.*AutoModelForSequenceClassification"):
        counting.count(model("vit"), "full", arm())


def test_plain_attention_keeps_more_than_fused_attention():
    fused, plain = (arm(lora(2, "q_proj")).model_copy(update={"attn_implementation": name}) for name in ("sdpa", "eager"))
    kept = [counting.activations(PHI, "qlora_label", one, 16).kept for one in (arm(lora(2, "q_proj")), fused, plain)]
    assert kept[0] == kept[1] < kept[2]
    assert counting.count(PHI, "qlora_label", fused) == counting.count(PHI, "qlora_label", plain)


def test_a_checkpoint_holds_the_head_over_the_vocabulary_that_an_arm_may_drop():
    assert counting.checkpoint_size(PHI, encoder=False) == PHI_SIZE
    headed = counting.count(PHI, "qlora_head", arm(lora(2, "q_proj"), NF4, "last"))
    assert headed.total - headed.adapter < PHI_SIZE


def test_a_weight_is_stored_in_32_bits_unless_it_is_a_published_decoders():
    assert [counting.bytes_per_stored_weight(PHI, encoder) for encoder in (True, False)] == [4, 2]


def test_training_asks_for_the_logits_of_a_label_alone_and_of_a_whole_answer():
    words = schema.Labels(entailment="yes", neutral="maybe", contradiction="no")
    prompt = schema.Text(max_length=64, template="{premise} {hypothesis}", labels=words)
    # " maybe" has six characters, so at most six tokens, and the first of them is predicted at the one before
    assert accounting.num_logit_positions("qlora_label", prompt) == 7
    assert accounting.num_logit_positions("qlora_label", prompt.model_copy(update={"max_length": 4})) == 4
    assert accounting.num_logit_positions("sft", prompt) == 64
