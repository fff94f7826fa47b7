// The frame: the picture below, the points above it, and what the pointer does.

import { $ } from "./dom.js";
import { colour, viewColour } from "./colours.js";
import { isDone, isLabel } from "./model.js";
import { settings } from "./settings.js";
import { Viewport, onCanvas } from "./viewport.js";

const MOVED = 4; // CSS px: less is a click with an unsteady hand
const SMOOTH_BELOW = 2; // device px per image px; from here on single pixels are seen
const LOUPE = 8;

export class Stage {
  constructor(model) {
    this.model = model;
    this.view = new Viewport();
    this.picture = $("picture");
    this.overlay = $("overlay");
    this.loupe = $("loupe");
    this.pointer = null; // canvas px
    this.press = null;
    this.drag = null; // {index, x, y}
    this.spaceHeld = false;
    this.stale = { picture: false, overlay: false };
    this.drawMs = 0;
    new ResizeObserver(() => this.resize()).observe($("stage"));
    new ResizeObserver(() => this.resize()).observe(this.loupe);
    this.listen();
    this.resize();
  }

  // The canvases begin and end on whole device pixels, whatever the browser's zoom: a pixel of theirs is
  // a pixel of the screen.
  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.ratio = ratio;
    const box = $("stage").getBoundingClientRect();
    const [left, top] = [Math.ceil(box.left * ratio - 1e-3), Math.ceil(box.top * ratio - 1e-3)];
    this.origin = [left, top];
    const width = Math.max(1, Math.floor(box.right * ratio + 1e-3) - left);
    const height = Math.max(1, Math.floor(box.bottom * ratio + 1e-3) - top);
    for (const canvas of [this.picture, this.overlay]) {
      Object.assign(canvas, { width, height });
      Object.assign(canvas.style, {
        left: `${left / ratio - box.left}px`, top: `${top / ratio - box.top}px`,
        width: `${width / ratio}px`, height: `${height / ratio}px`,
      });
    }
    this.loupe.width = Math.round(this.loupe.clientWidth * ratio);
    this.loupe.height = Math.round(this.loupe.clientHeight * ratio);
    this.view.resize(width, height);
    this.redraw();
  }

  // --- Drawing: at most once a screen refresh

  redraw(pictureToo = true) {
    const waiting = this.stale.picture || this.stale.overlay;
    this.stale.picture ||= pictureToo;
    this.stale.overlay = true;
    if (!waiting) requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.stale.picture) this.drawPicture();
    this.drawOverlay();
    this.drawLoupe();
    this.stale = { picture: false, overlay: false };
    this.drawn?.();
  }

  drawPicture() {
    const started = performance.now();
    const { view } = this;
    const { bitmap } = this.model;
    const context = this.picture.getContext("2d", { alpha: false });
    context.fillStyle = "#0c0d0f";
    context.fillRect(0, 0, view.width, view.height);
    this.picture.style.filter = `brightness(${settings.brightness}) contrast(${settings.contrast})`;
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
    this.drawMs = performance.now() - started;
  }

  drawOverlay() {
    const context = this.overlay.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.view.width, this.view.height);
    if (!this.model.frame_now || !this.model.bitmap) return;
    this.marks = this.places();
    if (settings.showLines) this.drawLines(context);
    if (settings.showSkeleton) this.drawSkeleton(context);
    this.marks.forEach((mark, index) => {
      if (index !== this.model.chosen) this.drawMark(context, mark, index);
    });
    this.drawReprojected(context);
    const chosen = this.marks[this.model.chosen];
    if (chosen) this.drawMark(context, chosen, this.model.chosen);
    if (settings.showNames) this.drawNames(context);
    this.drawNameAtPointer(context);
  }

  drawNames(context) {
    this.marks.forEach((mark, index) => {
      if (!mark) return;
      const [x, y] = this.view.toCanvas(mark.x, mark.y);
      const away = (settings.markerSize + 6) * this.ratio;
      this.write(context, this.model.project.keypoints[index], x + away, y - away, colour(index));
    });
  }

  // Where each keypoint is drawn, or null: {x, y (image px), solid, occluded, confidence}.
  places() {
    return this.model.points.map((point, index) => {
      if (this.drag?.index === index) return { x: this.drag.x, y: this.drag.y, solid: true, occluded: point.occluded };
      if (isLabel(point)) return { x: point.x, y: point.y, solid: true, occluded: point.occluded };
      const found = this.model.proposal(index);
      return found && { x: found.x, y: found.y, solid: false, occluded: false, confidence: found.confidence };
    });
  }

  drawMark(context, mark, index) {
    if (!mark) return;
    const { ratio } = this;
    const [x, y] = this.view.toCanvas(mark.x, mark.y);
    const radius = settings.markerSize * ratio;
    const chosen = index === this.model.chosen;
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

  drawSkeleton(context) {
    const names = this.model.project.keypoints;
    for (const bone of this.model.project.skeleton) {
      const [a, b] = bone.map((name) => this.marks[names.indexOf(name)]);
      if (!a || !b) continue;
      const path = [this.view.toCanvas(a.x, a.y), this.view.toCanvas(b.x, b.y)];
      context.setLineDash(a.solid && b.solid ? [] : [5 * this.ratio, 5 * this.ratio]);
      line(context, path, "#0008", 3.5 * this.ratio);
      line(context, path, "#ffffffb0", 1.5 * this.ratio);
    }
    context.setLineDash([]);
  }

  // The other views' rays, of the chosen keypoint alone: all at once would cover the animal.
  drawLines(context) {
    const name = this.model.project.keypoints[this.model.chosen];
    for (const { folder, line: places } of this.model.geometry[name]?.lines ?? []) {
      const path = places.map(([x, y]) => this.view.toCanvas(x, y));
      const hue = viewColour(this.model.frame_now.views.findIndex((view) => view.folder === folder));
      line(context, path, "#000a", 3.5 * this.ratio);
      line(context, path, hue, 1.5 * this.ratio);
    }
  }

  drawReprojected(context) {
    this.model.points.forEach((point, index) => {
      const found = this.model.reprojected(index);
      // beside a label or a proposal only where it is looked at: two marks on one place are one too many
      if (!found || ((this.marks[index] || isDone(point)) && index !== this.model.chosen)) return;
      const [x, y] = this.view.toCanvas(found.x, found.y);
      const reach = (settings.markerSize + 3) * this.ratio;
      const diamond = [[x, y - reach], [x + reach, y], [x, y + reach], [x - reach, y], [x, y - reach]];
      context.setLineDash([3 * this.ratio, 2.5 * this.ratio]);
      line(context, diamond, "#000c", 3.5 * this.ratio);
      line(context, diamond, colour(index), 1.6 * this.ratio);
      context.setLineDash([]);
    });
  }

  // Which keypoint the next click places.
  drawNameAtPointer(context) {
    const { model, ratio } = this;
    if (!this.pointer || this.drag || this.panning || model.chosen === null) return;
    if (isLabel(model.points[model.chosen])) return;
    const [x, y] = this.pointer;
    this.write(context, model.project.keypoints[model.chosen], x + 14 * ratio, y + 18 * ratio, colour(model.chosen));
  }

  write(context, text, x, y, hue) {
    const { ratio } = this;
    context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 3.5 * ratio;
    context.strokeStyle = "#000d";
    context.strokeText(text, x, y);
    context.fillStyle = hue;
    context.fillText(text, x, y);
  }

  drawLoupe() {
    const { width, height } = this.loupe;
    const context = this.loupe.getContext("2d", { alpha: false });
    context.fillStyle = "#0c0d0f";
    context.fillRect(0, 0, width, height);
    this.loupe.style.filter = this.picture.style.filter;
    const { bitmap } = this.model;
    const at = this.drag ? [this.drag.x, this.drag.y] : this.pointer && this.view.toImage(...this.pointer);
    if (!bitmap || !at) return;
    const scale = LOUPE * this.ratio;
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
    context.lineWidth = 3 * this.ratio;
    context.strokeRect(x + ix * scale, y + iy * scale, scale, scale);
    context.strokeStyle = this.model.chosen === null ? "#fff" : colour(this.model.chosen);
    context.lineWidth = 1.5 * this.ratio;
    context.strokeRect(x + ix * scale, y + iy * scale, scale, scale);
  }

  // --- The pointer

  listen() {
    const { overlay } = this;
    overlay.addEventListener("pointerdown", (event) => this.down(event));
    overlay.addEventListener("pointermove", (event) => this.move(event));
    overlay.addEventListener("pointerup", (event) => this.up(event));
    overlay.addEventListener("pointercancel", () => this.letGo());
    overlay.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.redraw(false);
    });
    overlay.addEventListener("contextmenu", (event) => event.preventDefault());
    overlay.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    addEventListener("blur", () => this.letGo());
  }

  // Ends a drag where it began: the point stays what it was.
  letGo() {
    const held = this.press !== null;
    this.press = null;
    this.drag = null;
    this.panning = false;
    this.spaceHeld = false;
    this.shape();
    if (held) this.redraw(false);
    return held;
  }

  down(event) {
    this.overlay.focus({ preventScroll: true });
    if (!this.model.frame_now || this.press) return;
    const at = onCanvas(event, this.origin, this.ratio);
    this.overlay.setPointerCapture(event.pointerId);
    const pan = event.button !== 0 || this.spaceHeld;
    const from = [this.view.x, this.view.y];
    this.press = { at, from, pan, hit: pan ? null : this.markAt(at), moved: false, here: this.model.here };
    this.shape();
  }

  move(event) {
    const at = onCanvas(event, this.origin, this.ratio);
    this.pointer = at;
    const { press } = this;
    if (press) {
      press.moved ||= Math.hypot(at[0] - press.at[0], at[1] - press.at[1]) > MOVED * this.ratio;
      if (press.moved && press.hit !== null) this.dragTo(at, event.altKey);
      else if (press.moved) {
        this.panning = true;
        this.view.panTo(press.from[0] + at[0] - press.at[0], press.from[1] + at[1] - press.at[1]);
      }
    }
    this.shape();
    this.redraw(this.panning);
  }

  dragTo(at, alt) {
    const { hit } = this.press;
    this.press.mark ??= { ...this.marks[hit] };
    const [startX, startY] = this.view.toCanvas(this.press.mark.x, this.press.mark.y);
    // the point keeps its distance from the pointer: it does not jump when it is gripped at its rim
    const place = this.view.toImage(startX + at[0] - this.press.at[0], startY + at[1] - this.press.at[1]);
    const [x, y] = this.view.pointed(...place, settings.wholePixels !== alt);
    this.drag = { index: hit, x, y };
    if (this.model.chosen !== hit) this.model.choose(hit);
  }

  up(event) {
    const { press, drag } = this;
    if (!press) return;
    this.press = null;
    this.drag = null;
    this.panning = false;
    this.shape();
    if (press.here !== this.model.here) return; // a key went to another frame meanwhile
    if (drag) this.model.put(drag.index, drag.x, drag.y);
    else if (!press.moved && !press.pan) this.click(press, event.altKey);
    this.redraw();
  }

  // With a keypoint to place, a click places it, whatever lies there; else it chooses what lies there.
  click({ at, hit }, alt) {
    const { model } = this;
    const { chosen } = model;
    const free = chosen !== null && !isLabel(model.points[chosen]);
    if (!free && hit !== null && hit !== chosen) {
      model.choose(hit);
      return;
    }
    const place = this.view.toImage(...at);
    if (chosen === null || !this.view.contains(...place)) return;
    const [x, y] = this.view.pointed(...place, settings.wholePixels !== alt);
    model.put(chosen, x, y);
    if (free) model.goOn(chosen);
  }

  markAt([x, y]) {
    const reach = (Math.max(settings.markerSize, 6) + 3) * this.ratio;
    let best = null;
    let nearest = reach;
    (this.marks ?? []).forEach((mark, index) => {
      if (!mark) return;
      const [mx, my] = this.view.toCanvas(mark.x, mark.y);
      // of two that lie on each other, the chosen one
      const distance = Math.hypot(mx - x, my - y) - (index === this.model.chosen ? this.ratio : 0);
      if (distance < nearest) {
        nearest = distance;
        best = index;
      }
    });
    return best;
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 33 : 1;
    if (event.shiftKey) {
      this.view.panTo(this.view.x - (event.deltaX || event.deltaY) * lines, this.view.y);
    } else {
      const amount = Math.max(-300, Math.min(300, event.deltaY * lines)) * (event.ctrlKey ? 4 : 1);
      this.view.zoomTo(this.view.scale * Math.exp(-amount * 0.0022), ...onCanvas(event, this.origin, this.ratio));
    }
    this.redraw();
  }

  shape() {
    const { classList } = this.overlay;
    classList.toggle("grabbing", Boolean(this.panning || (this.press?.pan)));
    classList.toggle("grab", this.spaceHeld && !this.press);
    const over = this.pointer && !this.press && this.markAt(this.pointer) !== null;
    const placing = this.model.chosen !== null && this.model.points[this.model.chosen] && !isLabel(this.model.points[this.model.chosen]);
    classList.toggle("over", Boolean(this.drag || (over && !placing)));
  }

  // --- For the keys

  fit() {
    this.view.fit();
    this.redraw();
  }

  zoom(direction) {
    this.view.zoomStep(direction, ...(this.pointer ?? []));
    this.redraw();
  }

  zoomTo(scale) {
    this.view.zoomTo(scale, ...(this.pointer ?? [this.view.width / 2, this.view.height / 2]));
    this.redraw();
  }

  nudge(dx, dy) {
    const mark = this.model.chosen === null ? null : this.places()[this.model.chosen];
    if (!mark) return;
    this.model.put(this.model.chosen, ...this.view.stored(mark.x + dx, mark.y + dy));
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
