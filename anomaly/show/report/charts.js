// Drawings in SVG: the histogram over the slider, and the curves.

function svg(name, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

function html(name, properties, ...inside) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside);
  return made;
}

const ROWS = [
  ["training", "good, in training"],
  ["good", "good, in test"],
  ["bad", "defective, in test"],
];
const BAR_HEIGHT = 56;
const ROW_HEIGHT = 92;
const TOP = 18;

function binned(values, bins) {
  const found = new Array(bins).fill(0);
  for (const value of values) found[Math.min(Math.max(Math.floor(axis.place(value) * bins), 0), bins - 1)] += 1;
  return found;
}

// The bars of one row as two paths: those up to the threshold, and standing on them those above it.
function bars(values, width, bottom) {
  const bins = Math.max(16, Math.min(60, Math.floor(width / 12)));
  const cut = hasThreshold() ? values.length - above(values, state.threshold) : values.length;
  const [below, beyond] = [values.slice(0, cut), values.slice(cut)].map((part) => binned(part, bins));
  const most = Math.max(...below.map((count, i) => count + beyond[i]), 1);
  const step = width / bins;
  const unit = BAR_HEIGHT / most;
  const bar = (i, base, count) =>
    count ? `M${i * step + 0.5} ${base}v${-unit * count}h${step - 1}v${unit * count}z` : "";
  return [
    below.map((count, i) => bar(i, bottom, count)).join(""),
    beyond.map((count, i) => bar(i, bottom - unit * below[i], count)).join(""),
  ];
}

function drawHistogram() {
  const place = document.getElementById("histogram");
  const width = Math.max(place.clientWidth, 200);
  const rows = ROWS.filter(([key]) => scores[key].length);
  const height = TOP + rows.length * ROW_HEIGHT + 22;
  const drawing = svg("svg", { width, height, role: "img", "aria-labelledby": "histogram-says" });
  rows.forEach(([key, title], number) => {
    const bottom = TOP + (number + 1) * ROW_HEIGHT;
    drawing.append(svg("path", { class: "normal", id: `below-${key}` }));
    drawing.append(svg("path", { class: "anomalous", id: `beyond-${key}` }));
    drawing.append(svg("line", { x1: 0, x2: width, y1: bottom, y2: bottom, class: "axis" }));
  });
  drawing.append(svg("line", { y1: TOP - 6, y2: height - 22, class: "limit", id: "limit" })); // below what is written
  rows.forEach(([key, title], number) => {
    const bottom = TOP + (number + 1) * ROW_HEIGHT;
    const label = svg("text", { x: 0, y: bottom - BAR_HEIGHT - 10, id: `row-${key}` });
    Object.assign(label.dataset, { title, bottom });
    drawing.append(label);
  });
  ticks(drawing, width, TOP + rows.length * ROW_HEIGHT);
  drawing.append(svg("text", { y: 11, class: "limit-text", id: "limit-text" }));
  const says = html("figcaption", { id: "histogram-says", className: "quiet" });
  says.textContent = histogramSays(rows);
  place.replaceChildren(says, drawing);
  moveLimit();
}

function histogramSays(rows) {
  if (!rows.length) return "No photograph has a score.";
  const parts = rows.map(([key, title]) => `${title}: ${scores[key].length}`);
  const squeezed = axis.squeezed ? " Scores far from the threshold are drawn closer together." : "";
  return `How many photographs have which score (${parts.join("; ")}).${squeezed}`;
}

function ticks(drawing, width, bottom) {
  const many = Math.max(2, Math.floor(width / 110));
  for (let i = 0; i <= many; i += 1) {
    const x = (i / many) * width;
    const anchor = i === 0 ? "start" : i === many ? "end" : "middle";
    const text = svg("text", { x, y: bottom + 16, "text-anchor": anchor, class: "tick" });
    text.textContent = String(Number(axis.score(i / many).toPrecision(3)));
    drawing.append(text);
  }
}

// What moves with the threshold: its line, the colours of the bars, and the numbers in the rows.
function moveLimit() {
  const known = hasThreshold();
  const width = Number(document.querySelector("#histogram svg").getAttribute("width"));
  const x = known ? Math.min(Math.max(axis.place(state.threshold), 0), 1) * width : width;
  for (const [key] of ROWS) {
    const label = document.getElementById(`row-${key}`);
    if (!label) continue;
    const all = scores[key].length;
    const over = known ? `, ${above(scores[key], state.threshold)} of ${all} above` : `, ${all}`;
    label.textContent = label.dataset.title + over;
    const paths = bars(scores[key], width, Number(label.dataset.bottom));
    ["below", "beyond"].forEach((side, i) => document.getElementById(`${side}-${key}`).setAttribute("d", paths[i]));
  }
  const line = document.getElementById("limit");
  const text = document.getElementById("limit-text");
  line.setAttribute("visibility", known ? "visible" : "hidden");
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
  text.textContent = known ? `threshold ${asScore(state.threshold)}` : "";
  text.setAttribute("x", x);
  text.setAttribute("text-anchor", x < 70 ? "start" : x > width - 70 ? "end" : "middle");
}

const SIZE = { width: 300, height: 250, left: 42, right: 10, top: 10, bottom: 40 };
const CHARTS = [
  ["ROC", ["img_roc", "pixel_roc"], "false positive rate", "true positive rate", 1],
  ["Precision and recall", ["img_pr", "pixel_pr"], "recall", "precision", 1],
  ["PRO", ["pixel_pro"], "false positive rate of pixels", "mean part found of a defect", null],
];
const LINES = { img: "photographs", pixel: "pixels" };

function drawCurves() {
  const place = document.getElementById("curves");
  for (const chart of CHARTS) {
    const lines = chart[1].filter((name) => data.curves[name].x.length);
    if (lines.length) place.append(curve(chart, lines));
  }
  if (!place.children.length) place.append(html("p", { textContent: "A curve needs good and defective photographs." }));
}

// Where a point of a curve lies in its drawing.
function placeIn(limit) {
  return (x, y) => [
    SIZE.left + (Math.min(x, limit) / limit) * (SIZE.width - SIZE.left - SIZE.right),
    SIZE.height - SIZE.bottom - y * (SIZE.height - SIZE.top - SIZE.bottom),
  ];
}

function curve([title, , across, up, most], lines) {
  const limit = most ?? data.limit;
  const at = placeIn(limit);
  const about = `${title} of ${lines.map((name) => LINES[name.split("_")[0]]).join(" and ")}: ${up} against ${across}`;
  const drawing = svg("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": about });
  frame(drawing, at, limit, across, up);
  for (const name of lines) {
    const kind = name.split("_")[0];
    const line = pathOf(data.curves[name], at, limit, name.endsWith("_pr"));
    drawing.append(svg("path", { d: line, class: `line ${kind}` }));
    drawing.append(svg("circle", { r: 4.5, class: `dot ${kind}`, id: `dot-${name}`, visibility: "hidden" }));
  }
  drawing.dataset.limit = limit;
  const kinds = lines.map((name) => name.split("_")[0]);
  const legend = kinds.map((kind) => html("span", { className: `key ${kind}` }, LINES[kind]));
  return html("figure", {}, html("h3", { textContent: title }), drawing, html("figcaption", {}, ...legend));
}

function frame(drawing, at, limit, across, up) {
  for (const part of [0, 0.5, 1]) {
    const [x, y] = at(part * limit, part);
    const [[left, low], [right, high]] = [at(0, 0), at(limit, 1)];
    drawing.append(svg("line", { x1: left, x2: right, y1: y, y2: y, class: "grid" }));
    drawing.append(svg("line", { x1: x, x2: x, y1: low, y2: high, class: "grid" }));
    const anchor = part === 1 ? "end" : part ? "middle" : "start";
    drawing.append(svg("text", { x, y: low + 15, "text-anchor": anchor, class: "tick" }, String(part * limit)));
    drawing.append(svg("text", { x: left - 5, y: y + 4, "text-anchor": "end", class: "tick" }, String(part)));
  }
  const [middle, low] = at(limit / 2, 0);
  drawing.append(svg("text", { x: middle, y: low + 32, "text-anchor": "middle", class: "tick" }, across));
  const turned = `translate(11 ${at(0, 0.5)[1]}) rotate(-90)`;
  drawing.append(svg("text", { transform: turned, "text-anchor": "middle", class: "tick" }, up));
}

// Up to the limit, where the line is cut; precision goes in steps, as average precision counts it.
function pathOf(points, at, limit, steps) {
  let path = "";
  for (let i = 0; i < points.x.length; i += 1) {
    const [x, y] = at(points.x[i], points.y[i]);
    if (!path) path = steps ? `M${at(0, points.y[i]).join(" ")}H${x}` : `M${x} ${y}`;
    else if (points.x[i] <= limit) path += steps ? `V${y}H${x}` : `L${x} ${y}`;
    else {
      const part = (limit - points.x[i - 1]) / (points.x[i] - points.x[i - 1]);
      const height = points.y[i - 1] + part * (points.y[i] - points.y[i - 1]);
      return `${path}L${at(limit, height).join(" ")}`;
    }
  }
  return path;
}
