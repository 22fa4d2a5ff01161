"""Which mixtures of experts Reachlab can hear, and by what formula their routers weigh the experts.

In some sixty families transformers lets the experts be computed in several ways (`use_experts_implementation`), and a
router module returns (logits, weights, indices). What the weights are of the logits differs from family to family and
is written nowhere but in each router's code. `FAMILIES` has a row for each router class, read from that code:

    w_i = scale · g_i · s_i  or, renormalised,  scale · g_i · s_i / Σ_{j∈A} s_j        s = score(logits)

(the letters are those of `scores`), and `sites.verify` holds a row against the router itself. A router without a row is
refused: from its weights of the active experts alone nobody can tell what it would have given to the others.

Source: the modelling files of transformers, in the version that `READ_FROM` names. When a later one has a new family,
`tests/moe/test_families.py` fails.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeVar

from torch import nn

from reachlab.moe.scores import SCORES


@dataclass(frozen=True, slots=True)
class RouterFamily:
    """A row of the table: how one class of routers weighs the experts. Attributes named here are the router's."""

    model: str
    """The family, as transformers names its folder."""
    router: str
    """The router's class."""
    score: str
    """A key of `scores.SCORES`, or the attribute that holds one or holds the function itself."""
    _: KW_ONLY
    renormalise: bool | str = False
    """Whether the weights of the active experts are divided by their sum, or the attribute that says so."""
    scale: str = ""
    """A product of attributes, such as "route_scale * global_scale" or "1/top_k"; empty for 1."""
    factors: str = ""
    """The attribute that holds g, a factor of each expert; empty for 1."""
    after: bool = False
    """Whether the score is taken after the top-k, of its logits alone."""
    shared: bool = False
    """Whether there are shared experts, which every token visits; at least where the configuration asks for them."""
    bias: bool = False
    """Whether the router is called with a second argument, the bias by which experts are selected."""
    batched: bool = False
    """Whether the router is called with (batch, tokens, hidden) and not with (tokens, hidden)."""
    learnt: bool = True
    """Whether the choice of experts depends on their scores."""
    note: str = ""

    @property
    def formula(self) -> str:
        """w_i in a line."""
        logits = "(logits of A)" if self.after else "(logits)"
        given = f"{self.score}{logits}" if self.score in SCORES else f"score{logits} by its {self.score}"
        factors = [*filter(None, [*self.scale.split(" * "), self.factors and f"{self.factors}_i"]), "s_i"]
        always, flagged = self.renormalise is True, isinstance(self.renormalise, str)
        total = " / Σ_A s" if always else f" [/ Σ_A s if {self.renormalise}]" if flagged else ""
        return f"w_i = {' · '.join(factors)}{total} with s = {given}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A router (or what stands for one) that Reachlab does not densify, and why."""

    model: str
    router: str
    reason: str


Row = TypeVar("Row", RouterFamily, Refusal)

READ_FROM = "5.23"
"""The version of transformers whose routers the table describes; some of earlier ones return other things."""

_DEEPSEEK: dict[str, Any] = {"renormalise": "norm_topk_prob", "scale": "routed_scaling_factor"}
"""DeepSeek-V3's body, which many share; the top-k is taken within groups of experts, and of s and a bias."""

_ROWS = (
    RouterFamily(
        "afmoe",
        "AfmoeTokenChoiceRouter",
        "sigmoid",
        renormalise=True,
        scale="route_scale",
        bias=True,
        batched=True,
        shared=True,
    ),
    RouterFamily("aria", "AriaTextTopKRouter", "softmax", after=True, shared=True),
    RouterFamily("axk1", "AXK1TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("axk2", "AXK2TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("bailing_hybrid", "BailingHybridTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("beam", "BeamTopKRouter", "sigmoid", renormalise="norm_topk_prob"),
    RouterFamily(
        "cohere2_moe",
        "Cohere2MoeTopKRouter",
        "expert_selection_fn",
        renormalise="norm_topk_prob",
        after=True,
        shared=True,
    ),
    RouterFamily("deepseek_ocr2", "DeepseekOcr2TextTopkRouter", "softmax", scale="routed_scaling_factor", shared=True),
    RouterFamily("deepseek_v2", "DeepseekV2TopkRouter", "softmax", scale="routed_scaling_factor", shared=True),
    RouterFamily("deepseek_v3", "DeepseekV3TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("deepseek_v32", "DeepseekV32TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily(
        "deepseek_v4",
        "DeepseekV4HashRouter",
        "score_fn",
        renormalise=True,
        scale="routed_scaling_factor",
        shared=True,
        learnt=False,
        note="a token's id decides which experts it visits: these layers stay as they are",
    ),
    RouterFamily(
        "deepseek_v4",
        "DeepseekV4TopKRouter",
        "score_fn",
        renormalise=True,
        scale="routed_scaling_factor",
        shared=True,
        note="√softplus, unless the configuration's scoring_func is another",
    ),
    RouterFamily(
        "diffusion_gemma",
        "DiffusionGemmaTextRouter",
        "probabilities",
        renormalise=True,
        factors="per_expert_scale",
        note="a dense MLP runs beside the experts",
    ),
    RouterFamily("dots1", "Dots1TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("dots3_note", "Dots3NoteTextTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily(
        "dots3_note", "Dots3NoteVisionTopKRouter", "sigmoid", renormalise=True, scale="router_scaling_factor", bias=True
    ),
    RouterFamily("ernie4_5_moe", "Ernie4_5_MoeTopKRouter", "softmax", renormalise=True, shared=True),
    RouterFamily(
        "ernie4_5_vl_moe",
        "Ernie4_5_VLMoeMoeTopKRouter",
        "softmax",
        renormalise=True,
        shared=True,
        note="text and images have experts of their own",
    ),
    RouterFamily("exaone_moe", "ExaoneMoeTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("flex_olmo", "FlexOlmoTopKRouter", "softmax", renormalise="norm_topk_prob"),
    RouterFamily("flint", "FlintTopKRouter", "sigmoid", renormalise="norm_topk_prob", shared=True),
    RouterFamily(
        "gemma4",
        "Gemma4TextRouter",
        "probabilities",
        renormalise=True,
        factors="per_expert_scale",
        note="a dense MLP runs beside the experts",
    ),
    RouterFamily("glm4_moe", "Glm4MoeTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("glm4_moe_lite", "Glm4MoeLiteTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("glm4v_moe", "Glm4vMoeTextTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("glm5_next", "Glm5NextTextTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("glm_moe_dsa", "GlmMoeDsaTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("gpt_oss", "GptOssTopKRouter", "softmax", after=True),
    RouterFamily("granitemoe", "GraniteMoeTopKRouter", "softmax", after=True),
    RouterFamily("granitemoe_swa", "GraniteMoeSWATopKRouter", "softmax", after=True, shared=True),
    RouterFamily("granitemoehybrid", "GraniteMoeHybridTopKRouter", "softmax", after=True, shared=True),
    RouterFamily("granitemoeshared", "GraniteMoeSharedTopKRouter", "softmax", after=True, shared=True),
    RouterFamily("hunyuan_v1_moe", "HunYuanMoEV1Gate", "softmax", renormalise=True, shared=True),
    RouterFamily(
        "hy_v3", "HYV3TopKRouter", "sigmoid", renormalise=True, scale="router_scaling_factor", bias=True, shared=True
    ),
    RouterFamily("hy_v4", "HYV4TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily(
        "inkling",
        "InklingTopkRouter",
        "sigmoid",
        renormalise=True,
        scale="route_scale * global_scale",
        shared=True,
        note="the shared experts' scores are in Σ_A s too",
    ),
    RouterFamily(
        "inkling2",
        "Inkling2TopKRouter",
        "score_fn",
        renormalise=True,
        scale="routed_scaling_factor",
        note="a sigmoid, unless the configuration's scoring_func is another",
    ),
    RouterFamily("jamba", "JambaTopKRouter", "softmax"),
    RouterFamily("kimi_linear", "KimiLinearTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("kolibri1", "Kolibri1TopKRouter", "sigmoid", renormalise="norm_topk_prob", after=True, shared=True),
    RouterFamily("laguna", "LagunaTopKRouter", "sigmoid", renormalise=True, shared=True),
    RouterFamily(
        "lfm2_moe",
        "Lfm2MoeTopKRouter",
        "sigmoid",
        renormalise="norm_topk_prob",
        scale="routed_scaling_factor",
        bias=True,
    ),
    RouterFamily("mellum", "MellumTopKRouter", "softmax", renormalise="norm_topk_prob"),
    RouterFamily("mimo_v2_flash", "MiMoV2FlashTopkRouter", "sigmoid", **_DEEPSEEK),
    RouterFamily("minimax", "MiniMaxTopKRouter", "softmax", renormalise=True),
    RouterFamily("minimax_m2", "MiniMaxM2TopKRouter", "sigmoid", renormalise=True, bias=True),
    RouterFamily("minimax_m3_vl", "MiniMaxM3VLTopKRouter", "sigmoid", renormalise=True, shared=True),
    RouterFamily("mistral4", "Mistral4TopkRouter", "softmax", **_DEEPSEEK, shared=True),
    RouterFamily(
        "mistral_large4",
        "MistralLarge4TextTopkRouter",
        "softmax",
        renormalise=True,
        scale="routed_scaling_factor",
        shared=True,
    ),
    RouterFamily("mixtral", "MixtralTopKRouter", "softmax", renormalise=True),
    RouterFamily("muse_spark", "MuseSparkTopkRouter", "sigmoid", renormalise=True, scale="routed_scaling_factor"),
    RouterFamily("nemotron_h", "NemotronHTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("olmoe", "OlmoeTopKRouter", "softmax", renormalise="norm_topk_prob"),
    RouterFamily("openai_privacy_filter", "OpenAIPrivacyFilterTopKRouter", "softmax", scale="1/top_k", after=True),
    RouterFamily("qwen2_moe", "Qwen2MoeTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    RouterFamily("qwen3_5_moe", "Qwen3_5MoeTopKRouter", "softmax", renormalise=True, shared=True),
    RouterFamily("qwen3_moe", "Qwen3MoeTopKRouter", "softmax", renormalise="norm_topk_prob"),
    RouterFamily("qwen3_next", "Qwen3NextTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    RouterFamily(
        "qwen3_omni_moe", "Qwen3OmniMoeTalkerTextTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True
    ),
    RouterFamily("qwen3_omni_moe", "Qwen3OmniMoeThinkerTextTopKRouter", "softmax", renormalise="norm_topk_prob"),
    RouterFamily("qwen3_vl_moe", "Qwen3VLMoeTextTopKRouter", "softmax", renormalise=True),
    RouterFamily("qwen4_exp", "Qwen4ExpTextTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    RouterFamily("solar_open", "SolarOpenTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    RouterFamily("unlimited_ocr", "UnlimitedOcrTextTopkRouter", "softmax", scale="routed_scaling_factor", shared=True),
)

FAMILIES: dict[str, RouterFamily] = {row.router: row for row in _ROWS}
"""The table, by the router's class. One of your own:

    FAMILIES["MyRouter"] = RouterFamily("mine", "MyRouter", ...)
"""

_NO_SEAM = "transformers computes its experts in one way only (no use_experts_implementation)"

_REFUSED = (
    Refusal("dbrx", "DbrxRouter", f"{_NO_SEAM}, and its router returns logits without weights"),
    Refusal("doge", "DogeCDMoE", "its experts are rows of two embedding tables, found by product keys"),
    Refusal("jetmoe", "JetMoeTopKGating", f"{_NO_SEAM}, and it routes the projections of its attention too"),
    Refusal("llama4", "Llama4Router", "its scores multiply what goes into an expert, not what comes out"),
    Refusal("longcat_flash", "LongcatFlashTopkRouter", _NO_SEAM),
    Refusal("nllb_moe", "NllbMoeTop2Router", f"{_NO_SEAM}, and an expert that is full drops tokens"),
    Refusal(
        "phimoe",
        "PhimoeTopKRouter",
        "its router is SparseMixer: each active expert is weighed by a softmax of its own over the logits near the "
        "largest, and the gradient is an estimate already",
    ),
    Refusal("step3p7", "Step3p7TopKRouter", _NO_SEAM),
    Refusal(
        "switch_transformers", "SwitchTransformersTop1Router", f"{_NO_SEAM}, and an expert that is full drops tokens"
    ),
    Refusal("vitpose_backbone", "VitPoseNaiveMoe", "the data set decides which expert a token visits"),
    Refusal(
        "zaya", "ZayaRouter", "its router may send a token to no expert, and reports that as expert 0 with weight 0"
    ),
)

REFUSED: dict[str, Refusal] = {row.router: row for row in _REFUSED}
"""What cannot be densified, and why, by the class of the router or of what stands for one."""


def row_of(module: nn.Module, table: dict[str, Row]) -> Row | None:
    """The row for a module's class, or for one it derives from (wrappers such as FSDP2 make subclasses)."""
    return next((table[c.__name__] for c in type(module).__mro__ if c.__name__ in table), None)
