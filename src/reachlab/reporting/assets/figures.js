// Draws figures as they come near, in the page's own colours, and again when the colours change; saves them and their data.
"use strict";

(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const drawn = new Set();
  const hidden = new Set(); // models switched off in the key
  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;

  const complain = (error) => {
    const note = document.createElement("p");
    note.className = "note";
    note.role = "alert";
    note.textContent = `The figures cannot be drawn here: ${error}. A browser of 2023 or later can.`;
    document.getElementById("main").prepend(note);
  };

  // Plotly's code may run because the page's policy names its hash.
  let library = globalThis.Plotly && Promise.resolve(Plotly);
  const load = async () => {
    const [code] = await Promise.all([unpack("plotly"), first]);
    const script = document.createElement("script");
    script.textContent = code;
    document.head.append(script);
    return Plotly;
  };
  const plotly = () => (library ??= load().catch((error) => {
    library = undefined; // to be asked for again
    throw error;
  }));

  // "var(--name)" becomes the colour that the name has now; "-band" and "-faint" behind it the same colour, see-through.
  const SEEN = { band: 0.13, faint: 0.07 };
  const colour = (text) => {
    const found = /^var\((--[\w-]+?)(?:-(band|faint))?\)$/.exec(text);
    if (!found) return text;
    probe.style.color = `var(${found[1]})`;
    const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g);
    return found[2] ? `rgba(${r}, ${g}, ${b}, ${SEEN[found[2]]})` : `rgb(${r}, ${g}, ${b})`;
  };
  const paint = (value, map) => {
    if (typeof value === "string") return map(value);
    if (Array.isArray(value)) return value.map((inner) => paint(inner, map));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, paint(inner, map)]));
  };
  let smooth = true; // moving means over faint steps, or the steps alone
  const painted = (name, map) => {
    const { data, layout } = paint(figures[name], map);
    const shown = (part) => !hidden.has(part.legendgroup ?? part.name);
    for (const trace of data) {
      trace.visible = shown(trace) && (smooth || !trace.meta?.smooth);
      if (trace.meta?.raw && !smooth) Object.assign(trace, { opacity: 1, hoverinfo: "all" });
    }
    for (const part of [...(layout.shapes ?? []), ...(layout.annotations ?? [])]) part.visible = shown(part);
    return { data, layout };
  };

  // -- leading to problems ------------------------------------------------------------------------------------------

  // A figure that leads has, in its first trace, the address of each of its columns or bars and what it is called.
  const leads = (plot) => figures[plot.dataset.figure].data[0]?.meta?.leads;
  const names = (plot) => figures[plot.dataset.figure].data[0].meta.names;
  // The reader gives the focus to the list when it closes; who came from a figure is sent back to it.
  const visit = (from, address) => {
    const reader = document.querySelector("#problems dialog"), place = scrollY;
    const back = () => setTimeout(() => {
      from?.focus({ preventScroll: true });
      scrollTo({ top: place, behavior: "instant" });
    });
    if (address.startsWith("problem=")) reader?.addEventListener("close", back, { once: true });
    location.hash = `problems?${address}`;
  };
  const follow = (plot) => {
    const way = plot.parentElement.querySelector(".walk input");
    const fit = () => { // the slider is as wide as the columns, its thumb over the column that it stands for
      const columns = plot.querySelector(".nsewdrag").getBBox();
      Object.assign(way.style, { marginLeft: `${columns.x - 8}px`, flexBasis: `${columns.width + 16}px` });
    };
    if (way) plot.on("plotly_afterplot", fit), fit();
    plot.on("plotly_click", ({ points: [point] }) => {
      const at = [point.pointNumber].flat().at(-1); // of a cell, its column
      if (way) walk(way, at);
      visit(way, leads(plot)[at]);
    });
  };
  const link = (address, text) => {
    const made = document.createElement("a");
    made.href = `#problems?${address}`;
    made.textContent = text;
    made.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      visit(made, address);
    });
    return made;
  };
  const walk = (input, at) => {
    const plot = input.closest("figure").querySelector(".plot");
    input.value = at + 1;
    input.setAttribute("aria-valuetext", names(plot)[at]);
    input.nextElementSibling.replaceChildren(link(leads(plot)[at], `Read ${names(plot)[at]}`), ` · ${at + 1} of ${leads(plot).length}`);
  };
  const listBars = (plot, list) => list.replaceChildren(...leads(plot).map((address, at) => {
    const item = document.createElement("li"), name = names(plot)[at];
    item.append(name.startsWith("0 ") ? name : link(address, name));
    return item;
  }));
  // Another state of the runs has other problems.
  const offerAnew = (plot) => {
    const input = plot.parentElement.querySelector(".walk input"), list = plot.parentElement.querySelector(".leads ul");
    if (input) {
      input.max = leads(plot).length;
      walk(input, input.value - 1);
    }
    if (list) listBars(plot, list);
  };
  // The same without a pointer: a slider over many columns, a list of few bars.
  const offer = (plot, tools) => {
    if (plot.dataset.figure === "strip") {
      const label = document.createElement("div"), input = document.createElement("input"), where = document.createElement("span");
      label.className = "walk";
      Object.assign(input, { type: "range", min: 1, max: leads(plot).length, value: 1 });
      input.setAttribute("aria-label", "Problem, from the base's easiest to its hardest");
      label.append(input, where);
      plot.after(label);
      input.addEventListener("input", () => walk(input, input.value - 1));
      input.addEventListener("keydown", (event) => event.key === "Enter" && visit(input, leads(plot)[input.value - 1]));
      walk(input, 0);
    } else {
      const fold = document.createElement("details"), head = document.createElement("summary"), list = document.createElement("ul");
      fold.className = "leads";
      head.textContent = "List the problems of a bar";
      listBars(plot, list);
      fold.append(head, list);
      tools.after(fold);
    }
  };

  // -- drawing ------------------------------------------------------------------------------------------------------

  const draw = (library, plot) => {
    const { data, layout } = painted(plot.dataset.figure, colour);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    if (root.classList.contains("paper")) {
      Object.assign(layout, { autosize: false, width: plot.clientWidth, height: plot.clientHeight });
    }
    plot.querySelector(".sketch")?.remove();
    const again = drawn.has(plot);
    drawn.add(plot);
    const done = library.react(plot, data, layout, { displayModeBar: false, responsive: true });
    if (!again && "leads" in plot.dataset) done.then(() => follow(plot));
    return done;
  };
  const redraw = (library, which) => {
    for (const plot of which) draw(library, plot);
  };

  // One figure at a time, so that the page answers while the rest is still being drawn.
  const waiting = [];
  let drawing;
  const drawWaiting = async () => {
    const library = await plotly();
    while (waiting.length) {
      const plot = waiting.shift();
      if (!drawn.has(plot)) await draw(library, plot);
      await new Promise((done) => setTimeout(done));
    }
    root.dataset.ready = "true"; // what is near the screen is drawn
    drawing = undefined;
  };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      waiting.push(entry.target);
    }
    drawing ??= drawWaiting().catch(complain);
  }, { rootMargin: "60% 0px" });
  for (const plot of plots) near.observe(plot);
  // A served page has new numbers (live.js), and may have new figures.
  addEventListener("redrawn", ({ detail }) => {
    const changed = Object.keys(detail).filter((name) => JSON.stringify(figures[name]) !== JSON.stringify(detail[name]));
    Object.assign(figures, detail);
    data = undefined;
    for (const plot of document.querySelectorAll(".plot")) {
      if (plots.includes(plot)) continue;
      plots.push(plot);
      near.observe(plot);
      addTools(plot);
    }
    for (const plot of plots) if (plot.isConnected && "leads" in plot.dataset && changed.includes(plot.dataset.figure)) offerAnew(plot);
    const old = [...drawn].filter((plot) => plot.isConnected && changed.includes(plot.dataset.figure));
    if (old.length) plotly().then((library) => redraw(library, old));
  });

  const drawAgain = () => plotly().then((library) => redraw(library, drawn));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAgain());
  addEventListener("theme", () => drawAgain());
  addEventListener("beforeprint", () => {
    root.classList.add("paper"); // light, and as wide as paper, before anything is measured
    for (const folded of document.querySelectorAll(".verdicts details")) folded.open = true;
    if (globalThis.Plotly) redraw(Plotly, plots); // at once: paper does not wait
  });
  addEventListener("afterprint", () => {
    root.classList.remove("paper");
    drawAgain();
  });

  const keys = [...document.querySelectorAll(".key button")];
  for (const key of keys) {
    key.addEventListener("click", () => {
      const model = key.dataset.model;
      if (!hidden.delete(model)) hidden.add(model);
      for (const other of keys) other.setAttribute("aria-pressed", String(!hidden.has(other.dataset.model)));
      drawAgain();
    });
  }

  const switches = [...document.querySelectorAll("[data-smooth]")];
  for (const box of switches) {
    box.addEventListener("change", () => {
      smooth = box.checked;
      for (const other of switches) other.checked = smooth;
      drawAgain();
    });
  }

  // -- saving -------------------------------------------------------------------------------------------------------

  const save = (name, parts, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(parts, { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };

  // For a paper: light whatever the page is, black text on white, a legend inside, one size on every screen.
  const BLACK = new Set(["var(--ink)", "var(--soft)"]);
  const inPrint = (text) => {
    if (BLACK.has(text)) return "#000";
    if (text === "var(--paper)") return "#fff";
    probe.style.colorScheme = "light";
    const found = colour(text);
    probe.style.colorScheme = "";
    return found;
  };
  const image = async (plot, format) => {
    const { data, layout } = painted(plot.dataset.figure, inPrint);
    const [width, height] = (plot.dataset.paper ?? `640 ${plot.clientHeight}`).split(" ").map(Number);
    const legend = { orientation: "h", x: 0, xanchor: "left", y: -0.16, yanchor: "top", font: { color: "#000" } };
    // A line's markers stand at some of its points only, so a line of no point stands for it in the legend.
    const named = data.filter((trace) => trace.type === "scatter" && trace.fill !== "toself" && trace.visible);
    for (const trace of named) {
      trace.showlegend = false;
      const marker = { ...trace.marker, size: 8 };
      data.push({ ...trace, x: [null], y: [null], customdata: null, error_y: null, marker, showlegend: true });
    }
    for (const trace of data) if (trace.fill === "toself") trace.showlegend = false;
    if (named.length) Object.assign(layout, { showlegend: true, legend: { ...legend, ...layout.legend } });
    Object.assign(layout, { paper_bgcolor: "#fff", plot_bgcolor: "#fff" });
    Object.assign(layout.font, { family: "Arial, Helvetica, sans-serif", color: "#000" });
    const address = await (await plotly()).toImage({ data, layout }, { format, width, height, scale: format === "png" ? 3 : 1 });
    const body = address.slice(address.indexOf(",") + 1);
    if (format === "svg") return decodeURIComponent(body);
    return Uint8Array.from(atob(body), (sign) => sign.charCodeAt(0));
  };

  let data;
  const WAYS = {
    CSV: async (plot) => {
      data ??= unpack("data").then(JSON.parse).catch((error) => {
        data = undefined;
        throw error;
      });
      const name = plot.dataset.figure;
      save(`${name}.csv`, [(await data)[name]], "text/csv;charset=utf-8");
    },
    SVG: async (plot) => save(`${plot.dataset.figure}.svg`, [await image(plot, "svg")], "image/svg+xml"),
    PNG: async (plot) => save(`${plot.dataset.figure}.png`, [await image(plot, "png")], "image/png"),
  };
  const addTools = (plot) => {
    const tools = document.createElement("div");
    tools.className = "tools save";
    for (const [name, way] of Object.entries(WAYS)) {
      if (name === "CSV" && !("csv" in plot.dataset)) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-label", `Save as ${name}: ${plot.getAttribute("aria-label")}`);
      button.addEventListener("click", () => way(plot));
      tools.append(button);
    }
    plot.after(tools);
    if (!leads(plot) || !document.getElementById("problems")) return;
    plot.dataset.leads = "";
    offer(plot, tools);
  };
  plots.forEach(addTools);
})();
