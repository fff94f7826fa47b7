// The frame on the screen, and what the pointer does to it.

import { $ } from "./dom.js";
import { Drawing } from "./drawing.js";
import { isLabel } from "./points.js";
import { settings } from "./settings.js";
import { Viewport, onCanvas } from "./viewport.js";

const MOVED = 4; // CSS px: less is a click with an unsteady hand

export class Stage {
  constructor(model) {
    this.model = model;
    this.view = new Viewport();
    this.drawing = new Drawing(this);
    this.picture = $("picture");
    this.overlay = $("overlay");
    this.loupe = $("loupe");
    this.pointer = null; // canvas px
    this.press = null;
    this.drag = null; // {index, x, y}
    this.spaceHeld = false;
    this.stale = { picture: false, overlay: false };
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

  // At most once a screen refresh.
  redraw(pictureToo = true) {
    const waiting = this.stale.picture || this.stale.overlay;
    this.stale.picture ||= pictureToo;
    this.stale.overlay = true;
    if (!waiting) requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.stale.picture) this.drawing.picture();
    this.drawing.overlay();
    this.drawing.loupe();
    this.stale = { picture: false, overlay: false };
    this.drawn?.();
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
    if (!this.model.frameNow || this.press) return;
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
    this.press.mark ??= { ...this.drawing.marks[hit] };
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
    this.drawing.marks.forEach((mark, index) => {
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
    const mark = this.model.chosen === null ? null : this.drawing.places()[this.model.chosen];
    if (!mark) return;
    this.model.put(this.model.chosen, ...this.view.stored(mark.x + dx, mark.y + dy));
  }
}
