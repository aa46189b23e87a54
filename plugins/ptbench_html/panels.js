// The sections that are drawn: each when it comes near, and again when its width changes.
const picker = (label, options, act) => {
  const select = h("select", null, options.map(([value, text]) => h("option", { value }, clipped(text, 60))));
  select.addEventListener("input", () => act(select.value));
  return h("label", null, h("span", null, label), select);
};

// A grid of panels, so many at a time.
const grid = (items, make, { first = 12, layout = "", what = "panels" } = {}) => {
  const panels = h("div", { class: `panels ${layout}` });
  let shown = 0;
  const more = h("button", { type: "button", class: "more" });
  const add = () => {
    const next = items.slice(shown, shown + first);
    panels.append(...next.map(make));
    shown += next.length;
    more.hidden = shown >= items.length;
    const left = items.length - shown;
    more.textContent = left > first ? `Show ${first} more of ${left} ${what}` : `Show the other ${left} ${what}`;
  };
  more.addEventListener("click", add);
  add();
  return h("div", null, panels, more);
};
const figure = (title, ...children) => h("figure", null, h("h3", null, named(title)), ...children);
const stateClass = (e, state) => (doc.entries[e][3] ? "is-peek" : ["", "is-best", "is-tied"][state]);
const stateWords = (e, state) => (doc.entries[e][3] ? "saw the targets" : ["", "best", "not told apart from the best"][state]);

const placesOf = new Map();
for (const place of doc.places) {
  if (!placesOf.has(place[0])) placesOf.set(place[0], []);
  placesOf.get(place[0]).push(place);
}
const tasksWith = (has) => doc.tasks.map((_, t) => t).filter(has);

const intervals = () => {
  const most = 24;
  const row = ([, e, value, low, high, state, group, from, to]) => ({
    label: entryName(e), value, low, high, state: stateClass(e, state), right: group,
    words: [entryName(e), `${number(value)}${low === null ? "" : ` (${span(low, high)})`}`, stateWords(e, state), from ? `rank ${from} to ${to}` : "", group ? `group ${group}` : ""].filter(Boolean).join("\n"),
  });
  const parts = [];
  if (doc.averages.length) {
    const alone = doc.averages.length === 1;
    const rows = doc.averages.map(([e, value, low, high, state, ...place]) => [0, e, value, low, high, alone ? 0 : state, ...place]);
    parts.push({ title: "Average over the tasks", caption: ["mean of the primary metrics"], rows, label: "Averages over the tasks with 95 % intervals, the best first" });
  }
  for (const t of tasksWith((one) => placesOf.has(one))) {
    const [task, metric, higher] = doc.tasks[t];
    parts.push({ title: task, caption: [named(metric), higher ? " ↑" : " ↓"], rows: placesOf.get(t), label: `${task}: ${metric} with 95 % intervals, the best first` });
  }
  const few = parts.length <= 2;
  return grid(parts, ({ title, caption, rows, label }) => {
    const panel = figure(title, h("figcaption", null, caption));
    const draw = (some) => dots(some.map(row), label, { width: few ? 560 : 380 });
    const picture = panel.appendChild(draw(rows.slice(0, most)));
    if (rows.length > most) {
      const all = h("button", { type: "button", class: "more" }, `Show all ${rows.length}`);
      all.addEventListener("click", () => { picture.replaceWith(draw(rows)); all.remove(); });
      panel.append(all);
    }
    return panel;
  }, { layout: few ? "wide" : "", what: "tasks" });
};

const costChart = () => {
  let [cost] = Object.keys(doc.costs);
  const tasks = tasksWith((t) => Object.values(doc.costs).some((one) => one.points.some((p) => p[0] === t)));
  let t = tasks[0];
  const place = h("div"), listing = h("div");
  const scoreOf = new Map(doc.places.map((one) => [`${one[0]},${one[1]}`, one]));
  const draw = () => {
    const [task, metric, higher] = doc.tasks[t], { title } = doc.costs[cost];
    const asText = cost === "seconds" ? secondsText : big;
    const points = doc.costs[cost].points.filter((p) => p[0] === t).flatMap(([, e, value, front]) => {
      const found = scoreOf.get(`${t},${e}`);
      if (!found) return [];
      const words = `${entryName(e)}\n${metric} ${number(found[2])} (${span(found[3], found[4])})\n${asText(value)}, ${title}${front ? "\non the front: nothing as good costs less" : ""}`;
      return [{ name: entryName(e), cost: value, score: found[2], low: found[3], high: found[4], front, words }];
    });
    if (!points.length) {
      place.replaceChildren(h("p", { class: "note" }, "Nothing here has both a score and this cost."));
      listing.replaceChildren();
      return;
    }
    const width = Math.max(320, place.clientWidth || $("cost-chart").clientWidth || 900);
    const label = `${task}: ${metric} against ${title}, ${points.length} entries, of which ${points.filter((p) => p.front).length} are on the front; the table below has their numbers`;
    place.replaceChildren(scatter(points, { width, costTitle: title, costText: asText, metric, higher, label }));
    const rows = [...points].sort((a, b) => a.cost - b.cost);
    listing.replaceChildren(h("details", { open: listing.querySelector("details")?.open }, h("summary", null, "The same as a table"),
      scrolling("Score and cost", h("table", null,
        h("thead", null, h("tr", null, ["Model", metric, "95 % interval", title, "Front"].map((one) => h("th", { scope: "col" }, named(one))))),
        h("tbody", null, rows.map((one) => h("tr", null, h("th", { scope: "row" }, named(one.name)),
          [number(one.score), span(one.low, one.high), asText(one.cost), one.front ? "yes" : ""].map((text) => h("td", { class: "num" }, text)))))))));
  };
  const picks = h("div", { class: "picks" },
    tasks.length > 1 && picker("Task", tasks.map((one) => [one, taskName(one)]), (value) => { t = Number(value); draw(); }),
    Object.keys(doc.costs).length > 1 && picker("Cost", Object.entries(doc.costs).map(([key, one]) => [key, one.title]), (value) => { cost = value; draw(); }));
  draw(); // at once too: a printer does not wait to be told of a width
  let width = 0;
  new ResizeObserver(() => { if (place.clientWidth !== width) { width = place.clientWidth; draw(); } }).observe(place);
  return h("div", null, picks, place,
    h("p", { class: "note" }, "Blue: on the front, nothing as good costs less. Sentinels and what saw the targets are left out. Arrow keys go from point to point."), listing);
};

const behindParts = (key, name) => {
  const found = doc.behind[key];
  if (!found) return [];
  const parts = [];
  if (found.counts) parts.push(confusionPicture(doc.labels[found.labels], found.counts, name));
  if (found.mistakes) {
    parts.push(h("div", null,
      h("p", null, `${found.right.toLocaleString("en-US")} of ${found.n.toLocaleString("en-US")} are right. The most frequent mistakes:`),
      h("table", null, h("thead", null, h("tr", null, ["Target", "Predicted", "Count"].map((one) => h("th", { scope: "col" }, one)))),
        h("tbody", null, found.mistakes.map(([target, predicted, count]) => h("tr", null, h("td", null, named(target)), h("td", null, named(predicted)), h("td", { class: "num" }, String(count))))))));
  }
  if (found.bins) parts.push(reliabilityPicture(found.bins, name));
  return parts;
};

const behindChart = () => {
  const tasks = tasksWith((t) => (placesOf.get(t) ?? []).some((p) => doc.behind[`${t},${p[1]}`]));
  const place = h("div");
  const draw = (t) => {
    const entries = placesOf.get(t).map((p) => p[1]).filter((e) => doc.behind[`${t},${e}`]);
    place.replaceChildren(grid(entries, (e) => {
      const { about } = doc.behind[`${t},${e}`];
      return h("figure", null, h("h3", null, named(entryName(e)), about && h("small", null, ` (${about})`)),
        h("div", { class: "pair" }, behindParts(`${t},${e}`, `${entryName(e)} on ${taskName(t)}`)));
    }, { first: 4, layout: "wide", what: "entries" }));
  };
  draw(tasks[0]);
  const left = [
    doc.left.behind && `${doc.left.behind.toLocaleString("en-US")} more cells are left out, the best of each task come first`,
    doc.left.unreadable && `the predictions of ${doc.left.unreadable.toLocaleString("en-US")} cells could not be read`,
  ].filter(Boolean).join("; ");
  return h("div", null,
    tasks.length > 1 && h("div", { class: "picks" }, picker("Task", tasks.map((t) => [t, taskName(t)]), (value) => draw(Number(value)))),
    place,
    h("p", { class: "note" }, "Shade: share of the target's row; orange is wrong. Dots on the dashed line are calibrated; their size is the number of examples."
      + (left ? ` ${left[0].toUpperCase()}${left.slice(1)}.` : "")));
};

const curveChart = () => {
  const panels = new Map();
  for (const curve of doc.curves) {
    const shots = curve.x === "shots";
    const key = JSON.stringify([curve.t, curve.name, curve.x, shots ? curve.of : curve.e]);
    if (!panels.has(key)) panels.set(key, []);
    panels.get(key).push(curve);
  }
  const make = (curves) => {
    const [{ t, e, name, x, of }] = curves, shots = x === "shots";
    const several = new Set(curves.map((one) => one.seed)).size > 1;
    const nameOf = (one) => (shots ? entryName(one.e) : one.of || one.name);
    const names = [...new Set(curves.map(nameOf))];
    const seen = new Set();
    const series = curves.filter((one) => names.indexOf(nameOf(one)) < 16).map((one) => {
      const last = one.p[one.p.length - 1], key = names.indexOf(nameOf(one)), thin = seen.has(key);
      seen.add(key);
      const seed = several ? `, seed ${one.seed}` : "";
      return { key, thin, points: one.p, words: `${nameOf(one)}${seed}\n${one.p.length} points; last: ${name} ${number(last[1])} at ${x} ${last[0]}` };
    });
    const title = shots ? taskName(t) : `${taskName(t)}: ${entryName(e)}`;
    if (curves.every((one) => one.p.length === 1)) { // nothing that a line could join
      return figure(title, h("p", null, `${name} at one point only:`), h("ul", null, series.map((one, i) =>
        h("li", null, named(one.words.split("\n")[0]), `: ${number(curves[i].p[0][1])} at ${x} ${curves[i].p[0][0]}`))));
    }
    const label = `${title}: ${name} over ${x}; ${series.map((one) => one.words.replace("\n", ": ")).slice(0, 6).join("; ")}`;
    return figure(title,
      lines(series, { xWords: shots ? "shots per label (log)" : x, yWords: shots && of ? `${name} (${of})` : name, label, logX: shots }),
      h("ul", { class: "key" }, names.slice(0, 16).map((one, i) => h("li", null, swatch(i, curves.every((curve) => nameOf(curve) !== one || curve.p.length === 1)), named(clipped(one, 40)))),
        names.length > 16 && h("li", null, `${names.length - 16} more not drawn`),
        several && h("li", null, "one line for each seed, the first one strong")));
  };
  const note = doc.left.curves ? h("p", { class: "note" }, `${doc.left.curves.toLocaleString("en-US")} more curves are left out.`) : null;
  return h("div", null, grid([...panels.values()], make, { what: "panels" }), note);
};

const changeChart = () => {
  const metrics = new Map();
  for (const change of doc.changes) {
    if (!metrics.has(change[1])) metrics.set(change[1], []);
    metrics.get(change[1]).push(change);
  }
  const rank = { worse: 0, better: 1 };
  const left = doc.left.changes;
  const note = left ? h("p", { class: "note" }, `${left.toLocaleString("en-US")} ${left === 1 ? "row predicts" : "rows predict"} the same on both sides, and ${left === 1 ? "is" : "are"} not drawn.`) : null;
  return h("div", null, note, grid([...metrics], ([metric, changes]) => {
    const sorted = [...changes].sort((a, b) => (rank[a[5]] ?? 2) - (rank[b[5]] ?? 2) || Math.abs(b[2]) - Math.abs(a[2]));
    const rows = sorted.slice(0, 30).map(([title, , value, low, high, verdict]) => ({
      label: title, value, low, high, state: `v-${verdict.replace(" ", "-")}`, right: "",
      words: `${title}\n${metric} ${signed(value)} (${span(low, high)}): ${verdict}`,
    }));
    const more = sorted.length > 30 ? `; the first 30 of ${sorted.length}` : "";
    return figure(`Change of ${metric}`, h("figcaption", null, `${sorted[0][6] ? "right of 0 is better" : "left of 0 is better"}${more}`),
      dots(rows, `Changes of ${metric} with 95 % intervals; the table below has the numbers`, { width: 560, zero: 0, text: signed }));
  }, { layout: "wide", what: "metrics" }));
};

const DRAWN = { changes: changeChart, cost: costChart, intervals, behind: behindChart, curves: curveChart };
const wirePanels = () => {
  const waiting = new Map();
  const draw = (place) => {
    if (!waiting.has(place)) return;
    const make = waiting.get(place);
    waiting.delete(place);
    place.replaceChildren(make());
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) { watcher.unobserve(target); draw(target); }
    }
  }, { rootMargin: "600px" });
  for (const [name, make] of Object.entries(DRAWN)) {
    const place = $(`${name}-chart`);
    if (!place) continue;
    if (name === "changes" && !doc.changes.length) { place.remove(); continue; }
    waiting.set(place, make);
    watcher.observe(place);
  }
  // Who jumps lands where nothing moves any more: all is drawn before.
  const drawAll = () => { for (const place of [...waiting.keys()]) draw(place); };
  document.addEventListener("click", (event) => { if (event.target.closest?.("a[href^='#']")) drawAll(); });
  if (location.hash) drawAll();
  addEventListener("hashchange", drawAll);
  const folded = [];
  addEventListener("beforeprint", () => {
    drawAll();
    for (const details of document.querySelectorAll("details:not([open])")) { details.open = true; folded.push(details); }
  });
  addEventListener("afterprint", () => { for (const details of folded.splice(0)) details.open = false; });
};
