// What lies over a photograph: the colours of its map, the line around what is above the threshold, and its mask.

const dataUrl = (base64) => `data:image/jpeg;base64,${base64}`;

// The levels of a map as bytes at the size of its picture; 128 is about the threshold in force.
async function levelsOf(image) {
  const picture = new Image();
  picture.src = dataUrl(image.map);
  await picture.decode();
  const [width, height] = image.size;
  const canvas = html("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height).data;
  const levels = new Uint8Array(width * height);
  for (let i = 0; i < levels.length; i += 1) levels[i] = pixels[4 * i];
  return levels;
}

// On a canvas of the picture's size; `view`: overlay or map.
function paint(canvas, image, levels, view) {
  const [width, height] = image.size;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < levels.length; i += 1) {
    const [red, green, blue, strength] = data.colours[levels[i]];
    pixels.data[4 * i] = red;
    pixels.data[4 * i + 1] = green;
    pixels.data[4 * i + 2] = blue;
    pixels.data[4 * i + 3] = view === "map" ? 255 : 255 * strength;
  }
  if (view === "overlay" && hasThreshold()) outlineAbove(pixels, levels, width, height);
  context.putImageData(pixels, 0, 0);
}

// A red pixel wherever one above the threshold lies beside one that is not.
function outlineAbove(pixels, levels, width, height) {
  const limit = normalised(state.threshold) * 255;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const i = y * width + x;
      if (!(levels[i] > limit)) continue;
      const inside =
        (x === 0 || levels[i - 1] > limit) &&
        (x === width - 1 || levels[i + 1] > limit) &&
        (y === 0 || levels[i - width] > limit) &&
        (y === height - 1 || levels[i + width] > limit);
      if (!inside) pixels.data.set([220, 30, 30, 255], 4 * i);
    }
  }
}

// The photograph and what lies over it, in a box of its proportions. `alt`: for those who do not see it.
function stack(image, alt) {
  const [width, height] = image.size;
  const photo = html("img", { alt, width, height, loading: "lazy", decoding: "async", src: dataUrl(image.photo) });
  const canvas = html("canvas", { width: 1, height: 1 });
  canvas.setAttribute("aria-hidden", "true");
  const box = html("span", { className: "stack" }, photo, canvas);
  box.style.setProperty("--ratio", width / height);
  if (image.mask) {
    const place = { viewBox: `-0.5 -0.5 ${width} ${height}`, class: "mask", "aria-hidden": "true" };
    box.append(svg("svg", place, svg("path", { d: image.mask, class: "under" }), svg("path", { d: image.mask })));
  }
  return box;
}

// Colours a box made by `stack`; the levels are kept with it for the next time.
async function colour(box, image, view) {
  const canvas = box.querySelector("canvas");
  canvas.hidden = view === "photo";
  if (canvas.hidden) return;
  box.levels ??= await levelsOf(image);
  paint(canvas, image, box.levels, view);
}

// Gives the memory back.
function fade(box) {
  const canvas = box.querySelector("canvas");
  canvas.width = 1;
  canvas.height = 1;
  box.levels = null;
}
