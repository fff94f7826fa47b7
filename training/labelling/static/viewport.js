// Where the image lies on the canvas, in device pixels.
//
// Image coordinates: an integer is the centre of a pixel, (0, 0) the centre of the top-left one. Pixel i
// therefore covers [x + i * scale, x + (i + 1) * scale) of the canvas. x and y are whole device pixels,
// so that at whole scales every image pixel covers whole device pixels.

export const MOST = 64;
const STEPS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, MOST];
// A mouse reports the device pixel it is on by its corner; it points at that pixel's middle.
const WHOLE = 1e-3;

export class Viewport {
  constructor() {
    Object.assign(this, { scale: 1, x: 0, y: 0, width: 1, height: 1, imageWidth: 1, imageHeight: 1 });
    this.fitted = true;
  }

  resize(width, height) {
    const [middleX, middleY] = this.toImage(this.width / 2, this.height / 2);
    this.width = width;
    this.height = height;
    if (this.fitted) this.fit();
    else this.place(middleX, middleY, width / 2, height / 2);
  }

  // A new image; the view stays where it is if the size is the same.
  show(imageWidth, imageHeight) {
    if (imageWidth === this.imageWidth && imageHeight === this.imageHeight) return;
    this.imageWidth = imageWidth;
    this.imageHeight = imageHeight;
    this.fit();
  }

  get fitScale() {
    return Math.min(this.width / this.imageWidth, this.height / this.imageHeight) * 0.985;
  }

  fit() {
    this.scale = Math.min(MOST, this.fitScale);
    this.x = Math.round((this.width - this.imageWidth * this.scale) / 2);
    this.y = Math.round((this.height - this.imageHeight * this.scale) / 2);
    this.fitted = true;
  }

  // Put image point (ix, iy) at canvas point (cx, cy).
  place(ix, iy, cx, cy) {
    this.x = Math.round(cx - (ix + 0.5) * this.scale);
    this.y = Math.round(cy - (iy + 0.5) * this.scale);
    this.fitted = false;
    this.keepInSight();
  }

  zoomTo(scale, cx, cy) {
    const [ix, iy] = this.toImage(cx, cy);
    this.scale = Math.min(MOST, Math.max(Math.min(this.fitScale, 1) / 2, scale));
    this.place(ix, iy, cx, cy);
  }

  zoomStep(direction, cx = this.width / 2, cy = this.height / 2) {
    const larger = STEPS.find((step) => step > this.scale * 1.001) ?? MOST;
    const smaller = STEPS.findLast((step) => step < this.scale * 0.999) ?? STEPS[0];
    this.zoomTo(direction > 0 ? larger : smaller, cx, cy);
  }

  panTo(x, y) {
    this.x = Math.round(x);
    this.y = Math.round(y);
    this.fitted = false;
    this.keepInSight();
  }

  keepInSight() {
    const margin = 60;
    this.x = Math.min(this.width - margin, Math.max(margin - this.imageWidth * this.scale, this.x));
    this.y = Math.min(this.height - margin, Math.max(margin - this.imageHeight * this.scale, this.y));
    this.x = Math.round(this.x);
    this.y = Math.round(this.y);
  }

  // Image point to canvas: the middle of pixel (ix, iy).
  toCanvas(ix, iy) {
    return [this.x + (ix + 0.5) * this.scale, this.y + (iy + 0.5) * this.scale];
  }

  toImage(cx, cy) {
    return [(cx - this.x) / this.scale - 0.5, (cy - this.y) / this.scale - 0.5];
  }

  contains(ix, iy) {
    return ix >= -0.5 && iy >= -0.5 && ix < this.imageWidth - 0.5 && iy < this.imageHeight - 0.5;
  }

  // The label that a pointer at an image point gives: the pixel that it is on; or, between pixels, the
  // place itself, unless the middle of the pixel is less than half a screen pixel away: a pointer is no
  // more exact than that.
  pointed(ix, iy, wholePixels) {
    const places = [ix, iy].map((value) => {
      const pixel = Math.floor(value + 0.5);
      return wholePixels || Math.abs(value - pixel) <= 0.5 / this.scale + 1e-6 ? pixel : value;
    });
    const [x, y] = this.stored(...places);
    return wholePixels ? [Math.min(x, this.imageWidth - 1), Math.min(y, this.imageHeight - 1)].map((v) => Math.max(v, 0)) : [x, y];
  }

  // To 1/100 px and inside the image.
  stored(ix, iy) {
    const most = [this.imageWidth - 0.5, this.imageHeight - 0.5];
    return [ix, iy].map((value, axis) => Math.min(most[axis], Math.max(-0.5, Math.round(value * 100) / 100)) + 0);
  }
}

// A pointer event's place in device pixels from `origin`, the device pixel where the canvas begins. (Its
// bounding box would not do: browsers round that to 1/64 px.)
export function onCanvas(event, origin, ratio) {
  return [event.clientX * ratio - origin[0], event.clientY * ratio - origin[1]].map((value) =>
    Math.abs(value - Math.round(value)) < WHOLE ? Math.round(value) + 0.5 : value);
}
