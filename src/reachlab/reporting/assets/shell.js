// What every page has around its content: the colours that a reader chooses, contents that stay and say where one is,
// tables that say that they scroll, buttons that copy. It runs in the head, so that nothing is painted in other colours.
"use strict";

(() => {
  const root = document.documentElement;

  // -- colours ------------------------------------------------------------------------------------------------------

  const KEY = "reachlab-theme";
  const THEMES = ["auto", "light", "dark"];
  // A page of the disk may be forbidden to keep anything; then the choice lasts as long as the page.
  const PLACES = ["localStorage", "sessionStorage"];
  const recall = () => {
    for (const place of PLACES) {
      try {
        const found = globalThis[place].getItem(KEY);
        if (THEMES.includes(found)) return found;
      } catch { /* forbidden */ }
    }
    return "auto";
  };
  const keep = (theme) => {
    for (const place of PLACES) {
      try {
        globalThis[place].setItem(KEY, theme);
      } catch { /* forbidden */ }
    }
  };

  let switches = [];
  const wear = (theme) => {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const button of switches) button.setAttribute("aria-pressed", String(button.dataset.theme === theme));
  };
  const choose = (theme) => {
    wear(theme);
    dispatchEvent(new Event("theme")); // figures are drawn again
  };
  wear(recall());
  addEventListener("storage", ({ key, newValue }) => {
    if (key === KEY && THEMES.includes(newValue)) choose(newValue);
  });

  const offerColours = () => {
    const group = document.createElement("div");
    group.className = "theme";
    group.role = "group";
    group.ariaLabel = "Colours of the page";
    switches = THEMES.map((theme) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.theme = theme;
      button.textContent = theme[0].toUpperCase() + theme.slice(1);
      button.addEventListener("click", () => {
        keep(theme);
        choose(theme);
      });
      return button;
    });
    group.append(...switches);
    document.querySelector("header.top, main").prepend(group);
    wear(recall());
  };

  // -- contents -----------------------------------------------------------------------------------------------------

  const contents = () => {
    const links = new Map([...document.querySelectorAll("nav.contents a")].map((link) => [link.hash.slice(1), link]));
    if (!links.size) return;
    const list = document.querySelector("nav.contents ul");
    const seen = new Set();
    const mark = () => {
      const id = [...links.keys()].find((name) => seen.has(name));
      if (!id) return;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(id);
      link.setAttribute("aria-current", "location");
      // Beside the page the list is a column, above it a row that may be longer than the screen.
      list.scrollTo({ left: link.offsetLeft - list.clientWidth / 3, top: link.offsetTop - list.clientHeight / 2 });
    };
    const watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.id);
      mark();
    }, { rootMargin: "-15% 0px -70% 0px" });
    const watch = () => {
      watcher.disconnect();
      seen.clear();
      for (const id of links.keys()) {
        const section = document.getElementById(id);
        if (section) watcher.observe(section);
      }
    };
    watch();
    addEventListener("redrawn", watch); // a served page has new sections
  };

  // -- tables -------------------------------------------------------------------------------------------------------

  const tables = () => {
    const note = document.createElement("p");
    note.id = "scrolls-sideways";
    note.hidden = true;
    note.textContent = "This table is wider than the screen; it scrolls sideways.";
    document.body.append(note);
    const measured = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const box = target.closest(".scroll");
        const wide = box.scrollWidth > box.clientWidth + 1;
        if (wide) box.setAttribute("aria-describedby", note.id);
        else box.removeAttribute("aria-describedby");
      }
    });
    const watch = () => {
      measured.disconnect();
      for (const box of document.querySelectorAll(".scroll")) {
        measured.observe(box);
        if (box.firstElementChild) measured.observe(box.firstElementChild);
      }
    };
    watch();
    addEventListener("redrawn", watch); // a served page has new tables
  };

  // -- copying ------------------------------------------------------------------------------------------------------

  const copying = () => {
    const said = document.createElement("p");
    said.className = "unseen";
    said.role = "status";
    document.querySelector("main").append(said);
    document.addEventListener("click", async ({ target }) => {
      const button = target.closest("button[data-copy]");
      if (!button) return;
      const text = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(text); // also what is left to do by hand where a page may not copy
      const done = await navigator.clipboard?.writeText(text.textContent).then(() => true, () => false);
      button.textContent = done ? "Copied" : "Selected";
      said.textContent = done ? "Copied." : "Selected; copy it with the keyboard.";
    });
  };

  addEventListener("DOMContentLoaded", () => {
    for (const part of [offerColours, contents, tables, copying]) part();
  });
})();
