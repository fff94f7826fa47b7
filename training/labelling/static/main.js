// Puts the page together.

import { $, banner, toast } from "./dom.js";
import { Grab } from "./grab.js";
import { table, useKeys } from "./keys.js";
import { Model } from "./model.js";
import { Panels } from "./panels.js";
import { settings } from "./settings.js";
import { Stage } from "./stage.js";

// The token is in a cookie from here on; out of the address it is not copied by accident.
history.replaceState(null, "", location.pathname);

const model = new Model();
const stage = new Stage(model);
const panels = new Panels(model, stage);
const grab = new Grab(model);
useKeys(table({ model, stage, openGrab: () => grab.open(), refreshSettings: () => panels.settings() }), stage);

addEventListener("beforeunload", (event) => {
  if (model.following.outbox.size) event.preventDefault(); // edits are on their way
});

async function start() {
  try {
    await model.load();
  } catch (error) {
    banner("start", error.message);
    return;
  }
  if (!settings.author) settings.author = model.project.author;
  panels.settings();
  if (model.project.replayed) toast(`${model.project.replayed} edits of an interrupted session were brought back`);
  model.following.poll();
  const { order } = model;
  const first = order.find((row) => !model.isWhole(row)) ?? order[0];
  if (first) await model.open(first.folder, first.image);
  else grab.open();
  $("overlay").focus();
}

start();

// For tests and for the curious.
window.rigpose = { model, stage, settings };
