// Images decoded once each, neighbours beforehand, the oldest forgotten.

import { pictureOf } from "./server.js";

const KEEP_BYTES = 400e6; // nine 4K frames

export class Pictures {
  constructor() {
    this.kept = new Map(); // key -> {promise, bytes, bitmap}
  }

  get(folder, image) {
    const key = `${folder}/${image}`;
    let entry = this.kept.get(key);
    if (entry) {
      this.kept.delete(key); // to the young end
    } else {
      entry = { bytes: 0, bitmap: null };
      entry.promise = decoded(folder, image).then((bitmap) => {
        entry.bitmap = bitmap;
        entry.bytes = bitmap.width * bitmap.height * 4;
        this.forget(key);
        return bitmap;
      });
      entry.promise.catch(() => this.kept.delete(key)); // asked for again, it is fetched again
    }
    this.kept.set(key, entry);
    return entry.promise;
  }

  // The bitmap if it is there already.
  peek(folder, image) {
    return this.kept.get(`${folder}/${image}`)?.bitmap ?? null;
  }

  forget(spared) {
    let bytes = 0;
    for (const entry of this.kept.values()) bytes += entry.bytes;
    for (const [key, entry] of this.kept) {
      if (bytes <= KEEP_BYTES) return;
      if (key === spared || !entry.bitmap) continue;
      this.kept.delete(key); // not closed: it may be on the screen
      bytes -= entry.bytes;
    }
  }
}

async function decoded(folder, image) {
  const blob = await pictureOf(folder, image);
  try {
    return await createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${folder}/${image} cannot be decoded: extract the frame again`);
  }
}
