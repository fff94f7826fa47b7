// Talking to the server. Edits are sent in order, again and again until they are acknowledged.

import { banner } from "./dom.js";

export const client = crypto.getRandomValues(new Uint32Array(2)).join("-");

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const at = (...parts) => "/api/" + parts.map(encodeURIComponent).join("/");

async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.ok) return response;
  let text = `${response.status} ${response.statusText}`;
  try {
    text = (await response.json()).error ?? text;
  } catch { /* no JSON: the status has to do */ }
  if (response.status === 403) text = "the server was started anew: open the address it printed now";
  throw new Refused(response.status, text);
}

const json = async (path, options) => (await ask(path, options)).json();
const post = (path, content) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) });

export const projectOf = () => json("/api/project");
export const frameOf = (folder, image) => json(at("frame", folder, image));
export const pictureOf = async (folder, image) => (await ask(at("image", folder, image))).blob();
export const geometryOf = (folder, image) => json(at("geometry", folder, image));
export const proposalsOf = (folder, image) => json(at("proposals", folder, image));
export const videoOf = (name) => json(at("video", name));
export const videoFrame = (name, number) => `${at("video", name)}/frame?instant=${number}`;
export const grabFrame = (video, instant) => post("/api/grab", { video, instant });
export const changesSince = (since, author, folder, image) =>
  json("/api/changes?" + new URLSearchParams({ since, client, author, folder, image }));

// The edits that wait for their acknowledgement.
export class Outbox {
  // answered(edit, answer) is called for each edit done; lost(edit, text) for one that the server refused.
  constructor(answered, lost, changed) {
    Object.assign(this, { answered, lost, changed, waiting: [], sending: 0, most: 200, pauseMs: 0, lastMs: null });
  }

  get size() {
    return this.waiting.length;
  }

  has(folder, image, keypoint) {
    return this.waiting.some((e) => e.folder === folder && e.image === image && e.keypoint === keypoint);
  }

  put(edits) {
    this.waiting.push(...edits);
    this.changed();
    if (!this.sending) this.send();
  }

  async send() {
    const batch = this.waiting.slice(0, this.most);
    if (!batch.length) return;
    this.sending = batch.length;
    const started = performance.now();
    try {
      const said = await post("/api/edits", { client, edits: batch });
      this.lastMs = performance.now() - started;
      this.waiting.splice(0, batch.length);
      this.pauseMs = 0;
      banner("outbox", "");
      said.answers.forEach((answer, index) => this.answered(batch[index], answer));
    } catch (error) {
      if (error instanceof Refused && [400, 404, 413, 415, 422].includes(error.status)) {
        // Sending it again would not help: one at a time, so that the others are not lost with it.
        if (batch.length > 1) this.most = 1;
        else this.lost(this.waiting.shift(), error.message);
      } else {
        this.pauseMs = Math.min(5000, Math.max(400, this.pauseMs * 2));
        const why = error instanceof Refused ? error.message : "the server does not answer";
        banner("outbox", `${this.waiting.length} edits are not saved yet: ${why}`);
        await new Promise((done) => setTimeout(done, this.pauseMs));
      }
    }
    this.sending = 0;
    this.changed();
    if (this.waiting.length) this.send();
    else this.most = 200;
  }
}
