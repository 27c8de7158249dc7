// A QR code of a text (ISO/IEC 18004) as SVG: byte mode, the lowest error correction level, which is sufficient on a screen,
// and versions up to 20. Larger texts have no code. No external resources are used.

// By version, from 1: error correction bytes per block, and number of blocks.
const CORRECTION = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
const BLOCKS = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];
const QUIET = 4;
const MASKS = [
  (x, y) => (x + y) % 2,
  (x, y) => y % 2,
  (x) => x % 3,
  (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2,
  (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** Returns the code as an `<svg>`, or null for a text that is too long. */
export function qrCode(text) {
  const modules = qrModules(text);
  if (!modules) return null;
  const size = modules.length + 2 * QUIET;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  path.setAttribute("d", modules.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : ""))).join(""));
  svg.append(path);
  return svg;
}

/** Returns the code as rows of modules, true for dark, or null for a text that is too long. */
export function qrModules(text) {
  const bytes = new TextEncoder().encode(text);
  const version = CORRECTION.findIndex((_, index) => bytes.length + (index < 9 ? 2 : 3) <= dataBytes(index + 1)) + 1;
  if (version === 0) return null;
  const bits = interleave(withHeader(bytes, version), version);
  let best;
  for (let mask = 0; mask < MASKS.length; mask++) {
    const modules = draw(bits, version, mask);
    const penalty = rate(modules);
    if (!best || penalty < best.penalty) best = { modules, penalty };
  }
  return best.modules;
}

const sizeOf = (version) => 4 * version + 17;

/** Returns the capacity of a version in bytes, including error correction. */
function allBytes(version) {
  const aligned = version === 1 ? 0 : Math.floor(version / 7) + 2;
  const patterns = aligned ? (25 * aligned - 10) * aligned - 55 : 0;
  return Math.floor(((16 * version + 128) * version + 64 - patterns - (version >= 7 ? 36 : 0)) / 8);
}

const dataBytes = (version) => allBytes(version) - CORRECTION[version - 1] * BLOCKS[version - 1];

/** Returns mode, length, data, terminator and padding as bytes. */
function withHeader(bytes, version) {
  const bits = [];
  const put = (value, count) => {
    for (let bit = count - 1; bit >= 0; bit--) bits.push((value >>> bit) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) put(byte, 8);
  const room = dataBytes(version) * 8;
  put(0, Math.min(4, room - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < room; pad ^= 0xec ^ 0x11) put(pad, 8);
  return Array.from({ length: room / 8 }, (_, index) => Number.parseInt(bits.slice(8 * index, 8 * index + 8).join(""), 2));
}

/** Interleaves the blocks and their error correction into one sequence of bits. */
function interleave(data, version) {
  const [count, correction] = [BLOCKS[version - 1], CORRECTION[version - 1]];
  const short = Math.floor(data.length / count);
  const divisor = generator(correction);
  const blocks = [];
  for (let block = 0, start = 0; block < count; block++) {
    const length = short + (block < count - (data.length % count) ? 0 : 1);
    const own = data.slice(start, (start += length));
    blocks.push({ own, check: remainder(own, divisor) });
  }
  const woven = [];
  for (let at = 0; at <= short; at++) for (const { own } of blocks) if (at < own.length) woven.push(own[at]);
  for (let at = 0; at < correction; at++) for (const { check } of blocks) woven.push(check[at]);
  return woven.flatMap((byte) => Array.from({ length: 8 }, (_, bit) => (byte >>> (7 - bit)) & 1));
}

/** Multiplies in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function times(x, y) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) product = (product << 1) ^ ((product >>> 7) * 0x11d) ^ (((y >>> bit) & 1) * x);
  return product;
}

/** Returns the generator polynomial of the Reed-Solomon code, without its leading 1. */
function generator(degree) {
  const terms = new Array(degree).fill(0);
  terms[degree - 1] = 1;
  for (let round = 0, root = 1; round < degree; round++, root = times(root, 2)) {
    for (let at = 0; at < degree; at++) terms[at] = times(terms[at], root) ^ (terms[at + 1] ?? 0);
  }
  return terms;
}

function remainder(data, divisor) {
  const rest = divisor.map(() => 0);
  for (const byte of data) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    divisor.forEach((term, at) => (rest[at] ^= times(term, factor)));
  }
  return rest;
}

function draw(bits, version, mask) {
  const size = sizeOf(version);
  const modules = Array.from({ length: size }, () => new Array(size).fill(undefined));
  const set = (x, y, dark) => {
    if (modules[y]?.[x] !== undefined || x < 0 || x >= size || y < 0 || y >= size) return;
    modules[y][x] = Boolean(dark);
  };
  drawFixed(set, size, version, mask);
  fill(modules, bits, mask);
  return modules;
}

/** Draws the function patterns, and the format and version information. The first module drawn at a position stays. */
function drawFixed(set, size, version, mask) {
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    for (let dy = -4; dy <= 4; dy++) {
      for (let dx = -4; dx <= 4; dx++) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        set(x + dx, y + dy, ring !== 2 && ring !== 4);
      }
    }
  }
  const centres = alignment(version, size);
  for (const x of centres) {
    for (const y of centres) {
      const inFinder = (x === 6 && y === 6) || (x === 6 && y === size - 7) || (x === size - 7 && y === 6);
      if (inFinder) continue;
      for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(x + dx, y + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }
  }
  for (let at = 0; at < size; at++) {
    set(at, 6, at % 2 === 0);
    set(6, at, at % 2 === 0);
  }
  const format = protect((0b01 << 3) | mask, 10, 0x537) ^ 0x5412;
  for (let bit = 0; bit < 15; bit++) {
    const dark = (format >>> bit) & 1;
    set(8, bit < 6 ? bit : bit < 8 ? bit + 1 : size - 15 + bit, dark);
    set(bit < 8 ? size - 1 - bit : bit === 8 ? 7 : 14 - bit, 8, dark);
  }
  set(8, size - 8, true);
  if (version < 7) return;
  const number = protect(version, 12, 0x1f25);
  for (let bit = 0; bit < 18; bit++) {
    const [long, wide] = [Math.floor(bit / 3), size - 11 + (bit % 3)];
    set(wide, long, (number >>> bit) & 1);
    set(long, wide, (number >>> bit) & 1);
  }
}

/** Appends check bits to a number. */
function protect(value, checkBits, polynomial) {
  let rest = value;
  for (let bit = 0; bit < checkBits; bit++) rest = (rest << 1) ^ ((rest >>> (checkBits - 1)) * polynomial);
  return (value << checkBits) | rest;
}

function alignment(version, size) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((4 * version + 4) / (2 * count - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, index) => size - 7 - step * (count - 2 - index))];
}

/** Places the masked data in a zigzag of columns two modules wide, from the lower right. */
function fill(modules, bits, mask) {
  const size = modules.length;
  let next = 0;
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
    for (let step = 0; step < size; step++) {
      const isUp = ((right + 1) & 2) === 0;
      for (const x of [right, right - 1]) {
        const y = isUp ? size - 1 - step : step;
        if (modules[y][x] !== undefined) continue;
        modules[y][x] = Boolean(bits[next++]) !== (MASKS[mask](x, y) === 0);
      }
    }
  }
}

/** Returns the penalty of a code: long runs, blocks of one colour, finder-like patterns, and imbalance of colours. */
function rate(modules) {
  const size = modules.length;
  let penalty = 0;
  const columns = modules.map((_, x) => modules.map((row) => row[x]));
  for (const line of [...modules, ...columns]) {
    const text = line.map(Number).join("");
    for (const [run] of text.matchAll(/0{5,}|1{5,}/g)) penalty += run.length - 2;
    penalty += 40 * (text.match(/(?=10111010000|00001011101)/g) ?? []).length;
  }
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      const one = modules[y][x];
      if (one === modules[y][x - 1] && one === modules[y - 1][x] && one === modules[y - 1][x - 1]) penalty += 3;
    }
  }
  const dark = modules.flat().filter(Boolean).length / size ** 2;
  return penalty + Math.floor(Math.abs(dark - 0.5) * 20) * 10;
}
