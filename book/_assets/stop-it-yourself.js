/* Stop it yourself: two trained networks run in the page, exit by exit, until they end or the reader stops them.
 *
 *   <div class="stop-it-yourself"><p>What those see who have no JavaScript.</p></div>   (data-size="small": less of it)
 *   <script src="…/_static/stop-it-yourself.js" defer></script>
 *
 * This script loads the others, which lie beside it, and the networks when they are about to be needed. */
(() => {
  "use strict";

  const HERE = document.currentScript.src.replace(/[^/]*$/, "");
  const PARTS = ["anytime-runtime.js", "deviates.js", "live-images.js", "live-drawing.js", "live-chain.js", "stop-it-yourself-data.js"];
  const PACE = 700; // milliseconds for each exit at first
  const NEVER = 1.01; // a confidence that no exit has
  const OWN = -1; // in the place of a test image: the reader's own
  const HOW = { none: "as it is", noise: "with noise", erase: "with a hole", shift: "shifted" };
  const HINTS = {
    drawing: "Draw a digit here, with the mouse or a finger. Or with the keyboard: the arrow keys move the pen, the space bar " +
      "lowers and lifts it.",
    picture: "The file stays on your machine.",
  };

  const withArticle = (name) => `${/^[aeiou8]/i.test(name) ? "an" : "a"} ${name}`; // an 8

  const loading = new Map();
  /** Loads a script once; scripts run in the order in which they were asked for. */
  function load(name) {
    if (!loading.has(name)) {
      const script = document.createElement("script");
      const done = new Promise((good, bad) => {
        script.onload = good;
        script.onerror = () => bad(new Error(`not loaded: ${name}`));
      });
      [script.src, script.async] = [HERE + name, false];
      document.head.append(script);
      loading.set(name, done);
    }
    return loading.get(name);
  }

  function build(root, kinds, id) {
    const { AnytimeRuntime, LiveImages, LiveChain: { chain, make, percent } } = window;
    const small = root.dataset.size === "small";
    const state = { kind: Object.keys(kinds)[0], place: 0, how: "none", amount: 0.3, budget: 1, sure: NEVER, pace: PACE };
    const score = { you: [], networks: {}, spent: [], seen: new Set() }; // of each test image its first run counts
    let pixels = null; // of the image before it is disturbed; null while there is none
    let own = null; // pixels that the reader brought
    let chains = [];
    let runs = []; // not empty while networks run
    const warm = new Map(); // of networks that have run: the promise of the first time
    let over = false; // a run has ended and the image is still the same

    const kind = () => kinds[state.kind];
    const image = () => (state.place === OWN ? null : kind().images[state.place]);
    const slow = () => state.pace / 2; // a segment rests once after each of its two convolutions
    /** How far along a chain a share of its multiply-adds is: its segments are drawn alike and cost nearly the same. */
    function along(share) {
      const { macs } = kind().networks[0];
      const spent = share * macs.at(-1);
      const i = macs.findIndex((end) => end >= spent);
      const start = i ? macs[i - 1] : 0;
      return (i + (spent - start) / (macs[i] - start)) / macs.length;
    }
    const reach = (network) => network.macs.filter((macs) => macs <= state.budget * network.macs.at(-1) + 0.5).length;

    /* --- what is on the page --------------------------------------------------------------------------------------- */

    const canvas = make("canvas", { class: "siy-picture", role: "img" });
    canvas.getContext("2d", { willReadFrequently: true });
    const hint = make("p", { class: "siy-quiet siy-hint", id: `${id}-hint` });
    const verdict = make("p", { class: "siy-verdict" });
    const key = make("p", { class: "siy-quiet siy-key" });
    const status = make("p", { class: "heard", "aria-live": "polite" });
    const button = make("button", { type: "button", class: "siy-run" });
    const next = make("button", { type: "button", class: "siy-next" }, "Next image");
    const lanes = make("div", { class: "siy-lanes" });
    const board = make("ul", { class: "siy-score" });
    const guesses = make("fieldset", { class: "siy-guesses" });
    const images = make("fieldset", { class: "siy-images" });
    const drawable = () => canvas.classList.contains("siy-drawing");
    const drawing = window.LiveDrawing.pad(canvas, { enabled: drawable, drawn: draw });
    const file = make("input", { type: "file", accept: "image/*", class: "siy-file", "aria-label": "Your own picture" });

    /** Radio buttons that look like chips: [value, content], the chosen one, and what a choice does. */
    function choice(name, options, chosen, then) {
      return options.map(([value, content]) => {
        const input = make("input", { type: "radio", name: `${id}-${name}`, value });
        input.checked = String(value) === String(chosen);
        input.addEventListener("change", () => then(value));
        return make("label", { class: `siy-${name}` }, input, make("span", {}, content));
      });
    }

    /** A slider with its name before it and its value in words behind it. */
    function slider(name, title, { min, max, step, value }, words, then) {
      const input = make("input", { type: "range", id: `${id}-${name}`, min, max, step, value });
      const output = make("output", { for: input.id });
      const update = () => {
        output.textContent = words(Number(input.value));
        input.setAttribute("aria-valuetext", output.textContent);
      };
      input.addEventListener("input", () => {
        then(Number(input.value));
        update();
      });
      update();
      const element = make("p", { class: `siy-slider siy-${name}` },
        make("label", { for: input.id }, title), " ", output, input);
      return { element, update };
    }

    const budget = slider("budget", "Budget", { min: 0, max: 1, step: 0.01, value: 1 }, (share) => {
      const millions = (share * kind().networks[0].macs.at(-1)) / 1e6;
      return share >= 1 ? "no limit" : `${millions.toFixed(millions < 1 ? 2 : 1)} million multiply-adds`;
    }, (value) => {
      state.budget = value;
      lanes.style.setProperty("--budget", along(value));
      lanes.toggleAttribute("data-limited", value < 1);
      restart();
    });
    const sure = slider("sure", "Stops by itself", { min: 0.5, max: NEVER, step: 0.01, value: NEVER },
      (share) => (share > 1 ? "never" : `once ${percent(share)} sure`), (value) => (state.sure = value));
    const pace = slider("pace", "Pace", { min: 0, max: 2000, step: 100, value: PACE },
      (ms) => (ms ? `${(ms / 1000).toFixed(1)} s for each exit` : "as fast as it runs"), (value) => (state.pace = value));
    const amount = slider("amount", "How much", { min: 0.1, max: 1, step: 0.1, value: state.amount }, percent, (value) => {
      state.amount = value;
      restart();
    });
    const how = make("select", { id: `${id}-how` },
      ...Object.entries(HOW).map(([value, text]) => make("option", { value }, text)));
    how.addEventListener("change", () => {
      state.how = how.value;
      amount.element.hidden = state.how === "none";
      restart();
    });
    amount.element.hidden = true;

    const kindChips = make("fieldset", { class: "siy-kinds" }, make("legend", { class: "heard" }, "Kind of image"),
      ...choice("kind", Object.keys(kinds).map((name) => [name, name[0].toUpperCase() + name.slice(1)]), state.kind, openKind));
    const full = (...elements) => (small ? [] : elements);
    root.replaceChildren(
      ...full(make("div", { class: "siy-top" }, kindChips, board), images, file),
      make("div", { class: "siy-stage" }, make("div", { class: "siy-frame" }, canvas, hint), ...full(guesses),
        make("div", { class: "siy-side" }, verdict, make("p", { class: "siy-buttons" }, button, " ", next))),
      key, lanes, ...full(make("div", { class: "siy-knobs" }, budget.element, pace.element, sure.element,
        make("p", { class: "siy-slider" }, make("label", { for: how.id }, "Show the image"), " ", how), amount.element)),
      status);

    /* --- images ------------------------------------------------------------------------------------------------------ */

    function openKind(name) {
      halt();
      state.kind = name;
      own = null;
      drawing.clear();
      chains = kind().networks.map(chain);
      lanes.replaceChildren(...chains.map((one) => one.element));
      const pictures = kind().images.map(({ png, number }) => make("img", { src: png, alt: `test image ${number}` }));
      const yours = kind().own === "drawing" ? "✎ draw" : "+ yours";
      images.replaceChildren(make("legend", { class: "heard" }, "Image"),
        ...choice("image", [...pictures.map((picture, i) => [i, picture]), [OWN, yours]], 0, openImage));
      const tested = kind().tested.toLocaleString("en");
      key.replaceChildren(make("i"), " weight in training", ...full(`. Then the exit's answer, how sure it is, and its errors on all ${
        tested} test images. Bold marks another answer than before.`),
      ...(small ? [": CONST weighs all exits alike, AdaLoss weighs an exit roughly by 1 / loss."] : []));
      budget.update();
      openImage(0);
    }

    async function openImage(place) {
      halt();
      state.place = place;
      const box = images.querySelector(`input[value="${place}"]`);
      if (box) box.checked = true;
      const mine = place === OWN;
      file.hidden = !(mine && kind().own === "picture");
      canvas.classList.toggle("siy-drawing", mine && kind().own === "drawing");
      for (const [name, value] of Object.entries({ tabindex: 0, "aria-describedby": hint.id }))
        if (drawable()) canvas.setAttribute(name, value);
        else canvas.removeAttribute(name);
      next.textContent = mine && kind().own === "drawing" ? "Clear" : "Next image";
      offerGuesses();
      if (mine) pixels = own;
      else {
        pixels = null;
        const found = await LiveImages.decode(image().png, kind().shape);
        if (state.place !== place || image() === null) return; // the reader has moved on
        pixels = found;
      }
      restart();
    }

    function offerGuesses() {
      state.guess = null;
      const question = image() ? "What is it? Guess before they speak." : "What is it really?";
      guesses.replaceChildren(make("legend", {}, question),
        ...choice("guess", [...kind().classes.entries()], null, (label) => (state.guess = label)));
    }

    /** Pixels as the networks see them. */
    const seen = () => LiveImages.disturb(state.how, pixels, kind().shape, state.amount);

    /** Nothing runs, nothing is said: the image alone. */
    function restart() {
      halt();
      over = false;
      guesses.disabled = false;
      chains.forEach((one, i) => one.clear(reach(kind().networks[i])));
      const name = image() ? `Test image ${image().number}` : "Your own picture";
      canvas.setAttribute("aria-label", `${name}${state.how === "none" ? "" : `, ${HOW[state.how]}`}`);
      hint.textContent = image() ? `${name} of ${kind().tested.toLocaleString("en")}` : HINTS[kind().own];
      if (pixels) LiveImages.show(canvas, seen(), kind().shape);
      else drawing.blank();
      tell(image() ? "Run the networks, and stop them when you trust an answer." : "");
      update();
    }

    /** What is said to everybody; those who hear it hear it once it stays. */
    let waiting = 0;
    function tell(text, heard = text) {
      verdict.textContent = text;
      say(heard);
    }
    function say(text) {
      clearTimeout(waiting);
      waiting = setTimeout(() => (status.textContent = text), 300);
    }

    function update() {
      const running = runs.length > 0;
      root.dataset.phase = running ? "running" : over ? "over" : "ready";
      button.textContent = running ? "Stop" : over ? "Run again" : "Run";
      button.disabled = !pixels && !running;
      next.disabled = running;
    }

    /* --- running ------------------------------------------------------------------------------------------------------ */

    /** Loads them and lets each run once unseen: whichever ran first would else take longer, as the browser is still
     * translating. */
    async function fetchNetworks() {
      const { networks, shape } = kind();
      for (const { id: name, script } of networks) {
        await load(script);
        const network = window.ANYTIME_NETWORKS[name];
        if (!warm.has(name)) warm.set(name, AnytimeRuntime.start(network, new Float32Array(shape[0] * shape[1] * shape[2])).play(() => {}));
        await warm.get(name);
      }
    }

    async function start() {
      if (over) restart();
      const { networks } = kind();
      const shown = seen();
      const mine = (runs = networks.map(() => null)); // until they are loaded
      update();
      await fetchNetworks();
      if (runs !== mine) return; // stopped meanwhile
      guesses.disabled = image() !== null;
      runs = networks.map((network) => AnytimeRuntime.start(window.ANYTIME_NETWORKS[network.id], shown));
      const started = runs;
      tell("Stop when you trust an answer.");
      await Promise.all(runs.map((run, i) => race(run, i)));
      if (runs === started) end();
    }

    /** One network runs until its end, the budget's, or that of its doubts. */
    async function race(run, i) {
      const network = kind().networks[i];
      const last = reach(network);
      if (last === 0) return run.stop();
      chains[i].runs(0, 1.5 * state.pace); // the first segment has one convolution more
      await run.play(({ exit, probabilities }) => {
        const probability = Math.max(...probabilities);
        const answer = probabilities.indexOf(probability);
        const name = kind().classes[answer];
        if (chains[i].speaks(exit - 1, answer, name, probability) && state.pace) {
          say(`${network.name}, exit ${exit}: ${name}, ${percent(probability)}.`);
        }
        if (exit === last || probability >= state.sure) run.stop();
        else chains[i].runs(exit, state.pace);
      }, slow());
    }

    /** End whatever runs, without a verdict. */
    function halt() {
      runs.forEach((run) => run?.stop());
      runs = [];
      chains.forEach((one) => one.stops());
    }

    function end() {
      const finished = runs;
      halt();
      if (!finished.every(Boolean)) return restart(); // stopped before the networks were there
      over = true;
      const label = image() ? image().label : state.guess;
      if (label !== null) chains.forEach((one) => one.reveal(label));
      const said = kind().networks.map(({ name }, i) => {
        const { answer, exit } = chains[i];
        if (!exit) return `${name} had no answer yet.`;
        const judged = label === null ? "" : answer === label ? ", right" : ", wrong";
        return `${name} said ${kind().classes[answer]}${judged}, at exit ${exit}.`;
      });
      chains.forEach((one, i) => one.ends(finished[i].milliseconds));
      if (image()) keepScore(label);
      const truth = label === null ? "" : `It is ${withArticle(kind().classes[label])}.`;
      const you = image() && state.guess !== null ? ` You were ${state.guess === label ? "right" : "wrong"}.` : "";
      tell(truth ? truth + you : said.join(" "), `${truth}${you} ${said.join(" ")}`);
      update();
    }

    function keepScore(label) {
      const key = `${state.kind} ${image().number}`;
      if (score.seen.has(key)) return;
      score.seen.add(key);
      const add = (who, right) => (score.networks[who] ??= []).push(right);
      if (state.guess !== null) add("You", state.guess === label);
      kind().networks.forEach(({ name }, i) => add(name, chains[i].answer === label));
      board.replaceChildren(...["You", ...kind().networks.map(({ name }) => name)].filter((who) => score.networks[who])
        .map((who) => {
          const all = score.networks[who];
          const dots = all.slice(-8).map((right) => make("i", { class: right ? "siy-right" : "siy-wrong" }));
          return make("li", {}, make("b", {}, who), " ", ...dots, ` ${all.filter(Boolean).length} of ${all.length} right`);
        }));
    }

    /* --- hands -------------------------------------------------------------------------------------------------------- */

    button.addEventListener("click", () => (runs.length ? end() : start()));
    next.addEventListener("click", () => {
      if (drawable()) draw([]);
      else openImage((state.place + 1) % kind().images.length);
    });
    function draw(strokes) {
      if (!strokes.length) drawing.clear();
      pixels = own = LiveImages.fromStrokes(strokes, kind().shape);
      restart();
    }
    file.addEventListener("change", async () => {
      if (!file.files.length) return;
      try {
        own = await LiveImages.fromFile(file.files[0], kind().shape);
        openImage(OWN);
      } catch {
        tell("This file is no picture that your browser can read.");
      }
    });

    const near = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      near.disconnect();
      fetchNetworks();
    });
    near.observe(root);
    openKind(state.kind);
  }

  async function begin() {
    const roots = document.querySelectorAll(".stop-it-yourself:not([data-ready])");
    if (!roots.length) return;
    await Promise.all(PARTS.map(load));
    roots.forEach((root, place) => {
      root.id ||= `stop-it-yourself${place ? `-${place + 1}` : ""}`;
      root.dataset.ready = "";
      build(root, window.STOP_IT_YOURSELF, root.id);
    });
  }

  begin();
})();
