"""What an expert answers, as a linear function of a few features of the token: least squares that forgets.

    Ê_i(x) = Σ_r z_r(x) u_ir        u_i = argmin Σ_s w_s |o_s − Σ_r z_sr u_ir|² + ridge
    A_i ← β A_i + Σ_s w_s z_s z_sᵀ     B_i ← β B_i + Σ_s w_s z_s o_sᵀ     u_i = (A_i + λ)⁻¹ B_i

z_0 = 1, so with one feature this is the weighted mean of what was seen, older answers counting less. Unlike an
average of each step's mean it gives every answer the same weight, however few a step has. The ridge λ is that of
`RIDGE` answers of average size on every feature but the constant.

Axes. E: experts, S: token-expert pairs, D: width of an expert's answer, R: features.
"""

import torch
from torch import Tensor

RIDGE = 3.0
"""Answers' worth of doubt about every feature's part."""


class Regression:
    """u of E experts and R features, (R, E, D); and the sums it will move by at the next `commit`."""

    def __init__(self, R: int, E: int, D: int, beta: float, device: torch.device):
        self.beta = beta
        self.vectors_RED = torch.zeros(R, E, D, device=device)
        self.squares_ERR = torch.zeros(E, R, R, device=device)
        self.products_ERD = torch.zeros(E, R, D, device=device)
        self.counts_E = torch.zeros(E, device=device)
        self.age_E = torch.zeros(E, dtype=torch.int64, device=device)
        self._new = [torch.zeros_like(t) for t in (self.squares_ERR, self.products_ERD, self.counts_E)]
        self.poisoned = torch.zeros((), dtype=torch.bool, device=device)

    def add(self, outputs_SD: Tensor, experts_S: Tensor, weights_S: Tensor, features_SR: Tensor) -> None:
        """Take in answers with their weights and features; those that are not finite are left out.

        Args:
            outputs_SD: (S, D), the experts' answers.
            experts_S: (S,), int64, whose each is.
            weights_S: (S,), float32.
            features_SR: (S, R), what the answers are a linear function of.
        """
        outputs_SD, weights_S = outputs_SD.float(), weights_S.float()
        fine_S = outputs_SD.isfinite().all(1) & weights_S.isfinite() & features_SR.isfinite().all(1)
        self.poisoned |= ~fine_S.all()
        outputs_SD, features_SR = (x.where(fine_S[:, None], 0.0) for x in (outputs_SD, features_SR.float()))
        weights_S = weights_S.where(fine_S, 0.0)
        weighted_SR1 = (features_SR * weights_S[:, None])[:, :, None]
        squares, products, counts = self._new
        squares.index_add_(0, experts_S, weighted_SR1 * features_SR[:, None])
        products.index_add_(0, experts_S, weighted_SR1 * outputs_SD[:, None])
        counts.index_add_(0, experts_S, (weights_S > 0).float())

    def pending(self) -> list[Tensor]:
        """What is to be added up over processes before a commit."""
        return self._new

    def commit(self) -> None:
        """Forget a little, take in the sums since the last commit, and solve."""
        summed_E = self._new[2] > 0
        for kept, new in zip((self.squares_ERR, self.products_ERD, self.counts_E), self._new, strict=True):
            kept.mul_(self.beta).add_(new)
            new.zero_()
        sizes_R = self.squares_ERR.diagonal(dim1=1, dim2=2).sum(0) / self.counts_E.sum().clamp(min=TINY)
        ridge_R = RIDGE * sizes_R
        ridge_R[0] = 0.0
        # An expert that nobody probed yet has sums of zero, and vectors of zero.
        nothing_E = (self.counts_E == 0).float()
        full_ERR = self.squares_ERR + torch.diag_embed(ridge_R + nothing_E[:, None] + TINY)
        self.vectors_RED.copy_(_solve(full_ERR, self.products_ERD).transpose(0, 1))
        self.age_E.add_(1).masked_fill_(summed_E, 0)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs."""
        return {
            "vectors": self.vectors_RED,
            "squares": self.squares_ERR,
            "products": self.products_ERD,
            "counts": self.counts_E,
            "age": self.age_E,
        }


def _solve(squares_ERR: Tensor, products_ERD: Tensor) -> Tensor:
    """A⁻¹ B of a few small positive definite matrices, by elimination: R is 1 or 2, and a GPU's solver costs more than
    the rest of a step's bookkeeping."""
    a_ERR, b_ERD = squares_ERR.clone(), products_ERD.clone()
    R = a_ERR.shape[1]
    for r in range(R):
        for q in (q for q in range(R) if q != r):
            factor_E1 = a_ERR[:, q, r : r + 1] / a_ERR[:, r, r : r + 1]
            b_ERD[:, q] -= factor_E1 * b_ERD[:, r]
            a_ERR[:, q] -= factor_E1 * a_ERR[:, r]
    return b_ERD / a_ERR.diagonal(dim1=1, dim2=2)[:, :, None]


TINY = 1e-20
