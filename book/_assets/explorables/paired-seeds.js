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

  /** Standard normal deviates, the same for the same number. */
  function* deviates(seed) {
    const uniform = () => {
      seed = (seed + 0x6d2b79f5) | 0; // mulberry32
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    for (;;) yield Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  /** Errors of two methods with n seeds: each has the spread 1, the second is worse by `gap`, `shared` is their correlation. */
  function simulate(n, shared, gap, seed) {
    const draw = deviates(1000 * seed);
    const pairs = Array.from({ length: n }, () => {
      const [both, one, other] = [draw.next().value, draw.next().value, draw.next().value];
      const own = Math.sqrt(1 - shared);
      return [Math.sqrt(shared) * both + own * one, gap + Math.sqrt(shared) * both + own * other];
    });
    return [pairs.map(([first]) => first), pairs.map(([, second]) => second)];
  }

  return { alone, paired, unpaired, correlation, simulate };
})();

window.Explorable.define("paired-seeds", { data: true }, (root, data) => {
  "use strict";

  const { pairedSeeds, t95 } = data;
  const { make, draw, slider, button, picture, listener } = window.Explorable;
  const { paired, unpaired, correlation, simulate } = window.PairedSeeds;
  const state = { recorded: true, seeds: 6, shared: 0.8, draw: 1 };
  const runs = picture(260, 250, "Errors of two methods, those of the same seed joined by a line");
  const intervals = picture(300, 250, "Intervals of their difference, as if not paired and seed by seed");
  const line = make("p", { class: "exp-why" });
  const { element: heard, say } = listener();
  const ready = { yes: false };
  const change = (name) => (value) => {
    state[name] = value;
    if (ready.yes) open(false);
  };
  const seeds = slider("Seeds", { min: 3, max: 16, step: 1, value: state.seeds }, String, change("seeds"));
  const shared = slider("Chance that both share", { min: 0, max: 0.98, step: 0.02, value: state.shared },
    (share) => `${Math.round(100 * share)} %`, change("shared"));
  const recorded = button("The recorded runs", () => open(true));
  const again = button("Simulate new seeds", () => {
    state.draw += 1;
    open(false);
  });
  root.append(make("div", { class: "exp-pictures" }, runs, intervals), make("div", { class: "exp-play" }, recorded, again),
    make("div", { class: "exp-knobs" }, seeds.element, shared.element), line, heard);

  function open(fromRecords) {
    state.recorded = fromRecords;
    recorded.setAttribute("aria-pressed", fromRecords);
    const errors = fromRecords ? pairedSeeds.errors.map((one) => one.map((share) => 100 * share))
      : simulate(state.seeds, state.shared, 0.6, state.draw);
    show(...errors);
  }

  function show(first, second) {
    const names = state.recorded ? ["CONST", "AdaLoss"] : ["method A", "method B"];
    const differences = [unpaired(first, second, t95), paired(first, second, t95)];
    const all = [...first, ...second];
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const y = (value) => 222 - ((value - low) / (high - low)) * 180;
    const dots = first.map((value, i) => draw("g", {}, draw("path",
      { d: `M70 ${y(value)}L210 ${y(second[i])}`, class: second[i] > value ? "exp-up" : "exp-down" }),
    draw("circle", { cx: 70, cy: y(value), r: 5, class: "exp-const" }),
    draw("circle", { cx: 210, cy: y(second[i]), r: 5, class: "exp-adaloss" })));
    const text = (x, y, words, kind = "", anchor = "middle") => draw("text", { x, y, class: kind, "text-anchor": anchor }, words);
    runs.replaceChildren(text(140, 16, state.recorded ? "Errors at the last exit, %" : "Errors, simulated", "exp-title"),
      text(70, 244, names[0]), text(210, 244, names[1]),
      ...[low, high].map((value) => text(52, y(value) + 4, value.toFixed(1), "exp-small", "end")), ...dots);
    const widest = Math.max(...differences.flatMap(({ low: from, high: to }) => [-from, to]));
    const x = (value) => 150 + (value / widest) * 140;
    const rows = differences.map(({ middle, low: from, high: to }, i) => draw("g", {},
      text(150, 82 + 80 * i, i ? "seed by seed" : "as if not paired", "exp-name"),
      draw("path", { d: `M${x(from)} ${104 + 80 * i}H${x(to)}`, class: i ? "exp-interval" : "exp-interval exp-pale" }),
      draw("circle", { cx: x(middle), cy: 104 + 80 * i, r: 6, class: i ? "exp-adaloss" : "exp-const" })));
    intervals.replaceChildren(text(150, 16, "Difference, 95 % intervals", "exp-title"),
      draw("path", { d: "M150 50V215", class: "exp-axis" }), text(150, 232, "no difference", "exp-small"), ...rows);
    const half = ({ low: from, high: to }) => (to - from) / 2;
    const [apart, together] = differences.map(half);
    const r = correlation(first, second);
    const compared = apart > together ? `${(apart / together).toFixed(1)} times as wide as` : "no wider than";
    line.textContent = `${first.length} seeds. The errors of the two methods ${r > 0.3 ? "rise and fall together" : "hardly rise and fall together"
      } (correlation ${r.toFixed(2)}). The interval that forgets the pairs is ${compared} the paired one.`;
    say(line.textContent);
    root.dataset.shown = JSON.stringify(differences);
  }

  [seeds, shared].forEach((knob) => knob.update());
  ready.yes = true;
  open(Boolean(pairedSeeds));
});
