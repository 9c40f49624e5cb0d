/* The budget slider: what networks with exits answer within a budget that the reader sets.
 *
 * Every <div class="budget-slider"> on the page becomes one. The data come from a script that ran before this one and
 * set window.budgetSliderData; anytime_study/pages/budget_slider.py says what is in it. Every number shown is one of them,
 * and stands unrounded in the attribute data-value beside it. No other global name is used.
 */
(() => {
  "use strict";

  const RUN_SECONDS = 6; // of one run through all exits: slow enough to be interrupted
  const CALM = window.matchMedia("(prefers-reduced-motion: reduce)");
  const NONE = "–";

  /** A new element. Attributes as in HTML; children are elements or texts. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const millions = (macs) => (macs / 1e6).toFixed(1);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;

  function build(root, data, id) {
    const { classes, networks, images, budget } = data;
    const state = { image: data.start, budget: budget.step * Math.round(budget.max / 3 / budget.step) };
    let frame = 0; // of the animation; 0 while nothing runs
    let waiting = 0; // timer of the next announcement

    /* --- the parts ----------------------------------------------------------------------------------------------- */

    const choices = images.map((image, place) => {
      const text = `Test image ${image.number}, ${classes[image.label]}`;
      const radio = make("input", { type: "radio", name: `${id}-image`, value: place });
      radio.checked = place === state.image;
      radio.addEventListener("change", () => {
        state.image = place;
        update();
      });
      // the theme dims pictures in the dark that are not of this class
      const picture = make("img", { src: image.png, alt: text, title: text, class: "dark-light" });
      return make("label", { class: "budget-slider-choice" }, radio, picture);
    });

    const slider = make("input", { type: "range", id: `${id}-range`, min: 0, max: budget.max, step: budget.step });
    const amount = make("output", { for: slider.id, id: `${id}-amount` });
    const button = make("button", { type: "button", id: `${id}-run` });
    const pace = make("span", { class: "budget-slider-note", id: `${id}-pace` });
    const caption = make("p", { class: "budget-slider-shown", id: `${id}-shown` });
    const status = make("p", { class: "budget-slider-hidden", id: `${id}-status`, role: "status" });
    status.ariaLive = "polite";

    /* Marks of the exits under the slider: one row for networks that cost the same. */
    const scales = new Map(networks.map((network) => [String(network.macs), network]));
    const marks = [...scales.values()].map((network) =>
      make("div", { class: "budget-slider-marks", "aria-hidden": "true" }, ...network.macs.map((macs, place) =>
        make("span", { style: `--at: ${macs / 1e6 / budget.max}` }, String(network.exits[place])))));

    /* One table: a row for each quantity, a column for each network. */
    const row = (name, title, contents) => {
      const cells = networks.map((network, place) =>
        make("td", { "data-network": network.name, "data-field": name }, ...contents(place)));
      return { cells, element: make("tr", { "data-row": name }, make("th", { scope: "row" }, title), ...cells) };
    };
    const rows = {};
    for (const [name, title] of [
      ["answer", "Answer"],
      ["exit", "Exit reached"],
      ["macs", "MACs (million)"],
      ["milliseconds", "Time (ms)"],
      ["errors", `Errors on ${data.candidates} images`],
    ]) rows[name] = row(name, title, () => [NONE]);
    const bars = classes.map((title, place) => row(`class-${place}`, title, () =>
      [make("span", { class: "budget-slider-percent" }), make("span", { class: "budget-slider-bar" })]));
    const heading = make("tr", {}, make("td"),
      ...networks.map((network) => make("th", { scope: "col" }, network.name)));
    const middle = make("tr", {},
      make("th", { scope: "rowgroup", colspan: 1 + networks.length }, "Probability of each class"));
    const table = make("table", { class: "budget-slider-table", "aria-describedby": caption.id },
      make("thead", {}, heading),
      make("tbody", {}, ...Object.values(rows).map((one) => one.element)),
      make("tbody", {}, middle, ...bars.map((one) => one.element)));

    root.replaceChildren(
      make("fieldset", {}, make("legend", {}, "Test image"), ...choices),
      make("p", { class: "budget-slider-budget" }, make("label", { for: slider.id }, "Budget "), amount),
      make("div", { class: "budget-slider-scale" }, slider, ...marks),
      make("p", { class: "budget-slider-controls" }, button, " ", pace),
      caption, table, status);

    /* --- what is shown ------------------------------------------------------------------------------------------- */

    /** Place of the last exit within the budget, or -1. A hair more, since multiples of the step are not exact. */
    const reached = (network) => network.macs.filter((macs) => macs <= state.budget * 1e6 + 0.5).length - 1;

    function set(cell, text, value, kind = "") {
      cell.textContent = text;
      cell.dataset.value = value;
      cell.className = kind;
    }

    function showNetwork(network, place) {
      const image = images[state.image];
      const at = reached(network);
      const cell = (name) => rows[name].cells[place];
      const answer = at < 0 ? -1 : image.answers[place][at];
      const verdict = answer === image.label ? "right" : "wrong";
      if (at < 0) {
        for (const name of Object.keys(rows)) set(cell(name), NONE, "");
        set(cell("answer"), "none yet", "");
      } else {
        set(cell("answer"), `${classes[answer]} ${verdict === "right" ? "✓" : "✗"} ${verdict}`, answer, verdict);
        set(cell("exit"), `${network.exits[at]} of ${network.exits.at(-1)}`, network.exits[at]);
        set(cell("macs"), millions(network.macs[at]), network.macs[at]);
        const times = network.milliseconds;
        set(cell("milliseconds"), times ? times[at].toFixed(2) : "not measured", times ? times[at] : "");
        set(cell("errors"), percent(network.errors[at]), network.errors[at]);
      }
      bars.forEach(({ cells }, number) => {
        const share = at < 0 ? "" : image.probabilities[place][at][number];
        const [text, bar] = cells[place].children;
        text.textContent = at < 0 ? NONE : percent(share);
        bar.style.setProperty("--share", share || 0);
        cells[place].dataset.value = share;
        cells[place].className = number === answer ? verdict : "";
      });
      const said = at < 0 ? "has no answer yet" : `answers ${classes[answer]}, ${verdict}, with ${
        percent(image.probabilities[place][at][answer])}, at exit ${network.exits[at]} of ${network.exits.at(-1)}`;
      return `${network.name} ${said}.`;
    }

    /** Bring everything up to date; tell a screen reader after a pause, lest it reads every step of a drag. */
    function update({ tell = true } = {}) {
      const image = images[state.image];
      const said = networks.map(showNetwork);
      const text = `${state.budget.toFixed(1)} million multiply-adds`;
      slider.value = state.budget;
      slider.setAttribute("aria-valuetext", text);
      amount.textContent = text;
      caption.textContent = `Test image ${image.number}. It shows: ${classes[image.label]}.`;
      bars.forEach(({ element }, number) => element.classList.toggle("budget-slider-truth", number === image.label));
      root.dataset.budget = state.budget;
      root.dataset.image = image.number;
      root.dataset.running = frame !== 0;
      button.textContent = frame ? "Interrupt" : "Run through the exits";
      clearTimeout(waiting);
      if (tell) waiting = setTimeout(() => { status.textContent = `${caption.textContent} ${said.join(" ")}`; }, 400);
    }

    /* --- the run that can be interrupted ------------------------------------------------------------------------- */

    const toStep = (macs) => Math.ceil(macs / 1e6 / budget.step) * budget.step;
    const ends = networks.flatMap((network) => network.macs.map(toStep)); // the settings at which something changes

    function stop() {
      cancelAnimationFrame(frame);
      frame = 0;
      update();
    }

    function start() {
      const began = performance.now();
      const tick = (now) => {
        const part = Math.min(1, Math.max(0, now - began) / 1000 / RUN_SECONDS);
        let spent = budget.step * Math.floor(part * budget.max / budget.step + 1e-9);
        if (CALM.matches) spent = Math.max(0, ...ends.filter((end) => end <= spent)); // from exit to exit at once
        state.budget = spent;
        if (part === 1) return stop();
        frame = requestAnimationFrame(tick);
        update({ tell: false });
      };
      state.budget = 0;
      frame = requestAnimationFrame(tick);
      status.textContent = "Running. Press again to interrupt.";
      update({ tell: false });
    }

    button.addEventListener("click", () => (frame ? stop() : start()));
    slider.addEventListener("input", () => {
      state.budget = Number(slider.value);
      stop(); // a hand on the slider ends a run
    });
    const slowest = Math.max(...networks.map((network) => (network.milliseconds ?? [0]).at(-1)));
    const real = slowest ? ` from ${slowest.toFixed(1)} milliseconds` : "";
    pace.textContent = `Slowed down to ${RUN_SECONDS} seconds${real}.`;
    update({ tell: false });
  }

  const data = window.budgetSliderData;
  if (!data) return; // the text inside of the element stays
  document.querySelectorAll(".budget-slider:not([data-ready])").forEach((root, place) => {
    root.id ||= `budget-slider${place ? `-${place + 1}` : ""}`;
    root.dataset.ready = "";
    build(root, data, root.id);
  });
})();
