// Undo and redo of what was done on this page. What somebody else changed since is left alone.

import { toast } from "./dom.js";
import { same } from "./points.js";

const AT_MOST = 1000;

export class History {
  constructor(model) {
    this.model = model;
    this.done = []; // steps: [{folder, image, index, before, after}, ...]
    this.undone = [];
  }

  add(step) {
    this.done.push(step);
    if (this.done.length > AT_MOST) this.done.shift();
    this.undone = [];
  }

  async undo() {
    const items = this.done.pop();
    if (!items) return toast("Nothing to undo");
    if (await this.restore(items, "after", "before")) this.undone.push(items);
  }

  async redo() {
    const items = this.undone.pop();
    if (!items) return toast("Nothing to redo");
    if (await this.restore(items, "before", "after")) this.done.push(items);
  }

  async restore(items, from, to) {
    const { folder, image } = items[0];
    if (!this.model.isHere(folder, image)) await this.model.open(folder, image);
    const edits = [];
    for (const item of items) {
      const now = this.model.points[item.index];
      if (now && same(now, item[from])) edits.push({ ...item, point: item[to], seen: now.version, careful: true });
      else toast(`${this.model.project.keypoints[item.index]} was changed by ${now?.author || "somebody else"} since`);
    }
    if (!edits.length) return false;
    this.model.send(edits);
    this.model.choose(items.length === 1 ? items[0].index : this.model.nextUndone(-1));
    return true;
  }
}
