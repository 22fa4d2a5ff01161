"""Draws the pictures of the documents, docs/pictures/*.svg, with the package's own functions; `make docs` runs this.

Two of them are of a made-up world: 100 problems, and two models whose success rates are written down here. So whoever
reads a page can hold what a curve says against what is true.

    python docs/pictures.py
"""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from reachlab.boundary.comparison import Findings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from docs.drawing import WIDTH, Axes, Picture  # noqa: E402

PERCENT = {0.0: "0 %", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1.0: "100 %"}
COSINES = {"top-k": (0.772, 0.784, 0.710, 0.603), "linear": (0.921, 0.965, 0.960, 0.968)}
"""LOG.md, 2026-11-26, mixtures of experts, measured again: of a router's gradient with the dense one, by layer."""


def log2(ks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where k stands on an axis that doubles."""
    return np.asarray(np.log2(ks.astype(float)))


def doublings(last: int) -> dict[float, str]:
    """The ticks of such an axis, from 1 to 2^last."""
    return {float(i): str(2**i) for i in range(0, last + 1, 1 if last < 7 else 2)}


@cache
def world() -> "Findings":
    """100 problems, 128 samples of each of two models: the second is right oftener where the first is right at least
    one time in 25, and never where the first is hardly ever."""
    from reachlab import compare_matrices

    rng = np.random.default_rng(0)
    base_P = rng.beta(0.3, 2.0, 100)
    trained_P = np.where(base_P < 0.04, 0.0, np.sqrt(base_P))
    return compare_matrices({n: rng.random((100, 128)) < p[:, None] for n, p in (("base", base_P), ("rl", trained_P))})


def passk() -> Picture:
    """Three problems and their mean."""
    from reachlab.boundary.passk import pass_at_k

    right, n = (32, 4, 1), 64
    picture = Picture(
        "pass@k of three problems with 32, 4 and 1 right answers among 64 samples, and their mean, over k from 1 to 64",
        380,
    )
    axes = Axes(picture, 70, 520, 40, 320, (0, 6), (0, 1))
    axes.frame(doublings(6), PERCENT, "k, the number of samples one may draw", "pass@k")
    ks = np.arange(1, n + 1)
    each_PK = np.array([pass_at_k([n], [c], ks)[0] for c in right])
    for curve, c, kind in zip(each_PK, right, "bcd", strict=True):
        axes.picture.line(axes.points(log2(ks), curve), f"{kind} thin")
        at = axes.at(2, curve[3]) if c > 1 else axes.at(4, curve[15])
        picture.text(at[0] + 8, at[1] + 16, f"{c} of 64 right", f"f{kind}")
    mean = each_PK.mean(axis=0)
    picture.line(axes.points(log2(ks), mean), "a")
    picture.text(530, axes.at(6, 1)[1] + 5, f"mean {mean[-1]:.0%}, for", "fa")
    picture.text(530, axes.at(6, mean[0])[1] + 5, f"mean at k = 1: {mean[0]:.0%}", "fa")
    picture.text(530, axes.at(6, 1)[1] + 28, "every problem was", "soft")
    picture.text(530, axes.at(6, 1)[1] + 49, "solved at least once", "soft")
    return picture


def crossing() -> Picture:
    """The two models of the made-up world, where they cross, and the gap."""
    found = world()
    base, trained = found.models
    picture = Picture(
        "pass@k of a base and of a model trained from it: the model leads at k = 1, the base at k = 128", 400
    )
    axes = Axes(picture, 70, 520, 40, 340, (0, 7), (0, 1))
    axes.frame(doublings(7), PERCENT, "k", "pass@k, with 95 % intervals over problems")
    for model, kind in ((base, "a"), (trained, "b")):
        curve = model.curve
        low, high = (axes.points(log2(found.ks), ends) for ends in (curve.low, curve.high))
        picture.area(low, high, f"f{kind}")
        picture.line(axes.points(log2(found.ks), curve.values), kind)
        picture.text(530, axes.at(7, curve.values[-1])[1] + 5, f"{model.name} {curve.values[-1]:.0%}", f"f{kind}")
    pair = found.pairs[0]
    assert pair.crossing.k is not None
    x, y = axes.at(float(np.log2(pair.crossing.k)), base.curve.values[found.ks.tolist().index(pair.crossing.k)])
    picture.mark("circle", "none c", cx=x, cy=y, r=9, stroke_width=2)
    picture.text(x + 6, y + 34, f"the base catches up at k = {pair.crossing.k}", "fc")
    start, end = axes.at(0, trained.curve.values[0]), axes.at(0, base.curve.values[-1])
    picture.line([(start[0] + 14, start[1]), (end[0] + 14, end[1])], "d dash")
    picture.line([(end[0] + 8, end[1]), axes.at(7, base.curve.values[-1])], "d dash thin")
    picture.text(end[0] + 24, end[1] + 24, f"ΔSE = {100 * pair.gap.value:.0f} points", "fd")
    return picture


def bands() -> Picture:
    """The difference of the two models: intervals at each k, and the band that holds all of it."""
    found = world()
    difference = found.pairs[0].difference
    assert difference.band is not None
    picture = Picture(
        "The difference in pass@k of two models over k, with an interval at each k and the wider band for all k", 380
    )
    axes = Axes(picture, 70, 520, 40, 320, (0, 7), (-0.4, 0.4))
    ticks = {-0.4: "−40", -0.2: "−20", 0.0: "0", 0.2: "+20", 0.4: "+40"}
    axes.frame(doublings(7), ticks, "k", "points of pass@k, rl less base")
    xs = log2(found.ks)
    for (low, high), kind in ((difference.band, "fd"), ((difference.low, difference.high), "fb")):
        picture.area(axes.points(xs, low), axes.points(xs, high), kind)
    for ends in difference.band:
        picture.line(axes.points(xs, ends), "d thin dash")
    picture.line(axes.points(xs, difference.values), "b")
    picture.text(532, 100, "the difference", "fb")
    picture.text(532, 124, "dark: an interval", "")
    picture.text(532, 146, "at one k", "")
    picture.text(532, 182, "dashed: the band,", "fd")
    picture.text(532, 204, "for every k at once", "fd")
    picture.text(532, 246, f"verdict: {found.pairs[0].verdict.label}", "")
    return picture


def unscored() -> Picture:
    """What pass@1 comes out as where some samples could not be judged."""
    from reachlab.boundary.passk import pass_at_k

    picture = Picture(
        "A model that is right half the time: with unscored samples left out pass@1 stays at 50 %, counted as wrong it "
        "falls with their share",
        340,
    )
    axes = Axes(picture, 70, 460, 40, 280, (0, 0.5), (0, 1))
    axes.frame({0.0: "0 %", 0.25: "25 %", 0.5: "50 %"}, PERCENT, "share of samples that could not be judged", "pass@1")
    drawn = 64
    lost = np.arange(0, 33, 4)
    right = (drawn - lost) // 2
    shares = lost / drawn
    out = [pass_at_k([drawn - u], [c], [1])[0, 0] for u, c in zip(lost, right, strict=True)]
    wrong = [pass_at_k([drawn], [c], [1])[0, 0] for c in right]
    picture.line(axes.points(shares, out), "d")
    picture.line(axes.points(shares, wrong), "c dash")
    picture.text(470, axes.at(0.5, out[-1])[1] - 6, "left out: what", "fd")
    picture.text(470, axes.at(0.5, out[-1])[1] + 16, "the model does", "fd")
    picture.text(470, axes.at(0.5, wrong[-1])[1] + 5, "called wrong: what the", "fc")
    picture.text(470, axes.at(0.5, wrong[-1])[1] + 27, "verifier's limits do", "fc")
    return picture


def selection() -> Picture:
    """Which of 16 rollouts each rule keeps."""
    import torch

    from reachlab.rl.rules import RULES

    rewards = torch.tensor([[0.02, 0.05, 0.1, 0.12, 0.2, 0.24, 0.3, 0.35, 0.38, 0.44, 0.5, 0.62, 0.7, 0.86, 0.94, 1.0]])
    names = ("max_variance", "max_reward", "percentile", "random")
    picture = Picture(
        "Sixteen rollouts in the order of their rewards; max_variance keeps the two lowest and the two highest, "
        "max_reward the four highest, percentile one in each quarter, random any four",
        64 + 58 * len(names) + 4,
    )
    for row, name in enumerate(names):
        y = 64 + 58 * row
        kept = RULES[name].keep(rewards, 4, torch.Generator().manual_seed(3))[0].tolist()
        picture.text(20, y + 5, name)
        picture.mark("line", "rule", x1=150, x2=560, y1=y, y2=y)
        for i, reward in sorted(enumerate(rewards[0].tolist()), key=lambda one: one[0] in kept):  # kept ones on top
            chosen = i in kept
            picture.mark(
                "circle", "fb b" if chosen else "ground rule", cx=150 + 410 * reward, cy=y, r=8 if chosen else 6
            )
        variance = float(rewards[0, kept].var(unbiased=False))
        picture.text(584, y + 5, f"variance {variance:.2f}", "soft")
    down = 64 + 58 * len(names) - 28
    picture.text(150, down + 14, "reward 0", "soft", "middle")
    picture.text(560, down + 14, "reward 1", "soft", "middle")
    picture.text(WIDTH / 2, 28, "4 of 16 rollouts are learned from: filled", "", "middle")
    return picture


def router() -> Picture:
    """Who answers a token, and from whom its router hears; beside it what was measured."""
    picture = Picture(
        "A router sends a token to two of six experts; the other four answer by their default vectors in the gradient "
        "alone. Beside it the measured cosine with the dense gradient in four layers, top-k against linear",
        380,
    )
    picture.text(24, 30, "From whom a router hears")
    picture.mark("circle", "none a", cx=60, cy=190, r=36, stroke_width=2)
    picture.text(60, 195, "router", "", "middle")
    for i in range(6):
        y, active = 66 + 50 * i, i in (1, 4)
        picture.line([(96, 190), (190, y + 15)], "b" if active else "d dash thin")
        picture.mark("rect", "none b" if active else "none d dash", x=190, y=y, width=120, height=30, rx=5)
        picture.text(
            250, y + 20, f"expert {i + 1}" if active else f"default {i + 1}", "fb" if active else "fd", "middle"
        )
    picture.text(24, 366, "solid: asked · dashed: in the gradient alone", "soft")
    axes = Axes(picture, 420, 690, 60, 300, (0.5, 4.5), (0.5, 1))
    axes.frame(
        {i + 1.0: str(i) for i in range(4)},
        {0.5: ".5", 0.75: ".75", 1.0: "1"},
        "layer",
        "cosine with the dense one",
    )
    for (name, values), kind in zip(COSINES.items(), "cd", strict=True):
        points = axes.points(range(1, 5), values)
        for (across, down), cosine in zip(points, values, strict=True):
            picture.mark("circle", f"f{kind}", cx=across, cy=down, r=6)
            picture.text(across + 9, down + 5, f"{cosine:.2f}"[1:], f"f{kind}")
        picture.text(points[0][0] - 20, points[0][1] - 14, name, f"f{kind}")
    return picture


PICTURES: dict[str, Callable[[], Picture]] = {
    "passk": passk,
    "crossing": crossing,
    "bands": bands,
    "unscored": unscored,
    "selection": selection,
    "router": router,
}


def main() -> None:
    """Draw all of them."""
    for name, draw in PICTURES.items():
        (ROOT / "docs" / "pictures" / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
