// What is drawn: the picture, the points and lines above it, the loupe.

import { colour, viewColour } from "./colours.js";
import { isDone, isLabel } from "./points.js";
import { settings } from "./settings.js";

const SMOOTH_BELOW = 2; // device px per image px; from here on single pixels are seen
const LOUPE = 8;

export class Drawing {
  constructor(stage) {
    this.stage = stage;
    this.marks = []; // what was drawn last, by keypoint; see `places`
    this.ms = 0; // what drawing the picture took
  }

  picture() {
    const started = performance.now();
    const { view, model: { bitmap }, picture } = this.stage;
    const context = picture.getContext("2d", { alpha: false });
    context.fillStyle = "#0c0d0f";
    context.fillRect(0, 0, view.width, view.height);
    picture.style.filter = `brightness(${settings.brightness}) contrast(${settings.contrast})`;
    if (!bitmap) return;
    // Only what is seen: at 32x that is a hundredth of the picture.
    const left = Math.max(0, Math.floor(-view.x / view.scale));
    const top = Math.max(0, Math.floor(-view.y / view.scale));
    const right = Math.min(bitmap.width, Math.ceil((view.width - view.x) / view.scale));
    const bottom = Math.min(bitmap.height, Math.ceil((view.height - view.y) / view.scale));
    if (right <= left || bottom <= top) return;
    context.imageSmoothingEnabled = view.scale < SMOOTH_BELOW;
    context.imageSmoothingQuality = "medium";
    context.drawImage(
      bitmap, left, top, right - left, bottom - top,
      view.x + left * view.scale, view.y + top * view.scale, (right - left) * view.scale, (bottom - top) * view.scale,
    );
    this.ms = performance.now() - started;
  }

  overlay() {
    const context = this.stage.overlay.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.stage.view.width, this.stage.view.height);
    if (!this.stage.model.frameNow || !this.stage.model.bitmap) return;
    this.marks = this.places();
    if (settings.showLines) this.lines(context);
    if (settings.showSkeleton) this.skeleton(context);
    this.marks.forEach((mark, index) => {
      if (index !== this.stage.model.chosen) this.mark(context, mark, index);
    });
    this.reprojected(context);
    const chosen = this.marks[this.stage.model.chosen];
    if (chosen) this.mark(context, chosen, this.stage.model.chosen);
    if (settings.showNames) this.names(context);
    this.nameAtPointer(context);
  }

  names(context) {
    this.marks.forEach((mark, index) => {
      if (!mark) return;
      const [x, y] = this.stage.view.toCanvas(mark.x, mark.y);
      const away = (settings.markerSize + 6) * this.stage.ratio;
      this.write(context, this.stage.model.project.keypoints[index], x + away, y - away, colour(index));
    });
  }

  // Where each keypoint is drawn, or null: {x, y (image px), solid, occluded, confidence}.
  places() {
    return this.stage.model.points.map((point, index) => {
      if (this.stage.drag?.index === index) return { x: this.stage.drag.x, y: this.stage.drag.y, solid: true, occluded: point.occluded };
      if (isLabel(point)) return { x: point.x, y: point.y, solid: true, occluded: point.occluded };
      const found = this.stage.model.proposal(index);
      return found && { x: found.x, y: found.y, solid: false, occluded: false, confidence: found.confidence };
    });
  }

  mark(context, mark, index) {
    if (!mark) return;
    const { ratio } = this.stage;
    const [x, y] = this.stage.view.toCanvas(mark.x, mark.y);
    const radius = settings.markerSize * ratio;
    const chosen = index === this.stage.model.chosen;
    const hue = colour(index);
    if (chosen) {
      ring(context, x, y, radius + 4.5 * ratio, "#000a", 4 * ratio);
      ring(context, x, y, radius + 4.5 * ratio, "#fff", 1.8 * ratio);
    }
    context.setLineDash(mark.solid ? [] : [3 * ratio, 2.5 * ratio]);
    ring(context, x, y, radius, "#000c", 4 * ratio);
    if (mark.solid && !mark.occluded) {
      context.globalAlpha = 0.45;
      context.fillStyle = hue;
      context.fill();
      context.globalAlpha = 1;
    }
    ring(context, x, y, radius, hue, 2 * ratio);
    context.setLineDash([]);
    if (mark.occluded) {
      const reach = radius * 0.72;
      line(context, [[x - reach, y + reach], [x + reach, y - reach]], hue, 2 * ratio);
    }
    context.fillStyle = mark.solid ? "#fff" : hue;
    context.fillRect(Math.round(x - ratio / 2), Math.round(y - ratio / 2), Math.ceil(ratio), Math.ceil(ratio));
  }

  skeleton(context) {
    const names = this.stage.model.project.keypoints;
    for (const bone of this.stage.model.project.skeleton) {
      const [a, b] = bone.map((name) => this.marks[names.indexOf(name)]);
      if (!a || !b) continue;
      const path = [this.stage.view.toCanvas(a.x, a.y), this.stage.view.toCanvas(b.x, b.y)];
      context.setLineDash(a.solid && b.solid ? [] : [5 * this.stage.ratio, 5 * this.stage.ratio]);
      line(context, path, "#0008", 3.5 * this.stage.ratio);
      line(context, path, "#ffffffb0", 1.5 * this.stage.ratio);
    }
    context.setLineDash([]);
  }

  // The other views' rays, of the chosen keypoint alone: all at once would cover the animal.
  lines(context) {
    const name = this.stage.model.project.keypoints[this.stage.model.chosen];
    for (const { folder, line: places } of this.stage.model.geometry[name]?.lines ?? []) {
      const path = places.map(([x, y]) => this.stage.view.toCanvas(x, y));
      const hue = viewColour(this.stage.model.frameNow.views.findIndex((view) => view.folder === folder));
      line(context, path, "#000a", 3.5 * this.stage.ratio);
      line(context, path, hue, 1.5 * this.stage.ratio);
    }
  }

  reprojected(context) {
    this.stage.model.points.forEach((point, index) => {
      const found = this.stage.model.reprojected(index);
      // beside a label or a proposal only where it is looked at: two marks on one place are one too many
      if (!found || ((this.marks[index] || isDone(point)) && index !== this.stage.model.chosen)) return;
      const [x, y] = this.stage.view.toCanvas(found.x, found.y);
      const reach = (settings.markerSize + 3) * this.stage.ratio;
      const diamond = [[x, y - reach], [x + reach, y], [x, y + reach], [x - reach, y], [x, y - reach]];
      context.setLineDash([3 * this.stage.ratio, 2.5 * this.stage.ratio]);
      line(context, diamond, "#000c", 3.5 * this.stage.ratio);
      line(context, diamond, colour(index), 1.6 * this.stage.ratio);
      context.setLineDash([]);
    });
  }

  // Which keypoint the next click places.
  nameAtPointer(context) {
    const { model, ratio } = this.stage;
    if (!this.stage.pointer || this.stage.drag || this.stage.panning || model.chosen === null) return;
    if (isLabel(model.points[model.chosen])) return;
    const [x, y] = this.stage.pointer;
    this.write(context, model.project.keypoints[model.chosen], x + 14 * ratio, y + 18 * ratio, colour(model.chosen));
  }

  write(context, text, x, y, hue) {
    const { ratio } = this.stage;
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3.5 * ratio;
    context.strokeStyle = "#000d";
    context.strokeText(text, x, y);
    context.fillStyle = hue;
    context.fillText(text, x, y);
  }

  loupe() {
    const { width, height } = this.stage.loupe;
    const context = this.stage.loupe.getContext("2d", { alpha: false });
    context.fillStyle = "#0c0d0f";
    context.fillRect(0, 0, width, height);
    this.stage.loupe.style.filter = this.stage.picture.style.filter;
    const { bitmap } = this.stage.model;
    const at = this.stage.drag ? [this.stage.drag.x, this.stage.drag.y] : this.stage.pointer && this.stage.view.toImage(...this.stage.pointer);
    if (!bitmap || !at) return;
    const scale = LOUPE * this.stage.ratio;
    const [ix, iy] = [Math.floor(at[0] + 0.5), Math.floor(at[1] + 0.5)];
    context.imageSmoothingEnabled = false;
    // the pixel that the pointer is on stands in the middle
    const x = Math.round(width / 2 - (ix + 0.5) * scale);
    const y = Math.round(height / 2 - (iy + 0.5) * scale);
    const left = Math.max(0, Math.floor(-x / scale));
    const top = Math.max(0, Math.floor(-y / scale));
    const right = Math.min(bitmap.width, Math.ceil((width - x) / scale));
    const bottom = Math.min(bitmap.height, Math.ceil((height - y) / scale));
    if (right > left && bottom > top) {
      context.drawImage(
        bitmap, left, top, right - left, bottom - top,
        x + left * scale, y + top * scale, (right - left) * scale, (bottom - top) * scale,
      );
    }
    context.strokeStyle = "#000";
    context.lineWidth = 3 * this.stage.ratio;
    context.strokeRect(x + ix * scale, y + iy * scale, scale, scale);
    context.strokeStyle = this.stage.model.chosen === null ? "#fff" : colour(this.stage.model.chosen);
    context.lineWidth = 1.5 * this.stage.ratio;
    context.strokeRect(x + ix * scale, y + iy * scale, scale, scale);
  }
}

function ring(context, x, y, radius, style, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke();
}

function line(context, path, style, width) {
  context.beginPath();
  path.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke();
}
