// Pictures as SVG: each has a name and a description, and marks that tell their numbers.
const picture = (width, height, label, ...children) =>
  s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label }, ...children);
const mark = (words, attributes, ...children) =>
  s("g", { ...attributes, "data-tip": words, role: "img", "aria-label": words, tabindex: "-1" }, ...children);
const reachable = (svg) => { svg.querySelector("[data-tip]")?.setAttribute("tabindex", "0"); return svg; };

const niceTicks = (low, high, most = 5) => {
  if (!(high > low)) return [low];
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(+(i * step).toPrecision(12));
  return ticks;
};
const logTicks = (low, high, most = 7) => {
  const decades = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p += 1) decades.push(p);
  const ratio = high / low;
  const steps = ratio < 12 ? [1, 1.5, 2, 3, 5, 7] : ratio < 120 ? [1, 2, 5] : ratio < 2000 ? [1, 3] : [1];
  const all = decades.flatMap((p) => steps.map((one) => +(one * 10 ** p).toPrecision(3)));
  const inside = all.filter((one) => one >= low * 0.999 && one <= high * 1.001);
  const every = Math.ceil(inside.length / most);
  return inside.length < 2 ? [low, high] : inside.filter((_, i) => i % every === 0);
};
const linear = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
const logarithmic = (low, high, from, to) => {
  const place = linear(Math.log10(low), Math.log10(high), from, to);
  return (value) => place(Math.log10(value));
};
const padded = (low, high, share = 0.06) => {
  const room = (high - low) * share || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
};
const tickText = (value) => (value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(0) : Math.abs(value) >= 1e4 ? big(value) : String(value).replace("-", "−"));
const secondsText = (value) => (value === 0 ? "0 s" : value < 1e-3 ? `${+(value * 1e6).toPrecision(3)} µs` : value < 1 ? `${+(value * 1e3).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`);

const axes = (box, x, xs, y, ys, xWords, yWords, xText = tickText) => {
  const [left, top, right, bottom] = box;
  return s("g", { "aria-hidden": "true" },
    ys.map((value) => [
      s("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
      s("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, tickText(value)),
    ]).flat(),
    xs.map((value) => [
      s("line", { class: "grid", x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4 }),
      s("text", { class: "tick", x: x(value), y: bottom + 17, "text-anchor": "middle" }, xText(value)),
    ]).flat(),
    s("text", { class: "axis", x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, clipped(xWords, 36)),
    yWords && s("text", { class: "axis", x: left - 4, y: top - 8, "text-anchor": "start" }, clipped(yWords, 36)));
};

const canvas = document.createElement("canvas").getContext("2d");
const widthOf = (words) => {
  canvas.font = `700 12px ${getComputedStyle(document.documentElement).fontFamily}`;
  return canvas.measureText(words).width;
};

// Rows of dots with whiskers. A row: {label, value, low, high, state, right, words}. The axis is made for those with an
// interval that did not see the targets; what lies beyond is an arrow at the edge, and its number says where it is.
const dots = (rows, label, { width = 380, zero = null, text = number } = {}) => {
  const most = Math.max(10, Math.floor(width * 0.062));
  const left = Math.min(width * 0.5, 14 + Math.max(...rows.map((row) => widthOf(clipped(row.label, most)))));
  const right = width - 58, step = 20, top = 6, height = top + rows.length * step + 24;
  const honest = rows.filter((row) => row.low !== null && row.high !== null && row.state !== "is-peek");
  const ends = (honest.length ? honest : rows).flatMap((row) => [row.low, row.high, row.value]).filter((value) => value !== null);
  if (zero !== null) ends.push(zero);
  const [low, high] = padded(Math.min(...ends), Math.max(...ends), 0.06);
  const place = linear(low, high, left, right), bottom = top + rows.length * step;
  const x = (value) => Math.min(right, Math.max(left, place(value)));
  const ticks = niceTicks(low, high, 4);
  const shape = ({ value }, y) => {
    if (value < low) return s("path", { class: "mark beyond", d: `M${left - 2} ${y}l7 -4v8Z` });
    if (value > high) return s("path", { class: "mark beyond", d: `M${right + 2} ${y}l-7 -4v8Z` });
    return s("circle", { class: "mark", cx: x(value), cy: y, r: 3 });
  };
  const whisker = (row, y) => {
    const [a, b] = [x(row.low), x(row.high)], tick = (value) => (value >= low && value <= high ? `M${x(value)} ${y - 4}V${y + 4}` : "");
    return b > a && s("path", { class: "whisker", d: `M${a} ${y}H${b}${tick(row.low)}${tick(row.high)}` });
  };
  return reachable(picture(width, height, label,
    s("g", { "aria-hidden": "true" }, ticks.map((value) => [
      s("line", { class: "grid", x1: x(value), x2: x(value), y1: top, y2: bottom }),
      s("text", { class: "tick", x: x(value), y: bottom + 16, "text-anchor": "middle" }, tickText(value)),
    ]).flat()),
    zero !== null && s("line", { class: "zero", x1: x(zero), x2: x(zero), y1: top, y2: bottom }),
    rows.map((row, i) => {
      const y = top + (i + 0.5) * step;
      return mark(row.words, { class: row.state },
        s("rect", { x: 0, y: y - step / 2, width, height: step, fill: "transparent" }),
        s("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, clipped(row.label, most)),
        row.low !== null && row.high !== null && whisker(row, y),
        shape(row, y),
        s("text", { class: "tick", x: right + 8, y: y + 4 }, text(row.value) + (row.right ? ` ${row.right}` : "")));
    })));
};

const SIDES = [[9, 4, "start"], [-9, 4, "end"], [0, -10, "middle"], [0, 19, "middle"]];
const CORNERS = [[-8, -8, "end"], [9, 16, "start"], [-9, 16, "end"], [9, -8, "start"]];
// Score against cost on a logarithmic axis, with the front that nothing beats.
const scatter = (points, { width, costTitle, costText, metric, higher, label }) => {
  const height = Math.max(300, Math.min(440, width * 0.5));
  const box = [58, 24, width - 28, height - 44];
  const costs = points.map((one) => one.cost), scores = points.flatMap((one) => [one.score, one.low, one.high]).filter((one) => one !== null);
  const room = Math.max(1.25, (Math.max(...costs) / Math.min(...costs)) ** 0.07);
  const [low, high] = padded(Math.min(...scores), Math.max(...scores));
  const first = Math.min(...costs) / room, last = Math.max(...costs) * room;
  const x = logarithmic(first, last, box[0], box[2]), y = linear(low, high, box[3], box[1]);
  const front = points.filter((one) => one.front).sort((a, b) => a.cost - b.cost);
  let path = "";
  front.forEach((one, i) => { path += i ? `H${x(one.cost)}V${y(one.score)}` : `M${x(one.cost)} ${y(one.score)}`; });
  if (front.length) path += `H${box[2]}`;
  const taken = points.map((one) => [x(one.cost) - 6, y(one.score) - 6, x(one.cost) + 6, y(one.score) + 6]);
  const labels = [...points].sort((a, b) => b.front - a.front || (higher ? b.score - a.score : a.score - b.score)).map((one) => {
    const words = clipped(one.name, 30), wide = words.length * 6.7, at = [x(one.cost), y(one.score)];
    for (const [dx, dy, anchor] of one.front ? [...CORNERS, ...SIDES] : [...SIDES, ...CORNERS]) {
      const begin = at[0] + dx - { start: 0, end: wide, middle: wide / 2 }[anchor];
      const area = [begin, at[1] + dy - 11, begin + wide, at[1] + dy + 3];
      const free = area[0] >= box[0] && area[2] <= width && area[1] >= 0 && area[3] <= box[3]
        && taken.every((b) => area[2] < b[0] || b[2] < area[0] || area[3] < b[1] || b[3] < area[1]);
      if (free) {
        taken.push(area);
        return s("text", { x: at[0] + dx, y: at[1] + dy, "text-anchor": anchor, class: one.front ? "halo" : "halo tick", "font-weight": one.front ? 600 : 400 }, words);
      }
    }
    return null; // its mark still tells the name
  });
  return reachable(picture(width, height, label,
    axes(box, x, logTicks(first, last, width / 90), y, niceTicks(low, high), `${costTitle} (log)`, `${metric} ${higher ? "↑" : "↓"}`, costText),
    s("path", { class: "front", d: path }),
    points.map((one) => mark(one.words, { class: one.front ? "is-best" : "" },
      one.low !== null && one.high !== null && s("line", { class: "whisker", opacity: 0.45, x1: x(one.cost), x2: x(one.cost), y1: y(one.low), y2: y(one.high) }),
      s("circle", { class: "mark", cx: x(one.cost), cy: y(one.score), r: one.front ? 6 : 5 }))),
    s("g", { "aria-hidden": "true" }, labels.filter(Boolean))));
};

const DASHES = [null, "6 3", "2 3", "8 3 2 3"];
const dashOf = (i) => DASHES[(Math.floor(i / 2) + Math.floor(i / 8)) % 4]; // neighbours differ by more than their colour
const swatch = (i, lone) => s("svg", { viewBox: "0 0 22 10", class: "swatch-line", "aria-hidden": "true" },
  s("g", { class: `c${i % 8}` }, lone ? s("circle", { class: "series-dot", cx: 11, cy: 5, r: 3.5 }) : s("path", { class: "series", d: "M0 5H22", "stroke-dasharray": dashOf(i) })));

// Lines with bands. A series: {key, name, points: [x, y, low, high], words}.
const lines = (series, { width = 380, xWords, yWords, label, logX = false }) => {
  const height = 250, box = [50, 24, width - 18, height - 44];
  const all = series.flatMap((one) => one.points);
  const ys = all.flatMap((p) => p.slice(1)).filter((value) => value !== null && value !== undefined), xs = all.map((p) => p[0]);
  const least = Math.min(...ys), steep = least > 0 && Math.max(...ys) > 50 * least;
  const [low, high] = steep ? [least / 1.2, Math.max(...ys) * 1.2] : padded(least, Math.max(...ys));
  const first = Math.min(...xs), last = Math.max(...xs), log = logX && first > 0 && last > first;
  const single = first === last;
  const x = log ? logarithmic(first, last, box[0] + 6, box[2] - 6) : single ? () => (box[0] + box[2]) / 2 : linear(first, last, box[0] + 6, box[2] - 6);
  const y = (steep ? logarithmic : linear)(low, high, box[3], box[1]);
  const own = [...new Set(xs)].sort((a, b) => a - b);
  const ticks = own.length <= 7 ? own : log ? logTicks(first, last) : niceTicks(first, last).filter((one) => one >= first && one <= last);
  return reachable(picture(width, height, label,
    axes(box, x, ticks, y, steep ? logTicks(low, high, 5) : niceTicks(low, high, 4), xWords, steep ? `${yWords} (log)` : yWords),
    series.map((one) => {
      const points = [...one.points].sort((a, b) => a[0] - b[0]);
      const banded = points.length > 1 && points.every((p) => p.length === 4);
      const line = points.map((p, i) => `${i ? "L" : "M"}${x(p[0])} ${y(p[1])}`).join("");
      const band = banded ? `M${points.map((p) => `${x(p[0])} ${y(p[2])}`).join("L")}L${[...points].reverse().map((p) => `${x(p[0])} ${y(p[3])}`).join("L")}Z` : "";
      return mark(one.words, { class: `c${one.key % 8}${one.thin ? " thin" : ""}` },
        band && s("path", { class: "band", d: band }),
        s("path", { class: "series", d: line, "stroke-dasharray": dashOf(one.key) }),
        points.length <= 40 && points.map((p) => s("circle", { class: "series-dot", cx: x(p[0]), cy: y(p[1]), r: !one.thin ? 3 : points.length === 1 ? 2.5 : 1.5 })));
    })));
};

const confusionPicture = (labels, counts, name) => {
  const n = labels.length, width = 300, most = n > 12 ? 9 : 14;
  const edge = 24 + Math.min(96, 6.4 * Math.max(...labels.map((label) => Math.min(most, [...label].length))));
  const wide = Math.max(...labels.map((label) => widthOf(clipped(label, most)))), room = width - edge - 4;
  const level = wide <= room / n - 6; // else they run into each other, and stand aslant
  const step = (level ? room : room - wide / 2 + 4) / n;
  const top = level ? 22 : 14 + 0.87 * wide, height = top + step * n + 22;
  const sums = counts.map((row) => row.reduce((a, b) => a + b, 0));
  const small = step < 24;
  return reachable(picture(width, height, `Confusion matrix of ${name}: rows are targets, columns predictions`,
    s("g", { "aria-hidden": "true" },
      labels.map((label, i) => {
        const at = edge + step * (i + 0.5), words = clipped(label, most);
        return [
          level ? s("text", { class: "tick", x: at, y: top - 7, "text-anchor": "middle" }, words)
            : (n <= 20 || i % 2 === 0) && s("text", { class: "tick", transform: `translate(${at + 3} ${top - 6}) rotate(-60)` }, words),
          (n <= 20 || i % 2 === 0) && s("text", { class: "tick", x: edge - 7, y: top + step * (i + 0.5) + 4, "text-anchor": "end" }, words),
        ];
      }).flat().filter(Boolean),
      s("text", { class: "axis", x: edge + (step * n) / 2, y: height - 5, "text-anchor": "middle" }, "predicted; rows: target")),
    counts.flatMap((row, i) => row.map((count, j) => {
      const share = sums[i] ? count / sums[i] : 0, x = edge + step * j, y = top + step * i;
      const words = `target ${labels[i]}, predicted ${labels[j]}: ${count.toLocaleString("en-US")} (${(share * 100).toFixed(1)} % of the target)`;
      if (small && !count) return null;
      return mark(words, null,
        s("rect", { class: i === j ? "cellbox spot" : "cellbox wrong spot", x: x + 0.5, y: y + 0.5, width: step - 1, height: step - 1, rx: 2, "fill-opacity": count ? 0.06 + share * 0.6 : 0.02 }),
        !small && s("text", { x: x + step / 2, y: y + step / 2 + 4, "text-anchor": "middle", "font-size": step < 34 ? 9.5 : 12 }, count >= 1e4 ? big(count) : String(count)));
    })),
    s("rect", { class: "boxline", x: edge, y: top, width: step * n, height: step * n })));
};

const reliabilityPicture = (bins, name) => {
  const width = 300, height = 290, box = [42, 24, 292, 244];
  const x = linear(0, 1, box[0], box[2]), y = linear(0, 1, box[3], box[1]);
  const total = bins.reduce((sum, bin) => sum + bin[4], 0);
  const ece = bins.reduce((sum, [confidence, accuracy, , , n]) => sum + (n / total) * Math.abs(confidence - accuracy), 0);
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return reachable(picture(width, height, `Calibration of ${name}: accuracy beside confidence; expected calibration error ${number(ece)}`,
    axes(box, x, ticks, y, ticks, `confidence; error (ECE) ${number(ece)}`, "accuracy"),
    s("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    s("g", { class: "is-best" }, bins.map(([confidence, accuracy, low, high, n]) =>
      mark(`confidence ${number(confidence)}: accuracy ${number(accuracy)} (${span(low, high)}), ${n.toLocaleString("en-US")} examples`, null,
        s("line", { class: "whisker", opacity: 0.6, x1: x(confidence), x2: x(confidence), y1: y(low), y2: y(high) }),
        s("circle", { class: "mark", cx: x(confidence), cy: y(accuracy), r: 2.5 + 5 * Math.sqrt(n / total) }))))));
};
