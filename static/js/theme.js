// Runs before the first paint, so that a dark page never flashes white. The choice lives in localStorage.
(function () {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    const chosen = localStorage.getItem("theme") || "system";
    const dark = chosen === "dark" || (chosen === "system" && system.matches);
    document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
    document.documentElement.dataset.themeChoice = chosen;
    document.dispatchEvent(new CustomEvent("stowage:theme", { detail: { theme: dark ? "dark" : "light" } }));
  }
  window.stowageTheme = function (choice) {
    if (choice === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", choice);
    apply();
  };
  system.addEventListener("change", apply);
  apply();
})();
