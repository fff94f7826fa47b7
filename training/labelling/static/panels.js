// Everything around the frame: lists, buttons, sliders, the lines above and below.

import { $, make } from "./dom.js";
import { colour, viewColour } from "./colours.js";
import { isDone, isLabel, isProposal } from "./model.js";
import { keep, settings } from "./settings.js";

export class Panels {
  constructor(model, stage) {
    this.model = model;
    this.stage = stage;
    this.frameRows = new Map(); // "folder/image" -> element
    this.folderRows = new Map();
    this.openFolders = new Set();
    this.bind();
    model.listeners.push((what) => this.heard(what));
    stage.drawn = () => this.footer();
  }

  heard(what) {
    if (what === "project") this.project();
    if (what === "list" || what === "frame" || what === "people") this.lists();
    if (what === "frame") this.frame();
    if (["frame", "points", "chosen"].includes(what)) {
      this.keypoints();
      this.stage.redraw(what === "frame");
    }
    if (["saving", "people", "points"].includes(what)) this.saved();
  }

  // --- Once

  bind() {
    const sliders = {
      "marker-size": "markerSize", brightness: "brightness", contrast: "contrast", "least-confidence": "leastConfidence",
    };
    for (const [id, name] of Object.entries(sliders)) {
      $(id).addEventListener("input", () => this.set(name, Number($(id).value)));
      $(id).addEventListener("change", () => $("overlay").focus());
    }
    for (const id of ["brightness", "contrast"]) {
      $(id).title = "Double click: as the file is";
      $(id).addEventListener("dblclick", () => this.set(id, 1));
    }
    const boxes = {
      "show-skeleton": "showSkeleton", "show-names": "showNames", "show-lines": "showLines",
      "whole-pixels": "wholePixels", "go-on": "goOn", "ask-network": "askNetwork", "only-unfinished": "onlyUnfinished",
    };
    for (const [id, name] of Object.entries(boxes)) {
      $(id).addEventListener("change", () => {
        this.set(name, $(id).checked);
        $("overlay").focus();
        if (name === "askNetwork" && $(id).checked) this.model.askNetwork(true);
      });
    }
    $("author").addEventListener("input", () => this.set("author", $("author").value.trim()));
    $("author").addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") $("overlay").focus();
    });
    $("display").open = innerHeight > 900;
    $("help").addEventListener("click", () => $("help-dialog").showModal());
    this.settings();
  }

  set(name, value) {
    settings[name] = value;
    keep();
    this.settings();
  }

  // The controls as the settings are, and what depends on them.
  settings() {
    const values = {
      "marker-size": settings.markerSize, brightness: settings.brightness, contrast: settings.contrast,
      "least-confidence": settings.leastConfidence,
    };
    for (const [id, value] of Object.entries(values)) $(id).value = value;
    $("confidence-shown").textContent = `confidence ${settings.leastConfidence.toFixed(2)}`;
    const checked = {
      "show-skeleton": settings.showSkeleton, "show-names": settings.showNames, "show-lines": settings.showLines,
      "whole-pixels": settings.wholePixels, "go-on": settings.goOn, "ask-network": settings.askNetwork,
      "only-unfinished": settings.onlyUnfinished,
    };
    for (const [id, value] of Object.entries(checked)) $(id).checked = value;
    if (document.activeElement !== $("author")) $("author").value = settings.author;
    if (this.model.project) {
      this.lists();
      if (this.model.frame_now) this.keypoints();
    }
    this.stage.redraw();
  }

  project() {
    const { project } = this.model;
    $("project-name").textContent = project.name;
    $("project-name").title = project.root;
    for (const element of document.querySelectorAll(".needs-bundle")) element.hidden = !project.bundle;
    for (const element of document.querySelectorAll(".needs-rig")) element.hidden = !Object.keys(project.cameras).length;
    $("grab").hidden = !project.videos.length;
    this.makeLists();
    this.makeKeypoints();
    this.saved();
  }

  // --- Frames

  makeLists() {
    this.frameRows.clear();
    this.folderRows.clear();
    const sections = this.model.folders.map((folder) => {
      const count = make("span", { className: "count" });
      const head = make("button", { title: folder.name }, make("span", { textContent: folder.name }), count);
      const list = make("div", { className: "frames" }, ...folder.images.map((row) => this.makeFrame(folder.name, row)));
      const section = make("div", { className: "folder" }, head, list);
      head.addEventListener("click", () => {
        if (this.openFolders.has(folder.name)) this.openFolders.delete(folder.name);
        else this.openFolders.add(folder.name);
        this.lists();
        $("overlay").focus();
      });
      this.folderRows.set(folder.name, { section, list, count });
      return section;
    });
    $("folders").replaceChildren(...sections);
    this.lists();
  }

  makeFrame(folder, row) {
    const bar = make("i");
    const waiting = make("span", { className: "waiting", title: "proposals wait for you" });
    const people = make("span");
    const element = make(
      "div", { className: "frame", title: row.image }, make("span", { className: "file", textContent: row.image }),
      people, waiting, make("span", { className: "bar" }, bar),
    );
    element.addEventListener("click", () => {
      this.model.open(folder, row.image);
      $("overlay").focus();
    });
    Object.assign(element, { bar, waiting, people });
    this.frameRows.set(`${folder}/${row.image}`, element);
    return element;
  }

  lists() {
    if (!this.model.project || this.listing) return;
    this.listing = true; // once a screen refresh, however many points came in
    requestAnimationFrame(() => {
      this.listing = false;
      this.drawLists();
    });
  }

  drawLists() {
    const { model } = this;
    const all = model.project.keypoints.length;
    let [whole, total] = [0, 0];
    for (const folder of model.folders) {
      const parts = this.folderRows.get(folder.name);
      if (!parts) continue;
      const finished = folder.images.filter((row) => model.isWhole(row)).length;
      whole += finished;
      total += folder.images.length;
      parts.count.textContent = `${finished}/${folder.images.length}`;
      parts.section.classList.toggle("whole", finished === folder.images.length);
      const isOpen = this.openFolders.has(folder.name);
      parts.list.hidden = !isOpen;
      if (!isOpen) continue;
      for (const row of folder.images) {
        const element = this.frameRows.get(`${folder.name}/${row.image}`);
        const here = model.isHere(folder.name, row.image);
        element.hidden = settings.onlyUnfinished && model.isWhole(row) && !here;
        element.classList.toggle("here", here);
        element.classList.toggle("whole", model.isWhole(row));
        element.bar.style.width = `${(100 * row.done) / all}%`;
        element.waiting.hidden = !row.waiting;
        const people = model.others.filter(([, where, file]) => where === folder.name && file === row.image);
        element.people.replaceChildren(...people.map(([name]) => person(name)));
      }
    }
    $("progress-bar").style.width = total ? `${(100 * whole) / total}%` : "0";
    $("progress-text").textContent = `${whole} of ${total} frames finished`;
    $("people").replaceChildren(...model.others.map(([name]) => person(name)));
    if (model.here && !model.frame_now) this.where();
  }

  where() {
    const { model } = this;
    const { order } = model;
    const place = order.findIndex((row) => model.isHere(row.folder, row.image));
    const { folder, image } = model.here;
    $("frame-name").replaceChildren(`${folder} / `, make("b", { textContent: image }), `  ·  ${place + 1} of ${order.length}`);
    document.title = `${image} · ${model.project.name}`;
  }

  frame() {
    const { model } = this;
    this.openFolders.add(model.here.folder);
    this.where();
    this.drawLists();
    this.frameRows.get(`${model.here.folder}/${model.here.image}`)?.scrollIntoView({ block: "nearest" });
    $("message").hidden = !model.failure;
    $("message").textContent = model.failure ?? "";
    if (model.frame_now && model.bitmap) this.stage.view.show(model.bitmap.width, model.bitmap.height);
    const views = model.frame_now?.views ?? [];
    $("views").replaceChildren(...(views.length < 2 ? [] : views.map((view, index) => {
      const dot = make("i");
      dot.style.background = viewColour(index);
      const button = make(
        "button", { title: `${view.folder} (V: next view)`, className: model.isHere(view.folder, view.image) ? "here" : "" },
        dot, view.camera || view.folder,
      );
      button.addEventListener("click", () => {
        const { chosen } = model;
        model.open(view.folder, view.image).then(() => chosen !== null && model.choose(chosen));
      });
      return button;
    })));
  }

  // --- Keypoints

  makeKeypoints() {
    $("keypoints").replaceChildren(...this.model.project.keypoints.map((name, index) => {
      const dot = make("span", { className: "dot" });
      dot.style.borderColor = colour(index);
      const state = make("span", { className: "state" });
      const row = make(
        "li", { title: name }, make("span", { className: "key", textContent: index < 10 ? (index + 1) % 10 : "" }),
        dot, make("span", { className: "name", textContent: name }), state,
      );
      row.addEventListener("click", () => {
        this.model.choose(index);
        $("overlay").focus();
      });
      return Object.assign(row, { dot, state });
    }));
    const { model, stage } = this;
    const buttons = [
      ["Confirm", "Enter", () => model.chosen !== null && model.accept(model.chosen)],
      ["Confirm all", "⇧Enter", () => model.acceptAll()],
      ["Occluded", "O", () => model.chosen !== null && model.occlude(model.chosen)],
      ["Delete", "Del", () => model.chosen !== null && model.remove(model.chosen)],
      ["Undo", "Z", () => model.undo()],
      ["Redo", "Y", () => model.redo()],
      ["Fit", "F", () => stage.fit()],
    ];
    if (model.project.bundle) buttons.push(["Ask network", "M", () => model.askNetwork()]);
    if (Object.keys(model.project.cameras).length) buttons.push(["Reprojected", "R", () => model.chosen !== null && model.accept(model.chosen, true)]);
    $("actions").replaceChildren(...buttons.map(([label, key, act]) => {
      const button = make("button", {}, label, make("kbd", { textContent: key }));
      button.addEventListener("click", () => {
        if (model.frame_now) act();
        $("overlay").focus();
      });
      return Object.assign(button, { label });
    }));
  }

  keypoints() {
    const { model } = this;
    this.enable();
    [...$("keypoints").children].forEach((row, index) => {
      const point = model.points[index];
      const here = index === model.chosen;
      row.classList.toggle("here", here);
      if (here) row.scrollIntoView({ block: "nearest" });
      const found = point && model.proposal(index);
      row.dot.style.background = point && isLabel(point) && !point.occluded ? colour(index) : "transparent";
      row.dot.style.borderStyle = found ? "dashed" : "solid";
      row.dot.style.opacity = point && (isDone(point) || found) ? 1 : 0.45;
      row.state.textContent = point ? this.described(point, index, found) : "";
      row.state.className = `state ${found ? "propose" : ""} ${this.isFar(point, index) ? "far" : ""}`;
      row.title = point ? origin(point) : "";
    });
  }

  described(point, index, found) {
    const words = [];
    const reprojected = this.model.reprojected(index);
    if (found) words.push(found.confidence === null || found.confidence === undefined ? "proposed" : `proposed ${found.confidence.toFixed(2)}`);
    else if (isLabel(point)) words.push({ clicked: "", model: "model", reprojected: "reprojected" }[point.origin]);
    if (point.occluded) words.push(point.x === null ? "not seen" : "occluded");
    if (reprojected && isLabel(point)) words.push(`${this.distance(point, reprojected).toFixed(1)} px off 3D`);
    else if (reprojected && !found && !isDone(point)) words.push("from views");
    if (this.model.geometry[this.model.project.keypoints[index]]?.disagree) words.push("views disagree");
    return words.filter(Boolean).join(", ");
  }

  // A button that would do nothing cannot be pressed.
  enable() {
    const { model } = this;
    const point = model.points[model.chosen];
    const can = {
      Confirm: point && (model.proposal(model.chosen) || (!isDone(point) && model.reprojected(model.chosen))),
      "Confirm all": model.points.some((_, index) => model.proposal(index)),
      Occluded: point, Delete: point && (point.x !== null || point.occluded || model.proposal(model.chosen)),
      Undo: model.done.length, Redo: model.undone.length, Reprojected: point && model.reprojected(model.chosen),
    };
    for (const button of $("actions").children) {
      if (button.label in can) button.disabled = !can[button.label];
    }
  }

  distance(point, other) {
    return Math.hypot(point.x - other.x, point.y - other.y);
  }

  isFar(point, index) {
    const reprojected = this.model.reprojected(index);
    return Boolean(point && reprojected && isLabel(point) && this.distance(point, reprojected) > 10);
  }

  // --- Below

  footer() {
    const { view, pointer } = this.stage;
    const at = pointer && this.model.bitmap && view.toImage(...pointer);
    const inside = at && view.contains(...at);
    $("where").textContent = inside ? `x ${at[0].toFixed(1)}  y ${at[1].toFixed(1)} px` : "";
    $("zoom").textContent = `${(view.scale * 100).toFixed(view.scale < 1 ? 0 : 0)} %`;
    const { chosen, points } = this.model;
    const name = chosen === null ? null : this.model.project.keypoints[chosen];
    $("hint").textContent = name === null || !points[chosen] ? "→ next frame  ·  H all keys"
      : isLabel(points[chosen]) ? `click moves ${name}` : `click places ${name}${this.model.proposal(chosen) ? "  ·  Enter confirms" : ""}`;
  }

  saved() {
    const { model } = this;
    const waiting = model.outbox.size;
    const element = $("saved");
    element.className = waiting ? "pending" : "done";
    element.textContent = waiting ? `saving ${waiting} …` : "all saved";
    element.title = model.unsaved ? `${model.unsaved} points are in the journal, and in CollectedData in a moment` : "in CollectedData";
  }
}

function person(name) {
  return make("span", { className: "person", textContent: (name || "?").slice(0, 2), title: name || "no name given" });
}

function origin(point) {
  if (isProposal(point)) return `proposed${point.author ? ` by ${point.author}` : ""}: nobody has looked at it`;
  if (!isDone(point)) return "no label";
  const how = { clicked: "clicked", model: "proposed by a network, confirmed", reprojected: "from the other views, confirmed" };
  return `${point.x === null ? "cannot be seen" : how[point.origin]}${point.author ? ` by ${point.author}` : ""}`;
}
