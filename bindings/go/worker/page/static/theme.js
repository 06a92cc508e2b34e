// Sets the theme before the first paint, so that a dark page does not flash white.
(function () {
  let theme = 'auto';
  try { theme = localStorage.getItem('subpy-theme') || 'auto'; } catch { /* storage is switched off */ }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
