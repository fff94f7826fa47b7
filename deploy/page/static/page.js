// The live page: pictures and poses as they come on /frames, the state of the rig twice a second.

import { Space } from "/static/space.js";
import { drawLatency } from "/static/latency.js";
import { RecordingPanel } from "/static/recording.js";

const PAUSE_MS = 500;
const STALE_MS = 200;
const $ = (id) => document.getElementById(id);
const control = new URLSearchParams(location.search).get("control");
const shown = { packets: 0, state: null };

export function colour(number, count) {
  return `hsl(${Math.round((360 * number) / Math.max(1, count))} 85% 62%)`;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const digits = (value, count) => value.toLocaleString("en", { minimumFractionDigits: count, maximumFractionDigits: count });
const cutoff = () => Number($("cutoff").value);
const skeleton = () => shown.state?.session?.skeleton ?? [];

class View {
  constructor(name) {
    this.canvas = make("canvas");
    this.note = make("span");
    this.element = make("figure", { tabIndex: 0 }, this.canvas, make("figcaption", {}, make("b", { textContent: name }), this.note));
    this.element.dataset.camera = name;
    this.element.addEventListener("click", () => this.element.classList.toggle("large"));
    this.element.addEventListener("keydown", (event) => { if (event.key === "Enter") this.element.click(); });
    this.pictures = 0;
  }

  async show(about, jpeg) {
    const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    const { canvas } = this;
    // Drawn at twice the picture's size, so that points are sharp.
    const scale = Math.min(2, 1280 / picture.width);
    const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.drawImage(picture, 0, 0, width, height);
    picture.close();
    if (about.keypoints) this.draw(pen, about, width / about.width_px, height / about.height_px);
    this.element.classList.toggle("stale", about.behind_ms > STALE_MS);
    this.note.textContent = about.behind_ms > STALE_MS ? `${digits(about.behind_ms / 1000, 1)} s behind the others` : about.keypoints ? "" : "no pose of this picture";
    this.pictures += 1;
  }

  draw(pen, about, sx, sy) {
    // An integer is the centre of a pixel.
    const points = about.keypoints.map(([x, y, c]) => (c !== null && c >= cutoff() ? [(x + 0.5) * sx, (y + 0.5) * sy] : null));
    pen.lineWidth = 2;
    pen.strokeStyle = "rgb(255 255 255 / 55%)";
    for (const [a, b] of skeleton()) {
      if (!points[a] || !points[b]) continue;
      pen.beginPath();
      pen.moveTo(...points[a]);
      pen.lineTo(...points[b]);
      pen.stroke();
    }
    points.forEach((point, n) => {
      if (!point) return;
      pen.fillStyle = colour(n, points.length);
      pen.beginPath();
      pen.arc(...point, 5, 0, 2 * Math.PI);
      pen.fill();
    });
  }
}

const views = new Map();
const space = new Space($("space"), colour);
const panel = new RecordingPanel($, definitions, control);

async function showPacket(about, body) {
  let at = 0;
  const drawn = [];
  for (const [name, camera] of Object.entries(about.cameras)) {
    if (!views.has(name)) {
      views.set(name, new View(name));
      $("views").append(views.get(name).element);
    }
    drawn.push(views.get(name).show(camera, body.subarray(at, at + camera.bytes)));
    at += camera.bytes;
  }
  await Promise.all(drawn);
  space.show(about.points, skeleton());
  $("space-note").textContent = about.index === null ? "" : `frame set ${about.index}`;
  shown.packets += 1;
}

// The packets of /frames; while one is drawn the server makes no further ones: the newest comes next.
async function follow() {
  for (;;) {
    try {
      const response = await fetch("/frames?hz=15");
      if (!response.ok) throw new Error(response.statusText);
      const reader = response.body.getReader();
      let held = new Uint8Array(0);
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const joined = new Uint8Array(held.length + value.length);
        joined.set(held);
        joined.set(value, held.length);
        held = joined;
        let newest = null;
        while (held.length >= 8) {
          const view = new DataView(held.buffer, held.byteOffset);
          const whole = 4 + view.getUint32(0, true);
          if (held.length < whole) break;
          const length = view.getUint32(4, true);
          newest = [JSON.parse(new TextDecoder().decode(held.subarray(8, 8 + length))), held.slice(8 + length, whole)];
          held = held.slice(whole);
        }
        if (newest) await showPacket(...newest);
      }
    } catch (error) {
      trouble(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function trouble(error) {
  $("banner").textContent = error ? `No answer from rigpose live: ${error.message}` : "";
  $("banner").hidden = !error;
}

function definitions(list, rows) {
  list.replaceChildren(...rows.flatMap(([name, text, kind]) => [make("dt", { textContent: name }), make("dd", { textContent: text, className: kind ?? "" })]));
}

function ago(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

function showState(state) {
  shown.state = state;
  const { session, health, machine } = state;
  $("rig").textContent = session?.rig ?? "";
  const network = session?.network;
  $("summary").textContent = network ? `${network.bundle}, ${network.runtime} ${network.precision}` : "waiting for the tracker";
  const sets = health.tracker ?? {};
  const share = sets.sets_in ? (100 * (sets.complete_in ?? 0)) / sets.sets_in : 0;
  definitions($("sets"), [
    ["complete", sets.sets_in ? `${digits(share, 1)} % of ${digits(sets.sets_in, 0)}` : "none yet", share < 99 && sets.sets_in ? "warn" : ""],
    ["published", digits(sets.published ?? 0, 0)],
    ["skipped", digits(sets.skipped ?? 0, 0), sets.skipped ? "warn" : ""],
    ...Object.entries(health).filter(([source]) => source.startsWith("camera ")).map(([source, causes]) => {
      const lost = Object.entries(causes).filter(([, count]) => count).map(([cause, count]) => `${count} ${cause}`).join(", ");
      return [source, lost || "no frame missing", lost ? "warn" : ""];
    }),
  ]);
  const yes = (value) => make("td", { textContent: value ? "yes" : "no", className: value ? "yes" : "no" });
  $("table").tBodies[0].replaceChildren(...[...state.topics, ...state.processes].map((line) =>
    make("tr", {}, make("td", { textContent: line.name }), yes(line.alive), yes(line.frequency_ok), yes(line.valid), make("td", { textContent: line.note, className: "note" }))));
  const left = machine.disk_free_gb;
  definitions($("machine"), [
    ["disk left", left === null ? "not known" : `${digits(left, 1)} GB`, left !== null && left < 5 ? "bad" : ""],
    ["temperature", machine.temperature_c === null ? "no sensor" : `${digits(machine.temperature_c, 0)} °C`, machine.temperature_c > 85 ? "bad" : ""],
    ["running", state.elapsed_s ? `${digits(state.elapsed_s / 60, 1)} min` : "not yet"],
    ...Object.entries(state.cameras).map(([name, c]) => [name, `${c.state}, ${digits(c.rate_hz ?? 0, 1)} Hz, ${c.lost ?? 0} lost, clock ${digits(c.drift_ppm ?? 0, 1)} ppm`, c.state === "armed" ? "" : "bad"]),
  ]);
  const rig = Object.keys(state.cameras);
  for (const [name, view] of views) {
    view.element.style.order = rig.indexOf(name); // as in the rig, whichever picture came first
    view.element.classList.toggle("gone", (state.cameras[name]?.state ?? "armed") !== "armed");
  }
  const lines = state.events.slice().reverse().map((event) =>
    make("li", {}, make("time", { textContent: ago(event.ago_s) }), `${event.name} ${event.source} ${event.detail}`));
  $("events").replaceChildren(...(lines.length ? lines : [make("li", { textContent: "none", className: "none" })]));
  const latest = state.latency.at(-1);
  $("latency-note").textContent = latest ? `p50 ${digits(latest[2], 1)}, p99 ${digits(latest[4], 1)}` : "";
  drawLatency($("latency"), state.latency);
  space.cameras = state.space;
  $("space-panel").hidden = !state.space.length;
  panel.show(state);
  $("stop").hidden = !(control && state.controls);
}

async function ask() {
  try {
    const response = await fetch("/state");
    if (!response.ok) throw new Error(response.status === 403 ? "open the address that the command printed now" : response.statusText);
    showState(await response.json());
    trouble(null);
  } catch (error) {
    trouble(error);
  }
  setTimeout(ask, PAUSE_MS);
}

$("stop").addEventListener("click", async () => {
  if (confirm("End the run for everybody?")) await fetch("/stop", { method: "POST", headers: { "X-Rigpose-Control": control } });
});
window.rigpose = { shown, views, space, panel };
ask();
follow();
