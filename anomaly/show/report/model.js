"use strict";
// What the page knows, and what follows from a threshold. Nothing here changes the page.

const data = JSON.parse(document.getElementById("data").textContent);
const state = { threshold: data.threshold, view: "overlay", outline: true };

const ascending = (a, b) => a - b;
const scoresOf = (anomalous) =>
  data.images.filter((image) => image.anomalous === anomalous).map((image) => image.score).sort(ascending);
const scores = { training: data.good, good: scoresOf(false), bad: scoresOf(true) };

const hasThreshold = () => state.threshold !== null;
const calledAnomalous = (image) => image.score > state.threshold;
const isWrong = (image) => hasThreshold() && calledAnomalous(image) !== image.anomalous;

// How many of these, which rise, lie above a value; a search by halves, since a slider asks often.
function above(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > value) high = middle;
    else low = middle + 1;
  }
  return sorted.length - low;
}

// The confusion matrix, and what is worked out from it; null where there is nothing to divide by.
function counts() {
  const alarms = above(scores.good, state.threshold);
  const found = above(scores.bad, state.threshold);
  const missed = scores.bad.length - found;
  const part = (some, all) => (all ? some / all : null);
  return {
    alarms,
    found,
    missed,
    right: scores.good.length - alarms,
    training: above(scores.training, state.threshold),
    precision: part(found, found + alarms),
    recall: part(found, found + missed),
    f1: part(2 * found, 2 * found + alarms + missed),
  };
}

// In one word, what the threshold makes of a photograph.
function verdictOf(image) {
  if (!hasThreshold()) return "unknown";
  if (isWrong(image)) return image.anomalous ? "missed" : "false alarm";
  return calledAnomalous(image) ? "anomalous" : "normal";
}

// 0 to 1 with 0.5 at the threshold in force, as the maps and pictures have it; it never reaches its ends.
function normalised(score) {
  const steps = (score - data.threshold) / data.unit;
  return 0.5 + (0.5 * steps) / (1 + Math.abs(steps));
}

function denormalised(level) {
  const far = 2 * level - 1;
  return data.threshold + (data.unit * far) / (1 - Math.abs(far));
}

// The scores as places from 0 to 1. Where some lie very far out the scale is that of the normalised scores: the others
// would be heaped on one side otherwise, and no slider could tell them apart.
function makeAxis() {
  const all = [...scores.training, ...scores.good, ...scores.bad];
  if (hasThreshold()) all.push(data.threshold);
  let low = all.reduce((a, b) => Math.min(a, b), Infinity);
  let high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!all.length) [low, high] = [0, 1];
  const squeezed = hasThreshold() && high - low > 20 * data.unit;
  const to = squeezed ? normalised : (score) => score;
  const from = squeezed ? denormalised : (place) => place;
  const ends = [to(low), to(high)];
  const margin = 0.04 * (ends[1] - ends[0]) || 0.04 * Math.abs(ends[0]) || 1;
  const start = squeezed ? Math.max(ends[0] - margin, 1e-6) : ends[0] - margin;
  const stop = squeezed ? Math.min(ends[1] + margin, 1 - 1e-6) : ends[1] + margin;
  return {
    squeezed,
    place: (score) => (to(score) - start) / (stop - start),
    score: (place) => from(start + place * (stop - start)),
  };
}
const axis = makeAxis();

// A score with as many digits as matter beside the others.
function rounded(score) {
  const near = Math.abs(axis.score(0.502) - axis.score(0.498)) / 4;
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(near || 1)), 0), 12);
  return Number(score.toFixed(digits));
}

const shown = (value, digits = 4) => (value === null ? "-" : value.toFixed(digits));
const asScore = (value) => String(Number(value.toPrecision(5)));

// The rate of false alarms whose threshold is nearest: a rate leads to a score of a good photograph, not to any number.
function nearestRate() {
  let best = null;
  for (const [rate, limit] of data.rates) {
    if (best === null || Math.abs(limit - state.threshold) < Math.abs(best.limit - state.threshold)) {
      best = { rate, limit };
    }
  }
  return best;
}

// The threshold of places in maps moves by as many units as that of photographs.
function pixelThreshold() {
  const steps = (state.threshold - data.threshold) / data.unit;
  return data.pixel[0] + steps * data.pixel[1];
}
