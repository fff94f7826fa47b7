// Everything around the frame: what is shown when the model tells of a change; sliders and boxes; the lines
// above and below.

import { $, make } from "./dom.js";
import { viewColour } from "./colours.js";
import { FrameList } from "./frames.js";
import { KeypointList } from "./keypoints.js";
import { isLabel } from "./points.js";
import { keep, settings } from "./settings.js";

export class Panels {
  constructor(model, stage) {
    this.model = model;
    this.stage = stage;
    this.frames = new FrameList(model);
    this.keypoints = new KeypointList(model, stage);
    this.bind();
    model.listeners.push((what) => this.heard(what));
    stage.drawn = () => this.footer();
  }

  heard(what) {
    if (what === "project") this.project();
    if (what === "list" || what === "frame" || what === "people") this.frames.draw();
    if (what === "frame") this.frame();
    if (["frame", "points", "chosen"].includes(what)) {
      this.keypoints.draw();
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
      this.frames.draw();
      if (this.model.frameNow) this.keypoints.draw();
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
    this.frames.make();
    this.keypoints.make();
    this.saved();
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
    this.where();
    this.frames.follow();
    $("message").hidden = !model.failure;
    $("message").textContent = model.failure ?? "";
    if (model.frameNow && model.bitmap) this.stage.view.show(model.bitmap.width, model.bitmap.height);
    const views = model.frameNow?.views ?? [];
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
    const waiting = model.following.outbox.size;
    const element = $("saved");
    element.className = waiting ? "pending" : "done";
    element.textContent = waiting ? `saving ${waiting} …` : "all saved";
    element.title = model.following.unsaved ? `${model.following.unsaved} points are in the journal, and in CollectedData in a moment` : "in CollectedData";
  }
}
