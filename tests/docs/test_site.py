"""The site: built strictly, every link and anchor of it leads somewhere, nothing is fetched, a browser likes it."""

import re
import runpy
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from tests.docs.blocks import PAGES, ROOT
from tests.docs.site import Found, built, found_in

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
HOOKS = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
REPOSITORY = "https://github.com/reachlab/reachlab"
CHROMIUM = shutil.which("chromium")
THERE = {"docs/rl.md": "rl.md", "LOG.md": "log.md", "docs/figure.png": "figure.png"}


@pytest.mark.parametrize(
    ("link", "place", "leads"),
    [
        ("#head", "docs/rl.md", "#head"),
        ("../LOG.md#speed", "docs/rl.md", "log.md#speed"),
        ("docs/rl.md", "LOG.md", "rl.md"),
        ("figure.png", "docs/rl.md", "figure.png"),
        ("../README.md", "docs/rl.md", f"{REPOSITORY}/blob/main/README.md"),
        ("../src/reachlab/rl/", "docs/rl.md", f"{REPOSITORY}/tree/main/src/reachlab/rl"),
    ],
)
def test_a_link_leads_to_the_site_or_to_the_repository(link: str, place: str, leads: str) -> None:
    assert HOOKS["link_of"](link, place, THERE, REPOSITORY) == leads


def test_what_a_module_offers() -> None:
    import reachlab
    import reachlab.checks
    import reachlab.moe

    assert list(HOOKS["public_objects"](reachlab.moe)) == reachlab.moe.__all__
    assert {"load_run", "compare_matrices"} <= HOOKS["public_objects"](reachlab).keys()
    files = (ROOT / "src" / "reachlab" / "checks").glob("*.py")
    checks = {file.stem for file in files if f"def check_{file.stem}(" in file.read_text(encoding="utf-8")}
    assert {name.rpartition(".check_")[2] for name in HOOKS["public_objects"](reachlab.checks)} == checks


def test_every_page_has_its_place_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r": ([\w-]+\.md)$", text, re.MULTILINE)
    pages = {page.name for page in PAGES if page.parent.name == "docs"}
    assert sorted(named) == sorted(pages | {"log.md", "contributing.md"})
    assert REPOSITORY in text


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Found]:
    return {page: found_in(page) for page in site.rglob("*.html")}


@pytest.mark.slow
def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Found]) -> None:
    broken = []
    for page, found in pages.items():
        for link in found.links + found.loaded:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path not in ("", ".") else page
            if page.name == "404.html":  # it does not know where it is shown
                continue
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
            ):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert not broken


@pytest.mark.slow
def test_every_link_outwards_is_https_and_nothing_is_loaded_from_there(pages: dict[Path, Found]) -> None:
    for page, found in pages.items():
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme:
                assert re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?", link), f"{page.name}: {link}"
        assert not [one for one in found.loaded if urlsplit(one).scheme or one.startswith("//")], page.name
        assert not found.wordless, page.name


@pytest.mark.slow
def test_links_to_the_repository_name_what_is_there(pages: dict[Path, Found]) -> None:
    links = {link.partition("#")[0] for found in pages.values() for link in found.links}
    kept = {link.partition("/main/")[2] for link in links if link.startswith(f"{REPOSITORY}/") and "/main/" in link}
    assert len(kept) > 50
    assert not [path for path in kept if not (ROOT / path).exists()]


@pytest.mark.slow
def test_every_public_name_has_its_docstring(pages: dict[Path, Found], site: Path) -> None:
    import reachlab

    text = (site / "api.html").read_text(encoding="utf-8")
    for name in HOOKS["public_objects"](reachlab):
        assert re.search(rf"<h3[^>]*>(?:(?!</h3>).)*reachlab\.{name}\b", text, re.DOTALL), name
    assert "Traceback" not in text


SEEN = ("index", "crossing", "api")
"""What is opened in a browser."""


class Opened:
    """A page opened from disk, without a network, with what it said and asked for."""

    def __init__(self, browser: Any, file: Path, width: int, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri(), timeout=60_000)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self.context.close()
        if failed:
            return
        assert not self.said
        assert not [url for url in self.asked if not url.startswith(("file:", "data:", "blob:", "about:"))]


browser_test = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt-get install chromium)"),
]


def with_browser(test: Any) -> Any:
    """A test that needs one."""
    for mark in browser_test:
        test = mark(test)
    return test


@with_browser
@pytest.mark.parametrize("name", SEEN)
def test_a_page_fits_a_phone_in_both_themes_and_axe_finds_nothing(chromium: Any, site: Path, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here").Axe()
    for width, scheme in ((390, "light"), (1280, "dark")):
        with Opened(chromium, site / f"{name}.html", width, scheme) as opened:
            opened.page.wait_for_load_state("load")
            wide = opened.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width
            ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(253, 253, 252)") == (scheme == "light"), ground
            if name == "crossing":
                assert opened.page.locator(".arithmatex math").count() == 1
            if name == "api":  # very many elements, of few kinds: its width is what may go wrong
                continue
            found = axe.run(opened.page, options={"preload": False})  # it would fetch the style sheets again
            assert found.violations_count == 0, found.generate_report()


@with_browser
def test_a_word_is_found_and_the_theme_changes_without_a_network(chromium: Any, site: Path) -> None:
    with Opened(chromium, site / "index.html", 1280) as opened:
        page = opened.page
        page.locator(".md-search__input").click()
        page.keyboard.type("overlong")
        page.locator(".md-search-result__link").first.wait_for(timeout=60_000)
        hits = page.eval_on_selector_all(".md-search-result__link", "all => all.map((a) => a.href)")
        assert any("algorithms.html" in hit or "rl.html" in hit for hit in hits), hits
        page.keyboard.press("Escape")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.locator("label[for=__palette_1]").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
