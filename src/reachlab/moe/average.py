"""What an expert answers on average, as an exponential moving average over steps.

    Ē_i = Σ_s w_s o_s / Σ_s w_s        over this step's slots s of expert i, in all processes
    Ê_i ← β Ê_i + (1 − β) Ē_i          an expert without a slot keeps its Ê_i; Ê begins at zero

arXiv 2504.12463v3, section 3. Kept in float32 whatever the model computes in. A step's sums that are not finite are
left out, expert by expert, and remembered as a problem.

Axes. E: experts, S: token-expert pairs, D: width of an expert's answer.
"""

import torch
from torch import Tensor

from reachlab.moe.sums import weighted_sums


class Average:
    """Ê of E experts, (E, D), and the sums it will move by at the next `commit`."""

    def __init__(self, E: int, D: int, beta: float, device: torch.device):
        self.beta = beta
        self.vectors_ED = torch.zeros(E, D, device=device)
        self.age_E = torch.zeros(E, dtype=torch.int64, device=device)
        """Commits since the expert last had a slot."""
        self.sums_ED = torch.zeros(E, D, device=device)
        self.totals_E = torch.zeros(E, device=device)
        self.poisoned = torch.zeros((), dtype=torch.bool, device=device)

    def add(self, outputs_SD: Tensor, experts_S: Tensor, weights_S: Tensor, first: int = 0, here: int = 0) -> None:
        """Take in the answers of the experts `first` to `first + here` (0: all), numbered from 0.

        Args:
            outputs_SD: (S, D), the experts' answers.
            experts_S: (S,), int64, whose each is.
            weights_S: (S,), float32.
            first: number of the first expert that is heard.
            here: how many are; 0: all.
        """
        here = here or len(self.totals_E)
        sums_ED, totals_E = weighted_sums(outputs_SD, experts_S, weights_S, here)
        fine_E = sums_ED.isfinite().all(1) & totals_E.isfinite()
        self.poisoned |= ~fine_E.all()
        self.sums_ED[first : first + here] += sums_ED.where(fine_E[:, None], 0.0)
        self.totals_E[first : first + here] += totals_E.where(fine_E, 0.0)

    def pending(self) -> list[Tensor]:
        """What is to be added up over processes before a commit."""
        return [self.sums_ED, self.totals_E]

    def commit(self) -> None:
        """Move Ê by the sums since the last commit, and forget them."""
        summed_E = self.totals_E > 0
        means_ED = self.sums_ED / self.totals_E.where(summed_E, 1.0)[:, None]
        rates_E1 = torch.where(summed_E, 1 - self.beta, 0.0)[:, None]
        self.vectors_ED.lerp_(means_ED, rates_E1)
        self.age_E.add_(1).masked_fill_(summed_E, 0)
        self.sums_ED.zero_()
        self.totals_E.zero_()

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs."""
        return {"vectors": self.vectors_ED, "age": self.age_E}
