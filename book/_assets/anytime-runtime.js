/* A trained anytime network that runs in the page, exit by exit, and can be stopped.
 *
 *   const run = AnytimeRuntime.start(window.ANYTIME_NETWORKS["garments"], pixels);
 *   run.next();            // computes the next segment and its head alone; probabilities of that exit, null at the end
 *   run.exit;              // the last exit that answered, 0 before the first; run.exits is their number
 *   run.probabilities;     // its answer, a Float32Array, null before the first
 *   run.stop();            // from now on the answer stays what it is
 *   run.milliseconds;      // of computing so far, rests left out
 *   await run.play((run) => { … }, 50);  // all exits, with the page given back, here for 50 ms, after each convolution
 *
 * Pixels are [H, W, C] from 0 to 255. Networks are scripts by anytime_study/pages/live_networks.py, which says what is
 * in them. Maps are Float32Arrays [H, W, C]. No framework and no worker, so that pages opened from disk work too.
 */
window.AnytimeRuntime = (() => {
  "use strict";

  const LONGEST = 8; // milliseconds that a convolution holds the page
  const [REST, BREATH] = [true, false]; // why the page is given back: a reader may watch, or it has been held long enough
  const decoded = new WeakMap(); // by network: its weights, decoded once

  /** The page's turn: it draws and hears its reader. */
  const rest = (milliseconds) => new Promise((turn) => setTimeout(turn, milliseconds));

  /** The bytes of a text in base64. */
  function bytes(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer; // at once, where browsers have it
    const letters = atob(text);
    const out = new Uint8Array(letters.length);
    for (let i = 0; i < out.length; i++) out[i] = letters.charCodeAt(i);
    return out.buffer;
  }

  /** Layers with their weights, which stand in two rows in the order in which they are used. A kernel becomes numbers
   * when it is used first: all at once would hold up the page on a phone. */
  function decode(network) {
    const kernels = new Int16Array(bytes(network.kernels));
    const numbers = new Float32Array(bytes(network.numbers));
    let read = 0; // of the kernels
    let used = 0; // of the numbers
    const take = (count) => numbers.subarray(used, (used += count));

    function convolution(before, after) {
      const whole = kernels.subarray(read, (read += 9 * before * after)); // [after / 4, 3, 3, before, 4]
      return { whole, scale: take(after), bias: take(after), before, after };
    }

    const classes = network.classes.length;
    let width = network.channels[0][0]; // the first unit keeps the channels of the first convolution
    const stem = convolution(network.shape[2], width);
    const segments = network.channels.map((widths) => {
      const units = widths.map((after) => {
        const before = width;
        width = after;
        const norm = { scale: take(before), shift: take(before) };
        return { ...norm, first: convolution(before, after), second: convolution(after, after) };
      });
      return { units, weight: take(classes * width), bias: take(classes) };
    });
    return { stem, segments };
  }

  /** The kernel of a convolution, float32 in the order of its whole numbers. */
  function kernelOf(layer) {
    const { whole, scale, before, after } = layer;
    if (!layer.kernel) {
      layer.kernel = new Float32Array(whole.length);
      for (let o = 0, i = 0; o < after; o += 4)
        for (const end = i + 36 * before; i < end; i++) layer.kernel[i] = whole[i] * scale[o + (i & 3)];
    }
    return layer.kernel;
  }

  /** A map with a frame of one zero around it: convolutions then need not ask where the border is. */
  const framed = (h, w, c) => ({ h, w, c, data: new Float32Array((h + 2) * (w + 2) * c) });

  /** 3×3 convolution of a framed map, plus bias, into `output`, which has a frame too where `frame` says so. It gives
   * the page back after some milliseconds: the first rows are slow, until the browser has compiled them. */
  function* convolve(input, layer, stride, output, how) {
    const kernel = kernelOf(layer);
    let began = performance.now();
    for (let y = 0; y < output.h; y++) {
      convolveRow(y, input, layer, kernel, stride, output, how);
      if (performance.now() - began < LONGEST) continue;
      yield BREATH;
      began = performance.now();
    }
    return output;
  }

  /** Four output channels of two neighbouring pixels are summed in local variables: every number that is loaded is then
   * used two or four times, which makes this three times as fast as plain loops. */
  function convolveRow(y, input, { bias, before, after }, kernel, stride, output, { relu, frame }) {
    const { data } = input;
    const row = (input.w + 2) * before;
    const length = 3 * before; // three neighbouring pixels are one piece of a row
    const { w } = output;
    const out = output.data;
    for (let x = 0; x < w; x += 2) {
      const x2 = Math.min(x + 1, w - 1); // an odd last column is computed twice
      for (let o = 0; o < after; o += 4) {
        let a0 = bias[o], a1 = bias[o + 1], a2 = bias[o + 2], a3 = bias[o + 3];
        let b0 = a0, b1 = a1, b2 = a2, b3 = a3;
        let k = 9 * before * o;
        for (let dy = 0; dy < 3; dy++) {
          let p = (y * stride + dy) * row + x * stride * before;
          let q = p + (x2 - x) * stride * before;
          for (const end = p + length; p < end; p++, q++, k += 4) {
            const a = data[p], b = data[q];
            const k0 = kernel[k], k1 = kernel[k + 1], k2 = kernel[k + 2], k3 = kernel[k + 3];
            a0 += a * k0; a1 += a * k1; a2 += a * k2; a3 += a * k3;
            b0 += b * k0; b1 += b * k1; b2 += b * k2; b3 += b * k3;
          }
        }
        if (relu) {
          a0 = Math.max(a0, 0); a1 = Math.max(a1, 0); a2 = Math.max(a2, 0); a3 = Math.max(a3, 0);
          b0 = Math.max(b0, 0); b1 = Math.max(b1, 0); b2 = Math.max(b2, 0); b3 = Math.max(b3, 0);
        }
        const start = frame ? (y + 1) * (w + 2) + 1 : y * w;
        const i = (start + x) * after + o;
        const j = (start + x2) * after + o;
        out[i] = a0; out[i + 1] = a1; out[i + 2] = a2; out[i + 3] = a3;
        out[j] = b0; out[j + 1] = b1; out[j + 2] = b2; out[j + 3] = b3;
      }
    }
  }

  /** The pixels of a map in a frame, each number changed by change(number, channel). */
  function intoFrame({ data, h, w, c }, change) {
    const out = framed(h, w, c);
    for (let y = 0, i = 0; y < h; y++)
      for (let x = 0, j = ((y + 1) * (w + 2) + 1) * c; x < w; x++)
        for (let channel = 0; channel < c; channel++) out.data[j++] = change(data[i++], channel);
    return out;
  }

  /** x plus its residual, with a rest after the first convolution. Where channels double, x becomes 2×2 averages with
   * zero channels added on both sides. */
  function* runUnit(x, { scale, shift, first, second }) {
    const stride = first.after / first.before;
    const [h, w, c] = [Math.ceil(x.h / stride), Math.ceil(x.w / stride), first.after];
    const active = intoFrame(x, (value, channel) => Math.max(0, value * scale[channel] + shift[channel]));
    const inner = yield* convolve(active, first, stride, framed(h, w, c), { relu: true, frame: true });
    yield REST;
    const sum = yield* convolve(inner, second, 1, { h, w, c, data: new Float32Array(h * w * c) }, {});
    const before = stride === 1 ? x : average(x, h, w);
    const side = (c - x.c) / 2;
    for (let i = 0, pixel = 0; pixel < h * w; pixel++)
      for (let channel = 0; channel < x.c; channel++) sum.data[pixel * c + side + channel] += before.data[i++];
    return sum;
  }

  /** Averages of 2×2 pixels, or of those that exist at the border of an odd size. */
  function average({ data, w, h, c }, outH, outW) {
    const out = new Float32Array(outH * outW * c);
    for (let y = 0; y < h; y++)
      for (let x = 0; x < w; x++) {
        const cells = Math.min(2, h - (y & ~1)) * Math.min(2, w - (x & ~1));
        const j = ((y >> 1) * outW + (x >> 1)) * c;
        for (let channel = 0; channel < c; channel++) out[j + channel] += data[(y * w + x) * c + channel] / cells;
      }
    return { data: out };
  }

  /** Softmax of the linear layer on the average of ReLU(x) over the pixels. */
  function runHead({ data, h, w, c }, { weight, bias }) {
    const mean = new Float32Array(c);
    for (let i = 0; i < data.length; i++) mean[i % c] += Math.max(0, data[i]) / (h * w);
    const logits = bias.map((start, k) => mean.reduce((sum, value, i) => sum + value * weight[k * c + i], start));
    const largest = Math.max(...logits);
    const powers = logits.map((logit) => Math.exp(logit - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    return powers.map((power) => power / total);
  }

  /** Begin with an image; nothing is computed yet. */
  function start(network, pixels) {
    const [h, w, c] = network.shape;
    if (pixels.length !== h * w * c) throw new Error(`pixels: expected ${h}·${w}·${c} numbers, found ${pixels.length}`);
    if (!decoded.has(network)) decoded.set(network, decode(network));
    const { stem, segments } = decoded.get(network);
    const { mean, std } = network;
    let map = null; // after the last segment whose exit answered
    let stopped = false;

    /** The next segment and its head, with a rest after each convolution. It changes nothing of the run: an answer
     * counts only when it is taken. */
    function* compute() {
      let x = map;
      if (x === null) {
        const normalise = (value, channel) => (value / 255 - mean[channel]) / std[channel];
        const output = { h, w, c: stem.after, data: new Float32Array(h * w * stem.after) };
        x = yield* convolve(intoFrame({ data: pixels, h, w, c }, normalise), stem, 1, output, {});
        yield REST;
      }
      for (const unit of segments[run.exit].units) {
        x = yield* runUnit(x, unit);
        yield REST;
      }
      return { after: x, probabilities: runHead(x, segments[run.exit]) };
    }

    /** The next value of compute(), timed. */
    function step(steps) {
      const began = performance.now();
      const found = steps.next();
      run.milliseconds += performance.now() - began;
      return found;
    }

    function take({ after, probabilities }) {
      map = after;
      run.exit += 1;
      return (run.probabilities = probabilities);
    }

    const ended = () => stopped || run.exit === run.exits;
    const run = {
      exit: 0,
      exits: segments.length,
      probabilities: null,
      milliseconds: 0,
      next: () => {
        if (ended()) return null;
        const steps = compute();
        let found = step(steps);
        while (!found.done) found = step(steps);
        return take(found.value);
      },
      stop: () => {
        stopped = true;
      },
      /** Answered(run) is called at each exit. A stop that comes while segment k is computed leaves the answer of exit
       * k - 1: the page has its turn once more before exit k answers. */
      play: async (answered, milliseconds = 0) => {
        await rest(0); // starting took a turn of its own
        while (!ended()) {
          const { exit } = run;
          const steps = compute();
          let found = step(steps);
          while (!found.done) {
            await rest(found.value === REST ? milliseconds : 0);
            if (stopped || run.exit !== exit) break; // or the exit was asked for by next() meanwhile
            found = step(steps);
          }
          if (!found.done) continue;
          take(found.value);
          answered(run);
        }
      },
    };
    return run;
  }

  return { start };
})();
