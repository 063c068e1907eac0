// Draws the figures that the page around this frame sends, and tells it how high they are.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
let figures = {};

async function draw() {
  const colour = dark.matches ? "#e4e7ea" : "#1d2126";
  for (const [name, { data, layout }] of Object.entries(figures)) {
    let place = document.getElementById(name);
    if (!place) {
      place = document.body.appendChild(document.createElement("div"));
      place.id = name;
    }
    const clear = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { ...layout.font, color: colour } };
    await Plotly.react(place, data, { ...layout, ...clear }, { displaylogo: false, responsive: true, displayModeBar: false });
  }
  const drawn = Object.keys(figures).length;
  // The body has margins of eight pixels, which its height leaves out.
  parent.postMessage({ drawn, height: drawn && document.body.offsetHeight + 16 }, "*");
}

addEventListener("message", (event) => {
  if (event.source !== parent) return;
  figures = event.data;
  draw();
});
dark.addEventListener("change", draw);
draw();  // tells the page that this frame listens
