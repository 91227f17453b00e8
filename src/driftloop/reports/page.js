"use strict";
(() => {
  const text = document.getElementById("plots").textContent;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const small = matchMedia("(max-width: 640px)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Colours come from the style sheet, so the page and its plots have one source.
  const template = () => {
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--line"), automargin: false };
    return {
      layout: {
        font: { family: colour("--font"), size: 12, color: colour("--ink") },
        paper_bgcolor: colour("--page"),
        plot_bgcolor: "rgba(0,0,0,0)",
        xaxis: { ...axis, spikecolor: colour("--soft") },
        yaxis: axis,
        hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--line"), font: { color: colour("--ink") }, align: "left" },
        coloraxis: {
          colorscale: [
            [0, colour("--heat-0")], [0.333, colour("--heat-1")], [0.334, colour("--heat-2")], [1, colour("--heat-3")],
          ],
        },
      },
    };
  };

  const config = { displaylogo: false, responsive: true, scrollZoom: false, displayModeBar: false, doubleClick: "reset" };
  const readPlots = () =>
    JSON.parse(text, (key, value) => ((key === "color" || key === "fillcolor") && /^--/.test(value) ? colour(value) : value));

  // On a narrow screen the keys of all panels go below the figure, where they have room.
  const narrowed = ({ data, layout }) => {
    const { legend2, legend3, ...rest } = layout;
    const below = { orientation: "h", x: 0, y: -0.075, yanchor: "top", font: { size: 11 }, entrywidth: 140, traceorder: "normal" };
    const margin = { ...layout.margin, l: 84, r: 8, b: 195 };
    return legend2
      ? { data: data.map((trace) => ({ ...trace, legend: "legend" })), layout: { ...rest, legend: below, margin } }
      : { data, layout };
  };
  const draw = (id, plot, width) => {
    const { data, layout } = small.matches ? narrowed(plot) : plot;
    const place = document.getElementById(id);
    const size = { width: width ?? place.clientWidth, height: place.clientHeight };
    const dragmode = touch ? false : "zoom";
    return Plotly.react(id, data, { ...layout, ...size, dragmode, template: template() }, config);
  };
  const drawAll = (width) => Promise.all(Object.entries(readPlots()).map(([id, plot]) => draw(id, plot, width)));

  drawAll().then((drawn) => document.documentElement.setAttribute("data-drawn", drawn.length));
  dark.addEventListener("change", () => drawAll());
  small.addEventListener("change", () => drawAll());

  // Paper is white and has its own width.
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper");
    drawAll(680);
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    drawAll();
  });
})();
