// Everything is wired up once the document is there; this script stands at its end.
wireTheme();
wireCells();
wireBoard();
for (const table of document.querySelectorAll("#board, table.sortable")) wireTable(table);
wirePanels();
