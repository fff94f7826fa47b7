// The recording beside the tracking: whether it is on, for how long, what is left; for whoever may, its switch.

const WAIT_MS = 5000;

function clock(seconds) {
  const [hours, rest] = [Math.floor(seconds / 3600), Math.floor(seconds) % 3600];
  const two = (value) => String(value).padStart(2, "0");
  return `${hours}:${two(Math.floor(rest / 60))}:${two(rest % 60)}`;
}

function span(seconds) {
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} hours`;
}

export class RecordingPanel {
  // `control`: what /record asks for, null for those who only look; `define(list, rows)` fills a <dl>.
  constructor(find, define, control) {
    Object.assign(this, { find, define, control, recording: null, wish: null });
    find("record").addEventListener("click", () => this.switch());
  }

  async switch() {
    this.wish = { on: !this.recording.on, until: Date.now() + WAIT_MS };
    this.button();
    const response = await fetch(`/record?on=${this.wish.on}`, { method: "POST", headers: { "X-Rigpose-Control": this.control } }).catch(() => null);
    if (!response?.ok) this.wish = null;
  }

  show({ recording, machine, controls }) {
    this.recording = recording;
    if (this.wish && (recording?.on === this.wish.on || recording?.refused || Date.now() > this.wish.until)) this.wish = null;
    const on = Boolean(recording?.on) && !recording.ended;
    const since = recording?.since_s === null || recording?.since_s === undefined ? "" : ` ${clock(recording.since_s)}`;
    const state = this.find("recording-state");
    state.textContent = !recording ? "" : recording.ended ? "recording ended" : on ? `● recording${since}` : "recording paused";
    state.className = on || recording?.ended ? "on" : "";
    const may = Boolean(this.control && controls);
    this.define(this.find("recording"), recording ? this.rows(recording, machine, on, since) : [["none", "only the stream goes out"]]);
    this.find("recording-how").textContent = !recording
      ? "rigpose live --record FOLDER records beside; with --page-control it is switched on and off here."
      : may || recording.ended ? "" : "It is switched on and off at the page's other address, which --page-control prints.";
    this.find("record").hidden = !(may && recording && !recording.ended && recording.on !== null);
    this.button();
  }

  rows(recording, machine, on, since) {
    const gigabytes = machine.disk_free_gb === null ? "not known" : `${machine.disk_free_gb.toFixed(1)} GB`;
    const left = recording.disk_left_s === null || !on ? gigabytes : `${gigabytes}, for ${span(recording.disk_left_s)}`;
    return [
      ["state", recording.ended ? `ended: ${recording.ended}` : on ? `on for${since}` : `paused${since && " for"}${since}`, recording.ended ? "bad" : ""],
      ...(recording.refused ? [["not switched on", recording.refused, "bad"]] : []),
      ["session", recording.session],
      ["frames", `${recording.frames.toLocaleString("en")}, all cameras`],
      ["disk left", left],
    ];
  }

  button() {
    const button = this.find("record");
    button.disabled = this.wish !== null;
    button.textContent = this.wish ? "Switching ..." : this.recording?.on ? "Pause recording" : "Record";
  }
}
