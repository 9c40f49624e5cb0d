/* Errors of several networks over the budget, and a budget to move: data-curves='{"x": …, "budget": …, "curves": [{"name", "kind",
 * "costs", "errors"}]}'. Errors are in per cent; a network keeps an answer until its next exit is done. */
window.Explorable.define("stop-curves", [], (root) => {
  "use strict";

  const { make, draw, slider, picture, listener } = window.Explorable;
  const { x: what, budget, curves } = JSON.parse(root.dataset.curves);
  const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [560, 300, 48, 44, 14];
  const svg = picture(WIDTH, HEIGHT, `Test errors of ${curves.map(({ name }) => name).join(", ")}, against the ${what}`);
  const line = make("p", { class: "exp-why" });
  const { element: heard, say } = listener();
  const all = (key) => curves.flatMap((curve) => curve[key]);
  const [least, most] = [Math.min(...all("costs")), 1.08 * Math.max(...all("costs"))];
  const top = 1.05 * Math.max(...all("errors"));
  const x = (cost) => LEFT + (Math.log(cost / least) / Math.log(most / least)) * (WIDTH - LEFT - 8);
  const y = (error) => HEIGHT - BOTTOM - (error / top) * (HEIGHT - BOTTOM - TOP);
  const shown = (cost) => String(Number(cost.toPrecision(2)));
  const legend = curves.map(({ name, kind }) => make("b", { class: `exp-of-${kind}` }, `${kind.endsWith("dashed") ? "┄" : "—"} ${name}`));

  const steps = ({ costs, errors }) => costs.map((cost, i) => `${i ? `H${x(cost)}V` : `M${x(cost)} `}${y(errors[i])}`).join("") + `H${x(most)}`;
  const at = ({ costs, errors }, limit) => errors[costs.findLastIndex((cost) => cost <= limit)];

  const knob = slider(`Budget, ${what}`, { min: Math.log(least), max: Math.log(most), value: Math.log(budget) },
    (log) => shown(Math.exp(log)), (log) => show(Math.exp(log)));
  root.append(make("p", { class: "exp-legend" }, ...legend), svg, make("div", { class: "exp-knobs" }, knob.element), line, heard);

  function show(limit) {
    const text = (to, down, words, anchor, kind = "exp-small") => draw("text", { x: to, y: down, "text-anchor": anchor, class: kind }, words);
    const found = curves.map((curve) => ({ ...curve, error: at(curve, limit) }));
    svg.replaceChildren(draw("path", { d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - 8}`, class: "exp-axis" }),
      ...[0, top / 2, top].map((error) => text(LEFT - 8, y(error) + 4, `${error.toFixed(0)} %`, "end")),
      ...[0.02, 0.5, 0.98].map((share) => least ** (1 - share) * most ** share).map((cost) => text(x(cost), HEIGHT - BOTTOM + 18, shown(cost), "middle")),
      text((LEFT + WIDTH) / 2, HEIGHT - 6, what, "middle", ""),
      ...found.map((curve) => draw("path", { d: steps(curve), class: `exp-curve exp-of-${curve.kind}` })),
      draw("path", { d: `M${x(limit)} ${TOP}V${HEIGHT - BOTTOM}`, class: "exp-budget" }),
      ...found.filter(({ error }) => error !== undefined).map(({ error, kind }) => draw("circle", { cx: x(limit), cy: y(error), r: 5, class: `exp-of-${kind}` })));
    const told = found.map(({ name, error }) => (error === undefined ? `${name} no answer yet` : `${name} ${error.toFixed(1)} %`));
    line.textContent = `Errors at ${shown(limit)} ${what}: ${told.join("; ")}.`;
    say(line.textContent);
    root.dataset.shown = JSON.stringify(found.map(({ error }) => error ?? null));
  }

  knob.update();
});
