// A board before a running rig: what was seen of it, and where to hold it next. Asks three times a second.

const PAUSE_MS = 300;
const $ = (id) => document.getElementById(id);
const control = new URLSearchParams(location.search).get("control");

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

const percent = (share) => `${Math.round(100 * share)} %`;
const STATES = {
  "": "no board", kept: "new: kept", seen: "nothing new here", moving: "moves: hold it still", blurred: "blurred",
};

class Card {
  constructor(name) {
    this.name = name;
    this.asked = 0;
    this.image = make("img", { alt: `camera ${name}`, hidden: true });
    this.marks = draw("svg", { "aria-hidden": "true" });
    this.message = make("p", { textContent: "no picture yet" });
    this.state = make("span", { className: "state" });
    this.list = make("dl");
    this.cells = draw("svg", { class: "cells", role: "img", "aria-label": `where ${name} has seen corners` });
    this.element = make("figure", {},
      make("div", { className: "picture" }, this.image, this.marks, this.message),
      make("figcaption", {},
        make("div", { className: "title" }, make("b", { textContent: name }), this.state), this.list, this.cells));
    this.element.dataset.camera = name;
  }

  show(facts, state, capture) {
    const asked = state.asked.cameras.includes(this.name);
    const region = asked ? state.asked.cells : null;
    const { now } = facts;
    const there = !capture || capture === "armed";
    this.element.classList.toggle("asked", asked);
    this.element.classList.toggle("trouble", !there);
    this.message.hidden = there && Boolean(now.width_px);
    this.message.textContent = there ? "no picture yet" : `camera is ${capture}`;
    const tilt = now.tilt_deg === null || now.tilt_deg === undefined ? "" : `, ${Math.round(now.tilt_deg)}°`;
    this.state.textContent = now.width_px ? STATES[now.state] + tilt : "";
    this.state.className = `state ${now.state ?? ""}`;
    const { targets } = state;
    this.list.replaceChildren(...[
      ["covered", `${percent(facts.coverage)} of ${percent(targets.coverage)}`, facts.coverage >= targets.coverage],
      ["views", `${facts.views} of ${targets.views}`, facts.views >= targets.views],
      ["tilted", `${facts.tilted} of ${targets.tilted}`, facts.tilted >= targets.tilted],
    ].flatMap(([name, text, done]) => [make("dt", { textContent: name }), make("dd", { textContent: text, className: done ? "done" : "" })]));
    this.showCells(facts.cells, targets.tilted_deg, region);
    if (now.width_px && state.looks !== this.asked) this.load(now, facts.cells, region, state.looks);
  }

  // The corners belong to one picture: they are drawn when that one is there.
  load(now, cells, region, number) {
    this.asked = number;
    const next = make("img", { alt: this.image.alt });
    next.addEventListener("load", () => {
      if (number !== this.asked) return;
      this.image.replaceWith(next);
      this.image = next;
      this.mark(now, cells, region);
    });
    next.src = `/picture/${encodeURIComponent(this.name)}/${number}`;
  }

  mark(now, cells, region) {
    const { marks } = this;
    // An integer is the centre of a pixel.
    marks.setAttribute("viewBox", `-0.5 -0.5 ${now.width_px} ${now.height_px}`);
    marks.setAttribute("class", now.state);
    const radius = now.width_px / 110;
    marks.replaceChildren(...now.corners.map(([x, y]) => draw("circle", { class: "corner", cx: x, cy: y, r: radius })));
    if (!region) return;
    const [left, top, right, bottom] = region;
    const across = now.width_px / cells[0].length;
    const down = now.height_px / cells.length;
    marks.prepend(draw("rect", {
      class: "here", x: left * across - 0.5, y: top * down - 0.5, width: (right - left) * across, height: (bottom - top) * down,
    }));
  }

  showCells(cells, tilted, region) {
    this.cells.setAttribute("viewBox", `0 0 ${cells[0].length} ${cells.length}`);
    this.cells.setAttribute("preserveAspectRatio", "none");
    this.cells.replaceChildren(...cells.flatMap((line, row) => line.map((tilt, column) => {
      const kind = tilt < 0 ? "unseen" : tilt < tilted ? "flat" : "tilted";
      const cell = draw("rect", { class: kind, x: column, y: row, width: 1, height: 1 });
      cell.append(draw("title", {}, tilt < 0 ? "no corner yet" : `tilted by up to ${Math.round(tilt)}°`));
      return cell;
    })));
    if (!region) return;
    const [left, top, right, bottom] = region;
    this.cells.append(draw("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }));
  }
}

const cards = new Map();
const shown = { state: null, ending: false };

function drawGraph(state) {
  const names = Object.keys(state.cameras);
  const place = new Map(names.map((name, n) => {
    const angle = (2 * Math.PI * n) / names.length - Math.PI / 2;
    return [name, names.length === 1 ? [160, 130] : [160 + 122 * Math.cos(angle), 130 + 100 * Math.sin(angle)]];
  }));
  const links = new Set(state.links.map((pair) => pair.join(" ")));
  const [lines, labels] = [[], []];
  for (const [a, b, count] of state.pairs) {
    const link = links.has(`${a} ${b}`);
    if (!count && !link) continue;
    const [[x1, y1], [x2, y2]] = [place.get(a), place.get(b)];
    const kind = count >= state.targets.shared ? "done" : link ? "link" : "";
    lines.push(draw("line", { class: kind, x1, y1, x2, y2, "stroke-width": 1 + Math.min(count, 20) / 3, ...(count ? {} : { "stroke-dasharray": "3 4" }) }));
    // Not at the middle, where the lines across meet.
    labels.push(draw("text", { class: "count", x: x1 + 0.4 * (x2 - x1), y: y1 + 0.4 * (y2 - y1) }, String(count)));
  }
  const nodes = names.flatMap((name) => {
    const [cx, cy] = place.get(name);
    return [draw("circle", { cx, cy, r: 22 }), draw("text", { x: cx, y: cy }, name.length > 7 ? `${name.slice(0, 6)}…` : name)];
  });
  $("graph").replaceChildren(...lines, ...labels, ...nodes);
  $("graph-note").textContent = names.length > 1 ? `views of both; ${state.targets.shared} on every line that links the rig` : "one camera";
}

function show(state) {
  shown.state = state;
  $("board").textContent = state.board;
  $("summary").textContent = `${state.kept} frame sets kept, ${state.looks} looked at`;
  $("sentence").textContent = state.ending ? "ending" : state.sentence;
  $("sentence").classList.toggle("enough", state.enough);
  for (const [name, facts] of Object.entries(state.cameras)) {
    if (!cards.has(name)) {
      cards.set(name, new Card(name));
      $("views").append(cards.get(name).element);
    }
    cards.get(name).show(facts, state, state.states[name]);
  }
  drawGraph(state);
  const wanting = state.needs.map((need) => {
    const counted = need.kind === "coverage" ? `${percent(need.have)} of ${percent(need.target)}` : `${need.have} of ${need.target} views`;
    return make("li", {}, need.sentence, make("small", { textContent: counted }));
  });
  $("needs").replaceChildren(...(wanting.length ? wanting : [make("li", { textContent: "nothing" })]));
  $("stop").hidden = !control || state.ending;
}

function trouble(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

async function ask() {
  try {
    const response = await fetch("/state");
    if (!response.ok) throw new Error(response.status === 403 ? "open the address that the command printed now" : response.statusText);
    const state = await response.json();
    show(state);
    trouble(state.hint && `No camera has found ${state.board} yet. Seen instead: ${state.hint}.`);
  } catch (error) {
    const ended = shown.ending || shown.state?.ending;
    if (ended) $("sentence").textContent = "ended";
    trouble(ended ? "What was kept is in the folder that the command names." : `No answer from rigpose calibrate --live: ${error.message}`);
  }
  setTimeout(ask, PAUSE_MS);
}

$("stop").addEventListener("click", async () => {
  if (!confirm("End, and keep what was seen?")) return;
  const answer = await fetch("/stop", { method: "POST", headers: { "X-Rigpose-Control": control } });
  shown.ending = answer.ok;
  $("stop").hidden = answer.ok;
});
window.rigpose = { cards, shown };
ask();
