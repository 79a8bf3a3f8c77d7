/** Light or dark: as the system says, until somebody chooses. The choice is kept. */

const STORED = "warren.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** @param onChange - called when the colours are others */
export function initTheme(onChange: () => void): void {
  const chosen = localStorage.getItem(STORED);
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset["theme"] = chosen;
  system.addEventListener("change", onChange);
}

export function toggleTheme(): void {
  const now = document.documentElement.dataset["theme"] ?? (system.matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset["theme"] = next;
  localStorage.setItem(STORED, next);
}
