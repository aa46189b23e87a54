// Light, dark, or as the system has it; all pages share the choice.
const root = document.documentElement;
root.classList.add("js");

const wireTheme = () => {
  const button = $("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let kept = null;
  try { kept = localStorage.getItem("ptbench-theme"); } catch { /* a file may not keep anything */ }
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-pressed", String(isDark()));
    button.setAttribute("aria-label", "Dark colours");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("ptbench-theme", root.dataset.theme); } catch { /* then for this once */ }
    tell();
  });
  system.addEventListener("change", tell);
  tell();
};
