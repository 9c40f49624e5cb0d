/* One training played back: losses and weights of every exit, epoch by epoch, CONST beside AdaLoss, from their records. */
window.Explorable.define("played-back", { data: true }, (root, data) => {
  "use strict";

  const { playedBack } = data;
  const { make, draw, slider, button, picture, listener } = window.Explorable;
  const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [560, 190, 62, 52, 30]; // room for the larger letters of a phone
  const STEP = 450; // milliseconds for an epoch
  const names = Object.keys(playedBack);
  const panels = { losses: picture(WIDTH, HEIGHT, "Training loss of each exit"), weights: picture(WIDTH, HEIGHT, "Weight of each exit") };
  const { element: heard, say } = listener();
  const line = make("p", { class: "exp-why" });
  const choose = make("select", { "aria-label": "Data set" },
    ...names.map((name) => make("option", { value: name }, playedBack[name].title)));
  let pair = playedBack[names[0]];
  let playing = 0;

  const scrub = slider("Epoch", { min: 1, max: pair.networks[0].losses.length, step: 1, value: pair.networks[0].losses.length },
    (epoch) => `${epoch} of ${pair.networks[0].losses.length}`, (epoch) => show(epoch - 1));
  const play = button("Play", () => (playing ? pause() : start()));
  root.append(make("p", { class: "exp-legend" }, make("b", { class: "exp-const" }, "■ CONST"), " ",
    make("b", { class: "exp-adaloss" }, "■ AdaLoss"), " ", choose), panels.losses, panels.weights,
  make("div", { class: "exp-play" }, play, scrub.element), line, heard);

  /** Two bars for every exit, one for each network, on a scale from `low` to `top` of the numbers that `scale` gives. */
  function bars(svg, title, values, [low, top], scale) {
    const exits = values[0].length;
    const step = (WIDTH - LEFT) / exits;
    const y = (value) => HEIGHT - BOTTOM - ((scale(value) - scale(low)) / (scale(top) - scale(low))) * (HEIGHT - BOTTOM - TOP);
    svg.replaceChildren(draw("text", { x: 0, y: 22, class: "exp-title" }, title),
      draw("path", { d: `M${LEFT} ${HEIGHT - BOTTOM}H${WIDTH}`, class: "exp-axis" }),
      ...[low, top].map((value) => draw("text", { x: LEFT - 12, y: y(value) + 5, "text-anchor": "end", class: "exp-small" },
        String(Number(value.toPrecision(2))))),
      ...values[0].flatMap((_, exit) => [
        draw("text", { x: LEFT + (exit + 0.5) * step, y: HEIGHT - 6, "text-anchor": "middle", class: "exp-small" }, String(exit + 1)),
        ...values.map((one, i) => draw("rect", { x: LEFT + (exit + 0.12 + 0.4 * i) * step, width: 0.36 * step, y: y(one[exit]),
          height: HEIGHT - BOTTOM - y(one[exit]), rx: 2, class: i ? "exp-adaloss" : "exp-const" }))]));
  }

  function show(epoch) {
    const at = (what) => pair.networks.map((network) => network[what][epoch]);
    const all = (what) => pair.networks.flatMap((network) => network[what].flat());
    const ends = [0.7 * Math.min(...all("losses")), Math.max(...all("losses"))];
    bars(panels.losses, "Training loss of each exit, logarithmic", at("losses"), ends, Math.log);
    bars(panels.weights, "Weight of each exit", at("weights"), [0, Math.max(...all("weights"))], (weight) => weight);
    const [losses, weights] = [at("losses")[1], at("weights")[1]];
    const shown = (value) => value.toPrecision(2);
    line.textContent = `AdaLoss in epoch ${epoch + 1}: the first exit has loss ${shown(losses[0])} and weight ${
      shown(weights[0])}, the last has loss ${shown(losses.at(-1))} and weight ${shown(weights.at(-1))}.`;
    say(line.textContent);
    root.dataset.epoch = epoch + 1;
  }

  function pause() {
    clearInterval(playing);
    playing = 0;
    play.textContent = "Play";
  }

  function move(epoch) {
    scrub.input.value = epoch;
    scrub.update();
  }

  function start() {
    const last = Number(scrub.input.max);
    if (Number(scrub.input.value) === last) move(1);
    play.textContent = "Pause";
    playing = setInterval(() => {
      move(Number(scrub.input.value) + 1);
      if (Number(scrub.input.value) === last) pause();
    }, STEP);
  }

  choose.addEventListener("change", () => {
    pause();
    pair = playedBack[choose.value];
    scrub.input.max = pair.networks[0].losses.length;
    move(scrub.input.max);
  });
  scrub.input.addEventListener("pointerdown", pause);
  scrub.update();
});
