/* One training played back: losses and weights of every exit, epoch by epoch, CONST beside AdaLoss, from their records. */
window.Explorable.define("played-back", ["../explorables-data.js"], (root) => {
  "use strict";

  const { playedBack } = window.EXPLORABLES_DATA;
  const { make, slider, button, bars, barsPicture, listener } = window.Explorable;
  const STEP = 450; // milliseconds for an epoch
  const names = Object.keys(playedBack);
  const panels = { losses: barsPicture("Training loss of each exit"), weights: barsPicture("Weight of each exit") };
  const { element: heard, say } = listener();
  const line = make("p", { class: "exp-why" });
  const choose = make("select", { "aria-label": "Data set" },
    ...names.map((name) => make("option", { value: name }, playedBack[name].title)));
  let pair = playedBack[root.dataset.kind ?? names[0]];
  choose.value = root.dataset.kind ?? names[0];
  let playing = 0;

  const scrub = slider("Epoch", { min: 1, max: pair.networks[0].losses.length, step: 1, value: pair.networks[0].losses.length },
    (epoch) => `${epoch} of ${pair.networks[0].losses.length}`, (epoch) => show(epoch - 1));
  const play = button("Play", () => (playing ? pause() : start()));
  root.append(make("p", { class: "exp-legend" }, make("b", { class: "exp-const" }, "■ CONST"), " ",
    make("b", { class: "exp-adaloss" }, "■ AdaLoss"), " ", choose), panels.losses, panels.weights,
  make("div", { class: "exp-play" }, play, scrub.element), line, heard);

  function show(epoch) {
    const at = (what) => pair.networks.map((network, i) => ({ values: network[what][epoch], kind: i ? "exp-adaloss" : "exp-const" }));
    const all = (what) => pair.networks.flatMap((network) => network[what].flat());
    const ends = [0.7 * Math.min(...all("losses")), Math.max(...all("losses"))];
    bars(panels.losses, "Training loss of each exit, logarithmic", at("losses"), ends, Math.log);
    bars(panels.weights, "Weight of each exit", at("weights"), [0, Math.max(...all("weights"))]);
    const [losses, weights] = [at("losses")[1].values, at("weights")[1].values];
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
