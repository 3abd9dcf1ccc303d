"""Every closed word of the platform, once: a `Literal` for types and, where it is listed, a tuple of its words.

Words that grow with methods stand where those are declared: scorers, edits and directions in `catalogue`, metrics in
`measures`.
"""

from typing import Literal, get_args

# Places in a block that yield one vector per token, in the order of the flat unit axis inside a block.
Site = Literal["mlp.up", "mlp.gate", "mlp.hidden", "mlp.down", "attn.out", "block"]
SITES: tuple[Site, ...] = get_args(Site)
# Stands for the outputs of all linear modules of the MLP that a model has: the gate too, where there is one.
MLP_SITES: tuple[Site, ...] = ("mlp.up", "mlp.gate", "mlp.down")

# all: every token that is not padding. content: without the special tokens that the tokenizer puts around a text (an
# unknown character's token is content). last, first: of all.
Tokens = Literal["all", "content", "last", "first"]
TOKENS: tuple[Tokens, ...] = get_args(Tokens)
# Those that edits may act on.
EditTokens = Literal["all", "content", "last"]
EDIT_TOKENS: tuple[EditTokens, ...] = get_args(EditTokens)

# Of responses.
Pooling = Literal["mean", "max"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
# Of embeddings. weighted_mean: the n-th of the chosen tokens counts n times (SGPT, MEXA).
EmbeddingPooling = Literal["mean", "max", "weighted_mean"]
EMBEDDING_POOLINGS: tuple[EmbeddingPooling, ...] = get_args(EmbeddingPooling)

# `0` after the static embeddings, `i` the output of block i, `final` after the final norm.
Layer = str
FINAL = "final"


def layer_order(layer: Layer) -> tuple[int, int]:
    """Sort key of layers: numbers first in their order, `final` last."""
    return (1, 0) if layer == FINAL else (0, int(layer))


# Of files, once all that needs them is done: what one pass of a text makes again is given up, or everything stays.
Keep = Literal["results", "all"]
KEEP: tuple[Keep, ...] = get_args(Keep)

# Tests that are adjusted together: of settings that edit the model, of those that transform its embeddings alone, and
# of cells against any others.
FamilyKind = Literal["steered", "transforms", "contrasts"]
FAMILY_KINDS: tuple[FamilyKind, ...] = get_args(FamilyKind)

# What a split is used for in an experiment.
Role = Literal["fit", "select", "test"]
ROLES: tuple[Role, ...] = get_args(Role)

# What selects the units or directions of a row.
Method = Literal["none", "experts", "union", "intersection", "difference", "own", "direction"]
UNIT_METHODS: tuple[Method, ...] = ("experts", "union", "intersection", "difference", "own")
# How units are taken from a ranking.
How = Literal["top", "top_and_bottom", "per_block", "threshold"]
HOWS: tuple[How, ...] = get_args(How)
# What an intervention takes its inputs for.
InputRole = Literal["select", "values", "source"]
INPUT_ROLES: tuple[InputRole, ...] = get_args(InputRole)
# Distributions of controls.
Variant = Literal["uniform", "profile", "shift", "wrong_language", "wrong_values"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
Transform = Literal["none", "centring", "centring_transductive", "whitening", "top_pc_removal"]
# Fitted on the `fit` text; the pooled ones on all evaluated languages together.
FITTED_TRANSFORMS: tuple[Transform, ...] = ("centring", "whitening", "top_pc_removal")
POOLED_TRANSFORMS: tuple[Transform, ...] = ("whitening", "top_pc_removal")

# Which side of a language pair a setting steers.
SteeredSide = Literal["both", "query", "candidate"]

# Pairs that are averaged, by the side that the target is on.
Scope = Literal["all", "target_query", "target_candidate", "without_target"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# Comparisons with another than a setting's own baseline at the same layer: those that a spec asks for, and what was
# chosen against what was chosen of a baseline, each at the layer chosen for it.
ContrastKind = Literal["asked", "best"]
CONTRASTS: tuple[ContrastKind, ...] = get_args(ContrastKind)
# The side of a pair that a language is on where its gain is told.
LanguageSide = Literal["query", "candidate", "either"]
LANGUAGE_SIDES: tuple[LanguageSide, ...] = get_args(LanguageSide)
# What intervals and tests draw.
DrawnUnit = Literal["item", "group"]
# Which way a number is an improvement.
Better = Literal["higher", "lower", "none"]
BETTER: tuple[Better, ...] = get_args(Better)
# What may be asked of a metric beside being shown: comparison with baselines, and also the choice of a setting.
Use = Literal["shown", "compared", "chosen_by"]
IntervalKind = Literal["wilson", "bootstrap", "none"]
# What a measure looks at.
Extent = Literal["pair", "language", "space", "output"]
# By which ABX compares.
Distance = Literal["angular", "cosine", "euclidean"]
DISTANCES: tuple[Distance, ...] = get_args(Distance)
# `parallel`: every item in every language; `bilingual`: two languages; `paraphrase`: one language on both sides.
CorpusKind = Literal["parallel", "bilingual", "paraphrase"]
CORPUS_KINDS: tuple[CorpusKind, ...] = get_args(CorpusKind)
# By which embeddings are drawn in a plane.
DrawnBy = Literal["pca", "umap"]
DRAWN_BY: tuple[DrawnBy, ...] = get_args(DrawnBy)
