// The history and the overview: tables that sort, series that are filtered.
const wireSeries = () => {
  const table = $("series-table");
  if (!table) return;
  const [find, changes] = [$("filter-text"), $("filter-changes")];
  const rows = [...table.tBodies[0].rows];
  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const asked = changes.value === "" || row.hasAttribute(`data-${changes.value}`);
      row.hidden = !(asked && words.every((word) => row.dataset.words.includes(word)));
      shown += !row.hidden;
    }
    $("filter-count").textContent = `${shown} of ${rows.length} series`;
  };
  for (const control of [find, changes]) control.addEventListener("input", apply);
  document.querySelector(".controls").hidden = false;
  apply();
};

wireTheme();
wireSeries();
for (const table of document.querySelectorAll("table.sortable")) wireTable(table);
