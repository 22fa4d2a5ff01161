// Draws the figures in the page's own colours, and draws them again when the colours change.
"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const hidden = new Set(); // models switched off in the key
  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;

  // "var(--name)" becomes the colour that the name has now; "var(--name-band)" the same colour, see-through.
  const colour = (text) => {
    const found = /^var\((--[\w-]+?)(-band)?\)$/.exec(text);
    if (!found) return text;
    probe.style.color = `var(${found[1]})`;
    const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g);
    return found[2] ? `rgba(${r}, ${g}, ${b}, 0.13)` : `rgb(${r}, ${g}, ${b})`;
  };
  const paint = (value) => {
    if (typeof value === "string") return colour(value);
    if (Array.isArray(value)) return value.map(paint);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, paint(inner)]));
  };

  const draw = (plot, width) => {
    const { data, layout } = paint(figures[plot.dataset.figure]);
    const shown = (part) => !hidden.has(part.legendgroup ?? part.name);
    for (const trace of data) trace.visible = shown(trace);
    for (const part of [...(layout.shapes ?? []), ...(layout.annotations ?? [])]) part.visible = shown(part);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    if (width) Object.assign(layout, { autosize: false, width: Math.min(width, plot.clientWidth) });
    return Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
  };
  const drawAll = (width) => plots.forEach((plot) => draw(plot, width));

  // One figure at a time, so that the first screen is there while the rest is still being drawn.
  const drawNext = ([plot, ...rest]) => {
    if (!plot) root.dataset.ready = "true";
    else draw(plot).then(() => setTimeout(drawNext, 0, rest));
  };
  drawNext(plots);

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => { root.style.colorScheme = "light"; drawAll(680); });
  addEventListener("afterprint", () => { root.style.colorScheme = ""; drawAll(); });

  const buttons = [...document.querySelectorAll(".key button")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const model = button.dataset.model;
      if (!hidden.delete(model)) hidden.add(model);
      for (const other of buttons) other.setAttribute("aria-pressed", String(!hidden.has(other.dataset.model)));
      drawAll();
    });
  }
})();
