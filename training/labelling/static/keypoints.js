// The list of keypoints with what is known of each, and the buttons below it.

import { $, make } from "./dom.js";
import { colour } from "./colours.js";
import { isDone, isLabel, isProposal } from "./points.js";

export class KeypointList {
  constructor(model, stage) {
    this.model = model;
    this.stage = stage;
  }

  make() {
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
      ["Undo", "Z", () => model.history.undo()],
      ["Redo", "Y", () => model.history.redo()],
      ["Fit", "F", () => stage.fit()],
    ];
    if (model.project.bundle) buttons.push(["Ask network", "M", () => model.askNetwork()]);
    if (Object.keys(model.project.cameras).length) buttons.push(["Reprojected", "R", () => model.chosen !== null && model.accept(model.chosen, true)]);
    $("actions").replaceChildren(...buttons.map(([label, key, act]) => {
      const button = make("button", {}, label, make("kbd", { textContent: key }));
      button.addEventListener("click", () => {
        if (model.frameNow) act();
        $("overlay").focus();
      });
      return Object.assign(button, { label });
    }));
  }

  draw() {
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
      Undo: model.history.done.length, Redo: model.history.undone.length, Reprojected: point && model.reprojected(model.chosen),
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
}

function origin(point) {
  if (isProposal(point)) return `proposed${point.author ? ` by ${point.author}` : ""}: nobody has looked at it`;
  if (!isDone(point)) return "no label";
  const how = { clicked: "clicked", model: "proposed by a network, confirmed", reprojected: "from the other views, confirmed" };
  return `${point.x === null ? "cannot be seen" : how[point.origin]}${point.author ? ` by ${point.author}` : ""}`;
}
