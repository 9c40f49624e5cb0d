/* A canvas to draw on, by mouse, finger or keyboard. */
window.LiveDrawing = (() => {
  "use strict";

  const SIZE = 240; // points of the canvas while somebody draws
  const STEP = 1 / 20; // of an arrow key, as a share of the canvas
  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** Strokes are lists of points [x, y], shares of the canvas. `drawn(strokes)` is called when a stroke begins and when it
   * ends; in between they stay as they are drawn. Nothing happens unless `enabled()`. */
  function pad(canvas, { enabled, drawn }) {
    let strokes = [];
    let pen = [0.5, 0.5]; // of the keyboard
    let down = false;

    function blank() {
      [canvas.width, canvas.height] = [SIZE, SIZE];
      const paper = canvas.getContext("2d");
      paper.fillRect(0, 0, SIZE, SIZE);
      return paper;
    }

    function trace() {
      const paper = blank();
      Object.assign(paper, { strokeStyle: "#fff", lineWidth: SIZE / 12, lineCap: "round", lineJoin: "round" });
      for (const stroke of strokes) {
        paper.beginPath();
        paper.moveTo(...stroke[0].map((share) => share * SIZE));
        for (const point of stroke) paper.lineTo(...point.map((share) => share * SIZE));
        paper.stroke();
      }
      return paper;
    }

    function begin(point) {
      down = true;
      strokes = [...strokes, [point]];
      drawn(strokes);
      trace();
    }

    function end() {
      if (!down) return;
      down = false;
      drawn(strokes);
    }

    function clear() {
      down = false;
      strokes = [];
    }

    const place = (event) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      return [(event.clientX - left) / width, (event.clientY - top) / height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (!enabled()) return;
      canvas.setPointerCapture(event.pointerId);
      begin(place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!down || !enabled()) return;
      strokes.at(-1).push(place(event));
      trace();
    });
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);

    /** The space bar lowers and lifts the pen, arrow keys move it. */
    canvas.addEventListener("keydown", (event) => {
      if (!enabled() || !(event.key === " " || event.key in MOVES)) return;
      event.preventDefault();
      if (event.key === " " && down) return end();
      if (event.key === " ") begin(pen);
      else {
        pen = pen.map((share, axis) => Math.min(0.95, Math.max(0.05, share + STEP * MOVES[event.key][axis])));
        if (down) strokes.at(-1).push(pen);
      }
      const paper = trace();
      Object.assign(paper, { strokeStyle: down ? "#f0a050" : "#6cbcf0", lineWidth: 2 });
      paper.strokeRect(pen[0] * SIZE - 4, pen[1] * SIZE - 4, 8, 8); // where the pen is
    });

    return { blank, clear };
  }

  return { pad };
})();
