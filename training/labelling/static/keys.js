// The keys: one table, which the help shows too.

import { $, make } from "./dom.js";
import { keep, settings } from "./settings.js";

// [what the help shows, keys as `event.key` with Ctrl+, Alt+, Shift+ before, what it does]
export function table({ model, stage, openGrab, refreshSettings }) {
  const toggle = (name) => () => {
    settings[name] = !settings[name];
    keep();
    refreshSettings();
  };
  const withPoint = (act) => () => {
    if (model.chosen !== null && model.frameNow) act(model.chosen);
  };
  const nudge = (dx, dy) => () => stage.nudge(dx, dy);
  return {
    Frames: [
      ["→ / ←", "next / previous frame", { ArrowRight: () => model.go(1), ArrowLeft: () => model.go(-1) }],
      ["Page down / up", "ten frames on / back", { PageDown: () => leap(model, 10), PageUp: () => leap(model, -10) }],
      ["N / B", "next / previous unfinished frame", { n: () => model.go(1, true), b: () => model.go(-1, true) }],
      ["V / Shift V", "next / previous view of this instant", { v: () => model.goToView(1), "Shift+V": () => model.goToView(-1) }],
      ["G", "grab frames from a video", { g: openGrab }],
    ],
    Points: [
      ["click", "place the chosen point, or choose one", {}],
      ["drag", "move a point", {}],
      ["Tab / Shift Tab", "next / previous point", { Tab: () => model.chooseStep(1), "Shift+Tab": () => model.chooseStep(-1) }],
      ["↓ / ↑", "the same", { ArrowDown: () => model.chooseStep(1), ArrowUp: () => model.chooseStep(-1) }],
      ["1 … 9, 0", "choose a point by number", numbers(model)],
      ["Delete, X", "delete the point, or put a proposal aside", each(["Delete", "Backspace", "x"], withPoint((i) => model.remove(i)))],
      ["O", "occluded; without a place: cannot be seen", { o: withPoint((i) => model.occlude(i)) }],
      ["Shift O", "all points that are left cannot be seen", { "Shift+O": () => { if (model.frameNow) model.occludeRest(); } }],
      ["Shift arrows", "nudge by 1 px, with Alt by 0.1 px", {
        "Shift+ArrowLeft": nudge(-1, 0), "Shift+ArrowRight": nudge(1, 0),
        "Shift+ArrowUp": nudge(0, -1), "Shift+ArrowDown": nudge(0, 1),
        "Alt+Shift+ArrowLeft": nudge(-0.1, 0), "Alt+Shift+ArrowRight": nudge(0.1, 0),
        "Alt+Shift+ArrowUp": nudge(0, -0.1), "Alt+Shift+ArrowDown": nudge(0, 0.1),
      }],
      ["Z, Ctrl Z", "undo", each(["z", "Ctrl+z"], () => model.history.undo())],
      ["Y, Ctrl Shift Z", "redo", each(["y", "Ctrl+y", "Ctrl+Shift+Z"], () => model.history.redo())],
    ],
    Proposals: [
      ["M", "ask the network about this frame", { m: () => model.askNetwork() }],
      ["Enter, A", "confirm the chosen point's proposal", each(["Enter", "a"], () => acceptChosen(model))],
      ["Shift Enter, Shift A", "confirm all proposals of the frame", each(["Shift+Enter", "Shift+A"], () => model.acceptAll())],
      ["R / Shift R", "take the reprojected point / all of them", {
        r: withPoint((i) => model.accept(i, true)), "Shift+R": () => model.acceptAll(true),
      }],
    ],
    View: [
      ["wheel, + / −", "zoom at the pointer", { "+": () => stage.zoom(1), "=": () => stage.zoom(1), "-": () => stage.zoom(-1) }],
      ["drag, Space drag", "pan (or middle or right button)", {}],
      ["F", "fit the frame into the window", { f: () => stage.fit() }],
      ["C", "one image pixel, one screen pixel", { c: () => stage.zoomTo(1) }],
      ["S, L, E", "skeleton, names, epipolar lines", { s: toggle("showSkeleton"), l: toggle("showNames"), e: toggle("showLines") }],
      ["P", "whole pixels, or between them (Alt does the other)", { p: toggle("wholePixels") }],
      [", / .", "smaller / larger markers", { ",": () => size(-1, refreshSettings), ".": () => size(1, refreshSettings) }],
      ["H, ?", "this list", each(["h", "?"], () => $("help-dialog").showModal())],
      ["Esc", "let go of a point; choose none", { Escape: () => stage.letGo() || model.choose(null) }],
    ],
  };
}

const each = (keys, act) => Object.fromEntries(keys.map((key) => [key, act]));

const numbers = (model) =>
  Object.fromEntries([..."1234567890"].map((digit, index) => [digit, () => {
    if (index < model.project.keypoints.length) model.choose(index);
  }]));

function acceptChosen(model) {
  if (!model.frameNow) return;
  let { chosen } = model;
  if (chosen === null || !(model.proposal(chosen) ?? model.reprojected(chosen))) {
    chosen = model.points.findIndex((_, index) => model.proposal(index));
  }
  if (chosen >= 0 && chosen !== null) model.accept(chosen);
}

function leap(model, step) {
  const { order } = model;
  const place = order.findIndex((row) => model.isHere(row.folder, row.image));
  const row = order[Math.min(order.length - 1, Math.max(0, place + step))];
  if (row) model.open(row.folder, row.image);
}

function size(step, refreshSettings) {
  settings.markerSize = Math.min(14, Math.max(2, settings.markerSize + step));
  keep();
  refreshSettings();
}

// Listen to the keys of a table, and fill the help.
export function useKeys(rows, stage) {
  const acts = new Map();
  for (const group of Object.values(rows)) {
    for (const [, , keys] of group) for (const [key, act] of Object.entries(keys)) acts.set(key, act);
  }
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    if (event.key === " ") {
      stage.spaceHeld = true;
      stage.shape();
      event.preventDefault();
      return;
    }
    const act = acts.get(named(event));
    if (!act) return;
    event.preventDefault();
    act();
  });
  addEventListener("keyup", (event) => {
    if (event.key !== " ") return;
    stage.spaceHeld = false;
    stage.shape();
  });
  $("help-table").replaceChildren(...Object.entries(rows).map(([title, group]) => make(
    "section", {}, make("h3", { textContent: title }),
    make("dl", {}, ...group.flatMap(([keys, does]) => [
      make("dt", {}, make("kbd", { textContent: keys })), make("dd", { textContent: does }),
    ])),
  )));
}

function named(event) {
  const letter = event.key.length === 1;
  const { key } = event;
  const held = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "");
  // of signs such as + and ? the keyboard decides whether Shift makes them
  const shifted = event.shiftKey && (!letter || /[a-z]/i.test(key));
  if (letter && !event.shiftKey) return held + key.toLowerCase();
  return held + (shifted ? "Shift+" : "") + (letter ? key.toUpperCase() : key);
}

function isTyping(element) {
  return element.matches?.("input:not([type=range]):not([type=checkbox]), select, textarea") ?? false;
}
