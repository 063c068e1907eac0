// Draws the figures that the page around this frame sends, and tells it how high they are.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const LEAST_WIDTH = 640;
let figures = {};

async function draw() {
  const colour = dark.matches ? "#e4e7ea" : "#1d2126";
  for (const [name, { data, layout }] of Object.entries(figures)) {
    let place = document.getElementById(name);
    if (!place) {
      place = document.body.appendChild(document.createElement("div"));
      place.id = name;
      place.style.minWidth = `${LEAST_WIDTH}px`;
    }
    const clear = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { ...layout.font, color: colour } };
    // Where figures are wider than the screen, a finger moves them.
    const dragmode = innerWidth < LEAST_WIDTH ? false : layout.dragmode;
    await Plotly.react(place, data, { ...layout, ...clear, dragmode }, { displaylogo: false, responsive: true, displayModeBar: false });
  }
  const drawn = Object.keys(figures).length;
  // Besides the body there are its margins of eight pixels, and perhaps a bar to scroll by.
  const around = 16 + innerHeight - document.documentElement.clientHeight;
  parent.postMessage({ drawn, height: drawn && document.body.offsetHeight + around }, "*");
}

addEventListener("message", (event) => {
  if (event.source !== parent) return;
  figures = event.data;
  draw();
});
dark.addEventListener("change", draw);
draw();  // tells the page that this frame listens
