"use strict";
const byId = (id) => document.getElementById(id);
const WORDS = {
  NORMAL: ["good", "✓", "Nothing unusual was found."],
  ANOMALOUS: ["bad", "✕", "Something is unlike good parts."],
  UNKNOWN: ["unsure", "?", "The model has no threshold: too few good photographs were trained on."],
};
const STATES = {
  usual: ["good", "✓ As they should be"],
  higher: ["bad", "▲ Drift: scores have risen"],
  lower: ["bad", "▼ Drift: scores have fallen"],
  "mostly anomalous": ["bad", "✕ Most are anomalous"],
  unknown: ["unsure", "… Not enough to tell"],
};
let token = sessionStorage.getItem("token") || "";
let shown = []; // addresses of pictures in memory, freed when the next one comes
let last = null; // the photograph that is shown
let turn = 0;

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) byId("access").hidden = false;
  const found = await answer.json().catch(() => ({ error: `the service answers ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function judged(file, name, map) {
  const query = new URLSearchParams({ map, name });
  if (byId("model").value) query.set("model", byId("model").value);
  return ask(`predict?${query}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
}

function picture(bytes) {
  const found = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  return kept(new Blob([found], { type: "image/png" }));
}

function kept(blob) {
  shown.push(URL.createObjectURL(blob));
  return shown[shown.length - 1];
}

function say(kind, head, text, small) {
  const place = byId("verdict");
  place.className = `verdict ${kind}`;
  place.replaceChildren(element("b", head), element("span", text), ...(small ? [element("small", small)] : []));
}

async function judge(file, name) {
  const mine = ++turn;
  say("", "", `Judging ${name} …`);
  try {
    const found = await judged(file, name, "heat");
    if (mine !== turn) return;
    show(found, file, name);
  } catch (error) {
    if (mine !== turn) return;
    byId("figure").hidden = byId("regions").hidden = true;
    say("unsure", "Not judged.", error.message, name);
  }
  refresh();
}

function show(found, file, name) {
  const [kind, sign, text] = WORDS[found.verdict];
  const score = found.normalised === null ? `score ${found.score.toFixed(4)}` : `score ${found.normalised.toFixed(3)}, threshold 0.5`;
  say(kind, `${sign} ${found.verdict}`, text, `${score} · ${name} · ${found.width} × ${found.height} · ${found.model}`);
  shown.splice(0).forEach((address) => URL.revokeObjectURL(address));
  last = { file, name, width: found.width, height: found.height, regions: found.regions };
  byId("heat").src = picture(found.map);
  byId("picture").src = kept(file);
  byId("picture").alt = `${name}: ${found.verdict}, ${found.regions.length} anomalous places`;
  byId("figure").hidden = false;
  draw(found);
  list(found.regions);
  const line = element("li", "");
  line.append(element("b", `${sign} ${found.verdict}`, kind), ` ${found.normalised === null ? "" : found.normalised.toFixed(3)} ${name}`);
  byId("list").prepend(line);
  while (byId("list").children.length > 20) byId("list").lastChild.remove();
  byId("before").hidden = false;
}

function draw(found) {
  byId("stage").style.setProperty("--proportion", found.width / found.height);
  const boxes = byId("boxes");
  boxes.setAttribute("viewBox", `0 0 ${found.width} ${found.height}`);
  boxes.setAttribute("preserveAspectRatio", "none");
  boxes.replaceChildren();
  for (const region of found.regions) {
    for (let line = 0; line < 2; line++) {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      ["x", "y", "width", "height"].forEach((key, at) => rect.setAttribute(key, region.box[at]));
      const group = line ? boxes.lastChild : boxes.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "g"));
      group.append(rect);
    }
  }
}

function list(regions) {
  const rows = regions.map((region, number) => {
    const row = document.createElement("tr");
    const [left, top, width, height] = region.box;
    const cells = [number + 1, `${left}, ${top}`, `${width} × ${height}`, region.area, region.normalised.toFixed(3)];
    row.append(...cells.map((text) => element("td", text)));
    return row;
  });
  byId("regions").tBodies[0].replaceChildren(...rows);
  byId("regions").hidden = !rows.length;
}

async function refresh() {
  let found;
  try {
    found = await ask("models");
  } catch (error) {
    byId("drift-state").textContent = "-";
    byId("drift-says").textContent = error.message;
    return;
  }
  byId("access").hidden = true;
  const names = Object.keys(found), select = byId("model");
  if (select.options.length !== names.length) select.replaceChildren(...names.map((name) => new Option(name, name)));
  byId("models").hidden = names.length < 2;
  const { drift, method, backbone, runs_on, remark } = found[select.value];
  const [kind, text] = STATES[drift.state];
  byId("drift-state").textContent = text;
  byId("drift-state").className = `state ${kind}`;
  byId("drift-says").textContent = drift.photographs ? drift.says : "None was judged yet.";
  byId("bar").hidden = byId("ends").hidden = drift.median === null;
  byId("bar-median").style.left = `${100 * (drift.median || 0)}%`;
  byId("bar").setAttribute("aria-label", `median score ${(drift.median || 0).toFixed(2)}; 0.5 is the threshold`);
  byId("about").textContent = [select.value, method, backbone, runs_on, remark].filter(Boolean).join(" · ");
}

async function several(files) {
  for (const file of files) await judge(file, file.name);
}

byId("file").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  several(files);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    if (kind === "drop") several([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => several([...event.clipboardData.files]));

async function drawnThere() { // of a file that this browser does not show, or turns in another way
  if (!last || last.drawn) return;
  const { file, name } = last;
  last.drawn = true;
  try {
    byId("picture").src = picture((await judged(file, name, "overlay")).map);
    byId("heat").removeAttribute("src");
    byId("boxes").replaceChildren();
  } catch (error) {
    say("unsure", "Not shown.", error.message, name);
  }
}
byId("picture").addEventListener("error", drawnThere);
byId("picture").addEventListener("load", () => {
  const { naturalWidth, naturalHeight } = byId("picture");
  if (last && (naturalWidth !== last.width || naturalHeight !== last.height)) drawnThere();
});
byId("keep").addEventListener("click", () => {
  const canvas = document.createElement("canvas"), brush = canvas.getContext("2d"), { name, regions, drawn } = last;
  [canvas.width, canvas.height] = [last.width, last.height];
  brush.drawImage(byId("picture"), 0, 0, canvas.width, canvas.height);
  if (!drawn) {
    brush.globalAlpha = byId("strength").value / 100;
    brush.drawImage(byId("heat"), 0, 0, canvas.width, canvas.height);
    brush.globalAlpha = 1;
    brush.strokeStyle = "#c4001a";
    brush.lineWidth = Math.max(1, Math.min(canvas.width, canvas.height) / 200);
    if (byId("show-boxes").checked) regions.forEach(({ box }) => brush.strokeRect(...box));
  }
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = kept(blob);
    link.download = `${name}.map.png`;
    link.click();
  }, "image/png");
});
byId("strength").addEventListener("input", () => { byId("heat").style.opacity = byId("strength").value / 100; });
byId("show-boxes").addEventListener("change", () => { byId("boxes").style.display = byId("show-boxes").checked ? "" : "none"; });
byId("model").addEventListener("change", refresh);
byId("access").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  refresh();
});

byId("camera").addEventListener("click", async () => {
  const video = byId("video");
  if (video.srcObject) {
    video.srcObject.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  } else {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "environment" } });
    } catch (error) {
      say("unsure", "No camera.", error.message);
    }
  }
  video.hidden = byId("shoot").hidden = !video.srcObject;
  byId("camera").textContent = video.srcObject ? "Close the camera" : "Use the camera";
});
byId("shoot").addEventListener("click", () => {
  const video = byId("video"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  const name = `camera ${new Date().toLocaleTimeString().replaceAll(/[/\\]/g, "-")}.png`;
  canvas.toBlob((blob) => blob && judge(blob, name), "image/png");
});
if (!navigator.mediaDevices) byId("camera-row").hidden = true; // browsers give it to https and localhost alone

byId("heat").style.opacity = 0.55;
refresh();
setInterval(refresh, 10000);
