// All views of a rig: asks for the figures twice a second, for a picture where there is a new one.

const PAUSE_MS = 400;
const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const number = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

// What stands below a picture: [name, text, "" | "warn" | "bad"], by a camera's figures.
function rows(f) {
  const late = f.rate_hz_wished && f.rate_hz < 0.95 * f.rate_hz_wished;
  const drops = f.lost + f.damaged + f.ring_full;
  const wished = f.rate_hz_wished ? ` of ${number(f.rate_hz_wished, 1)} Hz` : " Hz";
  const found = [
    ["rate", `${number(f.rate_hz, 1)}${wished}`, late ? "warn" : ""],
    ["drops", `${f.lost} lost, ${f.damaged} damaged, ${f.ring_full} at a full ring`, drops ? "warn" : ""],
    ["link", f.link_mb_s === null ? "compressed" : `${number(f.link_mb_s, 2)} MB/s`, ""],
  ];
  if (f.exposure_us) {
    const share = f.exposure_share === null ? "" : `, ${number(100 * f.exposure_share, 0)} % of the period`;
    found.push(["exposure", `${number(f.exposure_us, 0)} µs${share}`, f.exposure_share > 0.95 ? "warn" : ""]);
  }
  if (!f.pictures) return found;
  const burnt = f.saturated_share;
  return [
    ["saturated", `${number(100 * burnt, 2)} %`, burnt > 0.01 ? "bad" : burnt > 0.001 ? "warn" : ""],
    ["headroom", f.headroom_stops ? `${number(f.headroom_stops, 1)} stops` : "none", f.headroom_stops > 3 || !f.headroom_stops ? "warn" : ""],
    ...found,
  ];
}

class Card {
  constructor(name) {
    this.name = name;
    this.shown = 0;
    this.best = 0;
    this.loading = false;
    this.image = make("img", { alt: `camera ${name}`, hidden: true });
    this.message = make("p", { textContent: "no picture yet" });
    this.model = make("span");
    this.meter = make("meter", { min: 0, max: 1, low: 0.5, high: 0.9, optimum: 1 });
    this.focus = make("dd", {}, this.meter, make("span"));
    this.list = make("dl");
    this.element = make("figure", { tabIndex: 0 },
      make("div", { className: "picture" }, this.image, this.message),
      make("figcaption", {}, make("div", { className: "title" }, make("b", { textContent: name }), this.model), this.list));
    this.element.dataset.camera = name;
    this.element.addEventListener("click", () => {
      if (this.element.classList.toggle("large")) scrollTo(0, 0);
    });
    this.element.addEventListener("keydown", (event) => { if (event.key === "Enter") this.element.click(); });
    this.image.addEventListener("load", () => { this.loading = false; this.image.hidden = false; });
    this.image.addEventListener("error", () => { this.loading = false; });
  }

  show(f) {
    this.model.textContent = [f.model, f.width_px ? `${f.width_px} x ${f.height_px}` : ""].filter(Boolean).join(", ");
    const there = f.state === "armed";
    this.element.classList.toggle("trouble", !there);
    this.message.hidden = there && f.pictures > 0;
    this.message.textContent = there ? "no picture yet" : `camera is ${f.state}`;
    const lines = rows(f).map(([name, text, kind]) => [make("dt", { textContent: name }), make("dd", { textContent: text, className: kind })]);
    if (f.pictures) {
      this.best = Math.max(this.best, f.laplacian_variance);
      this.meter.value = this.best ? f.laplacian_variance / this.best : 0;
      this.focus.lastChild.textContent = `${number(f.laplacian_variance, 1)}, sharpest ${number(this.best, 1)}`;
      lines.unshift([make("dt", { textContent: "focus" }), this.focus]);
    }
    this.list.replaceChildren(...lines.flat());
    if (f.pictures && f.pictures !== this.shown && !this.loading) {
      this.shown = f.pictures;
      this.loading = true;
      this.image.src = `/picture/${encodeURIComponent(this.name)}?n=${f.pictures}`;
    }
  }
}

const cards = new Map();

function show(state) {
  for (const [name, figures] of Object.entries(state)) {
    if (!cards.has(name)) {
      cards.set(name, new Card(name));
      $("views").append(cards.get(name).element);
    }
    cards.get(name).show(figures);
  }
  const all = Object.values(state);
  const load = all.reduce((sum, f) => sum + (f.link_mb_s ?? 0), 0);
  const drops = all.reduce((sum, f) => sum + f.lost + f.damaged + f.ring_full, 0);
  $("summary").textContent = `${all.length} cameras, ${number(load, 1)} MB/s, ${drops} drops`;
}

async function ask() {
  try {
    const response = await fetch("/state");
    if (!response.ok) throw new Error(response.status === 403 ? "open the address that the command printed now" : response.statusText);
    show(await response.json());
    $("banner").hidden = true;
  } catch (error) {
    $("banner").textContent = `No answer from rigpose preview: ${error.message}`;
    $("banner").hidden = false;
  }
  setTimeout(ask, PAUSE_MS);
}

function anew() {
  for (const card of cards.values()) card.best = 0;
}

$("anew").addEventListener("click", anew);
document.addEventListener("keydown", (event) => { if (event.key === "f" || event.key === "F") anew(); });
window.rigpose = { cards };
ask();
