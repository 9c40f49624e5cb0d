/* Small things to play with, in closed form or drawn from records:
 *
 *   <div class="explorable" data-explorable="two-exits"><p>What those see who have no JavaScript.</p></div>
 *   <script src="…/_static/explorables/explorable.js" defer></script>
 *
 * The script of the same name beside this one builds it; data, where it has any, are in explorables-data.js above. */
window.Explorable = (() => {
  "use strict";

  const HERE = document.currentScript.src.replace(/[^/]*$/, "");
  const SVG = "http://www.w3.org/2000/svg";

  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  /** A slider between its name and its value in words. `then` gets the number, now and whenever it is moved. */
  function slider(title, { min, max, step = "any", value }, words, then) {
    const input = make("input", { type: "range", min, max, step, value, "aria-label": title });
    const output = make("output");
    const update = () => {
      output.textContent = words(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
      then(Number(input.value));
    };
    input.addEventListener("input", update);
    return { element: make("label", { class: "exp-slider" }, make("span", {}, title, " ", output), input), update, input };
  }

  function button(text, then) {
    const element = make("button", { type: "button" }, text);
    element.addEventListener("click", then);
    return element;
  }

  /** A picture: a drawing of width × height units that is as wide as there is room. */
  const picture = (width, height, label) =>
    draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });

  /** What a screen reader hears once it has stayed for a moment. */
  function listener() {
    const element = make("p", { class: "exp-heard", "aria-live": "polite" });
    let waiting = 0;
    const say = (text) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => (element.textContent = text), 500);
    };
    return { element, say };
  }

  const loading = new Map();
  function load(name) {
    if (!loading.has(name)) {
      const script = make("script", { src: HERE + name });
      loading.set(name, new Promise((good) => (script.onload = good)));
      document.head.append(script);
    }
    return loading.get(name);
  }

  /** Called by the script of an explorable, which may need data. */
  async function define(name, { data }, build) {
    if (data) await load("../explorables-data.js");
    for (const root of document.querySelectorAll(`.explorable[data-explorable="${name}"]:not([data-ready])`)) {
      root.replaceChildren();
      build(root, window.EXPLORABLES_DATA);
      root.dataset.ready = "";
    }
  }

  document.head.append(make("link", { rel: "stylesheet", href: `${HERE}explorable.css` }));
  for (const root of document.querySelectorAll(".explorable")) load(`${root.dataset.explorable}.js`);
  return { define, make, draw, slider, button, picture, listener };
})();
