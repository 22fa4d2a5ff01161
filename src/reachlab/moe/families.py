"""Which mixtures of experts Reachlab can hear, and by what formula their routers weigh the experts.

In some sixty families transformers lets the experts be computed in several ways (`use_experts_implementation`), and a
router module returns (logits, weights, indices). What the weights are of the logits differs from family to family and
is written nowhere but in each router's code. `FAMILIES` has a row for each router class, read from that code:

    w_i = scale · g_i · s_i  or, renormalised,  scale · g_i · s_i / Σ_{j∈A} s_j        s = score(logits)

(the letters are those of `scores`), and `verify` holds a row against the router itself. A router without a row is
refused: from its weights of the active experts alone nobody can tell what it would have given to the others.

Source: the modelling files of transformers, in the version that `READ_FROM` names. When a later one has a new family,
`tests/moe/test_families.py` fails.
"""

import math
from collections import OrderedDict
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
import transformers
from torch import Tensor, nn

from reachlab.errors import ReachlabError
from reachlab.moe.scores import SCORES, Score, active_weights, mixture, score


@dataclass(frozen=True, slots=True)
class Family:
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


Row = TypeVar("Row", Family, Refusal)

READ_FROM = "5.23"
"""The version of transformers whose routers the table describes; some of earlier ones return other things."""

_DEEPSEEK: dict[str, Any] = {"renormalise": "norm_topk_prob", "scale": "routed_scaling_factor"}
"""DeepSeek-V3's body, which many share; the top-k is taken within groups of experts, and of s and a bias."""

_ROWS = (
    Family(
        "afmoe",
        "AfmoeTokenChoiceRouter",
        "sigmoid",
        renormalise=True,
        scale="route_scale",
        bias=True,
        batched=True,
        shared=True,
    ),
    Family("aria", "AriaTextTopKRouter", "softmax", after=True, shared=True),
    Family("axk1", "AXK1TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("axk2", "AXK2TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("bailing_hybrid", "BailingHybridTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("beam", "BeamTopKRouter", "sigmoid", renormalise="norm_topk_prob"),
    Family(
        "cohere2_moe",
        "Cohere2MoeTopKRouter",
        "expert_selection_fn",
        renormalise="norm_topk_prob",
        after=True,
        shared=True,
    ),
    Family("deepseek_ocr2", "DeepseekOcr2TextTopkRouter", "softmax", scale="routed_scaling_factor", shared=True),
    Family("deepseek_v2", "DeepseekV2TopkRouter", "softmax", scale="routed_scaling_factor", shared=True),
    Family("deepseek_v3", "DeepseekV3TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("deepseek_v32", "DeepseekV32TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family(
        "deepseek_v4",
        "DeepseekV4HashRouter",
        "score_fn",
        renormalise=True,
        scale="routed_scaling_factor",
        shared=True,
        learnt=False,
        note="a token's id decides which experts it visits: these layers stay as they are",
    ),
    Family(
        "deepseek_v4",
        "DeepseekV4TopKRouter",
        "score_fn",
        renormalise=True,
        scale="routed_scaling_factor",
        shared=True,
        note="√softplus, unless the configuration's scoring_func is another",
    ),
    Family(
        "diffusion_gemma",
        "DiffusionGemmaTextRouter",
        "probabilities",
        renormalise=True,
        factors="per_expert_scale",
        note="a dense MLP runs beside the experts",
    ),
    Family("dots1", "Dots1TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("dots3_note", "Dots3NoteTextTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family(
        "dots3_note", "Dots3NoteVisionTopKRouter", "sigmoid", renormalise=True, scale="router_scaling_factor", bias=True
    ),
    Family("ernie4_5_moe", "Ernie4_5_MoeTopKRouter", "softmax", renormalise=True, shared=True),
    Family(
        "ernie4_5_vl_moe",
        "Ernie4_5_VLMoeMoeTopKRouter",
        "softmax",
        renormalise=True,
        shared=True,
        note="text and images have experts of their own",
    ),
    Family("exaone_moe", "ExaoneMoeTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("flex_olmo", "FlexOlmoTopKRouter", "softmax", renormalise="norm_topk_prob"),
    Family("flint", "FlintTopKRouter", "sigmoid", renormalise="norm_topk_prob", shared=True),
    Family(
        "gemma4",
        "Gemma4TextRouter",
        "probabilities",
        renormalise=True,
        factors="per_expert_scale",
        note="a dense MLP runs beside the experts",
    ),
    Family("glm4_moe", "Glm4MoeTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("glm4_moe_lite", "Glm4MoeLiteTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("glm4v_moe", "Glm4vMoeTextTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("glm5_next", "Glm5NextTextTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("glm_moe_dsa", "GlmMoeDsaTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("gpt_oss", "GptOssTopKRouter", "softmax", after=True),
    Family("granitemoe", "GraniteMoeTopKRouter", "softmax", after=True),
    Family("granitemoe_swa", "GraniteMoeSWATopKRouter", "softmax", after=True, shared=True),
    Family("granitemoehybrid", "GraniteMoeHybridTopKRouter", "softmax", after=True, shared=True),
    Family("granitemoeshared", "GraniteMoeSharedTopKRouter", "softmax", after=True, shared=True),
    Family("hunyuan_v1_moe", "HunYuanMoEV1Gate", "softmax", renormalise=True, shared=True),
    Family(
        "hy_v3", "HYV3TopKRouter", "sigmoid", renormalise=True, scale="router_scaling_factor", bias=True, shared=True
    ),
    Family("hy_v4", "HYV4TopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family(
        "inkling",
        "InklingTopkRouter",
        "sigmoid",
        renormalise=True,
        scale="route_scale * global_scale",
        shared=True,
        note="the shared experts' scores are in Σ_A s too",
    ),
    Family(
        "inkling2",
        "Inkling2TopKRouter",
        "score_fn",
        renormalise=True,
        scale="routed_scaling_factor",
        note="a sigmoid, unless the configuration's scoring_func is another",
    ),
    Family("jamba", "JambaTopKRouter", "softmax"),
    Family("kimi_linear", "KimiLinearTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("kolibri1", "Kolibri1TopKRouter", "sigmoid", renormalise="norm_topk_prob", after=True, shared=True),
    Family("laguna", "LagunaTopKRouter", "sigmoid", renormalise=True, shared=True),
    Family(
        "lfm2_moe",
        "Lfm2MoeTopKRouter",
        "sigmoid",
        renormalise="norm_topk_prob",
        scale="routed_scaling_factor",
        bias=True,
    ),
    Family("mellum", "MellumTopKRouter", "softmax", renormalise="norm_topk_prob"),
    Family("mimo_v2_flash", "MiMoV2FlashTopkRouter", "sigmoid", **_DEEPSEEK),
    Family("minimax", "MiniMaxTopKRouter", "softmax", renormalise=True),
    Family("minimax_m2", "MiniMaxM2TopKRouter", "sigmoid", renormalise=True, bias=True),
    Family("minimax_m3_vl", "MiniMaxM3VLTopKRouter", "sigmoid", renormalise=True, shared=True),
    Family("mistral4", "Mistral4TopkRouter", "softmax", **_DEEPSEEK, shared=True),
    Family(
        "mistral_large4",
        "MistralLarge4TextTopkRouter",
        "softmax",
        renormalise=True,
        scale="routed_scaling_factor",
        shared=True,
    ),
    Family("mixtral", "MixtralTopKRouter", "softmax", renormalise=True),
    Family("muse_spark", "MuseSparkTopkRouter", "sigmoid", renormalise=True, scale="routed_scaling_factor"),
    Family("nemotron_h", "NemotronHTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("olmoe", "OlmoeTopKRouter", "softmax", renormalise="norm_topk_prob"),
    Family("openai_privacy_filter", "OpenAIPrivacyFilterTopKRouter", "softmax", scale="1/top_k", after=True),
    Family("qwen2_moe", "Qwen2MoeTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    Family("qwen3_5_moe", "Qwen3_5MoeTopKRouter", "softmax", renormalise=True, shared=True),
    Family("qwen3_moe", "Qwen3MoeTopKRouter", "softmax", renormalise="norm_topk_prob"),
    Family("qwen3_next", "Qwen3NextTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    Family("qwen3_omni_moe", "Qwen3OmniMoeTalkerTextTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    Family("qwen3_omni_moe", "Qwen3OmniMoeThinkerTextTopKRouter", "softmax", renormalise="norm_topk_prob"),
    Family("qwen3_vl_moe", "Qwen3VLMoeTextTopKRouter", "softmax", renormalise=True),
    Family("qwen4_exp", "Qwen4ExpTextTopKRouter", "softmax", renormalise="norm_topk_prob", shared=True),
    Family("solar_open", "SolarOpenTopkRouter", "sigmoid", **_DEEPSEEK, shared=True),
    Family("unlimited_ocr", "UnlimitedOcrTextTopkRouter", "softmax", scale="routed_scaling_factor", shared=True),
)

FAMILIES: dict[str, Family] = {row.router: row for row in _ROWS}
"""The table, by the router's class. One of your own: ``FAMILIES["MyRouter"] = Family("mine", "MyRouter", ...)``."""

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


@dataclass(frozen=True)
class LayerSite:
    """A layer that can be densified: the block that holds both its router and its experts."""

    name: str
    """The block's qualified name in the model."""
    router: nn.Module
    experts: nn.Module
    family: Family

    @cached_property
    def num_experts(self) -> int:
        """E, as wide as the router's logits (all processes' experts together)."""
        return _trial(self, tokens=1)[1][0].shape[-1]

    @cached_property
    def top_k(self) -> int:
        """K, as many as the router gives weights to."""
        return _trial(self, tokens=1)[1][2].shape[-1]

    @property
    def score(self) -> Score:
        """The score function, or its name."""
        how: Score = self.family.score if self.family.score in SCORES else getattr(self.router, self.family.score)
        return how

    @property
    def renormalised(self) -> bool:
        """Whether the weights of the active experts are divided by their sum."""
        if self.family.after and self.score == "softmax":
            return True
        flag = self.family.renormalise
        return flag if isinstance(flag, bool) else bool(getattr(self.router, flag))

    @property
    def scale(self) -> float:
        """What all weights are multiplied by."""
        return math.prod(_value(self.router, factor) for factor in filter(None, self.family.scale.split(" * ")))

    @property
    def factors(self) -> Tensor | float:
        """g, what each expert's weight is multiplied by; a parameter of the router, or 1."""
        return getattr(self.router, self.family.factors) if self.family.factors else 1.0

    def mixture(self, logits_TE: Tensor, weights_TK: Tensor, indices_TK: Tensor) -> Tensor:
        """π of all experts, (T, E), from what the router returned; differentiable in its logits. See `scores`."""
        scores_TE = score(logits_TE, self.score)
        # A softmax is a distribution over all experts as it stands.
        divide = self.renormalised and self.score not in ("softmax", "probabilities")
        return mixture(scores_TE, indices_TK, weights_TK, renormalised=divide, factors_E=self.factors)


def find_layers(model: nn.Module) -> list[LayerSite]:
    """Every layer whose choice of experts is learnt, in the model's order.

    A router and an experts module belong together when they are alone in the smallest block that holds both.

    Raises:
        ReachlabError: the model has no mixture-of-experts layers; its family is refused; a router is not in the table.
    """
    modules = dict(model.named_modules())
    for module in modules.values():
        if refusal := _row(module, REFUSED):
            raise ReachlabError(f"{type(model).__name__}: {refusal.model} cannot be densified: {refusal.reason}")
    sites = [_site(modules, name) for name, module in modules.items() if has_seam(module)]
    if not sites:
        raise ReachlabError(
            f"no mixture-of-experts layers in {type(model).__name__} (none whose experts transformers can swap)"
        )
    if not any(site.family.learnt for site in sites):
        raise ReachlabError(f"no layer of {type(model).__name__} learns which experts a token visits")
    return [site for site in sites if site.family.learnt]


def has_seam(module: nn.Module) -> bool:
    """Whether transformers lets this experts module be computed in several ways."""
    return all(hasattr(module, name) for name in ("num_experts", "has_gate", "has_bias", "is_transposed"))


@torch.no_grad()
def verify(site: LayerSite, seed: int = 0) -> None:
    """Hold a layer's row of the table against its router: random tokens, and random parameters in a copy of the router.

    Neither the router nor the global random state is touched.

    Raises:
        ReachlabError: the router's weights are not what the row says.
    """
    site, (logits_TE, weights_TK, indices_TK, *shared) = _trial(site, tokens=64, seed=seed)
    scores_TE = score(logits_TE, site.score)
    # Where shared experts take part in the normalisation, the router returns their weights too.
    scale_T1 = site.scale - sum((more.float().sum(1, keepdim=True) for more in shared), torch.zeros(()))
    formula_TK = active_weights(
        scores_TE, indices_TK, renormalised=site.renormalised, scale=scale_T1, factors_E=site.factors
    )
    error = float(((formula_TK - weights_TK).abs().amax() / weights_TK.abs().amax()).nan_to_num(math.inf))
    if error > _rounding(logits_TE, weights_TK):
        raise ReachlabError(
            f"{site.name}: the weights of {site.family.router} are not {site.family.formula} (they differ by up to "
            f"{error:.1e} of the largest): this version of transformers computes something else; correct the row in "
            "reachlab.moe.families.FAMILIES"
        )


@torch.no_grad()
def selects_top_k(site: LayerSite) -> bool:
    """Whether the active experts are those with the K largest scores, without a bias or groups of experts."""
    site, (logits_TE, weights_TK, indices_TK, *_) = _trial(site, tokens=64)
    scores_TE = score(logits_TE, site.score)
    chosen_TK = scores_TE.gather(1, indices_TK).sort(1, descending=True).values
    # The scores, not the indices: in bfloat16 many experts tie.
    return torch.allclose(chosen_TK, scores_TE.topk(indices_TK.shape[1], 1).values, _rounding(logits_TE, weights_TK))


@torch.no_grad()
def _trial(site: LayerSite, tokens: int, seed: int = 0) -> tuple[LayerSite, tuple[Tensor, ...]]:
    """The site with a copy of its router whose parameters are random, and what that returns for random tokens."""
    generator = torch.Generator().manual_seed(seed)
    # Nobody who listens to the router is to hear this; nor is a listener to be copied.
    deaf: dict[int, Any] = {
        id(hooks): OrderedDict() for hooks in (site.router._forward_hooks, site.router._forward_pre_hooks)
    }
    router = deepcopy(site.router, deaf).eval()
    matrix = next(p for p in router.parameters() if p.ndim == 2)
    for tensor in [*router.parameters(), *router.buffers()]:
        if tensor.is_floating_point():
            drawn = torch.empty(tensor.shape)
            if tensor.ndim > 1:
                drawn.normal_(std=2 / tensor.shape[-1] ** 0.5, generator=generator)
            else:  # biases and factors
                drawn.uniform_(0.5, 1.5, generator=generator)
            tensor.data.copy_(drawn)
    shape = (1, tokens, matrix.shape[1]) if site.family.batched else (tokens, matrix.shape[1])
    arguments = [torch.randn(shape, generator=generator).to(matrix)]
    if site.family.bias:
        arguments.append(torch.rand(matrix.shape[0], generator=generator).to(matrix.device))
    site, returned = replace(site, router=router), router(*arguments)
    if wrong := _misfit(site, returned):
        raise ReachlabError(
            f"{site.name}: {site.family.router} of transformers {transformers.__version__} {wrong}, unlike that of "
            f"{READ_FROM}, which Reachlab knows: install that version"
        )
    return site, returned


def _misfit(site: LayerSite, returned: object) -> str:
    """In what a router is not the one that its row is about; empty if it may be."""
    row = site.family
    named = [row.score, row.renormalise, row.factors, *(f.removeprefix("1/") for f in row.scale.split(" * "))]
    for name in named:
        if isinstance(name, str) and name and name not in SCORES and not hasattr(site.router, name):
            return f"has no {name}"
    match returned:
        case (Tensor(), Tensor() as weights, Tensor() as indices, *_):
            if weights.is_floating_point() and indices.dtype == torch.int64 and weights.shape == indices.shape:
                return ""
    return "does not return (logits, weights, indices)"


def _rounding(*tensors: Tensor) -> float:
    """How far two ways to compute the same numbers may come out apart, relative to them, in the coarsest dtype."""
    return max(1e-5, *(4 * torch.finfo(tensor.dtype).eps for tensor in tensors))


def _value(router: nn.Module, factor: str) -> float:
    name = factor.removeprefix("1/")
    value = float(getattr(router, name))
    return value if name == factor else 1 / value


def _row(module: nn.Module, table: dict[str, Row]) -> Row | None:
    """The row for a module's class, or for one it derives from (wrappers such as FSDP2 make subclasses)."""
    return next((table[c.__name__] for c in type(module).__mro__ if c.__name__ in table), None)


def _site(modules: dict[str, nn.Module], experts: str) -> LayerSite:
    """The site of an experts module, by its qualified name."""
    block = experts
    while block:
        block = block.rpartition(".")[0]
        inside = {name: m for name, m in modules[block].named_modules() if "original_module" not in name.split(".")}
        if sum(map(has_seam, inside.values())) > 1:
            break
        found = [(module, row) for module in inside.values() if (row := _row(module, FAMILIES))]
        if len(found) == 1:
            return LayerSite(block, found[0][0], modules[experts], found[0][1])
        if found:
            break
    block = experts.rpartition(".")[0]
    beside = ", ".join(type(module).__name__ for module in modules[block].children())
    raise ReachlabError(
        f"{block}: no router here that Reachlab knows (the block holds {beside}), so what it would give to inactive "
        "experts is unknown; add a row for its class to reachlab.moe.families.FAMILIES"
    )
