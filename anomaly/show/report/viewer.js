// One photograph, large: as it is, with its map over it, and the map. Arrow keys go on, Escape closes.

const viewer = { number: 0 };
const PANELS = [
  ["photo", "photograph"],
  ["overlay", "overlay"],
  ["map", "map"],
];

const dialog = () => document.getElementById("viewer");

function openViewer(image) {
  viewer.number = gallery.list.indexOf(image);
  showViewer();
  if (!dialog().open) dialog().showModal();
}

function step(by) {
  const next = viewer.number + by;
  if (next < 0 || next >= gallery.list.length) return;
  viewer.number = next;
  showViewer();
}

function showViewer() {
  const image = gallery.list[viewer.number];
  document.getElementById("viewer-name").replaceChildren(html("bdi", { textContent: image.name }));
  const truth = image.anomalous ? `defective (${image.defect})` : "good";
  const mask = image.anomalous && image.photo && !image.masked ? "; where the defect is is not known" : "";
  const place = `${viewer.number + 1} of ${gallery.list.length}`;
  document.getElementById("viewer-says").textContent =
    `${place}: ${truth}, score ${asScore(image.score)}, ${verdictOf(image)}${mask}`;
  document.getElementById("viewer-path").textContent = image.path;
  // Not `disabled`, which would take the focus, and with it the keys, out of the dialog.
  document.getElementById("before").setAttribute("aria-disabled", viewer.number === 0);
  document.getElementById("after").setAttribute("aria-disabled", viewer.number === gallery.list.length - 1);
  const panels = document.getElementById("panels");
  panels.classList.toggle("flat", Boolean(image.photo) && image.size[0] > 1.8 * image.size[1]);
  panels.replaceChildren(...(image.photo ? PANELS.map((panel) => panelOf(image, panel)) : ["no picture"]));
}

function panelOf(image, [view, title]) {
  const box = stack(image, `${title} of ${image.name}`);
  if (view === "map") box.querySelector(".mask")?.remove();
  colour(box, image, view);
  return html("figure", {}, box, html("figcaption", { textContent: title }));
}

function closed() {
  const card = gallery.cards.get(gallery.list[viewer.number]);
  while (card && !card.isConnected && gallery.count < gallery.list.length) showMore();
  card?.querySelector("button").focus();
}

function listenViewer() {
  document.getElementById("before").addEventListener("click", () => step(-1));
  document.getElementById("after").addEventListener("click", () => step(1));
  document.getElementById("close").addEventListener("click", () => dialog().close());
  dialog().addEventListener("close", closed);
  dialog().addEventListener("click", (event) => {
    if (event.target === dialog()) dialog().close(); // beside the picture
  });
  document.addEventListener("keydown", (event) => {
    if (!dialog().open) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
}
