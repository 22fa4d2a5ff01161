"""What is done to the documents on their way to the site; mkdocs calls it (`mkdocs.yml`).

The pages under docs/ are written to be read on a code host too. So here, and not in them: LOG.md and CONTRIBUTING.md
come in, links that leave the site go to the repository, ``<!-- api: NAME -->`` becomes what docstrings say, and
equations get the library that draws them, which is the report's.
"""

import pkgutil
import posixpath
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
COMES_IN = {
    "log.md": "LOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "assets/temml.js": "src/reachlab/reporting/assets/vendor/temml.js",
}
"""Files of the repository that stand on the site under another name."""
FOUND_LAST = ("log.md", "house.md", "design.md")
"""Pages that hold every word, and are seldom what a search is for."""
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)(\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s:]+)(\))")
IMAGE_LINK = re.compile(r"(!\[[^\]]*\]\()([^)\s:]+)(\))")
API = re.compile(r"^<!-- api: ([\w.]+) -->$", re.MULTILINE)


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Bring in what lies outside of docs/."""
    from mkdocs.structure.files import File

    for name, source in COMES_IN.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """A page's links and its parts from docstrings, outside of fenced blocks."""
    if page.parent is None:  # a tab of one page has nothing to list beside it
        page.meta.setdefault("hide", []).append("navigation")
    if page.file.src_uri in FOUND_LAST:
        page.meta["search"] = {"boost": 0.2}
    place = COMES_IN.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    there = {COMES_IN.get(file.src_uri, f"docs/{file.src_uri}"): file.src_uri for file in files}

    def prose(text: str) -> str:
        for pattern in (LINK, IMAGE_LINK):
            text = pattern.sub(lambda m: f"{m[1]}{link_of(m[2], place, there, config.repo_url or '')}{m[3]}", text)
        return API.sub(lambda m: "\n\n".join(directives(m[1])), text)

    if page.file.src_uri == "algorithms.md":  # equations are read, and broken where the page ends
        markdown = markdown.replace("```text", "``` {.text .no-copy .equation}")
    ends = 0
    out = []
    for fence in FENCE.finditer(markdown):
        out += [prose(markdown[ends : fence.start()]), fence[0]]
        ends = fence.end()
    return "".join([*out, prose(markdown[ends:])])


def on_page_content(html: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """A head of a column that says nothing is no head: a screen reader would announce it."""
    return re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html)


def link_of(link: str, place: str, there: dict[str, str], repository: str) -> str:
    """A relative link of a file of the repository, as it is on the site.

    Args:
        link: as it was written, ``../LOG.md#head``.
        place: the file that it stands in, from the top of the repository.
        there: the site's name of each file that it has, by its name in the repository.
        repository: the address of all others.
    """
    path, mark, anchor = link.partition("#")
    if not path:
        return link
    target = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    own = next(name for source, name in there.items() if source == place)
    if target in there:
        return posixpath.relpath(there[target], posixpath.dirname(own) or ".") + mark + anchor
    kind = "tree" if (ROOT / target).is_dir() else "blob"
    return f"{repository}/{kind}/main/{target}{mark}{anchor}"


def directives(name: str) -> Iterator[str]:
    """What mkdocstrings reads of each public name of a module, or of one object."""
    sys.path.insert(0, str(ROOT / "src"))
    try:
        module: Any = import_module(name)
    except ModuleNotFoundError:
        module_name, _, attribute = name.rpartition(".")
        yield directive(name, getattr(import_module(module_name), attribute))
        return
    for public, found in public_objects(module).items():
        yield directive(f"{name}.{public}" if "." not in public else public, found)


def public_objects(module: Any) -> dict[str, Any]:
    """What a module offers: its ``__all__`` in order; else what it defines; else each of its files' ``check_FILE``."""
    own = [name for name, found in vars(module).items() if getattr(found, "__module__", "") == module.__name__]
    names = [name for name in getattr(module, "__all__", None) or own if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    if found or not hasattr(module, "__path__"):
        return found
    for file in sorted(one.name for one in pkgutil.iter_modules(module.__path__)):
        inside = import_module(f"{module.__name__}.{file}")
        if check := getattr(inside, f"check_{file}", None):
            found[f"{inside.__name__}.{check.__name__}"] = check
    return found


def directive(name: str, found: Any) -> str:
    """One object under the name that a user writes, wherever it is defined."""
    kind = found if hasattr(found, "__qualname__") else type(found)
    place = found.__name__ if isinstance(found, type(sys)) else f"{kind.__module__}.{kind.__qualname__}"
    label = name if name.startswith("reachlab.") and name.count(".") == 1 else name.rpartition(".")[2]
    return f"::: {place}\n    options:\n        heading: {name}\n        toc_label: {label}\n"
