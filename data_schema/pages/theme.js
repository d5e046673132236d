(function () {
  "use strict";
  var root = document.documentElement;
  var LIGHT = { ink: "#1c2430", line: "#d9dfe6" };
  function colours() {
    var style = getComputedStyle(root);
    return { ink: style.getPropertyValue("--ink").trim(), line: style.getPropertyValue("--line").trim() };
  }
  function themed(layout, c) {
    var result = Object.assign({}, layout);
    result.font = Object.assign({ family: "system-ui, sans-serif", size: 13 }, layout.font, { color: c.ink });
    result.hoverlabel = { font: { family: "system-ui, sans-serif" } };
    Object.keys(layout).concat(["xaxis", "yaxis"]).forEach(function (key) {
      if (/^[xy]axis\d*$/.test(key)) {
        result[key] = Object.assign({}, layout[key], { gridcolor: c.line, linecolor: c.line, zerolinecolor: c.line, automargin: true });
      }
    });
    return result;
  }
  var plots = Array.prototype.map.call(document.querySelectorAll(".plot"), function (element) {
    return { element: element, figure: JSON.parse(element.querySelector("script").textContent) };
  });
  // A figure in a closed part of the page has no width yet, and many of them take long to draw: it waits until opened.
  function isShown(element) {
    for (var part = element.parentElement; part; part = part.parentElement) {
      if (part.tagName === "DETAILS" && !part.open) { return false; }
    }
    return true;
  }
  function draw(c, width, among) {
    (among || plots).forEach(function (plot) {
      if (!isShown(plot.element)) { plot.drawn = false; return; }
      plot.drawn = true;
      var layout = themed(plot.figure.layout, c);
      if (width) { layout.width = width; }
      Plotly.react(plot.element, plot.figure.data, layout, { displaylogo: false, responsive: true, displayModeBar: false });
    });
  }
  draw(colours());
  document.querySelectorAll("details").forEach(function (part) {
    part.addEventListener("toggle", function () {
      draw(colours(), 0, plots.filter(function (plot) { return !plot.drawn && part.contains(plot.element); }));
    });
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () { draw(colours()); });
  // Paper is narrower than the window in which the figures were laid out: A4 and Letter
  // have about 700 px between their margins.
  window.addEventListener("beforeprint", function () { draw(LIGHT, 690); });
  window.addEventListener("afterprint", function () { draw(colours()); });
  var button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    draw(colours());
  });
})();
