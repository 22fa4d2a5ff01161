// Equations, and names and keys for what the theme leaves without.
document.addEventListener("DOMContentLoaded", () => {
  // Blocks of the language `math` become MathML, which every browser draws without fonts of its own.
  for (const box of document.querySelectorAll(".arithmatex")) {
    const source = box.textContent.replace(/^\s*\\\[|\\\]\s*$/g, "").trim();
    temml.render(source, box, { displayMode: true, throwOnError: false });
  }
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
});
// The theme puts a copy button beside each block when it is first seen: no landmark of the page.
new MutationObserver(() => {
  for (const nav of document.querySelectorAll(".md-code__nav:not([role])")) nav.setAttribute("role", "none");
}).observe(document.documentElement, { childList: true, subtree: true });
// What is wider than the page is scrolled by the arrow keys too: tables, code, equations.
window.addEventListener("load", () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .arithmatex")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
  }
});
