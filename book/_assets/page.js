/* On every page: a switch for its folded code, and folds and boxes that can be used by keyboard.

Without scripts each piece of code has a fold of its own, as MyST-NB makes it. */
(() => {
  "use strict";

  const root = document.documentElement;
  const KEY = "anytime-code";

  /* A browser may refuse to keep anything, for pages from files for instance. Then the choice is the page's own. */
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const keep = (state) => {
    try {
      localStorage.setItem(KEY, state);
    } catch {
      /* nothing to be done */
    }
  };

  root.dataset.code = kept() === "shown" ? "shown" : "hidden"; // before the page is drawn: nothing jumps

  const show = (button, folds, shown) => {
    root.dataset.code = shown ? "shown" : "hidden";
    button.setAttribute("aria-pressed", String(shown));
    for (const fold of folds) fold.open = shown;
  };

  const addSwitch = () => {
    const folds = document.querySelectorAll("div.cell details.hide.above-input");
    const place = document.querySelector(".article-header-buttons");
    if (!folds.length || !place) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm code-switch";
    button.textContent = "Code";
    button.title = "Show or hide the code of this page";
    button.addEventListener("click", () => {
      show(button, folds, root.dataset.code !== "shown");
      keep(root.dataset.code);
    });
    place.prepend(button);
    show(button, folds, root.dataset.code === "shown");
  };

  /* The theme's folds in the list of pages have no name that could be read aloud. */
  const nameFolds = () => {
    for (const summary of document.querySelectorAll(".bd-sidebar-primary li > details > summary")) {
      const page = summary.closest("li").querySelector("a")?.textContent.trim();
      summary.setAttribute("aria-label", `Pages below ${page}`);
    }
  };

  /* A wide figure scrolls without its caption. */
  const boxWide = () => {
    for (const picture of document.querySelectorAll(".bd-article figure img.wide")) {
      const box = document.createElement("div");
      box.className = "scroll-box";
      picture.replaceWith(box);
      box.append(picture);
    }
  };

  /* What scrolls sideways shows it (custom.css) and can be reached by keyboard. Of an inline equation only the picture counts:
     beside it MathJax keeps words for screen readers, which may be wider. */
  const BOXES = [".scroll-box", "div.math mjx-container", "span.math", ".output.text_html", ".pst-scrollable-table-container", "div.highlight > pre"].map((box) => `.bd-article ${box}`);
  const width = (box) => (box.matches("span.math") ? box.querySelector("svg")?.getBoundingClientRect().width : box.scrollWidth);
  const reach = () => {
    for (const box of document.querySelectorAll(BOXES.join())) {
      const scrolls = width(box) > box.clientWidth + 1;
      box.classList.toggle("scrolls", scrolls);
      if (scrolls) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    addSwitch();
    boxWide();
    nameFolds();
  });
  window.addEventListener("load", () => {
    reach();
    window.MathJax?.startup?.promise?.then(reach);
  });
  window.addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true); // what a fold shows had no width before
})();
