// Tables that sort, and the leaderboard's filters.
const cellAt = (row, column) => {
  let at = 0;
  for (const cell of row.cells) {
    if (at === column) return cell;
    at += cell.colSpan;
    if (at > column) return null;
  }
  return null;
};
const keyOf = (cell, numeric) => {
  const told = cell?.dataset.v;
  if (!numeric) return (told ?? cell?.textContent ?? "").trim();
  return told === undefined || told === "" ? null : Number(told);
};
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

const sortTable = (table, head) => {
  const heads = [...table.tHead.rows[0].cells];
  const current = head.getAttribute("aria-sort");
  const opposite = { ascending: "descending", descending: "ascending" };
  const direction = opposite[current] ?? head.dataset.first;
  for (const one of heads) one.setAttribute("aria-sort", one === head ? direction : "none");
  const sign = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const column = heads.indexOf(head);
  const numeric = head.dataset.kind === "number";
  const rows = [...body.rows].map((row) => {
    const cell = cellAt(row, column);
    return [keyOf(cell, numeric), row, numeric && (cell?.classList.contains("peek") ?? false)];
  });
  rows.sort(([a, , peeked], [b, , other]) => {
    if (a === null || b === null) return (a === null) - (b === null); // what has no score stays below
    if (peeked !== other) return peeked - other; // and above it what saw the targets
    return sign * (numeric ? a - b : order.compare(a, b));
  });
  body.append(...rows.map(([, row]) => row));
};

const wireTable = (table) => {
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sortTable(table, button.closest("th"));
  });
};

const wireBoard = () => {
  const table = $("board");
  if (!table) return;
  const controls = document.querySelector(".controls");
  const [find, protocol, task, status] = ["text", "protocol", "task", "status"].map((name) => $(`filter-${name}`));
  const turned = table.hasAttribute("data-turned");
  const heads = [...table.tHead.rows[0].cells];
  const firstTask = heads.length - doc.tasks.length;
  const rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    words: row.cells[0].dataset.v.toLowerCase(),
    cells: [...row.cells].filter((cell) => cell.dataset.cell),
  }));
  controls.hidden = false;
  const fits = (cell) => {
    const is = (...states) => states.some((state) => cell.classList.contains(state));
    switch (status.value) {
      case "best": return is("best", "tied");
      case "ok": return is("best", "tied", "ok");
      case "failed": return is("failed");
      default: return true;
    }
  };
  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = task?.value ?? "";
    let shown = 0;
    if (!turned) heads.forEach((head, i) => { head.hidden = only !== "" && i >= firstTask && i - firstTask !== Number(only); });
    for (const { row, words: text, cells } of rows) {
      let any = false;
      for (const cell of cells) {
        const [t, e] = cell.dataset.cell.split(",").map(Number);
        const here = only === "" || t === Number(only);
        const asked = !turned || !protocol?.value || doc.entries[e][1] === protocol.value;
        const good = here && asked && fits(cell);
        any ||= good;
        if (!turned) cell.hidden = !here;
        cell.classList.toggle("dim", here && !good);
      }
      const mine = turned || !protocol?.value || row.dataset.protocol === protocol.value;
      row.hidden = !(mine && any && words.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    $("filter-count").textContent = `${shown} of ${rows.length} ${turned ? "tasks" : "entries"}`;
  };
  for (const control of [find, protocol, task, status]) control?.addEventListener("input", apply);
  apply();
};
