/* The quiz (anytime_study/pages/quiz.py): of each question's list it makes buttons to choose from, with feedback and a score.
   Without this script the page is the same list, with the answers folded away. */
(() => {
  "use strict";

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  function build(quiz) {
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
      const heard = make("div", { class: "quiz-heard", role: "status" });
      const group = make("div", { role: "radiogroup", "aria-labelledby": title.id, class: "quiz-choices" });
      [...list.children].forEach((item, place) => {
        const input = make("input", { type: "radio", name: `quiz-${number + 1}` });
        const label = make("label", {}, input, make("span", {}, ...item.querySelector("p").childNodes));
        input.addEventListener("change", () => {
          const good = place + 1 === right;
          if (!first.has(question)) first.set(question, good);
          for (const other of group.children) other.className = "";
          label.className = good ? "is-right" : "is-wrong";
          heard.replaceChildren(...[...said[place].childNodes].map((node) => node.cloneNode(true)));
          tell();
        });
        group.append(label);
      });
      list.replaceWith(group);
      question.querySelector("details").hidden = true;
      question.append(heard);
    });

    const again = make("button", { type: "button", class: "btn btn-sm btn-outline-primary" }, "Start again");
    again.addEventListener("click", () => {
      first.clear();
      for (const input of quiz.querySelectorAll("input")) input.checked = false;
      for (const label of quiz.querySelectorAll("label")) label.className = "";
      for (const heard of quiz.querySelectorAll(".quiz-heard")) heard.replaceChildren();
      tell();
      quiz.querySelector("input").focus();
    });
    quiz.append(make("div", { class: "quiz-end" }, score, again));
    tell();
  }

  /* The equations are set first, so that they move into their buttons as they are. */
  const start = () => document.querySelectorAll(".quiz-page").forEach(build);
  const set = () => (window.MathJax?.startup?.promise ? window.MathJax.startup.promise.then(start) : start());
  if (document.readyState === "complete") set();
  else window.addEventListener("load", set);
})();
