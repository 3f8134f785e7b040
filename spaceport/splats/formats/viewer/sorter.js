// A worker: puts Gaussians in order, the farthest first, by a counting sort of 16-bit depths.
const BINS = 65536;
let means;

onmessage = ({ data }) => {
  if (data.means) {
    means = data.means;
    return;
  }
  const [x, y, z] = data.forward;
  const count = means.length / 3;
  const depths = new Float32Array(count);
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < count; i++) {
    const depth = x * means[3 * i] + y * means[3 * i + 1] + z * means[3 * i + 2];
    depths[i] = depth;
    if (depth < low) low = depth;
    if (depth > high) high = depth;
  }
  const scale = (BINS - 1) / Math.max(high - low, 1e-9);
  const starts = new Uint32Array(BINS + 1);
  const keys = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    keys[i] = (high - depths[i]) * scale;
    starts[keys[i] + 1]++;
  }
  for (let i = 0; i < BINS; i++) starts[i + 1] += starts[i];
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[starts[keys[i]]++] = i;
  postMessage(order, [order.buffer]);
};
