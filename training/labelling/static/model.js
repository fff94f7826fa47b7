// What the page knows: the project, the frames, the points, and what is chosen.
// Edits are done here at once and sent to the server; what others do comes back with `following`.

import { toast } from "./dom.js";
import { Following } from "./following.js";
import { History } from "./history.js";
import { Pictures } from "./pictures.js";
import { NOTHING, isDone, isLabel, isProposal } from "./points.js";
import { client, frameOf, geometryOf, projectOf, proposalsOf } from "./server.js";
import { settings } from "./settings.js";

const AHEAD = 2; // frames fetched on either side

export class Model {
  constructor() {
    this.pictures = new Pictures();
    this.following = new Following(this);
    this.frames = new Map(); // "folder/image" -> frame as the server sends it
    this.network = new Map(); // "folder/image" -> {keypoint: {x, y, confidence}}
    this.putAside = new Set(); // "folder/image/keypoint": proposals that were deleted
    this.geometry = {}; // of the frame that is shown
    this.here = null; // {folder, image}
    this.chosen = null; // index of a keypoint
    this.bitmap = null;
    this.history = new History(this);
    this.editNumber = 0;
    this.listeners = [];
  }

  // `what`: project, list, frame, points, chosen, saving, people.
  tell(what) {
    for (const listener of this.listeners) listener(what);
  }

  // --- The project and its frames

  async load() {
    this.project = await projectOf();
    this.following.version = this.project.version;
    this.folders = this.project.folders.map((folder) => ({
      name: folder.name,
      images: folder.images.map(([image, done, waiting]) => ({ image, done, waiting })),
    }));
    this.frames.clear();
    this.tell("project");
  }

  get order() {
    return this.folders.flatMap((folder) => folder.images.map((row) => ({ folder: folder.name, ...row })));
  }

  row(folder, image) {
    return this.folders.find((f) => f.name === folder)?.images.find((r) => r.image === image);
  }

  isWhole(row) {
    return row.done === this.project.keypoints.length;
  }

  async frame(folder, image) {
    const key = `${folder}/${image}`;
    if (!this.frames.has(key)) {
      const asked = frameOf(folder, image).then((frame) => {
        this.frames.set(key, frame);
        return frame;
      });
      this.frames.set(key, asked);
      asked.catch(() => this.frames.delete(key));
    }
    return this.frames.get(key);
  }

  async open(folder, image) {
    this.here = { folder, image };
    this.frameNow = null;
    this.bitmap = this.pictures.peek(folder, image);
    this.geometry = {};
    this.failure = null;
    this.tell("list");
    try {
      const [frame, bitmap] = await Promise.all([this.frame(folder, image), this.pictures.get(folder, image)]);
      if (!this.isHere(folder, image)) return; // somebody was faster with the keys
      this.frameNow = frame;
      this.bitmap = bitmap;
    } catch (error) {
      if (!this.isHere(folder, image)) return;
      this.failure = error.message;
      this.bitmap = null;
    }
    this.chosen = this.frameNow && !this.failure ? this.nextUndone(-1) : null;
    this.tell("frame");
    if (!this.failure) {
      this.measure();
      if (settings.askNetwork && this.chosen !== null) this.askNetwork(true);
    }
    this.fetchAhead();
  }

  isHere(folder, image) {
    return this.here?.folder === folder && this.here.image === image;
  }

  fetchAhead() {
    const order = this.order;
    const place = order.findIndex((row) => this.isHere(row.folder, row.image));
    for (let step = 1; step <= AHEAD; step += 1) {
      for (const row of [order[place + step], order[place - step]]) {
        if (!row) continue;
        this.frame(row.folder, row.image).catch(() => {});
        this.pictures.get(row.folder, row.image).catch(() => {});
      }
    }
  }

  // `step` frames on; with `unfinished`, to the next frame that has something left to do.
  async go(step, unfinished = false) {
    const order = this.order;
    let place = order.findIndex((row) => this.isHere(row.folder, row.image));
    for (let tried = 0; tried < order.length; tried += 1) {
      place += step;
      if (unfinished) place = (place + order.length) % order.length;
      const row = order[place];
      if (!row) {
        toast(step > 0 ? "This is the last frame" : "This is the first frame");
        return;
      }
      if (!unfinished || !this.isWhole(row)) {
        await this.open(row.folder, row.image);
        return;
      }
    }
    toast("Every frame is finished");
  }

  async goToView(step = 1) {
    const views = this.frameNow?.views ?? [];
    if (views.length < 2) return;
    const place = views.findIndex((view) => this.isHere(view.folder, view.image));
    const chosen = this.chosen;
    const view = views[(place + step + views.length) % views.length];
    await this.open(view.folder, view.image);
    if (chosen !== null) this.choose(chosen);
  }

  // --- Points

  get points() {
    return this.frameNow?.points ?? [];
  }

  choose(index) {
    this.chosen = index;
    this.tell("chosen");
  }

  chooseStep(step) {
    const count = this.project.keypoints.length;
    const from = this.chosen ?? (step > 0 ? -1 : count);
    this.choose((from + step + count) % count);
  }

  // The first keypoint after `index` with something left to do, or null.
  nextUndone(index) {
    const count = this.points.length;
    for (let step = 1; step <= count; step += 1) {
      const place = (index + step + count) % count;
      if (!isDone(this.points[place])) return place;
    }
    return null;
  }

  // What a machine proposes for a keypoint that nobody has labelled: {x, y, origin, confidence} or null.
  proposal(index) {
    const point = this.points[index];
    if (!point || isDone(point)) return null;
    if (isProposal(point)) return { ...point, becomes: "model" };
    const name = this.project.keypoints[index];
    const { folder, image } = this.here;
    const found = this.network.get(`${folder}/${image}`)?.[name];
    if (!found || this.putAside.has(`${folder}/${image}/${name}`)) return null;
    return found.confidence >= settings.leastConfidence ? { ...found, becomes: "model" } : null;
  }

  // Where the other views put a keypoint: {x, y, error_px, views} or null.
  reprojected(index) {
    return this.geometry[this.project.keypoints[index]]?.point ?? null;
  }

  // Change points of the frame that is shown: [[index, point or null], ...], as one step of undo.
  change(pairs) {
    const { folder, image } = this.here;
    const items = pairs.map(([index, point]) => ({
      folder, image, index, before: this.points[index],
      after: point ? { ...NOTHING, author: settings.author, ...point } : { ...NOTHING },
    }));
    this.history.add(items);
    this.send(items.map((item) => ({ ...item, point: item.after, seen: item.before.version, careful: false })));
  }

  send(items) {
    const edits = items.map(({ folder, image, index, point, seen, careful }) => {
      const frame = this.frames.get(`${folder}/${image}`);
      if (frame?.points) frame.points[index] = { ...point, version: frame.points[index].version };
      this.following.recount(folder, image);
      const { version, ...content } = point;
      const empty = point.x === null && !point.occluded;
      this.editNumber += 1;
      return {
        id: `${client}-${this.editNumber}`, folder, image, keypoint: this.project.keypoints[index],
        version: seen, careful, point: empty ? null : content,
      };
    });
    this.following.outbox.put(edits);
    this.tell("points");
  }

  put(index, x, y) {
    const { occluded } = this.points[index];
    this.change([[index, { x, y, origin: "clicked", occluded }]]);
  }

  accept(index, reprojected = false) {
    const found = reprojected ? this.reprojected(index) : this.proposal(index) ?? this.reprojected(index);
    if (!found) return false;
    this.change([[index, this.accepted(found)]]);
    this.goOn(index);
    return true;
  }

  accepted(found) {
    return { x: found.x, y: found.y, origin: found.becomes ?? "reprojected" };
  }

  acceptAll(reprojected = false) {
    const pairs = [];
    this.points.forEach((point, index) => {
      if (isDone(point)) return;
      const found = reprojected ? this.reprojected(index) : this.proposal(index);
      if (found) pairs.push([index, this.accepted(found)]);
    });
    if (!pairs.length) {
      toast(reprojected ? "No reprojected point waits here" : "No proposal waits here");
      return;
    }
    this.change(pairs);
    toast(`${pairs.length} ${pairs.length === 1 ? "point" : "points"} confirmed`);
    this.goOn(pairs.at(-1)[0]);
  }

  remove(index) {
    const name = this.project.keypoints[index];
    const { folder, image } = this.here;
    const point = this.points[index];
    this.putAside.add(`${folder}/${image}/${name}`);
    if (point.x !== null || point.occluded) this.change([[index, null]]);
    else this.tell("points");
  }

  occlude(index) {
    const point = this.points[index];
    if (isLabel(point)) this.change([[index, { ...point, occluded: !point.occluded, author: settings.author }]]);
    else if (point.x === null && point.occluded) this.change([[index, null]]);
    else {
      this.change([[index, { occluded: true }]]);
      this.goOn(index);
    }
  }

  // Nothing else is to be seen here: all points that nobody has done, proposals too.
  occludeRest() {
    const rest = this.points.flatMap((point, index) => (isDone(point) ? [] : [index]));
    if (!rest.length) return;
    this.change(rest.map((index) => [index, { occluded: true }]));
    toast(`${rest.length} ${rest.length === 1 ? "point" : "points"}: not to be seen`);
    this.goOn(rest.at(-1));
  }

  // After something was done: the next keypoint, or the next frame.
  goOn(index) {
    const next = this.nextUndone(index);
    this.choose(next);
    if (next !== null) return;
    if (settings.goOn) this.go(1);
    else toast("All points are done: → for the next frame");
  }

  // --- The network and the other views

  async askNetwork(quiet = false) {
    if (!this.project.bundle || !this.here) return;
    const { folder, image } = this.here;
    const key = `${folder}/${image}`;
    try {
      if (!this.network.has(key)) this.network.set(key, await proposalsOf(folder, image));
      if (!quiet) for (const name of this.project.keypoints) this.putAside.delete(`${key}/${name}`);
    } catch (error) {
      toast(error.message);
    }
    if (this.isHere(folder, image)) this.tell("points");
  }

  async measure() {
    const { folder, image } = this.here ?? {};
    if (!this.project.cameras[folder] || (this.frameNow?.views.length ?? 0) < 2) return;
    try {
      const found = await geometryOf(folder, image);
      if (!this.isHere(folder, image)) return;
      this.geometry = found;
      this.tell("points");
    } catch (error) {
      toast(error.message);
    }
  }

  // A frame that was grabbed from a video.
  added(folder, image) {
    let known = this.folders.find((f) => f.name === folder);
    if (!known) {
      known = { name: folder, images: [] };
      this.folders.push(known);
      this.folders.sort((a, b) => (a.name < b.name ? -1 : 1));
    }
    if (known.images.some((row) => row.image === image)) return false;
    known.images.push({ image, done: 0, waiting: 0 });
    known.images.sort((a, b) => (a.image < b.image ? -1 : 1));
    this.tell("project");
    return true;
  }
}
