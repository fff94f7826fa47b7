// Frames from the project's videos, chosen by looking at them.

import { $, make, toast } from "./dom.js";
import { grabFrame, videoFrame, videoOf } from "./server.js";

export class Grab {
  constructor(model) {
    this.model = model;
    this.dialog = $("grab-dialog");
    $("grab").addEventListener("click", () => this.open());
    $("grab-video").addEventListener("change", () => this.choose());
    $("grab-slider").addEventListener("input", () => this.show(Number($("grab-slider").value)));
    $("grab-number").addEventListener("change", () => this.show(Number($("grab-number").value)));
    $("grab-keep").addEventListener("click", () => this.take());
    $("grab-close").addEventListener("click", () => this.dialog.close());
    $("grab-picture").addEventListener("load", () => this.loaded());
    $("grab-picture").addEventListener("error", () => {
      if (this.wanted !== null) this.say("this frame cannot be decoded");
      this.busy = false;
    });
    this.dialog.addEventListener("keydown", (event) => this.key(event));
  }

  open() {
    const { videos } = this.model.project;
    if (!videos.length) {
      toast("The project's folder 'videos' holds no video");
      return;
    }
    $("grab-video").replaceChildren(...videos.map((name) => make("option", { value: name, textContent: name })));
    const here = this.model.here?.folder;
    if (videos.includes(here)) $("grab-video").value = here;
    this.dialog.showModal();
    $("grab-slider").focus();
    this.choose();
  }

  async choose() {
    this.say("");
    this.count = 0;
    try {
      this.count = (await videoOf($("grab-video").value)).instants;
    } catch (error) {
      this.say(error.message);
    }
    $("grab-count").textContent = this.count;
    for (const id of ["grab-slider", "grab-number"]) $(id).max = this.count - 1;
    if (this.count) this.show(0);
  }

  // While the pointer scrubs, only the newest frame that was asked for is fetched next.
  show(number) {
    this.number = Math.min(this.count - 1, Math.max(0, Math.round(number) || 0));
    $("grab-slider").value = this.number;
    $("grab-number").value = this.number;
    this.wanted = this.number;
    if (!this.busy) this.fetch();
  }

  fetch() {
    this.busy = true;
    const number = this.wanted;
    this.wanted = null;
    $("grab-picture").src = videoFrame($("grab-video").value, number);
  }

  loaded() {
    this.busy = false;
    if (this.wanted !== null) this.fetch();
  }

  async take() {
    try {
      const grabbed = await grabFrame($("grab-video").value, this.number);
      const isNew = grabbed.map(({ folder, image }) => this.model.added(folder, image)).some(Boolean);
      const [{ folder, image }] = grabbed;
      const more = grabbed.length > 1 ? `, in ${grabbed.length} views` : "";
      this.say(isNew ? `kept as ${folder}/${image}${more}` : `${folder}/${image} was there already`);
      if (!this.model.here) this.model.open(folder, image);
    } catch (error) {
      this.say(error.message);
    }
  }

  say(text) {
    $("grab-said").textContent = text;
  }

  key(event) {
    if (event.target.matches("input[type=number], select")) return;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 100, PageUp: -100 };
    if (event.key in steps) {
      event.preventDefault();
      this.show(this.number + steps[event.key] * (event.shiftKey ? 10 : 1));
    } else if (event.key === "Enter" && !event.target.matches("button")) {
      event.preventDefault();
      this.take();
    }
  }
}
