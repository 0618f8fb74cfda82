"use strict";

function element(name, text, ...inside) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...inside);
  return made;
}

// What stands between backticks as code.
function written(text) {
  return text.split("`").map((part, number) => (number % 2 ? element("code", part) : part));
}

function table(head, rows) {
  const cells = (kind, row) => element("tr", "", ...row.map((text) => element(kind, String(text))));
  const made = element("table", "", element("thead", "", cells("th", head)), element("tbody", "", ...rows.map((row) => cells("td", row))));
  const around = element("div", "", made);
  around.className = "scroll";
  return around;
}

function kind(schema) {
  const one = (schema.anyOf || [schema])[0];
  return one.enum ? one.enum.join(", ") : one.type || "";
}

function operation(path, method, about) {
  const made = element("details", "", element("summary", `${method.toUpperCase()} ${path}`), element("p", "", ...written(about.description || "")));
  made.open = path === "/predict";
  if (about.parameters) {
    made.append(element("h2", "Parameters"));
    made.append(table(["name", "values", ""], about.parameters.map((one) => [one.name, kind(one.schema), one.description || ""])));
  }
  if (about.requestBody) made.append(element("p", "", ...written(about.requestBody.description)), element("p", Object.keys(about.requestBody.content).join(", ")));
  made.append(element("h2", "Answers"), table(["status", ""], Object.entries(about.responses).map(([code, one]) => [code, one.description])));
  return made;
}

fetch("openapi.json").then((answer) => answer.json()).then((found) => {
  document.getElementById("text").append(...written(found.info.description));
  for (const [path, methods] of Object.entries(found.paths)) {
    for (const [method, about] of Object.entries(methods)) document.getElementById("paths").append(operation(path, method, about));
  }
});

// Where there are several models, one has to be named. Where a token is needed, their names are not told here.
async function example() {
  const answer = await fetch("models");
  const names = answer.ok ? Object.keys(await answer.json()) : ["NAME"];
  const address = new URL("predict", location.href);
  if (names.length > 1 || !answer.ok) address.searchParams.set("model", names[0]);
  document.getElementById("example").textContent = `curl --data-binary @photo.png '${address}'`;
}
example();
