// Latency over the last three minutes: a band from p50 to p99, p95 as a line.

const SECONDS = 180;

export function drawLatency(canvas, history) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const most = Math.max(10, ...history.map((second) => second[4]));
  const x = (ago) => 30 + (width - 32) * (1 - ago / SECONDS);
  const y = (ms) => height - 14 - (height - 20) * (ms / most);
  pen.font = "10px system-ui, sans-serif";
  pen.fillStyle = colour("--faint");
  pen.strokeStyle = colour("--line");
  for (const part of [0, 0.5, 1]) {
    pen.fillText((most * part).toFixed(0), 2, y(most * part) + 3);
    pen.beginPath();
    pen.moveTo(30, y(most * part));
    pen.lineTo(width - 2, y(most * part));
    pen.stroke();
  }
  pen.fillText("3 min ago", 30, height - 2);
  pen.fillText("now", width - 22, height - 2);
  if (!history.length) return;
  pen.fillStyle = "rgb(108 180 255 / 30%)";
  pen.beginPath();
  history.forEach((second, n) => (n ? pen.lineTo : pen.moveTo).call(pen, x(second[0]), y(second[4])));
  [...history].reverse().forEach((second) => pen.lineTo(x(second[0]), y(second[2])));
  pen.fill();
  pen.strokeStyle = colour("--accent");
  pen.beginPath();
  history.forEach((second, n) => (n ? pen.lineTo : pen.moveTo).call(pen, x(second[0]), y(second[3])));
  pen.stroke();
}
