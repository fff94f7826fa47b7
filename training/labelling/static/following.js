// What the server says: answers to this page's edits, and what others do.

import { banner, toast } from "./dom.js";
import { isDone, isProposal } from "./points.js";
import { Outbox, changesSince } from "./server.js";
import { settings } from "./settings.js";

const POLL_MS = 700;

export class Following {
  constructor(model) {
    this.model = model;
    this.outbox = new Outbox(
      (edit, answer) => this.answered(edit, answer),
      (edit, text) => this.lost(edit, text),
      () => model.tell("saving"),
    );
    this.version = 0;
    this.others = []; // [author, folder, image]
    this.unsaved = 0; // points in the journal that are not in CollectedData yet
  }

  answered(edit, answer) {
    if (this.outbox.has(edit.folder, edit.image, edit.keypoint)) return; // a newer edit is on its way
    this.take(edit.folder, edit.image, edit.keypoint, answer.point);
    if (answer.refused) toast(`${edit.keypoint} was changed by ${answer.point.author || "somebody else"} since`);
    else if (answer.overwrote) toast(`${edit.keypoint}: this replaces what ${answer.overwrote} did meanwhile`);
  }

  lost(edit, text) {
    toast(`${edit.keypoint} of ${edit.image} was refused: ${text}`);
    this.model.frames.delete(`${edit.folder}/${edit.image}`);
    if (this.model.isHere(edit.folder, edit.image)) this.model.open(edit.folder, edit.image);
  }

  take(folder, image, keypoint, point) {
    const frame = this.model.frames.get(`${folder}/${image}`);
    const index = this.model.project.keypoints.indexOf(keypoint);
    if (!frame?.points || point.version < frame.points[index].version) return; // overtaken on the way
    frame.points[index] = point;
    this.recount(folder, image);
    if (this.model.isHere(folder, image)) this.model.tell("points");
  }

  recount(folder, image) {
    const points = this.model.frames.get(`${folder}/${image}`)?.points;
    const row = this.model.row(folder, image);
    if (!points || !row) return;
    row.done = points.filter(isDone).length;
    row.waiting = points.filter(isProposal).length;
    this.model.tell("list");
  }

  async poll() {
    try {
      const { folder = "", image = "" } = this.model.here ?? {};
      const said = await changesSince(this.version, settings.author, folder, image);
      banner("poll", "");
      banner("trouble", said.trouble.join("  ·  "));
      if (said.changes === null) {
        await this.model.load();
        if (this.model.here) await this.model.open(folder, image);
      }
      this.version = said.version;
      let seen = false; // whether another view of the instant that is shown has changed
      for (const [where, file, keypoint, point] of said.changes ?? []) {
        if (!this.outbox.has(where, file, keypoint)) this.take(where, file, keypoint, point);
        const views = this.model.frameNow?.views ?? [];
        seen ||= views.some((view) => view.folder === where && view.image === file);
      }
      for (const [where, file, done, waiting] of said.counts ?? []) {
        const row = this.model.row(where, file); // frames that are loaded here are counted here
        if (row && !this.model.frames.get(`${where}/${file}`)?.points) Object.assign(row, { done, waiting });
      }
      if (said.counts?.length) this.model.tell("list");
      if (seen) this.model.measure();
      if (said.unsaved !== this.unsaved || JSON.stringify(said.others) !== JSON.stringify(this.others)) {
        this.unsaved = said.unsaved;
        this.others = said.others;
        this.model.tell("people");
      }
    } catch (error) {
      banner("poll", error.status === 403 ? error.message : "the server does not answer");
    }
    setTimeout(() => this.poll(), POLL_MS);
  }
}
