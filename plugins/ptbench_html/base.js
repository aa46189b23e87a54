// Elements, numbers and the tip. Data reaches the page as text and as numbers of shapes only.
const doc = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

const filled = (element, attributes, children) => {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
};
const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);
const named = (text) => h("bdi", null, text);

// As Python rounds: an exact half goes to the even digit, so that a table and its picture say the same.
const fixed = (size, places) => {
  const exact = size.toFixed(places + 30), end = exact.indexOf(".") + (places ? places + 1 : 0);
  const cut = exact.slice(0, end);
  return /^50*$/.test(exact.slice(exact.indexOf(".") + 1 + places)) && "02468".includes(cut.at(-1)) ? cut : size.toFixed(places);
};
const number = (value, digits = 3) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  let shown;
  if ((size > 0 && size < 10 ** -digits / 2) || size >= 1e7) shown = size.toExponential(1).replace(/([+-])(\d)$/, "$10$2");
  else if (size >= 1000) shown = Number(fixed(size, 0)).toLocaleString("en-US");
  else shown = fixed(size, size >= 10 ? digits - 1 : digits);
  return (value < 0 ? "−" : "") + shown;
};
const signed = (value) => (value > 0 ? "+" : "") + number(value);
const span = (low, high) => (low === null || high === null ? "" : `${number(low)} to ${number(high)}`);
const big = (value) => {
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(value) >= size) return `${(value / (unit === "k" ? 1e3 : size)).toPrecision(3)} ${unit}`;
  }
  return String(+value.toPrecision(3));
};
const clipped = (text, most) => {
  const letters = [...text.replace(/\s+/g, " ")];
  return letters.length <= most ? letters.join("") : letters.slice(0, most - 1).join("") + "…";
};
// Boxes that scroll fade out where they go on.
const resized = new ResizeObserver((entries) => { for (const { target } of entries) fade(target); });
const fade = (box) => {
  box.classList.toggle("more-right", box.scrollWidth - box.clientWidth - box.scrollLeft > 1);
  box.classList.toggle("more-below", box.scrollHeight - box.clientHeight - box.scrollTop > 1);
};
const hinted = (box) => {
  box.addEventListener("scroll", () => fade(box), { passive: true });
  resized.observe(box);
  return box;
};
const scrolling = (words, ...children) => hinted(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words }, ...children));
for (const box of document.querySelectorAll(".scroll, .top nav")) hinted(box);

const entryName = (e) => doc.entries[e][2];
const taskName = (t) => doc.tasks[t][0];

const tip = h("div", { id: "tip", role: "tooltip", hidden: true });
document.body.append(tip);
const showTip = (mark) => {
  tip.textContent = mark.dataset.tip;
  tip.hidden = false;
  const at = mark.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const left = Math.min(Math.max(6, at.left + at.width / 2 - own.width / 2), innerWidth - own.width - 6);
  const above = at.top - own.height - 8;
  tip.style.left = `${Math.max(6, left)}px`;
  tip.style.top = `${above > 4 ? above : at.bottom + 8}px`;
};
const hideTip = () => { tip.hidden = true; };
addEventListener("scroll", hideTip, { passive: true, capture: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
for (const [name, act] of [["pointerover", showTip], ["focusin", showTip], ["pointerout", hideTip], ["focusout", hideTip]]) {
  document.addEventListener(name, (event) => {
    const mark = event.target.closest?.("[data-tip]");
    if (mark) act(mark);
  });
}
// One stop of the Tab key per picture; arrows go from mark to mark.
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const mark = event.target.closest?.("svg [data-tip]");
  if (!step || !mark) return;
  event.preventDefault();
  const marks = [...mark.ownerSVGElement.querySelectorAll("[data-tip]")];
  const next = marks[(marks.indexOf(mark) + step + marks.length) % marks.length];
  mark.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});
