/* AdaLoss's weights of given losses: data-losses='[2, 1, 0.5]'. With data-last the loss of the last exit can be moved, and begins
 * there; with data-offset something is added to every loss; data-floor is γ. Grey is what was before. */
window.exitWeights = (losses, floor, offset = 0) => {
  const least = Math.min(...losses) + offset;
  return losses.map((loss) => ((1 - floor) * least) / (loss + offset) + floor);
};

window.Explorable.define("exit-weights", [], (root) => {
  "use strict";

  const { make, slider, bars, barsPicture, listener } = window.Explorable;
  const { losses: given, last, offset = "0", floor = "0.07" } = root.dataset;
  const before = JSON.parse(given);
  const first = { losses: before, weights: window.exitWeights(before, Number(floor)) };
  const state = { last: Number(last ?? before.at(-1)), offset: Number(offset), floor: Number(floor) };
  const panels = { losses: barsPicture("Loss of each exit, before and now"), weights: barsPicture("Weight of each exit, before and now") };
  const line = make("p", { class: "exp-why" });
  const { element: heard, say } = listener();
  const ready = { yes: false };
  const change = (name, map = (value) => value) => (value) => {
    state[name] = map(value);
    if (ready.yes) show();
  };
  const power = (value) => Number((10 ** value).toPrecision(3));
  const knobs = [
    ...(last ? [slider("Loss of the last exit", { min: -2, max: 0.5, value: Math.log10(state.last) },
      (value) => power(value).toPrecision(2), change("last", power))] : []),
    ...(state.offset ? [slider("Added to every loss, δ", { min: 0, max: 2 * state.offset, value: state.offset },
      (value) => value.toFixed(2), change("offset"))] : []),
    slider("Floor, γ", { min: 0, max: 0.5, step: 0.01, value: state.floor }, (value) => value.toFixed(2), change("floor")),
  ];
  root.append(make("p", { class: "exp-legend" }, make("b", { class: "exp-pale-words" }, "■ before"), " ",
    make("b", { class: "exp-adaloss" }, "■ now")), panels.losses, panels.weights,
  make("div", { class: "exp-knobs" }, ...knobs.map((knob) => knob.element)), line, heard);

  function show() {
    const moved = [...before.slice(0, -1), state.last];
    const weights = window.exitWeights(moved, state.floor, state.offset);
    const both = (old, now) => [{ values: old, kind: "exp-pale-mark" }, { values: now, kind: "exp-adaloss" }];
    const losses = moved.map((loss) => loss + state.offset);
    bars(panels.losses, "Loss of each exit", both(first.losses, losses), [0, Math.max(...before, ...losses)]);
    bars(panels.weights, "Weight of each exit", both(first.weights, weights), [0, 1]);
    const ratio = Math.max(...weights) / Math.min(...weights);
    line.textContent = `The weights are ${weights.map((weight) => weight.toFixed(2)).join(", ")}. The largest is ${
      ratio.toPrecision(2)} times the smallest.`;
    say(line.textContent);
    root.dataset.shown = JSON.stringify(weights);
  }

  knobs.forEach((knob) => knob.update());
  ready.yes = true;
  show();
});
