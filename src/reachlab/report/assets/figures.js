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
  const plotly = () => (library ??= load());

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
  const painted = (name, map) => {
    const { data, layout } = paint(figures[name], map);
    const shown = (part) => !hidden.has(part.legendgroup ?? part.name);
    for (const trace of data) trace.visible = shown(trace);
    for (const part of [...(layout.shapes ?? []), ...(layout.annotations ?? [])]) part.visible = shown(part);
    return { data, layout };
  };

  // -- drawing ------------------------------------------------------------------------------------------------------

  const draw = (library, plot) => {
    const { data, layout } = painted(plot.dataset.figure, colour);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    if (root.classList.contains("paper")) {
      Object.assign(layout, { autosize: false, width: plot.clientWidth, height: plot.clientHeight });
    }
    plot.querySelector(".sketch")?.remove();
    drawn.add(plot);
    return library.react(plot, data, layout, { displayModeBar: false, responsive: true });
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
      data ??= unpack("data").then(JSON.parse);
      const name = plot.dataset.figure;
      save(`${name}.csv`, [(await data)[name]], "text/csv;charset=utf-8");
    },
    SVG: async (plot) => save(`${plot.dataset.figure}.svg`, [await image(plot, "svg")], "image/svg+xml"),
    PNG: async (plot) => save(`${plot.dataset.figure}.png`, [await image(plot, "png")], "image/png"),
  };
  for (const plot of plots) {
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
  }
})();
