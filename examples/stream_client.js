// A client of rigpose's keypoint stream (docs/protocol.md); prints a line of JSON for each message.
//   npm install zeromq
//   node stream_client.js tcp://127.0.0.1:5555 [SERVER_PUBLIC_KEY OWN_PUBLIC_KEY OWN_SECRET_KEY]
//   node stream_client.js -      decodes messages given as lines of three hex words; needs no package
"use strict";

// MessagePack, as far as the stream uses it. Nanoseconds exceed 2^53: what does not fit a number is a BigInt.
function unpack(bytes) {
  let at = 0;
  const take = (size) => {
    if (bytes.length - at < size) throw new Error("cut off");
    return bytes.subarray(at, (at += size));
  };
  const whole = (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : big);
  const unsigned = (size) => {
    let value = 0n;
    for (const byte of take(size)) value = (value << 8n) | BigInt(byte);
    return whole(value);
  };
  const text = (size) => take(size).toString("utf8");
  const array = (count, depth) => {
    const items = [];
    while (items.length < count) items.push(value(depth));
    return items;
  };
  const map = (count, depth) => {
    const entries = [];
    while (entries.length < count) entries.push([value(depth), value(depth)]);
    return Object.fromEntries(entries);
  };
  function value(depth) {
    if (depth > 16) throw new Error("nested too deeply");
    const kind = take(1)[0];
    if (kind < 0x80) return kind;
    if (kind < 0x90) return map(kind & 15, depth + 1);
    if (kind < 0xa0) return array(kind & 15, depth + 1);
    if (kind < 0xc0) return text(kind & 31);
    if (kind >= 0xe0) return kind - 256;
    if (kind === 0xcb) return take(8).readDoubleBE();
    if (kind >= 0xcc && kind <= 0xcf) return unsigned(1 << (kind & 3));
    if (kind >= 0xd0 && kind <= 0xd3) {
      const size = 1 << (kind & 3);
      return whole(BigInt.asIntN(8 * size, BigInt(unsigned(size))));
    }
    if (kind >= 0xd9 && kind <= 0xdb) return text(unsigned(1 << (kind - 0xd9)));
    if (kind === 0xdc || kind === 0xdd) return array(unsigned(kind & 1 ? 4 : 2), depth + 1);
    if (kind === 0xde || kind === 0xdf) return map(unsigned(kind & 1 ? 4 : 2), depth + 1);
    throw new Error("MessagePack that is not used here");
  }
  return value(0);
}

function decode(frames) {
  if (frames.length !== 3) throw new Error("not three frames");
  const [topic, header, payload] = [frames[0].toString(), unpack(frames[1]), frames[2]];
  if (!Array.isArray(header) || header[0] !== 1) throw new Error("not version 1");
  const [shape, dtype] = [header[11], header[12]];
  if (dtype === "msgpack") return { topic, header, payload: unpack(payload) };
  if (dtype !== "<f4" || !Array.isArray(shape)) throw new Error("unknown payload");
  const count = shape.reduce((product, length) => product * Number(length), 1);
  if (payload.length !== 4 * count) throw new Error("payload does not fit its shape");
  const values = Array.from({ length: count }, (_, n) => payload.readFloatLE(4 * n));
  return { topic, header, payload: values }; // C order: pose2d is (cameras, keypoints, 3), pose3d (keypoints, 11)
}

function show(frames) {
  try {
    const exact = (_, value) => (typeof value === "bigint" ? `${value}` : value); // JSON has no BigInt
    console.log(JSON.stringify(decode(frames), exact)); // NaN becomes null
  } catch (error) {
    console.log(`refused: ${error.message}`);
  }
}

async function listen(endpoint, serverKey, publicKey, secretKey) {
  const { Subscriber } = require("zeromq");
  const socket = new Subscriber();
  const keys = { curveServerKey: serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
  if (serverKey) Object.assign(socket, keys);
  socket.connect(endpoint);
  socket.subscribe(); // or a topic
  for await (const frames of socket) show(frames);
}

if (process.argv[2] === "-") {
  const lines = require("readline").createInterface({ input: process.stdin });
  lines.on("line", (line) => show(line.split(" ").map((word) => Buffer.from(word, "hex"))));
} else {
  listen(process.argv[2] ?? "tcp://127.0.0.1:5555", ...process.argv.slice(3, 6));
}
