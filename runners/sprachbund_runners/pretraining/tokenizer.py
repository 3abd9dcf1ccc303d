"""The demo model's tokenizer: byte-level BPE whose pieces never cross scripts."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIALS = ("<unk>", "<s>", "</s>", "<pad>")  # BLOOM's order: begin 1, end 2, padding 3
BEGIN, END, PADDING = 1, 2, 3
# Runs of hiragana, katakana (with its length mark) and kanji are cut out first. Japanese has no spaces, and
# a piece across its scripts would glue a particle to the noun before it.
_SCRIPT_RUNS = r"[\u3041-\u309f]+|[\u30a0-\u30ff]+|[\u4e00-\u9fff]+"


def train_tokenizer(lines: Iterable[str], entries: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `entries` vocabulary entries, which puts `<s>` first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SCRIPT_RUNS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=entries,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BEGIN)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )
