/* Paired seeds: two methods that share their chance can be told apart by fewer runs than two that do not. */
window.PairedSeeds = (() => {
  "use strict";

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = (values) => values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0);
  const interval = (middle, half) => ({ middle, low: middle - half, high: middle + half });

  /** 95 % intervals (Student's t; t95[f - 1] is the quantile for f degrees of freedom). */
  const alone = (values, t95) =>
    interval(mean(values), t95[values.length - 2] * Math.sqrt(squares(values) / (values.length - 1) / values.length));
  const paired = (first, second, t95) => alone(second.map((value, i) => value - first[i]), t95);
  const unpaired = (first, second, t95) => {
    const n = first.length;
    const variance = (squares(first) + squares(second)) / (2 * n - 2);
    return interval(mean(second) - mean(first), t95[2 * n - 3] * Math.sqrt((2 * variance) / n));
  };
  const correlation = (first, second) => {
    const [a, b] = [mean(first), mean(second)];
    const product = first.reduce((sum, value, i) => sum + (value - a) * (second[i] - b), 0);
    return product / Math.sqrt(squares(first) * squares(second));
  };

  /** Errors of two methods with n seeds: each has the spread 1, the second is worse by `gap`, `shared` is their correlation. */
  function simulate(n, shared, gap, seed) {
    const draw = window.normalDeviates(1000 * seed);
    const pairs = Array.from({ length: n }, () => {
      const [both, one, other] = [draw.next().value, draw.next().value, draw.next().value];
      const own = Math.sqrt(1 - shared);
      return [Math.sqrt(shared) * both + own * one, gap + Math.sqrt(shared) * both + own * other];
    });
    return [pairs.map(([first]) => first), pairs.map(([, second]) => second)];
  }

  return { alone, paired, unpaired, correlation, simulate };
})();

window.Explorable.define("paired-seeds", ["../explorables-data.js", "../deviates.js"], (root) => {
  "use strict";

  const { pairedSeeds, t95 } = window.EXPLORABLES_DATA;
  const { make, draw, slider, button, picture, listener } = window.Explorable;
  const { paired, unpaired, correlation, simulate } = window.PairedSeeds;
  const state = { recorded: true, seeds: 6, shared: 0.8, draw: 1 };
  /* The first exit shares much chance, the last one little. */
  const recorded = pairedSeeds.flatMap(({ title, errors }) => [[0, "First exit"], [-1, "Last exit"]].map(([exit, where]) =>
    ({ title: `${where}: ${title}`, where, errors: errors.map((runs) => runs.map((run) => 100 * run.at(exit))) })));
  const runs = picture(260, 250, "Errors of two methods, those of the same seed joined by a line");
  const intervals = picture(300, 250, "Intervals of their difference, as if not paired and seed by seed");
  const line = make("p", { class: "exp-why" });
  const { element: heard, say } = listener();
  const choose = make("select", { "aria-label": "Recorded runs" },
    ...recorded.map(({ title }, place) => make("option", { value: place }, title)));
  const ready = { yes: false };
  const change = (name) => (value) => {
    state[name] = value;
    if (ready.yes) open(false);
  };
  const seeds = slider("Seeds", { min: 3, max: 16, step: 1, value: state.seeds }, String, change("seeds"));
  const shared = slider("Chance that both share", { min: 0, max: 0.98, step: 0.02, value: state.shared },
    (share) => `${Math.round(100 * share)} %`, change("shared"));
  const kept = button("The recorded runs", () => open(true));
  const again = button("Simulate new seeds", () => {
    state.draw += 1;
    open(false);
  });
  choose.addEventListener("change", () => open(true));
  root.append(...(recorded.length ? [choose] : []), make("div", { class: "exp-pictures" }, runs, intervals),
    make("div", { class: "exp-play" }, ...(recorded.length ? [kept] : []), again),
    make("div", { class: "exp-knobs" }, seeds.element, shared.element), line, heard);

  function open(fromRecords) {
    state.recorded = fromRecords;
    kept.setAttribute("aria-pressed", fromRecords);
    if (fromRecords) show(...recorded[choose.value].errors, ["CONST", "AdaLoss"], `Errors of the ${recorded[choose.value].where.toLowerCase()}, %`);
    else show(...simulate(state.seeds, state.shared, 0.6, state.draw), ["method A", "method B"], "Errors, simulated");
  }

  function show(first, second, names, title) {
    const colours = state.recorded ? ["exp-const", "exp-adaloss"] : ["exp-pale-mark", "exp-mark"]; // A and B are no weightings
    const differences = [unpaired(first, second, t95), paired(first, second, t95)];
    const all = [...first, ...second];
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const y = (value) => 222 - ((value - low) / (high - low)) * 180;
    const dots = first.map((value, i) => draw("g", {}, draw("path",
      { d: `M70 ${y(value)}L210 ${y(second[i])}`, class: second[i] > value ? "exp-up" : "exp-down" }),
    draw("circle", { cx: 70, cy: y(value), r: 5, class: colours[0] }),
    draw("circle", { cx: 210, cy: y(second[i]), r: 5, class: colours[1] })));
    const text = (x, y, words, kind = "", anchor = "middle") => draw("text", { x, y, class: kind, "text-anchor": anchor }, words);
    runs.replaceChildren(text(140, 16, title, "exp-title"), text(70, 244, names[0]), text(210, 244, names[1]),
      ...[low, high].map((value) => text(52, y(value) + 4, value.toFixed(1), "exp-small", "end")), ...dots);
    const widest = Math.max(...differences.flatMap(({ low: from, high: to }) => [-from, to]));
    const x = (value) => 150 + (value / widest) * 140;
    const rows = differences.map(({ middle, low: from, high: to }, i) => draw("g", {},
      text(150, 82 + 80 * i, i ? "seed by seed" : "as if not paired", "exp-name"),
      draw("path", { d: `M${x(from)} ${104 + 80 * i}H${x(to)}`, class: i ? "exp-interval" : "exp-interval exp-pale" }),
      draw("circle", { cx: x(middle), cy: 104 + 80 * i, r: 6, class: i ? "exp-mark" : "exp-pale-mark" })));
    intervals.replaceChildren(text(150, 16, "Difference, 95 % intervals", "exp-title"),
      draw("path", { d: "M150 50V215", class: "exp-axis" }), text(150, 232, "no difference", "exp-small"), ...rows);
    const half = ({ low: from, high: to }) => (to - from) / 2;
    const [apart, together] = differences.map(half);
    const r = correlation(first, second);
    const compared = apart > 1.05 * together ? `${(apart / together).toFixed(1)} times as wide as` : "no wider than";
    line.textContent = `${first.length} seeds. The errors of the two methods ${r > 0.3 ? "rise and fall together" : "hardly rise and fall together"
      } (correlation ${r.toFixed(2).replace("-", "−")}). The interval that forgets the pairs is ${compared} the paired one.`;
    say(line.textContent);
    root.dataset.shown = JSON.stringify(differences);
  }

  [seeds, shared].forEach((knob) => knob.update());
  ready.yes = true;
  open(recorded.length > 0);
});
