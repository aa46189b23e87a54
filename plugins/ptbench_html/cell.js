// What is behind one score, in a dialog that is made when somebody asks.
const facts = (told) => h("dl", { class: "terms" }, Object.entries(told).map(([key, value]) =>
  h("div", null, h("dt", null, key.replaceAll("_", " ")), h("dd", null, named(String(value))))));

const COST_TEXT = {
  seconds: ["time", secondsText], load_seconds: ["loading", secondsText], examples_per_s: ["examples per second", big],
  parameters: ["parameters", big], macs: ["multiply-adds per example", big], peak_memory_mb: ["peak memory", (value) => `${big(value)} MiB`],
};

const recordParts = (record, several) => {
  const parts = [];
  if (several) parts.push(h("h3", null, `Seed ${record.seed}`));
  if (record.error) parts.push(h("p", { class: "reason" }, h("span", { class: "chip bad" }, record.status), " ", named(record.error)));
  if (record.scores) {
    parts.push(scrolling("Scores", h("table", null,
      h("thead", null, h("tr", null, ["Metric", "Value", "95 % interval", "Examples", "Interval by", "Remarks"].map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", null, record.scores.map(([metric, value, low, high, n, by, caveat, apart]) => {
        const remarks = [caveat, apart === null || apart === undefined ? "" : `without copies ${number(apart)}`].filter(Boolean).join("; ");
        return h("tr", null, h("th", { scope: "row" }, named(metric)), h("td", { class: "num" }, h("b", null, number(value))),
          [span(low, high) || "–", n.toLocaleString("en-US"), by, remarks].map((text) => h("td", null, named(text))));
      })))));
  }
  if (record.about) parts.push(h("p", { class: "note" }, named(record.about.join(" · "))));
  for (const note of record.notes ?? []) parts.push(h("p", { class: "note" }, named(note)));
  if (record.cost) {
    const told = Object.entries(record.cost).map(([key, value]) => [COST_TEXT[key][0], COST_TEXT[key][1](value)]);
    parts.push(h("h4", null, "Cost"), facts(Object.fromEntries(told)));
  }
  if (record.facts) parts.push(h("details", null, h("summary", null, "What model and protocol tell of themselves"), facts(record.facts)));
  parts.push(h("p", { class: "note" }, "Cell ", h("code", null, record.cell)));
  return parts;
};

let dialog = null;
const openCell = (key) => {
  const [t, e] = key.split(",").map(Number);
  const [model, protocol] = doc.entries[e];
  const records = doc.records[key] ?? [];
  if (!dialog) {
    dialog = h("dialog", { "aria-labelledby": "cell-title" });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", hideTip);
    document.body.append(dialog);
    dialog.append(tip); // a dialog lies above all else, and so must its tips
  }
  const close = h("button", { type: "button", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => dialog.close());
  const place = (placesOf.get(t) ?? []).find((one) => one[1] === e);
  const standing = [];
  if (place) {
    const [, , value, low, high, state, group, from, to] = place;
    standing.push(h("p", { class: "lead" }, named(doc.tasks[t][1]), " ", h("b", null, number(value)), low === null ? "" : ` (${span(low, high)})`,
      [stateWords(e, state), from ? `rank ${from} to ${to}` : "", group ? `group ${group}` : ""].filter(Boolean).map((one) => `; ${one}`).join("")));
  }
  const behind = behindParts(key, `${entryName(e)} on ${taskName(t)}`);
  const about = doc.behind[key]?.about;
  dialog.replaceChildren(
    h("header", null, h("h2", { id: "cell-title" }, named(model), " × ", named(taskName(t)), " × ", named(protocol)), close),
    h("div", { class: "inside" }, standing, records.map((record) => recordParts(record, records.length > 1)),
      behind.length ? [h("h3", null, `Behind the score${about ? ` (${about})` : ""}`), h("div", { class: "pair" }, behind)] : []),
    tip);
  dialog.showModal();
  dialog.scrollTop = 0;
};

const wireCells = () => {
  for (const cell of document.querySelectorAll("td[data-cell]")) {
    if (!doc.records[cell.dataset.cell]) continue;
    const [t, e] = cell.dataset.cell.split(",").map(Number);
    const button = h("button", { type: "button", class: "open", "aria-haspopup": "dialog" });
    const words = cell.textContent.replace(/\s+/g, " ").trim();
    button.setAttribute("aria-label", `${words}. Details of ${entryName(e)} on ${taskName(t)}`);
    for (const hidden of cell.querySelectorAll(".vh")) hidden.remove(); // the label has it; thousands make a table slow
    button.append(...cell.childNodes);
    cell.append(button);
  }
  $("board")?.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (button) openCell(button.parentElement.dataset.cell);
  });
};
