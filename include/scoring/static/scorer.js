"use strict";
// Speaks to /score, /feedback and /outbox of its own server, and to nothing else.
const PART = 1000; // records a request
const SHOWN = 500; // rows of the table; the plot shows as many
const $ = (id) => document.getElementById(id);
const target = document.body.dataset.target;

async function post(path, body) {
  const reply = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const said = await reply.json().catch(() => ({}));
  if (!reply.ok) throw Object.assign(new Error(said.error || `the scorer answered ${reply.status}`), { record: said.record, field: said.field, reason: said.reason });
  return said;
}

function typed(text, kind) {
  if (text === undefined || text.trim() === "") return null;
  if (kind === "category") return text.trim();
  if (kind === "time") return text.trim();
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

const kinds = Object.fromEntries([...document.querySelectorAll("#record [data-kind]")].map((field) => [field.name, field.dataset.kind]));

// RFC 4180: quotes, doubled quotes, line ends inside quotes. Semicolons where the header has them.
function parse(text) {
  const separator = text.split("\n", 1)[0].includes(";") ? ";" : ",";
  const cells = new RegExp(`("(?:[^"]|"")*"|[^"${separator}\\r\\n]*)(${separator}|\\r?\\n|$)`, "g");
  const rows = [[]];
  for (const [, cell, end] of text.replace(/^\uFEFF/, "").matchAll(cells)) {
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === "") break;
    if (end !== separator) rows.push([]);
  }
  return rows.filter((row) => row.some((cell) => cell !== ""));
}

function records(text) {
  const [names, ...rows] = parse(text);
  if (!rows.length) throw new Error("the file has no rows under its header");
  return rows.map((row) => Object.fromEntries(names.map((name, n) => [name.trim(), typed(row[n], kinds[name.trim()])])));
}

async function score(all) {
  $("problem").textContent = "";
  const scores = [];
  for (let start = 0; start < all.length; start += PART) {
    $("summary").textContent = `${start} of ${all.length} …`;
    try {
      scores.push(...(await post("/score", { records: all.slice(start, start + PART) })).scores);
    } catch (error) {
      if (error.record === undefined) throw error;
      throw new Error(`record ${start + error.record + 1}, ${error.field}: ${error.reason}. ${start} records before it were scored.`);
    }
  }
  show(all.map((record, n) => ({ record, n, ...scores[n], measured: record[target] ?? null })));
  outbox();
}

function show(scored) {
  const anomalies = scored.filter((one) => one.anomaly);
  const shown = anomalies.concat(scored.filter((one) => !one.anomaly)).slice(0, SHOWN).sort((a, b) => a.n - b.n);
  $("results").hidden = false;
  $("summary").textContent = `${scored.length} records, ${anomalies.length} anomalies` + (scored.length > SHOWN ? `; ${SHOWN} are shown, anomalies first` : "");
  $("rows").replaceChildren(...shown.map(row));
  plot(shown);
  $("results").scrollIntoView({ block: "nearest" });
}

const rounded = (value) => (value === null ? "" : value.toFixed(1));

function row(one) {
  const name = [Object.values(one.record).find((value) => typeof value === "string") ?? one.n + 1, one.record.time].filter(Boolean).join(" ");
  const line = document.createElement("tr");
  for (const text of [name, rounded(one.expected), rounded(one.measured), rounded(one.residual), one.anomaly ? "▲ anomaly" : one.measured === null ? "" : "normal"])
    line.insertCell().textContent = text;
  line.cells[4].className = one.anomaly ? "anomaly" : "";
  const form = $("answer").content.cloneNode(true).querySelector("form");
  form.addEventListener("submit", (event) => answer(event, one.id));
  line.insertCell().append(form);
  return line;
}

async function answer(event, id) {
  event.preventDefault();
  const form = event.target;
  const cell = form.parentElement;
  try {
    await post("/feedback", { event: id, label: form.label.value, comment: form.comment.value });
    cell.textContent = `thank you: ${form.label.value.replace("_", " ")}`;
    outbox();
  } catch (error) {
    $("problem").textContent = error.message;
  }
}

function svg(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function plot(scored) {
  const values = scored.flatMap((one) => [one.expected, one.measured]).filter((value) => typeof value === "number");
  const low = Math.min(0, ...values), high = Math.max(1, ...values);
  const x = (n) => 50 + (580 * (n + 0.5)) / scored.length, y = (value) => 280 - (260 * (value - low)) / (high - low);
  const nodes = [svg("title", {}, `expected and measured values of ${scored.length} records`)];
  for (const value of [low, (low + high) / 2, high])
    nodes.push(svg("line", { x1: 50, x2: 630, y1: y(value), y2: y(value) }), svg("text", { x: 44, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(0)));
  scored.forEach((one, n) => {
    nodes.push(svg("circle", { class: "expected", cx: x(n), cy: y(one.expected), r: 3 }));
    if (typeof one.measured !== "number") return;
    const at = [x(n), y(one.measured)];
    nodes.push(one.anomaly
      ? svg("path", { class: "anomaly", d: `M${at[0]} ${at[1] - 6}l5 9h-10z` })
      : svg("circle", { class: "measured", cx: at[0], cy: at[1], r: 3 }));
  });
  $("plot").replaceChildren(...nodes);
}

async function outbox() {
  try {
    const said = await (await fetch("/outbox")).json();
    $("outbox").textContent = `${said.recorded} events recorded here, ${said.shipped} on their way to the lake, ${said.pending} waiting for the link.`;
  } catch {
    $("outbox").textContent = "";
  }
}

const guarded = (work) => work.catch((error) => { $("problem").textContent = error.message; });

$("record").addEventListener("submit", (event) => {
  event.preventDefault();
  const record = Object.fromEntries([...new FormData(event.target)].map(([name, text]) => [name, typed(text, kinds[name])]));
  guarded(score([record]));
});
$("file").addEventListener("change", (event) => guarded(event.target.files[0].text().then((text) => score(records(text)))));
outbox();
