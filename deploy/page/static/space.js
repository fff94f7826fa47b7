// The animal in 3D between the cameras, as large as it fits: drag to turn, wheel to come closer or to see the
// whole rig, double click to fit again. Cameras outside the view stand at its edge.

const cross = ([a, b, c], [x, y, z]) => [b * z - c * y, c * x - a * z, a * y - b * x];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const unit = (a) => { const n = Math.hypot(...a) || 1; return a.map((v) => v / n); };

export class Space {
  constructor(canvas, colour) {
    this.canvas = canvas;
    this.colour = colour;
    this.cameras = [];
    this.turn = 0.6;
    this.tilt = 0.5;
    this.zoom = null;  // a person's; null: as the animal fits
    this.fitting = 1;
    this.size = 0;  // of the animal, mm from its middle, followed slowly
    this.drawn = 0;
    this.points = null;
    this.skeleton = [];
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      this.turn += event.movementX * 0.01;
      this.tilt = Math.min(1.5, Math.max(-1.5, this.tilt + event.movementY * 0.01));
      this.draw();
    });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom = Math.min(40, Math.max(0.3, (this.zoom ?? this.fitting) * Math.exp(-event.deltaY * 0.001)));
      this.draw();
    }, { passive: false });
    canvas.addEventListener("dblclick", () => { this.zoom = null; this.draw(); });
  }

  show(points, skeleton) {
    this.points = points;
    this.skeleton = skeleton;
    this.draw();
  }

  // Up is away from where the cameras look, the middle is where their lines of sight come together.
  frame() {
    const centres = this.cameras.map((camera) => camera.centre_mm);
    const mean = [0, 1, 2].map((axis) => centres.reduce((sum, centre) => sum + centre[axis], 0) / centres.length);
    const sight = unit([0, 1, 2].map((axis) => this.cameras.reduce((sum, camera) => sum + camera.looks_along[axis], 0)));
    const up = Math.hypot(...sight) > 0.3 ? sight.map((v) => -v) : [0, 0, 1];
    const reach = Math.max(1, ...centres.map((centre) => Math.hypot(...minus(centre, mean))));
    const depth = this.cameras.reduce((sum, camera) => sum + dot(minus(mean, camera.centre_mm), camera.looks_along), 0) / centres.length;
    const middle = mean.map((value, axis) => value - up[axis] * Math.max(depth, reach));
    const aside = unit(Math.abs(up[0]) < 0.9 ? cross(up, [1, 0, 0]) : cross(up, [0, 1, 0]));
    return { middle, up, aside, ahead: cross(up, aside), radius: 1.6 * reach };
  }

  draw() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !this.cameras.length) return;
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const { middle, up, aside, ahead, radius } = this.frame();
    const known = (this.points ?? []).filter((point) => point[0] !== null);
    const centre = known.length ? [0, 1, 2].map((axis) => known.reduce((sum, point) => sum + point[axis], 0) / known.length) : middle;
    // The scene's middle follows the animal slowly, so that a step can be seen as one.
    this.centre = this.centre ? this.centre.map((value, axis) => value + 0.05 * (centre[axis] - value)) : centre;
    const size = Math.max(0, ...known.map((point) => Math.hypot(...minus(point, centre))));
    if (size) this.size = this.size ? this.size + 0.05 * (size - this.size) : size;
    if (this.size) this.fitting = Math.min(40, Math.max(1, (0.8 * radius) / this.size));
    const zoom = this.zoom ?? this.fitting;
    const scale = (zoom * 0.42 * Math.min(width, height)) / radius;
    const place = (point) => {
      const [a, b, c] = [aside, ahead, up].map((axis) => dot(minus(point, this.centre), axis));
      const x = a * Math.cos(this.turn) - b * Math.sin(this.turn);
      const far = a * Math.sin(this.turn) + b * Math.cos(this.turn);
      return [width / 2 + scale * x, height / 2 - scale * (c * Math.cos(this.tilt) - far * Math.sin(this.tilt))];
    };
    const line = (from, to, style, thick = 1) => {
      pen.strokeStyle = style;
      pen.lineWidth = thick;
      pen.beginPath();
      pen.moveTo(...place(from));
      pen.lineTo(...place(to));
      pen.stroke();
    };
    const [e1, e2] = [aside, ahead];
    const span = radius / Math.max(1, zoom / 2);
    const corner = (i, j) => this.centre.map((value, axis) => value + span * (i * e1[axis] + j * e2[axis]));
    for (let n = -4; n <= 4; n += 1) {
      line(corner(n / 4, -1), corner(n / 4, 1), "rgb(255 255 255 / 8%)");
      line(corner(-1, n / 4), corner(1, n / 4), "rgb(255 255 255 / 8%)");
    }
    pen.font = "10px system-ui, sans-serif";
    for (const camera of this.cameras) {
      const tip = camera.centre_mm.map((value, axis) => value + 0.2 * radius * camera.looks_along[axis]);
      const [across, down] = place(camera.centre_mm).map((value, axis) => value - [width, height][axis] / 2);
      const room = [width / 2 - 40, height / 2 - 12];
      const inwards = Math.min(1, room[0] / Math.abs(across), room[1] / Math.abs(down));
      if (inwards === 1) line(camera.centre_mm, tip, "rgb(108 180 255 / 70%)", 2);
      const [x, y] = [width / 2 + across * inwards, height / 2 + down * inwards];
      pen.fillStyle = "#9aa3b0";
      pen.fillRect(x - 3, y - 3, 6, 6);
      pen.fillText(camera.name, x + 6, y + 3);
    }
    for (const [a, b] of this.skeleton) {
      const [from, to] = [this.points?.[a], this.points?.[b]];
      if (from && to && from[0] !== null && to[0] !== null) line(from, to, "rgb(255 255 255 / 55%)", 2);
    }
    (this.points ?? []).forEach((point, n) => {
      if (point[0] === null) return;
      pen.fillStyle = this.colour(n, this.points.length);
      pen.beginPath();
      pen.arc(...place(point), 4, 0, 2 * Math.PI);
      pen.fill();
      this.drawn += 1;
    });
  }
}
