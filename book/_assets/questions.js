/* Questions in a page: the quiz, and exercises whose outcome is predicted first. Each question is a list; here it becomes choices
   or a slider. Without this script the page is the same list, with the answers folded away (anytime_study/pages/quiz.py). */
(() => {
  "use strict";

  const HERE = document.currentScript.src.replace(/[^/]*$/, "");
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  /** Radio buttons of the items of a list; `then` gets the place of the one that is chosen, and its label. */
  function choices(name, title, items, then) {
    const group = make("div", { role: "radiogroup", "aria-labelledby": title.id, class: "choices" });
    items.forEach((item, place) => {
      const input = make("input", { type: "radio", name });
      const label = make("label", {}, input, make("span", {}, ...(item.querySelector("p") ?? item).childNodes));
      input.addEventListener("change", () => then(place, label));
      group.append(label);
    });
    return group;
  }

  /* --- the quiz ------------------------------------------------------------------------------------------------------- */

  function buildQuiz(quiz) {
    const questions = [...quiz.querySelectorAll(".quiz-question")];
    const score = make("p", { class: "quiz-score", role: "status" });
    const first = new Map(); // question -> whether its first answer was right
    const tell = () => {
      const right = [...first.values()].filter(Boolean).length;
      const left = questions.length - first.size;
      score.textContent = `${right} of ${first.size} right${left ? `, ${left} to go` : ". That was the last question"}.`;
    };

    questions.forEach((question, number) => {
      const right = Number(question.className.match(/quiz-right-(\d)/)[1]);
      const list = question.querySelector(".quiz-answers");
      const said = [...question.querySelectorAll(".quiz-said > li")];
      const title = question.querySelector("p");
      title.id ||= `quiz-${number + 1}`;
      const told = make("div", { class: "told", role: "status" });
      const group = choices(`quiz-${number + 1}`, title, [...list.children], (place, label) => {
        const good = place + 1 === right;
        if (!first.has(question)) first.set(question, good);
        for (const other of group.children) other.className = "";
        label.className = good ? "is-right" : "is-wrong";
        told.replaceChildren(...[...said[place].childNodes].map((node) => node.cloneNode(true)));
        tell();
      });
      list.replaceWith(group);
      question.querySelector("details").hidden = true;
      question.append(told);
    });

    const again = make("button", { type: "button", class: "btn btn-sm btn-outline-primary" }, "Start again");
    again.addEventListener("click", () => {
      first.clear();
      for (const input of quiz.querySelectorAll("input")) input.checked = false;
      for (const label of quiz.querySelectorAll("label")) label.className = "";
      for (const told of quiz.querySelectorAll(".told")) told.replaceChildren();
      tell();
      quiz.querySelector("input").focus();
    });
    quiz.append(make("div", { class: "quiz-end" }, score, again));
    tell();
  }

  /* --- exercises that are predicted first --------------------------------------------------------------------------------

     Their list has the choices, or one item such as "0 to 12 images", a slider. The right one is what the first bold words of
     the solution name, or what its experiment tells in an event `answer`. The solution is out of sight until the reader has
     predicted, and nothing of its experiment runs before. */

  const RANGE = /^(-?[\d.]+) to (-?[\d.]+)\s*(.*)$/;
  const plain = (text) => text.trim().replace(/\.$/, "");

  function buildPrediction(exercise, number) {
    const solution = exercise.nextElementSibling;
    if (!solution?.matches(".solution")) return; // a copy without solutions
    const title = exercise.querySelector(".admonition-title");
    title.id ||= `prediction-${number + 1}`;
    const list = exercise.querySelector("ul");
    const range = list.children.length === 1 && list.textContent.trim().match(RANGE);
    const told = make("p", { class: "told", role: "status", tabindex: -1 });
    const button = make("button", { type: "button", class: "btn btn-primary" }, "That is my prediction");
    const asked = (range ? slider : radios)();
    list.replaceWith(asked.element);
    asked.element.after(button, told);
    button.disabled = true;
    solution.hidden = true;

    function radios() {
      let chosen = null;
      const group = choices(`prediction-${number + 1}`, title, [...list.children], (_, label) => {
        chosen = label;
        button.disabled = false;
      });
      const judge = (answer) => {
        const right = [...group.children].find((label) => plain(label.textContent) === answer);
        if (!right) return ""; // nobody knows yet
        right.className = "is-right";
        if (right === chosen) return "You were right.";
        chosen.className = "is-wrong";
        return `You said: ${plain(chosen.textContent)}. The answer is: ${answer}.`;
      };
      return { element: group, judge };
    }

    function slider() {
      const [low, high] = range.slice(1, 3).map(Number);
      const unit = range[3];
      const step = high - low > 5 ? 1 : high - low > 1 ? 0.1 : 0.01;
      const output = make("output", {}, "?");
      const input = make("input", { type: "range", min: low, max: high, step, value: (low + high) / 2, "aria-labelledby": title.id });
      const words = (value) => `${value}${unit && ` ${unit}`}`;
      input.addEventListener("input", () => {
        output.textContent = words(input.value);
        input.setAttribute("aria-valuetext", output.textContent);
        button.disabled = false;
      });
      const judge = (answer) => {
        const is = Number.parseFloat(answer.replace("−", "-"));
        if (Number.isNaN(is)) return "";
        const said = Number(input.value);
        return said === is ? "You were exactly right." : `You said ${words(input.value)}, and it is ${words(is)}.`;
      };
      return { element: make("div", { class: "choices predicted" }, output, input), judge };
    }

    const tell = (answer) => (told.textContent = asked.judge(plain(answer)));
    solution.addEventListener("answer", ({ detail }) => tell(detail));
    button.addEventListener("click", () => {
      for (const input of exercise.querySelectorAll("input")) input.disabled = true;
      button.remove();
      solution.hidden = false;
      for (const fold of solution.querySelectorAll("details")) fold.open = true;
      told.focus();
      tell(solution.querySelector("strong")?.textContent ?? "");
      run(solution.querySelectorAll(".experiment"));
    });
  }

  /** Experiments are explorables that wait until they are asked for. */
  function run(experiments) {
    for (const experiment of experiments) experiment.classList.add("explorable");
    if (window.Explorable) window.Explorable.open();
    else if (experiments.length) document.head.append(make("script", { src: `${HERE}explorables/explorable.js` }));
  }

  /* The equations are set first, so that they move into their buttons as they are. */
  const start = () => {
    document.querySelectorAll(".quiz-page").forEach(buildQuiz);
    document.querySelectorAll(".exercise.predict").forEach(buildPrediction);
  };
  const set = () => (window.MathJax?.startup?.promise ? window.MathJax.startup.promise.then(start) : start());
  if (document.readyState === "complete") set();
  else window.addEventListener("load", set);
})();
