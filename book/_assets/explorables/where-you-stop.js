/* Which of two trained networks errs less, if each exit gives the answer with a known probability? From recorded runs, seed by
 * seed. data-ratio: how much more likely the next exit is than the one before. */
window.stopping = (ratio, exits) => {
  const shares = Array.from({ length: exits }, (_, i) => ratio ** i);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
};

window.Explorable.define("where-you-stop", ["../explorables-data.js", "paired-seeds.js"], (root) => {
  "use strict";

  const { pairedSeeds, t95 } = window.EXPLORABLES_DATA;
  const { make, draw, slider, picture, bars, barsPicture, listener } = window.Explorable;
  if (!pairedSeeds.length) return;
  const [{ title, errors }] = pairedSeeds;
  const chances = barsPicture("How often each exit gives the answer");
  const interval = picture(560, 90, "Interval of the difference in errors");
  const line = make("p", { class: "exp-why" });
  const { element: heard, say } = listener();
  const knob = slider("How likely the next exit is, over the one before", { min: -2, max: 2, step: 0.1, value: Math.log2(root.dataset.ratio ?? 0.5) },
    (power) => `${(2 ** power).toPrecision(2)} times`, (power) => show(2 ** power));
  root.append(chances, interval, make("div", { class: "exp-knobs" }, knob.element), line, heard);

  function show(ratio) {
    const shares = window.stopping(ratio, errors[0][0].length);
    const expected = errors.map((runs) => runs.map((run) => run.reduce((sum, error, i) => sum + 100 * shares[i] * error, 0)));
    const [one, other] = expected.map((values) => values.reduce((sum, value) => sum + value, 0) / values.length);
    const { middle, low, high } = window.PairedSeeds.paired(...expected, t95);
    bars(chances, "How often each exit gives the answer", [{ values: shares, kind: "exp-mark" }], [0, Math.max(...shares)]);
    const x = (value) => 280 + (value / Math.max(-low, high, 0.01)) * 260;
    const text = (at, words, anchor) => draw("text", { x: at, y: 84, "text-anchor": anchor, class: "exp-small" }, words);
    interval.replaceChildren(draw("path", { d: "M280 20V66", class: "exp-axis" }),
      draw("path", { d: `M${x(low)} 43H${x(high)}`, class: "exp-interval" }), draw("circle", { cx: x(middle), cy: 43, r: 6, class: "exp-mark" }),
      text(0, "← AdaLoss makes fewer errors", "start"), text(560, "CONST makes fewer errors →", "end"));
    const clear = low > 0 ? "CONST makes fewer errors" : high < 0 ? "AdaLoss makes fewer errors" : "Chance could explain the difference";
    line.textContent = `${clear}: CONST errs on ${one.toFixed(1)} % of its answers and AdaLoss on ${other.toFixed(1)} % (${title}, ${
      errors[0].length} seeds). The bar is the 95 % interval of the difference.`;
    say(line.textContent);
    root.dataset.shown = JSON.stringify([one, other, low, high]);
  }

  knob.update();
});
