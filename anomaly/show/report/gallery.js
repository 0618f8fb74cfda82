// All test photographs: sorted, filtered, and drawn only where they can be seen.

const STEP = 60; // cards that are added at once
const gallery = { list: [], count: STEP, cards: new Map(), visible: new Set() };

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const image = data.images[entry.target.dataset.number];
      const box = entry.target.querySelector(".stack");
      if (entry.isIntersecting) {
        gallery.visible.add(entry.target);
        colour(box, image, state.view);
      } else {
        gallery.visible.delete(entry.target);
        fade(box);
      }
    }
  },
  { rootMargin: "200px" },
);

function cardOf(image) {
  const known = gallery.cards.get(image);
  if (known) return known;
  const kind = image.anomalous ? "defective" : "good";
  const button = html("button", { type: "button", className: "picture" });
  if (image.photo) button.append(stack(image, `Photograph, ${kind}:`));
  else button.append(html("span", { className: "missing", textContent: "no picture" }));
  button.append(html("bdi", { className: "name", textContent: image.name, title: image.name }));
  button.append(html("span", { className: "score", textContent: `score ${asScore(image.score)}` }));
  button.append(html("span", { className: "verdict" }));
  button.addEventListener("click", () => openViewer(image));
  const card = html("li", {}, button);
  card.dataset.number = data.images.indexOf(image);
  gallery.cards.set(image, card);
  mark(image, card);
  return card;
}

// Says on a card what the threshold makes of its photograph, if that has changed.
function mark(image, card) {
  const verdict = verdictOf(image);
  if (card.dataset.verdict === verdict) return;
  card.dataset.verdict = verdict;
  card.querySelector(".verdict").textContent = verdict;
}

function markAll() {
  for (const [image, card] of gallery.cards) mark(image, card);
}

function order(one, other) {
  return isWrong(other) - isWrong(one) || other.score - one.score || (one.name < other.name ? -1 : 1);
}

function fits(image) {
  const kind = document.getElementById("kind").value;
  const verdict = document.getElementById("verdict").value;
  if (kind && image.defect !== kind.slice(1)) return false;
  if (verdict === "wrong") return isWrong(image);
  if (verdict === "alarm") return isWrong(image) && !image.anomalous;
  if (verdict === "missed") return isWrong(image) && image.anomalous;
  if (verdict === "right") return !isWrong(image);
  if (verdict) return calledAnomalous(image) === (verdict === "ANOMALOUS");
  return true;
}

// Sorts and filters. The cards of photographs that stay are the same ones, and as many are there as before.
function arrange() {
  gallery.list = data.images.filter(fits).sort(order);
  fill();
}

function filter() {
  gallery.count = STEP;
  arrange();
}

function fill() {
  const place = document.getElementById("gallery");
  const cards = gallery.list.slice(0, gallery.count).map(cardOf);
  const kept = new Set(cards);
  for (const card of gallery.visible) if (!kept.has(card)) fade(card.querySelector(".stack"));
  watcher.disconnect();
  gallery.visible.clear();
  place.replaceChildren(...cards);
  for (const card of cards) if (card.querySelector(".stack")) watcher.observe(card);
  document.getElementById("more").hidden = gallery.count >= gallery.list.length;
  const wrong = gallery.list.filter(isWrong).length;
  const said = hasThreshold() ? `, ${wrong} of them wrong` : "";
  document.getElementById("shown").textContent = `${gallery.list.length} of ${data.images.length} photographs${said}`;
}

function showMore() {
  gallery.count += STEP;
  fill();
}

function repaint() {
  for (const card of gallery.visible) {
    colour(card.querySelector(".stack"), data.images[card.dataset.number], state.view);
  }
}

function listKinds() {
  const kinds = [...new Set(data.images.map((image) => image.defect))].sort();
  for (const kind of kinds) {
    // Behind a sign, since a kind may have any name.
    document.getElementById("kind").append(html("option", { value: `=${kind}`, textContent: kind }));
  }
}

// The colours of the maps, with what they mean.
function drawLegend() {
  const context = document.getElementById("scale").getContext("2d");
  data.colours.forEach(([red, green, blue], level) => {
    context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.fillRect(level, 0, 1, 1);
  });
  const known = hasThreshold();
  const said = known ? "green at the threshold in force, red far above it" : "each by its own range";
  document.getElementById("scale-says").textContent = said;
  document.getElementById("above-says").hidden = !known;
  const masked = data.images.some((image) => image.mask);
  document.getElementById("outline").parentElement.hidden = !masked;
  document.getElementById("mask-says").hidden = !masked;
  document.getElementById("legend").hidden = false;
}
