from urllib.parse import parse_qs

import numpy as np

from reachlab.boundary.histogram import LABELS, accuracy_histogram
from reachlab.reporting.figures import problem_plots
from reachlab.reporting.styles import Style


def test_strip_sets_never_apart() -> None:
    found = problem_plots.strip(["a", "b"], [np.array([0.0, 0.001]), np.array([0.5, 1.0])], ["p1", "p 2&x"])
    (trace,) = found.data
    assert trace.z.tolist() == [[0, 0.001], [0.5, 1]]
    below, above = (c for at, c in trace.colorscale if 0 < at < 1e-6)
    assert (below, above) == ("var(--never)", "var(--heat-1)")


def test_histogram_survives_no_problem_at_all() -> None:
    assert problem_plots.histogram("a", Style(0), [0] * 12, 0).layout.yaxis.range == (0, 1)


def test_a_column_leads_to_its_problem() -> None:
    (trace,) = problem_plots.strip(["a"], [np.array([0.5, 0.0])], ["p1", "p 2&x"]).data
    assert [parse_qs(lead) for lead in trace.meta["leads"]] == [{"problem": ["p1"]}, {"problem": ["p 2&x"]}]
    assert trace.meta["names"] == ["p1", "p 2&x"]


def test_every_bar_leads_to_its_problems() -> None:
    """The ranges of the addresses are the histogram's own bins."""
    n_P = np.full(13, 12)
    c_P = np.arange(13)
    (trace,) = problem_plots.histogram("m & n", Style(1), accuracy_histogram(n_P, c_P).counts, 2).data
    assert len(trace.meta["leads"]) == len(LABELS)
    found = []
    for lead in trace.meta["leads"]:
        asked = parse_qs(lead)
        assert asked["of"] == ["m & n"]
        low, high = (int(asked.get(name, [other])[0]) for name, other in (("from", 0), ("to", 100)))
        if high == 0 or low == 100:
            found.append(int((c_P == (0 if high == 0 else 12)).sum()))
        else:
            share_P = 100 * c_P
            found.append(int(((share_P > low * 12) & (share_P <= high * 12) & (c_P > 0) & (c_P < 12)).sum()))
    assert found == list(trace.y)
    assert trace.meta["names"][0] == "1 never right"
    assert trace.meta["names"][2] == "1 right in more than 10%, at most 20%"
    assert trace.meta["names"][-1] == "1 always right"
