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

// 0 to 1 with 0.5 at the threshold in force; it never reaches its ends. `unit`: what lies one unit away is at 0.75.
function squeeze(score, unit) {
  const steps = (score - data.threshold) / unit;
  return 0.5 + (0.5 * steps) / (1 + Math.abs(steps));
}

function stretch(level, unit) {
  const far = 2 * level - 1;
  return data.threshold + (unit * far) / (1 - Math.abs(far));
}

// As the levels of maps are.
const normalised = (score) => squeeze(score, data.unit);

// The scores as places from 0 to 1. Where some lie very far out the scale is squeezed towards its ends: the others
// would be heaped on one side otherwise, and no slider could tell them apart.
function makeAxis() {
  const all = [...scores.training, ...scores.good, ...scores.bad];
  if (hasThreshold()) all.push(data.threshold);
  const [low, high] = all.length ? [least(all), -least(all.map((score) => -score))] : [0, 1];
  const unit = usualDistance(all);
  const squeezed = hasThreshold() && high - low > 20 * unit;
  const to = squeezed ? (score) => squeeze(score, unit) : (score) => score;
  const from = squeezed ? (place) => stretch(place, unit) : (place) => place;
  const margin = 0.04 * (to(high) - to(low)) || 0.04 * Math.abs(low) || 1;
  const [start, stop] = ends(to(low), to(high), margin, squeezed);
  return {
    squeezed,
    place: (score) => (to(score) - start) / (stop - start),
    score: (place) => from(start + place * (stop - start)),
  };
}

const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);

// A little beyond the outermost scores; a squeezed scale has no places at 0 and 1.
function ends(low, high, margin, squeezed) {
  if (!squeezed) return [low - margin, high + margin];
  return [low - Math.min(margin, low / 2), high + Math.min(margin, (1 - high) / 2)];
}

// From the threshold, within which half of the scores lie; those at the threshold itself tell nothing of it.
function usualDistance(all) {
  const distances = all.map((score) => Math.abs(score - data.threshold)).filter((each) => each > 0);
  return Math.max(distances.sort(ascending)[distances.length >> 1] || 0, data.unit);
}

const axis = makeAxis();

// The score at a place of the slider, with as many digits as tell it from the next one.
function roundedAt(place, next) {
  const score = axis.score(place);
  const step = Math.abs(axis.score(next) - score);
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(step / 4 || 1)), 0), 15);
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
