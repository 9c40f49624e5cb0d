/* Two trained networks run on a dozen test images in this page, and are then stopped: at a share of their multiply-adds, or with
 * data-clock at a time on the reader's own machine. data-limit: where the slider begins. */
window.Explorable.define("twelve-images", ["../anytime-runtime.js", "../live-images.js", "../stop-it-yourself-data.js"], (root) => {
  "use strict";

  const { make, load, slider, listener } = window.Explorable;
  const { AnytimeRuntime, LiveImages, STOP_IT_YOURSELF } = window;
  const [{ networks, images, classes, shape }] = Object.values(STOP_IT_YOURSELF);
  const clock = "clock" in root.dataset;
  const answers = networks.map(() => images.map(() => [])); // of each network and image, exit by exit
  const took = networks[0].macs.map(() => []); // milliseconds until each exit; the networks differ in their weights alone
  const line = make("p", { class: "exp-why" }, "The networks run …");
  const { element: heard, say } = listener();
  const rows = networks.map(({ name }) => ({
    title: make("b", { class: name === "CONST" ? "exp-const" : "exp-adaloss" }, name),
    cells: images.map(({ png, number }) => ({ says: make("small"), png, number })),
  }));
  const grids = rows.map(({ title, cells }) => make("div", { class: "exp-row" }, title, make("ol", { class: "exp-dozen" },
    ...cells.map(({ says, png, number }) => make("li", {}, make("img", { src: png, alt: `test image ${number}` }), says)))));
  root.append(...grids);

  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

  async function run() {
    const pixels = await Promise.all(images.map(({ png }) => LiveImages.decode(png, shape)));
    await Promise.all(networks.map(({ script }) => load(`../${script}`)));
    const started = networks.map(({ id }) => (place) => AnytimeRuntime.start(window.ANYTIME_NETWORKS[id], pixels[place]));
    for (const begin of started) await begin(0).play(() => {}); // unseen: the browser still translates the program
    for (let place = 0; place < images.length; place++)
      for (const [i, begin] of started.entries()) {
        await begin(place).play(({ exit, probabilities, milliseconds }) => {
          answers[i][place].push(probabilities.indexOf(Math.max(...probabilities)));
          took[exit - 1].push(milliseconds);
        });
        mark(i, place, answers[i][place].length);
      }
  }

  function mark(i, place, exit) {
    const { says } = rows[i].cells[place];
    const answer = answers[i][place][exit - 1];
    const right = answer === images[place].label;
    says.className = exit ? (right ? "exp-right" : "exp-wrong") : "";
    says.textContent = exit ? `${right ? "✓" : "✗"} ${classes[answer]}` : "no answer";
  }

  /** Stop every network at a share of its multiply-adds, or after so many milliseconds. */
  function show(limit) {
    const reached = networks.map(({ macs }) => (clock ? took.map(median) : macs.map((one) => one / macs.at(-1)))
      .filter((cost) => cost <= limit + 1e-9).length);
    const right = networks.map((_, i) => images.filter(({ label }, place) => {
      mark(i, place, reached[i]);
      return reached[i] && answers[i][place][reached[i] - 1] === label;
    }).length);
    line.textContent = networks.map(({ name }, i) => (reached[i] ? `${name} stops at exit ${reached[i]} and gets ${right[i]} of ${images.length} right.`
      : `${name} has no answer yet.`)).join(" ");
    say(line.textContent);
    root.dataset.shown = JSON.stringify(right);
    return right;
  }

  function finish() {
    const whole = median(took.at(-1));
    const limits = clock ? { max: 1.5 * whole, step: whole / 100, value: whole / 2 } : { max: 1, step: 0.01, value: Number(root.dataset.limit ?? 1) };
    const knob = slider(clock ? "Deadline" : "Budget", { min: 0, ...limits },
      (limit) => (clock ? `${limit.toPrecision(2)} ms` : `${Math.round(100 * limit)} % of the multiply-adds`), show);
    root.append(make("div", { class: "exp-knobs" }, knob.element), line, heard);
    knob.update();
    const answer = clock ? whole.toPrecision(2) : JSON.parse(root.dataset.shown)[1];
    root.dispatchEvent(new CustomEvent("answer", { bubbles: true, detail: String(Number(answer)) }));
  }

  root.append(line);
  run().then(finish);
});
