"use strict";
(() => {
  const { arrays, payload } = JSON.parse(document.getElementById("payload").textContent);
  const NARROW = 640;
  const root = document.documentElement;

  /* State: what the selects say, kept in the URL after "#" as far as it isn't the default. */
  const named = (name) => document.querySelector(`select[name="${name}"]`);
  const chosen = (name) => named(name)?.value;
  const initial = (select) => [...select.options].find((option) => option.defaultSelected)?.value ?? select.options[0].value;
  let state = {};

  function readHash() {
    state = location.hash.includes("=") ? Object.fromEntries(new URLSearchParams(location.hash.slice(1))) : {};
    for (const select of document.querySelectorAll("select")) restore(select);
  }

  function restore(select) {
    const wanted = state[select.name] ?? initial(select);
    select.value = [...select.options].some((option) => option.value === wanted) ? wanted : initial(select);
  }

  function writeHash(select) {
    state[select.name] = select.value;
    if (select.value === initial(select)) delete state[select.name];
    history.replaceState(null, "", `#${new URLSearchParams(state)}`);
  }

  /* The contents of every section, under the present choice. A run that lacks the choice shows its objective. */
  function contents() {
    const [run, experiment] = (chosen("experiment") ?? "0-0").split("-").map(Number);
    const own = payload.runs[run].experiments[experiment];
    const wanted = payload.switches.map((name, index) => chosen(name) ?? Object.keys(own.views)[0].split("|")[index]).join("|");
    const key = wanted in own.views ? wanted : Object.keys(own.views)[0];
    key.split("|").forEach((value, index) => {
      if (named(payload.switches[index])) named(payload.switches[index]).value = value;
    });
    return { ...payload.compared, ...payload.runs[run].sections, ...own.sections, ...own.views[key] };
  }

  /* Long arrays are written once and referred to. */
  function unpacked(value) {
    if (Array.isArray(value)) return value.map(unpacked);
    if (value === null || typeof value !== "object") return value;
    if ("array" in value && typeof value.array === "number") return arrays[value.array];
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unpacked(item)]));
  }

  const pick = (values, kept) => kept.map((index) => values[index]);
  const axisName = (letter, panel) => `${letter}axis${panel ? panel + 1 : ""}`;
  const isAxis = (name) => /^[xy]axis\d*$/.test(name);

  /* One trace per batch size becomes one per batch size and facet, on the chosen axis. */
  function explored({ data, layout, explore }) {
    const axis = chosen("axis") ?? "noise_scale";
    const facet = chosen("facet") ?? "";
    const column = (index, name) => explore.columns[index][name];
    const everything = (name) => explore.columns.flatMap((columns) => columns[name] ?? []);
    const values = facet ? [...new Set(everything(facet))].sort((a, b) => (a > b) - (a < b)) : [""];
    const across = Math.min(4, values.length);
    const rows = Math.ceil(values.length / across);
    const width = (1 - 0.03 * (across - 1)) / across;
    const height = (1 - 0.22 * (rows - 1)) / rows;
    const log = everything(axis).every((value) => value > 0);
    const { xaxis, yaxis, ...rest } = layout;
    // Above the panels stand their titles, and above these the legend.
    if (facet) Object.assign(rest, { margin: { ...layout.margin, t: 72 }, legend: { ...layout.legend, y: 1.08 } });
    const panels = { ...rest, height: rows > 1 ? 300 * rows : layout.height, annotations: [] };
    values.forEach((value, panel) => {
      const left = (panel % across) * (width + 0.03);
      const top = 1 - Math.floor(panel / across) * (height + 0.22);
      const first = panel % across === 0;
      panels[axisName("x", panel)] = {
        ...xaxis, domain: [left, left + width], anchor: panel ? `y${panel + 1}` : "y", type: log ? "log" : "linear",
        title: { text: explore.axes[axis] }, ...(panel && { matches: "x" }),
      };
      panels[axisName("y", panel)] = {
        ...yaxis, domain: [top - height, top], anchor: panel ? `x${panel + 1}` : "x", showticklabels: first,
        title: first ? yaxis.title : undefined, ...(panel && { matches: "y" }),
      };
      if (facet) panels.annotations.push({
        text: `${explore.facets[facet]} = ${value}`, xref: "paper", yref: "paper", showarrow: false,
        x: left + width / 2, y: top, xanchor: "center", yanchor: "bottom",
      });
    });
    const traces = values.flatMap((value, panel) => data.map((trace, index) => {
      const on = { xaxis: panel ? `x${panel + 1}` : "x", yaxis: panel ? `y${panel + 1}` : "y" };
      if (!trace.text) return { ...trace, ...on, showlegend: panel === 0 };
      const kept = [...trace.text.keys()].filter((i) => !facet || column(index, facet)[i] === value);
      return {
        ...trace, ...on, text: pick(trace.text, kept), x: pick(column(index, axis), kept), y: pick(trace.y, kept),
        customdata: pick(trace.customdata, kept), marker: { ...trace.marker, symbol: pick(trace.marker.symbol, kept) },
        error_y: {
          ...trace.error_y, array: pick(trace.error_y.array, kept), arrayminus: pick(trace.error_y.arrayminus, kept),
        },
      };
    }));
    return { data: traces, layout: panels };
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
      y.title ??= layout.yaxis.title;
      const title = layout.annotations?.[index];
      if (title) Object.assign(title, { x: 0.5, y: top });
    });
    layout.height = Math.min(layout.height, 420) * axes.length;
    return layout;
  }

  function themed(original, width) {
    const layout = structuredClone(original);
    const { color, backgroundColor } = getComputedStyle(document.body);
    layout.font = { ...layout.font, color };
    layout.hoverlabel = { bgcolor: backgroundColor, font: { color } };
    for (const [name, axis] of Object.entries(layout)) {
      if (isAxis(name) && axis.type === "log" && chosen("scale") === "linear") axis.type = "linear";
    }
    return width < NARROW ? stack(layout) : layout;
  }

  /* Rings around every mark of the trial under the pointer, in all figures. */
  const plots = () => [...document.querySelectorAll(".plots .plot")].filter((plot) => plot._fullLayout);

  function ring(plot, trial) {
    plot.querySelector(".rings")?.remove();
    if (trial === undefined) return;
    const rings = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    rings.classList.add("rings");
    for (const trace of plot._fullData) {
      if (!trace.text || trace.visible !== true) continue;
      const [x, y] = [trace.xaxis, trace.yaxis].map((id) => plot._fullLayout[`${id[0]}axis${id.slice(1)}`]);
      trace.text.forEach((id, index) => {
        if (id !== trial) return;
        const [left, top] = [x.d2p(trace.x[index]), y.d2p(trace.y[index])];
        if (!(left >= 0 && left <= x._length && top >= 0 && top <= y._length)) return;
        const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
        for (const [name, value] of Object.entries({ cx: x._offset + left, cy: y._offset + top, r: 8 })) circle.setAttribute(name, value);
        rings.append(circle);
      });
    }
    plot.append(rings);
  }

  const save = (format, icon) => ({
    name: `${format}`, title: `Save as ${format.toUpperCase()}`, icon: Plotly.Icons[icon],
    click: (plot) => Plotly.downloadImage(plot, { format, filename: `${payload.file}-${plot.dataset.name}`, scale: 2 }),
  });
  const config = { ...payload.config, modeBarButtonsToAdd: [save("svg", "disk"), save("png", "camera")] };

  function drawFigure(element, packed) {
    const [plot, caption] = element.children;
    const whole = unpacked(packed);
    const figure = whole.explore ? explored(whole) : whole;
    const fresh = plot.data === undefined;
    plot.dataset.name = packed.name;
    plot.setAttribute("aria-label", packed.alt);
    caption.textContent = packed.caption;
    ring(plot, undefined);
    Plotly.react(plot, figure.data, themed(figure.layout, element.clientWidth), config);
    for (const button of plot.querySelectorAll(".modebar-btn")) {
      Object.entries({ tabindex: 0, role: "button", "aria-label": button.dataset.title }).forEach((pair) => button.setAttribute(...pair));
    }
    if (fresh) {
      plot.on("plotly_hover", ({ points }) => plots().forEach((other) => ring(other, points[0].text)));
      plot.on("plotly_unhover", () => plots().forEach((other) => ring(other, undefined)));
      plot.on("plotly_relayout", () => ring(plot, undefined));
    }
  }

  function figureElement() {
    const element = document.createElement("figure");
    element.append(document.createElement("div"), document.createElement("figcaption"));
    element.firstChild.className = "plot";
    element.firstChild.setAttribute("role", "group");
    return element;
  }

  /* Texts change at once; figures one by one, so that the page stays responsive. A later choice ends an earlier one. */
  const shown = new Map();
  let turn = 0;

  async function draw() {
    const now = ++turn;
    const main = document.querySelector("main");
    main.setAttribute("aria-busy", "true");
    root.dataset.theme = chosen("theme");
    const jobs = [];
    for (const [anchor, { html, figures }] of Object.entries(contents())) {
      const section = document.getElementById(anchor);
      const [text, container] = [section.querySelector(".text"), section.querySelector(".plots")];
      if (shown.get(anchor) !== html) text.innerHTML = html;
      shown.set(anchor, html);
      text.querySelectorAll("select").forEach(restore);
      const empty = !html && !figures.length;
      section.hidden = empty;
      document.querySelector(`nav a[href="#${anchor}"]`).hidden = empty;
      while (container.children.length > figures.length) container.lastChild.remove();
      while (container.children.length < figures.length) container.append(figureElement());
      figures.forEach((figure, index) => jobs.push([container.children[index], figure]));
    }
    for (const job of jobs) {
      await new Promise((done) => setTimeout(done));
      if (now !== turn) return;
      drawFigure(...job);
    }
    main.setAttribute("aria-busy", "false");
  }

  async function records() {
    const packed = Uint8Array.from(atob(document.getElementById("records").textContent), (c) => c.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  }

  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const formats = {
    csv: (names, rows) => [names, ...rows].map((row) => row.map((v) => quoted(`${v ?? ""}`)).join(",")).join("\n") + "\n",
    json: (names, rows) => JSON.stringify(rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])))),
  };

  async function download(format) {
    const columns = await records();
    const names = Object.keys(columns);
    const rows = columns[names[0]].map((_, index) => names.map((name) => columns[name][index]));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([formats[format](names, rows)]));
    link.download = `${payload.file}.${format}`;
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

  document.addEventListener("change", (event) => {
    if (event.target.tagName !== "SELECT") return;
    writeHash(event.target);
    draw();
  });
  document.addEventListener("click", (event) => {
    const { target } = event;
    if (target.matches("th button")) sortBy(target.parentNode);
    if (target.dataset?.format) download(target.dataset.format);
    if (!target.matches("nav a, .skip")) return;
    // The hash holds the state: go there without touching it.
    event.preventDefault();
    const section = document.querySelector(target.getAttribute("href"));
    section.scrollIntoView();
    section.focus({ preventScroll: true });
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches(".modebar-btn") && ["Enter", " "].includes(event.key)) event.target.click();
  });
  document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => { readHash(); draw(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if ((width < NARROW) !== (window.innerWidth < NARROW)) draw();
    width = window.innerWidth;
  });
  readHash();
  draw();
})();
