// What a person set, kept in this browser.

const KEY = "rigpose-label";
const USUAL = {
  author: "", markerSize: 6, brightness: 1, contrast: 1, showSkeleton: true, showNames: false, showLines: true,
  wholePixels: true, goOn: false, askNetwork: true, leastConfidence: 0.3, onlyUnfinished: false,
};

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export const settings = { ...USUAL, ...stored() };

export function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch { /* a private window: the settings last as long as the page */ }
}
