// Sets the theme that was chosen before anything is drawn.
try {
  const theme = localStorage.getItem("tastemaker.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // a browser that keeps nothing follows the system
}
