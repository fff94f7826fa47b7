// One keypoint of one frame, as the server sends it:
// {x, y (px, or null), origin, author, occluded, confidence, version}.

export const isLabel = (point) => point.x !== null && point.origin !== "unreviewed";
export const isProposal = (point) => point.x !== null && point.origin === "unreviewed";
export const isDone = (point) => isLabel(point) || (point.x === null && point.occluded);
export const NOTHING = { x: null, y: null, origin: "clicked", author: "", occluded: false, confidence: null, version: 0 };
export const same = (a, b) => ["x", "y", "origin", "occluded", "author"].every((key) => a[key] === b[key]);
