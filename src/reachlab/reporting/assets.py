"""What the browser gets beside the content: styles, scripts, templates, and the policy under which they run.

`assets/` has one file for each part of a page. Styles are joined in the order of `STYLES`; scripts run in the order of
`SCRIPTS`, and the page's content security policy names each by its hash.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from reachlab.reporting.styles import shorten

HERE = Path(__file__).parent / "assets"
STYLES = (
    *("base.css", "shell.css", "figures.css", "tables.css", "coverage.css"),
    *("problems.css", "reader.css", "rendering.css", "run.css", "live.css", "print.css"),
)
SHELL = "shell.js"
"""In the head of every page, before anything is painted."""
SCRIPTS = ("blocks.js", "figures.js", "rendering.js", "answers.js", "reader.js", "problems.js")
FIGURES_ONLY = ("blocks.js", "figures.js")
"""Scripts of a page without samples."""
BREAKS = re.compile(r"([/=]|,(?!\d))")


def served(names: Iterable[str] = SCRIPTS) -> tuple[str, ...]:
    """Scripts of a page that a server shows: live.js comes before those that change the page."""
    first, *others = names
    return (first, "live.js", *others)


def css() -> str:
    """All styles, as one text."""
    return "\n".join(read(name) for name in STYLES)


def scripts(names: Iterable[str] = SCRIPTS) -> tuple[str, ...]:
    """Scripts, as texts."""
    return tuple(read(name) for name in names)


VENDORED = ("vendor/markdown-it.js", "vendor/temml.js")
"""What reads Markdown and draws formulas (`assets/vendor/README.md`)."""


@cache
def rendering() -> str:
    """The vendored libraries as one script, which `rendering.js` starts when an answer is read.

    Without the address of a source map, which a browser's tools would ask for.
    """
    return ";\n".join(re.sub(r"\n//# sourceMappingURL=.*", "", read(name)) for name in VENDORED)


def read(name: str) -> str:
    """One file of `assets/`."""
    return (HERE / name).read_text("utf-8")


def template(name: str) -> jinja2.Template:
    """A template of `assets/`; what is put in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shorten"] = shorten
    environment.filters["breakable"] = breakable
    return environment.get_template(name)


def breakable(text: object) -> Markup:
    """Text, escaped, with places where a long word of settings or a path may be broken."""
    return Markup(BREAKS.sub(r"\1<wbr>", str(escape(text))))


def policy(scripts: Iterable[str], *, fetches: bool = False) -> str:
    """A content security policy under which these scripts run and nothing else, and nothing is fetched; but for what
    comes from where the page came from, where it `fetches`."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    own = "connect-src 'self'; " if fetches else ""
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"{own}base-uri 'none'; form-action 'none'"
    )
