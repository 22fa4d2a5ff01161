"""CoT-pass@k: pass@k where a sample counts as right only if its whole chain holds, every step of it.

Source: Wen et al. 2025, *Reinforcement Learning with Verifiable Rewards Implicitly Incentivizes Correct Reasoning in
Base LLMs* (arXiv 2506.14245), where a model judges the steps; here the task's own checker does.
"""

from reachlab.measures.measure import Computed, FigureLook, Measure, Missing
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.pass_at_k import passing
from reachlab.store.samples import NoChainsError


def whole_chains(run: MeasuredRun) -> Computed:
    """CoT-pass@k of a run whose task checks steps."""
    try:
        outcomes = run.store.outcomes(chain=True)
    except NoChainsError as error:
        return Missing(str(error).removeprefix(f"{run.url}: "))
    return passing(run, outcomes) if outcomes.n_P.any() else Missing()


CHAINS = Measure(
    name="chain",
    title="Whole chain right",
    row="CoT-pass@k",
    look=FigureLook(axis="CoT-pass@k"),
    caption="CoT-pass@k: pass@k where a sample counts only if every step of it holds; what pass@k has on top of it is "
    "luck.",
    source="arXiv 2506.14245",
    compute=whole_chains,
)
