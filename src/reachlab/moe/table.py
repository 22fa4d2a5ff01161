"""The table of families as people read it: in the terminal, and in docs/moe.md."""

from reachlab.moe.families import FAMILIES, REFUSED


def family_rows() -> list[dict[str, str]]:
    """A row a router that can be densified: how it weighs its experts.

    The score is of all logits, or of those of the top-k A alone; then it may be divided by its sum over A (or where the
    attribute named says so), and multiplied by attributes of the router's.
    """
    divided: dict[bool | str, str] = {True: "yes", False: "no"}
    return [
        {
            "family": row.model,
            "router": row.router,
            "score": row.score + (" of A" if row.after else ""),
            "over its sum": divided.get(row.renormalise, str(row.renormalise)),
            "times": " * ".join(filter(None, [row.scale, row.factors])),
            "shared": "yes" if row.shared else "",
            "note": row.note if row.learnt else "; ".join(filter(None, ["left as it is: nothing to learn", row.note])),
        }
        for row in sorted(FAMILIES.values(), key=lambda row: (row.model, row.router))
    ]


def refusal_rows() -> list[dict[str, str]]:
    """A row a family that cannot be densified, and why."""
    rows = sorted(REFUSED.values(), key=lambda row: (row.model, row.router))
    return [{"family": row.model, "router": row.router, "reason": row.reason} for row in rows]


def markdown(rows: list[dict[str, str]]) -> str:
    """Rows as a Markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
