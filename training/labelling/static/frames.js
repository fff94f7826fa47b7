// The list of folders and frames: what is done, what waits, who is where.

import { $, make } from "./dom.js";
import { settings } from "./settings.js";

export class FrameList {
  constructor(model) {
    this.model = model;
    this.frameRows = new Map(); // "folder/image" -> element
    this.folderRows = new Map();
    this.openFolders = new Set();
    this.waiting = false;
  }

  make() {
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
        this.draw();
        $("overlay").focus();
      });
      this.folderRows.set(folder.name, { section, list, count });
      return section;
    });
    $("folders").replaceChildren(...sections);
    this.draw();
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

  draw() {
    if (!this.model.project || this.waiting) return;
    this.waiting = true; // once a screen refresh, however many points came in
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
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
        const people = model.following.others.filter(([, where, file]) => where === folder.name && file === row.image);
        element.people.replaceChildren(...people.map(([name]) => person(name)));
      }
    }
    $("progress-bar").style.width = total ? `${(100 * whole) / total}%` : "0";
    $("progress-text").textContent = `${whole} of ${total} frames finished`;
    $("people").replaceChildren(...model.following.others.map(([name]) => person(name)));
  }

  // The frame that is shown is in sight.
  follow() {
    const { folder, image } = this.model.here;
    this.openFolders.add(folder);
    this.drawNow();
    this.frameRows.get(`${folder}/${image}`)?.scrollIntoView({ block: "nearest" });
  }
}

function person(name) {
  return make("span", { className: "person", textContent: (name || "?").slice(0, 2), title: name || "no name given" });
}
