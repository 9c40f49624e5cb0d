/* Small things to play with, in closed form or drawn from records:
 *
 *   <div class="explorable" data-explorable="two-exits"><p>What those see who have no JavaScript.</p></div>
 *   <script src="…/_static/explorables/explorable.js" defer></script>
 *
 * The script of the same name beside this one builds it, with what it needs, such as explorables-data.js above. What else its
 * element is given (data-…) presets it. */
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

  /** Bars for every exit into a picture of 560 × 190: for each of `sets` {values, kind} one, on a scale from `low` to `top`
   * of the numbers that `scale` gives. */
  const BARS = { width: 560, height: 190, left: 62, top: 52, bottom: 30 }; // room for the larger letters of a phone
  function bars(svg, title, sets, [low, top], scale = (value) => value) {
    const { width, height, left, bottom } = BARS;
    const exits = sets[0].values.length;
    const step = (width - left) / exits;
    const share = 0.76 / sets.length;
    const y = (value) => height - bottom - ((scale(value) - scale(low)) / (scale(top) - scale(low))) * (height - bottom - BARS.top);
    svg.replaceChildren(draw("text", { x: 0, y: 22, class: "exp-title" }, title),
      draw("path", { d: `M${left} ${height - bottom}H${width}`, class: "exp-axis" }),
      ...[low, top].map((value) => draw("text", { x: left - 12, y: y(value) + 5, "text-anchor": "end", class: "exp-small" },
        String(Number(value.toPrecision(2))))),
      ...Array.from({ length: exits }, (_, exit) => [
        draw("text", { x: left + (exit + 0.5) * step, y: height - 6, "text-anchor": "middle", class: "exp-small" }, String(exit + 1)),
        ...sets.map(({ values, kind }, i) => draw("rect", { x: left + (exit + 0.12 + share * i) * step, width: 0.9 * share * step,
          y: y(values[exit]), height: height - bottom - y(values[exit]), rx: 2, class: kind }))]).flat());
  }
  const barsPicture = (label) => picture(BARS.width, BARS.height, label);

  /** What a screen reader hears once it has stayed for a moment. */
  function listener() {
    const element = make("p", { class: "heard", "aria-live": "polite" });
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

  const builders = new Map();
  /** Called by the script of an explorable, with the scripts that it needs. */
  async function define(name, needs, build) {
    await Promise.all(needs.map(load));
    builders.set(name, build);
    open();
  }

  /** Builds what is on the page and not built yet. */
  function open() {
    for (const root of document.querySelectorAll(".explorable:not([data-ready])")) {
      load(`${root.dataset.explorable}.js`);
      const build = builders.get(root.dataset.explorable);
      if (!build) continue; // its script calls define()
      root.replaceChildren();
      build(root);
      root.dataset.ready = "";
    }
  }

  document.head.append(make("link", { rel: "stylesheet", href: `${HERE}explorable.css` }));
  setTimeout(open); // once this script has made window.Explorable
  return { define, open, load, make, draw, slider, button, picture, bars, barsPicture, listener };
})();
