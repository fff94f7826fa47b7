// Finding and making elements.

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

let hiding = 0;

// A line over the frame that goes away by itself.
export function toast(text) {
  const line = $("toast");
  line.textContent = text;
  line.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { line.hidden = true; }, 2600);
}

// What stands at the top until it is over; one line each, by who says it.
const banners = new Map();

export function banner(who, text) {
  if (text) banners.set(who, text);
  else banners.delete(who);
  $("banner").textContent = [...banners.values()].join("  ·  ");
  $("banner").hidden = banners.size === 0;
}
