// Starts everything, and moves it when the threshold moves.

const byId = (id) => document.getElementById(id);
const SLIDER = 1000; // places of the slider
const waiting = {};

// Calls a function once, when so many milliseconds have passed without another call.
function later(name, wait, work) {
  clearTimeout(waiting[name]);
  waiting[name] = setTimeout(work, wait);
}

function write(id, text) {
  byId(id).textContent = text;
}

function showCounts() {
  const now = counts();
  write("good-normal", now.right);
  write("good-anomalous", now.alarms);
  write("bad-normal", now.missed);
  write("bad-anomalous", now.found);
  for (const name of ["precision", "recall", "f1"]) write(name, shown(now[name]));
  write("above", `${now.training} of ${scores.training.length}`);
  write("dock-value", asScore(state.threshold));
  write("dock-says", `${now.missed} missed, ${now.alarms} false alarm${now.alarms === 1 ? "" : "s"}`);
  later("said", 400, () => {
    const good = `${now.alarms} of ${scores.good.length} good photographs called anomalous`;
    const bad = `${now.missed} of ${scores.bad.length} defective ones missed`;
    write("said", `Threshold ${asScore(state.threshold)}: ${good}, ${bad}`);
  });
}

function showCommands() {
  const inForce = state.threshold === data.threshold;
  const said = `exactly this threshold${inForce ? `, which is the one in force (${data.chosen})` : ""}:`;
  write("typed-value", said[0].toUpperCase() + said.slice(1));
  const sign = state.threshold < 0 ? "=" : " "; // -2e-5 would be read as a flag
  write("command-value", `${data.command} --value${sign}${state.threshold}`);
  const near = nearestRate();
  byId("typed-rate").hidden = near === null;
  byId("command-rate").parentElement.hidden = near === null;
  if (near === null) return;
  write("typed-rate", `Or the rate of false alarms that comes nearest, with the threshold ${asScore(near.limit)}:`);
  write("command-rate", `${data.command} --false_alarm_rate ${near.rate}`);
}

function showDots() {
  const now = counts();
  moveDot("img_roc", now.alarms / scores.good.length, now.recall);
  moveDot("img_pr", now.recall, now.precision);
  for (const name of ["pixel_roc", "pixel_pr", "pixel_pro"]) {
    const { x, y, t } = data.curves[name];
    if (!x.length || !data.pixel) continue;
    const limit = pixelThreshold();
    let i = 0;
    while (i + 1 < t.length && t[i + 1] > limit) i += 1;
    moveDot(name, x[i], y[i]);
  }
}

function moveDot(name, x, y) {
  const dot = byId(`dot-${name}`);
  if (!dot) return;
  const limit = Number(dot.ownerSVGElement.dataset.limit);
  const outside = x === null || y === null || x > limit;
  dot.setAttribute("visibility", outside ? "hidden" : "visible");
  if (outside) return;
  const [cx, cy] = placeIn(limit)(x, y);
  dot.setAttribute("cx", cx);
  dot.setAttribute("cy", cy);
}

const sliders = () => document.querySelectorAll(".slider");

// From anything that chooses a threshold; `by`: what it was, which is not to be changed under a user's fingers.
function choose(threshold, by) {
  state.threshold = threshold;
  for (const slider of sliders()) {
    if (slider !== by) slider.value = Math.round(axis.place(threshold) * SLIDER);
    slider.setAttribute("aria-valuetext", asScore(threshold));
  }
  if (by !== byId("value")) byId("value").value = Number(threshold.toPrecision(7));
  moveLimit();
  showCounts();
  showCommands();
  showDots();
  markAll();
  later("repaint", 100, repaint);
}

// The photographs change places only when the threshold stays where it is.
function settle() {
  later("arrange", 250, arrange);
}

function slid(event) {
  const place = Number(event.target.value);
  choose(roundedAt(place / SLIDER, (place + (place < SLIDER ? 1 : -1)) / SLIDER), event.target);
}

function listenThreshold() {
  for (const slider of sliders()) {
    slider.addEventListener("input", slid);
    slider.addEventListener("change", settle);
  }
  byId("value").addEventListener("input", (event) => {
    const typed = event.target.valueAsNumber;
    if (Number.isFinite(typed)) choose(typed, event.target);
    settle();
  });
  byId("reset").addEventListener("click", () => {
    choose(data.threshold);
    settle();
  });
  document.querySelectorAll("#rates tr[data-threshold]").forEach(offer);
}

// A row of the table of rates gets a button that shows what its threshold does.
function offer(row) {
  const button = html("button", { type: "button", textContent: "try" });
  button.setAttribute("aria-label", `try the threshold of ${row.cells[0].textContent}`);
  button.addEventListener("click", () => {
    choose(Number(row.dataset.threshold));
    settle();
    byId("threshold-head").scrollIntoView();
  });
  row.lastElementChild.append(button);
}

function listenGallery() {
  for (const id of ["kind", "verdict"]) byId(id).addEventListener("change", filter);
  for (const radio of document.querySelectorAll("input[name=view]")) {
    radio.addEventListener("change", () => {
      state.view = radio.value;
      repaint();
    });
  }
  byId("outline").addEventListener("change", (event) => {
    document.body.classList.toggle("no-outline", !event.target.checked);
  });
  byId("more").addEventListener("click", showMore);
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && showMore(), {
    rootMargin: "600px",
  }).observe(byId("more"));
}

function start() {
  new ResizeObserver(drawHistogram).observe(byId("histogram"));
  drawHistogram();
  drawCurves();
  byId("gallery-part").hidden = !data.images.length;
  byId("curves-part").hidden = !data.images.length;
  byId("gallery-controls").hidden = false;
  byId("chooser").hidden = byId("dock").hidden = !hasThreshold();
  listKinds();
  drawLegend();
  listenGallery();
  listenViewer();
  arrange();
  if (!hasThreshold()) return;
  listenThreshold();
  choose(data.threshold);
}

start();
