// Fragments come from the server; this asks for them, with the token of this tab, and sends what its user asks for.
"use strict";

const main = document.querySelector("main");
const live = document.querySelector("#live");
const notice = document.querySelector("#notice");

function say(text) {
  notice.textContent = text;
  notice.hidden = !text;
}

async function ask(url, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(url, { ...options, headers });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ detail: `status ${response.status}` }));
  throw Object.assign(new Error(problem.detail), { errors: problem.errors ?? [], status: response.status });
}

async function attempt(work) {
  main.ariaBusy = "true";
  try {
    await work();
    say("");
  } catch (error) {
    say(error.message);
    for (const { path, message } of error.errors ?? []) mark(path, message);
  }
  main.ariaBusy = "false";
}

function mark(path, message) {
  const input = document.querySelector(`#submit [name="${CSS.escape(path)}"]`);
  if (!input) return;
  input.setCustomValidity(message);
  input.reportValidity();
  input.addEventListener("input", () => input.setCustomValidity(""), { once: true });
}

async function refresh() {
  const html = await (await ask(live.dataset.fragment)).text();
  // What did not change keeps its focus.
  if (html !== live.shown) live.innerHTML = live.shown = html;
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function poll() {
  for (;;) {
    await pause(Number(live.dataset.every));
    if (!document.hidden) await refresh().then(() => say(""), (error) => say(error.message));
  }
}

async function* events(url) {
  const reader = (await ask(url)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

let following = 0;

// Until the sweep ends; a connection that breaks is taken up again.
async function follow() {
  const turn = ++following;
  for (let ended = false; !ended; await pause(ended ? 0 : 2)) {
    try {
      for await (const sweep of events(live.dataset.events)) {
        if (turn !== following) return;
        ended = ["done", "failed", "stopped", "interrupted"].includes(sweep.state);
        await refresh();
        await draw(sweep.done);
      }
    } catch (error) {
      say(error.message);
      ended = [401, 403, 404].includes(error.status);
    }
  }
}

const frame = document.querySelector("#figures");
let figures = {};
let drawn = 0;

async function draw(done) {
  if (!frame || done === drawn) return;
  drawn = done;
  figures = await (await ask(frame.dataset.figures)).json();
  document.querySelector("#waiting").hidden = Object.keys(figures).length > 0;
  frame.contentWindow.postMessage(figures, "*");
}

addEventListener("message", (event) => {
  if (!frame || event.source !== frame.contentWindow) return;
  // A frame that has drawn nothing has only now begun to listen.
  if (!event.data.drawn && Object.keys(figures).length) frame.contentWindow.postMessage(figures, "*");
  frame.height = Number(event.data.height) || 0;
});

function changed(form) {
  const overrides = {};
  for (const input of form.querySelectorAll("[data-initial]")) {
    const value = input.type === "checkbox" ? String(input.checked) : input.value;
    if (value === input.dataset.initial) continue;
    overrides[input.name] = input.type === "text" || input.tagName === "SELECT" ? read(value) : JSON.parse(value || "null");
  }
  return overrides;
}

function read(text) {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function submit(type, body) {
  const response = await ask("/api/v1/sweeps", { method: "POST", headers: { "Content-Type": type }, body });
  location.assign(`/sweeps/${(await response.json()).name}`);
}

async function download(url, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await ask(url)).blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "get" && form.getAttribute("action")) return;
  event.preventDefault();
  if (form.id === "token") {
    sessionStorage.setItem("token", form.token.value);
    form.reset();
    start();
  } else if (form.id === "yaml") {
    attempt(() => submit("application/yaml", form.yaml.value));
  } else {
    const { recipe, scale } = form.dataset;
    attempt(() => submit("application/json", JSON.stringify({ recipe, scale, overrides: changed(form) })));
  }
});

document.addEventListener("click", (event) => {
  const { method, url, then, sure, load, into, download: file, file: name } = event.target.dataset;
  if (load) {
    attempt(async () => { document.querySelector(into).innerHTML = await (await ask(load)).text(); });
  } else if (file) {
    attempt(() => download(file, name));
  } else if (method && (!sure || confirm(sure))) {
    attempt(async () => {
      await ask(url, { method });
      if (then) location.assign(then);
      else follow();
    });
  }
});

function start() {
  attempt(async () => {
    if (live) await refresh();
    if (live?.dataset.events) follow();
  });
}

start();
if (live?.dataset.every) poll();
