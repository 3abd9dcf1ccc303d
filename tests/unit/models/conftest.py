"""Small random models of every supported family, saved as folders with a tokenizer made here."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertModel,
    BloomConfig,
    BloomForCausalLM,
    Cohere2Config,
    Cohere2Model,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2Model,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from sprachbund_runners.models.loading import LoadedModel, load

WORDS = [f"w{number}" for number in range(40)]
SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]
VOCABULARY = len(WORDS) + len(SPECIALS)
FAMILIES = ("bloom", "gpt2", "cohere", "llama", "qwen2", "xlm-roberta", "bert", "gemma2", "cohere2")
N_BLOCKS = 3

_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_ROPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": N_BLOCKS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    **_IDS,
}
_ENCODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": N_BLOCKS,
    "num_attention_heads": 2,
    **_IDS,
}


def build(family: str) -> PreTrainedModel:
    """A model with seeded random weights, biases and norms included."""
    torch.manual_seed(20)
    makers: dict[str, Callable[[], PreTrainedModel]] = {
        "bloom": lambda: BloomForCausalLM(
            BloomConfig(vocab_size=VOCABULARY, hidden_size=16, n_layer=N_BLOCKS, n_head=2, **_IDS)
        ),
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_inner=24, n_layer=N_BLOCKS, n_head=2, n_positions=32, **_IDS)
        ),
        "cohere": lambda: CohereForCausalLM(CohereConfig(**_ROPE)),
        "cohere2": lambda: Cohere2Model(Cohere2Config(**_ROPE, sliding_window=4, layer_types=_alternating())),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**_ROPE)),
        "qwen2": lambda: Qwen2Model(Qwen2Config(**_ROPE)),
        "gemma2": lambda: Gemma2Model(Gemma2Config(**_ROPE, head_dim=8, sliding_window=4)),
        "xlm-roberta": lambda: XLMRobertaForMaskedLM(XLMRobertaConfig(**_ENCODER, max_position_embeddings=33)),
        "bert": lambda: BertModel(BertConfig(**_ENCODER, max_position_embeddings=32)),
        "gpt_neox": lambda: GPTNeoXModel(GPTNeoXConfig(**{k: v for k, v in _ROPE.items() if "key_value" not in k})),
    }
    model = makers[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def _alternating() -> list[str]:
    return ["sliding_attention", "full_attention", "sliding_attention"]


def tokenizer(family: str) -> PreTrainedTokenizerFast:
    """One token per word; `<s>` before the text for rotary models, `<s>` and `</s>` around it for encoders."""
    vocabulary = {word: number for number, word in enumerate(SPECIALS + WORDS)}
    made = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = Whitespace()
    around = {"xlm-roberta": "<s> $A </s>", "bert": "<s> $A </s>", "bloom": "$A", "gpt2": "$A"}.get(family, "<s> $A")
    made.post_processor = TemplateProcessing(single=around, special_tokens=[("<s>", 1), ("</s>", 2)])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    if family != "gpt2":
        names["pad_token"] = "<pad>"
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a family's checkpoint, made once."""
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            path = tmp_path_factory.mktemp(family)
            build(family).save_pretrained(path)
            tokenizer(family).save_pretrained(path)
            made[family] = path
        return made[family]

    return folder


@pytest.fixture(scope="session")
def load_family(model_folder: Callable[[str], Path]) -> Callable[[str], LoadedModel]:
    """A family's model, loaded once from its folder."""
    loaded: dict[str, LoadedModel] = {}

    def get(family: str) -> LoadedModel:
        if family not in loaded:
            loaded[family] = load(model_folder(family))
        return loaded[family]

    return get


@pytest.fixture(params=FAMILIES)
def loaded(request: pytest.FixtureRequest, load_family: Callable[[str], LoadedModel]) -> LoadedModel:
    """Every supported family in turn."""
    return load_family(request.param)


@pytest.fixture
def bloom(load_family: Callable[[str], LoadedModel]) -> LoadedModel:
    return load_family("bloom")


@pytest.fixture
def texts() -> list[str]:
    """Eleven texts of 1 to 13 words, in no order of length."""
    lengths = (5, 1, 13, 3, 8, 2, 13, 7, 1, 10, 4)
    return [" ".join(WORDS[(7 * row + 3 * place) % 40] for place in range(n)) for row, n in enumerate(lengths)]
