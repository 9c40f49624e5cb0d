/* Two exits that compete: how far the weightings let each of them come to its own best (theory/linear_residual.py).
 *
 * ℓ1 = (u - ρ)² + k + σ² and ℓ2 = k u² + σ² with k = 1 - ρ²: exit 1 wants u = ρ, exit 2 wants u = 0. */
window.TwoExits = (() => {
  "use strict";

  const optima = (rho, sigma2) => [1 - rho ** 2 + sigma2, sigma2];
  const losses = (rho, sigma2, u) => {
    const [first, second] = optima(rho, sigma2);
    return [first + (u - rho) ** 2, second + (1 - rho ** 2) * u ** 2];
  };

  /** Where B1 ℓ1 + B2 ℓ2 is least. */
  const at = (rho, first, second) => (rho * first) / (first + (1 - rho ** 2) * second);

  /** AdaLoss's weights with the floor γ, the largest 1. */
  const weights = ([first, second], gamma) => {
    const least = Math.min(first, second);
    return [first, second].map((loss) => ((1 - gamma) * least) / loss + gamma);
  };

  /** Where AdaLoss comes to rest, begun where the losses are equal. */
  function adaloss(rho, sigma2, gamma) {
    let u = at(rho, 1, 1);
    for (let step = 0; step < 100000; step++) {
      const moved = at(rho, ...weights(losses(rho, sigma2, u), gamma));
      if (Math.abs(moved - u) < 1e-15) return moved;
      u = moved;
    }
    return u;
  }

  /** Where ℓ1 ℓ2 is least of all: a root of 2k u³ - 3ρk u² + (σ² + k + kσ²) u - ρσ² between 0 and ρ. */
  function geometric(rho, sigma2) {
    const k = 1 - rho ** 2;
    const slope = (u) => 2 * k * u ** 3 - 3 * rho * k * u ** 2 + (sigma2 + k + k * sigma2) * u - rho * sigma2;
    const bend = 9 * rho ** 2 * k ** 2 - 6 * k * (sigma2 + k + k * sigma2); // where the slope turns, if it does
    const turns = bend > 0 ? [-1, 1].map((sign) => (3 * rho * k + sign * Math.sqrt(bend)) / (6 * k)) : [];
    const ends = [0, ...turns.filter((u) => u > 0 && u < rho), rho];
    let best = null;
    for (let i = 1; i < ends.length; i++) {
      let [low, high] = [ends[i - 1], ends[i]];
      if (slope(low) * slope(high) > 0) continue;
      const rises = slope(high) >= slope(low);
      for (let step = 0; step < 100; step++) {
        const middle = (low + high) / 2;
        if (slope(middle) > 0 === rises) high = middle;
        else low = middle;
      }
      const [first, second] = losses(rho, sigma2, low);
      if (!best || first * second < best.product) best = { u: low, product: first * second };
    }
    return best.u;
  }

  return { optima, losses, at, weights, adaloss, geometric };
})();

window.Explorable.define("two-exits", [], (root) => {
  "use strict";

  const { make, draw, slider, picture, listener } = window.Explorable;
  const { optima, losses, weights, adaloss, geometric, at } = window.TwoExits;
  const [WIDTH, HEIGHT, LEFT, BOTTOM] = [520, 330, 62, 46];
  const state = { rho: 0.8, sigma2: Number(root.dataset.sigma2 ?? 0.01), gamma: 0.07, logs: false };
  const svg = picture(WIDTH, HEIGHT, "Loss of exit 2 against loss of exit 1, with the best compromises and four weightings");
  const table = make("table");
  const why = make("p", { class: "exp-why" });
  const { element: heard, say } = listener();
  const logs = make("input", { type: "checkbox" });
  logs.addEventListener("change", () => {
    state.logs = logs.checked;
    show();
  });
  const ready = { yes: false };
  const change = (name, map = (value) => value) => (value) => {
    state[name] = map(value);
    if (ready.yes) show();
  };
  const knobs = [
    slider("Noise that no exit can predict, σ²", { min: -3, max: 0, step: 0.05, value: Math.log10(state.sigma2) },
      (power) => (10 ** power).toPrecision(2), change("sigma2", (power) => 10 ** power)),
    slider("Correlation of the inputs, ρ", { min: 0.05, max: 0.95, step: 0.01, value: 0.8 }, (rho) => rho.toFixed(2),
      change("rho")),
    slider("Floor of AdaLoss, γ", { min: 0, max: 1, step: 0.01, value: 0.07 }, (gamma) => gamma.toFixed(2), change("gamma")),
  ];
  root.append(svg, make("label", { class: "exp-check" }, logs, " axes of ln ℓ"),
    make("div", { class: "exp-knobs" }, ...knobs.map((knob) => knob.element)), table, why, heard);

  /** A loss as a multiple of the smallest possible one. */
  const times = (loss, smallest) => (loss / smallest).toPrecision(3);

  function show() {
    const { rho, sigma2, gamma } = state;
    const best = optima(rho, sigma2);
    const points = [
      { name: "CONST", u: at(rho, 1, 1), shape: "square" },
      { name: "geometric mean (γ = 0)", u: geometric(rho, sigma2), shape: "ring" },
      { name: `AdaLoss (γ = ${gamma.toFixed(2)})`, u: adaloss(rho, sigma2, gamma), shape: "dot" },
    ].map((point) => ({ ...point, losses: losses(rho, sigma2, point.u) }));
    const curve = Array.from({ length: 101 }, (_, i) => losses(rho, sigma2, (i / 100) * rho));
    const scale = state.logs ? Math.log : (x) => x;
    const range = (axis) => { // room below for a name
      const all = curve.map((point) => scale(point[axis]));
      const [low, high] = [Math.min(...all), Math.max(...all)];
      return [low - [0.16, 0.26][axis] * (high - low), high + 0.14 * (high - low)];
    };
    const [[x0, x1], [y0, y1]] = [range(0), range(1)];
    const x = (loss) => LEFT + ((scale(loss) - x0) / (x1 - x0)) * (WIDTH - LEFT - 12);
    const y = (loss) => HEIGHT - BOTTOM - ((scale(loss) - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - 12);
    const line = (pairs, attributes) =>
      draw("polyline", { fill: "none", points: pairs.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), ...attributes });
    /* Points of equal sum or equal product with a point, across the picture. */
    const inverse = state.logs ? Math.exp : (value) => value;
    const across = Array.from({ length: 101 }, (_, i) => inverse(x0 + (i / 100) * (x1 - x0)));
    const level = ([first, second], other) => across.map((a) => [a, other(a, first, second)])
      .filter(([, b]) => b > 0 && scale(b) >= y0 && scale(b) <= y1);
    const [sum, product] = [points[0].losses, points[1].losses];
    const marks = points.map(({ name, losses: [first, second], shape }, i) => {
      const [cx, cy] = [x(first), y(second)];
      const mark = shape === "square" ? draw("rect", { x: cx - 6, y: cy - 6, width: 12, height: 12 })
        : draw("circle", { cx, cy, r: shape === "ring" ? 10 : 6 });
      mark.setAttribute("class", `exp-${shape}`);
      return draw("g", {}, mark, draw("text", { x: [cx + 14, Math.min(cx + 60, WIDTH - 8), cx - 16][i], y: cy + [-8, -26, 18][i],
        "text-anchor": i ? "end" : "start", class: `exp-name exp-${shape}-name` }, name.split(" (")[0]));
    });
    svg.replaceChildren(
      draw("path", { d: `M${LEFT} 12V${HEIGHT - BOTTOM}H${WIDTH - 12}`, class: "exp-axis" }),
      draw("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, state.logs ? "ln of the loss of exit 1" : "loss of exit 1"),
      draw("text", { x: 16, y: HEIGHT / 2 - 15, "text-anchor": "middle", transform: `rotate(-90 16 ${HEIGHT / 2 - 15})` },
        state.logs ? "ln of the loss of exit 2" : "loss of exit 2"),
      ...curve.filter((_, i) => i % 100 === 0).map(([first, second], i) => draw("text",
        { x: x(first) + (i ? 2 : 44), y: y(second) + (i ? -10 : 34), "text-anchor": i ? "start" : "end", class: "exp-small" },
        i ? "best for exit 1" : "best for exit 2")),
      line(level(sum, (a, first, second) => first + second - a), { class: "exp-level-sum" }),
      line(level(product, (a, first, second) => (first * second) / a), { class: "exp-level-product" }),
      line(curve, { class: "exp-front" }), ...marks);
    const rows = points.map((point) => make("tr", {}, make("th", { scope: "row" }, point.name),
      ...point.losses.map((loss, i) => make("td", {}, times(loss, best[i])))));
    table.replaceChildren(make("thead", {}, make("tr", {}, make("td"), make("th", { scope: "col" }, "exit 1, times its best"),
      make("th", { scope: "col" }, "exit 2, times its best"))), make("tbody", {}, ...rows));
    const [first, second] = weights(points[2].losses, gamma);
    const ratio = second >= first ? `exit 2 weighs ${(second / first).toPrecision(2)} times as much as exit 1`
      : `exit 1 weighs ${(first / second).toPrecision(2)} times as much as exit 2`;
    why.textContent = `Where AdaLoss rests, ${ratio}. ${state.logs
      ? "On logarithms, equal products are a straight line: the geometric mean is to ln ℓ as CONST is to ℓ."
      : "CONST lies where a straight line of equal sums touches the curve, the geometric mean where a line of equal products does."}`;
    root.dataset.shown = JSON.stringify(points.map((point) => point.u));
    say(`${points.map((point) => `${point.name}: ${point.losses.map((loss, i) => times(loss, best[i])).join(" and ")} times the best`).join(". ")}.`);
  }

  knobs.forEach((knob) => knob.update());
  ready.yes = true;
  show();
});
