"use strict";
// Draws the SOG that this page carries. The page's own scripts gave `say`, `loading`, `coming` and the sources below.
const SOURCES = @sources@;
const FIELD = Math.tan((25 * Math.PI) / 180); // half of a field of view of 50 degrees along the shorter side
const STEEPEST = (89 * Math.PI) / 180;
const MOST_PIXELS = 2; // device pixels drawn for one CSS pixel, each way

const scene = JSON.parse(document.getElementById("scene").textContent);
const canvas = document.getElementById("view");

const plus = (a, b, k = 1) => a.map((v, i) => v + k * b[i]);
const times = (a, k) => a.map((v) => v * k);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => times(a, 1 / Math.hypot(...a));

// ---- the camera: it circles a target, `up` stays up ----

class Orbit {
  constructor(eye, target, up) {
    this.first = { eye, target, up };
    this.set(eye, target, up);
  }
  set(eye, target, up) {
    this.target = target;
    this.up = unit(up);
    const across = Math.abs(this.up[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    this.east = unit(cross(across, this.up));
    this.north = cross(this.up, this.east);
    const from = plus(eye, target, -1);
    this.distance = Math.hypot(...from);
    this.elevation = Math.asin(Math.max(-1, Math.min(1, dot(from, this.up) / this.distance)));
    this.azimuth = Math.atan2(dot(from, this.north), dot(from, this.east));
    this.turn(0, 0); // keeps it off the poles
  }
  reset() { this.set(this.first.eye, this.first.target, this.first.up); }
  flip() { this.set(this.eye(), this.target, times(this.up, -1)); }
  eye() {
    const flat = plus(times(this.east, Math.cos(this.azimuth)), this.north, Math.sin(this.azimuth));
    const away = plus(times(flat, Math.cos(this.elevation)), this.up, Math.sin(this.elevation));
    return plus(this.target, away, this.distance);
  }
  axes() {
    const forward = unit(plus(this.target, this.eye(), -1));
    const right = unit(cross(forward, this.up));
    return { right, down: cross(forward, right), forward };
  }
  turn(dx, dy) {
    this.azimuth -= dx;
    this.elevation = Math.max(-STEEPEST, Math.min(STEEPEST, this.elevation + dy));
  }
  move(dx, dy) { // in shares of the shorter side
    const { right, down } = this.axes();
    const reach = 2 * FIELD * this.distance;
    this.target = plus(plus(this.target, right, -dx * reach), down, -dy * reach);
  }
  zoom(factor) { this.distance = Math.max(1e-3, this.distance * factor); }
}

// ---- the model: SOG's images become textures as they are ----

const bytesOf = (name) => {
  const parts = [...document.querySelectorAll(`.piece[data-file="${name}"]`)].map((piece) => atob(piece.textContent));
  return Uint8Array.from(parts.join(""), (character) => character.charCodeAt(0));
};

const texture = (gl, unit) => {
  gl.activeTexture(gl.TEXTURE0 + unit);
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
  return made;
};

async function image(gl, unit, name) {
  const raw = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(new Blob([bytesOf(name)], { type: "image/webp" }), raw);
  const made = texture(gl, unit);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  return { texture: made, width: bitmap.width, height: bitmap.height };
}

function pixels(gl, { texture, width, height }) {
  const frame = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const data = new Uint8Array(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
  gl.deleteFramebuffer(frame);
  return data;
}

function positions(lows, highs, { mins, maxs }, count) {
  const means = new Float32Array(3 * count);
  for (let i = 0; i < count; i++) {
    for (let axis = 0; axis < 3; axis++) {
      const share = (lows[4 * i + axis] + 256 * highs[4 * i + axis]) / 65535;
      const log = mins[axis] + (maxs[axis] - mins[axis]) * share;
      means[3 * i + axis] = Math.sign(log) * Math.expm1(Math.abs(log));
    }
  }
  return means;
}

async function load(gl, program) {
  const { meta } = scene;
  const names = { lows: meta.means.files[0], highs: meta.means.files[1], sizes: meta.scales.files[0] };
  Object.assign(names, { quats: meta.quats.files[0], base: meta.sh0.files[0] });
  if (meta.shN) Object.assign(names, { palette: meta.shN.files[0], labels: meta.shN.files[1] });
  const images = {};
  for (const [unit, [name, file]] of Object.entries(names).entries()) {
    say("Unpacking", unit / 7);
    images[name] = await image(gl, unit, file);
    gl.uniform1i(gl.getUniformLocation(program, name), unit);
  }
  texture(gl, 7);
  const books = new Float32Array([...meta.scales.codebook, ...meta.sh0.codebook, ...(meta.shN?.codebook ?? Array(256).fill(0))]);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, 256, 3, 0, gl.RED, gl.FLOAT, books);
  for (const [name, unit] of [["books", 7], ...(meta.shN ? [] : [["palette", 7], ["labels", 7]])]) {
    gl.uniform1i(gl.getUniformLocation(program, name), unit);
  }
  gl.uniform3fv(gl.getUniformLocation(program, "low"), meta.means.mins);
  gl.uniform3fv(gl.getUniformLocation(program, "high"), meta.means.maxs);
  gl.uniform1i(gl.getUniformLocation(program, "coefficients"), [0, 3, 8, 15][meta.shN?.bands ?? 0]);
  gl.uniform1i(gl.getUniformLocation(program, "antialiased"), meta.antialias ? 1 : 0);
  const means = positions(pixels(gl, images.lows), pixels(gl, images.highs), meta.means, meta.count);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  return means;
}

// ---- drawing ----

function linked(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, SOURCES.vertex], [gl.FRAGMENT_SHADER, SOURCES.fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "no shader");
  gl.useProgram(program);
  return program;
}

function buffers(gl) {
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.enableVertexAttribArray(1);
  gl.vertexAttribIPointer(1, 1, gl.UNSIGNED_INT, 0, 0);
  gl.vertexAttribDivisor(1, 1);
}

async function begin() {
  clearInterval(coming);
  const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, powerPreference: "high-performance" });
  if (!gl) throw new Error("this browser has no WebGL 2, or it is turned off");
  const program = linked(gl);
  buffers(gl);
  const means = await load(gl, program);
  const at = (name) => gl.getUniformLocation(program, name);
  const places = { turn: at("turn"), eye: at("eye"), focal: at("focal"), screen: at("screen") };
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);

  const orbit = new Orbit(scene.eye, scene.target, scene.up);
  const sorter = new Worker(URL.createObjectURL(new Blob([SOURCES.sorter], { type: "text/javascript" })));
  let drawn = 0, sorting = false, sorted = null, due = false;

  const draw = () => {
    due = false;
    const ratio = Math.min(devicePixelRatio, MOST_PIXELS);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(1, Math.round(side * ratio)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const { right, down, forward } = orbit.axes();
    if (!sorting && (!sorted || dot(sorted, forward) < 0.99999)) {
      sorting = true;
      sorted = forward;
      sorter.postMessage({ forward });
    }
    const focal = Math.min(canvas.width, canvas.height) / 2 / FIELD;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.uniformMatrix3fv(places.turn, true, [...right, ...down, ...forward]);
    gl.uniform3fv(places.eye, orbit.eye());
    gl.uniform2f(places.focal, focal, focal);
    gl.uniform2f(places.screen, canvas.width, canvas.height);
    gl.clearColor(...scene.background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, drawn);
  };
  const redraw = () => {
    if (!due) requestAnimationFrame(draw);
    due = true;
  };
  sorter.onmessage = ({ data }) => {
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    drawn = data.length;
    sorting = false;
    loading.hidden = true;
    redraw();
  };
  sorter.postMessage({ means }, [means.buffer]);
  new ResizeObserver(redraw).observe(canvas);
  fromAddress(orbit);
  addEventListener("hashchange", () => { fromAddress(orbit); redraw(); });
  canvas.addEventListener("webglcontextlost", () => location.reload());
  handle(orbit, redraw);
  for (const id of ["tools", "hint"]) document.getElementById(id).hidden = false;
  setTimeout(() => document.getElementById("hint").classList.add("gone"), 8000);
}

// ---- mouse, fingers, keys, and views that can be shared: #eye=x,y,z&target=x,y,z ----

function fromAddress(orbit) {
  const told = new URLSearchParams(location.hash.slice(1));
  const [eye, target] = ["eye", "target"].map((name) => (told.get(name) ?? "").split(",").map(Number));
  if ([eye, target].every((p) => p.length === 3 && p.every(Number.isFinite))) orbit.set(eye, target, orbit.up);
}

function toAddress(orbit) {
  const [eye, target] = [orbit.eye(), orbit.target].map((p) => p.map((v) => Number(v.toPrecision(6))).join(","));
  history.replaceState(null, "", `#eye=${eye}&target=${target}`);
}

function handle(orbit, redraw) {
  const down = new Map();
  const middle = () => [...down.values()].reduce((a, p) => plus(a, p, 1 / down.size), [0, 0]);
  const apart = () => { const [a, b] = [...down.values()]; return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0; };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.clientX, event.clientY]);
    document.getElementById("hint").classList.add("gone");
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return;
    const before = middle(), gap = apart();
    down.set(event.pointerId, [event.clientX, event.clientY]);
    const [dx, dy] = times(plus(middle(), before, -1), 1 / Math.min(canvas.clientWidth, canvas.clientHeight));
    if (down.size > 1 || event.buttons & 2 || event.shiftKey) orbit.move(dx, dy);
    else orbit.turn(dx * Math.PI, dy * Math.PI);
    if (gap > 0 && apart() > 0) orbit.zoom(gap / apart());
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => { down.delete(event.pointerId); toAddress(orbit); });
  }
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    orbit.zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.03 : 0.001)));
    redraw();
  }, { passive: false });

  const turn = 0.08;
  const home = () => { orbit.reset(); history.replaceState(null, "", location.pathname + location.search); };
  const keys = {
    ArrowLeft: () => orbit.turn(-turn, 0), ArrowRight: () => orbit.turn(turn, 0),
    ArrowUp: () => orbit.turn(0, turn), ArrowDown: () => orbit.turn(0, -turn),
    "+": () => orbit.zoom(0.9), "=": () => orbit.zoom(0.9), "-": () => orbit.zoom(1.1),
    f: () => orbit.flip(), Home: home,
  };
  addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
    redraw();
  });
  document.getElementById("home").onclick = () => { home(); redraw(); };
  document.getElementById("flip").onclick = () => { orbit.flip(); redraw(); };
  const full = document.getElementById("full");
  full.hidden = !document.fullscreenEnabled;
  full.onclick = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
}

begin().catch((error) => {
  loading.hidden = false;
  loading.querySelector("progress").hidden = true;
  say(`The model cannot be shown: ${error.message}.`);
});
