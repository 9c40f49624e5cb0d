/* Pictures for networks that run in a page: pixels are [H, W, C] from 0 to 255, a shape is [H, W, C].
 *
 * A reader's own picture is drawn on a canvas here and goes nowhere. */
window.LiveImages = (() => {
  "use strict";

  const FINE = 4; // a drawing has 4 × 4 points to a pixel, as the bitmaps had that the digits were made from
  const PEN = 3.6 / 32; // thickness of a stroke over the height of the image
  const MARGIN = 0.12; // of the width that a drawing leaves free at the sides

  function sheet(width, height) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    return canvas.getContext("2d", { willReadFrequently: true });
  }

  /** Pixels of what is on a sheet, which is `fine` times as large: averages of its points. */
  function pixelsOf(paper, [h, w, c], fine = 1) {
    const { data } = paper.getImageData(0, 0, w * fine, h * fine);
    const out = new Float32Array(h * w * c);
    for (let y = 0; y < h * fine; y++)
      for (let x = 0; x < w * fine; x++) {
        const from = 4 * (y * w * fine + x);
        const to = c * (Math.floor(y / fine) * w + Math.floor(x / fine));
        const grey = 0.299 * data[from] + 0.587 * data[from + 1] + 0.114 * data[from + 2];
        for (let i = 0; i < c; i++) out[to + i] += (c === 1 ? grey : data[from + i]) / fine ** 2;
      }
    return out.map(Math.round);
  }

  async function load(address) {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    return picture;
  }

  /** A test image, from the address of its PNG. */
  async function decode(png, shape) {
    const paper = sheet(shape[1], shape[0]);
    paper.drawImage(await load(png), 0, 0);
    return pixelsOf(paper, shape);
  }

  /** The middle square of a reader's file. Grey networks know bright things on black, so a bright border is inverted. */
  async function fromFile(file, shape) {
    const address = URL.createObjectURL(file);
    try {
      const picture = await load(address);
      const side = Math.min(picture.naturalWidth, picture.naturalHeight);
      const [left, top] = [(picture.naturalWidth - side) / 2, (picture.naturalHeight - side) / 2];
      const [h, w, c] = shape;
      const paper = sheet(8 * w, 8 * h);
      paper.imageSmoothingQuality = "high";
      paper.fillStyle = "#fff";
      paper.fillRect(0, 0, 8 * w, 8 * h);
      paper.drawImage(picture, left, top, side, side, 0, 0, 8 * w, 8 * h);
      const pixels = pixelsOf(paper, shape, 8);
      if (c > 1) return pixels;
      const border = pixels.filter((_, i) => i < w || i >= w * (h - 1) || i % w === 0 || i % w === w - 1);
      const bright = border.reduce((sum, value) => sum + value, 0) / border.length > 127;
      return bright ? pixels.map((value) => 255 - value) : pixels;
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /** A drawing: strokes are lists of [x, y] in any unit. They are moved and scaled to fill the height of the image and
   * drawn with one pen, whatever their size was: so were the training images. Null if nothing is drawn. */
  function fromStrokes(strokes, shape) {
    const points = strokes.flat();
    if (!points.length) return null;
    const [h, w] = shape;
    const [height, width] = [h * FINE, w * FINE];
    const ends = (axis) => {
      const along = points.map((point) => point[axis]);
      return [Math.min(...along), Math.max(...along)];
    };
    const [[left, right], [top, bottom]] = [ends(0), ends(1)];
    const pen = PEN * height;
    const [tall, wide] = [height - pen, width * (1 - 2 * MARGIN) - pen];
    const scaleY = tall / Math.max(bottom - top, (right - left) / 4, 1e-9); // a dash does not become a block
    const scaleX = Math.min(scaleY, wide / Math.max(right - left, 1e-9));
    const at = ([x, y]) => [width / 2 + scaleX * (x - (left + right) / 2), height / 2 + scaleY * (y - (top + bottom) / 2)];
    const paper = sheet(width, height);
    paper.strokeStyle = "#fff";
    paper.lineWidth = pen;
    paper.lineCap = paper.lineJoin = "round";
    for (const stroke of strokes) {
      paper.beginPath();
      paper.moveTo(...at(stroke[0]));
      for (const point of stroke) paper.lineTo(...at(point)); // a point alone becomes a dot
      paper.stroke();
    }
    return pixelsOf(paper, shape, FINE);
  }

  /** Ways to disturb an image; amounts from 0 to 1. */
  const DISTURBANCES = {
    none: (pixels) => pixels,
    noise: (pixels, shape, amount) => {
      const noise = window.normalDeviates(1); // the same each time: a disturbance is a property of the image
      return pixels.map((value) => Math.round(Math.min(255, Math.max(0, value + 128 * amount * noise.next().value))));
    },
    erase: (pixels, [h, w, c], amount) => {
      const inside = (place, length) => Math.abs(place + 0.5 - length / 2) < (amount * length) / 2;
      return pixels.map((value, i) => {
        const [y, x] = [Math.floor(i / c / w), Math.floor(i / c) % w];
        return inside(y, h) && inside(x, w) ? (c === 1 ? 0 : 128) : value;
      });
    },
    shift: (pixels, [h, w, c], amount) => {
      const by = Math.round((amount * w) / 2);
      return pixels.map((_, i) => {
        const [y, x] = [Math.floor(i / c / w), Math.floor(i / c) % w];
        return x < by || y < by ? 0 : pixels[i - by * c * (w + 1)];
      });
    },
  };

  /** Show pixels on a canvas, one point each; style sheets make it large. */
  function show(canvas, pixels, [h, w, c]) {
    [canvas.width, canvas.height] = [w, h];
    const paper = canvas.getContext("2d");
    const image = paper.createImageData(w, h);
    for (let i = 0; i < h * w; i++) {
      for (let j = 0; j < 3; j++) image.data[4 * i + j] = pixels[i * c + (c === 1 ? 0 : j)];
      image.data[4 * i + 3] = 255;
    }
    paper.putImageData(image, 0, 0);
  }

  return { decode, fromFile, fromStrokes, disturb: (how, ...rest) => DISTURBANCES[how](...rest), show };
})();
