"use strict";
(() => {
  const payload = JSON.parse(document.getElementById("payload").textContent);
  const controls = document.querySelector(".controls");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const NARROW = 640;

  const chosen = (name, fallback) => controls.elements[name]?.value ?? fallback;

  function currentView() {
    const experiment = payload.experiments[Number(chosen("experiment", 0))];
    const key = payload.switches.map(([name, first]) => chosen(name, first)).join("|");
    return { ...experiment, ...experiment.views[key] };
  }

  /* Panels that stand in one row are stacked where the page is narrow. */
  function stack(layout) {
    const axes = Object.keys(layout).filter((name) => /^xaxis\d*$/.test(name));
    if (axes.length < 2) return layout;
    const gap = 0.36 / axes.length;
    const size = (1 - gap * (axes.length - 1)) / axes.length;
    axes.forEach((name, index) => {
      const top = 1 - index * (size + gap);
      const y = layout[name.replace("x", "y")];
      layout[name].domain = [0, 1];
      y.domain = [Math.max(0, top - size), top];
      y.showticklabels = true;
      y.title = layout.yaxis.title;
      const title = layout.annotations?.[index];
      if (title) Object.assign(title, { x: 0.5, y: top });
    });
    layout.height *= axes.length;
    return layout;
  }

  function themed(figure, width) {
    const layout = structuredClone(figure.layout);
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    const panel = getComputedStyle(document.documentElement).getPropertyValue("--panel").trim();
    layout.font = { ...layout.font, color: ink };
    layout.hoverlabel = { bgcolor: panel, font: { color: ink } };
    for (const [name, axis] of Object.entries(layout)) {
      if (/^[xy]axis\d*$/.test(name) && axis.type === "log" && !controls.elements.log.checked) axis.type = "linear";
    }
    return width < NARROW ? stack(layout) : layout;
  }

  /* Hovering over a trial in one panel shows it in the others: their traces list the same trials in the same order. */
  function link(plot) {
    plot.on("plotly_hover", (event) => {
      const point = event.points[0];
      if (!point.data.customdata) return;
      const siblings = plot.data
        .map((trace, curveNumber) => ({ trace, curveNumber }))
        .filter(({ trace }) => trace.customdata && trace.legendgroup === point.data.legendgroup);
      Plotly.Fx.hover(
        plot,
        siblings.map(({ curveNumber }) => ({ curveNumber, pointNumber: point.pointNumber })),
        siblings.map(({ trace }) => (trace.xaxis ?? "x") + (trace.yaxis ?? "y")),
      );
    });
  }

  function drawFigure(element, figure) {
    const [plot, caption] = element.children;
    plot.setAttribute("aria-label", figure.alt);
    caption.textContent = figure.caption;
    const fresh = plot.data === undefined;
    Plotly.react(plot, figure.data, themed(figure, element.clientWidth), payload.config);
    if (fresh && figure.linked) link(plot);
  }

  function figureElement() {
    const element = document.createElement("figure");
    element.append(document.createElement("div"), document.createElement("figcaption"));
    element.firstChild.setAttribute("role", "img");
    return element;
  }

  function draw() {
    const view = currentView();
    document.getElementById("verdict").innerHTML = view.verdict;
    document.getElementById("health").innerHTML = view.health_text;
    for (const container of document.querySelectorAll("[data-figures]")) {
      const figures = view[container.dataset.figures];
      while (container.children.length > figures.length) container.lastChild.remove();
      while (container.children.length < figures.length) container.append(figureElement());
      figures.forEach((figure, index) => drawFigure(container.children[index], figure));
      container.closest("section").hidden = figures.length === 0 && !container.closest("section").querySelector("p");
    }
  }

  async function download() {
    const packed = Uint8Array.from(atob(document.getElementById("records").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await new Response(stream).blob());
    link.download = payload.csv_name;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function sortBy(header) {
    const table = header.closest("table");
    const index = [...header.parentNode.children].indexOf(header);
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (row) => row.children[index].dataset.value ?? row.children[index].textContent;
    const rows = [...table.tBodies[0].rows].sort((a, b) =>
      value(a).localeCompare(value(b), "en", { numeric: true }));
    const numbers = rows.every((row) => row.children[index].dataset.value !== undefined);
    if (numbers) rows.sort((a, b) => Number(value(a)) - Number(value(b)));
    table.tBodies[0].append(...(ascending ? rows : rows.reverse()));
  }

  controls.addEventListener("change", draw);
  controls.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("download").addEventListener("click", download);
  document.querySelectorAll("th button").forEach((b) => b.addEventListener("click", () => sortBy(b.parentNode)));
  dark.addEventListener("change", draw);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if ((width < NARROW) !== (window.innerWidth < NARROW)) draw();
    width = window.innerWidth;
  });
  draw();
})();
