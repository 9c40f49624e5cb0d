/* One network as a reader sees it: a chain of segments that fills as they run, and exits that speak when reached. */
window.LiveChain = (() => {
  "use strict";

  /** An element with attributes and children; text is text, never markup. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  const percent = (share) => `${Math.round(100 * share)} %`;
  const errors = (share) => `${(100 * share).toFixed(1)} %`;
  const hidden = (text) => make("span", { class: "heard" }, text);

  /** The chain of a network of the page's data. Its methods show a state and remember none but what exits said. */
  function chain(network) {
    const heaviest = Math.max(...network.weights);
    const now = make("span", { class: "siy-now" });
    const cells = network.weights.map((weight, i) => {
      const says = make("span", { class: "siy-says" });
      const fill = make("i");
      const element = make("li", { style: `--weight: ${(weight / heaviest).toFixed(3)}` },
        make("span", { class: "siy-weight" }, hidden(`Exit ${i + 1}. Weight in training ${weight.toFixed(2)}. `)),
        make("span", { class: "siy-pipe" }, fill), says,
        make("span", { class: "siy-errors" }, hidden("Errors on all test images: "), errors(network.errors[i])));
      return { element, says, fill };
    });
    const element = make("div", { role: "region", class: `siy-lane siy-${network.name.toLowerCase()}`, "aria-label": network.name },
      make("p", { class: "siy-head" }, make("strong", {}, network.name), " ",
        make("span", { class: "siy-about" }, network.about), " ", now),
      make("ol", { class: "siy-chain", style: `--exits: ${cells.length}` },
        ...cells.map((cell) => cell.element)));
    let said = []; // by the exits so far: their answers

    return {
      element,

      /** Before a run. Exits that the budget does not reach are dimmed. */
      clear(reach) {
        said = [];
        now.textContent = "";
        element.classList.remove("siy-stopped");
        cells.forEach(({ element: cell, says, fill }, i) => {
          cell.className = i < reach ? "" : "siy-beyond";
          says.replaceChildren();
          fill.style.cssText = "";
        });
      },

      /** Segment i, from 0, begins; it will take about so long. */
      runs(i, milliseconds) {
        const { element: cell, fill } = cells[i];
        cell.classList.add("siy-running");
        fill.style.cssText = `--took: ${Math.round(milliseconds)}ms; --done: 1`;
      },

      /** Exit i, from 0, answers. Returns whether that is another answer than before. */
      speaks(i, answer, name, probability) {
        const { element: cell, says, fill } = cells[i];
        const changed = i === 0 || said[i - 1] !== answer;
        said[i] = answer;
        fill.style.cssText = "--took: 0ms; --done: 1";
        cell.classList.remove("siy-running");
        cell.classList.add("siy-spoke", ...(changed ? ["siy-changed"] : []));
        cell.style.setProperty("--sure", probability.toFixed(3));
        says.replaceChildren(make("b", {}, name), make("small", {}, percent(probability)));
        now.textContent = `says ${name}`;
        return changed;
      },

      /** The run is over, after so much computing. */
      ends(milliseconds) {
        now.textContent = said.length ? `exit ${said.length} of ${cells.length}` : "no answer yet";
        if (milliseconds >= 1)
          now.append(make("span", { class: "siy-word" }, ` after ${milliseconds.toFixed(0)} ms of computing`));
        if (said.length) cells[said.length - 1].element.classList.add("siy-answer");
      },

      /** No more is computed. A segment that was running stays half full. */
      stops() {
        element.classList.add("siy-stopped");
        cells.forEach(({ element: cell, fill }) => {
          if (!cell.classList.contains("siy-running")) return;
          const { width, height } = fill.getBoundingClientRect();
          const pipe = fill.parentElement.getBoundingClientRect();
          fill.style.cssText = `--took: 0ms; --done: ${Math.min(width / pipe.width, height / pipe.height)}`;
          cell.classList.remove("siy-running");
        });
      },

      /** The truth is told: what every exit said is right or wrong. */
      reveal(label) {
        said.forEach((answer, i) => {
          const right = answer === label;
          cells[i].element.classList.add(right ? "siy-right" : "siy-wrong");
          cells[i].says.prepend(make("span", { class: "siy-mark", "aria-hidden": "true" }, right ? "✓" : "✗"));
          cells[i].says.append(hidden(right ? " right" : " wrong"));
        });
      },

      /** Its answer: of the last exit that spoke, undefined before the first. */
      get answer() {
        return said.at(-1);
      },
      get exit() {
        return said.length;
      },
    };
  }

  return { chain, make, percent };
})();
